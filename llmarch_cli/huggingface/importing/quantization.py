"""What a config says of how its weights are stored, as the `stored` field of a spec.

Each method's settings become a rule from the name of a published matrix to a format. The rule is asked for every
matrix of the spec, by all names that `huggingface/names.py` knows for it, and the answers become a few names of parts.
"""

from __future__ import annotations

import re
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import translate
from functools import cache
from typing import Any

from llmarch_cli.components.cache import State
from llmarch_cli.components.component import cache_entries
from llmarch_cli.errors import InputError, shown
from llmarch_cli.huggingface import names
from llmarch_cli.profilers.storage import ROUTERS, Place, label_words, places
from llmarch_cli.specs.spec import NONE, ModelSpec
from llmarch_cli.specs.storage import PLAIN, Stored, fits, format_of

SETTINGS = ("quantization_config", "quantization", "compression_config")
_IGNORED = ("modules_to_not_convert", "ignored_layers", "ignore", "exclude_modules", "llm_int8_skip_modules")
_PLAIN = {"float32": "fp32", "float16": "fp16"}  # dtypes of unquantised weights, other than bfloat16
_BLOCK = [128, 128]
_E4M3 = ("e4m3", "float8_e4m3fn")  # the names of one format
MOST_LAYERS, MOST_PATTERNS = 1000, 1000

# What stands before the layers in published names.
_OUTER = ("model.", "model.language_model.", "language_model.model.", "backbone.", "transformer.", "")

# DeepSeek-V4's checkpoints: compressors are plain, and factors and biases of the residual streams in float32.
_WITH_COMPRESSORS = {
    "place_biases": "fp32",
    "sinks": "fp32",
    "residual": "fp32",
    "compressor": PLAIN,
    "index_compressor": PLAIN,
}


class _UnreadError(ValueError):
    """Settings that are not understood, in words."""


Words = tuple[str, ...]  # of the place of a matrix
Rule = Callable[[str], str | None]  # from a module's name to its format; None if the rule says nothing of it


def read(top: Mapping[str, Any], text: Mapping[str, Any], spec: ModelSpec) -> tuple[Stored | None, tuple[str, ...]]:
    """How the weights of `spec` are stored by a config, and a note if the config says it in an unknown way.

    Args:
        top: the whole config.
        text: that of the text decoder, which may be the same.
        spec: the architecture.
    """
    for key in SETTINGS:
        for config in (top, text):
            if isinstance(settings := config.get(key), Mapping) and settings:
                try:
                    return _stored(settings, {**top, **text}, spec), ()
                except (_UnreadError, InputError) as error:
                    why = str(error).partition("; known")[0]
                    return None, (f"Not read: {key} ({why}). `--weights native` takes the weights as bf16.",)
    dtypes = [config.get(name) for config in (text, top) for name in ("dtype", "torch_dtype")]
    dtype = next((each for each in dtypes if each is not None), None)
    plain = _PLAIN.get(str(dtype).removeprefix("torch."))
    return (None if plain is None else Stored(format=plain)), ()


def _stored(settings: Mapping[str, Any], config: Mapping[str, Any], spec: ModelSpec) -> Stored | None:
    method = settings.get("quant_method", "mlx" if "bits" in settings else None)
    if method == "fp8" and config.get("expert_dtype") is not None:
        return _with_compressors(settings, config["expert_dtype"])
    if not isinstance(method, str) or method not in _METHODS:
        raise _UnreadError(f"quant_method {shown(method)}")
    return _collected(spec, _METHODS[method](settings))


def _with_compressors(settings: Mapping[str, Any], expert_dtype: object) -> Stored:
    if settings.get("weight_block_size") != _BLOCK or expert_dtype not in ("fp4", "fp8"):
        raise _UnreadError(f"expert_dtype {shown(expert_dtype)}")
    if expert_dtype == "fp8":
        return Stored(format="fp8-block", parts=_WITH_COMPRESSORS)
    return Stored(format="fp8-block-e8m0", parts={"experts": "mxfp4", **_WITH_COMPRESSORS})


