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


@options.workload()
def show(
    model: options.Model,
    asked: options.Asked,
    spec: Annotated[
        bool, typer.Option("--spec", help="Print the spec as YAML instead, with `extends` resolved.")
    ] = False,
    operators: Annotated[
        bool, typer.Option("--operators", help="Add each component's FLOPs by operator, counted by fvcore.")
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
    """
    kind = plots.kind(plot_kind, "params", plot)
    plots.require(plot, file_format, kind, 1)
    assignments = options.changes(changes)
    options.require_changes(save, assignments)
    for option, given in (("--plot", plot is not None), ("--operators", operators), ("--exact", exact)):
        if spec and given:
            raise InputError(f"--spec prints YAML, without metrics: leave out {option}")
    if spec and file_format != "table":
        raise InputError("--spec prints YAML: leave out --format")
    from llmarch_cli import api

    chosen = api.specs([model], assignments)[-1]
    if spec:
        from llmarch_cli.specs import spec_file

        output.save(chosen, save)
        output.write(spec_file.render(chosen))
        return
    profile = api.profile(chosen, **asked)
    tables = api.fact_sheet(profile, operators=operators)
    output.save(chosen, save)
    output.show(tables, file_format, exact)
    plots.show(plot, kind, [profile])
