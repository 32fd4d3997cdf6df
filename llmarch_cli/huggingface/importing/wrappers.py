"""Find the text decoder of a multimodal config, and say what is left out beside it.

`families/wrappers.py` holds in what the classes of transformers differ. A wrapper that transformers does not have is
read where its file leaves no doubt: the text config names its family, and both `tie_word_embeddings` agree.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from llmarch_cli.errors import shown
from llmarch_cli.huggingface.importing.advice import advice
from llmarch_cli.huggingface.importing.families import FAMILIES, WRAPPERS, Ties, Wrapper
from llmarch_cli.huggingface.importing.families.others import WAITING
from llmarch_cli.huggingface.importing.keys import TIED, Accepted, Config, same
from llmarch_cli.huggingface.importing.layers import Fields
from llmarch_cli.huggingface.importing.without_effect import BESIDE_TEXT, TOKEN_ENDINGS, WITHOUT_EFFECT

TEXT = "text_config"

# Where wrappers of any sort keep their text decoder, or another wrapper around it.
PLACES = (TEXT, "language_config", "llm_config", "text_model_config", "lm_config", "thinker_config")

# Keys that every text decoder has.
SIZES = ("num_hidden_layers", "num_attention_heads", "vocab_size", "hidden_size")

PART = "_config"  # the ending of the keys of other parts


@dataclass(frozen=True)
class Decoder:
    """The text decoder of a config.

    Attributes:
        family: its family.
        text: its config.
        model_type: the `model_type` of the class in transformers that builds it.
        built_from: the keys and values to build that class from.
    """

    family: str
    text: Config
    model_type: str
    built_from: Mapping[str, Any]


def place(config: Config) -> str | None:
    """The key of the text decoder's config, or of a wrapper around it; None if there is none."""
    return next((name for name in PLACES if isinstance(config.data.get(name), Mapping)), None)


def text_decoder(config: Config, model_type: str, forced: str | None = None, guessed: bool = False) -> Decoder:
    """The text decoder of a config: the config itself unless it is multimodal.

    `forced` is a family to read the text decoder as, regardless of its `model_type`. If the wrapper is `guessed`, its
    class gives no sizes of an absent text config, and does not decide whether the head is tied.
    Raises InputError for a text decoder of an unsupported family, and for keys whose effect on it is unknown.
    """
    wrapper = WRAPPERS.get(model_type)
    if wrapper is None:
        where = place(config)
        if where is None or (model_type in FAMILIES and forced is None):
            return Decoder(model_type, config, model_type, config.data)
        return _without_a_class(config, where, forced)
    if guessed:
        wrapper = replace(wrapper, absent={}, merged=False)
    if wrapper.inside is not None:
        inner = config.inner(wrapper.inside)
        found = text_decoder(inner, wrapper.text, guessed=guessed)
        _finish(config, wrapper, inner)
        return found
    text = config.inner(TEXT)
    if wrapper.flat and (wrapper.text in WRAPPERS or not text.data):
        text = _at_the_top(config, wrapper)
        if wrapper.text in WRAPPERS:
            return Decoder(wrapper.text, text, wrapper.text, text.data)
        family = _supported(config, wrapper.text)
        text.data = _usually_named(text.data, family)
        text.data = {**text.data, **_tied(config, text, wrapper, family, guessed)}
        return Decoder(family, text, model_type, config.data)
    family = _family(config, text, wrapper)
    if config.data.get(TEXT) is None:
        if beside := [name for name in SIZES if config.given(name)]:
            config.fail(
                TEXT,
                f"required, but missing; {beside[0]} stands beside it, where transformers ignores it;"
                f" `llmarch import --as {family}` reads it there",
            )
        text.data = wrapper.absent
    elif wrapper.merged:
        text.data = {**_beneath(wrapper.absent, text.data), **text.data}
    text.data = _usually_named(text.data, family)
    text.data = {**text.data, **_tied(config, text, wrapper, family, guessed)}
    _repeated(config, text, wrapper, family)
    _finish(config, wrapper, text, FAMILIES[family].defaults)
    return Decoder(family, text, model_type, config.data)


