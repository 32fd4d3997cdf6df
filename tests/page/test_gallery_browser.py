"""The gallery in a real browser: filters, order, addresses, comparison, keys and themes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.select import Select

import llmarch_cli as llmarch
from llmarch_cli.api import gallery
from llmarch_cli.drawings.picture import apart
from llmarch_cli.drawings.shapes import Box
from llmarch_cli.report.columns import metric
from llmarch_cli.specs.loading import validated

MODELS = ["gpt2", "gpt2-xl", "deepseek-v3", "falcon-h1-0.5b"]
PAGES = ["index.html", "timeline.html", "family.html", "compare.html", "mechanisms.html", "models/deepseek-v3.html"]
HOSTILE = "</template></svg></script><script>document.title='run'</script><img src=x onerror=\"document.title='run'\">"

Driver = webdriver.Chrome
Open = Callable[[str], Driver]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gallery of four models."""
    out = tmp_path_factory.mktemp("gallery") / "site"
    gallery(MODELS, out, engine="closed-form")
    return out


@pytest.fixture
def open_page(browser: Driver, site: Path) -> Iterator[Open]:
    """Opens a page anew. Whatever a test does there must not fail in the console, nor load anything from elsewhere."""
    browser.get_log("performance")
    browser.get_log("browser")

    def opened(address: str) -> Driver:
        browser.get("about:blank")
        browser.get(f"{site.as_uri()}/{address}")
        return browser

    yield opened
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.execute_script("try { localStorage.clear() } catch {}")
    assert browser.get_log("browser") == []
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    requested = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    assert [url for url in requested if not url.startswith(("data:", "about:", f"{site.as_uri()}/"))] == []


def named(page: Driver, name: str) -> WebElement:
    return page.find_element(By.ID, name)


def shown(page: Driver) -> list[str]:
    """The models of the index that are shown, from the top, by the names of their pages."""
    script = "return [...document.querySelectorAll('#models tbody tr:not([hidden]) .name a')].map(a => a.href)"
    return [address.rpartition("/")[2].removesuffix(".html") for address in page.execute_script(script)]


def cells(page: Driver, key: str) -> list[str]:
    """A column of the index, from the top."""
    script = (
        "const at = [...document.querySelectorAll('#models thead th')].findIndex(h => h.dataset.key === arguments[0]);"
        " return [...document.querySelectorAll('#models tbody tr:not([hidden])')].map(r => r.cells[at].textContent)"
    )
    return list(page.execute_script(script, key))


