"""`llmarch import`: a spec from a Hugging Face config."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from llmarch_cli.cli import habits, output

EXAMPLES = (
    "llmarch import ./config.json -o my-model.yaml",
    "llmarch import Qwen/Qwen3-8B",
    "llmarch import ./checkpoint --as llama --check",
    "llmarch import --families",
)


def _list_families(wanted: bool) -> None:
    if wanted:
        from llmarch_cli.huggingface.importing.families import FAMILIES, MULTIMODAL

        output.write("\n".join(sorted({*FAMILIES, *MULTIMODAL}, key=str.lower)) + "\n")
        raise typer.Exit


def import_(
    config: Annotated[
        str,
        typer.Argument(
            metavar="CONFIG",
            help="A config.json, a directory that has one, or `org/name` on the Hugging Face Hub.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="The file to write.", show_default="standard output"),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="With -o: replace an existing file.")] = False,
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="NAME", help="The name of the model.", show_default="by its directory"),
    ] = None,
    revision: Annotated[
        str | None,
        typer.Option(
            "--revision", metavar="REV", help="A branch, tag or commit of a model on the Hub.", show_default="main"
        ),
    ] = None,
    as_: Annotated[
        str | None,
        typer.Option(
            "--as",
            metavar="FAMILY",
            help="Read the config as this family's. Sizes that it lacks are then errors.",
            show_default="by its model_type",
        ),
    ] = None,
    ignore: Annotated[
        list[str] | None,
        typer.Option("--ignore", metavar="KEY", help="Pass over this key on purpose. Repeatable.", show_default=False),
    ] = None,
    assume: Annotated[
        list[str] | None,
        typer.Option(
            "--assume",
            metavar="KEY=VALUE",
            help="A key that the config lacks, with its value in JSON. Repeatable.",
            show_default=False,
        ),
    ] = None,
    families: Annotated[
        bool,
        typer.Option(
            "--families", help="List every model_type that is read, and exit.", callback=_list_families, is_eager=True
        ),
    ] = False,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Build the model with transformers too, and compare the parameters. Exit 1 if they differ.",
        ),
    ] = False,
) -> None:
    """Convert a Hugging Face config into a spec.

    Unknown keys are errors. The model's own code is never run. Every other command also accepts CONFIG as a model.
    """
    from llmarch_cli.huggingface.importing import imported
    from llmarch_cli.specs import spec_file

    found = imported(habits.repository(config), name, as_, revision, ignore or (), _assumed(assume or ()))
    for note in found.notes:
        output.note(f"note: {note}")
    if check:
        from llmarch_cli.api import profile
        from llmarch_cli.huggingface.importing.check import compare_with_transformers

        output.note(compare_with_transformers(found, profile(found.spec, engine="closed-form").params))
    if out is None:
        output.write(spec_file.render(found.spec, found.comments))
    else:
        spec_file.write(found.spec, out, found.comments, replace=force)


def _assumed(settings: Iterable[str]) -> dict[str, Any]:
    """The keys and values of `KEY=VALUE` settings."""
    import json

    from llmarch_cli.errors import InputError, shown

    assumed: dict[str, Any] = {}
    for each in settings:
        name, equals, text = each.partition("=")
        if not name or not equals:
            raise InputError(f"--assume {shown(each)}: write KEY=VALUE")
        if name in assumed:
            raise InputError(f"--assume {shown(name)}: given twice")
        try:
            assumed[name] = json.loads(text)
        except ValueError:
            assumed[name] = text  # a word without quotes
    return assumed
