"""`llmarch list`: every model on a line."""

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
    organization: Annotated[str | None, typer.Option("--org", metavar="NAME", help="Any part of a name.")] = None,
    attention: Annotated[
        str | None,
        typer.Option("--attention", metavar="WORD", help="mla, gqa, mqa, mha, window, chunked, nope ..."),
    ] = None,
    sort: options.Sort = None,
    file_format: options.Format = "table",
    exact: options.Exact = False,
) -> None:
    """Every model on a line: who made it, when, how large it is, and how it is laid out."""
    output.check(file_format)
    from llmarch_cli import api

    output.show([api.overview(moe, organization, attention, sort)], file_format, exact)