def ask(page: Driver, tokens: str) -> None:
    named(page, "context").clear()
    named(page, "context").send_keys(tokens, Keys.ENTER)


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class TestTheIndex:
    def test_it_filters_by_anything(self, open_page: Open) -> None:
        page = open_page("index.html")
        assert shown(page) == ["falcon-h1-0.5b", "deepseek-v3", "gpt2-xl", "gpt2"]  # the newest first
        for control, value, expected in (
            ("organization", "OpenAI", {"gpt2", "gpt2-xl"}),
            ("year", "2024", {"deepseek-v3"}),
            ("mechanism", "Multi-head latent attention", {"deepseek-v3"}),
            ("kind", "dense", {"gpt2", "gpt2-xl", "falcon-h1-0.5b"}),
        ):
            select = Select(named(page, control))
            select.select_by_visible_text(value)
            assert set(shown(page)) == expected, control
            assert named(page, "filter-said").text == f"{len(expected)} of 4 models"
            select.select_by_value("")
        for field, text, expected in (
            ("filter", "mamba-2 tii", {"falcon-h1-0.5b"}),
            ("filter", "learned", {"gpt2", "gpt2-xl"}),
            ("params-least", "1.5B", {"gpt2-xl", "deepseek-v3"}),
            ("params-most", "600m", {"gpt2", "falcon-h1-0.5b"}),
            ("active_params-most", "521,411,103", {"gpt2"}),
            ("cache_bytes-most", "3 GiB", {"falcon-h1-0.5b"}),
            ("cache_bytes-least", "8.6g", {"gpt2-xl"}),
        ):
            named(page, field).send_keys(text)
            assert set(shown(page)) == expected, text
            named(page, "clear").click()
            assert len(shown(page)) == 4
        ask(page, "1k")
        named(page, "cache_bytes-most").send_keys("36 MiB")
        assert "gpt2" in shown(page)

    def test_what_is_no_amount_is_marked_and_ignored(self, open_page: Open) -> None:
        page = open_page("index.html")
        named(page, "params-least").send_keys("many")
        assert named(page, "params-least").get_attribute("aria-invalid") == "true"
        assert len(shown(page)) == 4

    def test_it_sorts_by_each_column(self, open_page: Open) -> None:
        page = open_page("index.html")
        profiles = {name: llmarch.profile(name, engine="closed-form") for name in MODELS}
        for heading in page.find_elements(By.CSS_SELECTOR, "#models th[data-key]"):
            key = str(heading.get_attribute("data-key"))
            for _ in range(2):
                heading.find_element(By.CLASS_NAME, "sort").click()
                order = heading.get_attribute("aria-sort")
                values: list[Any] = [metric(key).value(profiles[name]) for name in shown(page)]
                assert values == sorted(values, reverse=order == "descending"), (key, order)
            assert len(page.find_elements(By.CSS_SELECTOR, "[aria-sort]")) == 1

    @pytest.mark.parametrize("tokens", ["1", "8193", "1M"])
    def test_figures_at_any_context_are_those_of_the_command_line(self, open_page: Open, tokens: str) -> None:
        page = open_page("index.html")
        ask(page, tokens)
        context = 1 << 20 if tokens == "1M" else int(tokens)
        for exact in (False, True):
            if exact:
                named(page, "exact").click()
            found = {name: llmarch.profile(name, context=context, engine="closed-form") for name in shown(page)}
            for key in ("cache_bytes", "kv_bytes_per_token", "kv_times_smaller", "flops_per_token", "params"):
                of = metric(key)
                assert cells(page, key) == [of.unit.write(of.value(each), exact) for each in found.values()], key

    def test_the_address_keeps_what_is_chosen(self, open_page: Open) -> None:
        page = open_page("index.html")
        named(page, "filter").send_keys("gpt")
        Select(named(page, "kind")).select_by_value("dense")
        page.find_element(By.CSS_SELECTOR, '#models th[data-key="params"] .sort').click()
        ask(page, "32k")
        address = page.current_url
        assert address.partition("#")[2] == "q=gpt&kind=dense&sort=-params&ctx=32k"
        page.get("about:blank")
        page.get(address)
        assert shown(page) == ["gpt2-xl", "gpt2"]
        assert named(page, "context-said").text == "32,768 tokens of context"
        assert cells(page, "cache_bytes") == ["9.38 GiB", "1.12 GiB"] or cells(page, "cache_bytes")[1] == "1.13 GiB"
        page.execute_script("location.hash = 'mechanism=moe&sort=nothing&ctx=x&year=1066'")
        until(lambda: shown(page) == ["deepseek-v3"])
        assert named(page, "context-said").text == "131,072 tokens of context"

    def test_two_ticked_models_lead_to_their_comparison(self, open_page: Open) -> None:
        page = open_page("index.html")
        for name in ("gpt2", "gpt2-xl", "deepseek-v3"):
            page.find_element(By.CSS_SELECTOR, f'input[aria-label="Compare {name}"]').click()
        assert len(page.find_elements(By.CSS_SELECTOR, "#models input:checked")) == 2
        assert named(page, "chosen").text == "Compare gpt2-xl and deepseek-v3"
        named(page, "chosen").click()
        until(lambda: "differ" in named(page, "pair-said").text)
        assert page.current_url.endswith("compare.html#a=gpt2-xl&b=deepseek-v3")


