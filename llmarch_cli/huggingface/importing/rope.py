"""Rotary settings, as `rope_theta` and `rope_scaling` or all inside the newer `rope_parameters`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from llmarch_cli.huggingface.importing.keys import ANY, Accepted, Config
from llmarch_cli.huggingface.importing.layers import Fields

# Keys inside rotary settings that record training, or divide the pairs among the three positions of an image's tokens:
# a token of text has the same position thrice.
_WITHOUT_EFFECT: dict[str, Accepted] = dict.fromkeys(
    ("finetuned", "mrope_section", "mrope_interleaved", "xdrope_section"), ANY
)

FULL, SLIDING = "full_attention", "sliding_attention"

Scaling = Callable[[Config, Config], Fields | None]  # from the config and its rotary settings


def _none(c: Config, settings: Config) -> None:
    return None


def _linear(c: Config, settings: Config) -> Fields:
    return {"kind": "linear", "factor": settings.number("factor")}


def _dynamic(c: Config, settings: Config) -> Fields:
    # transformers takes the original context from here, whatever the rotary settings say.
    original = c.count("max_position_embeddings")
    settings.expect("original_max_position_embeddings", original, why="max_position_embeddings decides")
    return {"kind": "dynamic_ntk", "factor": settings.number("factor"), "original_context_length": original}


def _by_parts(c: Config, settings: Config) -> Fields:
    factors = ("factor", "low_freq_factor", "high_freq_factor")
    return {
        "kind": "ntk_by_parts",
        **{name: settings.number(name) for name in factors},
        "original_context_length": _original(c, settings),
    }


def _yarn(c: Config, settings: Config) -> Fields:
    found: Fields = {
        "kind": "yarn",
        "factor": settings.number("factor"),
        "original_context_length": _original(c, settings),
    }
    for name in ("beta_fast", "beta_slow", "mscale", "mscale_all_dim", "attention_factor"):
        value = settings.optional(settings.number, name)
        if value:  # transformers reads 0 as absent
            found[name] = value
    truncate = settings.optional(settings.flag, "truncate")
    return found if truncate is None else {**found, "truncate": truncate}


def longrope(c: Config, settings: Config) -> Fields:
    """Divide the frequency of each pair by a factor of its own."""
    original = _original(c, settings)
    factor = settings.optional(settings.number, "factor")
    found: Fields = {
        "kind": "longrope",
        "short_factor": settings.numbers("short_factor"),
        "long_factor": settings.numbers("long_factor"),
        "original_context_length": original,
        "factor": c.count("max_position_embeddings") / original if factor is None else factor,
    }
    attention_factor = settings.optional(settings.number, "attention_factor")
    return found if attention_factor is None else {**found, "attention_factor": attention_factor}


SCALINGS: Mapping[str, Scaling] = {
    "default": _none,
    "linear": _linear,
    "dynamic": _dynamic,
    "llama3": _by_parts,
    "yarn": _yarn,
    "longrope": longrope,
}
# Multimodal rotary embeddings, which rotate text as usual.
MROPE: Mapping[str, Scaling] = {**SCALINGS, "mrope": _none}


def _original(c: Config, settings: Config) -> int:
    """The context length before scaling.

    A family with a key of its own for it (Phi-3) reads it there, others inside the rotary settings; the default of
    these is `max_position_embeddings`. Raises InputError if the other place differs, which transformers ignores.
    """
    name = "original_max_position_embeddings"
    if name in c.defaults:
        found = c.count(name)
        settings.expect(name, found, why=f"{name} beside the rotary settings overrides it")
        return found
    found = settings.optional(settings.count, name) or c.count("max_position_embeddings")
    c.expect(name, found, why="transformers reads it inside the rotary settings only")
    return found


def rope(
    c: Config,
    head_dim: int,
    partial: bool = False,
    scalings: Mapping[str, Scaling] = SCALINGS,
    theta_name: str = "rope_theta",
    partial_name: str = "partial_rotary_factor",
    odd: bool = True,
) -> Fields:
    """The rotary fields of an attention component.

    Args:
        c: the config.
        head_dim: the width of a head.
        partial: whether the family reads `partial_rotary_factor`.
        scalings: the kinds of scaling that the family supports.
        theta_name: its name for `rope_theta`.
        partial_name: its name for `partial_rotary_factor`.
        odd: whether transformers can run the family with an odd number of rotated values.
    """
    settings = _settings(c)
    theta = _theta(c, settings, theta_name)
    found: Fields = {"rope_theta": theta, "rope_scaling": _scaling(c, settings, scalings)}
    if not partial:
        for where in (c, settings):
            where.expect("partial_rotary_factor", 1.0, why="the family rotates whole heads")
        settings.finish(_WITHOUT_EFFECT)
        return found
    inside = settings.optional(settings.number, "partial_rotary_factor")
    beside = c.optional(c.number, partial_name) if inside is None or c.given(partial_name) else None
    if inside is not None and c.given(partial_name) and inside != beside:
        c.fail(partial_name, f"{beside}, but it is {inside} inside the rotary settings")
    settings.finish(_WITHOUT_EFFECT)
    factor = beside if inside is None else inside
    n_values = head_dim if factor is None else int(head_dim * factor)
    if not odd and n_values % 2 and n_values < head_dim:
        c.fail(partial_name, f"rotates {n_values} of {head_dim} values of a head; must be an even number of them")
    return _of_part(found, n_values, head_dim)


def _of_part(found: Fields, n_values: int, head_dim: int) -> Fields:
    """The rotary fields if only the first `n_values` of a head are rotated."""
    if n_values % 2 and n_values < head_dim:
        # transformers rotates one more value, with the angles of the odd width. A larger theta gives the same angles.
        found = {**found, "rope_theta": found["rope_theta"] ** ((n_values + 1) / n_values)}
        n_values += 1
    return found if n_values == head_dim else {**found, "rotary_dim": n_values}


def unrotated(c: Config) -> bool:
    """Whether the base is null, which stands for no rotation in families that read it so; reads the settings then."""
    settings = _settings(c)
    where = settings if "rope_theta" in settings.data else c
    if where.data.get("rope_theta", 0) is not None:
        return False
    if where is settings and c.given("rope_theta"):
        c.fail("rope_theta", "given, but it is null inside the rotary settings, which transformers reads")
    c.read.update(("rope_theta", "rope_scaling", "rope_parameters"))
    for each in (c, settings):
        each.expect("partial_rotary_factor", 1.0, why="nothing is rotated")
    settings.expect("type", "default")
    settings.expect("rope_type", "default", why="nothing is rotated")
    settings.finish(_WITHOUT_EFFECT | {"rope_theta": (None,)})
    return True


def _settings(c: Config) -> Config:
    """The mapping of rotary settings, from either key."""
    old, new = c.inner("rope_scaling"), c.inner("rope_parameters")
    if old.data and new.data and old.data != new.data:
        c.fail("rope_scaling", "differs from rope_parameters, its newer name; keep one")
    chosen = old if old.data else new
    data: Mapping[str, Any] = chosen.data or c.default("rope_parameters") or {}
    return _named(Config(data, c.origin, {}, path=chosen.path, reading=c.reading))


def _named(settings: Config) -> Config:
    settings.defaults, settings.aliases = {"rope_type": "default"}, {"type": "rope_type"}
    if settings.given("mrope_section"):
        settings.read.add("interleaved")  # another name of mrope_interleaved
    return settings


def _theta(c: Config, settings: Config, name: str) -> float:
    inside = settings.optional(settings.number, "rope_theta")
    beside = c.optional(c.number, name) if inside is None or c.given(name) else None
    if inside is not None and c.given(name) and inside != beside:
        c.fail(name, f"{beside:,}, but it is {inside:,} inside the rotary settings")
    theta = beside if inside is None else inside
    if theta is None:
        if "rope_theta" not in c.defaults:
            c.fail(name, "required, but missing")
        theta = float(c.defaults["rope_theta"])
    return _above_one(c, name, theta)


def _above_one(c: Config, name: str, theta: float) -> float:
    if theta <= 1:
        c.fail(name, f"must be above 1, not {theta:g}")
    return theta


def _scaling(c: Config, settings: Config, scalings: Mapping[str, Scaling]) -> Fields | None:
    return settings.choice("rope_type", scalings)(c, settings)


def rope_by_layer_type(
    c: Config, sliding_theta_name: str = "rope_theta", full_theta_name: str = "rope_theta"
) -> dict[str, Fields]:
    """The rotary fields of layers with full attention and of layers with a window.

    `rope_scaling` applies to layers with full attention only; `rope_parameters` has settings for each layer type.
    """
    old, new = c.inner("rope_scaling"), c.inner("rope_parameters")
    if old.data and new.data:
        c.fail("rope_scaling", "given together with rope_parameters, its newer form; keep one")
    found: dict[str, Fields] = {}
    for layer_type, theta_name in ((FULL, full_theta_name), (SLIDING, sliding_theta_name)):
        settings = old if layer_type == FULL and old.data else new.inner(layer_type)
        if settings is old and "rope_type" not in old.data:
            old.expect("type", "default", why="transformers reads rope_type here, and not its older name")
        _named(settings)
        if layer_type == SLIDING and theta_name == "rope_theta" and not settings.given("rope_theta"):
            default = c.defaults["rope_theta"]
            c.expect("rope_theta", default, why="transformers gives another one to full attention only")
        found[layer_type] = {"rope_theta": _theta(c, settings, theta_name), "rope_scaling": None}
        found[layer_type]["rope_scaling"] = _scaling(c, settings, SCALINGS)
        settings.expect("partial_rotary_factor", 1.0, why="the family rotates whole heads")
        settings.finish(_WITHOUT_EFFECT)
    new.finish({})
    return found


def settings_by_layer_type(settings: Config, types: Iterable[str], beside: Iterable[str] = ()) -> dict[str, Config]:
    """The rotary settings of each of these layer types, from a mapping with one for each.

    `beside` are keys that may stand beside them, where transformers does not read them, and repeat one of a type.
    """
    found = {layer_type: settings.inner(layer_type) for layer_type in dict.fromkeys(types)}
    for layer_type, of_type in found.items():
        if not of_type.data:
            settings.fail(layer_type, "required, but missing: some layers are of this type")
    for name in beside:
        said = [of_type.data[name] for of_type in found.values() if name in of_type.data]
        settings.expect(name, *said, why="as inside, which alone transformers reads")
    settings.finish(dict.fromkeys((FULL, SLIDING), ANY))  # of a type that no layer has
    return found


def rope_of_layer_types(
    c: Config, settings: Mapping[str, Config], head_dim: int, share: float = 1.0
) -> dict[str, Fields]:
    """The rotary fields of each layer type.

    Args:
        c: the config.
        settings: the rotary settings of each layer type.
        head_dim: the width of a head.
        share: the default of `partial_rotary_factor`; if it is not 1, scaled settings must give their own.
    """
    found: dict[str, Fields] = {}
    for layer_type, of_type in settings.items():
        _named(of_type)
        fields: Fields = {
            "rope_theta": _above_one(of_type, "rope_theta", of_type.number("rope_theta")),
            "rope_scaling": _scaling(c, of_type, SCALINGS),
        }
        if not (fields["rope_scaling"] and share != 1):  # transformers has another share for each scaling
            of_type.defaults = {**of_type.defaults, "partial_rotary_factor": share}
        factor = of_type.number("partial_rotary_factor")
        found[layer_type] = _of_part(fields, int(head_dim * factor), head_dim)
        of_type.finish(_WITHOUT_EFFECT)
    return found


def _given_or_default(c: Config) -> Config:
    """An inner mapping, or the family's default of it."""
    given = c.inner("rope_parameters")
    return (
        given
        if given.data
        else Config(c.default("rope_parameters") or {}, c.origin, {}, path=given.path, reading=c.reading)
    )


def rotary_by_type(
    c: Config,
    width: int,
    types: list[str],
    thetas: Mapping[str, str],
    share: float = 1.0,
    beside: Iterable[str] = (),
) -> dict[str, Fields]:
    """The rotary fields by layer type, from `rope_parameters` alone: older keys may only repeat what it says."""
    settings = _given_or_default(c)
    rotary = rope_of_layer_types(c, settings_by_layer_type(settings, types, beside), width, share)
    why = "rope_parameters, which alone transformers reads"
    for name, kind in thetas.items():
        c.expect(name, settings.inner(kind).data.get("rope_theta"), why=why)
    said = [settings.inner(kind).data.get("partial_rotary_factor") for kind in types]
    shares = {share if each is None else each for each in said}
    if len(shares) > 1 and None in said and c.given("partial_rotary_factor"):
        c.fail("partial_rotary_factor", "differs by layer type in rope_parameters, which alone transformers reads")
    c.expect("partial_rotary_factor", *shares, why=why)
    c.expect("rope_scaling", {}, why=why)
    return rotary
