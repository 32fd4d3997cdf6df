"""Convert a Hugging Face config.json into a spec. Each key is used, known to have no effect, or an error."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

from llmarch_cli.errors import InputError, shown, unknown
from llmarch_cli.huggingface.importing.families import BY_ARCHITECTURE, FAMILIES, MULTIMODAL, WRAPPERS, Family
from llmarch_cli.huggingface.importing.keys import Config
from llmarch_cli.huggingface.importing.layers import Fields
from llmarch_cli.huggingface.importing.source import Source, read
from llmarch_cli.huggingface.importing.without_effect import WITHOUT_EFFECT
from llmarch_cli.huggingface.importing.wrappers import place, text_decoder
from llmarch_cli.specs.loading import validated
from llmarch_cli.specs.spec import LINE_PATTERN, URL_PATTERN, ModelSpec

# The endings of the names of classes with a language-model head.
GENERATES = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")


@dataclass(frozen=True)
class Imported:
    """A spec and how it was read from a config.

    Attributes:
        spec: the architecture.
        source: the config and its origin.
        family: the family that read it; of a multimodal config, that of the text decoder.
        model_type: the `model_type` of the class in transformers that builds the same model.
        config: the keys and values to build it from.
        notes: what was left out or overridden, one line each.
        left_out: parameters of the decoder in transformers that the spec leaves out.
    """

    spec: ModelSpec
    source: Source
    family: str
    model_type: str
    config: Mapping[str, Any]
    notes: tuple[str, ...]
    left_out: int = 0

    @property
    def comments(self) -> tuple[str, ...]:
        """The comment lines above the fields of the spec file."""
        return (f"Imported from {self.source.origin}, a config of the family {self.family}.", *self.notes)


def import_config(
    config: str | Path | Mapping[str, Any],
    name: str | None = None,
    as_: str | None = None,
    revision: str | None = None,
) -> ModelSpec:
    """Convert a Hugging Face config into a spec.

    Args:
        config: a path to a config.json, a checkpoint directory, the id of a model on the Hugging Face Hub, or the
            contents of a config.json.
        name: the name of the model; None takes that of the directory or on the Hub.
        as_: the family to read it as, regardless of its `model_type`.
        revision: a branch, tag or commit of a model on the Hub.

    Raises InputError for an unsupported family, an unknown key, or values that do not form a valid model.

    >>> import_config({"model_type": "gpt2", "n_layer": 24}).n_layers
    24
    """
    return imported(config, name, as_, revision).spec


def imported(
    given: str | Path | Mapping[str, Any],
    name: str | None = None,
    as_: str | None = None,
    revision: str | None = None,
) -> Imported:
    """Convert a config as `import_config` does, and keep how it was read."""
    source = read(given, revision)
    if not all(isinstance(key, str) for key in source.data):
        raise InputError(f"{source.origin}: keys must be strings")
    notes: list[str] = []
    config = Config(source.data, source.origin, {}, notes=notes)
    model_type = _model_type(config, as_)
    decoder = text_decoder(config, model_type, forced=as_ if as_ in FAMILIES else None)
    family = decoder.family
    fields = _fields(FAMILIES[family], decoder.text)
    named = name or source.name or family
    called = named if re.search(LINE_PATTERN, named) and len(named) <= 200 and named.isprintable() else family
    if name is not None and called != name:
        raise InputError(f"--name {shown(name)}: must be one line of at most 200 characters")
    known = {"name": called, **fields}
    if source.url is not None and re.search(URL_PATTERN, source.url):
        known["source"] = source.url
    spec = validated(known, source.origin).with_id(called)
    left_out = decoder.text.left_out
    return Imported(spec, source, family, decoder.model_type, decoder.built_from, tuple(notes), left_out)


def _model_type(config: Config, as_: str | None) -> str:
    """The family or wrapper to read the config as. Raises InputError if it is not supported."""
    family = _family(config) if as_ is None else as_
    if family not in FAMILIES and family not in WRAPPERS and (as_ is not None or place(config) is None):
        if as_ is None:
            _unknown(config, family)
        raise InputError(f"--as: {unknown('family', family, sorted((*FAMILIES, *MULTIMODAL)))}")
    if as_ is not None:
        config.notes.append(
            f"Read as {family} because of --as; its model_type is {shown(config.data.get('model_type'))}."
        )
    elif family not in BY_ARCHITECTURE.values():
        _check_head(config)
    return family


def _family(config: Config) -> str:
    architectures = config.data.get("architectures")
    if isinstance(architectures, list):
        for each in architectures:
            if isinstance(each, str) and each in BY_ARCHITECTURE:
                return BY_ARCHITECTURE[each]
    if not config.given("model_type"):
        config.fail("model_type", "required, but missing; name the family with `--as FAMILY`")
    model_type = config.data["model_type"]
    if not isinstance(model_type, str):
        config.fail("model_type", f"must be text, not {shown(model_type)}")
    return model_type


def _unknown(config: Config, model_type: str) -> NoReturn:
    known = sorted((*FAMILIES, *MULTIMODAL))
    near = get_close_matches(model_type[:60], known, n=3, cutoff=0.4) or ["llama"]
    config.fail(
        "model_type",
        f"{shown(model_type)} is not supported; nearest: {', '.join(near)};"
        f" `--as {near[0]}` reads the config as that family, and an unknown `--as` lists all families",
    )


def _check_head(config: Config) -> None:
    architectures = config.data.get("architectures")
    if architectures is None:
        return
    if not isinstance(architectures, list) or not all(isinstance(each, str) for each in architectures):
        config.fail("architectures", f"must be a list of class names, not {shown(architectures)}")
    if architectures and not any(each.endswith(GENERATES) for each in architectures):
        config.fail(
            "architectures",
            f"{shown(architectures[0])} has no language-model head, and a spec always has one;"
            " `--as FAMILY` reads it as a language model",
        )


def _fields(family: Family, config: Config) -> Fields:
    """Read the spec's fields from a config by its family's table. Raises InputError for an unknown key."""
    config.defaults, config.aliases = family.defaults, family.aliases
    fields = family.fields(config)
    config.finish({**WITHOUT_EFFECT, **family.without_effect})
    return fields
