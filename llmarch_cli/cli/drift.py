"""`llmarch drift`: the changes that a branch makes to its specs' metrics."""

from __future__ import annotations

from typing import Annotated

import typer

from llmarch_cli.cli import options, output

EXAMPLES = (
    "llmarch drift my-model.yaml --since HEAD",
    "llmarch drift 'specs/**/*.yaml' --since origin/main --format markdown",
)


@options.workload(context="contexts", without=("prompt", "prefix"))
def drift(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE", help="Paths of specs or configs, or quoted patterns.", show_default=False),
    ],
    since: Annotated[str, typer.Option("--since", metavar="REVISION", help="A git revision.", show_default=False)],
    asked: options.AskedAt,
    columns: options.Columns = None,
    file_format: options.Format = "table",
) -> None:
    """Show how metrics of specs changed since a git revision.

    Unchanged specs are left out. The exit status is 0 whatever changed; `baseline compare` and `check` can fail.
    """
    from llmarch_cli.guards import baselines, revisions, table

    keys = [baselines.counted_key(key) for key in options.keys(columns) or baselines.DEFAULT_COLUMNS]
    contexts, workload, engine = options.question(asked)
    track = output.tracking("measuring")
    moved, unreadable = revisions.since(since, files, contexts, keys, workload, engine, track)
    output.show([table.revisions(moved, unreadable, since, engine)], file_format)