class TestAComparison:
    def test_it_has_an_address(self, open_page: Open) -> None:
        page = open_page("compare.html#a=deepseek-v3&b=gpt2&ctx=8k")
        until(lambda: "differ" in named(page, "pair-said").text)
        assert (named(page, "first-name").text, named(page, "second-name").text) == ("deepseek-v3", "gpt2")
        rows = page.execute_script(
            "return [...document.querySelectorAll('#pair-table tbody tr')]"
            ".map(r => [r.dataset.key, r.cells[1].textContent, r.cells[3].textContent, r.matches('.differs')])"
        )
        both = [llmarch.profile(name, context=8192, engine="closed-form") for name in ("deepseek-v3", "gpt2")]
        for key, first, second, differs in rows:
            of = metric(key)
            if key != "engine":
                assert [first, second] == of.unit.write_together([of.value(each) for each in both]), key
                exact = [of.unit.write(of.value(each), exact=True) for each in both]
                assert differs == (exact[0] != exact[1]), key
        drawn = page.find_elements(By.CSS_SELECTOR, "#drawn svg")
        assert [str(each.accessible_name).partition(":")[0] for each in drawn] == [
            "Architecture of deepseek-v3",
            "Architecture of gpt2",
        ]
        assert page.find_elements(By.CSS_SELECTOR, "#drawn .marked")
        values = page.execute_script(
            "return [...document.querySelectorAll('#drawn [data-metric=kv_cache_bytes]')].map(t => t.textContent)"
        )
        assert values == [metric("kv_cache_bytes").unit.write(each.kv_cache_bytes) for each in both]

    @pytest.mark.parametrize("pair", [("gpt2", "gpt2-xl"), ("falcon-h1-0.5b", "deepseek-v3"), ("gpt2", "gpt2")])
    def test_layers_are_equally_high_on_the_largest_scale_of_both(self, open_page: Open, pair: tuple[str, str]) -> None:
        page = open_page(f"compare.html#a={pair[0]}&b={pair[1]}")
        until(lambda: "differ" in named(page, "pair-said").text)
        script = (
            "const end = (s, r) => s.viewBox.baseVal.height - r.getAttribute('y');"
            " const strip = (s) => [...s.querySelectorAll('[class^=\"edged v\"]')];"
            " return [...document.querySelectorAll('#drawn svg')]"
            ".map(s => strip(s).map(r => [Number(r.getAttribute('height')), end(s, r)]))"
        )
        models = [llmarch.profile(name, engine="closed-form") for name in dict.fromkeys(pair)]
        for strip, alone in zip(page.execute_script(script), apart(models, ""), strict=True):
            wanted = [box for box in alone.of(Box) if box.colour is not None]
            gap = 0.6  # between layers: narrower on a small scale
            assert [height for height, _ in strip] == pytest.approx([box.height for box in wanted], abs=gap)
            levels, wanted_levels = [top - height for height, top in strip], [box.y for box in wanted]
            rises, wanted_rises = ([each - min(of) for each in of] for of in (levels, wanted_levels))
            assert rises == pytest.approx(wanted_rises, abs=0.05)

    def test_choices_change_the_address_and_the_address_the_choice(self, open_page: Open) -> None:
        page = open_page("compare.html")
        until(lambda: named(page, "second-name").text == "gpt2-xl")
        Select(named(page, "second")).select_by_value("falcon-h1-0.5b")
        until(lambda: named(page, "second-name").text == "falcon-h1-0.5b")
        assert page.current_url.endswith("#a=gpt2&b=falcon-h1-0.5b")
        named(page, "swap").click()
        until(lambda: named(page, "second-name").text == "gpt2")
        assert page.current_url.endswith("#a=falcon-h1-0.5b&b=gpt2")
        ask(page, "1k")
        assert page.current_url.endswith("&ctx=1k")
        page.execute_script("location.hash = 'a=deepseek-v3&b=deepseek-v3'")
        until(lambda: named(page, "first-name").text == "deepseek-v3")
        assert len(page.find_elements(By.CSS_SELECTOR, "#drawn svg")) == 1
        named(page, "only-differences").click()
        assert page.find_elements(By.CSS_SELECTOR, "#pair-table tbody tr") == []
        assert page.title.startswith("deepseek-v3 and deepseek-v3")

    @pytest.mark.parametrize("name", ["no-such", "../../x", "__proto__", "constructor", "<img>"])
    def test_a_model_that_is_not_there_is_said(self, open_page: Open, name: str) -> None:
        page = open_page(f"compare.html#a={name}&b=gpt2-xl")
        until(lambda: "There is no model" in named(page, "pair-said").text)
        assert name in named(page, "pair-said").text
        assert named(page, "second-name").text == "gpt2-xl"
        assert page.find_elements(By.TAG_NAME, "img") == []


