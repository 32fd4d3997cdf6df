"""Both engines give the same figures for every valid spec, and the figures obey the laws of what they count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from math import lcm
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import (
    LONG_CONTEXT,
    Data,
    attention_kinds,
    feed_forward_kinds,
    gqa,
    recurrences,
    spans,
    spec_data,
    specs,
    workloads,
)

import llmarch_cli as llmarch
from llmarch_cli.components.attention import GroupedQueryAttention, MultiHeadLatentAttention
from llmarch_cli.components.attention.compressed import RowCompressor
from llmarch_cli.components.cache import Mixing
from llmarch_cli.components.component import Component, SharedWeights, views
from llmarch_cli.components.ffn import MixtureOfExperts
from llmarch_cli.components.frame import HeadTransform
from llmarch_cli.components.layer_inputs import LayerInputs
from llmarch_cli.components.record import Record
from llmarch_cli.components.residual import Connection
from llmarch_cli.components.residual.altup import (
    AlternatingUpdate,
    ProjectedClosing,
    ProjectedOpening,
    StreamProjections,
)
from llmarch_cli.components.residual.hyper_connections import HyperConnection, StreamsClosing, StreamsOpening
from llmarch_cli.components.residual.laurel import LowRankBranch
from llmarch_cli.profilers import closed_form
from llmarch_cli.profilers.cost import COST_FIELDS, DTYPE_BYTES, ENGINES, Cost, Workload
from llmarch_cli.profilers.profile import Profile, profile
from llmarch_cli.specs.spec import NONE, ModelSpec, Published
from llmarch_cli.specs.storage import Stored

SHORT = Workload(100)


def both(spec: ModelSpec, workload: Workload = SHORT) -> Profile:
    """The figures of both engines: `profile` compares each component and field."""
    seen, priced = profile(spec, workload, "measured"), profile(spec, workload, "closed-form")
    assert [cost for _, cost in seen.rows] == [cost for _, cost in priced.rows]
    return priced


# --- one answer -----------------------------------------------------------------------------------------------------


@settings(max_examples=200)
@given(st.data())
def test_the_engines_agree(data: st.DataObject) -> None:
    spec = data.draw(specs())
    both(spec, data.draw(workloads(spec)))


@given(gqa(), st.integers(1, 4))
def test_the_engines_agree_on_both_sides_of_every_edge(attention: Data, batch: int) -> None:
    spec = model(attention=attention)
    for edge in (*spans(spec), LONG_CONTEXT):
        for context in (max(1, edge - 1), edge, edge + 1):
            both(spec, Workload(context, batch))


# Records of specs; other files of this project have records too.
HOMES = ("llmarch_cli.specs.spec", *(f"llmarch_cli.components.{room}" for room in ("attention", "ffn", "residual")))


# What other records make: no file names them.
BUILT = {
    *(RowCompressor, HyperConnection, StreamsOpening, StreamsClosing),
    *(AlternatingUpdate, StreamProjections, ProjectedOpening, ProjectedClosing, LowRankBranch),
}


def test_drawn_specs_set_every_field() -> None:
    """Otherwise no test would cover a new field."""
    kinds: set[type[Record]] = set()
    seen: set[tuple[type[Record], str]] = set()

    def add(spec: ModelSpec) -> None:
        for record in records(spec):
            kinds.add(type(record))
            seen.update((type(record), name) for name in (*changed(record), "kind"))

    settings(max_examples=300)(given(specs())(add))()
    for kind in (*attention_kinds(), *recurrences()):
        settings(max_examples=50)(given(specs(attention=kind))(add))()
    for kind in feed_forward_kinds():
        settings(max_examples=40)(given(specs(ffn=kind))(add))()
    about_no_figure = {
        "organization",
        "source",
        "same_as",
        "released",
        "license",
        "context_length",
        "published",
        "stored",
    }
    expected = {
        (kind, name) for kind in kinds - {Published} for name in kind.field_defaults if name not in about_no_figure
    }
    assert expected <= seen
    in_homes = {kind for kind in subclasses(Record) if kind.__module__.startswith(HOMES)}
    every_record: set[type[Record]] = in_homes | {HeadTransform, LayerInputs, Stored}
    abstract = {kind for kind in every_record if kind is not ModelSpec and subclasses(kind) & every_record}
    assert kinds == every_record - abstract - {Connection, *BUILT}


def changed(record: Record) -> Iterator[str]:
    """The fields that are not at their defaults."""
    return (name for name, usual in record.field_defaults.items() if getattr(record, name) != usual)


def records(value: Any) -> Iterator[Record]:
    if isinstance(value, Record):
        yield value
        for name in type(value).field_defaults:
            yield from records(getattr(value, name))
    elif isinstance(value, dict):
        for inner in value.values():
            yield from records(inner)


def subclasses(kind: type[Record]) -> set[type[Record]]:
    return {inner for each in kind.__subclasses__() for inner in (each, *subclasses(each))}


# --- laws -----------------------------------------------------------------------------------------------------------


@given(st.data())
def test_weights_depend_on_neither_context_nor_batch(data: st.DataObject) -> None:
    spec = data.draw(specs())
    profiles = [profile(spec, data.draw(workloads(spec)), "measured") for _ in range(2)]
    for field in ("params", "active_params", "buffers", "mtp_params", "active_params_without_input_embedding"):
        assert len({getattr(each, field) for each in profiles}) == 1, field


@given(st.data())
def test_the_cache_is_fixed_bytes_plus_bytes_per_token(data: st.DataObject) -> None:
    spec = data.draw(specs())
    complete = lcm(*(view.stride for item in spec.inventory() for view in views(item.component)))  # all rows
    here = data.draw(workloads(spec))
    here = here.at(here.context * complete)
    now = both(spec, here)
    assert now.kv_cache_bytes == now.kv_fixed_bytes + now.kv_bytes_per_token * here.context
    assert now.kv_fixed_bytes >= 0
    assert now.kv_cache_bytes <= now.kv_cache_bytes_without_windows
    assert now.kv_cache_bytes_without_windows * complete % here.context == 0

    further = both(spec, here.at(here.context + 7 * complete))
    grown = further.kv_cache_bytes - now.kv_cache_bytes
    assert 0 <= grown <= 7 * complete * now.kv_bytes_per_token  # windows fill up on the way
    assert further.flops_per_token >= now.flops_per_token
    if now.kv_bytes_per_token == further.kv_bytes_per_token:
        assert grown == 7 * complete * now.kv_bytes_per_token


@given(st.data())
def test_the_cache_is_proportional_to_batch_and_bytes_of_a_value(data: st.DataObject) -> None:
    spec = data.draw(specs())
    context = data.draw(workloads(spec)).context
    one = both(spec, Workload(context, 1, "fp8"))
    for dtype, n_bytes in DTYPE_BYTES.items():
        three = both(spec, Workload(context, 3, dtype))
        assert three.kv_cache_bytes == 3 * n_bytes * one.kv_cache_bytes
        assert three.kv_cache_bytes_multi_head == 3 * n_bytes * one.kv_cache_bytes_multi_head
        assert three.flops_per_token == one.flops_per_token


@settings(max_examples=30)
@given(spec_data(), st.integers(2, 5))
def test_layers_add_up(data: Data, times: int) -> None:
    """A pattern repeated `times` as often costs `times` as much; the components around the layers do not change."""
    data["per_layer_embedding"] = None  # its table grows with the layers
    for axis in ("attention", "ffn"):
        if "variants" in data[axis]:
            layers = ModelSpec.model_validate(data).layers
            data[axis] |= {"first": [], "last": [], "repeat": [getattr(layer, axis) for layer in layers]}
    once, more = (ModelSpec.model_validate({**data, "n_layers": data["n_layers"] * n}) for n in (1, times))
    for (item, cost), (many, same_cost) in zip(both(once).rows, both(more).rows, strict=True):
        in_layers = item.role in ("attention", "ffn") or item.label.startswith(
            ("block norms", "layer scale", "laurel", "residual: attention", "residual: ffn", "residual: block")
        )
        in_layers &= not isinstance(item.component, SharedWeights)
        assert many.count == item.count * (times if in_layers else 1)
        assert (item.label, item.component, cost) == (many.label, many.component, same_cost)


@given(specs())
def test_every_sublayer_is_in_the_inventory(spec: ModelSpec) -> None:
    items = [item for item in spec.inventory() if not isinstance(item.component, SharedWeights)]
    for axis in ("attention", "ffn"):
        in_layers = Counter(getattr(layer, axis) for layer in spec.layers)
        del in_layers[NONE]
        assert sorted(item.count for item in items if item.role == axis) == sorted(in_layers.values())
    norms = [spec.block_norms(layer) for layer in spec.layers]
    n_normed = sum(each.attention or each.ffn for each in norms)
    assert sum(item.count for item in items if item.label.startswith("block norms")) == n_normed


@given(gqa(), st.integers(1, 300))
def test_a_view_as_wide_as_the_context_is_no_limit(attention: Data, context: int) -> None:
    attention = {name: value for name, value in attention.items() if name not in ("window", "chunk", "indexer")}
    full = both(model(attention=attention), Workload(context))
    for span in ("window", "chunk"):
        limited = both(model(attention={**attention, span: context}), Workload(context))
        assert limited.total == full.total
        narrower = both(model(attention={**attention, span: context}), Workload(context + 1))
        assert narrower.kv_cache_bytes == full.kv_cache_bytes
        assert narrower.kv_bytes_per_token == 0
        assert narrower.kv_fixed_bytes == full.kv_cache_bytes


@given(specs())
def test_tying_saves_one_matrix_and_no_work(spec: ModelSpec) -> None:
    tied, untied = (both(spec.model_copy(update={"tie_embeddings": tie}), Workload(10)) for tie in (True, False))
    assert untied.params - tied.params == spec.vocab_size * spec.d_model
    assert untied.flops_per_token == tied.flops_per_token
    assert untied.active_params_without_input_embedding == tied.active_params_without_input_embedding
    assert untied.active_params_without_embeddings == tied.active_params_without_embeddings


@given(specs())
def test_active_parameters_are_some_of_all(spec: ModelSpec) -> None:
    figures = both(spec, Workload(3))
    assert figures.active_params_without_embeddings <= figures.active_params_without_input_embedding
    assert figures.active_params_without_input_embedding <= figures.active_params <= figures.params
    if not any(isinstance(record, MixtureOfExperts) for record in records(spec)):
        assert figures.active_params == figures.params


# --- a disagreement is seen -----------------------------------------------------------------------------------------


def model(**fields: Any) -> ModelSpec:
    data: Data = {
        "name": "tiny",
        "d_model": 16,
        "n_layers": 2,
        "vocab_size": 100,
        "attention": GQA,
        "ffn": {"kind": "dense", "d_ff": 32},
    }
    return ModelSpec.model_validate(data | fields)


GQA = {"kind": "gqa", "n_heads": 4, "n_kv_heads": 2, "head_dim": 8}
MLA = {
    "kind": "mla",
    "n_heads": 2,
    "kv_lora_rank": 8,
    "qk_nope_head_dim": 4,
    "qk_rope_head_dim": 4,
    "v_head_dim": 4,
}
LAYOUT = {"repeat": ["a", "b"], "variants": {"a": MLA, "b": {**MLA, "n_heads": 3}}}


@pytest.mark.parametrize("field", COST_FIELDS)
def test_one_unit_of_difference_is_named(field: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = model(attention=LAYOUT, n_mtp_blocks=1)
    price = closed_form.measure
    for position, item in enumerate(spec.inventory()):

        def misprice(*arguments: Any, position: int = position) -> list[Cost]:
            costs = price(*arguments)
            costs[position] = costs[position]._replace(**{field: getattr(costs[position], field) + 1})
            return costs

        monkeypatch.setattr(closed_form, "measure", misprice)
        with pytest.raises(llmarch.CheckError) as caught:
            profile(spec, Workload(50), "measured")
        wrong = getattr(profile(spec, Workload(50), "closed-form").rows[position][1], field)  # alone, it sees nothing
        assert str(caught.value) == (
            f"tiny, {item.label}: the engines disagree on {field} at context 50:"
            f" measured {wrong - 1}, closed form {wrong}"
        )


@pytest.mark.parametrize(
    ("kind", "attention"), [(GroupedQueryAttention, GQA), (MultiHeadLatentAttention, MLA)], ids=["gqa", "mla"]
)
def test_a_wrong_formula_is_named(kind: type[Component], attention: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = model(attention=attention)
    right = profile(spec, Workload(50), "measured").rows[1][1].flops_per_token
    mixing = kind.mixing
    monkeypatch.setattr(kind, "mixing", lambda self: (*mixing(self), Mixing(1)))
    with pytest.raises(llmarch.CheckError, match=f"attention: .* flops_per_token .* measured {right}, closed form"):
        profile(spec, Workload(50), "measured")


@pytest.mark.parametrize(("context", "batch"), [(0, 1), (-1, 1), (2**40 + 1, 1), (1, 0), (1, 2**20 + 1), (1.0, 1)])
def test_impossible_workloads_are_refused(context: Any, batch: int) -> None:
    for engine in ENGINES:
        with pytest.raises(llmarch.InputError, match="must be a whole number from 1 to"):
            profile(model(), Workload(context, batch), engine)


# --- the largest models ---------------------------------------------------------------------------------------------


HUGE: Data = {
    "d_model": 2**20,
    "vocab_size": 2**40,
    "learned_positions": 2**40,
    "n_layers": 100_000,
    "n_mtp_blocks": 1000,
}
HUGE_MOE = {
    "kind": "moe",
    **dict.fromkeys(("n_experts", "top_k", "d_ff", "n_groups", "top_k_groups"), 2**20),
    "group_score": "max",
    "bias": True,
    "shared_expert": {"kind": "dense", "d_ff": 2**20, "bias": True},
}


@pytest.mark.parametrize("attention", [GQA | {"qk_norm": "full"}, MLA | {"q_lora_rank": 1}], ids=["gqa", "mla"])
def test_the_largest_model_is_counted_exactly(attention: Data) -> None:
    huge = {name: 2**20 if isinstance(value, int) else value for name, value in attention.items()}
    spec = model(attention=huge, ffn=HUGE_MOE, **HUGE)
    for workload in (Workload(1), Workload(1024)):
        assert both(spec, workload).params > 2**79
    for engine in ENGINES:
        with pytest.raises(llmarch.InputError, match=r"tiny, attention: context .* is more than one tensor can hold"):
            profile(spec, Workload(2**40, 2**20), engine)


@given(specs(), st.integers(1, 40), st.integers(0, 20))
def test_every_workload_is_counted_or_refused(spec: ModelSpec, context: int, batch: int) -> None:
    refused = pytest.raises(llmarch.InputError, match="more than one tensor can hold")
    workload = Workload(2**context, 2**batch)
    with nullcontext() if counted(spec, workload) else refused:
        both(spec, workload)


def counted(spec: ModelSpec, workload: Workload) -> bool:
    try:
        return bool(profile(spec, workload, "closed-form").rows)
    except llmarch.InputError:
        return False