# --- methods: settings -> a rule ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Read:
    """What settings say.

    Attributes:
        default: the format of matrices that the rule says nothing of.
        of: the rule.
        experts_only: whether it is for routed experts only.
        listed: what the settings list.
    """

    default: str
    of: Rule
    experts_only: bool = False
    listed: _Listed | None = None


def _all_in(name: str, settings: Mapping[str, Any], experts_only: bool = False) -> _Read:
    """One format for all matrices but those that the settings list."""
    listed = _Listed(each for key in _IGNORED for each in _texts(settings, key))
    return _Read(name, lambda module: PLAIN if module in listed else None, experts_only, listed)


def _fp8(settings: Mapping[str, Any]) -> _Read:
    block, scheme = settings.get("weight_block_size"), settings.get("activation_scheme", "dynamic")
    if settings.get("fmt", "e4m3") not in _E4M3 or scheme not in ("dynamic", "static"):
        raise _UnreadError(f"fmt {shown(settings.get('fmt'))}, activation_scheme {shown(scheme)}")
    if block is None:
        return _all_in("fp8-static" if scheme == "static" else "fp8", settings)
    if block != _BLOCK:
        raise _UnreadError(f"weight_block_size {shown(str(block))}")
    return _all_in("fp8-block", settings)


def _by_groups(name: str, settings: Mapping[str, Any]) -> str:
    group = settings.get("group_size", settings.get("q_group_size"))
    return _grouped(name.format(bits=settings.get("bits", settings.get("w_bit"))), group)


def _grouped(name: str, group: object) -> str:
    """The name of a format with groups of this size. Raises InputError if there is none."""
    found = name if _columns(name) == group else f"{name}-g{group}"
    format_of(found)
    return found


def _columns(name: str) -> int | None:
    return getattr(format_of(name).encoding, "columns", None)


def _gptq(settings: Mapping[str, Any]) -> _Read:
    for key in ("dynamic", "modules_in_block_to_quantize", "lm_head"):
        if settings.get(key):
            raise _UnreadError(f"{key} is {shown(settings[key])}")
    return _all_in(_by_groups("gptq-int{bits}", settings), settings)


def _awq(settings: Mapping[str, Any]) -> _Read:
    if settings.get("zero_point") is False or str(settings.get("version", "gemm")).lower() != "gemm":
        raise _UnreadError("neither zero points nor the layout gemm")
    return _all_in(_by_groups("awq-int{bits}", settings), settings)


def _bitsandbytes(settings: Mapping[str, Any]) -> _Read:
    if settings.get("load_in_8bit") or settings.get("_load_in_8bit"):
        return _all_in("bnb-int8", settings)
    if not (settings.get("load_in_4bit") or settings.get("_load_in_4bit")):
        raise _UnreadError("neither load_in_4bit nor load_in_8bit")
    return _all_in("bnb-nf4" if settings.get("bnb_4bit_use_double_quant") else "bnb-nf4-single", settings)


def _compressed_tensors(settings: Mapping[str, Any]) -> _Read:
    rules: list[tuple[_Listed, str]] = []
    default = PLAIN
    for group in _mappings(settings, "config_groups"):
        weights = group.get("weights")
        if not isinstance(weights, Mapping):
            raise _UnreadError("a group without weights")
        targets = _texts(group, "targets")
        name = _of_weights(weights, str(group.get("format") or settings.get("format") or ""))
        if "Linear" in targets:
            default = name
        else:
            rules.append((_Listed(targets), name))
    if default == PLAIN and not rules:
        raise _UnreadError("no config_groups")
    listed = _Listed(_texts(settings, "ignore"))

    def of(module: str) -> str | None:
        if module in listed:
            return PLAIN
        return next((name for targets, name in rules if module in targets), None)

    return _Read(default, of, listed=listed)


