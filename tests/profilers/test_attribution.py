from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import specs, workloads

import llmarch_cli as llmarch
from llmarch_cli.errors import CheckError
from llmarch_cli.profilers import attribution
from llmarch_cli.profilers.attribution import FIGURES, Difference, difference
from llmarch_cli.profilers.cost import COST_FIELDS, Workload
from llmarch_cli.specs.changes import changed
from llmarch_cli.specs.spec import ModelSpec

MODELS = ("deepseek-v3", "gemma3-27b", "gpt2", "grok-2.5", "kimi-k2", "llama4-scout", "gpt-oss-20b", "olmo2-1b")


def adds_up(found: Difference) -> None:
    for field in COST_FIELDS:
        before, after = getattr(found.before.total, field), getattr(found.after.total, field)
        assert sum(getattr(effect.cost, field) for effect in found.effects) == after - before
        assert getattr(found.cost, field) == after - before
        assert getattr(found.mtp, field) == getattr(found.after.mtp, field) - getattr(found.before.mtp, field)


@given(specs(), specs(), st.data())
def test_effects_add_up_to_the_whole_difference(before: ModelSpec, after: ModelSpec, data: st.DataObject) -> None:
    workload = replace(data.draw(workloads(after)), kv_dtype="bf16")  # groups may not divide the rows of the other
    adds_up(difference(before, after, workload, "closed-form"))


@pytest.mark.parametrize(("before", "after"), list(permutations(MODELS, 2)))
def test_effects_add_up_for_bundled_models(before: str, after: str) -> None:
    found = llmarch.diff(before, after, context=131_072, batch=3, engine="closed-form")
    adds_up(found)
    assert found


@given(specs())
def test_a_model_and_itself(spec: ModelSpec) -> None:
    found = difference(spec, spec, Workload(100), "closed-form")
    assert not found
    assert found.effects == ()


def test_the_effect_of_one_change_is_the_whole_difference() -> None:
    spec = llmarch.load("gemma3-27b")
    narrow = changed(spec, {"attention.variants.local.window": 512})
    found = llmarch.diff(spec, narrow)
    (effect,) = found.effects
    assert found.before.engine == "measured" or found.before.certificate is not None
    assert effect.cost.kv_cache_bytes == -52 * 512 * 2 * 16 * 128 * 2
    assert effect.cost.params == 0


def test_the_weightiest_comes_first() -> None:
    found = llmarch.diff("deepseek-v3", "llama4-maverick", engine="closed-form")
    shares = [
        max(
            abs(getattr(effect.cost, figure)) / max(getattr(found.before, figure), getattr(found.after, figure))
            for figure in FIGURES
        )
        for effect in found.by_weight
    ]
    assert shares == sorted(shares, reverse=True)
    assert sorted(effect.place for effect in found.by_weight) == list(range(1, len(shares) + 1))


def test_what_does_not_explain_the_difference_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attribution, "steps", lambda *_: [])
    with pytest.raises(CheckError, match="do not add up to the difference in params"):
        difference(llmarch.load("gpt2"), llmarch.load("gpt2-xl"), Workload(1), "closed-form")