@pytest.mark.parametrize("address", ["models/deepseek-v3.html", "compare.html#a=deepseek-v3&b=gpt2"])
def test_drawings_can_be_taken_larger(open_page: Open, address: str) -> None:
    page = open_page(address)
    until(lambda: page.find_elements(By.CSS_SELECTOR, "svg.architecture"))
    Select(named(page, "drawn-size")).select_by_value("2")
    script = (
        "return [...document.querySelectorAll('svg.architecture')]"
        ".map(s => s.getBoundingClientRect().width / s.viewBox.baseVal.width)"
    )
    sizes = page.execute_script(script)
    assert sizes == pytest.approx([2.0] * len(sizes), rel=0.01)
    assert page.execute_script("return document.documentElement.scrollWidth <= innerWidth")


class TestAModel:
    def test_its_figures_follow_the_context(self, open_page: Open) -> None:
        page = open_page("models/deepseek-v3.html")
        ask(page, "8193")
        named(page, "exact").click()
        found = llmarch.profile("deepseek-v3", context=8193, engine="closed-form")
        script = "return [...document.querySelectorAll('#sheet [data-key]')].map(c => [c.dataset.key, c.textContent])"
        figures = dict(page.execute_script(script))
        assert len(figures) > 25
        assert figures == {key: metric(key).unit.write(metric(key).value(found), exact=True) for key in figures}
        tile = page.find_element(By.CSS_SELECTOR, '.tiles [data-key="cache_bytes"]')
        assert tile.text == metric("cache_bytes").unit.write(found.cache_bytes)
        drawn = page.execute_script("return document.querySelector('[data-metric=kv_cache_bytes]').textContent")
        assert drawn == metric("kv_cache_bytes").unit.write(found.kv_cache_bytes)
        assert page.find_element(By.CSS_SELECTOR, ".chart .here").get_attribute("transform")

    def test_it_leads_to_a_comparison(self, open_page: Open) -> None:
        page = open_page("models/gpt2.html")
        Select(named(page, "versus")).select_by_value("deepseek-v3")
        named(page, "versus-link").click()
        until(lambda: "differ" in named(page, "pair-said").text)
        assert page.current_url.endswith("compare.html#a=gpt2&b=deepseek-v3")

    def test_a_definition_is_one_click_away(self, open_page: Open) -> None:
        page = open_page("models/gpt2.html")
        page.find_element(By.CSS_SELECTOR, '[popovertarget="what-kv_fixed_bytes"]').click()
        assert "no longer grows" in named(page, "what-kv_fixed_bytes").text


def test_the_timeline_hides_groups_and_links_marks(open_page: Open) -> None:
    page = open_page("timeline.html")
    marks = page.find_elements(By.CSS_SELECTOR, ".chart a")
    assert len(marks) == 3 * len(MODELS)
    key = page.find_element(By.CSS_SELECTOR, '[data-group="latent"].group-key')
    key.click()
    assert key.get_attribute("aria-pressed") == "false"
    hidden = [mark.get_attribute("data-model") for mark in marks if not mark.is_displayed()]
    assert hidden == ["deepseek-v3"] * 3
    key.click()
    ActionChains(page).move_to_element(page.find_element(By.CSS_SELECTOR, '.chart [data-model="gpt2"]')).perform()
    until(lambda: "GPT-2, 2019-02-14: 124.44M" in named(page, "pointed").text)
    assert len(page.find_elements(By.CSS_SELECTOR, ".chart .pointed")) == 3