def _of_weights(weights: Mapping[str, Any], layout: str) -> str:
    """The format of a group of compressed-tensors."""
    kind, bits, strategy = weights.get("type"), weights.get("num_bits"), weights.get("strategy")
    group, block = weights.get("group_size"), weights.get("block_structure")
    match kind, bits, strategy:
        case "float", 8, "tensor":
            return "fp8"
        case "float", 8, "channel":
            return "fp8-row"
        case "float", 8, "block" if block in (_BLOCK, "128x128"):
            return "fp8-block"
        case "float", 4, _ if group == 16:
            return "nvfp4"
        case "float", 4, "group" if group == 32 and ("mxfp4" in layout or weights.get("scale_dtype") == "torch.uint8"):
            return "mxfp4"
        case "int", 8, "channel" if weights.get("symmetric", True):
            return "int8"
        case "int", 4, "group" if weights.get("symmetric", True):
            return _grouped("int4", group)
    raise _UnreadError(f"weights {shown(f'{bits}-bit {kind} by {strategy}')}")


_ALGORITHMS = {"FP8": "fp8-static", "NVFP4": "nvfp4", "MXFP8": "mxfp8", "FP8_PB_WO": "fp8-block"}


def _modelopt(settings: Mapping[str, Any]) -> _Read:
    algorithm = settings.get("quant_algo")
    if algorithm == "MIXED_PRECISION":
        layers = settings.get("quantized_layers")
        if not isinstance(layers, Mapping):
            raise _UnreadError("MIXED_PRECISION without quantized_layers")
        known = {_inside(str(name)): _algorithm(each) for name, each in layers.items()}
        return _Read(PLAIN, lambda module: known.get(_inside(module)))
    return _all_in(_algorithm(settings), settings)


def _algorithm(settings: object) -> str:
    algorithm = settings.get("quant_algo") if isinstance(settings, Mapping) else None
    if not isinstance(algorithm, str) or algorithm not in _ALGORITHMS:
        raise _UnreadError(f"quant_algo {shown(algorithm)}")
    return _ALGORITHMS[algorithm]


def _mlx(settings: Mapping[str, Any]) -> _Read:
    if settings.get("mode", "affine") != "affine":
        raise _UnreadError(f"mode {shown(settings['mode'])}")
    default = _by_groups("mlx-{bits}bit", settings)
    own: dict[str, str] = {}
    for name, each in settings.items():
        if isinstance(each, Mapping):
            own[_inside(name)] = _by_groups("mlx-{bits}bit", {**settings, **each})
        elif each is False:
            own[_inside(name)] = PLAIN
    return _Read(default, lambda module: own.get(_inside(module)))


_METHODS: dict[str, Callable[[Mapping[str, Any]], _Read]] = {
    "fp8": _fp8,
    "fbgemm_fp8": lambda settings: _all_in("fp8-channel", settings),
    "mxfp4": lambda settings: _all_in("mxfp4", settings, experts_only=True),
    "gptq": _gptq,
    "awq": _awq,
    "bitsandbytes": _bitsandbytes,
    "compressed-tensors": _compressed_tensors,
    "modelopt": _modelopt,
    "mlx": _mlx,
}


# --- names in settings ----------------------------------------------------------------------------------------------


def _texts(settings: Mapping[str, Any], key: str) -> list[str]:
    listed = settings.get(key) or []
    if not isinstance(listed, list) or not all(isinstance(each, str) for each in listed):
        raise _UnreadError(f"{key} is no list of names")
    return listed


