"""Every metric that models are compared by. To add one: its line in `_GROUPS` and its convention below it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from operator import attrgetter, itemgetter
from typing import Any

from llmarch_cli.profilers.cost import Workload
from llmarch_cli.profilers.profile import Profile
from llmarch_cli.report import highlights, layout, names
from llmarch_cli.report.table import Column, Shown, Table
from llmarch_cli.report.units import (
    BITS,
    BYTES,
    DATE,
    FLOPS,
    INTEGER,
    MARK,
    PARAMS,
    SHARE,
    TEXT,
    TIMES,
    TOKENS,
    YES_NO,
    Fact,
    Unit,
    Value,
)
from llmarch_cli.specs.storage import NATIVE, PLAIN


@dataclass(frozen=True, kw_only=True)
class Metric(Column):
    """A column computed from a profile.

    Attributes:
        value: the value for one profile.
        by_context: whether it depends on the context length.
        is_linear: whether it grows linearly with the rows in view, so that its line says it at every context.
        ratio_of: for a ratio, the keys of its two metrics: part and whole.
        is_marked: whether it is marked for readers where the context is longer than the model's own.
    """

    value: Callable[[Profile], Fact]
    by_context: bool = False
    is_linear: bool = True
    ratio_of: tuple[str, str] | None = None
    is_marked: bool = False


def beyond_context_window(profile: Profile) -> bool:
    """Whether the workload's context is longer than the model's context window."""
    window = profile.spec.context_length
    return window is not None and profile.workload.longest > window


def marks(profiles: Iterable[Profile], metrics: Sequence[Metric]) -> tuple[frozenset[str], ...]:
    """For each profile, the keys of the metrics whose tokens are more than the model's context window."""
    return tuple(beyond(profile.spec.context_length, profile.workload, metrics) for profile in profiles)


def beyond(window: int | None, workload: Workload, metrics: Iterable[Metric]) -> frozenset[str]:
    """The keys of the metrics whose tokens are more than a context window; none if it is not known."""
    return frozenset(
        metric.key
        for metric in metrics
        if metric.is_marked
        and window is not None
        and window < (workload.context if metric.is_linear else workload.of_prompt)
    )


def _metric(
    key: str,
    title: str,
    unit: Unit,
    shown: Shown = "always",
    value: str | Callable[[Profile], Fact] | None = None,
    *,
    by_context: bool = False,
    is_linear: bool = True,
    ratio_of: tuple[str, str] | None = None,
    is_marked: bool = False,
) -> Metric:
    """A metric. Its value is the profile's attribute `value`, or if that is None the ratio or the attribute `key`."""
    if ratio_of is not None and value is None:
        value = _ratio(*map(attrgetter, ratio_of))
    elif not callable(value):
        value = attrgetter(value or key)
    return Metric(
        key,
        title,
        unit,
        _CONVENTIONS[key],
        shown,
        value=value,
        by_context=by_context,
        is_linear=is_linear,
        ratio_of=ratio_of,
        is_marked=is_marked,
    )


def _at_context(key: str, title: str, unit: Unit, shown: Shown = "always") -> Metric:
    """An amount at the context."""
    return _metric(key, title, unit, shown, by_context=True, is_marked=True)


def _of_sequence(
    key: str, title: str, shown: Shown, unit: Unit = FLOPS, ratio_of: tuple[str, str] | None = None
) -> Metric:
    """A metric of a whole prompt or training sequence. It is as long as the context if no length is asked."""
    return _metric(
        *(key, title, unit, shown, key), by_context=True, is_linear=False, ratio_of=ratio_of, is_marked=unit is FLOPS
    )


def ratio(part: int, whole: int) -> Fraction | None:
    """`part / whole`, exactly; None if `whole` is 0."""
    return Fraction(part, whole) if whole else None


def _ratio(part: Callable[[Profile], int], whole: Callable[[Profile], int]) -> Callable[[Profile], Fact]:
    return lambda profile: ratio(part(profile), whole(profile))


def _of_spec(words: Callable[..., Fact], *arguments: str) -> Callable[[Profile], Fact]:
    """The value that `words` gives for a profile's spec."""
    return lambda profile: words(profile.spec, *arguments)


def _bits_per_weight(profile: Profile) -> Fraction | None:
    return None if profile.workload.weights == PLAIN else profile.bits_per_weight


