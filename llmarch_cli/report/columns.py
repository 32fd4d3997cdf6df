"""Every figure and fact that models are compared by. To add one: an entry below, in its group."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from operator import itemgetter
from typing import Any

from llmarch_cli.errors import InputError, shown, suggestion
from llmarch_cli.profilers.cost import DTYPE_BYTES
from llmarch_cli.profilers.profile import Profile
from llmarch_cli.report import layout, units
from llmarch_cli.report.table import Column, Table
from llmarch_cli.report.units import Fact, Value


@dataclass(frozen=True, kw_only=True)
class Metric(Column):
    """A column whose value follows from a profile.

    Attributes:
        value: from a profile to the figure or fact.
        ratio_of: for a ratio, the keys of the two figures it is made from.
        by_context: whether it depends on the context length.
    """

    value: Callable[[Profile], Fact]
    ratio_of: tuple[str, str] | None = None
    by_context: bool = False


def beyond_context_length(profile: Profile) -> bool:
    """Whether the workload's context is longer than what the model was made for."""
    made_for = profile.spec.context_length
    return made_for is not None and profile.workload.context > made_for


def ratio(part: int, whole: int) -> Fraction | None:
    """`part / whole`, exactly; None where there is no whole."""
    return Fraction(part, whole) if whole else None