def _beneath(absent: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults of a text config, without the rotary settings that given ones override."""
    inside = given.get("rope_parameters") or given.get("rope_scaling")
    overridden = set()
    if given.get("rope_scaling"):
        overridden.add("rope_parameters")
    if isinstance(inside, Mapping) and "rope_theta" in inside:
        overridden.add("rope_theta")
    return {name: value for name, value in absent.items() if name not in overridden}


def _family(config: Config, text: Config, wrapper: Wrapper) -> str:
    given = text.data.get("model_type")
    found = wrapper.text if given is None else given
    if not isinstance(found, str):
        text.fail("model_type", f"must be text, not {shown(found)}")
    if not wrapper.any_text:
        text.expect("model_type", wrapper.text, why=f"the text decoder of {config.data.get('model_type')}")
    return _supported(text, wrapper.renamed.get(found, found))


def _supported(text: Config, family: str) -> str:
    if family not in FAMILIES:
        why = f": a spec has no {WAITING[family]}" if family in WAITING else f"; {advice(text)}"
        text.fail("model_type", f"{shown(family)} is not supported{why}")
    return family


def _tied(config: Config, text: Config, wrapper: Wrapper, family: str, guessed: bool) -> Fields:
    """Read `tie_word_embeddings` as the wrapper's class does. If that is a guess, the file must say it."""
    if guessed and not (config.given(TIED) or text.given(TIED)):
        config.miss(TIED)
    config.defaults = {TIED: wrapper.tied}
    null_allowed = wrapper.null_is_untied or wrapper.tied is None
    outer = config.optional(config.flag, TIED) if null_allowed else config.flag(TIED)
    usual = bool(FAMILIES[family].defaults[TIED])
    inner = text.flag(TIED) if TIED in text.data else usual
    if outer is None and not wrapper.null_is_untied:
        outer = inner
    tied = {
        Ties.OUTER: bool(outer),
        Ties.INNER: inner,
        Ties.EITHER: bool(outer) or inner,
        Ties.NEITHER: False,
    }[wrapper.ties]
    contradicted = [each.path for each in (config, text) if TIED in each.data and each.data[TIED] not in (tied, None)]
    if contradicted:
        which, read = (str(each).lower() for each in (not tied, tied))
        config.notes.append(f"{contradicted[0]}{TIED} is {which}; read as {read}, as by transformers.")
    elif TIED not in config.data and wrapper.ties is Ties.OUTER and tied != usual:
        config.notes.append(f"{TIED} is absent; read as {str(tied).lower()}, the default of transformers.")
    return {TIED: tied}


def _usually_named(data: Mapping[str, Any], family: str) -> Mapping[str, Any]:
    """A text config with `tie_word_embeddings` by that name, where its family has another one for it, too."""
    for name, meant in FAMILIES[family].aliases.items():
        if meant == TIED and name in data and (TIED not in data or same(data[TIED], data[name])):
            data = {**{key: value for key, value in data.items() if key != name}, TIED: data[name]}
    return data


def _repeated(config: Config, text: Config, wrapper: Wrapper, family: str) -> None:
    """Read the keys that the wrapper must repeat from its text config."""
    for name, default in wrapper.repeats.items():
        expected = text.data.get(name, FAMILIES[family].defaults.get(name))
        if not same(found := config.data.get(name, default), expected):
            config.fail(name, f"{shown(found)}, but {text.path}{name} is {shown(expected)}")


def _without_a_class(config: Config, where: str, forced: str | None) -> Decoder:
    """The text decoder of a wrapper that transformers does not have."""
    text = config.inner(where)
    given = text.data.get("model_type")
    named = given if isinstance(given, str) else ""
    if forced is None and named not in FAMILIES and (named in WRAPPERS or place(text) is not None):
        found = text_decoder(text, named)
        _finish(config, None, text)
        return found
    if forced is None and not named:
        text.fail(
            "model_type",
            "required, but missing: it names the family of the text decoder;"
            f" `llmarch import --assume {text.path}model_type=FAMILY` says it",
        )
    family = _supported(text, forced or named)
    text.data = _usually_named(text.data, family)
    text.data = {**text.data, **_tied_alike(config, text)}
    _finish(config, None, text, FAMILIES[family].defaults)
    return Decoder(family, text, family, text.data)


def _tied_alike(config: Config, text: Config) -> Fields:
    """Read `tie_word_embeddings` where either may count, so that they must not differ."""
    config.defaults = {TIED: None}
    outer = config.optional(config.flag, TIED)
    if outer is None:
        return {}
    if TIED in text.data and text.flag(TIED) != outer:
        config.fail(TIED, f"{shown(outer)}, but {text.path}{TIED} is {shown(not outer)}; keep the one that counts")
    return {TIED: outer}


def _at_the_top(config: Config, wrapper: Wrapper) -> Config:
    """The config of a text decoder whose keys stand beside those of the other parts."""
    parts = ("vision_config", "audio_config", *wrapper.parts)
    _note(config, wrapper, parts)
    beside = {TEXT, *parts, *BESIDE_TEXT, *wrapper.without_effect}
    if wrapper.text not in WRAPPERS:
        beside.add(TIED)
    if config.data.get(TEXT):
        config.fail(TEXT, "not supported: keys of the text decoder stand at the top level of this family")
    data = {
        name: value for name, value in config.data.items() if name not in beside and not name.endswith(TOKEN_ENDINGS)
    }
    return Config(data, config.origin, {}, reading=config.reading)


def _finish(config: Config, wrapper: Wrapper | None, text: Config, absent: Mapping[str, Any] | None = None) -> None:
    """Note what is left out, and raise InputError for a key that is not known to be without effect on the decoder.

    `absent` has the values of keys that the text config lacks.
    """
    own = wrapper.without_effect if wrapper else {}
    parts = [name for name in config.data if f"{config.path}{name}." != text.path and _is_part(config, name, wrapper)]
    _note(config, wrapper, parts)
    beside: dict[str, Accepted] = {**WITHOUT_EFFECT, **BESIDE_TEXT, **dict.fromkeys(parts), **own}
    known = {**(absent or {}), **text.data}
    for name, value in config.data.items():
        # Some files repeat keys of the text decoder.
        if name.endswith(TOKEN_ENDINGS) or (name in known and same(value, known[name])):
            config.read.add(name)
    config.finish(beside)


def _is_part(config: Config, name: str, wrapper: Wrapper | None) -> bool:
    value = config.data[name]
    named = name.endswith(PART) or (wrapper is not None and name in wrapper.parts)
    return named and name not in WITHOUT_EFFECT and (value is None or isinstance(value, Mapping))


def _note(config: Config, wrapper: Wrapper | None, parts: Any) -> None:
    given = [f"{config.path}{name}" for name in parts if config.given(name)]
    config.notes.append(f"Text decoder only; left out: {' and '.join(given) or 'everything else'}.")
    if wrapper is not None and wrapper.note is not None:
        config.notes.append(wrapper.note)
