"""`llmarch import`: a spec from a Hugging Face config."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from llmarch_cli.cli import output

EXAMPLES = (
    "llmarch import ./config.json -o my-model.yaml",
    "llmarch import Qwen/Qwen3-8B",
    "llmarch import ./checkpoint --as llama --check",
)


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
            "--as", metavar="FAMILY", help="Read the config as this family's.", show_default="by its model_type"
        ),
    ] = None,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Build the model with transformers too, and compare the parameters. Exit 1 if they differ.",
        ),
    ] = False,
) -> None:
    """Convert a Hugging Face config into a spec. Unknown keys are errors.

    The model's own code is never run. Every other command also accepts CONFIG as a model.
    """
    from llmarch_cli.huggingface.importing import imported
    from llmarch_cli.specs import spec_file

    found = imported(config, name, as_, revision)
    for note in found.notes:
        typer.echo(f"note: {note}", err=True)
    if check:
        from llmarch_cli.api import profile
        from llmarch_cli.huggingface.importing.check import compare_with_transformers

        typer.echo(compare_with_transformers(found, profile(found.spec, engine="closed-form").params), err=True)
    if out is None:
        output.write(spec_file.render(found.spec, found.comments))
    else:
        spec_file.write(found.spec, out, found.comments, replace=force)
