"""`llmarch sweep`: a search over combinations of field values."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from llmarch_cli.cli import habits, options, output, status
from llmarch_cli.cli.short_help import common
from llmarch_cli.errors import InputError

EXAMPLES = (
    "llmarch sweep gemma3-27b --vary attention.variants.local.window=256,512,1024,2048 --sort kv_cache_bytes",
    "llmarch sweep qwen3-8b --vary n_layers=24:48:4 --vary d_model=2048:6144:512 --where 'params <= 8B' --sort=-params",
    "llmarch sweep qwen3-235b-a22b --vary ffn.n_experts=32:256:32 --vary ffn.top_k=1:16 --vary d_model=2048:8192:256"
    " --where '100B <= params <= 300B' --pareto=-params,active_params",
    "llmarch sweep gpt-oss-120b --on 8xh100 --vary tp=1,2,4,8 --vary batch=1,8,64 --ctx 32k"
    " --pareto=-user_tokens_per_second,-tokens_per_second",
)

SEARCH, MACHINES, LARGE = "Search", "On machines", "Large sweeps"
DEFAULT_TOP = 20
DELAY = 1.0  # seconds before progress is shown


@options.workload(without=("engine",))
def sweep(
    ctx: typer.Context,
    base: Annotated[
        str,
        typer.Argument(
            metavar="BASE",
            help="The model to vary: an id, a file or - (stdin).",
            callback=options.matched_one,
            autocompletion=options.complete_model,
            show_default=False,
        ),
    ],
    *,
    vary: Annotated[
        list[str] | None,
        typer.Option(
            "--vary",
            metavar="PATH=VALUES",
            help="Values of a field: 1,2,4 or start:stop:step. With --on also of tp, pp, dp, ep, cp, dp_attention or"
            " batch. Repeatable.",
            autocompletion=options.complete_change,
            show_default=False,
            rich_help_panel=common(SEARCH),
        ),
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            "--where",
            metavar="CONDITION",
            help="Keep what meets this: 'params <= 30B'. A condition on metrics and varied fields may have + - * /,"
            " and, or, not: 'params <= 30B and kv_cache_bytes <= 2GiB'. Repeatable.",
            show_default=False,
            rich_help_panel=common(SEARCH),
        ),
    ] = None,
    pareto: Annotated[
        str | None,
        typer.Option(
            "--pareto",
            metavar="A,B,...",
            help="Keep the Pareto front of these metrics. Smaller is better, or larger with a leading -.",
            autocompletion=options.complete_metric,
            show_default=False,
            rich_help_panel=common(SEARCH),
        ),
    ] = None,
    sample: Annotated[
        int | None,
        typer.Option(
            "--sample",
            metavar="N",
            help="Search N random points of the grid.",
            parser=options.number("--sample"),
            show_default=False,
            rich_help_panel=SEARCH,
        ),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(
            "--seed",
            metavar="S",
            help="The seed of --sample.",
            parser=options.number("--seed"),  # Typer's own would load pydantic
            rich_help_panel=SEARCH,
        ),
    ] = 0,
    on: Annotated[
        list[str] | None,
        typer.Option(
            "--on",
            metavar="MACHINES",
            help="Ask what fits on machines, such as 8xh200. As `llmarch fit` does, for each variant. Repeatable.",
            parser=habits.machines,
            autocompletion=options.complete_machines,
            show_default=False,
            rich_help_panel=common(MACHINES),
        ),
    ] = None,
    every_layout: Annotated[
        bool,
        typer.Option(
            "--every-layout",
            help="A row for each layout that divides a variant, not for the best alone.",
            rich_help_panel=MACHINES,
        ),
    ] = False,
    price: Annotated[
        Any,
        typer.Option(
            "--price",
            metavar="PRICE/h",
            help="Price of a device-hour: 2.5/h.",
            parser=options.price,
            show_default=False,
            rich_help_panel=MACHINES,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="Write all variants to a file. All that meet --where, to .csv, .json or .parquet. If"
            " interrupted, the same command resumes.",
            show_default=False,
            rich_help_panel=common(LARGE),
        ),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            "--scheduler",
            metavar="local:N|ADDRESS",
            help="Use N processes, or a Dask scheduler such as tcp://host:8786.",
            show_default=False,
            rich_help_panel=LARGE,
        ),
    ] = None,
    asked: options.Asked,
    sort: options.MetricSort = None,
    top: Annotated[
        int | None,
        typer.Option(
            "--top",
            metavar="N",
            help="Show at most N rows. Default: 20, or the whole Pareto front.",
            parser=options.number("--top"),
            show_default=False,
            rich_help_panel=common(options.OUTPUT),
        ),
    ] = None,
    columns: options.Metrics = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot",
            metavar="FILE",
            help="Plot the first two metrics of --pareto. To a .svg, .png or .html file.",
            show_default=False,
            rich_help_panel=common(options.OUTPUT),
        ),
    ] = None,
    file_format: options.Format = "table",
    exact: options.Exact = False,
) -> None:
    """Search field values for the best variants, and layouts of devices.

    Invalid combinations are skipped and counted by reason. With --on, each variant is asked what fits of it and how
    fast it can be.
    """
    keys = options.keys(columns)
    goals = options.keys(pareto, "--pareto")
    from llmarch_cli import api
    from llmarch_cli.sweeping.axes import parsed

    wanted: dict[str, Any] = {
        "where": _all(where or ()),
        "sort": sort,
        "top": DEFAULT_TOP if top is None and not goals else top,
        "pareto": goals,
        "columns": keys,
        "sample": sample,
        "seed": seed,
        "plot": plot,
    }
    varying = parsed(vary or ())
    if on and (out is not None or scheduler is not None):
        raise InputError(f"{'--scheduler' if out is None else '--out'} does not go with --on")
    if not on and (every_layout or price is not None):
        raise InputError(f"{'--every-layout' if every_layout else '--price'} needs machines, such as --on 8xh200")
    with _progress() as progress:
        if on:
            # As `fit`: weights as published, and as many sequences as fit, unless others are asked for.
            workload = options.given(asked, ctx, "weights", "batch")
            table = api.sweep_on(
                base, on, varying, every_layout=every_layout, price=price, progress=progress, **wanted, **workload
            )
        else:
            table = api.sweep(base, varying, out=out, scheduler=scheduler, progress=progress, **wanted, **asked)
    output.show([table], file_format, exact)


def _all(conditions: Sequence[str]) -> str | None:
    """The conjunction of the conditions."""
    return " and ".join(f"({each})" for each in conditions) if len(conditions) > 1 else next(iter(conditions), None)


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None] | None]:
    """A progress bar on standard error after a delay, if that is a terminal."""
    if not output.is_terminal(sys.stderr):
        yield None
        return
    import time
    from contextlib import ExitStack

    started = time.monotonic()
    with ExitStack() as stack:
        bar: Callable[[int, int], None] | None = None

        def show(done: int, total: int) -> None:
            nonlocal bar
            if bar is None and time.monotonic() - started > DELAY:
                stack.enter_context(status.hidden())
                bar = stack.enter_context(_bar())
            if bar is not None:
                bar(done, total)

        yield show


@contextmanager
def _bar() -> Iterator[Callable[[int, int], None]]:
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("sweeping", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
