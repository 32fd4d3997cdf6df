"""The files of a gallery: what each says, where links lead, and what is left alone."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import llmarch_cli as llmarch
from llmarch_cli.api import gallery
from llmarch_cli.components.mechanism import Mechanism
from llmarch_cli.errors import InputError
from llmarch_cli.page.gallery import directory, mechanisms, relations
from llmarch_cli.page.gallery.entries import edges, entries, slug
from llmarch_cli.page.gallery.yaml_text import coloured
from llmarch_cli.profilers.cost import Workload
from llmarch_cli.profilers.profile import profile
from llmarch_cli.report.columns import metric
from llmarch_cli.report.highlights import highlights, named
from llmarch_cli.specs.loading import find, validated
from llmarch_cli.specs.spec import ModelSpec

MODELS = ["gpt2", "gpt2-xl", "deepseek-v3", "falcon-h1-0.5b"]
ROOT = Path(__file__).parents[2]

HOSTILE = "</script></template></svg><script>alert('x')</script><img src=x onerror=\"alert(1)\"> & {{ 7*7 }} ../../é"


class Page(HTMLParser):
    """Every element of a page with its attributes, and its text by element."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += f" {data}" if not data[:1].isspace() else data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def ids(self) -> list[str]:
        return [attributes["id"] or "" for _, attributes in self.elements if "id" in attributes]

    @property
    def words(self) -> str:
        return " ".join(self.text.split())


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gallery of four models."""
    out = tmp_path_factory.mktemp("gallery") / "site"
    gallery(MODELS, out, engine="closed-form")
    return out


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, Page]:
    return {str(path.relative_to(site)): Page(path) for path in sorted(site.rglob("*.html"))}


def hostile(text: str, **fields: object) -> ModelSpec:
    data = llmarch.load("gpt2").model_dump(exclude_defaults=True)
    return validated({**data, "name": text, "organization": text, "license": text, **fields}, "here")


def test_there_is_a_page_for_each_model_and_those_of_all(site: Path, pages: dict[str, Page]) -> None:
    common = {"index.html", "timeline.html", "family.html", "compare.html", "mechanisms.html"}
    assert set(pages) == common | {f"models/{name}.html" for name in MODELS}
    assert {path.stem for path in (site / "data").iterdir()} == set(MODELS)
    listed = json.loads((site / directory.CONTENTS).read_text())["files"]
    assert set(listed) | {directory.CONTENTS} == {str(p.relative_to(site)) for p in site.rglob("*") if p.is_file()}


def test_every_link_leads_somewhere_in_the_gallery(site: Path, pages: dict[str, Page]) -> None:
    for page in pages.values():
        for tag, attributes in page.elements:
            target = attributes.get("href") or attributes.get("src")
            if target is None or target == "data:,":
                continue
            if re.match("https?://", target):
                assert (tag, attributes.get("rel")) == ("a", "noopener noreferrer"), target
                continue
            assert ":" not in target
            path, _, anchor = target.partition("#")
            there = (page.path.parent / path).resolve() if path else page.path
            assert there.is_relative_to(site.resolve())
            assert there.is_file(), (page.path, target)
            if anchor and not anchor.startswith("a="):
                assert anchor in pages[str(there.relative_to(site.resolve()))].ids, target


def test_pages_load_nothing_from_elsewhere_and_run_no_script_of_their_own(pages: dict[str, Page]) -> None:
    for page in pages.values():
        (policy,) = [a["content"] or "" for a in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy"]
        assert "default-src 'none'; script-src 'self'" in policy
        assert "require-trusted-types-for 'script'" in policy
        assert ("trusted-types data;" in policy) == (page.path.name == "compare.html")
        for tag, attributes in page.elements:
            assert tag not in ("iframe", "object", "embed", "base", "form", "img")
            assert not [name for name in attributes if name.startswith("on")]
        for attributes in page.all("script"):
            assert ("src" in attributes) != (attributes.get("type") == "application/json")


def test_pages_can_be_read_by_ear_and_used_by_keys(pages: dict[str, Page]) -> None:
    for name, page in pages.items():
        tags = [tag for tag, _ in page.elements]
        assert all(tags.count(landmark) == 1 for landmark in ("header", "main", "footer", "h1")), name
        assert page.all("html")[0]["lang"] == "en"
        assert page.all("a")[0]["href"] == "#main"
        assert len(page.ids) == len(set(page.ids)), name
        for _, attributes in page.elements:
            for key in ("for", "aria-labelledby", "aria-describedby", "popovertarget"):
                assert attributes.get(key, page.ids[0]) in page.ids, (name, attributes)
        assert tags.count("table") == tags.count("caption"), name
        assert all("scope" in attributes for attributes in page.all("th")), name
        for attributes in page.all("svg"):
            assert attributes.get("aria-hidden") == "true" or attributes.get("aria-label"), name


def test_a_page_with_all_that_it_loads_is_small(site: Path, pages: dict[str, Page]) -> None:
    for name, page in pages.items():
        parts = [a.get("src") or a.get("href") for a in (*page.all("script"), *page.all("link"))]
        loaded = [page.path.parent / part for part in parts if part and part != "data:,"]
        assert sum(path.stat().st_size for path in (page.path, *loaded)) < 300_000, name


def test_the_same_models_give_the_same_bytes(site: Path, tmp_path: Path) -> None:
    gallery(MODELS, tmp_path / "again", engine="closed-form")
    for path in (path for path in site.rglob("*") if path.is_file()):
        assert path.read_bytes() == (tmp_path / "again" / path.relative_to(site)).read_bytes(), path


def test_the_index_says_what_the_tables_say(pages: dict[str, Page]) -> None:
    for name in MODELS:
        found = profile(llmarch.load(name), Workload(), "closed-form")
        keys = ("params", "active_params", "cache_bytes", "kv_bytes_per_token", "kv_times_smaller", "flops_per_token")
        written = [metric(key).unit.write(metric(key).value(found)) for key in keys]
        assert all(f" {text} " in pages["index.html"].words for text in written), name
        assert highlights(found.spec) in pages["index.html"].words


def test_a_model_says_what_it_extends_and_what_extends_it(pages: dict[str, Page]) -> None:
    xl, base = pages["models/gpt2-xl.html"].words, pages["models/gpt2.html"].words
    assert "Extends GPT-2 n_layers 12 → 48" in xl or "Extends GPT-2 attention: n_heads" in xl
    assert "parameters 124.44M → 1.56B (+1,151.70%)" in xl
    assert "d_ff 3,072 → 6,400" in xl
    assert "Extended by GPT-2 XL" in base
    assert "parameters 124.44M → 1.56B (+1,151.70%)" in base
    assert "Its spec stands alone" in pages["models/deepseek-v3.html"].words
    links = [a["href"] for a in pages["models/gpt2-xl.html"].all("a")]
    assert "../compare.html#a=gpt2&b=gpt2-xl" in links


def test_a_model_that_is_extended_and_not_there_is_told_without_a_link(tmp_path: Path) -> None:
    Path(tmp_path / "mine.yaml").write_text("extends: gpt2\nname: Mine\nn_layers: 6\n")
    out = tmp_path / "site"
    gallery([tmp_path / "mine.yaml"], out, engine="closed-form")
    page = Page(out / "models" / "mine.html")
    assert "Extends GPT-2 n_layers 12 → 6" in page.words
    assert "gpt2.html" not in [a["href"] for a in page.all("a")]
    assert "No model here extends another one" in Page(out / "family.html").words
    assert "Claims, checked" not in page.words


def test_published_figures_and_claims_stand_beside_our_own(pages: dict[str, Page]) -> None:
    words = pages["models/deepseek-v3.html"].words
    assert re.search(r"theirs ours difference .* parameters 671\.00B 671\.03B 0\.00% the whole decoder", words)
    assert "DeepSeek V3 has 671 billion parameters. holds parameters: 671.03B" in words
    assert "Only 37 billion parameters are active for a token. holds with a remark" in words


def test_the_file_stands_there_as_written(pages: dict[str, Page]) -> None:
    for name in MODELS:
        text = (ROOT / "model_specs" / f"{name}.yaml").read_text()
        assert "".join(text.split()) in "".join(pages[f"models/{name}.html"].text.split())
    assert coloured("a: '<b>' # x & y\n") == (
        '<span class="y-key">a</span>: <span class="y-text">\'&lt;b&gt;\'</span>'
        ' <span class="y-comment"># x &amp; y</span>\n'
    )


@given(st.text(max_size=200))
def test_yaml_in_colours_is_the_same_text(text: str) -> None:
    marked = re.sub(r'<span class="y-\w+">|</span>', "", coloured(text))
    assert marked.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&") == text


def test_the_family_tree_has_the_edges_of_the_files() -> None:
    names = llmarch.names()
    found = [profile(llmarch.load(name), Workload(1024), "closed-form") for name in names]
    every = entries(found, [find(name) for name in names])
    listed = list(edges(every))
    trees, alone = relations.trees(every, listed)
    assert sum(tree.size for tree in trees) + len(alone) == len(names)
    assert {(edge.of.id, edge.child.spec.id) for edge in listed} == {
        (match[1], name)
        for name in names
        if (match := re.search(r"^extends: (\S+)$", find(name).read_text(), re.MULTILINE)) is not None
    }
    assert all(edge.parent is not None for edge in listed)


class TestMechanisms:
    def test_alone_a_tag_leads_to_words_of_the_gallery(self, pages: dict[str, Page]) -> None:
        links = [a["href"] or "" for a in pages["models/deepseek-v3.html"].all("a") if a.get("class") == "tag"]
        assert links[0] == "../mechanisms.html#mla"
        assert len(links) == len(named(llmarch.load("deepseek-v3")))
        words = pages["mechanisms.html"].words
        assert "each layer keeps one small latent for all heads" in words
        assert "sends the token to the best top_k" in words

    def test_in_the_documentation_a_tag_leads_to_its_page(self, tmp_path: Path) -> None:
        gallery(["gpt-oss-20b"], tmp_path / "site", engine="closed-form", docs="..")
        page = Page(tmp_path / "site" / "models" / "gpt-oss-20b.html")
        links = [a["href"] or "" for a in page.all("a") if a.get("class") == "tag"]
        assert "../../concepts/attention-sinks.html" in links
        assert "../../index.html" in [a["href"] for a in page.all("a")]
        index = Page(tmp_path / "site" / "index.html")
        assert "../concepts/windows-and-chunks.html" in [a["href"] for a in index.all("a")]

    def test_an_address_on_the_web_is_kept_and_any_other_scheme_is_refused(self, tmp_path: Path) -> None:
        each = Mechanism("mla", "Latent", page="multi-head-latent-attention")
        assert mechanisms.address(each, "https://x.org/", "../") == (
            "https://x.org/concepts/multi-head-latent-attention.html"
        )
        for wrong in ("javascript:alert(1)", "//x", "data:x", "", "https://"):
            with pytest.raises(InputError, match="--docs takes a path"):
                gallery(["gpt2"], tmp_path / "site", engine="closed-form", docs=wrong)

    @pytest.mark.parametrize("name", llmarch.names())
    def test_every_mechanism_is_described_and_its_page_is_there(self, name: str) -> None:
        for each in named(llmarch.load(name)).values():
            assert mechanisms.words(each), f"describe {each.tag} in page/gallery/glossary.py"
            assert each.page is None or (ROOT / "docs" / "concepts" / f"{each.page}.md").is_file()
        assert mechanisms.group(llmarch.load(name)) in mechanisms.GROUPS


class TestAddresses:
    @settings(max_examples=200)
    @given(st.text(min_size=1, max_size=100))
    def test_any_name_is_the_name_of_a_file_anywhere(self, name: str) -> None:
        assert re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,68}", slug(name))
        assert slug(name) == slug(name)

    @given(st.text(min_size=1, max_size=20), st.text(min_size=1, max_size=20))
    def test_different_names_differ(self, one: str, other: str) -> None:
        assert (slug(one) == slug(other)) == (one == other)

    def test_bundled_names_stay_as_they_are(self) -> None:
        assert [slug(name) for name in llmarch.names()] == list(llmarch.names())
        assert slug("con") != "con"
        assert slug("GPT2") not in ("gpt2", "GPT2")

    def test_the_same_name_twice_has_two_pages(self, tmp_path: Path) -> None:
        gallery(["gpt2", "gpt2"], tmp_path / "site", engine="closed-form")
        assert {path.stem for path in (tmp_path / "site" / "models").iterdir()} == {"gpt2", "gpt2-2"}


def test_what_a_spec_says_is_text(tmp_path: Path) -> None:
    specs = [hostile(HOSTILE), hostile('a" onmouseover="x" b="'), hostile("../../../escape"), hostile("__proto__")]
    specs[1] = specs[1].model_copy(update={"source": "javascript:alert(1)"})  # no file may say so
    out = tmp_path / "site"
    gallery(specs, out, engine="closed-form")
    assert {path.name for path in tmp_path.iterdir()} == {"site"}
    assert len(list((out / "models").iterdir())) == 4
    for path in out.rglob("*.html"):
        page = Page(path)
        for tag, attributes in page.elements:
            assert tag not in ("img", "template")
            assert not [name for name in attributes if name.startswith("on")], path
            assert not (attributes.get("href") or "").lower().startswith("javascript"), path
        for attributes in page.all("script"):
            assert "src" in attributes or attributes.get("type") == "application/json"
    for path in (out / "data").iterdir():
        text = path.read_text()
        assert text.count("\n") == 1
        assert re.fullmatch(r'\(globalThis\.llmarchModels \?\?= new Map\(\)\)\.set\("[a-z0-9._-]+",(.*)\);\n', text)
        assert text.isascii()


@settings(max_examples=5)
@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=40))
def test_any_name_makes_a_gallery(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    out = tmp_path_factory.mktemp("any") / "site"
    gallery([hostile(name)], out, engine="closed-form")
    (path,) = (out / "models").iterdir()
    assert not [a for _, a in Page(path).elements if any(key.startswith("on") for key in a)]


def test_a_model_without_a_date_and_one_too_large_to_draw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmarch_cli.drawings.model.MOST_COMPONENTS", 1)
    data = llmarch.load("gpt2").model_dump(exclude_defaults=True)
    data.pop("released")
    large = validated({**data, "name": "large", "n_layers": 900}, "here")
    out = tmp_path / "site"
    gallery([large], out, engine="closed-form")
    page = Page(out / "models" / "large.html")
    assert [a for a in page.all("svg") if a.get("class") == "architecture"] == []
    assert "Drawing" not in page.words
    timeline = Page(out / "timeline.html")
    assert "Without a date: large" in timeline.words
    assert (out / "index.html").stat().st_size < 300_000


class TestTheDirectory:
    def test_files_of_something_else_are_not_touched(self, tmp_path: Path) -> None:
        (tmp_path / "mine.txt").write_text("kept")
        with pytest.raises(InputError, match=r"not empty, and not a gallery; give another directory, or .* --force"):
            gallery(["gpt2"], tmp_path, engine="closed-form")
        assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
        gallery(["gpt2"], tmp_path, engine="closed-form", force=True)
        assert (tmp_path / "mine.txt").read_text() == "kept"
        assert (tmp_path / "index.html").is_file()

    def test_a_file_is_no_directory(self, tmp_path: Path) -> None:
        (tmp_path / "site").write_text("a file")
        with pytest.raises(InputError, match="site: a file; give a directory"):
            gallery(["gpt2"], tmp_path / "site", engine="closed-form", force=True)

    def test_a_later_gallery_replaces_an_earlier_one(self, tmp_path: Path) -> None:
        (tmp_path / "site").mkdir()
        gallery(["gpt2", "olmo2-1b"], tmp_path / "site", engine="closed-form")
        (tmp_path / "site" / "models" / "note.txt").write_text("kept")
        gallery(["gpt2"], tmp_path / "site", engine="closed-form")
        left = {str(path.relative_to(tmp_path / "site")) for path in (tmp_path / "site").rglob("*") if path.is_file()}
        assert {"models/gpt2.html", "data/gpt2.js", "models/note.txt"} <= left
        assert not left & {"models/olmo2-1b.html", "data/olmo2-1b.js"}

    @pytest.mark.parametrize(
        "listed",
        ['["../outside.html", "/etc/x.html", "models/../../outside.html", 3, null]', "7", "{", "[" * 100_000],
    )
    def test_a_list_of_files_that_someone_wrote_removes_nothing_else(self, tmp_path: Path, listed: str) -> None:
        (tmp_path / "outside.html").write_text("kept")
        (tmp_path / "site").mkdir()
        (tmp_path / "site" / directory.CONTENTS).write_text(f'{{"files": {listed}}}')
        gallery(["gpt2"], tmp_path / "site", engine="closed-form")
        assert (tmp_path / "outside.html").read_text() == "kept"

    def test_a_link_out_of_the_directory_is_not_followed(self, tmp_path: Path) -> None:
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "site").mkdir()
        (tmp_path / "site" / "models").symlink_to(tmp_path / "elsewhere")
        with pytest.raises(InputError, match="outside the directory"):
            gallery(["gpt2"], tmp_path / "site", engine="closed-form", force=True)
        assert list((tmp_path / "elsewhere").iterdir()) == []

    def test_what_is_cut_off_is_still_a_gallery(self, tmp_path: Path) -> None:
        def files() -> object:
            yield "index.html", b"whole"
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            directory.write(tmp_path / "site", files())  # type: ignore[arg-type]
        gallery(["gpt2"], tmp_path / "site", engine="closed-form")
        assert (tmp_path / "site" / "index.html").read_bytes() != b"whole"


def test_all_bundled_models_stay_small(tmp_path: Path) -> None:
    gallery(out=tmp_path / "site", engine="closed-form")
    sizes = {str(path.relative_to(tmp_path)): path.stat().st_size for path in tmp_path.rglob("*.html")}
    assert len(sizes) == len(llmarch.names()) + 5
    assert {name: size for name, size in sizes.items() if size > 300_000} == {}
