"""`llmarch list`: all bundled models."""

from __future__ import annotations

from typing import Annotated

import typer

from llmarch_cli.cli import options, output

EXAMPLES = (
    "llmarch list --moe --sort=-params",
    "llmarch list --org google",
    "llmarch list --attention mla --format json",
)


def list_models(
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
    sort: options.Sort = None,
    file_format: options.Format = "table",
    exact: options.Exact = False,
) -> None:
    """List the bundled models with publisher, date, size and layout."""
    from llmarch_cli import api

    output.show([api.overview(moe=moe, organization=organization, attention=attention, sort=sort)], file_format, exact)
