"""`llmarch diff`: the differences of two models and the effect of each."""

from __future__ import annotations

from typing import Annotated

import typer

from llmarch_cli.cli import options, output
from llmarch_cli.cli.short_help import common

EXAMPLES = (
    "llmarch diff deepseek-v3 kimi-k2",
    "llmarch diff llama3.1-8b qwen3-8b --ctx 32k --format markdown",
    "llmarch diff deepseek-v3 deepseek-r1 --exit-code",
)


@options.workload(without=("prompt", "prefix"))
def diff(
    before: options.Model,
    after: Annotated[
        str,
        typer.Argument(
            metavar="OTHER",
            help="The other model.",
            callback=options.matched_one,
            autocompletion=options.complete_model,
            show_default=False,
        ),
    ],
    asked: options.Asked,
    file_format: options.Format = "table",
    exact: options.Exact = False,
    exit_code: Annotated[
        bool,
        typer.Option("--exit-code", help="Exit with 1 if the architectures differ.", rich_help_panel=common()),
    ] = False,
) -> None:
    """Show how two models differ, and what each change costs.

    Variants are matched by content, not by name, and layouts layer by layer. The largest change comes first. The
    changes add up exactly to the whole difference.
    """
    from llmarch_cli import api
    from llmarch_cli.report.differences import differences

    difference = api.diff(before, after, **asked)
    output.show(differences(difference), file_format, exact)
    if exit_code and difference:
        raise typer.Exit(1)