# What exactly each metric counts, in a sentence.
_CONVENTIONS = {
    "model": "The spec's id; for a YAML file its name.",
    "name": "The full name.",
    "highlights": "What is special of the model, derived from its components; the most telling first.",
    "organization": "The publisher.",
    "released": "The date of publication.",
    "license": "The license of the weights.",
    "source": "The URL of the spec's values.",
    "context_window": "The longest context that the model supports, in tokens.",
    "n_layers": "Blocks, without multi-token-prediction blocks.",
    "d_model": "Width of the residual stream.",
    "vocab_size": "Rows of the input embedding.",
    "tie_embeddings": "Whether the head reuses the input embedding's matrix.",
    "layout": "Attention and feed-forward, abbreviated.",
    "mechanisms": "Kinds and properties that have a name, each as one word, as in `llmarch list --kind`.",
    "attention": "What attention sees, with the number of layers of each kind.",
    "heads": "Query heads : key and value heads x head width.",
    "positions": "Position encoding: RoPE with its base and scaling, NoPE, learned.",
    "ffn": "Feed-forward layers and their widths.",
    "attention_pattern": "The order of attention variants, bottom to top, if layers differ.",
    "ffn_pattern": "The order of feed-forward variants, bottom to top, if layers differ.",
    "norms": "Norms around each sublayer, and those inside attention.",
    "attention_settings": "Other attention fields that are set.",
    "ffn_settings": "Other feed-forward fields that are set.",
    "model_settings": "Other fields of the model that are set.",
    "params": "Unique parameters of the text decoder: tied matrices once; without multi-token prediction and buffers.",
    "active_params": "Parameters that one token uses: all but the idle experts; the whole input embedding counts.",
    "active_share": "Active parameters as a share of all parameters.",
    "active_params_without_input_embedding": "Active parameters without input embedding and learned positions; a tied"
    " embedding still counts, as the head.",
    "active_params_without_embeddings": "Active parameters without input embedding, learned positions and head.",
    "mtp_params": "Parameters of the multi-token-prediction blocks. Not in the other totals.",
    "buffers": "Stored values that are not learned: the routers' load-balancing biases. Not in the other totals.",
    "weight_bytes": "Bytes of all parameters as stored: at 2 bytes each, or in the format that `--weights` names, with"
    " its scales and zero points.",
    "weight_format": "The storage format of the weights; for `native`, what the publisher ships.",
    "bits_per_weight": "Stored bits of a parameter, on average.",
    "context_tokens": "Tokens in view, including the one being decoded.",
    "batch": "Sequences. Cache bytes are for all of them.",
    "kv_dtype": "The dtype of cached values.",
    "state_dtype": "The dtype of states, if they are not kept in their own.",
    "kv_cache_bytes": "Bytes of keys, values, latents and index keys that the architecture keeps: windows keep their"
    " window, chunks their chunk, MLA its latents.",
    "index_bytes": "The part of the KV cache that is index keys, which choose the tokens to attend to.",
    "state_bytes": "Bytes of states, the same at every context: recurrences in float32, the last inputs of convolutions"
    " in bfloat16.",
    "partial_bytes": "Bytes of the inputs of compressed rows that are not complete yet.",
    "cache_bytes": "All bytes kept between two tokens: KV cache, states and inputs of incomplete rows.",
    "kv_fixed_bytes": "The part of the KV cache that no longer grows: full windows and chunks.",
    "kv_bytes_per_token": "Bytes that one more token adds to the KV cache at this context.",
    "kv_cache_bytes_without_windows": "The KV cache if every layer kept every token, as many engines reserve it.",
    "kv_cache_bytes_multi_head": "The KV cache if, in addition, each query head kept its own key and value.",
    "kv_times_smaller": "How many times smaller the KV cache is than with multi-head attention over all tokens.",
    "beyond_context_window": "Whether the context is longer than the model's context window.",
    "flops_per_token": "FLOPs to decode one token at this context: 2 per multiply-add, matrix and attention products,"
    " head included.",
    "weight_flops_per_token": "The part of these FLOPs that is products with weights, and recurrences.",
    "context_flops_per_token": "The part of these FLOPs that is attention over the rows in view: scores, weighted sums,"
    " and an indexer's scores.",
    "prompt_tokens": "Tokens of the prompt, or of the training sequence, without the prefix.",
    "prefix_tokens": "Tokens before the prompt that are cached already.",
    "prefill_flops": "FLOPs of one prompt: each token against the tokens that it sees, the head for the last one only;"
    " latent attention in its expanded form.",
    "training_forward_flops": "FLOPs of the forward pass over one training sequence, the head at every token.",
    "training_backward_flops": "FLOPs of the backward pass: twice the forward pass.",
    "training_flops": "FLOPs of both passes over one training sequence, without recomputation.",
    "training_flops_per_token": "Training FLOPs of a sequence, divided by its tokens.",
    "engine": "The engine that counted. If `measured`, the closed form gave the same values.",
}