def _mappings(settings: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    groups = settings.get(key) or {}
    if not isinstance(groups, Mapping) or not all(isinstance(each, Mapping) for each in groups.values()):
        raise _UnreadError(f"{key} is no mapping of mappings")
    return list(groups.values())


# Modules that are never quantised here, or are no part of the layers.
_HARMLESS = re.compile(
    r"norm|embed|(?:^|[._])(?:lm_)?head$|gate$|router|bias|index|conv|A_log|eh_proj|proj(?:ection|ector)"
    rf"|(?:^|[.])(?:mtp|audio|{names.VISION})"
)


class _Listed:
    """The names in a list: as they are, globs, or patterns after `re:`. Each means the modules inside too."""

    def __init__(self, entries: Iterable[str]) -> None:
        self.plain: set[str] = set()
        self._met: set[str] = set()
        patterns: list[str] = []
        for each in entries:
            if each.startswith("re:"):
                patterns.append(f"(?:{_quick(each[3:])})")
            elif "*" in each or "?" in each:
                patterns.append(rf"(?:{translate(each)}|{translate(each + '.*')})")
            else:
                self.plain.add(_inside(each))
        if len(patterns) > MOST_PATTERNS:
            raise _UnreadError(f"{len(patterns):,} patterns are too many")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of sets in patterns that may change their meaning
                self._pattern = re.compile("|".join(patterns)) if patterns else None
        except re.error:
            raise _UnreadError("a pattern that is no regular expression") from None

    def __contains__(self, module: str) -> bool:
        words = _inside(module).split(".")
        starts = (start for start in range(len(words)) if start != 1)  # not at a layer's number
        spans = (".".join(words[start:end]) for start in starts for end in range(start + 1, len(words) + 1))
        met = self.plain.intersection(spans)
        self._met |= met
        pattern = self._pattern
        return bool(met) or (pattern is not None and any(pattern.match(outer + module) for outer in _OUTER))

    def unmet(self, n_layers: int) -> str | None:
        """A name that no module of the layers had, and that is not known to be harmless; None if there is none."""
        for name in sorted(self.plain - self._met):
            layer = re.search(r"(?:layers|h|blocks)\.(\d+)", name)
            if not (_HARMLESS.search(name) or (layer and int(layer[1]) >= n_layers)):
                return name
        return None


def _quick(pattern: str) -> str:
    """Return a regular expression. Raises _UnreadError for one that could take very long."""
    n_loops, n_groups = len(re.findall(r"[*+]", pattern)), pattern.count("(")
    if len(pattern) > 500 or n_loops > 4 or n_groups > 10 or re.search(r"[{]|\)[*+]", pattern):
        raise _UnreadError(f"the pattern {shown(pattern)}")
    return pattern


def _inside(name: str) -> str:
    """A module's name from the layers on."""
    found = re.search(r"(?:^|\.)((?:layers|h|blocks)\.\d+(?:\..*)?)$", name)
    return found[1] if found else name


# --- our matrices by published names --------------------------------------------------------------------------------


def _collected(spec: ModelSpec, said: _Read) -> Stored | None:
    """Ask the rule for each matrix in each of its layers. Raises _UnreadError if layers of a variant differ."""
    if spec.n_layers > MOST_LAYERS:
        raise _UnreadError(f"{spec.n_layers:,} layers are too many to ask for each")
    found: dict[Words, str] = {}
    others: list[Words] = []
    for place in places(spec):
        if place.matrices is None or place.words[-1] in ROUTERS or place.item.mtp:
            continue
        if place.item.role not in ("attention", "ffn"):
            others.append(place.words)
            continue
        if said.experts_only and not place.is_experts:
            found[place.words] = PLAIN
            continue
        published = _published(place)
        answers = {_answer(said, layer, published) for layer in _layers(spec, place)}
        if len(answers) > 1:
            raise _UnreadError(f"{place} is {' or '.join(sorted(answers))} by layer")
        found[place.words] = answers.pop()
    if said.listed and not said.experts_only and (name := said.listed.unmet(spec.n_layers)) is not None:
        raise _UnreadError(f"{shown(name)} is no module that is known")
    return _in_few_names(found, others, said.default)


def _answer(said: _Read, layer: int, published: Iterable[str]) -> str:
    answers = [said.of(f"layers.{layer}.{name}") for name in published]
    given = [each for each in answers if each is not None]
    return PLAIN if PLAIN in given else given[0] if given else said.default


def _layers(spec: ModelSpec, place: Place) -> list[int]:
    """The layers that a part stands in."""
    variant = place.item.label.partition(": ")[2].partition(",")[0]
    variants = enumerate(spec.names(place.item.role, spec.n_layers))
    return [layer for layer, name in variants if (name == variant if variant else name != NONE)]


def _published(place: Place) -> tuple[str, ...]:
    """The names inside a layer that published checkpoints have for a matrix."""
    axis, component = place.item.role, place.item.component
    inside = place.words[len(label_words(place.item)) :]
    ours = ".".join((axis, *(word for word in inside if not (place.is_experts and word == "experts")), "weight"))
    without = []
    if axis == "attention":
        has_states = any(isinstance(entry, State) for _, entry in cache_entries(component))
        without = ["linear_attn", "mamba"] if not has_states else []
        without += ["self_attn"] if getattr(component, "kind", None) == "gated_deltanet" else []
    return tuple(
        name
        for name in _by_ours().get(ours, ())
        if bool(_IS_EXPERT.search(name)) == place.is_experts and name.split(".")[0] not in without
    )


_IS_EXPERT = re.compile(r"(?<!shared_)experts\b|input_linear|output_linear")


@cache
def _by_ours() -> Mapping[str, list[str]]:
    """Names inside a layer, without `.weight`, by our tensor."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for rule in names.IN_A_LAYER:
        for ours in rule.ours:
            if ours.endswith(".weight"):
                found[ours] += [name.removesuffix(".weight") for name in _written_out(rule.name)]
    return found


def _written_out(pattern: str) -> list[str]:
    """The names that a pattern of `names.py` stands for; expert numbers as 0."""
    group = re.search(r"\(\?:((?:[^()]|\\.)*)\)(\??)", pattern)
    if group is None:
        return [pattern.replace(r"\{expert\}", "0").replace("\\", "")]
    choices = group[1].split("|") + [""] * bool(group[2])
    return [name for each in choices for name in _written_out(pattern[: group.start()] + each + pattern[group.end() :])]


# --- few names for many matrices ------------------------------------------------------------------------------------


def _in_few_names(found: Mapping[Words, str], others: list[Words], default: str) -> Stored | None:
    """The shortest `stored` that gives each matrix its format, and says nothing of the `others`."""
    formats = dict.fromkeys((default, PLAIN, *found.values()))
    named = {base: _named(found, others, base) for base in formats if format_of(base).scope != "experts"}
    base = min(named, key=lambda each: (len(named[each]), each != default))
    return None if base == PLAIN and not named[base] else Stored(format=base, parts=named[base])


_USUAL = ("experts", "shared_expert")  # names that are taken before others for as many matrices


def _named(found: Mapping[Words, str], others: list[Words], base: str) -> dict[str, str]:
    """Names of parts for all matrices that are not in the format `base`."""
    parts: dict[str, str] = {}
    left = {place for place, name in found.items() if name != base}
    while left:
        best: tuple[int, bool, int, str] | None = None
        for selector in {each for place in left for each in _selectors(place)}:
            covered = [place for place in found if fits(selector, place)]
            means_others = any(fits(selector, place) for place in others)
            if len({found[place] for place in covered}) == 1 and not means_others:
                rank = (-len(left.intersection(covered)), selector not in _USUAL, len(selector), selector)
                best = rank if best is None else min(best, rank)
        if best is None:
            raise _UnreadError("matrices of one name in several formats")
        covered = [place for place in found if fits(best[-1], place)]
        parts[best[-1]] = found[covered[0]]
        left.difference_update(covered)
    return parts


def _selectors(place: Words) -> Iterator[str]:
    """Names that fit a part, from those of many parts to its own."""
    role, *_, part = place
    inner = place[2:-1]  # its variant, and what it is inside of
    yield role
    yield from inner
    yield from (f"{role}.{word}" for word in inner)
    yield from (part, f"{role}.{part}")
    yield from (f"{word}.{part}" for word in inner)
    yield ".".join(place[1:])
