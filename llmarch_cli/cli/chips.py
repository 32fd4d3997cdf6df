"""`llmarch chips`: the accelerators that a model can be placed on."""

from __future__ import annotations

from typing import Annotated

import typer

from llmarch_cli.cli import options, output

EXAMPLES = (
    "llmarch chips",
    "llmarch chips h100 h200 b200",
    "llmarch chips --sort=-memory_bytes --columns memory_bytes,bandwidth,peak_bf16",
    "llmarch chips my-chip.yaml --format json",
)


def chips(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CHIP",
            help="Bundled ids or patterns, or YAML files. Default: all bundled chips.",
            autocompletion=options.complete_chip,
            show_default=False,
        ),
    ] = None,
    sort: options.ChipSort = None,
    columns: options.ChipColumns = None,
    file_format: options.Format = "table",
    exact: options.Exact = False,
) -> None:
    """List and compare accelerators: memory, bandwidth, peaks, links.

    Named chips are shown with all their numbers, and the source of each.
    """
    from llmarch_cli.deployment import chips as known
    from llmarch_cli.deployment import chips_table

    keys = options.keys(columns, hint=f"known: {', '.join(chips_table.BY_KEY)}")
    found = [known.chip(name) for name in options.matched_chips(names)]
    tables = [chips_table.listing(found if names else chips_table.by_origin(found), sort, keys, whole=bool(names))]
    if names and not keys:
        tables.append(chips_table.sources(found))
    output.show(tables, file_format, exact)