_MHA = ("kv_cache_bytes_multi_head", "kv_cache_bytes")

_GROUPS: dict[str, tuple[Metric, ...]] = {
    "facts": (
        _metric("model", "model", TEXT, value="spec.id"),
        _metric("name", "name", TEXT, "data", "spec.name"),
        _metric("highlights", "highlights", TEXT, "data", _of_spec(highlights.highlights)),
        _metric("organization", "organization", TEXT, "data", "spec.organization"),
        _metric("released", "released", DATE, "data", "spec.released"),
        _metric("license", "license", TEXT, "data", "spec.license"),
        _metric("source", "source", TEXT, "data", "spec.source"),
    ),
    "parameters": (
        _metric("params", "parameters", PARAMS),
        _metric("active_params", "active parameters", PARAMS),
        _metric("active_share", "active share", SHARE, "reading", ratio_of=("active_params", "params")),
        _metric("active_params_without_input_embedding", "active without input embedding", PARAMS, "data"),
        _metric("active_params_without_embeddings", "active without embeddings", PARAMS, "data"),
        _metric("mtp_params", "MTP parameters", PARAMS, "if any"),
        _metric("buffers", "buffers", PARAMS, "if any"),
        _metric("weight_bytes", "weights (bf16)", BYTES),
        _metric("weight_format", "weight format", TEXT, "data"),
        _metric("bits_per_weight", "bits per weight", BITS, "if any", _bits_per_weight),
    ),
    "KV cache": (
        _metric("context_tokens", "context", TOKENS, "data", "workload.context", by_context=True),
        _metric("batch", "batch", INTEGER, "data", "workload.batch"),
        _metric("kv_dtype", "KV dtype", TEXT, "data", "workload.kv_dtype"),
        _metric("state_dtype", "state dtype", TEXT, "data", "workload.state_dtype"),
        _at_context("kv_cache_bytes", "KV cache", BYTES),
        _metric("kv_fixed_bytes", "KV fixed part", BYTES, by_context=True),
        _metric("kv_bytes_per_token", "KV per token", BYTES, by_context=True),
        _at_context("kv_cache_bytes_without_windows", "KV without windows", BYTES),
        _metric("index_bytes", "index keys", BYTES, "if any", by_context=True),
        _metric("state_bytes", "state", BYTES, "if any"),
        _metric("partial_bytes", "incomplete rows", BYTES, "if any"),
        _at_context("cache_bytes", "KV cache and state", BYTES, "data"),
        _at_context("kv_cache_bytes_multi_head", "KV as MHA", BYTES, "data"),
        _metric("kv_times_smaller", "smaller than MHA", TIMES, "reading", by_context=True, ratio_of=_MHA),
        _metric("beyond_context_window", "beyond context window", MARK, "data", beyond_context_window, by_context=True),
    ),
    "compute": (
        _at_context("flops_per_token", "FLOPs per token", FLOPS),
        _metric("weight_flops_per_token", "weight FLOPs", FLOPS),
        _at_context("context_flops_per_token", "context FLOPs", FLOPS),
        _of_sequence("prompt_tokens", "prompt", "data", TOKENS),
        _metric("prefix_tokens", "prefix", TOKENS, "data", "workload.prefix"),
        _of_sequence("prefill_flops", "prefill FLOPs", "always"),
        _of_sequence("training_forward_flops", "training forward FLOPs", "data"),
        _of_sequence("training_backward_flops", "training backward FLOPs", "data"),
        _of_sequence("training_flops", "training FLOPs", "data"),
        _of_sequence(
            "training_flops_per_token", "training FLOPs per token", "data", ratio_of=("training_flops", "prompt_tokens")
        ),
        _metric("engine", "engine", TEXT, "data"),
    ),
    "shape": (
        _metric("context_window", "context window", TOKENS, value="spec.context_length"),
        _metric("n_layers", "layers", INTEGER, value="spec.n_layers"),
        _metric("d_model", "d_model", INTEGER, value="spec.d_model"),
        _metric("vocab_size", "vocabulary size", INTEGER, value="spec.vocab_size"),
        _metric("tie_embeddings", "tied embeddings", YES_NO, value="spec.tie_embeddings"),
    ),
    "layout": (
        _metric("layout", "layout", TEXT, "data", _of_spec(layout.in_short)),
        _metric("mechanisms", "mechanisms", TEXT, "data", _of_spec(highlights.tags)),
        _metric("attention", "attention", TEXT, value=_of_spec(layout.attention)),
        _metric("heads", "heads", TEXT, value=_of_spec(layout.heads)),
        _metric("positions", "positions", TEXT, value=_of_spec(layout.positions)),
        _metric("ffn", "feed-forward", TEXT, value=_of_spec(layout.feed_forward)),
        _metric("attention_pattern", "attention pattern", TEXT, "if any", _of_spec(layout.pattern, "attention")),
        _metric("ffn_pattern", "feed-forward pattern", TEXT, "if any", _of_spec(layout.pattern, "ffn")),
        _metric("norms", "norms", TEXT, value=_of_spec(layout.norms)),
    ),
    "settings": (
        _metric("attention_settings", "attention settings", TEXT, "if any", _of_spec(layout.settings, "attention")),
        _metric("ffn_settings", "feed-forward settings", TEXT, "if any", _of_spec(layout.settings, "ffn")),
        _metric("model_settings", "model settings", TEXT, "if any", "spec.details"),
    ),
}

