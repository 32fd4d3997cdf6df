"""`llmarch validate`: whether specs can be read, quickly."""

from __future__ import annotations

from llmarch_cli.cli import options, output
from llmarch_cli.errors import InputError

EXAMPLES = (
    "llmarch validate my-model.yaml",
    "llmarch validate qwen3-8b my-model.yaml",
)


def validate(models: options.Models) -> None:
    """Read specs, and say what is wrong with any of them: exit 2. Nothing is measured.

    Fast enough for every commit: it is what the pre-commit hook runs.
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
