"""What holds for every picture: nothing overlaps, nothing lies outside, and all that the spec says is there."""

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import strategies
from hypothesis import given
from hypothesis import strategies as st

import llmarch_cli as llmarch
from llmarch_cli.components.component import Child, Component, walk
from llmarch_cli.components.inside import Paths, Step
from llmarch_cli.components.parts import Norm, Vector
from llmarch_cli.drawings.facts import steps
from llmarch_cli.drawings.inside import ROLES, SMALLEST, Words
from llmarch_cli.drawings.inside import steps as drawn_steps
from llmarch_cli.drawings.measure import text_width
from llmarch_cli.drawings.picture import picture
from llmarch_cli.drawings.shapes import Adder, Bounds, Box, Drawing, Line, Shape, Text
from llmarch_cli.report.units import setting
from llmarch_cli.specs.spec import ModelSpec


def drawn(*models: str | ModelSpec) -> Drawing:
    return picture([llmarch.profile(model, engine="closed-form") for model in models])


def segments(drawing: Drawing) -> list[Bounds]:
    """Each straight piece of each level or upright line; a hint's slope may run anywhere between strip and detail."""
    return [
        Line((start, end)).bounds
        for line in drawing.of(Line)
        for start, end in itertools.pairwise(line.points)
        if start[0] == end[0] or start[1] == end[1]
    ]


def faults(drawing: Drawing) -> list[str]:
    """What overlaps, sticks out, or is crossed by a line."""
    page = Bounds(0, 0, drawing.width, drawing.height)
    found = [f"outside: {shape}" for shape in drawing.shapes if not shape.bounds.inside(page)]
    texts, boxes, adders = measured(Text, drawing), measured(Box, drawing), measured(Adder, drawing)
    found += [f"{a} over {b}" for (a, _), (b, _) in meeting(texts)]
    found += [
        f"{a} over {b}"
        for (a, around_a), (b, around_b) in meeting([*boxes, *adders])
        if not (around_a.inside(around_b) or around_b.inside(around_a))
    ]
    found += [f"arrow to nothing: {line}" for line in drawing.of(Line) if line.arrow and not _lands(line, drawing)]
    lines = segments(drawing)
    for text, around in texts:
        found += [f"{text} leaves {box}" for box, b in boxes if around.meets(b) and not around.inside(b)]
        found += [f"{text} under {adder}" for adder, a in adders if around.meets(a)]
        found += [f"{text} crossed" for line in lines if _crosses(line, around)]
    for line in lines:  # ends at the edge of a box, or runs inside it
        found += [f"{line} crosses {box}" for box, b in boxes if _crosses(line, b) and not line.inside(b)]
    return found


def _lands(arrow: Line, drawing: Drawing) -> bool:
    """Whether an arrow ends at the edge of a box or of an adder, or right below what it leads to."""
    x, y = arrow.points[-1]
    near = 0.01
    for shape in drawing.shapes:
        around = shape.bounds
        match shape:
            case Adder():
                if abs(math.hypot(x - shape.x, y - shape.y) - shape.radius) < near:
                    return True
            case Box() | Text():
                if around.left - 5 <= x <= around.right + 5 and -near <= around.bottom - y <= 8:
                    return True
                beside = min(abs(x - around.left), abs(x - around.right)) < near
                if isinstance(shape, Box) and beside and around.bottom <= y <= around.top:
                    return True
    return False


Measured = tuple[Shape, Bounds]


def measured(kind: type[Any], drawing: Drawing) -> list[Measured]:
    return [(shape, shape.bounds) for shape in drawing.of(kind)]


def meeting(shapes: Sequence[Measured]) -> Iterator[tuple[Measured, Measured]]:
    """The pairs that overlap."""
    upwards = sorted(shapes, key=lambda shape: shape[1].bottom)
    for i, lower in enumerate(upwards):
        for upper in upwards[i + 1 :]:
            if upper[1].bottom >= lower[1].top:
                break
            if lower[1].meets(upper[1]):
                yield lower, upper


def _crosses(line: Bounds, box: Bounds) -> bool:
    """Whether a level or upright line runs through the inside of `box`."""
    slack = 0.01
    return (
        line.left < box.right - slack
        and line.right > box.left + slack
        and line.bottom < box.top - slack
        and line.top > box.bottom + slack
    )


