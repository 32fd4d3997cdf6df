"""`llmarch diff`: how models differ from the first one, and the effect of each difference."""

from __future__ import annotations

from typing import Annotated

import typer

from llmarch_cli.cli import options, output
from llmarch_cli.cli.short_help import common
from llmarch_cli.errors import InputError, shown_path

EXAMPLES = (
    "llmarch diff deepseek-v3 kimi-k2",
    "llmarch diff llama3.1-8b qwen3-8b --ctx 32k --format markdown",
    "llmarch diff deepseek-v3 kimi-k2 glm-4.5",
    "llmarch diff deepseek-v3 deepseek-r1 --exit-code",
)


@options.workload(without=("prompt", "prefix"))
def diff(
    models: options.Models,
    asked: options.Asked,
    file_format: options.Format = "table",
    exact: options.Exact = False,
    exit_code: Annotated[
        bool,
        typer.Option("--exit-code", help="Exit with 1 if any architecture differs.", rich_help_panel=common()),
    ] = False,
) -> None:
    """Show how models differ, and what each change costs.

    Variants are matched by content, not by name, and layouts layer by layer. The largest change comes first. The
    changes add up exactly to the whole difference.

    Of more than two models, each is compared with the first: metrics side by side where they fit, then the changes of
    one model after another.
    """
    if len(models) < 2:
        raise InputError(f"diff compares a model with others, but only {shown_path(models[0])} is given: name another")
    from llmarch_cli import api
    from llmarch_cli.report.differences import from_base

    base, *others = api.specs(models)
    found = [api.diff(base, other, **asked) for other in others]
    output.show(from_base(found), file_format, exact)
    if exit_code and any(found):
        raise typer.Exit(1)