_GROUPS: dict[str, tuple[Metric, ...]] = {
    "facts": (
        Metric("model", "model", units.TEXT, "The spec's id; for a YAML file its name.", value=lambda p: p.spec.id),
        Metric("name", "name", units.TEXT, "The full name.", "data", value=lambda p: p.spec.name),
        Metric(
            "organization", "organization", units.TEXT, "Who published it.", "data", value=lambda p: p.spec.organization
        ),
        Metric(
            "released", "released", units.DATE, "The day it was published.", "data", value=lambda p: p.spec.released
        ),
        Metric(
            "license",
            "license",
            units.TEXT,
            "What its weights are licensed under.",
            "data",
            value=lambda p: p.spec.license,
        ),
        Metric(
            "source", "source", units.TEXT, "Where the spec's values came from.", "data", value=lambda p: p.spec.source
        ),
    ),
    "shape": (
        Metric(
            "context_length",
            "made for",
            units.TOKENS,
            "The longest context it was made for, in tokens.",
            value=lambda p: p.spec.context_length,
        ),
        Metric(
            "n_layers",
            "layers",
            units.INTEGER,
            "Blocks, multi-token-prediction blocks not counted.",
            value=lambda p: p.spec.n_layers,
        ),
        Metric("d_model", "d_model", units.INTEGER, "Values of the residual stream.", value=lambda p: p.spec.d_model),
        Metric(
            "vocab_size", "vocabulary", units.INTEGER, "Rows of the input embedding.", value=lambda p: p.spec.vocab_size
        ),
        Metric(
            "tie_embeddings",
            "tied embeddings",
            units.YES_NO,
            "Whether the head's matrix is the input embedding.",
            value=lambda p: p.spec.tie_embeddings,
        ),
    ),
    "layout": (
        Metric(
            "layout",
            "layout",
            units.TEXT,
            "Attention and feed-forward in the fewest words.",
            "data",
            value=lambda p: layout.in_short(p.spec),
        ),
        Metric(
            "attention",
            "attention",
            units.TEXT,
            "What attention sees, with the number of layers for each.",
            value=lambda p: layout.attention(p.spec),
        ),
        Metric(
            "heads",
            "heads",
            units.TEXT,
            "Query heads : key and value heads x values a head.",
            value=lambda p: layout.heads(p.spec),
        ),
        Metric(
            "positions",
            "positions",
            units.TEXT,
            "How positions are told: RoPE with its base and scaling, NoPE, learned.",
            value=lambda p: layout.positions(p.spec),
        ),
        Metric(
            "ffn",
            "feed-forward",
            units.TEXT,
            "Feed-forward layers and their widths.",
            value=lambda p: layout.feed_forward(p.spec),
        ),
        Metric(
            "attention_pattern",
            "attention order",
            units.TEXT,
            "Where its attention differs by layer: which variant follows which, bottom to top.",
            "if any",
            value=lambda p: layout.pattern(p.spec, "attention"),
        ),
        Metric(
            "ffn_pattern",
            "feed-forward order",
            units.TEXT,
            "The same for its feed-forward layers.",
            "if any",
            value=lambda p: layout.pattern(p.spec, "ffn"),
        ),
        Metric(
            "norms",
            "norms",
            units.TEXT,
            "Norms around each sublayer, and those inside attention.",
            value=lambda p: layout.norms(p.spec),
        ),
    ),
    "settings": (
        Metric(
            "attention_settings",
            "attention settings",
            units.TEXT,
            "Other attention fields that are set.",
            "if any",
            value=lambda p: layout.settings(p.spec, "attention"),
        ),
        Metric(
            "ffn_settings",
            "feed-forward settings",
            units.TEXT,
            "Other feed-forward fields that are set.",
            "if any",
            value=lambda p: layout.settings(p.spec, "ffn"),
        ),
        Metric(
            "model_settings",
            "model settings",
            units.TEXT,
            "Other fields of the model that are set.",
            "if any",
            value=lambda p: p.spec.details,
        ),
    ),
    "parameters": (
        Metric(
            "params",
            "parameters",
            units.PARAMS,
            "Unique parameters of the text decoder: tied matrices once, multi-token prediction and buffers apart.",
            value=lambda p: p.params,
        ),
        Metric(
            "active_params",
            "active",
            units.PARAMS,
            "Parameters that one token touches: all but the idle experts, the whole input embedding included.",
            value=lambda p: p.active_params,
        ),
        Metric(
            "active_share",
            "active share",
            units.SHARE,
            "Active parameters of all parameters.",
            "reading",
            value=lambda p: ratio(p.active_params, p.params),
            ratio_of=("active_params", "params"),
        ),
        Metric(
            "active_params_without_input_embedding",
            "active, no input embedding",
            units.PARAMS,
            "Active parameters less the input embedding and learned positions; a tied embedding stays, as the head.",
            "data",
            value=lambda p: p.active_params_without_input_embedding,
        ),
        Metric(
            "active_params_without_embeddings",
            "active, no embeddings",
            units.PARAMS,
            "Active parameters less the input embedding, learned positions and the head.",
            "data",
            value=lambda p: p.active_params_without_embeddings,
        ),
        Metric(
            "mtp_params",
            "multi-token prediction",
            units.PARAMS,
            "What multi-token-prediction blocks store of their own: in no other figure.",
            "if any",
            value=lambda p: p.mtp_params,
        ),
        Metric(
            "buffers",
            "buffers",
            units.PARAMS,
            "Values stored with the weights but not learned: routers' load-balancing biases. In no other figure.",
            "if any",
            value=lambda p: p.buffers,
        ),
        Metric(
            "weight_bytes",
            "weights in bf16",
            units.BYTES,
            "All parameters at 2 bytes each.",
            value=lambda p: p.params * DTYPE_BYTES["bf16"],
        ),
    ),
    "KV cache": (
        Metric(
            "context_tokens",
            "context",
            units.TOKENS,
            "Tokens in view, the decoded one included.",
            "data",
            value=lambda p: p.workload.context,
        ),
        Metric(
            "batch",
            "batch",
            units.INTEGER,
            "Sequences; cache bytes are for all of them.",
            "data",
            value=lambda p: p.workload.batch,
        ),
        Metric(
            "kv_dtype",
            "cache dtype",
            units.TEXT,
            "What the cache stores its values as.",
            "data",
            value=lambda p: p.workload.kv_dtype,
        ),
        Metric(
            "kv_cache_bytes",
            "KV cache",
            units.BYTES,
            "Bytes the architecture must keep: windows keep their window, chunks their chunk, MLA its latents.",
            value=lambda p: p.kv_cache_bytes,
        ),
        Metric(
            "kv_fixed_bytes",
            "fixed",
            units.BYTES,
            "Of the KV cache, what windows and chunks have capped.",
            value=lambda p: p.kv_fixed_bytes,
        ),
        Metric(
            "kv_bytes_per_token",
            "per token",
            units.BYTES,
            "Of the KV cache, what one more token adds at this context.",
            value=lambda p: p.kv_bytes_per_token,
        ),
        Metric(
            "kv_cache_bytes_without_windows",
            "windows ignored",
            units.BYTES,
            "The KV cache if every layer kept every token, which is what many engines reserve.",
            value=lambda p: p.kv_cache_bytes_without_windows,
        ),
        Metric(
            "kv_cache_bytes_multi_head",
            "plain multi-head",
            units.BYTES,
            "The KV cache if, beyond that, every query head kept a key and a value of its own.",
            "data",
            value=lambda p: p.kv_cache_bytes_multi_head,
        ),
        Metric(
            "kv_times_smaller",
            "smaller than MHA",
            units.TIMES,
            "How many times smaller the KV cache is than that of plain multi-head attention in full view.",
            "reading",
            value=lambda p: ratio(p.kv_cache_bytes_multi_head, p.kv_cache_bytes),
            ratio_of=("kv_cache_bytes_multi_head", "kv_cache_bytes"),
        ),
        Metric(
            "beyond_context_length",
            "!",
            units.MARK,
            "Whether the context is beyond what the model was made for.",
            "data",
            value=beyond_context_length,
        ),
    ),
    "compute": (
        Metric(
            "flops_per_token",
            "FLOPs per token",
            units.FLOPS,
            "Decoding one token at this context: 2 a multiply-add, matrix and attention products, the head included.",
            value=lambda p: p.flops_per_token,
        ),
        Metric(
            "engine",
            "engine",
            units.TEXT,
            "Whose figures these are; where `measured`, the closed form gave the same.",
            "data",
            value=lambda p: p.engine,
        ),
    ),
}