@pytest.mark.parametrize(
    ("shapes", "fault"),
    [
        ([Text(10, 10, 20, "a", 8, "text"), Text(25, 12, 20, "b", 8, "text")], " over "),
        ([Box(0, 0, 50, 50, "chip", "a"), Box(40, 40, 20, 20, "chip", "b")], " over "),
        ([Box(10, 10, 20, 20, "chip", "a"), Text(15, 15, 30, "long", 8, "text")], " leaves "),
        ([Line(((0, 10), (50, 10))), Box(10, 5, 20, 20, "chip", "a")], " crosses "),
        ([Line(((0, 10), (50, 10))), Text(10, 8, 20, "a", 8, "text")], " crossed"),
        ([Text(90, 10, 20, "a", 8, "text")], "outside: "),
        ([Line(((10, 0), (10, 20)), arrow=True), Box(0, 30, 20, 20, "chip", "a")], "arrow to nothing"),
    ],
)
def test_faults_are_seen(shapes: list[Shape], fault: str) -> None:
    (found,) = faults(Drawing(100, 100, "", tuple(shapes)))
    assert fault in found


@pytest.mark.parametrize("model", llmarch.names())
def test_nothing_overlaps_in_any_bundled_model(model: str) -> None:
    assert faults(drawn(model)) == []


@given(st.lists(strategies.specs(), min_size=1, max_size=2))
def test_nothing_overlaps_whatever_the_spec(specs: Sequence[ModelSpec]) -> None:
    assert faults(drawn(*specs)) == []


def test_a_branch_that_stands_almost_in_the_middle_leads_into_the_adder() -> None:
    dense = {"kind": "dense", "d_ff": 1, "gated": False}
    data = llmarch.load("gpt2").model_dump(exclude_defaults=True)
    ffn = {"kind": "parallel", "branches": {"dense": dense, "moe": dense, "wide": dense}}
    assert faults(drawn(ModelSpec.model_validate({**data, "ffn": ffn}))) == []


def test_many_models_stand_in_rows() -> None:
    drawing = drawn(*llmarch.names()[:5])
    assert faults(drawing) == []
    assert drawing.height > drawn(llmarch.names()[0]).height


def test_long_names_and_settings_stay_within() -> None:
    data = llmarch.load("grok-2.5").model_dump(exclude_defaults=True)
    name = "An extraordinarily long name of a model, " * 4
    spec = ModelSpec.model_validate({**data, "name": name.strip(), "organization": "x" * 200, "vocab_size": 2**40})
    assert faults(drawn(spec, "gpt2")) == []


def said_of(component: Component, d_model: int) -> Iterator[str]:
    """What a figure says of one component, each a text of its own.

    A vector's flag comes with its length, and a norm's flag is the norm.
    """
    yield component.label
    if component.heads:
        yield component.heads
    vectors = {part.name: f"{part.name} {part.dim:,}" for part in component.parts(d_model) if isinstance(part, Vector)}
    yield from vectors.values()
    norms = [part for part in component.parts(d_model) if isinstance(part, Norm)]
    yield from (f"{norm.name}, no weight" if norm.weightless else norm.name for norm in norms)
    inside = {part.name for part in component.parts(d_model) if isinstance(part, Child | Norm)} | {"branches"}
    for field, text in component.settings.items():
        if field not in vectors and field not in inside:
            yield setting(text)


@given(strategies.specs())
def test_every_setting_of_every_component_is_said(spec: ModelSpec) -> None:
    whole = {text.whole for text in drawn(spec).of(Text)}
    for axis in ("attention", "ffn"):
        for component in spec.variants(axis).values():
            assert component.title in whole
            for inner in walk(component):
                assert set(said_of(inner, spec.d_model)) <= whole


