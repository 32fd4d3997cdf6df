from pathlib import Path

import pytest
from runs import Run


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_it_prints_the_index_to_open(llmarch: Run) -> None:
    assert llmarch("gallery", "gpt2", "-o", "a/site") == (0, "a/site/index.html\n", "")
    assert "GPT-2" in Path("a/site/models/gpt2.html").read_text()
    assert llmarch("gallery", "gpt2").out == "gallery/index.html\n"


def test_models_are_ids_patterns_and_files(llmarch: Run) -> None:
    Path("mine.yaml").write_text("extends: gpt2\nname: Mine\nn_layers: 6\n")
    assert llmarch("gallery", "gpt2-*", "mine.yaml", "-o", "site", "--ctx", "8k").status == 0
    assert {path.stem for path in Path("site/models").iterdir()} == {"gpt2-large", "gpt2-medium", "gpt2-xl", "mine"}
    assert "8,192 tokens" in Path("site/models/mine.html").read_text()


def test_another_directory_is_refused_before_anything_is_measured(llmarch: Run) -> None:
    Path("site").mkdir()
    Path("site/mine.txt").touch()
    result = llmarch("gallery", "gpt2", "-o", "site")
    assert (result.status, result.out) == (2, "")
    assert result.err == (
        "error: site: not empty, and not a gallery; give another directory, or write into it with --force\n"
    )
    assert llmarch("gallery", "gpt2", "-o", "site", "--force").status == 0
    assert llmarch("gallery", "gpt2", "-o", "site").status == 0


def test_what_it_cannot_do_is_one_line(llmarch: Run) -> None:
    for arguments in (["gpt22"], ["gpt2", "--docs", "javascript:alert(1)"], ["gpt2", "-o", "/proc/no"]):
        result = llmarch("gallery", *arguments)
        assert (result.status, result.out) == (2, "")
        assert result.err.startswith("error: ")
        assert result.err.count("\n") == 1
