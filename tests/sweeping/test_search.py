"""A sweep's figures are the closed form's, one by one, and what it skips is what no spec can be."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from operator import le, truediv
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from strategies import specs, workloads

import llmarch_cli as llmarch
from llmarch_cli.errors import CheckError, InputError
from llmarch_cli.profilers.cost import Workload
from llmarch_cli.report.columns import metric
from llmarch_cli.specs.changes import changed
from llmarch_cli.specs.spec import Layout, ModelSpec
from llmarch_cli.sweeping.axes import axes
from llmarch_cli.sweeping.designs import priced
from llmarch_cli.sweeping.pricing import COUNTS, RATIOS, Figures, Pricing
from llmarch_cli.sweeping.rules import Rule, _asked
from llmarch_cli.sweeping.run import columns
from llmarch_cli.sweeping.search import Answer, Question, Search
from llmarch_cli.sweeping.selection import Goal

Vary = dict[str, list[Any]]

COLUMNS = tuple(key for key in (*COUNTS, *RATIOS) if key != "context_window")

WHOLE = st.lists(st.integers(1, 40) | st.sampled_from((64, 1024)), min_size=1, max_size=4, unique=True)
EVEN = st.lists(st.integers(1, 20).map(lambda half: 2 * half), min_size=1, max_size=3, unique=True)
OPTIONAL = st.lists(st.none() | st.integers(1, 40), min_size=1, max_size=4, unique=True)
TRUTH = st.permutations((True, False))
FACTORS = st.lists(st.floats(0.5, 2.0), min_size=1, max_size=2, unique=True)

OF_MODEL = {
    "d_model": WHOLE,
    "n_layers": WHOLE,
    "vocab_size": WHOLE,
    "tie_embeddings": TRUTH,
    "learned_positions": OPTIONAL,
    "n_mtp_blocks": st.lists(st.integers(0, 3), min_size=1, max_size=3, unique=True),
    "norm.bias": TRUTH,
    "norm.kind": st.permutations(("rms", "layer")),
    "norm_placement": st.permutations(("pre", "post", "sandwich")),
    "logit_scale": FACTORS,
}
OF_KIND: dict[str, dict[str, Any]] = {
    "gqa": {
        **dict.fromkeys(("n_heads", "n_kv_heads", "head_dim"), WHOLE),
        **dict.fromkeys(("window", "chunk"), OPTIONAL),
        **dict.fromkeys(("qkv_bias", "sinks"), TRUTH),
        "rotary_dim": EVEN,
        "qk_norm": st.permutations((None, "full", "per_head", "weightless")),
    },
    "mla": {
        **dict.fromkeys(("n_heads", "kv_lora_rank", "v_head_dim"), WHOLE),
        "q_lora_rank": OPTIONAL,
        "qk_rope_head_dim": EVEN,
    },
    "compressed": dict.fromkeys(("q_lora_rank", "o_lora_rank"), WHOLE),
    "gated_deltanet": dict.fromkeys(("n_k_heads", "n_v_heads", "k_head_dim", "v_head_dim"), WHOLE),
    "kda": dict.fromkeys(("n_heads", "head_dim"), WHOLE),
    "lightning": dict.fromkeys(("n_heads", "head_dim"), WHOLE),
    "mamba": dict.fromkeys(("width", "d_state", "step_rank"), WHOLE),
    "mamba2": dict.fromkeys(("n_heads", "head_dim", "d_state", "n_groups"), WHOLE),
    "rg_lru": dict.fromkeys(("width", "n_blocks"), WHOLE),
    "rwkv4": {"width": WHOLE},
    "shared_block": dict.fromkeys(("n_heads", "d_ff", "adapter_rank"), WHOLE),
    "short_conv": {"bias": TRUTH},
    "channel_mixing": {"d_ff": WHOLE},
    "dense": {"d_ff": WHOLE, "gated": TRUTH, "clamp": FACTORS},
    "moe": {
        **dict.fromkeys(("n_experts", "top_k", "d_ff"), WHOLE),
        **dict.fromkeys(("n_groups", "top_k_groups", "n_zero_experts"), OPTIONAL),
        "selection_bias": TRUTH,
        "shared_expert.d_ff": WHOLE,
        "group_score": st.permutations(("max", "top2_sum")),
    },
    "parallel": {"scale": FACTORS},
    "shortcut": {"own.d_ff": WHOLE},
}


def fields(spec: ModelSpec) -> dict[str, Any]:
    """The paths of `spec` that can vary, with what they may be."""
    found: dict[str, Any] = dict(OF_MODEL)
    for axis in ("attention", "ffn"):
        value = getattr(spec, axis)
        inside = (
            {f"variants.{name}.": each for name, each in value.variants.items()}
            if isinstance(value, Layout)
            else {"": value}
        )
        for above, component in inside.items():
            varied = OF_KIND[component.kind] if component.kind != "parallel" or axis == "ffn" else {}
            for name, values in varied.items():
                if not name.startswith("shared_expert.") or component.shared_expert is not None:
                    found[f"{axis}.{above}{name}"] = values
            for name, branch in getattr(component, "branches", {}).items():
                if axis == "ffn":
                    found[f"{axis}.{above}branches.{name}.d_ff"] = OF_KIND[branch.kind]["d_ff"]
    return found


@st.composite
def sweeps(draw: DrawFn) -> tuple[ModelSpec, Vary, Workload]:
    spec = draw(specs())
    known = fields(spec)
    paths = draw(st.lists(st.sampled_from(sorted(known)), min_size=1, max_size=4, unique=True))
    return spec, {path: list(draw(known[path])) for path in paths}, draw(workloads(spec))


def answered(question: Question) -> tuple[Search, Answer]:
    search, total = Search(question), Answer()
    for chunk in range(search.n_chunks):
        search.merge(total, search.answer(chunk))
    return search, total


WORKLOAD = Workload(4096)


def asked(base: ModelSpec, vary: Vary, workload: Workload = WORKLOAD, **settings: Any) -> Question:
    return Question(base, axes(base, vary), workload, **{"columns": COLUMNS, **settings})


@given(sweeps(), st.sampled_from((1, 7, 1000)))
@settings(max_examples=60)
def test_each_variant_costs_what_its_own_spec_costs(sweep: tuple[ModelSpec, Vary, Workload], block: int) -> None:
    base, vary, workload = sweep
    search, total = answered(asked(base, vary, workload, block=block, chunk=block))
    found = columns(search.question, search.grid, search.rows(total))
    ours = {tuple(row[: len(vary)]): row for row in zip(*found.values(), strict=True)}
    assert len(ours) == total.met

    refused = 0
    for values in product(*vary.values()):
        try:
            spec = changed(base, dict(zip(vary, values, strict=True)))
        except InputError:
            refused += 1
            continue
        profile = priced(spec, workload)
        # null stands for the field's default
        row = ours[tuple(_held(spec, path) for path in vary)]
        for key, value in zip(found, row, strict=True):
            if key in COLUMNS:
                true: Any = metric(key).value(profile)
                assert value == (float(true) if key in RATIOS and true is not None else true), key
    assert total.refused.total() == refused
    assert total.points == refused + total.met


def _held(spec: ModelSpec, path: str) -> Any:
    value: Any = spec
    for step in path.split("."):
        value = value[step] if isinstance(value, dict) else getattr(value, step)
    return value


@pytest.fixture(scope="module")
def moe() -> ModelSpec:
    return llmarch.load("qwen3-235b-a22b")


VARY: Vary = {
    "n_layers": [24, 48, 94],
    "ffn.n_experts": [4, 32, 128],
    "ffn.top_k": [2, 8, 16],
    "attention.n_kv_heads": [1, 3, 4, 8],
    "d_model": [1024, 2048, 4096],
}


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"sort": Goal("params", largest=True), "top": 7},
        {"pareto": (Goal("params", True), Goal("kv_cache_bytes"))},
        {"sort": Goal("active_share")},
        {"sample": 100, "seed": 3},
    ],
)
def test_rows_are_the_same_in_chunks_of_any_size(moe: ModelSpec, more: dict[str, Any]) -> None:
    question = asked(moe, VARY, where="params <= 100B", **more)
    results = []
    for size in (1, 7, 1000):
        search, total = answered(replace(question, block=size, chunk=size * 3))
        rows = search.rows(total)
        results.append(
            (total.points, total.refused, total.met, rows.positions.tolist(), rows.figures["params"].tolist())
        )
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("block", [5, 60, 1000])
def test_the_front_of_all_blocks_is_what_no_variant_is_better_than(moe: ModelSpec, block: int) -> None:
    goals = (Goal("params", True), Goal("kv_cache_bytes"), Goal("flops_per_token"), Goal("active_share"))
    question = asked(moe, VARY, where="params <= 100B")
    _, total = answered(question)
    assert total.rows is not None
    every = total.rows.figures
    points = list(
        zip(
            (-every["params"]).tolist(),
            every["kv_cache_bytes"].tolist(),
            every["flops_per_token"].tolist(),
            map(truediv, every["active_params"].tolist(), every["params"].tolist()),
            strict=True,
        )
    )
    best = [
        place
        for place, mine in enumerate(points)
        if not any(
            all(map(le, other, mine)) and (other != mine or before < place) for before, other in enumerate(points)
        )
    ]
    assert 2 < len(best) < len(points)
    _, on_front = answered(replace(question, pareto=goals, block=block, chunk=2 * block))
    assert on_front.rows is not None
    assert on_front.rows.positions.tolist() == total.rows.positions[best].tolist()


def test_what_is_refused_is_counted_with_its_reason(moe: ModelSpec) -> None:
    _, total = answered(asked(moe, VARY))
    assert total.points == 324
    assert total.refused == {
        "attention: n_heads must be a multiple of n_kv_heads": 63,
        "ffn: top_k must not exceed n_experts": 72,
    }


def test_a_rule_is_asked_for_no_more_fields_than_it_reads(moe: ModelSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    asked_about = []

    def noted(*args: Any) -> Rule:
        found = _asked(*args)
        asked_about.append({search.axes[axis].path for axis in found.axes})
        return found

    monkeypatch.setattr("llmarch_cli.sweeping.rules._asked", noted)
    search = Search(asked(moe, {**VARY, "attention.head_dim": [64, 128], "ffn.d_ff": [512, 1024]}))
    assert search.n_chunks == 1
    assert search._rules.reasons
    assert {"ffn.n_experts", "ffn.top_k"} in asked_about
    assert all(len(paths) <= 2 for paths in asked_about), asked_about


def test_beyond_64_bits_integers_stay_exact(moe: ModelSpec) -> None:
    widest = {"d_model": [2**19, 2**20], "ffn.n_experts": [128, 2**20], "ffn.d_ff": [2**20], "n_layers": [94, 1000]}
    search, total = answered(asked(moe, widest, sort=Goal("params", largest=True), where="params * 3 > 0"))
    largest = {path: max(values) for path, values in widest.items()}
    true = priced(changed(moe, largest), WORKLOAD).params
    assert true > 2**63
    rows = search.rows(total)
    assert rows.figures["params"].tolist()[0] == true
    assert total.met == 8


def test_integers_between_63_and_64_bits_stay_exact_beside_smaller_ones(moe: ModelSpec) -> None:
    """NumPy takes such a number as unsigned, and joins unsigned and signed ones as floating-point numbers."""
    depths = [1, 300, 500]
    question = asked(moe, {"n_layers": depths}, Workload(2**30 - 1, 8191, "fp32"), sort=Goal("kv_cache_bytes", True))
    search, total = answered(question)
    found = search.rows(total).figures["kv_cache_bytes"].tolist()
    one_layer = priced(changed(moe, {"n_layers": 1}), question.workload).kv_cache_bytes
    assert found == [one_layer * depth for depth in sorted(depths, reverse=True)]
    assert found[2] < 2**63 < found[0] < 2**64
    assert {type(value) for value in found} == {int}


def test_a_figure_that_differs_stops_the_sweep(moe: ModelSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    right = Figures.at

    def wrong(self: Any, name: str, chosen: Any) -> Any:
        return right(self, name, chosen) + (name == "params")

    monkeypatch.setattr(Figures, "at", wrong)
    with pytest.raises(CheckError, match=r"n_layers=.*params is .* in the sweep, but .* in the closed form"):
        answered(asked(moe, VARY))


@pytest.mark.parametrize(("code", "message"), [(1, "skips .*, a valid spec"), (0, "accepts .*, an invalid spec")])
def test_a_rule_that_differs_stops_the_sweep(
    moe: ModelSpec, monkeypatch: pytest.MonkeyPatch, code: int, message: str
) -> None:
    search = Search(asked(moe, VARY))
    monkeypatch.setattr(search._rules, "broken", lambda indices: np.full((), code, np.int32))
    search._rules.reasons.append("no reason")
    with pytest.raises(CheckError, match=message):
        search.answer(0)


def test_a_context_window_that_the_base_lacks_is_an_error(moe: ModelSpec) -> None:
    lacking = moe.model_copy(update={"context_length": None})
    with pytest.raises(InputError, match=r"'context_window': .* has no context_length"):
        Search(asked(lacking, VARY, columns=("context_window",)))


def test_samples_are_without_repetition_and_the_same_again(moe: ModelSpec) -> None:
    search = Search(asked(moe, VARY, sample=200, seed=5))
    drawn = search.grid.drawn(1000).tolist()
    assert len(set(drawn)) == len(drawn) == 200
    assert drawn == Search(asked(moe, VARY, sample=200, seed=5)).grid.drawn(1000).tolist()
    assert drawn != Search(asked(moe, VARY, sample=200, seed=6)).grid.drawn(1000).tolist()


def test_chunks_may_be_answered_at_the_same_time(moe: ModelSpec) -> None:
    """A worker with several threads has one search for them: another block comes between, at the worst moment."""
    search = Search(asked(moe, VARY, block=1, store=True))
    alone, other = (search._pricing.figures(block) for block in search.grid.blocks(range(0, search.grid.n_blocks, 200)))
    assert alone.profile.params != other.profile.params

    class Interrupted(Pricing):
        def __setattr__(self, name: str, value: Any) -> None:
            super().__setattr__(name, value)
            if name == "_latest" and value is not None and value[0] != tuple(other.values.values()):
                self.figures(other.block)

    pricing = Interrupted(search._pricing.base, search.axes, search._pricing.n_outer, WORKLOAD)
    assert pricing.figures(alone.block).profile.params == alone.profile.params


def test_a_chunk_holds_few_blocks_where_they_take_the_time(moe: ModelSpec) -> None:
    deep = Search(asked(moe, {"n_layers": list(range(1, 4000))}))
    assert deep.grid.n_blocks == 3999
    assert deep.n_chunks > 1
