import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import llmarch_cli as llmarch
from llmarch_cli import page as html
from llmarch_cli.api import report
from llmarch_cli.page.data import BY_CONTEXT, COLUMNS, models
from llmarch_cli.profilers.lines import Piece, at
from llmarch_cli.report.columns import METRICS
from llmarch_cli.specs.changes import changed
from llmarch_cli.specs.loading import validated
from llmarch_cli.specs.spec import ModelSpec

MODELS = ["gemma3-27b", "deepseek-v3", "gpt2"]

HOSTILE = "</script></template></svg><script>alert('x')</script><img src=x onerror=\"alert(1)\"> & {{ 7*7 }}"


class Seen(HTMLParser):
    """Every element with its attributes, and the text of each script."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self.elements and self.elements[-1][0] == "script":
            self.scripts[-1] += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def data(self) -> list[dict[str, object]]:
        return list(json.loads(self.scripts[1]))


def page(*models: str | ModelSpec, pictures: bool = False) -> Seen:
    return Seen(report(models or MODELS, engine="closed-form", pictures=pictures))


def hostile(text: str, **fields: str) -> ModelSpec:
    data = llmarch.load("gpt2").model_dump(exclude_defaults=True)
    return validated({**data, "name": text, "organization": text, "license": text, **fields}, "here")


def test_it_is_a_table_with_headings_that_sort_and_explain() -> None:
    seen = page()
    headings = [attributes for attributes in seen.all("th") if attributes.get("scope") == "col"]
    assert [heading["data-key"] for heading in headings[: len(COLUMNS)]] == [column.key for column in COLUMNS]
    explained = {attributes.get("popovertarget") for attributes in seen.all("button")} - {None}
    ids = [attributes["id"] for _, attributes in seen.elements if "id" in attributes]
    assert explained == {f"what-{column.key}" for column in COLUMNS}
    assert explained <= set(ids)
    assert len([row for row in seen.all("th") if row.get("scope") == "row"]) == len(MODELS)


def test_ids_are_unique_and_labels_lead_somewhere() -> None:
    seen = page(pictures=True)
    ids = [attributes["id"] for _, attributes in seen.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in seen.elements:
        for name in ("for", "aria-labelledby", "aria-describedby", "popovertarget"):
            assert attributes.get(name, ids[0]) in ids
    assert len(seen.all("svg")) == 4 + len(MODELS) + 1  # plots, drawings, and the shapes that drawings share


def test_it_loads_nothing() -> None:
    seen = page(pictures=True)
    for tag, attributes in seen.elements:
        assert "src" not in attributes
        assert tag not in ("iframe", "object", "embed", "base", "form")
        for name in ("href", "xlink:href"):
            assert re.match("#|data:,$", attributes.get(name) or "#")
        assert not [name for name in attributes if name.startswith("on")]
    assert [attributes for attributes in seen.all("a") if attributes["href"] == "#architectures"]
    (policy,) = [a["content"] for a in seen.all("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    assert "default-src 'none'" in policy
    assert "'unsafe-inline'" not in policy.partition("style-src")[0]
    assert "require-trusted-types-for 'script'; trusted-types 'none'" in policy


def test_each_model_is_drawn_once_and_said_in_words() -> None:
    seen = page(pictures=True)
    drawn = [attributes for attributes in seen.all("svg") if attributes.get("class") == "architecture"]
    assert [attributes["data-number"] for attributes in drawn] == ["0", "1", "2"]
    assert {attributes["role"] for attributes in drawn} == {"img"}
    said = dict(zip(MODELS, [attributes["aria-label"] or "" for attributes in drawn], strict=True))
    assert said["gpt2"].startswith("Architecture of gpt2: layers 12; d_model 768; attention full; heads MHA 12 x 64;")
    assert "MoE 256 experts x 2,048, top 8 + 1 shared" in said["deepseek-v3"]
    plain = page(pictures=False)
    assert plain.all("svg") == plain.all("template") == []


def test_figures_have_no_ids_and_bring_no_style_of_their_own() -> None:
    text = report(MODELS, engine="closed-form")
    (style,) = re.findall("<style>(.*?)</style>", text, re.DOTALL)
    for drawn in re.findall('<svg class="architecture".*?</svg>', text, re.DOTALL):
        assert not re.search(r' id="|<style|#[0-9a-f]{6}', drawn)
        classes = {name for names in re.findall(' class="([^"]*)"', drawn) for name in names.split()}
        assert [name for name in classes if f".{name}" not in style] == []


def test_the_same_models_give_the_same_bytes() -> None:
    first, second = (report(MODELS, engine="closed-form") for _ in range(2))
    assert first == second
    assert not re.search(r"<dc:date>|<metadata>", first)


def test_what_a_spec_says_is_text() -> None:
    seen = page("gpt2", "olmo2-1b", hostile(HOSTILE), pictures=True)  # the third figure is a template's
    assert len(seen.scripts) == len(seen.all("script")) == 3
    assert seen.all("img") == []
    assert seen.data[2]["id"] == HOSTILE
    assert [tag for tag, _ in seen.elements].count("template") == 1
    assert {a["role"] for a in seen.all("svg") if a.get("class") == "architecture"} == {"img"}
    assert [option.get("onerror") for option in seen.all("option")] == [None] * len(seen.all("option"))


@settings(max_examples=15)
@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=40))
def test_any_name_survives(name: str) -> None:
    seen = page(hostile(name))
    assert len(seen.scripts) == 3
    assert [attributes for _, attributes in seen.elements if any(key.startswith("on") for key in attributes)] == []


def test_what_follows_from_the_context_is_what_the_page_calculates() -> None:
    """A new metric that depends on the context must be added to the page, or it would go stale there."""
    following = set()
    for name in llmarch.names():
        one, other = (llmarch.profile(name, context=context, engine="closed-form") for context in (1000, 20_000_000))
        following |= {metric.key for metric in METRICS if metric.value(one) != metric.value(other)}
    assert following == {metric.key for metric in METRICS if metric.by_context}


@pytest.mark.parametrize("name", ["gemma3-27b", "llama4-scout", "deepseek-v3", "gpt2"])
def test_the_lines_of_the_page_are_the_metrics(name: str) -> None:
    """A metric that is not linear between the corners must not be one that the page computes."""
    (model,) = models([llmarch.profile(name, engine="closed-form")])
    for context in (1, 2, 1023, 1024, 1025, 8192, 8193, 131_072, 131_073, 20_000_000):
        there = llmarch.profile(name, context=context, engine="closed-form")
        for metric in (each for each in BY_CONTEXT if each.ratio_of is None):
            line = tuple(
                Piece(int(start), int(value), int(slope)) for start, value, slope in model["lines"][metric.key]
            )
            assert at(line, context) == metric.value(there), (metric.key, context)


def test_every_unit_of_such_a_metric_has_a_writer_in_the_script() -> None:
    script = page().scripts[2]
    writers = script[script.index("const WRITERS") : script.index("// ---- Metrics at a context")]
    for entry in json.loads(page().scripts[0])["by_context"]:
        assert re.search(rf"^ +{entry['unit']}[:,]", writers, re.MULTILINE), entry


def test_every_number_is_exact_text() -> None:
    def leaves(value: object) -> Iterator[object]:
        if isinstance(value, dict | list):
            for inner in value.values() if isinstance(value, dict) else value:
                yield from leaves(inner)
        else:
            yield value

    seen = page()
    known = json.loads(seen.scripts[0])["known"]
    assert {type(leaf) for leaf in leaves([seen.data, known])} == {str, bool, type(None)}  # None: unknown


def test_all_models_with_all_pictures_stay_small(whole_page: str) -> None:
    assert len(whole_page.encode()) < 52_000 * len(llmarch.names())


def test_models_that_are_alike_take_little_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(html, "MOST_PLOTTED", 1)
    base = llmarch.load("deepseek-v3")
    alike = [changed(base, {"vocab_size": 129_280 + 64 * i}).with_id(f"wide-{i}") for i in range(60)]
    first, second = (len(report(alike[:number], engine="closed-form").encode()) for number in (20, 60))
    assert (second - first) / 40 < 6_000  # alone, one's drawing takes 40,000


def test_a_page_says_that_it_plots_some_models_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(html, "MOST_PLOTTED", 2)
    text = report(MODELS, engine="closed-form")
    assert "Of the 3 models, the first 2 are plotted." in text
    assert 'id="plot-cache-curve-1-within"' in text
    assert 'id="plot-cache-curve-2-within"' not in text
    assert "are plotted" not in report(MODELS[:2], engine="closed-form")
