"""`llmarch list`: all bundled models."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

import typer

from llmarch_cli.cli import options, output

EXAMPLES = (
    "llmarch list --moe --sort=-params",
    "llmarch list --kind gated_deltanet --kind moe",
    "llmarch list 'qwen3*' --dense",
    "llmarch list --org google --since 2025-07",
    "llmarch list --attention mla --columns params,active_params --format csv",
)


def list_models(
    models: options.AnyModels = None,
    moe: Annotated[
        bool | None, typer.Option("--moe/--dense", help="Mixtures of experts only, or dense models only.")
    ] = None,
    organization: Annotated[
        str | None, typer.Option("--org", metavar="NAME", help="Any part of the publisher's name.")
    ] = None,
    attention: Annotated[
        str | None,
        typer.Option(
            "--attention", metavar="WORD", help="A word of the layout: mla, gqa, mqa, mha, window, chunked, nope ..."
        ),
    ] = None,
    kinds: Annotated[
        list[str] | None,
        typer.Option(
            "--kind",
            metavar="TAG",
            help="A kind or mechanism, as in the column `mechanisms`: gated_deltanet, hybrid, shared_expert ..."
            " Several, as in moe,mla or repeated: all of them.",
            autocompletion=options.complete_kind,
            show_default=False,
        ),
    ] = None,
    since: Annotated[
        dt.date | None,
        typer.Option(
            "--since",
            metavar="DATE",
            help="Released on this day or later: 2026, 2025-07 or 2025-07-28.",
            parser=options.date,
            show_default=False,
        ),
    ] = None,
    sort: options.Sort = None,
    columns: options.Columns = None,
    file_format: options.Format = "table",
    exact: options.Exact = False,
) -> None:
    """List the bundled models: publisher, date, size, what is special.

    All of them, or those that are named or match a pattern such as 'qwen3-*'. A column to sort by is shown.
    """
    keys = options.keys(columns)
    from llmarch_cli import api

    table = api.overview(
        models or None,
        moe=moe,
        organization=organization,
        attention=attention,
        kinds=[
            tag for each in kinds or () for tag in options.keys(each, "--kind", "`llmarch list --json` has them all")
        ],
        since=since,
        columns=keys,
        sort=sort,
    )
    output.show([table], file_format, exact)