def test_a_chart_of_the_timeline_is_a_list_for_keys_and_screen_readers(open_page: Open) -> None:
    page = open_page("timeline.html")
    lists = page.find_elements(By.CSS_SELECTOR, ".marks")
    assert [each.aria_role for each in lists] == ["listbox"] * 3
    assert lists[0].accessible_name == "Models in the chart Parameters by release date, the newest first"
    described = str(lists[0].get_attribute("aria-describedby"))
    assert "arrow keys" in named(page, described).text

    def option() -> str | None:
        script = (
            "const id = document.activeElement.getAttribute('aria-activedescendant');"
            " return id && document.getElementById(id).textContent"
        )
        text = page.execute_script(script)
        shown = [tip.text for tip in page.find_elements(By.CLASS_NAME, "tip") if tip.is_displayed()]
        assert shown == ([text] if text else [])
        return None if text is None else str(text)

    page.execute_script("[...document.querySelectorAll('.group-key')].at(-1).focus()")
    ActionChains(page).send_keys(Keys.TAB).perform()
    assert page.switch_to.active_element == lists[0]
    region = page.execute_script("return getComputedStyle(arguments[0].parentNode).outlineStyle", lists[0])
    assert region == "solid"
    seen = [option()]
    for _ in MODELS:
        ActionChains(page).send_keys(Keys.ARROW_DOWN).perform()
        seen.append(option())
    assert [str(text).partition(",")[0] for text in seen] == [
        "Falcon-H1 0.5B",
        "DeepSeek-V3",
        "GPT-2 XL",
        "GPT-2",
        "GPT-2",
    ]
    assert named(page, "pointed").text.startswith("GPT-2, 2019-02-14: 124.44M; ")
    ActionChains(page).send_keys(Keys.ESCAPE).perform()
    assert option() is None
    assert page.find_elements(By.CSS_SELECTOR, ".chart .pointed") == []

    page.find_element(By.CSS_SELECTOR, '[data-group="latent"].group-key').click()
    page.execute_script("[...document.querySelectorAll('.group-key')].at(-1).focus()")
    ActionChains(page).send_keys(Keys.TAB, Keys.HOME, Keys.ARROW_DOWN).perform()
    assert str(option()).startswith("GPT-2 XL")  # what is hidden is left out
    ActionChains(page).send_keys(*"gpt-2", Keys.ENTER).perform()
    until(lambda: page.current_url.endswith("/models/gpt2.html"))


def test_the_keyboard_reaches_all_and_shows_where_it_is(open_page: Open) -> None:
    page = open_page("index.html")
    script = (
        "const e = document.activeElement; const s = getComputedStyle(e);"
        " return [e.id || e.getAttribute('href') || e.className || e.tagName, s.outlineStyle !== 'none']"
    )
    reached = []
    for _ in range(25):
        ActionChains(page).send_keys(Keys.TAB).perform()
        reached.append(page.execute_script(script))
    names = [name for name, _ in reached]
    navigation = ["index.html", "timeline.html", "family.html", "compare.html", "mechanisms.html"]
    controls = ["theme", "context-slider", "context", "exact", "filter"]
    selects = ["organization", "year", "mechanism", "kind"]
    ranges = [f"{key}-{end}" for key in ("params", "active_params", "cache_bytes") for end in ("least", "most")]
    assert names == ["#main", "index.html", *navigation, *controls, *selects, *ranges, "order", "clear", "sort"]
    assert [name for name, outlined in reached if not outlined] == []
    ActionChains(page).send_keys(Keys.ENTER).perform()
    assert page.find_element(By.CSS_SELECTOR, '[data-key="model"]').get_attribute("aria-sort") == "ascending"


def test_the_skip_link_leads_to_the_content(open_page: Open) -> None:
    page = open_page("models/gpt2.html")
    ActionChains(page).send_keys(Keys.TAB).perform()
    assert page.switch_to.active_element.text == "Skip to the content"
    ActionChains(page).send_keys(Keys.ENTER).perform()
    assert page.switch_to.active_element.get_attribute("id") == "main"


