"""The page in a real browser: Debian's Chromium, one session for all tests."""

from __future__ import annotations

import base64
import itertools
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.common.actions import interaction
from selenium.webdriver.common.actions.action_builder import ActionBuilder
from selenium.webdriver.common.actions.pointer_input import PointerInput
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.select import Select

import llmarch_cli as llmarch
from llmarch_cli.api import report
from llmarch_cli.deployment.chips import chip as chip_of
from llmarch_cli.deployment.chips import machines
from llmarch_cli.deployment.fit import Question, Sizes, fit
from llmarch_cli.deployment.layouts import Layout
from llmarch_cli.drawings.model import CALLOUTS
from llmarch_cli.drawings.picture import picture
from llmarch_cli.drawings.shapes import Drawing, Line, Text
from llmarch_cli.drawings.theme import THEMES
from llmarch_cli.page import opening
from llmarch_cli.profilers.cost import Workload
from llmarch_cli.report.columns import METRICS, metric
from llmarch_cli.report.units import BYTES, RATE
from llmarch_cli.specs.loading import validated
from llmarch_cli.specs.spec import ModelSpec

HOSTILE = "</template></svg></script><script>document.title='run'</script><img src=x onerror=\"document.title='run'\">"

Driver = webdriver.Chrome


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory, whole_page: str) -> Path:
    """The report of all bundled models."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(whole_page)
    return path


@pytest.fixture
def page(browser: Driver, file: Path) -> Iterator[Driver]:
    """The report, opened anew. Whatever a test does there must not fail in the console, nor load anything."""
    browser.get_log("performance")
    browser.get(file.as_uri())
    yield browser
    assert browser.get_log("browser") == []
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    requested = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    assert {url for url in requested if not url.startswith("data:")} == {file.as_uri()}


def named(page: Driver, name: str) -> WebElement:
    return page.find_element(By.ID, name)


def column(page: Driver, key: str) -> list[str]:
    """The texts of a column, of the rows that are shown, from the top."""
    cell = "th" if key == "model" else f'td[data-key="{key}"]'
    script = "return [...document.querySelectorAll(arguments[0])].map(c => c.textContent)"
    return list(page.execute_script(script, f"#table tbody tr:not([hidden]) {cell}"))


def heading(page: Driver, key: str) -> WebElement:
    return page.find_element(By.CSS_SELECTOR, f'#table th[data-key="{key}"]')


def ask(page: Driver, tokens: str) -> None:
    named(page, "context").clear()
    named(page, "context").send_keys(tokens, Keys.ENTER)


def test_it_opens_fast(page: Driver) -> None:
    timing = "return performance.getEntriesByType('navigation')[0].loadEventEnd"
    deadline = time.monotonic() + 5
    while not (loaded := page.execute_script(timing)) and time.monotonic() < deadline:
        time.sleep(0.01)
    # In milliseconds, on a machine that runs other tests beside it; alone, it takes a quarter of that.
    assert 0 < loaded < 15 * len(llmarch.names())
    assert len(column(page, "model")) == len(llmarch.names())


def test_sorting(page: Driver) -> None:
    profiles = {name: llmarch.profile(name, engine="closed-form") for name in llmarch.names()}
    button = heading(page, "kv_cache_bytes").find_element(By.CLASS_NAME, "sort")
    for state in ("descending", "ascending"):
        button.click()
        assert heading(page, "kv_cache_bytes").get_attribute("aria-sort") == state
        sizes = [profiles[name].kv_cache_bytes for name in column(page, "model")]
        assert sizes == sorted(sizes, reverse=state == "descending")

    heading(page, "released").find_element(By.CLASS_NAME, "sort").click()
    assert heading(page, "kv_cache_bytes").get_attribute("aria-sort") is None
    assert len(page.find_elements(By.CSS_SELECTOR, "[aria-sort]")) == 1
    dates = column(page, "released")
    assert dates == sorted(dates, reverse=dates[0] > dates[-1])


def test_a_sorted_table_stays_sorted_when_the_context_changes(page: Driver) -> None:
    heading(page, "kv_cache_bytes").find_element(By.CLASS_NAME, "sort").click()
    ask(page, "1k")
    caches = [
        llmarch.profile(name, context=1024, engine="closed-form").kv_cache_bytes for name in column(page, "model")
    ]
    assert caches == sorted(caches, reverse=True)


def test_filtering(page: Driver) -> None:
    named(page, "filter").send_keys("gemma window")
    expected = {name for name in llmarch.names() if "gemma" in name} - {"gemma-7b"}  # the only one without windows
    assert set(column(page, "model")) == expected
    assert named(page, "filter-said").text == f"{len(expected)} of {len(llmarch.names())} models"
    named(page, "filter").clear()
    named(page, "filter").send_keys("no such model")
    assert column(page, "model") == []
    named(page, "filter").send_keys(Keys.CONTROL, "a")
    named(page, "filter").send_keys(Keys.DELETE)
    assert len(column(page, "model")) == len(llmarch.names())

    Select(named(page, "organization")).select_by_visible_text("OpenAI")
    Select(named(page, "kind")).select_by_value("moe")
    assert set(column(page, "model")) == {"gpt-oss-120b", "gpt-oss-20b"}


@pytest.mark.parametrize("tokens", ["1", "127", "8193", "1M", "1000000000007"])
def test_figures_at_any_context_are_those_of_the_command_line(page: Driver, tokens: str) -> None:
    ask(page, tokens)
    context = 1 << 20 if tokens == "1M" else int(tokens)
    following = [one for one in METRICS if one.by_context]
    script = "return [...document.querySelectorAll('#table tbody tr')].map(r => [...r.cells].map(c => c.textContent))"
    keys = [th.get_attribute("data-key") for th in page.find_elements(By.CSS_SELECTOR, "#table thead th")]
    for exact in (False, True):
        if exact:
            named(page, "exact").click()
        for cells in page.execute_script(script):
            row = dict(zip(keys, cells, strict=True))
            profile = llmarch.profile(row["model"], context=context, engine="closed-form")
            for one in following:
                if one.key in row:
                    assert row[one.key] == one.unit.write(one.value(profile), exact), (row["model"], one)

    Select(named(page, "first")).select_by_visible_text("gemma3-27b")
    profile = llmarch.profile("gemma3-27b", context=context, engine="closed-form")
    rows = "[...document.querySelectorAll('#pair-table tbody tr')]"
    shown = dict(page.execute_script(f"return {rows}.map(r => [r.dataset.key, r.cells[1].textContent])"))
    for one in METRICS:
        if one.key in shown and one.key != "engine":
            assert shown[one.key] == one.unit.write(one.value(profile), exact=True), one.key


def test_the_slider_moves_by_keys_and_says_where_it_is(page: Driver) -> None:
    slider = named(page, "context-slider")
    assert slider.get_attribute("aria-valuetext") == "128k tokens"
    slider.send_keys(Keys.ARROW_RIGHT)
    assert slider.get_attribute("aria-valuetext") == "192k tokens"
    assert named(page, "context-said").text == "196,608 tokens of context"
    slider.send_keys(Keys.HOME)
    assert named(page, "context").get_attribute("value") == "1k"
    profile = llmarch.profile("llama4-scout", context=1024, engine="closed-form")
    row = page.find_element(By.XPATH, "//table[@id='table']//tr[th[.='llama4-scout']]")
    assert row.find_element(By.CSS_SELECTOR, '[data-key="kv_cache_bytes"]').text == "192.00 MiB"
    assert profile.kv_cache_bytes == 192 << 20


@pytest.mark.parametrize("wrong", ["", "0", "12q", "-5", "999999999999999M"])
def test_a_context_that_is_none_is_said_and_changes_nothing(page: Driver, wrong: str) -> None:
    before = column(page, "kv_cache_bytes")
    ask(page, wrong)
    assert named(page, "context").get_attribute("aria-invalid") == "true"
    assert "128k or 1M" in named(page, "context-said").text
    assert column(page, "kv_cache_bytes") == before
    ask(page, "64k")
    assert named(page, "context").get_attribute("aria-invalid") is None


def fitted(page: Driver, number: int, chip: str) -> dict[str, list[str]]:
    """The cells of each model that is shown, for devices that are chosen."""
    Select(named(page, "fits-number")).select_by_visible_text(str(number))
    Select(named(page, "fits-chip")).select_by_visible_text(chip_of(chip).name)
    rows = "[...document.querySelectorAll('#fits-table tbody tr:not([hidden])')]"
    return dict(
        page.execute_script(
            f"return {rows}.map(r => [r.cells[0].textContent, [...r.cells].slice(1).map(c => c.textContent)])"
        )
    )


def fits_of(name: str | ModelSpec, on: str, exact: bool = False, **asked: Any) -> list[str]:
    """The same of `deployment.fit`."""
    spec = llmarch.load(name) if isinstance(name, str) else name
    found = fit(Sizes(spec, Question(Workload(**{"weights": "native", **asked}))), machines(on))
    rate = "-" if found.rate is None else RATE.write(found.rate)
    missing = BYTES.write(found.missing, exact) if found.missing else "-"
    weights = BYTES.write(found.held.weights, exact)
    return [weights, f"{found.most_sequences:,}", rate, missing, found.layout.words]


@pytest.mark.parametrize(
    ("tokens", "number", "chip", "exact"),
    [
        ("131072", 8, "h100", False),
        ("1", 4, "mi300x", True),
        ("8193", 8, "b200", True),
        ("1000", 2, "h200", False),
        ("32768", 1, "rtx-4090", True),
        ("1000003", 8, "l40s", False),
        ("1000000000007", 4, "h200", False),
    ],
)
def test_what_fits_is_what_fit_says(page: Driver, tokens: str, number: int, chip: str, exact: bool) -> None:
    ask(page, tokens)
    if exact:
        named(page, "exact").click()
    shown = fitted(page, number, chip)
    wanted = {name: fits_of(name, f"{number}x{chip}", exact, context=int(tokens)) for name in llmarch.names()}
    assert shown == wanted
    n_fit = sum(cells[1] != "0" for cells in wanted.values())
    assert named(page, "fits-said").text.startswith(f"{n_fit} of {len(wanted)} ")
    context, name = f"{int(tokens):,}", chip_of(chip).name
    assert named(page, "fits-caption").text == f"On {number} x {name}, at {context} tokens of context."


def test_what_fits_is_sorted_and_filtered(page: Driver) -> None:
    button = page.find_element(By.CSS_SELECTOR, '#fits-table th[data-key="sequences"] button')
    for state in ("descending", "ascending"):
        button.click()
        assert page.find_element(By.CSS_SELECTOR, "#fits-table [aria-sort]").get_attribute("aria-sort") == state
        counts = [int(cells[1].replace(",", "")) for cells in fitted(page, 2, "b200").values()]
        assert counts == sorted(counts, reverse=state == "descending")
    named(page, "filter").send_keys("gemma")
    assert set(fitted(page, 2, "b200")) == {name for name in llmarch.names() if "gemma" in name}


def test_a_node_that_is_not_sold_is_said(page: Driver) -> None:
    shown = fitted(page, 8, "h100-pcie")
    assert {cell for cells in shown.values() for cell in cells} == {"-", ""}
    assert named(page, "fits-said").text == "A node has 2 of these devices."


def test_devices_that_differ_and_formats_that_are_asked_for(browser: Driver, tmp_path: Path) -> None:
    """Heads that devices hold unequally, and weights and caches of 8 bits."""
    data = llmarch.load("llama3.1-8b").model_dump(exclude_defaults=True)
    data["attention"] |= {"n_heads": 24, "n_kv_heads": 12}
    odd = validated({**data, "name": "odd heads"}, "here")
    assert Sizes(odd, Question(Workload())).division.ranks_differ(Layout(tp=8))
    models = [odd, llmarch.load("deepseek-v3"), llmarch.load("gpt-oss-20b")]
    asked: dict[str, Any] = {"kv_dtype": "fp8", "weights": "fp8"}
    path = tmp_path / "asked.html"
    path.write_text(report(models, engine="closed-form", pictures=False, context=5000, **asked))
    browser.get(path.as_uri())
    for number in (1, 4, 8):
        for model, shown in zip(models, fitted(browser, number, "h200").values(), strict=True):
            assert shown == fits_of(model, f"{number}xh200", context=5000, **asked)
    narrow = validated({**data, "name": "narrow", "d_model": 24, "stored": {"format": "mxfp4"}}, "here")
    path.write_text(report([narrow], engine="closed-form", pictures=False))  # its groups are of 32 values
    browser.get(path.as_uri())
    assert fitted(browser, 8, "b200")["narrow"] == ["-", "-", "-", "-", "no layout divides it"]
    assert named(browser, "fits-said").text == "0 of 1 model fits"
    assert browser.get_log("browser") == []


@pytest.mark.parametrize(("first", "second"), [("deepseek-v3", "llama4-maverick"), ("gpt2", "kimi-k2")])
def test_two_amounts_side_by_side_have_one_unit(page: Driver, first: str, second: str) -> None:
    Select(named(page, "first")).select_by_visible_text(first)
    Select(named(page, "second")).select_by_visible_text(second)
    rows = "[...document.querySelectorAll('#pair-table tbody tr')]"
    shown = dict(
        page.execute_script(
            f"return {rows}.map(r => [r.dataset.key, [r.cells[1].textContent, r.cells[3].textContent]])"
        )
    )
    profiles = [llmarch.profile(name, engine="closed-form") for name in (first, second)]
    amounts = [one for one in METRICS if one.unit.scale is not None and one.key in shown]
    assert {"flops_per_token", "weight_bytes", "params"} <= {one.key for one in amounts}
    for one in amounts:
        assert shown[one.key] == one.unit.write_together([one.value(profile) for profile in profiles]), one.key
    assert shown["prefix_tokens"] == ["0", "0"]


def test_any_two_side_by_side_with_their_differences(page: Driver) -> None:
    Select(named(page, "first")).select_by_visible_text("qwen3-8b")
    Select(named(page, "second")).select_by_visible_text("qwen3-14b")
    rows = {row.get_attribute("data-key"): row for row in page.find_elements(By.CSS_SELECTOR, "#pair-table tbody tr")}
    assert "differs" in str(rows["d_model"].get_attribute("class"))
    assert "differs" not in str(rows["vocab_size"].get_attribute("class"))
    assert rows["d_model"].text.split("\n")[-1].endswith("5,120")
    differing = {key for key, row in rows.items() if "≠" in row.text}
    assert named(page, "pair-said").text == f"{len(differing)} differ"
    link = rows["source"].find_element(By.TAG_NAME, "a")
    assert str(link.get_attribute("href")).startswith("https://")
    named(page, "only-differences").click()
    left = {row.get_attribute("data-key") for row in page.find_elements(By.CSS_SELECTOR, "#pair-table tbody tr")}
    assert left == differing

    picked = {drawn.get_attribute("id") for drawn in page.find_elements(By.CSS_SELECTOR, "figure .picked")}
    numbers = [llmarch.names().index(name) for name in ("qwen3-8b", "qwen3-14b")]
    assert {f"plot-cache-curve-{number}-within" for number in numbers} <= picked


def pick(page: Driver, first: str, second: str) -> list[WebElement]:
    """The figures that then stand in the page."""
    Select(named(page, "first")).select_by_visible_text(first)
    Select(named(page, "second")).select_by_visible_text(second)
    return page.find_elements(By.CSS_SELECTOR, "svg.architecture")


def svg_texts(figure: WebElement, selector: str = "text") -> list[str]:
    script = "return [...arguments[0].querySelectorAll(arguments[1])].map(t => t.textContent)"
    return list(figure.parent.execute_script(script, figure, selector))


def drawings(*models: str | ModelSpec) -> list[Drawing]:
    """What `llmarch draw` shows of each, side by side."""
    profiles = [llmarch.profile(model, engine="closed-form") for model in models]
    whole = picture(profiles)
    edges = [line.points[0][0] for line in whole.of(Line) if line.role == "hint" and not line.dashed]
    texts = [text for text in whole.of(Text) if text.y > 40]  # without the footer
    sides = [[t for t in texts if bool(edges and t.x > edges[0]) == bool(side)] for side in range(len(models))]
    return [Drawing(whole.width, whole.height, "", tuple(side)) for side in sides]


def test_figures_follow_the_pickers(page: Driver) -> None:
    names = llmarch.names()
    for pair in (names[:2], ["gpt2", "gpt-oss-120b"], ["deepseek-v3", "kimi-k2"], ["kimi-k2", names[0]]):
        figures = pick(page, *pair)
        assert [str(figure.accessible_name).partition(":")[0] for figure in figures] == [
            f"Architecture of {name}" for name in pair
        ]
        for name, figure in zip(pair, figures, strict=True):
            (alone,) = drawings(name)
            expected = {text.text for text in alone.of(Text)} - {"KV cache at 128k"}
            assert expected <= set(svg_texts(figure))
    (figure,) = pick(page, "gpt2", "gpt2")
    assert svg_texts(figure, ".marked") == []
    assert len(page.find_elements(By.CSS_SELECTOR, "#pair-table tbody tr:first-child td")) == 3
    assert not page.find_element(By.CSS_SELECTOR, "#pair-table tbody tr:first-child td:last-child").is_displayed()


@pytest.mark.parametrize("pair", [("deepseek-v3", "kimi-k2"), ("gpt2", "gpt-oss-120b"), ("qwen3-8b", "qwen3-14b")])
def test_what_differs_is_marked_as_by_draw(page: Driver, pair: tuple[str, str]) -> None:
    for figure, drawing in zip(pick(page, *pair), drawings(*pair), strict=True):
        marked = sorted(text.text for text in drawing.of(Text) if text.marked)
        assert marked
        assert sorted(svg_texts(figure, ".marked")) == marked
        strips = page.execute_script(
            "return [...arguments[0].querySelectorAll('.mark')].map(m => {"
            " const [a, b] = [m.getBBox(), m.nextElementSibling.getBBox()];"
            " return a.x < b.x && a.x + a.width > b.x + b.width && a.y <= b.y && a.height >= b.height"
            " && m.nextElementSibling.matches('.marked') })",
            figure,
        )
        assert strips == [True] * len(marked)
        assert len(figure.find_elements(By.CSS_SELECTOR, ".mark-edge")) == len(marked)


def test_of_a_folded_text_all_lines_are_marked_where_one_differs(browser: Driver, tmp_path: Path) -> None:
    data = llmarch.load("llama3-8b").model_dump(exclude_defaults=True)
    scaling = {"kind": "yarn", "factor": 8.0, "original_context_length": 4096, "beta_fast": 33.0, "beta_slow": 2.0}

    def spec(mscale: float) -> ModelSpec:
        rope = {"rope_scaling": {**scaling, "mscale": mscale, "mscale_all_dim": mscale}}
        return ModelSpec.model_validate({**data, "attention": {**data["attention"], **rope}, "name": f"model {mscale}"})

    specs = [spec(mscale) for mscale in (0.25, 0.5)]
    path = tmp_path / "folded.html"
    path.write_text(report(specs, engine="closed-form"))
    browser.get(path.as_uri())
    for figure, drawing in zip(
        browser.find_elements(By.CSS_SELECTOR, "svg.architecture"), drawings(*specs), strict=True
    ):
        marked = sorted(text.text for text in drawing.of(Text) if text.marked)
        assert any(text.startswith("rope_scaling (beta_fast 33, beta_slow 2") for text in marked)
        assert sorted(svg_texts(figure, ".marked")) == marked


def test_both_figures_are_on_one_scale_with_layers_equally_high(page: Driver) -> None:
    script = (
        "const r = arguments[0].querySelector('rect.variant-0').getBoundingClientRect();"
        " const f = arguments[0].getBoundingClientRect();"
        " return [f.width / arguments[0].viewBox.baseVal.width, r.width, r.height, f.bottom - r.bottom]"
    )
    try:
        for width in (1400, 1900, 500):
            size = {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
            page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
            for pair in (("gpt2", "deepseek-v3"), ("llama3-8b", "gemma3-27b"), ("llama4-maverick", "deepseek-v3")):
                one, other = (page.execute_script(script, figure) for figure in pick(page, *pair))
                assert one == pytest.approx(other, abs=0.1)
                assert one[0] > 0.7
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def sizes(page: Driver) -> list[float]:
    """The pixels of a point in the drawings that are shown."""
    script = (
        "return [...document.querySelectorAll('svg.architecture')]"
        ".map(s => s.getBoundingClientRect().width / s.viewBox.baseVal.width)"
    )
    return list(page.execute_script(script))


@pytest.mark.parametrize("width", [1440, 390])
def test_drawings_can_be_taken_larger(page: Driver, width: int) -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        fitting = sizes(page)
        for value in ("1", "1.5", "2"):
            Select(named(page, "drawn-size")).select_by_value(value)
            assert sizes(page) == pytest.approx([float(value)] * 2, rel=0.01)
            assert page.execute_script("return document.documentElement.scrollWidth") <= width
        pick(page, "gpt2", "deepseek-v3")  # others are as large
        assert sizes(page) == pytest.approx([2.0] * 2, rel=0.01)
        deadline = time.monotonic() + 5
        while "drawn-size=2" not in page.current_url:
            assert time.monotonic() < deadline
        pick(page, *opening())
        Select(named(page, "drawn-size")).select_by_value("")
        assert sizes(page) == pytest.approx(fitting)
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_the_address_has_the_size_of_drawings(page: Driver, file: Path) -> None:
    page.get("about:blank")
    page.get(f"{file.as_uri()}#drawn-size=1.5")
    assert sizes(page) == pytest.approx([1.5] * 2, rel=0.01)
    assert named(page, "drawn-size").get_attribute("value") == "1.5"


@pytest.mark.parametrize("tokens", ["1", "8193", "1M", "1000000000007"])
def test_a_figure_tells_what_the_table_tells_at_any_context(page: Driver, tokens: str) -> None:
    context = 1 << 20 if tokens == "1M" else int(tokens)
    script = "return [...arguments[0].querySelectorAll('[data-metric]')].map(t => [t.dataset.metric, t.textContent])"
    pick(page, "gemma3-27b", "deepseek-v3")
    ask(page, tokens)
    # Those that stand there, and others that are only drawn then.
    for pair in (("gemma3-27b", "deepseek-v3"), ("gpt2", "llama4-scout")):
        for name, figure in zip(pair, pick(page, *pair), strict=True):
            profile = llmarch.profile(name, context=context, engine="closed-form")
            told = dict(page.execute_script(script, figure))
            assert told == {key: metric(key).unit.write(metric(key).value(profile)) for key in CALLOUTS}
            row = page.find_element(By.XPATH, f"//table[@id='table']//tr[th[.='{name}']]")
            for key in ("kv_cache_bytes", "kv_bytes_per_token"):
                assert row.find_element(By.CSS_SELECTOR, f'[data-key="{key}"]').text == told[key]
            assert [text for text in svg_texts(figure) if text.startswith("KV cache")] == ["KV cache at this context"]


def test_the_slider_moves_the_figures_too(page: Driver) -> None:
    first, _ = pick(page, "gemma3-27b", "gpt2")
    before = svg_texts(first, "[data-metric=kv_cache_bytes]")
    named(page, "context-slider").send_keys(Keys.HOME)
    profile = llmarch.profile("gemma3-27b", context=1024, engine="closed-form")
    assert svg_texts(first, "[data-metric=kv_cache_bytes]") == [BYTES.write(profile.kv_cache_bytes)] != before


def test_figures_have_the_colours_of_the_theme(page: Driver) -> None:
    pick(page, "gpt-oss-120b", "gpt2")
    script = (
        "const of = (s, p) => getComputedStyle(document.querySelector('#drawn ' + s))[p];"
        " return [of('.box-attention', 'fill'), of('.box-attention', 'stroke'), of('.text-text:not(.marked)', 'fill'),"
        " of('.line-line', 'stroke'), of('.variant-1', 'fill'), of('.mark', 'fill')]"
    )
    for name, theme in THEMES.items():
        Select(named(page, "theme")).select_by_value(name)
        fill, edge = theme.boxes["attention"]
        assert fill is not None
        assert edge is not None
        wanted = [fill, edge, theme.texts["text"], theme.lines["line"], theme.variants[1], theme.mark]
        assert page.execute_script(script) == [f"rgb({', '.join(map(str, bytes.fromhex(c[1:])))})" for c in wanted]


def test_no_id_stands_twice_whatever_is_picked(page: Driver) -> None:
    pick(page, "gpt2", "deepseek-v3")
    ids = page.execute_script(
        "return [document, document.getElementById('undrawn').content]"
        ".flatMap(d => [...d.querySelectorAll('[id]')].map(e => e.id))"
    )
    assert len(ids) == len(set(ids))


def test_scroll_regions_have_names_and_are_reached_by_keys(page: Driver) -> None:
    size = {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        scrolled = page.execute_script(
            "return [...document.querySelectorAll('main *')].filter(e => e.scrollWidth > e.clientWidth + 1"
            " && ['auto', 'scroll'].includes(getComputedStyle(e).overflowX))"
        )
        assert len(scrolled) >= 5  # the architectures, and plots; tables are no wider than the page
        assert not [region for region in scrolled if region.find_elements(By.TAG_NAME, "table")]
        for region in scrolled:
            assert region.get_attribute("tabindex") == "0" or region.find_elements(
                By.CSS_SELECTOR, ".marks[tabindex='0']"
            )
            assert region.accessible_name
        drawn = named(page, "drawn")
        drawn.send_keys(Keys.ARROW_RIGHT)
        deadline = time.monotonic() + 5
        while not (moved := page.execute_script("return arguments[0].scrollLeft", drawn)):
            assert time.monotonic() < deadline
        assert moved > 0
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.parametrize("pictures", [True, False])
@pytest.mark.parametrize("models", [["gpt2"], ["gpt2", "gpt2-xl"]])
def test_a_page_of_few_models_with_pictures_or_without(
    browser: Driver, tmp_path: Path, models: list[str], pictures: bool
) -> None:
    path = tmp_path / "few.html"
    path.write_text(report(models, engine="closed-form", pictures=pictures))
    browser.get(path.as_uri())
    ask(browser, "1k")
    assert column(browser, "kv_cache_bytes")[0] == "36.00 MiB"
    assert len(browser.find_elements(By.CSS_SELECTOR, "svg.architecture")) == len(models) * pictures
    assert named(browser, "second").is_displayed() == (len(models) == 2)
    for link in browser.find_elements(By.CSS_SELECTOR, "nav a"):
        assert named(browser, str(link.get_attribute("href")).partition("#")[2])
    assert browser.get_log("browser") == []


def test_without_script_two_are_drawn(browser: Driver, file: Path) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.get(file.as_uri())
        figures = browser.find_elements(By.CSS_SELECTOR, "svg.architecture")
        names = [str(figure.get_attribute("aria-label")).partition(":")[0] for figure in figures]
        assert names == [f"Architecture of {name}" for name in opening()]
        assert "131072 tokens" in browser.find_element(By.TAG_NAME, "noscript").text
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_a_row_leads_to_its_model_and_the_address_keeps_it(page: Driver, file: Path) -> None:
    ask(page, "32k")
    heading(page, "params").find_element(By.CLASS_NAME, "sort").click()
    row = page.find_element(By.XPATH, "//table[@id='table']//tr[th[.='gemma3-27b']]")
    row.find_element(By.TAG_NAME, "a").click()
    assert named(page, "first-name").text == "gemma3-27b"
    assert page.execute_script("return document.getElementById('pair').getBoundingClientRect().top") < 300
    Select(named(page, "kind")).select_by_value("dense")
    kept = "#pair&ctx=32k&sort=-params&kind=dense&first=gemma3-27b"
    deadline = time.monotonic() + 5
    while not page.current_url.endswith(kept):
        assert time.monotonic() < deadline, page.current_url
    shown = (column(page, "model"), column(page, "kv_cache_bytes"))
    page.get("about:blank")
    page.get(file.as_uri() + kept)
    assert (column(page, "model"), column(page, "kv_cache_bytes")) == shown
    assert heading(page, "params").get_attribute("aria-sort") == "descending"
    assert named(page, "first-name").text == "gemma3-27b"
    assert named(page, "context").get_attribute("value") == "32k"


@pytest.mark.parametrize("unknown", ["#first=none&sort=-none&ctx=none&kind=none&more=1", "#=&&=", "#none", "#%"])
def test_an_address_that_is_not_known_changes_nothing(page: Driver, file: Path, unknown: str) -> None:
    before = (column(page, "model"), column(page, "kv_cache_bytes"), named(page, "first-name").text)
    page.execute_script("location.hash = arguments[0]", unknown)
    assert (column(page, "model"), column(page, "kv_cache_bytes"), named(page, "first-name").text) == before


def test_it_opens_with_the_pair_of_its_data(page: Driver) -> None:
    assert [named(page, f"{side}-name").text for side in ("first", "second")] == opening()


def test_titles_of_two_figures_are_at_one_height(page: Driver) -> None:
    script = (
        "return [...arguments[0].querySelectorAll('text')].find(t => t.getAttribute('font-size') === '16')"
        ".getBoundingClientRect().top"
    )
    for pair in (("deepseek-v3", "llama4-maverick"), ("gpt2", "llama3.1-405b")):
        one, other = (page.execute_script(script, figure) for figure in pick(page, *pair))
        assert one == pytest.approx(other, abs=0.5)


@pytest.mark.parametrize("width", [1440, 1100, 800, 390])
def test_tables_are_no_wider_than_the_page(page: Driver, width: int) -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        script = "return [...document.querySelectorAll('table')].map(t => t.getBoundingClientRect().right)"
        assert max(page.execute_script(script)) <= width
        keys = ["params", "active_params", "kv_cache_bytes"]
        assert all(heading(page, key).is_displayed() for key in keys)
        inside = (
            "return [...document.querySelectorAll('.scroll')].filter(e => e.scrollHeight > e.clientHeight + 1).length"
        )
        assert page.execute_script(inside) == 0  # one scroll bar, that of the page
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_convention_is_one_click_away(page: Driver) -> None:
    said = named(page, "what-active_params")
    assert not said.is_displayed()
    heading(page, "active_params").find_element(By.CLASS_NAME, "what").click()
    assert said.is_displayed()
    assert "all but the idle experts" in said.text
    ActionChains(page).send_keys(Keys.ESCAPE).perform()
    assert not said.is_displayed()


def test_the_keyboard_reaches_all_in_the_order_of_the_page(page: Driver) -> None:
    script = "const e = document.activeElement; return e.id || e.className || e.getAttribute('href') || e.tagName"
    reached = []
    for _ in range(20):
        ActionChains(page).send_keys(Keys.TAB).perform()
        reached.append(page.execute_script(script))
    links = ["#models", "#fits", "#pair", "#architectures", "#plots", "#conventions"]
    controls = ["theme", "context-slider", "context", "exact", "filter", "organization", "kind"]
    assert reached == ["skip", *links, *controls, *["sort", "what"] * 3]
    ActionChains(page).send_keys(Keys.TAB, Keys.ENTER).perform()
    assert heading(page, "params").get_attribute("aria-sort") == "descending"


def test_every_control_has_a_name(page: Driver) -> None:
    shown = [each for each in page.find_elements(By.CSS_SELECTOR, "main button, input, select") if each.is_displayed()]
    assert len(shown) > 60
    for control in shown:
        assert control.accessible_name.strip(), control.get_attribute("outerHTML")


def plots(page: Driver) -> list[WebElement]:
    """The lists of models in the plots."""
    return page.find_elements(By.CSS_SELECTOR, "#plots .marks")


def reach(page: Driver, number: int = 0) -> WebElement:
    """Go to a plot by Tab, from the heading above them all."""
    page.execute_script(
        "const h = document.getElementById('plots-title'); h.tabIndex = -1; h.focus(); h.removeAttribute('tabindex')"
    )
    wanted = plots(page)[number]
    for _ in range(10):
        press(page, Keys.TAB)
        if page.switch_to.active_element == wanted:
            break
    assert page.switch_to.active_element == wanted
    return wanted


def press(page: Driver, *keys: str) -> None:
    ActionChains(page).send_keys(*keys).perform()


def active(page: Driver) -> str | None:
    """What a screen reader is told of the focused list: its active option."""
    script = (
        "const id = document.activeElement.getAttribute('aria-activedescendant');"
        " return id && document.getElementById(id).textContent"
    )
    text = page.execute_script(script)
    boxes = [tip.text for tip in page.find_elements(By.CLASS_NAME, "tip") if tip.is_displayed()]
    assert boxes == ([text] if text else [])  # the eye is told the same
    return None if text is None else str(text)


def pointed(page: Driver) -> set[str]:
    """The ids of the curves and points that are drawn thick for it."""
    return {str(shape.get_attribute("id")) for shape in page.find_elements(By.CSS_SELECTOR, "figure .pointed")}


def test_a_plot_is_a_list_for_keys_and_screen_readers(page: Driver) -> None:
    lists = plots(page)
    assert [each.aria_role for each in lists] == ["listbox"] * 3  # all but the bars, which have names
    assert [each.accessible_name for each in lists] == [
        "Models in the plot KV cache and state by context",
        "Models in the plot FLOPs per token by context",
        "Models in the plot Total and active parameters",
    ]
    assert named(page, str(lists[0].get_attribute("aria-describedby"))).text.endswith("Escape hides its name.")
    options = lists[0].find_elements(By.CSS_SELECTOR, "[role=option]")
    assert len(options) == len(llmarch.names())
    assert page.find_elements(By.CSS_SELECTOR, "figure[data-metrics] .pointed, figure[data-metrics] g > title") == []

    found = reach(page)
    outline = "return getComputedStyle(arguments[0].parentNode).outlineStyle"
    assert page.execute_script(outline, found) == "solid"
    assert page.execute_script(outline, lists[1]) == "none"
    first = active(page)
    assert first is not None
    press(page, Keys.ARROW_DOWN)
    second = active(page)
    assert second not in (None, first)
    press(page, Keys.ARROW_UP)
    assert active(page) == first
    press(page, Keys.ARROW_UP)  # there is none above
    assert active(page) == first
    press(page, Keys.END)
    last = active(page)
    press(page, Keys.PAGE_UP, Keys.PAGE_DOWN)
    assert active(page) == last
    press(page, Keys.HOME)
    assert active(page) == first
    assert len(found.find_elements(By.CSS_SELECTOR, "[aria-selected=true]")) == 1

    press(page, Keys.ESCAPE)
    assert active(page) is None
    assert pointed(page) == set()
    assert page.switch_to.active_element == found
    press(page, Keys.ARROW_DOWN)
    assert active(page) == first
    press(page, Keys.TAB)
    assert page.switch_to.active_element == lists[1]
    assert active(page) is not None
    ActionChains(page).key_down(Keys.SHIFT).send_keys(Keys.TAB, Keys.TAB).key_up(Keys.SHIFT).perform()
    assert [tip for tip in page.find_elements(By.CLASS_NAME, "tip") if tip.is_displayed()] == []


def told(name: str, key: str, context: int) -> str:
    """What a plot says of a model."""
    profile = llmarch.profile(name, context=context, engine="closed-form")
    window = profile.spec.context_length
    beyond = ", beyond its context window" if window is not None and context > window else ""
    value = metric(key).unit.write(metric(key).value(profile))
    return f"{value} at {metric('context_window').unit.write(context)}{beyond}"


def test_letters_find_a_model_and_enter_chooses_it(page: Driver) -> None:
    ask(page, "8193")
    for number, key in enumerate(("cache_bytes", "flops_per_token")):
        reach(page, number)
        press(page, *"gemma3-27b")
        assert active(page) == f"gemma3-27b (GQA window): {told('gemma3-27b', key, 8193)}"
        place = llmarch.names().index("gemma3-27b")
        kind = ("cache", "flops")[number]
        assert pointed(page) == {f"plot-{kind}-curve-{place}-{part}" for part in ("within", "beyond")}
    press(page, Keys.ENTER)
    assert named(page, "first-name").text == "gemma3-27b"
    assert named(page, "first-key").text == "gemma3-27b"
    reach(page, 2)
    press(page, *"gpt-oss-120b")
    assert active(page) == "gpt-oss-120b: 116.83B parameters, 5.71B active parameters"
    time.sleep(0.8)  # what was typed is forgotten
    press(page, "g")
    third = active(page)
    press(page, "g")
    assert str(third).startswith("g")
    assert active(page) not in (third, None)


def test_the_list_goes_through_all_curves_from_the_top(page: Driver) -> None:
    script = "return [...arguments[0].children].map(option => option.textContent.split(' (')[0])"
    order = page.execute_script(script, plots(page)[1])
    assert sorted(order) == sorted(llmarch.names())
    longest = 10_485_760  # the right end of the plot
    costs = [llmarch.profile(name, context=longest, engine="closed-form").flops_per_token for name in order]
    assert all(
        low <= high * 1.001 for high, low in itertools.pairwise(costs)
    )  # lines are drawn to a millionth of an inch
    reach(page, 1)
    seen = []
    for _ in range(10):
        seen.append(str(active(page)).split(" (")[0])
        press(page, Keys.ARROW_DOWN)
    press(page, *[Keys.ARROW_DOWN] * (len(order) - 12))
    for _ in range(2):
        seen.append(str(active(page)).split(" (")[0])
        press(page, Keys.ARROW_DOWN)
    assert seen == [*order[:10], *order[-2:]]


@pytest.mark.parametrize("width", [1440, 390])
def test_the_pointer_names_what_is_near(page: Driver, width: int) -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        place = llmarch.names().index("bloom-176b")  # on the upper edge, far from others
        script = (
            "const path = document.querySelector(arguments[0]); path.scrollIntoView({block: 'center'});"
            " const at = path.getPointAtLength(path.getTotalLength() / 4).matrixTransform(path.getScreenCTM());"
            " return [Math.round(at.x), Math.round(at.y) + arguments[1]]"
        )
        curve = f"#plot-cache-curve-{place}-within path"
        pointer = ActionBuilder(page)
        pointer.pointer_action.move_to_location(*page.execute_script(script, curve, -4))
        pointer.perform()
        (tip,) = (each for each in page.find_elements(By.CLASS_NAME, "tip") if each.is_displayed())
        assert tip.text.startswith("bloom-176b (MHA): 490.00 GiB at 128k, beyond")
        box = page.execute_script("return arguments[0].getBoundingClientRect()", tip)
        assert box["left"] >= 0
        assert box["right"] <= width
        press(page, Keys.ESCAPE)
        assert not tip.is_displayed()
        pointer.pointer_action.move_to_location(*page.execute_script(script, curve, -5))
        pointer.pointer_action.click()
        pointer.perform()
        assert named(page, "first-name").get_attribute("textContent") == "bloom-176b"
        pointer.pointer_action.move_to_location(*page.execute_script(script, curve, -60))
        pointer.perform()
        assert not tip.is_displayed()
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_finger_sees_the_name_first_and_chooses_by_a_second_tap(page: Driver) -> None:
    place = llmarch.names().index("bloom-176b")
    script = (
        "const path = document.querySelector(arguments[0]); path.scrollIntoView({block: 'center'});"
        " const at = path.getPointAtLength(path.getTotalLength() / 4).matrixTransform(path.getScreenCTM());"
        " return [Math.round(at.x), Math.round(at.y)]"
    )
    x, y = page.execute_script(script, f"#plot-cache-curve-{place}-within path")
    chosen = named(page, "first-name").get_attribute("textContent")

    def tap(x: int, y: int) -> list[str]:
        finger = ActionBuilder(page, mouse=PointerInput(interaction.POINTER_TOUCH, "finger"))
        finger.pointer_action.move_to_location(x, y).pointer_down().pointer_up()
        finger.perform()
        return [tip.text for tip in page.find_elements(By.CLASS_NAME, "tip") if tip.is_displayed()]

    (said,) = tap(x, y)
    assert said.startswith("bloom-176b (MHA): ")
    assert named(page, "first-name").get_attribute("textContent") == chosen
    assert tap(x, y) == [said]
    assert named(page, "first-name").get_attribute("textContent") == "bloom-176b"
    corner = "const r = document.querySelector('#plots svg').getBoundingClientRect(); return [r.left + 4, r.top + 4]"
    assert tap(*map(round, page.execute_script(corner))) == []


def test_every_stop_of_tab_has_a_name_and_a_ring(browser: Driver, tmp_path: Path) -> None:
    path = tmp_path / "three.html"
    path.write_text(report(["gpt2", "deepseek-v3", "gemma3-27b"], engine="closed-form"))
    browser.get(path.as_uri())
    script = (
        "const e = document.activeElement; if (e === document.body) return null;"
        " const ring = e.closest('.pointable') && e.matches('.marks') ? e.closest('.pointable') : e;"
        " const s = getComputedStyle(ring);"
        " return [e.id || e.className || e.tagName, s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 1]"
    )
    stops: list[tuple[str, bool]] = []
    while len(stops) < 400:
        press(browser, Keys.TAB)
        if (stop := browser.execute_script(script)) is None:
            break
        stops.append((stop[0], stop[1]))
        assert browser.switch_to.active_element.accessible_name.strip(), stop
    assert 100 < len(stops) < 400
    assert [name for name, ringed in stops if not ringed] == []
    names = [name for name, _ in stops]
    assert [name for name in names if name.startswith("marks-")] == ["marks-1", "marks-2", "marks-3"]
    assert {"drawn", "first", "second", "fits-chip"} <= set(names)
    assert browser.get_log("browser") == []


def test_light_and_dark(page: Driver) -> None:
    def paper() -> Any:
        return page.execute_script("return getComputedStyle(document.body).backgroundColor")

    seen = {}
    for theme in ("light", "dark"):
        Select(named(page, "theme")).select_by_value(theme)
        seen[theme] = paper()
    Select(named(page, "theme")).select_by_value("")
    for theme in ("light", "dark"):
        features = [{"name": "prefers-color-scheme", "value": theme}]
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        assert paper() == seen[theme]
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert seen["light"] != seen["dark"]


def test_print_hides_what_paper_cannot_use(page: Driver) -> None:
    figures = pick(page, "gpt2", "deepseek-v3")
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert not named(page, "theme").is_displayed()
    assert not named(page, "filter").is_displayed()
    assert named(page, "table").is_displayed()
    wide = page.execute_script(
        "return [...document.querySelectorAll('.scroll')].map(s => getComputedStyle(s).overflowX)"
    )
    assert set(wide) == {"visible"}
    assert all(figure.is_displayed() for figure in figures)
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_a_printed_figure_fits_a_page_whole(page: Driver) -> None:
    # The largest there are: two that stand side by side, and two that do not.
    for pair, n_pages in ((("gpt2", "grok-2.5"), 1), (("deepseek-v3", "llama4-maverick"), 2)):
        pick(page, *pair)
        page.execute_script(
            "const rest = 'header, .bar, footer, section:not(#pair), #pair > :not(h3, h3 + .note, #drawn)';"
            "for (const e of document.querySelectorAll(rest)) e.classList.add('unprinted');"
            "document.styleSheets[0].insertRule('@media print { .unprinted { display: none !important } }')"
        )
        printed = page.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})
        assert len(re.findall(rb"/Type\s*/Page\b", base64.b64decode(printed["data"]))) == n_pages


def test_nothing_but_tables_and_figures_is_wider_than_a_phone(page: Driver) -> None:
    page.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    )
    assert page.execute_script("return document.documentElement.scrollWidth") <= 390
    page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_hostile_spec_runs_nothing(browser: Driver, tmp_path: Path) -> None:
    data = llmarch.load("gpt2").model_dump(exclude_defaults=True)
    fields = {"name": HOSTILE, "organization": HOSTILE, "license": HOSTILE}
    first = validated({**data, **fields, "source": "https://x/'><script>document.title='run'</script>"}, "here")
    second = validated({**data, "name": 'a" onmouseover="document.title=\'run\'" b="'}, "here")
    second = second.model_copy(update={"source": "javascript:document.title='run'"})  # no file may say so
    third = validated({**data, **fields, "name": f"kept {HOSTILE}"}, "here")  # whose figure is a template's
    path = tmp_path / "hostile.html"
    path.write_text(report([first, second, third], engine="closed-form"))
    browser.get(path.as_uri())
    for pair in ((0, 2), (2, 1), (0, 1)):
        for side, number in zip(("first", "second"), pair, strict=True):
            Select(named(browser, side)).select_by_index(number)
        for number, figure in zip(pair, browser.find_elements(By.CSS_SELECTOR, "svg.architecture"), strict=True):
            assert figure.get_attribute("data-number") == str(number)
            assert (HOSTILE in str(figure.accessible_name)) == (number != 1)
            assert ("".join(HOSTILE.split()) in "".join("".join(svg_texts(figure)).split())) == (number != 1)
    assert browser.title == "LLM architectures: 3 side by side"
    assert list(fitted(browser, 2, "h100"))[::2] == [HOSTILE, f"kept {HOSTILE}"]
    assert column(browser, "model")[0] == HOSTILE
    assert len(browser.find_elements(By.TAG_NAME, "script")) == 3
    assert browser.find_elements(By.CSS_SELECTOR, "img, [onmouseover], [onerror]") == []
    links = browser.find_elements(By.CSS_SELECTOR, "#pair-table a")
    assert [str(link.get_attribute("href")).partition(":")[0] for link in links] == ["https"]
    assert browser.get_log("browser") == []
