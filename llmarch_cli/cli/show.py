"""`llmarch show`: the fact sheet of one model, or its spec; and what a file of weights stores."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llmarch_cli.cli import options, output, plots
from llmarch_cli.cli.short_help import common
from llmarch_cli.errors import InputError

if TYPE_CHECKING:
    from llmarch_cli.report.table import Table
    from llmarch_cli.specs.spec import ModelSpec

EXAMPLES = (
    "llmarch show gemma3-27b",
    "llmarch show 'gpt2*' llama3.1-8b --ctx 1k",
    "llmarch show deepseek-v3 --ctx 8k --operators",
    "llmarch show deepseek-r1 --spec > my-model.yaml",
    "llmarch show gpt-oss-20b --set ffn.n_experts=64 --save wider.yaml",
    "llmarch show qwen3-8b-q4_k_m.gguf",
)


@options.workload()
def show(
    models: options.Models,
    asked: options.Asked,
    spec: Annotated[
        bool,
        typer.Option(
            "--spec",
            help="Print the spec instead. With `extends` resolved: as YAML, or with --json.",
            rich_help_panel=common(),
        ),
    ] = False,
    operators: Annotated[
        bool,
        typer.Option("--operators", help="Add FLOPs by operator. Counted by fvcore.", rich_help_panel=common()),
    ] = False,
    changes: options.Changes = None,
    file_format: options.Format = "table",
    exact: options.Exact = False,
    save: options.Save = None,
    plot: plots.Plot = None,
    plot_kind: plots.Kind = None,
) -> None:
    """Describe models: metrics, layers and components.

    Components are shown with their shares, and metrics beside the published numbers. Several models are shown one after
    another.

    Of a file of weights (.gguf, .safetensors, an index, or a checkpoint's directory), also what it stores by component
    and by format, from headers alone: values, bytes, bits a value.
    """
    kind = plots.kind(plot_kind, "params", plot)
    plots.require(plot, file_format, kind)
    assignments = options.changes(changes)
    options.require_changes(save, assignments, len(models))
    for option, given in (("--plot", plot is not None), ("--operators", operators), ("--exact", exact)):
        if spec and given:
            raise InputError(f"--spec prints a spec, without metrics: leave out {option}")
    if spec and file_format not in ("table", "json"):
        raise InputError(f"--spec prints YAML or JSON, not {file_format}: leave out --format, or give --format json")
    from llmarch_cli import api
    from llmarch_cli.models import weights
    from llmarch_cli.report.sheet import in_a_row

    described: list[tuple[str | ModelSpec | None, tuple[Table, ...]]] = []
    for model in models:
        path = None if spec else weights(model)
        named, stored = (model, ()) if path is None else _stored(path)
        if named is None:
            for option, given in (("--plot", plot is not None), ("--operators", operators), ("--set", bool(changes))):
                if given:
                    raise InputError(f"{model}: {option} needs an architecture")
        described.append((named, stored))
    chosen = api.specs([named for named, _ in described if named is not None], assignments)
    chosen = chosen[1::2] if assignments else chosen
    if spec:
        for each in chosen:
            output.save(each, save)  # of one alone
        output.write(_written(chosen, as_json=file_format == "json"))
        return
    track = output.tracking("profiling") if len(chosen) > 1 else iter
    profiles = api.profiles(chosen, track=track, **asked) if chosen else []
    if file_format == "csv":
        _require_one_table(described)
    left = iter(profiles)
    sheets = [
        (*(() if named is None else api.fact_sheet(next(left), operators=operators)), *stored)
        for named, stored in described
    ]
    for each in chosen:
        output.save(each, save)
    output.show(in_a_row(sheets), file_format, exact)
    if profiles:
        plots.show(plot, kind, profiles)


def _written(specs: Sequence[ModelSpec], as_json: bool) -> str:
    """A spec as text. Several are a list in JSON, and in YAML documents of one stream, each below a comment."""
    import json

    from llmarch_cli.specs import spec_file

    if len(specs) == 1:
        return spec_file.as_json(specs[0]) if as_json else spec_file.render(specs[0])
    if as_json:
        return json.dumps([json.loads(spec_file.as_json(spec)) for spec in specs], indent=2) + "\n"
    return "".join(f"---\n{spec_file.render(spec, (spec.id,))}" for spec in specs)


def _require_one_table(described: Sequence[tuple[object, object]]) -> None:
    """Raise InputError if models, whose table in CSV is of components, are beside files that have no architecture."""
    if len({named is None for named, _ in described}) > 1:
        raise InputError("csv is one table, but some of these have an architecture and some have none: use json")


def _stored(path: Path) -> tuple[str | ModelSpec | None, tuple[Table, ...]]:
    """The model that a file of weights or a directory describes, or None; and the tables of what it stores."""
    from llmarch_cli.huggingface import weights
    from llmarch_cli.huggingface.contents import contents
    from llmarch_cli.report.contents import stored
    from llmarch_cli.specs.loading import CONFIG_FILE

    read = weights.read(path)
    named: str | ModelSpec | None = None
    notes = ["No architecture: safetensors files do not describe one; a directory with a config.json does."]
    if read.gguf is not None:
        from llmarch_cli.huggingface.gguf.config import read_spec

        try:
            named, notes = read_spec(read.gguf), []
        except InputError as error:
            notes = [f"No architecture: {error}"]
    elif path.is_dir() and any((path / name).is_file() for name in (CONFIG_FILE, "params.json")):
        named, notes = str(path), []
    return named, stored(contents(read), notes, main=named is None)
