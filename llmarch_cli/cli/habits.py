"""What people type by habit from other tools, and what it is called here."""

from __future__ import annotations

import re
import shlex
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from llmarch_cli.errors import InputError, shown

# Commands of other names, each with the one here.
_COMMANDS = {
    **dict.fromkeys(("info", "describe", "inspect", "view", "get", "params", "summary"), "show"),
    **dict.fromkeys(("search", "find", "models"), "list"),
    **dict.fromkeys(("flops", "vs", "table"), "compare"),
    **dict.fromkeys(("cache", "kv-cache", "kv_cache", "context"), "kvcache"),
    **dict.fromkeys(("memory", "vram", "estimate", "serve", "plan"), "fit"),
    **dict.fromkeys(("gpu", "gpus", "devices", "hardware"), "chips"),
    **dict.fromkeys(("convert", "pull", "download"), "import"),
    **dict.fromkeys(("visualize", "picture", "graph"), "draw"),
    **dict.fromkeys(("finetune", "training", "lora"), "train"),
    **dict.fromkeys(("optimize", "grid"), "sweep"),
}

# Options of other names, each with those here. A command is told of those that it has.
_OPTIONS = {
    **dict.fromkeys(
        (
            "--max-model-len",
            "--max-context",
            "--max-len",
            "--context-length",
            "--ctx-size",
            "--n-ctx",
            "--num-ctx",
            "-c",
        ),
        ("--ctx",),
    ),
    **dict.fromkeys(("--seq-len", "--seqlen", "--sequence-length", "--max-seq-len"), ("--seq", "--ctx")),
    **dict.fromkeys(("--batch-size", "--bs", "-b"), ("--batch",)),
    **dict.fromkeys(("--quant", "--quantization", "--bits", "-q"), ("--weights",)),
    **dict.fromkeys(("--dtype", "--torch-dtype", "--precision"), ("--weights", "--kv-dtype")),
    **dict.fromkeys(("--kv-cache-dtype", "--cache-type-k", "--cache-type-v"), ("--kv-dtype",)),
    **dict.fromkeys(("--gpu", "--gpus", "--device", "--hardware", "--chip", "--chips", "--vram"), ("--on",)),
    **dict.fromkeys(("--tensor-parallel-size", "--tensor-parallel"), ("--tp",)),
    **dict.fromkeys(("--pipeline-parallel-size", "--pipeline-parallel"), ("--pp",)),
    **dict.fromkeys(("--data-parallel-size", "--data-parallel"), ("--dp",)),
    **dict.fromkeys(("--input-len", "--prompt-len", "--isl"), ("--prompt",)),
    **dict.fromkeys(("--reverse", "--descending", "--desc", "--order-by", "-r", "-s"), ("--sort -COLUMN",)),
    **dict.fromkeys(("--fields", "--metrics", "--cols"), ("--columns",)),
    **dict.fromkeys(("--search", "--filter", "--type"), ("--kind",)),
    **dict.fromkeys(("--verbose", "--full", "--long", "-v", "-a", "-l"), ("--all", "--exact", "--version")),
    **dict.fromkeys(("--csv",), ("--format csv",)),
    **dict.fromkeys(("--md", "--markdown"), ("--format markdown",)),
    **dict.fromkeys(("--limit", "--max-results", "-n"), ("--top",)),
    **dict.fromkeys(("--out", "--output-file", "--save-to"), ("-o",)),
}
_TO_A_FILE = ("-o", "--output", "--out", "--output-file")

FORMATS = {"md": "markdown"}

_ON_THE_HUB = re.compile(
    r"(?:(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co)/|hf:(?://)?)([\w.-]+/[\w.-]+)(?:[/?#].*)?"
)


def repository(name: str) -> str:
    """`org/name` of an address on the Hugging Face Hub; another name as it is."""
    found = _ON_THE_HUB.fullmatch(name)
    return name if found is None else found[1]


def chip(name: str) -> str:
    """The bundled chip that another spelling means, with a FutureWarning that says so; another name as it is."""
    meant = _known_chip(name)
    if meant is None or meant == name or Path(name).exists():
        return name
    warnings.warn(f"{name} is read as the chip {meant}", FutureWarning, stacklevel=2)
    return meant


def _known_chip(name: str) -> str | None:
    from llmarch_cli.deployment.chips import chips

    meant = [known for known in chips() if _letters(known) == _letters(name)]
    return meant[0] if len(meant) == 1 else None


def _letters(name: str) -> str:
    return re.sub(r"[\s_-]+", "", name.casefold())


_BEFORE = re.compile(r"((?:[0-9]+\s*[x*]\s*)*)(.+)", re.IGNORECASE)
_BEHIND = re.compile(r"(.+?)\s*[x*]\s*([0-9]+)", re.IGNORECASE)


def machines(text: str) -> str:
    """Machines as `8xh100`, of text such as `H100x8`, `8*h100` or `8 x H100`; other text as it is."""
    found = _BEFORE.fullmatch(text.strip())
    if found is None or Path(text).exists():
        return text
    counts, name = "x".join(re.findall("[0-9]+", found[1])), found[2]
    turned = _BEHIND.fullmatch(name)
    if not counts and turned is not None and _known_chip(name) is None and _known_chip(turned[1]) is not None:
        name, counts = turned[1], turned[2]
    return f"{counts}x{chip(name)}" if counts else chip(name)


def command(words: Sequence[str], known: Iterable[str]) -> str | None:
    """The command line that was meant by one whose first word is no command; None if that cannot be said."""
    from llmarch_cli.models import is_model

    first, *others = words
    names = list(known)
    if first == "help":
        asked = [word for word in others if word in names][:1]
        return shlex.join(["llmarch", *asked, "--help"])
    begun = [name for name in names if len(first) > 1 and name.startswith(first)]
    meant = _COMMANDS.get(first) or (begun[0] if len(begun) == 1 else None)
    if meant is not None:
        return shlex.join(["llmarch", meant, *others])
    models = []
    for word in words:
        if not is_model(repository(word)):
            break
        models.append(word)
    return shlex.join(["llmarch", "compare" if len(models) > 1 else "show", *models]) if models else None


def option(given: str, ctx: Any) -> str:
    """`; did you mean --ctx?` for an option of another tool; "" if the command has none for it."""
    has = {name for param in ctx.command.params for name in param.opts}
    meant = [words for words in _OPTIONS.get(given, ()) if words.split()[0] in has]
    if meant:
        return f"; did you mean {' or '.join(meant)}?"
    if hasattr(ctx.command, "commands"):
        return f"; options of a command stand behind it: `llmarch COMMAND {given}`"
    return "; `> FILE` writes the result to a file" if given in _TO_A_FILE else ""


def example(given: str, ctx: Any) -> str:
    """The first example of a command that has this option; "" if there is none."""
    lines = (ctx.command.epilog or "").splitlines()
    found = next((line.strip() for line in lines if f" {given} " in line and not line.endswith("\\")), "")
    return f"; such as `{found}`" if found else ""


def require_models(models: Iterable[str], endings: Sequence[str]) -> None:
    """Raise InputError for a file to write in the place of a model."""
    for name in models:
        if name.endswith(tuple(endings)) and not Path(name).exists():
            raise InputError(f"unknown model {shown(name)}; the file to write is named by -o: -o {shlex.quote(name)}")
