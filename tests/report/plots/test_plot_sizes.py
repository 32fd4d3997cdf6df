"""Plots and tables of values beyond 64 bits."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmarch_cli.profilers.cost import Workload
from llmarch_cli.profilers.profile import Profile, profile
from llmarch_cli.report.comparison import comparison
from llmarch_cli.report.formats.render import FORMATS, render
from llmarch_cli.report.plots import file, terminal
from llmarch_cli.report.plots.data import KINDS, Kind, plot
from llmarch_cli.specs.spec import ModelSpec

widths = st.integers(1, 2**20) | st.just(2**20)


@st.composite
def profiles(draw: st.DrawFn) -> Profile:
    """A model of any size with any workload, up to the largest that a spec may have."""
    n_heads = draw(st.sampled_from((1, 64, 2**10)))
    data = {
        "name": draw(st.sampled_from(("small", "large"))),
        "d_model": draw(widths),
        "n_layers": draw(st.sampled_from((1, 61, 100_000))),
        "vocab_size": draw(st.sampled_from((1, 100_000, 2**40))),
        "context_length": draw(st.sampled_from((None, 1, 2**20, 2**40))),
        "attention": {
            "kind": "gqa",
            "n_heads": n_heads,
            "n_kv_heads": n_heads,
            "head_dim": draw(st.sampled_from((2, 128))),
        },
        "ffn": {"kind": "moe", "n_experts": 2**16, "top_k": draw(st.sampled_from((1, 2**10))), "d_ff": draw(widths)},
    }
    workload = Workload(2 ** draw(st.integers(0, 40)), 2 ** draw(st.integers(0, 20)))
    spec = ModelSpec.model_validate(data)
    per_layer = 2 * n_heads * 128 * workload.context * workload.batch
    if 4 * per_layer > 2**60:  # no tensor could hold one layer's cache
        workload = Workload(32 * 2**20, 1)
    return profile(spec, workload, "closed-form")


@pytest.mark.parametrize("kind", KINDS)
@given(st.lists(profiles(), min_size=1, max_size=2))
@settings(max_examples=10, deadline=None)
def test_any_size_is_drawn(kind: Kind, drawn: list[Profile]) -> None:
    shown = plot(kind, drawn)
    assert file.render(shown, "svg").startswith(b"<?xml")
    assert shown.title in terminal.render(shown, 80)


@given(st.lists(profiles(), min_size=1, max_size=2))
@settings(max_examples=20, deadline=None)
def test_any_size_is_exact_in_every_format(listed: list[Profile]) -> None:
    table = comparison(listed)
    for file_format in FORMATS:
        text = render([table], file_format, exact=True).replace(",", "").replace("_", "")
        assert all(str(each.params) in text for each in listed)
    frame = table.to_pandas()
    assert [int(value) for value in frame["params"]] == [each.params for each in listed]


def test_a_cache_beyond_64_bits_is_drawn() -> None:
    spec = ModelSpec.model_validate(
        {
            "name": "large",
            "d_model": 64,
            "n_layers": 100_000,
            "vocab_size": 100,
            "attention": {"kind": "gqa", "n_heads": 64, "n_kv_heads": 8, "head_dim": 128},
            "ffn": {"kind": "dense", "d_ff": 128},
        }
    )
    large = profile(spec, Workload(2**25, 2**20), "closed-form")
    assert large.kv_cache_bytes > 2**64
    assert b"large" in file.render(plot("cache", [large]), "svg")
