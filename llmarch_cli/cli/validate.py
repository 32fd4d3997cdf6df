"""`llmarch validate`: a quick check that specs are valid."""

from __future__ import annotations

from llmarch_cli.cli import options, output
from llmarch_cli.errors import InputError

EXAMPLES = (
    "llmarch validate my-model.yaml",
    "llmarch validate qwen3-8b my-model.yaml",
)


def validate(models: options.Models) -> None:
    """Check that specs are valid, without measuring.

    Exit 2 if one is not.

    The pre-commit hook runs this command.
    """
    from llmarch_cli.models import load

    wrong: dict[str, None] = {}
    for model in models:
        try:
            load(model)
        except InputError as error:
            wrong[str(error)] = None
    if wrong:
        raise InputError("\n".join(wrong))
    output.write(f"{len(models):,} valid.\n")
