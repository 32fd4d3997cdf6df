"""Convert a Hugging Face config.json into a spec. Each key is used, known to have no effect, or an error."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmarch_cli.errors import InputError, shown
from llmarch_cli.huggingface.importing import choosing, per_layer
from llmarch_cli.huggingface.importing.families import FAMILIES, Family
from llmarch_cli.huggingface.importing.keys import ANY, Config, Reading
from llmarch_cli.huggingface.importing.layers import Fields
from llmarch_cli.huggingface.importing.source import Source, read
from llmarch_cli.huggingface.importing.without_effect import TOKEN_ENDINGS, WITHOUT_EFFECT
from llmarch_cli.huggingface.importing.wrappers import text_decoder
from llmarch_cli.specs.loading import validated
from llmarch_cli.specs.spec import LINE_PATTERN, URL_PATTERN, ModelSpec
from llmarch_cli.specs.storage import Stored

STORAGE_KEYS = ("quantization_config", "quantization", "compression_config", "dtype", "torch_dtype")


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
        own: the file's own `model_type` if it was read as another family, else None.
    """

    spec: ModelSpec
    source: Source
    family: str
    model_type: str
    config: Mapping[str, Any]
    notes: tuple[str, ...]
    left_out: int = 0
    own: str | None = None

    @property
    def comments(self) -> tuple[str, ...]:
        """The comment lines above the fields of the spec file."""
        return (f"Imported from {self.source.origin}, a config of the family {self.family}.", *self.notes)


def import_config(
    config: str | Path | Mapping[str, Any],
    name: str | None = None,
    as_: str | None = None,
    revision: str | None = None,
    ignore: Collection[str] = (),
    assume: Mapping[str, Any] | None = None,
) -> ModelSpec:
    """Convert a Hugging Face config into a spec.

    Args:
        config: a path to a config.json, a checkpoint directory, the id of a model on the Hugging Face Hub, or the
            contents of a config.json.
        name: the name of the model; None takes that of the directory or on the Hub.
        as_: the family to read it as, regardless of its `model_type`. Sizes that the file lacks are then errors.
        revision: a branch, tag or commit of a model on the Hub.
        ignore: keys to pass over on purpose, by their paths, such as `text_config.my_key`.
        assume: values of keys that the file lacks, by their paths.

    Raises InputError for an unsupported family, an unknown key, or values that do not form a valid model.

    >>> import_config({"model_type": "gpt2", "n_layer": 24}).n_layers
    24
    """
    return imported(config, name, as_, revision, ignore, assume).spec


def imported(
    given: str | Path | Mapping[str, Any] | Source,
    name: str | None = None,
    as_: str | None = None,
    revision: str | None = None,
    ignore: Collection[str] = (),
    assume: Mapping[str, Any] | None = None,
) -> Imported:
    """Convert a config as `import_config` does, and keep how it was read."""
    source = read(given, revision)
    if not all(isinstance(key, str) for key in source.data):
        raise InputError(f"{source.origin}: keys must be strings")
    reading = Reading(ignored=frozenset(ignore))
    config = Config(_with(source, assume or {}, reading.notes), source.origin, {}, reading=reading)
    model_type = choosing.model_type(config, as_)
    own = config.data.get("model_type")
    forced = as_ if as_ in FAMILIES else None
    decoder = text_decoder(config, model_type, forced, guessed=as_ is not None and as_ != own)
    family = decoder.family
    if as_ is None and decoder.text is not config:
        choosing.check_classes(decoder.text, family)
    guessed = as_ is not None and as_ not in (own, decoder.text.data.get("model_type"))
    if as_ is not None:
        reading.notes.append(f"Read as {as_} because of --as; its model_type is {shown(own)}.")
    fields = _fields(FAMILIES[family], decoder.text, guessed)
    if unused := sorted(reading.ignored.difference(reading.passed_over)):
        raise InputError(
            f"{source.origin}: --ignore {shown(unused[0])}: the config has no such key, or it is understood"
        )
    named = name or source.name or family
    called = named if re.search(LINE_PATTERN, named) and len(named) <= 200 and named.isprintable() else family
    if name is not None and called != name:
        raise InputError(f"--name {shown(name)}: must be one line of at most 200 characters")
    known = {"name": called, **fields}
    if source.url is not None and re.search(URL_PATTERN, source.url):
        known["source"] = source.url
    spec = validated(known, source.origin)
    stored, unread = _stored(source.data, decoder.text.data, spec)
    spec = spec.model_copy(update={"stored": stored}).with_id(called)
    return Imported(
        spec,
        source,
        family,
        decoder.model_type,
        decoder.built_from,
        tuple(dict.fromkeys((*reading.notes, *unread))),
        reading.left_out,
        str(own) if guessed else None,
    )


def _stored(top: Mapping[str, Any], text: Mapping[str, Any], spec: ModelSpec) -> tuple[Stored | None, tuple[str, ...]]:
    """How the weights are stored, and a note if the config says it in an unknown way."""
    if not any(name in config for config in (top, text) for name in STORAGE_KEYS):
        return None, ()
    from llmarch_cli.huggingface.importing import quantization

    return quantization.read(top, text, spec)


def _with(source: Source, assume: Mapping[str, Any], notes: list[str]) -> Mapping[str, Any]:
    """The data of a config with values for keys that it lacks."""
    data = dict(source.data)
    for path, value in assume.items():
        *outer, name = path.split(".")
        inner = data
        for each in outer:
            if not isinstance(inner.get(each), Mapping):
                raise InputError(
                    f"{source.origin}: --assume {shown(path)}: {shown(each)} is not a mapping of the config"
                )
            inner[each] = inner = dict(inner[each])
        if name in inner:
            raise InputError(f"{source.origin}: --assume {shown(path)}: the config says {shown(inner[name])}")
        inner[name] = value
        notes.append(f"Assumed, as the config does not say it: {shown(path)} is {shown(value)}.")
    return data


def _fields(family: Family, config: Config, guessed: bool = False) -> Fields:
    """Read the spec's fields from a config by its family's table.

    Raises InputError for unknown keys and, where the family is `guessed`, for all absent keys that say how large the
    model is or how it is built.
    """
    reading = config.reading
    config.defaults, config.aliases = family.defaults, family.aliases
    config.is_guess = guessed
    try:
        fields = per_layer.fields(family, config)
    except InputError:
        if not reading.missing:
            raise
    if reading.missing:
        raise InputError(
            f"{config.origin}: read as {family.model_type}, which its model_type does not say, it lacks"
            f" {', '.join(reading.missing)}; `--assume KEY=VALUE` gives a value that you know"
        )
    tokens = dict.fromkeys((name for name in config.data if name.endswith(TOKEN_ENDINGS)), ANY)
    config.finish({**WITHOUT_EFFECT, **tokens, **family.without_effect})
    if reading.taken:
        listed = ", ".join(f"{name} {shown(value)}" for name, value in reading.taken.items())
        reading.notes.append(f"Absent, and read by the defaults of {family.model_type}: {listed}.")
    return fields