@pytest.mark.parametrize("model", llmarch.names())
def test_every_setting_of_every_bundled_model_is_said(model: str) -> None:
    spec = llmarch.load(model)
    whole = {text.whole for text in drawn(model).of(Text)}
    said = [
        said_of(inner, spec.d_model)
        for axis in ("attention", "ffn")
        for each in spec.variants(axis).values()
        for inner in walk(each)
    ]
    assert set(itertools.chain(*said)) <= whole
    assert ("tied to the embedding" if spec.tie_embeddings else "untied") in whole
    assert {f"vocabulary {spec.vocab_size:,}", f"d_model {spec.d_model:,}", f"{spec.n_layers:,}"} <= whole


def test_prediction_reads_what_the_head_reads() -> None:
    drawing = drawn("deepseek-v3")
    boxes = {box.name: box.bounds for box in drawing.of(Box)}
    (arrow,) = (line for line in drawing.of(Line) if line.dashed and line.arrow)
    (_, start), (x, y) = arrow.points
    assert boxes["final norm"].top < start < boxes["head"].bottom
    assert (x, y) == (boxes["mtp"].left, start)
    assert boxes["mtp"].bottom < y < boxes["mtp"].top


def test_a_hint_from_the_strip_leads_over_all_kinds_of_layers() -> None:
    drawing = drawn("minimax-m3")
    frames = [box.bounds for box in drawing.of(Box) if box.name == "layer"]
    ends = [line.points[-1] for line in drawing.of(Line) if line.role == "hint"]
    highest = max(frames, key=lambda frame: frame.top)
    assert frames[0].top < highest.top
    low, high = sorted(ends)
    assert low == pytest.approx((frames[0].left, frames[0].bottom))
    assert high == pytest.approx((highest.left, highest.top))


def test_no_letters_are_too_small_for_a_slide() -> None:
    drawing = drawn(*llmarch.names()[:8])
    assert min(text.size for text in drawing.of(Text)) >= SMALLEST


def test_layers_are_equally_high_in_all_models() -> None:
    boxes = [box for box in drawn("llama3-8b", "deepseek-v3").of(Box) if box.role == "layer"]
    assert len(boxes) == 32 + 61
    assert len({round(box.height, 6) for box in boxes}) == 1


def test_a_strip_shows_every_layer_in_its_place() -> None:
    boxes = sorted((box for box in drawn("llama4-maverick").of(Box) if box.role == "layer"), key=lambda box: box.y)
    layers = llmarch.load("llama4-maverick").layers
    kinds = list(dict.fromkeys(layers))
    assert [box.colour for box in boxes] == [kinds.index(layer) for layer in layers]


def test_layers_too_thin_for_gaps_have_none() -> None:
    data = llmarch.load("gemma3-27b").model_dump(exclude_defaults=True)
    boxes = [b for b in drawn(ModelSpec.model_validate({**data, "n_layers": 1_000})).of(Box) if b.role == "layer"]
    assert all(upper.y == pytest.approx(lower.y + lower.height) for lower, upper in itertools.pairwise(boxes))
    apart = [box for box in drawn("llama3.1-405b").of(Box) if box.role == "layer"]
    assert all(upper.y > lower.y + lower.height + 0.3 for lower, upper in itertools.pairwise(apart))


def test_of_very_many_layers_some_are_shown_and_that_is_said() -> None:
    data = llmarch.load("llama4-maverick").model_dump(exclude_defaults=True)
    drawing = drawn(ModelSpec.model_validate({**data, "n_layers": 8_000}), "gpt2")
    assert faults(drawing) == []
    assert "1 in 8 shown" in {text.whole for text in drawing.of(Text)}


def test_only_what_differs_is_marked() -> None:
    drawing = drawn("deepseek-v3", "kimi-k2")
    marked = {text.text for text in drawing.of(Text) if text.marked}
    assert {"MLA 128 heads", "MLA 64 heads", "vocabulary 129,280", "router: 8 of 384"} <= marked
    assert not {"d_model 7,168", "full", "untied", "RMSNorm", "61"} & marked
    assert not any(text.marked for text in drawn("gpt2").of(Text))
    assert not any(text.marked for text in drawn("gpt2", "gpt2").of(Text))


def test_details_of_a_box_that_no_other_model_has_are_not_marked() -> None:
    marked = {text.whole for text in drawn("deepseek-v3", "gpt2").of(Text) if text.marked}
    assert "Multi-head latent attention" in marked
    assert not {"MLA 128 heads", "latent", "compressed query", "q_lora_rank 1,536"} & marked


