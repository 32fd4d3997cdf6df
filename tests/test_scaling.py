"""Work follows the distinct components of a spec: counted in calls, which are the same on every machine."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from llmarch_cli.components.attention import GroupedQueryAttention
from llmarch_cli.deployment.chips import machines
from llmarch_cli.deployment.fit import Question, fits
from llmarch_cli.drawings.model import MOST_COMPONENTS
from llmarch_cli.drawings.picture import apart, picture
from llmarch_cli.errors import InputError
from llmarch_cli.page import render
from llmarch_cli.profilers import verification, witnesses
from llmarch_cli.profilers.attribution import difference
from llmarch_cli.profilers.cost import Workload
from llmarch_cli.profilers.profile import MAX_CONTEXT, Profile, profile
from llmarch_cli.profilers.training import Training
from llmarch_cli.profilers.training_cost import training_cost
from llmarch_cli.report.comparison import comparison
from llmarch_cli.report.differences import differences
from llmarch_cli.report.formats.render import FORMATS
from llmarch_cli.report.formats.render import render as written
from llmarch_cli.report.plots import data
from llmarch_cli.report.sheet import sheet
from llmarch_cli.report.training import tables
from llmarch_cli.specs.spec import ModelSpec


def spec_of(n_variants: int, n_layers: int) -> ModelSpec:
    """A spec whose attention cycles through variants with a window each."""
    gqa = {"kind": "gqa", "n_heads": 4, "n_kv_heads": 2, "head_dim": 16, "rope_theta": 10_000}
    names = [f"v{i}" for i in range(n_variants)]
    variants = {name: {**gqa, "window": i + 1} for i, name in enumerate(names)}
    return ModelSpec.model_validate(
        {
            "name": "large",
            "d_model": 64,
            "n_layers": n_layers,
            "vocab_size": 100,
            "attention": {"repeat": names, "variants": variants},
            "ffn": {"kind": "dense", "d_ff": 128},
        }
    )


def profile_of(n_variants: int, n_layers: int) -> Profile:
    return profile(spec_of(n_variants, n_layers), Workload(), "closed-form")


def report(one: Profile) -> None:
    tables = sheet(one)
    for file_format in FORMATS:
        if file_format != "json":  # it names the variant of each layer
            written(tables, file_format)
    written([comparison([one])])


def page(one: Profile) -> None:
    render([one], with_pictures=False)


def plots(one: Profile) -> None:
    for kind in data.KINDS:
        data.plot(kind, [one])


def fit(one: Profile) -> None:
    fits([one.spec], [machines("8xh200")], Question(Workload(context=1)))


def train(one: Profile) -> None:
    tables([training_cost(one.spec, Training(1024), "closed-form")])


def diff(one: Profile) -> None:
    other = one.spec.model_copy(update={"d_model": 128})
    written(differences(difference(one.spec, other, Workload(), "closed-form")))


def calls(work: Callable[[], Any]) -> int:
    """How many Python functions `work` calls."""
    n_calls = 0

    def count(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal n_calls
        n_calls += event == "call"

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return n_calls


@pytest.mark.parametrize("work", [report, page, plots, diff])
def test_twice_the_variants_take_twice_the_calls(work: Callable[[Profile], None]) -> None:
    work(profile_of(2, 2))  # imports and caches
    few, many = (profile_of(n, 2 * n) for n in (100, 200))
    assert calls(lambda: work(many)) < 2.5 * calls(lambda: work(few))


@pytest.mark.parametrize("work", [report, page, plots, diff, fit, train])
def test_more_layers_of_the_same_variants_take_hardly_more_calls(work: Callable[[Profile], None]) -> None:
    work(profile_of(2, 2))
    few, many = (profile_of(40, n_layers) for n_layers in (80, 40_000))
    assert calls(lambda: work(many)) < 1.5 * calls(lambda: work(few))


def test_the_longest_context_takes_no_more_calls_and_every_figure_is_exact() -> None:
    """What no loop over tokens could give: sums over 2**40 tokens, of layers with a window and without."""
    spec, gqa = spec_of(5, 1_000_000), 2 * 4 * 16 * 2  # FLOPs of one row: scores and sums, 4 heads of 16
    windows = {f"v{i}": i + 1 for i in range(5)}
    found = profile(spec, Workload(MAX_CONTEXT), "closed-form")
    assert found.kv_cache_bytes == sum(200_000 * window * 2 * 2 * 16 * 2 for window in windows.values())
    assert found.kv_cache_bytes_without_windows == 1_000_000 * MAX_CONTEXT * 2 * 2 * 16 * 2
    # The first tokens of a window of w see 1, 2, ... w rows.
    pairs = sum(window * (window + 1) // 2 + (MAX_CONTEXT - window) * window for window in windows.values())
    head = 2 * 64 * 100
    products = found.weight_flops_per_token - head
    assert found.prefill_flops == 200_000 * gqa * pairs + products * MAX_CONTEXT + head
    full = spec.model_copy(update={"attention": spec.variants("attention")["v0"].model_copy(update={"window": None})})
    prompt = profile(full, Workload(MAX_CONTEXT), "closed-form").prefill_flops
    assert prompt == 1_000_000 * gqa * MAX_CONTEXT * (MAX_CONTEXT + 1) // 2 + products * MAX_CONTEXT + head

    def ask(context: int) -> None:
        assert profile(spec, Workload(context), "closed-form").prefill_flops

    ask(1024)
    assert calls(lambda: ask(MAX_CONTEXT)) <= 1.1 * calls(lambda: ask(1024))


def test_a_drawing_lists_the_layers_once(monkeypatch: pytest.MonkeyPatch) -> None:
    one, n_listed = profile_of(20, 10_000), 0
    layers: Any = ModelSpec.__dict__["layers"]

    def counted(spec: ModelSpec) -> Any:
        nonlocal n_listed
        n_listed += 1
        return layers.__get__(spec)

    monkeypatch.setattr(ModelSpec, "layers", property(counted))
    picture([one])
    assert n_listed == 1


@pytest.mark.parametrize("draw", [lambda one: picture([one]), lambda one: list(apart([one], "this context"))])
def test_a_model_that_is_too_large_to_draw_is_refused(draw: Callable[[Profile], Any]) -> None:
    one = profile_of(MOST_COMPONENTS // 2 + 1, 1_000_000)
    with pytest.raises(
        InputError, match=r"^large: too large to draw: 502 components in 251 distinct layers, more than"
    ):
        draw(one)


def test_branches_count_as_components() -> None:
    branches = {f"b{i}": {"kind": "dense", "d_ff": 8} for i in range(MOST_COMPONENTS)}
    spec = ModelSpec.model_validate(
        {**spec_of(1, 1).model_dump(exclude_defaults=True), "ffn": {"kind": "parallel", "branches": branches}}
    )
    with pytest.raises(InputError, match="502 components in 1 distinct layer,"):
        picture([profile(spec, Workload(), "closed-form")])


def test_verify_runs_each_component_only_at_its_own_edges(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = []
    monkeypatch.setattr(verification, "costs_of", lambda spec, items, workload, engine: runs.extend(items))
    verification._engines(spec_of(100, 100))
    attention = [item for item in runs if isinstance(item.component, GroupedQueryAttention)]
    assert len(attention) <= 100 * 2 * 7  # batches, and points of each component


def test_the_counters_refuse_too_many_components_at_once() -> None:
    spec = spec_of(witnesses.MOST_COMPONENTS, 1000)
    with pytest.raises(InputError, match=r"505 distinct components, more than 500$"):
        next(verification.verify(spec))
