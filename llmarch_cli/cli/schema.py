"""`llmarch schema`: every field of a spec, for editors and for readers."""

from __future__ import annotations

from llmarch_cli.cli import output

EXAMPLES = ("llmarch schema > spec.schema.json",)


def schema() -> None:
    """The JSON schema of a spec file: every field with its type, bounds and default."""
    import json

    from llmarch_cli.schema import spec_schema

    output.write(json.dumps(spec_schema(), indent=2) + "\n")
