"""What a fit says, by key: columns of a model on machines, each with the value that it takes from a `Fit`.

To add one: an entry below.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import partial
from operator import attrgetter

from llmarch_cli.deployment.bounds import Bound
from llmarch_cli.deployment.fit import Fit
from llmarch_cli.deployment.layouts import Layout
from llmarch_cli.report import units
from llmarch_cli.report.table import Column, Shown
from llmarch_cli.report.units import Unit, Value
from llmarch_cli.specs.storage import NATIVE


@dataclass(frozen=True, slots=True)
class Figure:
    """A column and its value, which is computed only where it is asked for: some figures take a search of their own."""

    column: Column
    value: Callable[[Fit], Value]


def weight_format(found: Fit) -> str:
    """The format of the weights; for `native`, all formats that the publisher uses."""
    name, shipped = found.question.workload.weights, found.spec.stored
    if name != NATIVE:
        return name
    return "bf16" if shipped is None else shipped.name


def _figure(
    key: str,
    title: str,
    unit: Unit,
    value: Callable[[Fit], Value],
    meaning: str,
    *,
    shown: Shown = "always",
    group: str = "",
) -> Figure:
    return Figure(Column(key, title, unit, meaning, shown, group), value)


def _if_it_fits(bound: Callable[[Fit], Bound | None], value: Callable[[Bound], Value]) -> Callable[[Fit], Value]:
    def found(of: Fit) -> Value:
        at = bound(of)
        return None if at is None else value(at)

    return found


def _step(value: Callable[[Bound], Value]) -> Callable[[Fit], Value]:
    return _if_it_fits(lambda found: found.step, value)


def _prompt(value: Callable[[Bound], Value]) -> Callable[[Fit], Value]:
    return _if_it_fits(lambda found: found.prompt, value)


def _padded_vocab(found: Fit) -> int:
    return found.question.engine_view.padded_vocab(found.spec.vocab_size, found.layout.tp)


def _size(name: str) -> Figure:
    unit = units.YES_NO if name == "dp_attention" else units.INTEGER
    return _figure(name, name.replace("_", " "), unit, attrgetter(f"layout.{name}"), "Of the layout.", shown="data")


# What is marked where the context, or the prompt, is longer than the model's context window.
_AT_CONTEXT = frozenset(
    (
        *("device_kv_cache_bytes", "batch", "most_sequences", "step_seconds", "user_tokens_per_second"),
        *("tokens_per_second", "price_per_million_tokens"),
    )
)


def marks(found: Fit) -> frozenset[str]:
    """The keys of the figures whose tokens are more than the model's context window."""
    window, workload = found.spec.context_length, found.question.workload
    decoded = _AT_CONTEXT if window is not None and workload.context > window else frozenset()
    prompt = window is not None and workload.of_prompt > window
    return decoded | {"first_token_seconds"} if prompt else decoded


_data = partial(_figure, shown="data")
_held = partial(_figure, group="bytes")
_fits = partial(_figure, group="fits")
_time = partial(_figure, group="step")
_rate = partial(_figure, group="rate")