_BY_CONTEXT = (
    "context_tokens kv_cache_bytes kv_fixed_bytes kv_bytes_per_token kv_cache_bytes_without_windows"
    " kv_cache_bytes_multi_head kv_times_smaller beyond_context_length flops_per_token".split()
)

METRICS = tuple(
    replace(metric, group=group, by_context=metric.key in _BY_CONTEXT)
    for group, metrics in _GROUPS.items()
    for metric in metrics
)

BY_KEY = {metric.key: metric for metric in METRICS}

MODEL = BY_KEY["model"]


def metric(key: str) -> Metric:
    """The metric of that key. Raises InputError where there is none."""
    if key not in BY_KEY:
        raise InputError(f"unknown column {shown(key)}{suggestion(key, BY_KEY) or '; `llmarch columns` lists all'}")
    return BY_KEY[key]


def check(keys: Sequence[str] = (), sort: str | None = None) -> None:
    """Raise InputError for columns that there are not, before anything is measured for them."""
    for key in (*keys, *([] if sort is None else [sort.removeprefix("-")])):
        metric(key)


def picked(keys: Sequence[str]) -> tuple[Metric, ...]:
    """The model and the metrics asked for, in that order, each of them shown. Raises InputError for unknown ones."""
    return (MODEL, *(replace(metric(key), shown="always") for key in dict.fromkeys(keys) if key != MODEL.key))


def sorted_by(profiles: Iterable[Profile], key: str) -> list[Profile]:
    """By a metric, upwards, or downwards with `-` before its key; those without a value last. Raises InputError."""
    value: Callable[[Profile], Any] = metric(key.removeprefix("-")).value
    pairs = [(value(profile), profile) for profile in profiles]
    known = sorted((pair for pair in pairs if pair[0] is not None), key=itemgetter(0), reverse=key.startswith("-"))
    return [profile for _, profile in (*known, *(pair for pair in pairs if pair[0] is None))]


def rows(profiles: Iterable[Profile], metrics: Sequence[Metric]) -> tuple[dict[str, Value], ...]:
    """Each metric of each profile."""
    return tuple({metric.key: metric.value(profile) for metric in metrics} for profile in profiles)


def listing(keys: Sequence[str] = ()) -> Table:
    """All metrics, or those asked for, with the convention behind each. Raises InputError for unknown ones."""
    columns = (
        Column("key", "column", units.TEXT),
        Column("convention", "what it says", units.TEXT),
        Column("title", "heading", units.TEXT),
        Column("group", "group", units.TEXT, shown="data"),
    )
    chosen = [metric(key) for key in keys] or METRICS
    return Table(
        "columns", columns, tuple({c.key: getattr(m, c.key) for c in columns} for m in chosen), may_drop=("title",)
    )
