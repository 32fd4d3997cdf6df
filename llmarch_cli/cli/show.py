"""`llmarch show`: the fact sheet of one model, or its spec."""

from __future__ import annotations

from typing import Annotated

import typer

from llmarch_cli.cli import options, output, plots
from llmarch_cli.errors import InputError

EXAMPLES = (
    "llmarch show gemma3-27b",
    "llmarch show deepseek-v3 --ctx 8k --operators",
    "llmarch show deepseek-r1 --spec > my-model.yaml",
    "llmarch show gpt-oss-20b --set ffn.n_experts=64 --save wider.yaml",
)


def show(
    model: options.Model,
    spec: Annotated[
        bool, typer.Option("--spec", help="Print the whole spec as YAML instead, with what it extends resolved.")
    ] = False,
    operators: Annotated[
        bool, typer.Option("--operators", help="Add each component's FLOPs by operator, counted by fvcore.")
    ] = False,
    context: options.Context = options.DEFAULT_CONTEXT,
    batch: options.Batch = 1,
    kv_dtype: options.KvDtype = "bf16",
    engine: options.Engine = None,
    changes: options.Changes = None,
    file_format: options.Format = "table",
    exact: options.Exact = False,
    save: options.Save = None,
    plot: plots.Plot = None,
    plot_kind: plots.Kind = None,
) -> None:
    """All about one model: figures, layers, components with their shares, and what its authors publish."""
    output.check(file_format)
    kind = plots.kind(plot_kind, "params", plot)
    plots.check(plot, file_format, kind, 1)
    n_tokens = options.tokens(context)
    assignments = options.changes(changes)
    options.check_save(save, assignments)
    for option, given in (("--plot", plot is not None), ("--operators", operators), ("--exact", exact)):
        if spec and given:
            raise InputError(f"--spec prints a file, and {option} is about figures: ask for one of them")
    if spec and file_format != "table":
        raise InputError("--spec prints YAML: leave --format out")
    from llmarch_cli.models import load

    loaded = load(model)
    if assignments:
        from llmarch_cli.specs.changes import changed

        loaded = changed(loaded, assignments)
    if spec:
        from llmarch_cli.specs import spec_file

        output.save(loaded, save)
        output.write(spec_file.render(loaded))
        return
    from llmarch_cli import api

    dtype = options.kv_dtype(kv_dtype)
    tables = api.fact_sheet(loaded, n_tokens, batch, dtype, options.engine(engine), operators)
    output.save(loaded, save)
    output.show(tables, file_format, exact)
    plots.show(plot, lambda: api.plot(kind, [loaded], [n_tokens], batch, dtype))
