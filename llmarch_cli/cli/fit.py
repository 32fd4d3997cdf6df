"""`llmarch fit`: what fits on machines, and how fast it can be at best."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Annotated, Any

import typer

from llmarch_cli.cli import habits, options, output, plots
from llmarch_cli.cli.short_help import common
from llmarch_cli.errors import InputError, shown

EXAMPLES = (
    "llmarch fit deepseek-v3 --on 8xh200",
    "llmarch fit llama3.1-8b --on h100 --ctx 16k --batch 8 --explain",
    "llmarch fit gpt-oss-120b --on 2x8xh100 --tp 8 --ctx 32k --price 2.5/h",
    "llmarch fit gpt-oss-120b qwen3-30b-a3b --on h100 --on 8xh200 --ctx 32k --plot",
)

LAYOUT, BOUNDS, ENGINE = "Layout", "Bounds", "Serving engine"


def _share(text: str | Fraction) -> Fraction:
    """Parse `10%`. Raises InputError for anything else."""
    match = re.fullmatch(r"(\d{1,3}(?:\.\d{1,6})?)%", str(text))
    if match is None:
        raise InputError(f"--reserve takes a share of a device's memory, such as 10%, not {shown(text)}")
    return Fraction(match[1]) / 100


def _skew(text: str | float) -> float:
    if not re.fullmatch(r"\d{1,3}(?:\.\d{1,6})?", str(text)):
        raise InputError(f"--skew takes an exponent from 0 to 10, such as 0.5, not {shown(text)}")
    return float(text)


def _size(name: str, words: str) -> Any:
    return typer.Option(
        f"--{name}",
        metavar="N",
        help=words,
        parser=options.number(f"--{name}"),
        show_default=False,
        rich_help_panel=LAYOUT,
    )


@options.workload(without=("batch", "weights", "engine"))
def fit(
    asked: options.Asked,
    models: options.Models,
    on: Annotated[
        list[str],
        typer.Option(
            "--on",
            metavar="MACHINES",
            help="Machines: h100, 2x8xh200. The latter are two nodes of eight; 8x./chip.yaml are eight of your own."
            " Repeatable.",
            parser=habits.machines,
            autocompletion=options.complete_machines,
            show_default=False,
        ),
    ],
    batch: Annotated[
        int | None,
        typer.Option(
            "--batch",
            metavar="N",
            help="Number of sequences. By default as many as fit.",
            parser=options.number("--batch"),
            show_default=False,
            rich_help_panel=common(options.WORKLOAD),
        ),
    ] = None,
    weights: options.Weights = "native",
    tp: Annotated[int | None, _size("tp", "Devices that divide matrices and heads.")] = None,
    pp: Annotated[int | None, _size("pp", "Stages with neighbouring layers.")] = None,
    dp: Annotated[int | None, _size("dp", "Replicas with sequences of their own.")] = None,
    ep: Annotated[int | None, _size("ep", "Groups of devices that divide routed experts.")] = None,
    cp: Annotated[int | None, _size("cp", "Devices that divide the cache of each sequence.")] = None,
    dp_attention: Annotated[
        bool | None,
        typer.Option(
            "--dp-attention/--no-dp-attention",
            help="Keep attention whole on each of the tp devices, which then have sequences of their own; or never.",
            show_default=False,
            rich_help_panel=LAYOUT,
        ),
    ] = None,
    reserve: Annotated[
        Any,
        typer.Option(
            "--reserve",
            metavar="SHARE",
            help="Share of a device's memory to leave free.",
            parser=_share,
            rich_help_panel=BOUNDS,
        ),
    ] = "10%",
    compute: Annotated[
        str | None,
        typer.Option(
            "--compute",
            metavar="DTYPE",
            help="Dtype of products: bf16, fp8, fp4, int8 ... By default as the weights imply.",
            autocompletion=options.among("bf16", "fp16", "fp8", "fp4", "int8", "fp32", "tf32"),
            show_default=False,
            rich_help_panel=BOUNDS,
        ),
    ] = None,
    skew: Annotated[
        float,
        typer.Option(
            "--skew",
            metavar="S",
            help="How unevenly tokens choose experts: that of rank r in proportion to 1 / r^S.",
            parser=_skew,
            rich_help_panel=BOUNDS,
        ),
    ] = 0,
    price: Annotated[
        Any,
        typer.Option(
            "--price",
            metavar="PRICE/h",
            help="Price of a device-hour: 2.5/h. Adds the least price of a million tokens.",
            parser=options.price,
            show_default=False,
            rich_help_panel=common(BOUNDS),
        ),
    ] = None,
    pages: Annotated[
        int | None,
        typer.Option(
            "--pages",
            metavar="TOKENS",
            help="Keep the cache of each sequence and layer in whole pages of so many tokens.",
            parser=options.number("--pages"),
            show_default=False,
            rich_help_panel=ENGINE,
        ),
    ] = None,
    windows: Annotated[
        str | None,
        typer.Option(
            "--windows",
            metavar="reserved|+N",
            help="Let layers with windows keep every token; or N more than are in view, such as a batch of a prompt.",
            autocompletion=options.among("reserved", "+512", "+2048"),
            show_default=False,
            rich_help_panel=ENGINE,
        ),
    ] = None,
    pad_vocab: Annotated[
        int | None,
        typer.Option(
            "--pad-vocab",
            metavar="N",
            help="Pad the vocabulary to a multiple of N that tp divides.",
            parser=options.number("--pad-vocab"),
            show_default=False,
            rich_help_panel=ENGINE,
        ),
    ] = None,
    pad_heads: Annotated[
        int | None,
        typer.Option(
            "--pad-heads",
            metavar="N",
            help="Pad the cached values of each head to a multiple of N.",
            parser=options.number("--pad-heads"),
            show_default=False,
            rich_help_panel=ENGINE,
        ),
    ] = None,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain",
            help="Show how each figure follows. Formula, inputs, source.",
            rich_help_panel=common(),
        ),
    ] = False,
    changes: options.Changes = None,
    file_format: options.Format = "table",
    exact: options.Exact = False,
    plot: plots.Plot = None,
    plot_kind: Annotated[
        str | None,
        typer.Option(
            "--plot-kind",
            metavar="KIND",
            help="memory, step, roofline or pareto. memory: bytes by context; step: times by sequences; both for one"
            " model on one machine. roofline: FLOPs/s by FLOPs a byte; pareto: tokens/s of a user"
            " against those of a device. Default: memory for one, else pareto.",
            show_default=False,
            rich_help_panel=plots.PANEL,
        ),
    ] = None,
) -> None:
    """Say what fits on devices, and how fast it can be at best.

    Shows bytes on a device, the most sequences, the longest context, the fewest devices, and bounds: seconds of a
    decode step, tokens per second, time to the first token. Bounds are what no deployment can beat, not predictions.
    All layouts that divide the model are tried, and the best is shown.
    """
    sizes = {"tp": tp, "pp": pp, "dp": dp, "ep": ep, "cp": cp, "dp_attention": dp_attention}
    assignments = options.changes(changes)
    settings: dict[str, Any] = {**asked}
    n_answers = len(models) * len(on) * (2 if assignments else 1)
    from llmarch_cli import api
    from llmarch_cli.deployment.table import tables

    if plot_kind is not None and plot is None:
        raise InputError(f"--plot-kind {plot_kind} needs --plot or --plot FILE")
    if plot is not None:
        from llmarch_cli.deployment import plots as drawn

        kind = drawn.checked_kind(plot_kind or ("memory" if n_answers == 1 else "pareto"))
        drawn.require(kind, n_answers)
        plots.require(plot, file_format, "cache", drawn.n_curves(kind, n_answers))
    found = api.fits(
        models,
        on,
        batch=batch,
        weights=weights,
        pages=pages,
        windows=windows,
        pad_vocab=pad_vocab,
        pad_heads=pad_heads,
        layout={name: size for name, size in sizes.items() if size is not None},
        reserve=reserve,
        compute=compute,
        skew=skew,
        price=price,
        changes=assignments,
        track=output.tracking("fitting"),
        **settings,
    )
    answers = tables(found, explain)
    output.show([table for table in answers if table.main or table.rows], file_format, exact)
    if plot is not None:
        plots.put(plot, drawn.plot(kind, found))
