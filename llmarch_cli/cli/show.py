"""`llmarch show`: the fact sheet of one model, or its spec; and what a file of weights stores."""

from __future__ import annotations

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
    "llmarch show deepseek-v3 --ctx 8k --operators",
    "llmarch show deepseek-r1 --spec > my-model.yaml",
    "llmarch show gpt-oss-20b --set ffn.n_experts=64 --save wider.yaml",
    "llmarch show qwen3-8b-q4_k_m.gguf",
)


@options.workload()
def show(
    model: options.Model,
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
    """Describe one model: metrics, layers and components.

    Components are shown with their shares, and metrics beside the published numbers.

    Of a file of weights (.gguf, .safetensors, an index, or a checkpoint's directory), also what it stores by component
    and by format, from headers alone: values, bytes, bits a value.
    """
    kind = plots.kind(plot_kind, "params", plot)
    plots.require(plot, file_format, kind)
    assignments = options.changes(changes)
    options.require_changes(save, assignments)
    for option, given in (("--plot", plot is not None), ("--operators", operators), ("--exact", exact)):
        if spec and given:
            raise InputError(f"--spec prints a spec, without metrics: leave out {option}")
    if spec and file_format not in ("table", "json"):
        raise InputError(f"--spec prints YAML or JSON, not {file_format}: leave out --format, or give --format json")
    from llmarch_cli import api
    from llmarch_cli.models import weights

    named: str | ModelSpec | None = model
    stored: tuple[Table, ...] = ()
    if (path := weights(model)) is not None and not spec:
        named, stored = _stored(path)
        if named is None:
            for option, given in (("--plot", plot is not None), ("--operators", operators), ("--set", bool(changes))):
                if given:
                    raise InputError(f"{model}: {option} needs an architecture")
            output.show(stored, file_format, exact)
            return
    chosen = api.specs([model if named is None else named], assignments)[-1]
    if spec:
        from llmarch_cli.specs import spec_file

        output.save(chosen, save)
        output.write(spec_file.as_json(chosen) if file_format == "json" else spec_file.render(chosen))
        return
    profile = api.profile(chosen, **asked)
    tables = api.fact_sheet(profile, operators=operators)
    output.save(chosen, save)
    output.show((*tables, *stored), file_format, exact)
    plots.show(plot, kind, [profile])


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