FIGURES = (
    _figure("model", "model", units.TEXT, lambda of: of.spec.id, "The spec's id; for a YAML file its name."),
    _figure("machines", "on", units.TEXT, lambda of: str(of.machines), "The devices: nodes x devices x chip."),
    _figure(
        "layout",
        "layout",
        units.TEXT,
        lambda of: of.layout.words,
        "How the model is divided over the devices: the best of those asked for.",
    ),
    *(_size(each.name) for each in fields(Layout)),
    _data(
        "context_tokens",
        "context",
        units.TOKENS,
        lambda of: of.question.workload.context,
        "Tokens of each sequence.",
    ),
    _data(
        "beyond_context_window",
        "beyond context window",
        units.MARK,
        lambda of: bool(marks(of)),
        "Whether the context or the prompt is longer than the model's context window.",
    ),
    _data(
        "kv_dtype", "KV dtype", units.TEXT, lambda of: of.question.workload.kv_dtype, "How cached values are stored."
    ),
    _data("weight_format", "weight format", units.TEXT, weight_format, "How weights are stored."),
    _data(
        "page_tokens",
        "pages",
        units.TOKENS,
        lambda of: of.question.pages,
        "Tokens of a page, where the cache is in whole pages.",
    ),
    _data(
        "windows",
        "windows",
        units.TEXT,
        lambda of: of.question.windows,
        "What layers with windows keep besides what is in view.",
    ),
    _data(
        "vocab_multiple",
        "vocabulary",
        units.INTEGER,
        lambda of: of.question.pad_vocab,
        "The multiple to which it is padded.",
    ),
    _data(
        "head_multiple",
        "heads",
        units.INTEGER,
        lambda of: of.question.pad_heads,
        "The multiple to which cached values of each are padded.",
    ),
    _data("vocab_rows", "rows of the vocabulary", units.INTEGER, _padded_vocab, "With those that are padded."),
    _data(
        "copied_rows",
        "copied",
        units.TEXT,
        lambda of: ", ".join(of.sizes.division.copies(of.layout).names) or None,
        "Cached rows on more than one device of a sequence.",
    ),
    _held("memory_bytes", "memory", units.BYTES, lambda of: of.memory, "Of a device, as it reports it."),
    _held(
        "device_weight_bytes",
        "device weights",
        units.BYTES,
        lambda of: of.held.weights,
        "On the device that holds most.",
    ),
    _held(
        "device_kv_cache_bytes",
        "device KV cache",
        units.BYTES,
        lambda of: of.held.cache,
        "Cached rows of a device's sequences.",
    ),
    _held(
        "device_state_bytes",
        "device state",
        units.BYTES,
        lambda of: of.held.state,
        "States of a device's sequences.",
        shown="if any",
    ),
    _held("reserve_bytes", "reserve", units.BYTES, lambda of: of.reserve, "Left for what an engine needs besides."),
    _held("free_bytes", "free", units.BYTES, lambda of: of.free, "What nothing takes."),
    _held("missing_bytes", "missing", units.BYTES, lambda of: of.missing, "What a device lacks.", shown="if any"),
    _fits("batch", "batch", units.INTEGER, lambda of: of.batch, "Sequences at once: those asked for, or the most."),
    _fits(
        "most_sequences",
        "most sequences",
        units.INTEGER,
        lambda of: of.most_sequences,
        "How many fit at the context.",
    ),
    _fits(
        "longest_context_tokens",
        "longest context",
        units.TOKENS,
        lambda of: of.longest_context,
        "Of a sequence alone, at most the model's own window.",
    ),
    _fits(
        "fewest_devices",
        "fewest devices",
        units.INTEGER,
        lambda of: of.fewest_devices,
        "Of this chip, in any layout, for the sequences asked for, or for one.",
    ),
    _time(
        "step_seconds",
        "decode step",
        units.SECONDS,
        _step(lambda step: step.seconds),
        "At least, for a token of each sequence.",
    ),
    _time(
        "step_memory_seconds",
        "to read",
        units.SECONDS,
        _step(lambda step: step.memory),
        "Bytes over the bandwidth.",
    ),
    _time(
        "step_compute_seconds", "to compute", units.SECONDS, _step(lambda step: step.compute), "FLOPs over the peak."
    ),
    _time("step_binds", "step binds on", units.TEXT, _step(lambda step: step.binds), "What takes longer."),
    _time(
        "exchange_seconds",
        "to exchange",
        units.SECONDS,
        _step(lambda step: step.link),
        "Activations between devices, over the link. Not part of the bound.",
        shown="if any",
    ),
    _time(
        "compute_bound_batch",
        "compute binds from",
        units.INTEGER,
        lambda of: of.compute_batch,
        "The fewest sequences whose step takes longer to compute than to read, whether they fit or not.",
    ),
    _rate(
        "user_tokens_per_second", "tokens/s a user", units.RATE, lambda of: of.user_rate, "At most, of one sequence."
    ),
    _rate("tokens_per_second", "tokens/s in all", units.RATE, lambda of: of.rate, "At most, of all sequences."),
    _rate(
        "device_tokens_per_second",
        "tokens/s a device",
        units.RATE,
        lambda of: of.device_rate,
        "At most, of all sequences.",
        shown="data",
    ),
    _data(
        "prompt_tokens",
        "prompt",
        units.TOKENS,
        lambda of: of.question.workload.prompt_tokens,
        "Tokens of one prompt.",
        group="prompt",
    ),
    _figure(
        "first_token_seconds",
        "first token",
        units.SECONDS,
        _prompt(lambda prompt: prompt.seconds),
        "At least, for one prompt alone.",
        group="prompt",
    ),
    _figure(
        "first_token_binds",
        "prompt binds on",
        units.TEXT,
        _prompt(lambda prompt: prompt.binds),
        "What takes longer.",
        group="prompt",
    ),
    _data(
        "price_per_hour",
        "price of a device",
        units.PRICE,
        lambda of: of.question.price,
        "For an hour, as given.",
        group="price",
    ),
    _figure(
        "price_per_million_tokens",
        "price of 1M tokens",
        units.PRICE,
        lambda of: of.cost,
        "Of decoded tokens, at least: at the bound of tokens/s.",
        shown="if any",
        group="price",
    ),
)

BY_KEY = {each.column.key: each for each in FIGURES}


class Figures(Mapping[str, Value]):
    """The figures of a fit by key. Each is computed when it is first asked for: a table of many shows few of them."""

    def __init__(self, found: Fit) -> None:
        self._found = found
        self._known: dict[str, Value] = {}

    def __getitem__(self, key: str) -> Value:
        if key not in self._known:
            self._known[key] = BY_KEY[key].value(self._found)
        return self._known[key]

    @property
    def marked(self) -> frozenset[str]:
        """The keys of the figures that are beyond the model's context window."""
        return marks(self._found)

    def __iter__(self) -> Iterator[str]:
        return iter(BY_KEY)

    def __len__(self) -> int:
        return len(BY_KEY)
