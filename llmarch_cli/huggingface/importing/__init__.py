"""From a Hugging Face config.json to a spec: every key used, known to be without effect, or an error that names it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

from llmarch_cli.errors import InputError, shown, unknown
from llmarch_cli.huggingface.importing.families import BY_ARCHITECTURE, FAMILIES, MULTIMODAL, Family
from llmarch_cli.huggingface.importing.keys import Config, same
from llmarch_cli.huggingface.importing.layers import Fields
from llmarch_cli.huggingface.importing.source import Source, read
from llmarch_cli.huggingface.importing.without_effect import BESIDE_TEXT, WITHOUT_EFFECT
from llmarch_cli.specs.loading import validated
from llmarch_cli.specs.spec import LINE_PATTERN, URL_PATTERN, ModelSpec

# The endings of the classes that predict the next token; others have another head.
GENERATES = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")


@dataclass(frozen=True)
class Imported:
    """A spec, and how it was read from a config.

    Attributes:
        spec: the architecture.
        source: the config.
        family: whose table read it.
        config: what the table read: the source's mapping, or that of its text decoder.
        notes: what was left out, and what was tried on purpose: a line each.
    """

    spec: ModelSpec
    source: Source
    family: str
    config: Mapping[str, Any]
    notes: tuple[str, ...]

    @property
    def comments(self) -> tuple[str, ...]:
        """What to write above the spec's fields."""
        return (f"Imported from {self.source.origin}, a config of the family {self.family}.", *self.notes)


def import_config(
    config: str | Path | Mapping[str, Any],
    name: str | None = None,
    as_: str | None = None,
    revision: str | None = None,
) -> ModelSpec:
    """The spec of a model's config.

    Args:
        config: a path to a config.json, a checkpoint's directory, the id of a model on the Hugging Face Hub, or what
            a config.json holds.
        name: what to call the model; None takes the directory's or the Hub's name.
        as_: the family to read it as, whatever its `model_type` is.
        revision: of a model on the Hub.

    Raises InputError for a family or a key that is not understood, and for values that make no model.
    """
    return imported(config, name, as_, revision).spec


def imported(
    given: str | Path | Mapping[str, Any],
    name: str | None = None,
    as_: str | None = None,
    revision: str | None = None,
) -> Imported:
    """The same, with how it was read."""
    source = read(given, revision)
    if not all(isinstance(key, str) for key in source.data):
        raise InputError(f"{source.origin}: its keys must be text")
    notes: list[str] = []
    family, config, fields = _read_as(source, as_, notes)
    named = name or source.name or family
    called = named if re.search(LINE_PATTERN, named) and len(named) <= 200 and named.isprintable() else family
    if name is not None and called != name:
        raise InputError(f"--name {shown(name)}: must be a line of text, of 200 characters at most")
    known = {"name": called, **fields}
    if source.url is not None and re.search(URL_PATTERN, source.url):
        known["source"] = source.url
    spec = validated(known, source.origin).with_id(called)
    return Imported(spec, source, family, config.data, tuple(notes))


def _read_as(source: Source, as_: str | None, notes: list[str]) -> tuple[str, Config, Fields]:
    """The family whose table reads the config, what of it that is, and what it makes of it."""
    config = Config(source.data, source.origin, {}, notes=notes)
    family = _family(config) if as_ is None else as_
    if family not in FAMILIES and family not in MULTIMODAL:
        if as_ is None:
            _unknown(config, family)
        raise InputError(f"--as: {unknown('family', family, sorted((*FAMILIES, *MULTIMODAL)))}")
    if as_ is not None:
        notes.append(f"Read as {family} on purpose: its model_type is {shown(source.data.get('model_type'))}.")
    elif family not in BY_ARCHITECTURE.values():
        _check_head(config)
    if family in MULTIMODAL or isinstance(source.data.get("text_config"), Mapping):
        family, config = _text_decoder(config, family)
    return family, config, _fields(FAMILIES[family], config)


def _family(config: Config) -> str:
    architectures = config.data.get("architectures")
    if isinstance(architectures, list):
        for each in architectures:
            if isinstance(each, str) and each in BY_ARCHITECTURE:
                return BY_ARCHITECTURE[each]
    if not config.given("model_type"):
        config.fail("model_type", "required, but missing: `--as FAMILY` says whose config it is")
    model_type = config.data["model_type"]
    if not isinstance(model_type, str):
        config.fail("model_type", f"must be text, not {shown(model_type)}")
    return model_type


def _unknown(config: Config, model_type: str) -> NoReturn:
    known = sorted((*FAMILIES, *MULTIMODAL))
    near = get_close_matches(model_type[:60], known, n=3, cutoff=0.4) or ["llama"]
    config.fail(
        "model_type",
        f"{shown(model_type)} is no family that is understood; nearest: {', '.join(near)};"
        f" `--as {near[0]}` reads it as one on purpose, and an unknown `--as` lists all",
    )


def _check_head(config: Config) -> None:
    architectures = config.data.get("architectures")
    if architectures is None:
        return
    if not isinstance(architectures, list) or not all(isinstance(each, str) for each in architectures):
        config.fail("architectures", f"must be a list of names, not {shown(architectures)}")
    if architectures and not any(each.endswith(GENERATES) for each in architectures):
        config.fail(
            "architectures",
            f"{shown(architectures[0])} predicts no next token, and a spec always has a head for it;"
            " `--as FAMILY` reads it as a language model on purpose",
        )


def _fields(family: Family, config: Config) -> Fields:
    """What a family's table makes of a config; every key is accounted for."""
    config.defaults, config.aliases = family.defaults, family.aliases
    fields = family.fields(config)
    config.finish({**WITHOUT_EFFECT, **family.without_effect})
    return fields


def _text_decoder(config: Config, family: str) -> tuple[str, Config]:
    """The family and the config of the text decoder, in a config of several parts."""
    usual, absent = MULTIMODAL.get(family, (family, {}))
    text = config.inner("text_config")
    if not text.data:
        text.data = absent
    if family in MULTIMODAL:
        family = text.data.get("model_type") or usual
        if not isinstance(family, str) or family not in FAMILIES:
            _unknown(text, str(family))
    tied = config.data.get("tie_word_embeddings")
    config.read.add("tie_word_embeddings")
    if tied is not None and not same(tied, text.data.get("tie_word_embeddings")):  # the outer one decides
        text.data = {**text.data, "tie_word_embeddings": tied}
    others = [name for name in ("vision_config", "audio_config") if config.given(name)]
    left_out = " and ".join(others) or "all else"
    config.notes.append(f"The text decoder only; left out: {left_out}.")
    config.finish({**WITHOUT_EFFECT, **BESIDE_TEXT})
    return family, text
