"""`llmarch validate`: a quick check that specs and chips are valid."""

from __future__ import annotations

from pathlib import Path

from llmarch_cli.cli import options, output
from llmarch_cli.errors import InputError

EXAMPLES = (
    "llmarch validate my-model.yaml",
    "llmarch validate qwen3-8b my-model.yaml my-chip.yaml",
)


def validate(models: options.Models) -> None:
    """Check that specs and chips are valid, without measuring.

    Exit 2 if one is not.

    The pre-commit hook runs this command.
    """
    from llmarch_cli.deployment import chips
    from llmarch_cli.models import load

    wrong: dict[str, None] = {}
    for model in models:
        try:
            if chips.is_chip(Path(model)):
                chips.chip(model)
            else:
                load(model)
        except InputError as error:
            wrong[str(error)] = None
    if wrong:
        raise InputError("\n".join(wrong))
    output.write(f"{len(models):,} valid.\n")
