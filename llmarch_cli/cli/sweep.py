"""`llmarch sweep`: all combinations of a few values, and the best among them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from llmarch_cli.cli import options, output

EXAMPLES = (
    "llmarch sweep gemma3-27b --vary attention.variants.local.window=256,512,1024,2048 --sort kv_cache_bytes",
    "llmarch sweep qwen3-8b --vary n_layers=24:48:4 --vary d_model=2048:6144:512 --where 'params <= 8B' --sort=-params",
    "llmarch sweep qwen3-235b-a22b --vary ffn.n_experts=32:256:32 --vary ffn.top_k=1:16 --vary d_model=2048:8192:256"
    " --where '100B <= params <= 300B' --pareto=-params,active_params",
)

SEARCH, LARGE = "What is searched", "Large sweeps"
DEFAULT_TOP = 20
PATIENCE = 1.0  # seconds before progress is shown


def sweep(
    base: Annotated[
        str,
        typer.Argument(
            metavar="BASE",
            help="The model that all variants are made from: a bundled id, or a path to a YAML file or a config.json.",
            autocompletion=options.complete_model,
            show_default=False,
        ),
    ],
    vary: Annotated[
        list[str] | None,
        typer.Option(
            "--vary",
            metavar="PATH=VALUES",
            help="A field and its values: 1,2,4 or start:stop:step; once for each field that varies.",
            autocompletion=options.complete_change,
            show_default=False,
            rich_help_panel=SEARCH,
        ),
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            "--where",
            metavar="CONDITION",
            help="Only variants that meet it, and any other one: 'params <= 30B and kv_cache_bytes <= 2GiB'. It"
            " compares figures and varying fields, with + - * /, and, or, not.",
            show_default=False,
            rich_help_panel=SEARCH,
        ),
    ] = None,
    pareto: Annotated[
        str | None,
        typer.Option(
            "--pareto",
            metavar="A,B,...",
            help="Only the Pareto front of these figures, each to be small, or large with a - before it.",
            autocompletion=options.complete_figure,
            show_default=False,
            rich_help_panel=SEARCH,
        ),
    ] = None,
    sample: Annotated[
        int | None,
        typer.Option(
            "--sample",
            metavar="N",
            help="Look at N points of the grid, at random.",
            parser=options.number("--sample"),
            show_default=False,
            rich_help_panel=SEARCH,
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option("--seed", min=0, metavar="S", help="Which points these are.", rich_help_panel=SEARCH)
    ] = 0,
    context: options.Context = options.DEFAULT_CONTEXT,
    batch: options.Batch = 1,
    kv_dtype: options.KvDtype = "bf16",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="Write all variants that meet the condition to a .csv, .json or .parquet file. If interrupted, the"
            " same command goes on where it stopped.",
            show_default=False,
            rich_help_panel=LARGE,
        ),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            "--scheduler",
            metavar="local:N|ADDRESS",
            help="Hand the work to N processes, or to a Dask scheduler such as tcp://host:8786.",
            show_default=False,
            rich_help_panel=LARGE,
        ),
    ] = None,
    sort: options.FigureSort = None,
    top: Annotated[
        int | None,
        typer.Option(
            "--top",
            metavar="N",
            help="At most N rows; 20 unless told, all of a Pareto front.",
            parser=options.number("--top"),
            show_default=False,
            rich_help_panel=options.OUTPUT,
        ),
    ] = None,
    columns: options.Figures = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot",
            metavar="FILE",
            help="Draw the first two figures of --pareto to a .svg, .png or .html file.",
            show_default=False,
            rich_help_panel=options.OUTPUT,
        ),
    ] = None,
    file_format: options.Format = "table",
    exact: options.Exact = False,
) -> None:
    """Every combination of a few values, priced in closed form: the best of them, or those on the Pareto front.

    A million variants take less time than importing torch. Combinations that no spec can have are skipped, and counted
    with the reasons.
    """
    output.check(file_format)
    n_tokens = options.tokens(context)
    keys = options.keys(columns)
    goals = options.keys(pareto, "--pareto")
    from llmarch_cli import api
    from llmarch_cli.sweeping.axes import parsed

    with _progress() as progress:
        table = api.sweep(
            base,
            parsed(vary or ()),
            _all(where or ()),
            n_tokens,
            batch,
            options.kv_dtype(kv_dtype),
            sort,
            DEFAULT_TOP if top is None and not goals else top,
            goals,
            keys,
            sample,
            seed,
            out,
            plot,
            scheduler,
            progress,
        )
    output.show([table], file_format, exact)


def _all(conditions: Sequence[str]) -> str | None:
    """One condition that is met where each of them is."""
    return " and ".join(f"({each})" for each in conditions) if len(conditions) > 1 else next(iter(conditions), None)


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None] | None]:
    """A bar on a terminal's standard error, once it is clear that this takes a while."""
    if not sys.stderr.isatty():
        yield None
        return
    import time
    from contextlib import ExitStack

    started = time.monotonic()
    with ExitStack() as stack:
        bar: Callable[[int, int], None] | None = None

        def show(done: int, total: int) -> None:
            nonlocal bar
            if bar is None and time.monotonic() - started > PATIENCE:
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