@pytest.mark.parametrize("address", PAGES)
def test_every_control_and_region_has_a_name(open_page: Open, address: str) -> None:
    page = open_page(address)
    for control in page.find_elements(By.CSS_SELECTOR, "button, input, select, a, [role=region], [tabindex='0']"):
        if control.is_displayed():
            assert control.accessible_name.strip(), control.get_attribute("outerHTML")


def paper(page: Driver) -> Any:
    return page.execute_script("return getComputedStyle(document.body).backgroundColor")


def test_light_and_dark_by_the_system_and_by_choice(open_page: Open) -> None:
    page = open_page("index.html")
    seen = {}
    for theme in ("light", "dark"):
        Select(named(page, "theme")).select_by_value(theme)
        seen[theme] = paper(page)
    assert seen["light"] != seen["dark"]
    page.find_element(By.CSS_SELECTOR, ".name a").click()  # the choice holds on the next page
    until(lambda: page.find_elements(By.ID, "sheet"))
    assert (paper(page), named(page, "theme").get_attribute("value")) == (seen["dark"], "dark")
    Select(named(page, "theme")).select_by_value("")
    for theme in ("light", "dark"):
        features = [{"name": "prefers-color-scheme", "value": theme}]
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        assert paper(page) == seen[theme]
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


@pytest.mark.parametrize("width", [360, 1440, 2560])
@pytest.mark.parametrize("address", PAGES)
def test_nothing_is_wider_than_the_window(open_page: Open, address: str, width: int) -> None:
    page = open_page(address)
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    page.refresh()
    if address == "compare.html":
        until(lambda: "differ" in named(page, "pair-said").text)
    assert page.execute_script("return document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("address", PAGES)
def test_it_opens_fast(open_page: Open, address: str) -> None:
    page = open_page(address)
    timing = "return performance.getEntriesByType('navigation')[0].loadEventEnd"
    until(lambda: page.execute_script(timing))
    # On a machine that runs other tests beside it; alone, it takes a fraction of that.
    assert page.execute_script(timing) < 1000


def test_without_script_everything_but_the_comparison_is_there(open_page: Open, browser: Driver) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        page = open_page("index.html")
        assert "131072 tokens" in page.find_element(By.TAG_NAME, "noscript").text
        assert len(page.find_elements(By.CSS_SELECTOR, "#models tbody tr")) == 4
        page.find_element(By.LINK_TEXT, "GPT-2 XL").click()
        assert page.find_element(By.CSS_SELECTOR, "svg.architecture").is_displayed()
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_hostile_names_do_nothing(browser: Driver, tmp_path: Path) -> None:
    data = llmarch.load("gpt2").model_dump(exclude_defaults=True)
    fields = {"organization": HOSTILE, "license": HOSTILE}
    names = [HOSTILE, 'a" onmouseover="document.title=\'run\'" b="', "../../ü/‮x", f"{'long-' * 39}x"]
    specs = [validated({**data, **fields, "name": name}, "here") for name in names]
    gallery(specs, tmp_path / "site", engine="closed-form")
    said = [name.replace("\u202e", "\ufffd") for name in names]
    browser.get_log("browser")
    addresses = ["index.html", "timeline.html", "family.html", "mechanisms.html", "compare.html"]
    addresses += [f"models/{path.name}" for path in (tmp_path / "site" / "models").iterdir()]
    size = {"width": 360, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    for address in addresses:
        browser.get(f"{(tmp_path / 'site').as_uri()}/{address}")
        if address == "compare.html":
            for number in range(len(names)):
                Select(named(browser, "first")).select_by_index(number)
                until(lambda: named(browser, "first-name").get_attribute("textContent") == said[number])  # noqa: B023
        assert browser.title != "run"
        assert browser.find_elements(By.CSS_SELECTOR, "img, [onmouseover], [onerror]") == []
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 360, address
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert browser.get_log("browser") == []