METRICS = tuple(replace(metric, group=group) for group, metrics in _GROUPS.items() for metric in metrics)

BY_KEY = {metric.key: metric for metric in METRICS}

MODEL = BY_KEY["model"]


# Other words for metrics, which were headings once.
_ALSO_TYPED = {"params": "size", "active_params": "active"}

TITLES = {key: (metric.title, *([_ALSO_TYPED[key]] if key in _ALSO_TYPED else [])) for key, metric in BY_KEY.items()}

# Keys of the version before, each with its new one. They are read for one version, with a note.
RENAMED = {"context_length": "context_window", "beyond_context_length": "beyond_context_window"}


def metric(key: str) -> Metric:
    """The metric of that key or heading. Raises InputError if it is unknown, and warns if it was renamed."""
    if key in RENAMED:
        warnings.warn(
            f"column {key} is now {RENAMED[key]}; the old name is read for this version only",
            FutureWarning,
            stacklevel=2,
        )
        key = RENAMED[key]
    if key in BY_KEY:
        return BY_KEY[key]
    return BY_KEY[names.key_of(key, TITLES, hint="; `llmarch columns` lists all")]


def require(keys: Sequence[str] = (), sort: str | None = None) -> None:
    """Raise InputError for unknown columns, before measuring."""
    for key in (*keys, *([] if sort is None else [sort.removeprefix("-")])):
        metric(key)


def picked(keys: Sequence[str]) -> tuple[Metric, ...]:
    """The model and the metrics of `keys`, in that order, all shown. Raises InputError for unknown keys."""
    chosen = dict.fromkeys((MODEL, *map(metric, keys)))
    return tuple(replace(each, shown="always") for each in chosen)


def titled(metrics: Iterable[Metric], *workloads: Workload) -> tuple[Metric, ...]:
    """The metrics, with the storage format of these workloads in the title of `weight_bytes`.

    For `native` the format of each model is shown too.
    """
    formats = list(dict.fromkeys(workload.weights for workload in workloads))
    changes: dict[str, dict[str, Any]] = {}
    if formats not in ([], [PLAIN]):
        changes["weight_bytes"] = {"title": f"weights ({formats[0]})" if len(formats) == 1 else "weights"}
    if NATIVE in formats:
        changes["weight_format"] = {"shown": "always"}
    return tuple(replace(each, **changes[each.key]) if each.key in changes else each for each in metrics)


def sorted_by(profiles: Iterable[Profile], key: str) -> list[Profile]:
    """Sort by a metric, ascending, or descending with a leading `-`; missing values last. Raises InputError."""
    value: Callable[[Profile], Any] = metric(key.removeprefix("-")).value
    pairs = [(value(profile), profile) for profile in profiles]
    known = sorted((pair for pair in pairs if pair[0] is not None), key=itemgetter(0), reverse=key.startswith("-"))
    return [profile for _, profile in (*known, *(pair for pair in pairs if pair[0] is None))]


def rows(profiles: Iterable[Profile], metrics: Sequence[Metric]) -> tuple[dict[str, Value], ...]:
    """The value of each metric for each profile."""
    return tuple({metric.key: metric.value(profile) for metric in metrics} for profile in profiles)


def listing(keys: Sequence[str] = ()) -> Table:
    """A table of all metrics, or those of `keys`, with their conventions. Raises InputError for unknown keys."""
    columns = (
        Column("key", "column", TEXT),
        Column("title", "heading", TEXT),
        Column("convention", "what it counts", TEXT),
        Column("group", "group", TEXT, shown="data"),
    )
    chosen = [metric(key) for key in keys] or METRICS
    rows_of = tuple({column.key: getattr(each, column.key) for column in columns} for each in chosen)
    return Table("columns", columns, rows_of, keeps_whole=True)
