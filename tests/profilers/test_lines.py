import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import spans, specs, workloads

import llmarch_cli as llmarch
from llmarch_cli.profilers.cost import Workload
from llmarch_cli.profilers.lines import Slope, context_line
from llmarch_cli.profilers.profile import profile
from llmarch_cli.specs.spec import ModelSpec

LONG = 1 << 24


def holds(spec: ModelSpec, workload: Workload, contexts: set[int]) -> None:
    line = context_line(profile(spec, workload, "closed-form"))
    for context in contexts:
        there = profile(spec, Workload(context, workload.batch, workload.kv_dtype), "closed-form")
        assert line.kv_cache_bytes(context) == there.kv_cache_bytes
        assert line.flops_per_token(context) == there.flops_per_token


@given(st.data())
def test_a_line_is_the_closed_form_at_every_context(data: st.DataObject) -> None:
    spec = data.draw(specs())
    around = {max(1, span + step) for span in spans(spec) for step in (-1, 0, 1) if span < LONG}
    holds(spec, data.draw(workloads(spec)), {1, 2, *around, *data.draw(st.sets(st.integers(1, LONG), max_size=3))})


@pytest.mark.parametrize("name", llmarch.names())
def test_the_lines_of_all_models(name: str) -> None:
    spec = llmarch.load(name)
    holds(spec, Workload(4096, 3, "fp8"), {1, 511, 512, 513, 8191, 8192, 8193, 131_072, 10_000_019})


def test_slopes_and_knees() -> None:
    line = context_line(llmarch.profile("gemma3-27b", engine="closed-form"))
    assert line.knees == [1024]
    assert [slope.span for slope in line.slopes] == [1024, None]
    assert all(isinstance(slope, Slope) and slope.cache_values and slope.flops for slope in line.slopes)
    assert context_line(llmarch.profile("deepseek-v3", engine="closed-form")).knees == []
