"""Choose the family that reads a config: by its `model_type`, or by `--as`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NoReturn

from llmarch_cli.errors import InputError, shown, unknown
from llmarch_cli.huggingface.importing.advice import advice
from llmarch_cli.huggingface.importing.families import BY_ARCHITECTURE, BY_KEYS, CLASSES, FAMILIES, MULTIMODAL, WRAPPERS
from llmarch_cli.huggingface.importing.families.others import OUT_OF_SCOPE, WAITING
from llmarch_cli.huggingface.importing.keys import Config
from llmarch_cli.huggingface.importing.wrappers import place

# The endings of the names of classes with a language-model head.
GENERATES = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")

MODEL_TYPE, ARCHITECTURES, AUTO_MAP = "model_type", "architectures", "auto_map"


def model_type(config: Config, as_: str | None) -> str:
    """The family or wrapper to read the config as. Raises InputError if it is not supported, or contradicts itself."""
    if as_ is not None:
        if as_ not in FAMILIES and as_ not in WRAPPERS:
            known = sorted((*FAMILIES, *MULTIMODAL), key=str.lower)
            raise InputError(f"--as: {unknown('family', as_, known)}")
        return as_
    found = _named(config)
    if found not in FAMILIES and found not in WRAPPERS and place(config) is None:
        _refuse(config, found)
    if found not in BY_ARCHITECTURE.values():
        _check_head(config)
        check_classes(config, found)
    return found


def _named(config: Config) -> str:
    """The `model_type` of a config, or that of its class where the file has the type of another model."""
    classes = config.data.get(ARCHITECTURES)
    named = config.data.get(MODEL_TYPE)
    if isinstance(classes, list) and not (isinstance(named, str) and named in FAMILIES):
        for each in classes:
            if isinstance(each, str) and each in BY_ARCHITECTURE:
                return BY_ARCHITECTURE[each]
    if not config.given(MODEL_TYPE):
        for keys, family in BY_KEYS.items():
            if keys <= set(config.data):
                return family
        config.fail(MODEL_TYPE, f"required, but missing; {advice(config)}")
    if not isinstance(named, str):
        config.fail(MODEL_TYPE, f"must be text, not {shown(named)}")
    return named


def _refuse(config: Config, named: str) -> NoReturn:
    if named in OUT_OF_SCOPE:
        config.fail(MODEL_TYPE, f"{shown(named)} is {OUT_OF_SCOPE[named]}; a spec holds decoder-only language models")
    if named in WAITING:
        config.fail(MODEL_TYPE, f"{shown(named)} is not supported: a spec has no {WAITING[named]}")
    config.fail(MODEL_TYPE, f"{shown(named)} is not supported; {advice(config)}")


def _check_head(config: Config) -> None:
    classes = config.data.get(ARCHITECTURES)
    if classes is None:
        return
    if not isinstance(classes, list) or not all(isinstance(each, str) for each in classes):
        config.fail(ARCHITECTURES, f"must be a list of class names, not {shown(classes)}")
    remote = config.data.get(AUTO_MAP)
    bare = all(each.endswith("Model") and "For" not in each for each in classes)
    if bare and isinstance(remote, Mapping) and "AutoModelForCausalLM" in remote:
        return  # some published code is saved by the name of its decoder alone
    wrapper = WRAPPERS.get(str(config.data.get(MODEL_TYPE)))
    named = wrapper.classes if wrapper else [each for each in classes if "For" not in each]
    if place(config) is not None and any(each in named for each in classes):
        return  # the class of a wrapper, whose name need not say what it is for
    if classes and not any(each.endswith(GENERATES) for each in classes):
        config.fail(
            ARCHITECTURES,
            f"{shown(classes[0])} has no language-model head, and a spec always has one;"
            " `llmarch import --as FAMILY` reads it as a language model",
        )


def check_classes(config: Config, named: str) -> None:
    """Raise InputError if the classes of a config are those of another model than its `model_type`."""
    for key, name in _classes(config):
        other = _owner(name, named)
        repeated = config.path and other in WRAPPERS  # some files repeat the wrapper's class inside
        if other is not None and not repeated:
            ways = [f"`llmarch import --as {each}`" for each in (named, other) if each in FAMILIES or each in WRAPPERS]
            config.fail(
                key,
                f"{shown(name)} is the class of {other}, but model_type is {shown(named)};"
                f" {' or '.join(ways)} says which one counts",
            )


def _classes(config: Config) -> Iterator[tuple[str, str]]:
    """The language models that `architectures` and `auto_map` name, each with its key."""
    classes = config.data.get(ARCHITECTURES)
    for name in classes if isinstance(classes, list) else ():
        if isinstance(name, str):
            yield ARCHITECTURES, name
    remote = config.data.get(AUTO_MAP)
    name = remote.get("AutoModelForCausalLM") if isinstance(remote, Mapping) else None
    if isinstance(name, str):
        yield AUTO_MAP, name.rsplit(".", 1)[-1]


def _owner(name: str, named: str) -> str | None:
    """Another model that a class belongs to by its name; None if it may be that of `named`."""
    stem = _letters(re.sub(rf"({'|'.join(GENERATES)})$", "", name))
    known = (*FAMILIES, *WRAPPERS, *WAITING, *OUT_OF_SCOPE)
    owners = [each for each in known if _letters(each.removesuffix("_text")) == stem]
    own = FAMILIES.get(named)
    for each in owners:
        same = each in FAMILIES and own is not None and FAMILIES[each].fields is own.fields
        if each in (named, CLASSES.get(named), _text_of(named)) or same or _text_of(each) == named:
            return None
    return owners[0] if owners else None


def _text_of(wrapper: str) -> str | None:
    return WRAPPERS[wrapper].text if wrapper in WRAPPERS else None


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