def test_lines_that_part_twice_do_so_at_two_heights() -> None:
    one, other, gate = Step("one"), Step("other"), Step("gate")
    inside = (Paths(((Paths(((one,), (other,))), Step("joined")), (gate,))), Step("output"))
    shapes = list(drawn_steps(inside, Words({}, {}, {}, "attention", "title")).place(0, 0))
    forks = [line.points[:2] for line in shapes if isinstance(line, Line) and line.points[0][1] == line.points[1][1]]
    outer = {height for (_, height), _ in forks}
    assert len(forks) == 2 + 2
    assert len(outer) == 2
    boxes = {box.name: box.bounds for box in shapes if isinstance(box, Box)}
    assert max(outer) < min(box.bottom for box in boxes.values())
    assert boxes["one"].bottom == boxes["other"].bottom
    assert boxes["joined"].bottom > boxes["one"].top


def test_a_width_is_that_of_the_font() -> None:
    assert text_width("llmarch", 10) == pytest.approx(37.38, abs=0.01)
    assert text_width("llmarch", 10, bold=True) > text_width("llmarch", 10)
    assert text_width("语", 10) == 10  # no such letter in the font: as wide as it may be


def marks(model: str | ModelSpec) -> dict[str, int]:
    """The number of layers beside which each mark stands."""
    drawing = drawn(model)
    layers = [box for box in drawing.of(Box) if box.role == "layer" and box.name.startswith("layer kind")]
    low, second = sorted(box.y for box in layers)[:2]
    found: dict[str, int] = {}
    for box in drawing.of(Box):
        if box.name.startswith("layers of "):
            assert box.x > layers[0].bounds.right
            name = box.name.removeprefix("layers of ")
            found[name] = found.get(name, 0) + round(box.height / (second - low))
    return found


@pytest.mark.parametrize(
    ("model", "expected", "legend"),
    [
        ("llama3-8b", {}, []),
        ("mistral-7b-v0.1", {"window": 32}, ["32 window"]),
        ("gemma3-27b", {"attention": 10, "window": 52}, ["10 attention", "52 window"]),
        ("qwen3-next-80b-a3b", {"attention": 12, "recurrence": 36}, ["12 attention", "36 recurrence"]),
        ("falcon-h1-0.5b", {"attention": 36, "recurrence": 36}, ["36 attention", "36 recurrence"]),
        ("lfm2-1.2b", {"attention": 6, "convolution": 10}, ["6 attention", "10 convolution"]),
        (
            "nemotron-3-super-120b-a12b",
            {"attention": 8, "recurrence": 40},
            ["8 attention", "40 recurrence", "40 without token mixing"],
        ),
        ("gemma-4-e2b", {"attention": 7, "window": 28}, ["7 attention", "28 window"]),
        ("deepseek-v4-flash", {"attention": 41, "window": 2}, ["41 attention", "2 window"]),
    ],
)
def test_a_strip_tells_how_layers_mix_tokens(model: str, expected: dict[str, int], legend: list[str]) -> None:
    assert marks(model) == expected
    assert [text.text for text in drawn(model).of(Text) if text.topic == "mixing"] == legend


def test_streams_pass_by_each_sublayer_and_are_mixed() -> None:
    drawing = drawn("deepseek-v4-flash")
    boxes = list(drawing.of(Box))
    frames = [box.bounds for box in boxes if box.name == "layer"]
    assert len(frames) == 4
    for frame in frames:
        inside = [box for box in boxes if box.bounds.inside(frame)]
        mixes = sorted((box.bounds for box in inside if box.name == "stream mixing"), key=lambda box: box.top)
        assert sum(box.name == "stream sum" for box in inside) == len(mixes) == 2
        for mix in mixes:  # four streams enter it from below, and the sublayer's output from the right
            entering = [line.points for line in drawing.of(Line) if line.arrow and _enters(line, mix)]
            assert len([points for points in entering if points[-1][1] == pytest.approx(mix.bottom)]) == 4
            assert len([points for points in entering if points[-1][0] == pytest.approx(mix.right)]) == 1
    assert sum(box.name == "stream sum" for box in boxes) == 2 * 4 + 1  # and one before the final norm


