"""`llmarch compare`: models side by side."""

from __future__ import annotations

from typing import Annotated

import typer

from llmarch_cli.cli import habits, options, output, plots
from llmarch_cli.cli.short_help import common
from llmarch_cli.errors import InputError

EXAMPLES = (
    "llmarch compare deepseek-v3 llama4-maverick",
    "llmarch compare gemma3-27b qwen3-32b my-model.yaml --ctx 32k --batch 8",
    "llmarch compare gemma3-27b --set attention.variants.local.window=512",
    "llmarch compare glm-4.5 kimi-k2 --columns params,active_params --format csv",
    "llmarch compare deepseek-v3 gpt-oss-120b --on 8xh200",
    "llmarch compare glm-4.5 kimi-k2 --plot flops.svg --plot-kind flops",
)


@options.workload()
def compare(
    ctx: typer.Context,
    models: options.Models,
    asked: options.Asked,
    changes: options.Changes = None,
    sort: options.Sort = None,
    columns: options.Columns = None,
    on: Annotated[
        str | None,
        typer.Option(
            "--on",
            metavar="MACHINES",
            help="Add what fits on these: h100, 8xh200. Weights are as published unless --weights is given."
            " `llmarch fit` says more.",
            parser=habits.machines,
            autocompletion=options.complete_machines,
            show_default=False,
            rich_help_panel=common(options.WORKLOAD),
        ),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Show every metric and setting.", rich_help_panel=common(options.OUTPUT))
    ] = False,
    file_format: options.Format = "table",
    exact: options.Exact = False,
    save: options.Save = None,
    plot: plots.Plot = None,
    highlight: plots.Highlight = None,
    plot_kind: plots.Kind = None,
) -> None:
    """Compare models side by side: shape, parameters, cache, FLOPs.

    Figures come first; --all shows every metric and setting. Equal values are dim. Two models are columns, with the
    ratio of the first to the second; more are rows. With --set, each model is compared with its changed copy. Two
    models of a family begin with what differs.
    """
    kind = plots.kind(plot_kind, "cache", plot)
    keys = options.keys(columns)
    assignments = options.changes(changes)
    plots.require(plot, file_format, kind)
    options.require_changes(save, assignments, len(models))
    if on is not None and assignments:
        raise InputError("--on compares models as they are: leave out --set")
    from llmarch_cli import api
    from llmarch_cli.report.columns import require
    from llmarch_cli.report.comparison import comparison
    from llmarch_cli.report.family import led

    require(keys, sort)
    profiles = api.profiles(models, changes=assignments, **asked)
    output.save(profiles[-1].spec, save)
    table = comparison(profiles, keys, sort, paired=bool(assignments), brief=not everything)
    if not assignments:
        table = led(table, profiles, brief=not everything)
    if on is not None:
        weights = asked["weights"] if options.is_given(ctx, "weights") else "native"
        table = api.on_machines(table, profiles, on, weights)
    output.show([table], file_format, exact)
    plots.show(plot, kind, profiles, highlight)
