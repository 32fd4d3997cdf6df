"""`llmarch verify`: a cross-check of a model's metrics, or of a checkpoint's tensors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llmarch_cli.cli import options, output
from llmarch_cli.errors import InputError

if TYPE_CHECKING:
    from llmarch_cli.profilers.verification import Verdict
    from llmarch_cli.specs.spec import ModelSpec

EXAMPLES = (
    "llmarch verify",
    "llmarch verify deepseek-v3 gpt-oss-120b",
    "llmarch verify qwen3-8b --checkpoint qwen3-8b-q4_k_m.gguf",
    "llmarch verify my-model.yaml --format junit > verified.xml",
)


def verify(
    models: options.AnyModels = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Account for every tensor of a checkpoint: a Hugging Face directory, its index, a .safetensors or a"
            " .gguf file. Only headers are read.",
            show_default=False,
        ),
    ] = None,
    tensors: Annotated[bool, typer.Option("--tensors", help="With --checkpoint: list every tensor.")] = False,
    file_format: options.VerdictFormat = "table",
) -> None:
    """Check the metrics by independent counts.

    These are both engines, published numbers, torch's counter and fvcore. Exit 1 on a mismatch.

    With --checkpoint, check that a checkpoint has exactly this model's tensors.
    """
    from llmarch_cli.models import load
    from llmarch_cli.specs.loading import names

    if tensors and checkpoint is None:
        raise InputError("--tensors needs --checkpoint PATH")
    if checkpoint is not None:
        if models is None or len(models) != 1:
            raise InputError("--checkpoint takes one model: `llmarch verify MODEL --checkpoint PATH`")
        from llmarch_cli.huggingface.reconcile import reconcile
        from llmarch_cli.report.checkpoint import reconciled

        found = reconcile(load(models[0]), checkpoint)
        output.show(reconciled(found, tensors), file_format, exact=True)
        if not found.ok:
            raise typer.Exit(1)
        return

    from llmarch_cli.report.verdicts import verdicts

    table = verdicts(_verify([load(model) for model in models or names()]))
    output.show([table], file_format)
    if table.failures:
        raise typer.Exit(1)


def _verify(specs: list[ModelSpec]) -> list[Verdict]:
    from llmarch_cli.profilers.verification import verify

    return [verdict for spec in output.tracked(specs, "verifying") for verdict in verify(spec)]