def _enters(line: Line, box: Bounds) -> bool:
    x, y = line.points[-1]
    slack = 1e-6
    return box.left - slack <= x <= box.right + slack and box.bottom - slack <= y <= box.top + slack


def test_norms_stand_where_each_layer_s_variant_says() -> None:
    data = llmarch.load("qwen3-next-80b-a3b").model_dump(exclude_defaults=True)
    drawing = drawn(ModelSpec.model_validate(data | {"norm_placement": {"delta": "pre", "full": "post"}}))
    frames = sorted((box.bounds for box in drawing.of(Box) if box.name == "layer"), key=lambda box: box.left)
    named = [
        [box.name for box in drawing.of(Box) if box.name.startswith("norm ") and box.bounds.inside(frame)]
        for frame in frames
    ]
    assert named == [["norm before"] * 2, ["norm after"] * 2]


@pytest.mark.parametrize(("placement", "n_norms"), [("pre", 2), ("pre_shared", 1)])
def test_parallel_sublayers_stand_beside_each_other(placement: str, n_norms: int) -> None:
    data = llmarch.load("llama3-8b").model_dump(exclude_defaults=True)
    changes = {"parallel_sublayers": True, "norm_placement": placement, "residual_scale": 0.25}
    drawing = drawn(ModelSpec.model_validate(data | changes))
    assert faults(drawing) == []
    boxes = {box.name: box for box in drawing.of(Box)}
    assert boxes["attention"].x + boxes["attention"].width < boxes["ffn"].x
    assert sum(box.name.startswith("norm before") for box in drawing.of(Box)) == n_norms
    assert len(list(drawing.of(Adder))) == 2  # of the two, and of the residual
    assert [text.text for text in drawing.of(Text)].count("times 0.25") == 2


def test_a_model_without_token_mixing_has_a_strip_without_marks() -> None:
    spec = ModelSpec.model_validate(
        {
            "name": "x",
            "d_model": 8,
            "n_layers": 2,
            "vocab_size": 9,
            "attention": {"repeat": ["none"]},
            "ffn": {"kind": "dense", "d_ff": 8},
        }
    )
    assert marks(spec) == {}
    assert faults(drawn(spec)) == []
    assert "2 without token mixing" in {text.text for text in drawn(spec).of(Text)}


@pytest.mark.parametrize("model", ["gemma-4-e2b", "deepseek-v4-flash", "qwen3-next-80b-a3b", "glm-5.2", "zamba2-7b"])
def test_each_box_of_an_inside_is_read_into_but_what_another_layer_left(model: str) -> None:
    spec = llmarch.load(model)
    insides = [list(steps(inner.inside())) for each in spec.variants("attention").values() for inner in walk(each)]
    left = {step.name for shown in insides for step in shown if step.sort == "left"}
    drawing = drawn(model)
    around = [box.bounds for box in drawing.of(Box) if box.name == "attention"]
    boxes = [box for box in drawing.of(Box) if box.role in ROLES.values() and any(map(box.bounds.inside, around))]
    boxes = [box for box in boxes if box.name not in ("norm before", "norm after")]
    arrows = [line.points[-1] for line in drawing.of(Line) if line.arrow]
    entered: dict[bool, set[str]] = {True: set(), False: set()}
    for box in boxes:
        low = box.bounds
        is_read = any(abs(y - low.bottom) < 1e-6 and low.left < x < low.right for x, y in arrows)
        entered[is_read].add(box.name)
    assert len(boxes) > 10
    assert entered[False] == left & {box.name for box in boxes}


def test_components_inside_stand_where_they_compute() -> None:
    drawing = drawn("deepseek-v4-flash")
    compressors = [box.bounds for box in drawing.of(Box) if box.name == "compressor"]
    chosen = [box.bounds for box in drawing.of(Box) if box.name == "chosen rows"]
    assert len(compressors) == 2  # of the variants that have one
    assert len(chosen) == 1
    assert any(box.top < chosen[0].bottom and box.left > chosen[0].left - 1 for box in compressors)
    assert sum(box.role == "inner-attention" for box in drawing.of(Box)) == 3
