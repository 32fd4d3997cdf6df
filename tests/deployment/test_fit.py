"""Which layout is best, what fits, and what is said if nothing does."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from strategies import specs

from llmarch_cli.deployment import bounds
from llmarch_cli.deployment.chips import Machines, chip, machines
from llmarch_cli.deployment.fit import Fit, Option, Question, Sizes, fit, fits
from llmarch_cli.deployment.layouts import Layout, layouts, per_device
from llmarch_cli.errors import InputError
from llmarch_cli.models import load
from llmarch_cli.profilers.cost import Workload
from llmarch_cli.specs.spec import ModelSpec


def answered(spec: str | ModelSpec, on: str | Machines, context: int = 8192, **asked: Any) -> Fit:
    workload = Workload(context, weights=asked.pop("weights", "native"), kv_dtype=asked.pop("kv_dtype", "bf16"))
    model = load(spec) if isinstance(spec, str) else spec
    where = machines(on) if isinstance(on, str) else on
    return fit(Sizes(model, Question(workload, **asked)), where)


def fits_at(found: Fit, layout: Layout, batch: int, context: int | None = None) -> bool:
    """Whether the device that holds most has room, by its bytes alone."""
    workload = replace(found.question.workload, batch=batch, context=context or found.question.workload.context)
    return all(stage.total <= found.room for stage in per_device(found.spec, workload, layout).stages)


@pytest.mark.parametrize(
    ("name", "on"), [("qwen3-30b-a3b", "2xh100"), ("deepseek-v3", "8xh200"), ("qwen3.5-27b", "4xa100-40gb")]
)
def test_the_most_sequences_fit_and_one_more_does_not(name: str, on: str) -> None:
    found = answered(name, on, 32_768)
    every = list(layouts(found.spec, found.machines.n_devices, found.machines.per_node, found.question.workload))
    assert found.layout in every
    assert fits_at(found, found.layout, found.batch)
    assert not any(fits_at(found, layout, found.batch + 1) for layout in every)
    assert found.missing == 0
    equals = [layout for layout in every if fits_at(found, layout, found.batch)]
    times = [bounds.decode_step(found.sizes.model, replace(found.setting, layout=each), found.batch) for each in equals]
    assert found.step is not None
    assert found.step.seconds == min(step.seconds for step in times)


def test_a_given_batch_runs_in_the_fastest_layout() -> None:
    few, most = answered("deepseek-v3", "8xh200", batch=2), answered("deepseek-v3", "8xh200")
    assert few.batch == 2 < most.batch
    assert few.layout != most.layout
    assert few.step is not None
    for layout in few.sizes.candidates(few.machines):
        if fits_at(few, layout, 2):
            step = bounds.decode_step(few.sizes.model, replace(few.setting, layout=layout), 2)
            assert step.seconds >= few.step.seconds


def test_the_longest_context_fits_and_one_more_token_does_not() -> None:
    found = answered("llama3.1-70b", "2xh100", 1024)
    longest = found.longest_context
    assert longest is not None
    assert 1024 < longest < 131_072
    assert fits_at(found, found.layout, 1, longest)
    assert not fits_at(found, found.layout, 1, longest + 1)
    assert answered("llama3.1-8b", "h100", 1024).longest_context == 131_072  # the model's window
    assert answered("llama3.1-70b", "h100", 1024).longest_context is None


@pytest.mark.parametrize(("name", "batch"), [("llama3.1-70b", None), ("llama3.1-70b", 40), ("gpt-oss-120b", 300)])
def test_fewer_devices_do_not_hold_it(name: str, batch: int | None) -> None:
    found = answered(name, "8xh100", 32_768, batch=batch)
    fewest = found.fewest_devices
    assert fewest is not None
    workload = found.question.workload
    for n_devices in range(1, min(fewest, 8) + 1):
        every = layouts(found.spec, n_devices, n_devices, workload)
        assert any(fits_at(found, layout, batch or 1) for layout in every) == (n_devices == fewest)


def test_options_do_not_beat_each_other() -> None:
    found = answered("deepseek-v3", "8xh200", 131_072)
    assert found.options[0].layout == found.layout
    assert len(found.options) > 2
    for one in found.options:
        assert not any(other.beats(one) for other in found.options)
    best = Option(Layout(), 2, Fraction(1), Fraction(2))
    assert best.beats(replace(best, most_sequences=1))
    assert not best.beats(best)
    assert not best.beats(replace(best, most_sequences=1, rate=Fraction(3)))


def test_fixed_sizes_are_kept() -> None:
    found = answered("gpt-oss-120b", "8xh100", sizes={"tp": 2, "dp_attention": False})
    assert (found.layout.tp, found.layout.dp_attention) == (2, False)
    exact = answered(
        "gpt-oss-120b", "8xh100", sizes={"tp": 2, "pp": 1, "dp": 4, "ep": 8, "cp": 1, "dp_attention": True}
    )
    assert exact.layout == Layout(tp=2, dp=4, ep=8, dp_attention=True)


def test_the_reserve_is_kept_free() -> None:
    small, large = (answered("llama3.1-8b", "h100", reserve=Fraction(n, 100)) for n in (0, 50))
    assert small.reserve == 0
    assert large.reserve * 2 == large.memory
    assert small.most_sequences > large.most_sequences
    assert large.held.total + large.reserve + large.free == large.memory


def test_formats_change_what_fits() -> None:
    plain = answered("llama3.1-8b", "h100")
    assert answered("llama3.1-8b", "h100", weights="fp8").most_sequences > plain.most_sequences
    assert answered("llama3.1-8b", "h100", kv_dtype="fp8").most_sequences >= 2 * plain.most_sequences


def test_the_price_by_hand() -> None:
    found = answered("llama3.1-8b", "4xh100", price=Fraction(5, 2))
    assert found.rate is not None
    assert found.cost == Fraction(5, 2) * 4 / 3600 / found.rate * 10**6
    assert answered("llama3.1-8b", "4xh100").cost is None


def test_what_fits_nowhere_says_what_is_missing() -> None:
    question = Question(Workload(32_768, weights="native"))
    with pytest.raises(
        InputError, match=r"deepseek-v3 does not fit on 8xh100: 1 sequence of 32,768 .* bytes\) on a"
    ) as e:
        fits([load("deepseek-v3")], [machines("h100"), machines("8xh100")], question)
    assert "devices hold it" in str(e.value)
    found = fits([load("deepseek-v3"), load("gpt2")], [machines("8xh100")], question)
    assert [each.batch > 0 for each in found] == [False, True]
    (missing, other) = (each.missing for each in found)
    assert (missing > 0, other) == (True, 0)


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"sizes": {"tp": 3}}, "tp can be 1, 2, 4, 8, 16, 32 or 64"),
        ({"sizes": {"tp": 16}}, "there can be tp 1 or 2 or 4 or 8"),
        ({"sizes": {"ep": 4}}, "no layout of 8xh200 has ep 4; there can be ep 1"),
        ({"sizes": {"tp": 8, "pp": 2}}, "no layout of 8xh200 has tp 8, pp 2"),
        ({"batch": 0}, "batch must be a whole number from 1"),
        ({"reserve": Fraction(1)}, "less than 100%"),
        ({"skew": 11.0}, "the skew must be from 0 to 10"),
        ({"price": Fraction(-1)}, "the price must not be below 0"),
        ({"compute": "fp9"}, "no chip has a peak for 'fp9'"),
        ({"sizes": {"tq": 1}}, "unknown size of a layout 'tq'"),
    ],
)
def test_impossible_questions(asked: dict[str, Any], why: str) -> None:
    with pytest.raises(InputError) as error:
        fits([load("llama3.1-70b")], [machines("8xh200")], Question(Workload(8192), **asked))
    assert why in str(error.value)


@given(specs())
@settings(max_examples=60)
def test_any_model_on_a_small_chip(spec: ModelSpec) -> None:
    where = Machines(chip("t4"), per_node=1)
    found = answered(spec, where, 64, weights="bf16")
    if found.missing:
        assert found.held.total > found.room
        return
    assert found.step is not None
    assert found.step.seconds > 0
    assert found.held.total <= found.room
    assert found.batch == found.most_sequences
    assert found.step.n_bytes <= found.held.total
