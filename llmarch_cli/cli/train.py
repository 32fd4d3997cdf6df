"""`llmarch train`: what training takes."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated

import typer

from llmarch_cli.cli import options, output
from llmarch_cli.cli.short_help import common
from llmarch_cli.errors import InputError, shown

EXAMPLES = (
    "llmarch train llama3.1-8b --seq 8k",
    "llmarch train llama3.1-8b --seq 8k --zero 3 --devices 8 --tokens 15T",
    "llmarch train llama3.1-8b --lora r=64 --target q_proj,v_proj",
    "llmarch train qwen3-8b qwen3-30b-a3b --optimizer muon --format csv",
)

TRAINING = "Training"

_LARGE = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9, "t": 10**12}


def _sequence(text: str) -> int:
    try:
        return options.tokens(text)
    except InputError:
        raise InputError(
            f"--seq takes a number of tokens, at least 1, such as 8192, 8_192 or 8k, not {shown(text)}"
        ) from None


def _run_tokens(text: str) -> int:
    """Parse `15T`, `1.5B` or a whole number: powers of 1,000. Raises InputError for anything else."""
    match = re.fullmatch(r"(\d[\d_]{0,20}(?:\.\d{1,12})?)([kmbtKMBT]?)", text)
    n_tokens = Decimal(match[1].replace("_", "")) * _LARGE[match[2].lower()] if match else Decimal(0)
    if not n_tokens or n_tokens != int(n_tokens):
        raise InputError(f"--tokens takes a whole number of tokens, such as 15T, 1.5B or 300_000, not {shown(text)}")
    return int(n_tokens)


def _rank(text: str) -> int:
    """Parse `r=64` or `64`. Raises InputError for anything else."""
    match = re.fullmatch(r"(?:r=)?(\d{1,15})", text)
    if match is None:
        raise InputError(f"--lora takes the rank of the adapters, such as r=64, not {shown(text)}")
    return int(match[1])


def train(
    models: options.Models,
    seq: Annotated[
        int,
        typer.Option(
            "--seq",
            metavar="TOKENS",
            help="Tokens of a sequence.",
            parser=_sequence,
            rich_help_panel=common(TRAINING),
        ),
    ] = "8k",  # type: ignore[assignment]
    micro_batch: Annotated[
        int,
        typer.Option(
            "--micro-batch",
            metavar="N",
            help="Sequences at once on a device.",
            parser=options.number("--micro-batch"),
            rich_help_panel=common(TRAINING),
        ),
    ] = 1,
    tokens: Annotated[
        int | None,
        typer.Option(
            "--tokens",
            metavar="N",
            help="Tokens of the whole run, such as 15T. Adds its FLOPs.",
            parser=_run_tokens,
            show_default=False,
            rich_help_panel=common(TRAINING),
        ),
    ] = None,
    optimizer: Annotated[
        str,
        typer.Option(
            "--optimizer",
            metavar="NAME",
            help="The optimizer. adamw, adamw-8bit, sgd, sgd-momentum or muon.",
            autocompletion=options.among("adamw", "adamw-8bit", "sgd", "sgd-momentum", "muon"),
            parser=options.name_in("--optimizer", "optimizer", "profilers.training", "OPTIMIZERS"),
            rich_help_panel=common(TRAINING),
        ),
    ] = "adamw",
    precision: Annotated[
        str,
        typer.Option(
            "--precision",
            metavar="NAME",
            help="mixed, bf16 or fp32. mixed: bfloat16, with float32 copies and moments in the optimizer. The others:"
            " one dtype.",
            autocompletion=options.among("mixed", "bf16", "fp32"),
            parser=options.name_in("--precision", "precision", "profilers.training", "PRECISIONS"),
            rich_help_panel=TRAINING,
        ),
    ] = "mixed",
    zero: Annotated[
        int,
        typer.Option(
            "--zero",
            metavar="0|1|2|3",
            help="What devices divide (ZeRO). 1: optimizer states, 2: gradients too, 3: parameters too (FSDP).",
            parser=options.number("--zero"),
            rich_help_panel=common(TRAINING),
        ),
    ] = 0,
    devices: Annotated[
        int,
        typer.Option(
            "--devices",
            metavar="N",
            help="Number of devices. They divide what --zero says.",
            parser=options.number("--devices"),
            rich_help_panel=common(TRAINING),
        ),
    ] = 1,
    lora: Annotated[
        int | None,
        typer.Option(
            "--lora",
            metavar="r=RANK",
            help="Train low-rank adapters, not the model.",
            parser=_rank,
            show_default=False,
            rich_help_panel=common(TRAINING),
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            "--target",
            metavar="A,B,...",
            help="Matrices with adapters: q_proj, ffn.gate_proj, attention. Default: all-linear.",
            show_default=False,
            rich_help_panel=TRAINING,
        ),
    ] = None,
    changes: options.Changes = None,
    engine: options.Engine = None,
    file_format: options.Format = "table",
    exact: options.Exact = False,
) -> None:
    """Say what training a model takes on a device: memory and FLOPs.

    Shows the bytes of parameters, gradients, optimizer states and activations, without and with recomputation. With
    --lora, only adapters are trained. With --set, each model is followed by its changed copy.
    """
    if target is not None and lora is None:
        raise InputError("--target names matrices with adapters: add --lora r=RANK")
    if tokens is not None and lora is not None:
        raise InputError("--tokens counts the FLOPs of a run, but they are not counted for adapters: leave out --lora")
    if zero and devices == 1:
        raise InputError("--zero divides over several devices: add --devices N")
    assignments = options.changes(changes)
    from llmarch_cli import api

    targets = {} if target is None else {"lora_targets": options.keys(target, "--target")}
    tables = api.training(
        models,
        seq=seq,
        micro_batch=micro_batch,
        optimizer=optimizer,
        precision=precision,
        zero=zero,
        devices=devices,
        lora_rank=lora,
        tokens=tokens,
        changes=assignments,
        engine=options.engine(engine),
        track=output.tracking("training"),
        **targets,
    )
    output.show([table for table in tables if table.main or table.rows], file_format, exact)
