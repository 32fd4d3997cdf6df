"""The tables of what fits, read as the page's script reads them, against what they are made of."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import specs

import llmarch_cli as llmarch
from llmarch_cli.deployment.fit import Question, Sizes
from llmarch_cli.deployment.layouts import Layout
from llmarch_cli.deployment.loads import Model
from llmarch_cli.page.fits import N_DEVICES, fits
from llmarch_cli.profilers.cost import Workload
from llmarch_cli.specs.spec import ModelSpec


def ints(text: str) -> list[int]:
    return [int(number) for number in text.split()]


def pairs(numbers: Sequence[int], counts: Sequence[int], cp: int = 1) -> int:
    return sum(-(-counts[view] // cp) * row for view, row in zip(numbers[::2], numbers[1::2], strict=True))


def counts(views: str, context: int) -> list[int]:
    """The rows in view of each set of views."""
    some = [[ints(view) for view in views_of.split(",")] for views_of in views.split(";")] if views else []
    return [min(min(context, span or context) // stride for span, stride in each) for each in some]


@settings(max_examples=40)
@given(specs(), st.integers(1, 3000))
def test_of_any_spec_they_hold_and_read_what_layouts_do(spec: ModelSpec, context: int) -> None:
    profile = llmarch.profile(spec, engine="closed-form")
    found = fits([profile])
    (table,) = found.tables
    known = map(ints, split(found.settings["shapes"]))
    shapes = [Layout(tp, pp, dp, ep, cp, bool(whole)) for tp, pp, dp, ep, cp, whole in known]
    workload = Workload(context=context, weights="native")
    sizes, model = Sizes(spec, Question(workload)), Model(spec, workload)
    holds, reads = (split(table[name]) for name in ("holds", "reads"))
    rows = counts(table["views"], context)
    seen = []
    for shape, held, read, _ in map(ints, split(table["layouts"])):
        layout = shapes[shape]
        seen.append(layout)
        devices = set()
        for stage in holds[held].split(","):
            ranks = [(w, state + pairs(kept, rows, layout.cp)) for w, state, *kept in map(ints, stage.split("|"))]
            devices.add(max(ranks, key=sum))
        assert devices == {(stage.weights, stage.total - stage.weights) for stage in sizes.held(layout)}
        numbers, *stacks = [ints(each) for each in reads[read].split("|")]
        of = model.reads(layout)
        assert (*numbers[:5], pairs(numbers[5:], rows)) == (
            *(of.attention, of.others, of.rows, of.tables, of.state),
            of.cache,
        )
        assert stacks == [[each.n_experts, each.top_k, each.n_bytes] for each in of.stacks]
    assert seen == [layout for number in N_DEVICES for layout in sizes.layouts(number, number)]
    # The page takes attention's FLOPs as what is left of a token's.
    assert ints(table["flops"]) == [model.flops.experts, model.flops.others]
    assert model.flops.total == llmarch.profile(spec, context=context, engine="closed-form").flops_per_token


def split(text: str) -> list[str]:
    return text.split(";") if text else []
