"""`llmarch drift`: what a branch does to the figures of its specs."""

from __future__ import annotations

from typing import Annotated

import typer

from llmarch_cli.cli import options, output

EXAMPLES = (
    "llmarch drift my-model.yaml --since HEAD",
    "llmarch drift 'specs/**/*.yaml' --since origin/main --format markdown",
)


def drift(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE", help="Paths to YAML files, or quoted patterns of them.", show_default=False),
    ],
    since: Annotated[str, typer.Option("--since", metavar="REVISION", help="A revision of git.", show_default=False)],
    contexts: options.Contexts = None,
    batch: options.Batch = 1,
    kv_dtype: options.KvDtype = "bf16",
    columns: options.Columns = None,
    engine: options.Engine = None,
    file_format: options.Format = "table",
) -> None:
    """How figures of specs moved from a revision of git to the files as they are, for pull requests.

    Specs that did not change, what they extend included, are left out. Exit 0 whatever moved: `baseline` and `check`
    are there to refuse.
    """
    output.check(file_format)
    n_tokens = [options.tokens(context) for context in contexts or [options.DEFAULT_CONTEXT]]
    chosen, dtype = options.engine(engine), options.kv_dtype(kv_dtype)
    from llmarch_cli.guards import baselines, revisions, table
    from llmarch_cli.profilers.cost import Workload

    keys = [baselines.counted_key(key) for key in options.keys(columns) or baselines.DEFAULT_COLUMNS]
    workload = Workload(n_tokens[0], batch, dtype)
    track = output.tracking("measuring")
    moved, unreadable = revisions.since(since, files, n_tokens, keys, workload, chosen, track)
    output.show([table.revisions(moved, unreadable, since, chosen)], file_format)
