"""Where configs come from: files, directories, and a Hub that is only pretended."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub.constants
import pytest
from huggingface_hub import errors
from published import PUBLISHED

import llmarch_cli as llmarch
from llmarch_cli.errors import InputError
from llmarch_cli.huggingface.importing import import_config, imported, source

REVISION = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(path: Path, name: str = "qwen3-8b") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(PUBLISHED[name]))
    return path


@pytest.mark.parametrize("given", ["tiny/config.json", "tiny", Path("tiny"), Path("tiny/config.json"), "./tiny/"])
def test_a_file_or_its_directory(given: str | Path) -> None:
    written(Path("tiny/config.json"))
    for spec in (import_config(given), llmarch.load(given)):
        assert (spec.name, spec.id, spec.n_layers, spec.source) == ("tiny", "tiny", 36, None)


def test_a_file_of_another_name() -> None:
    assert llmarch.load(written(Path("mine.json"))).name == "mine"
    assert import_config("mine.json", name="Mine").name == "Mine"
    assert import_config("mine.json", name="Mine").id == "Mine"


def test_a_name_must_be_a_line() -> None:
    with pytest.raises(InputError, match="--name 'a"):
        import_config(PUBLISHED["gpt2"], name="a\nb")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("none.json", "none.json: no such file"),
        ("empty", "empty: a directory without a config.json"),
        ("empty/config.json", "empty/config.json: no such file"),
        ("empty/none", "empty/none: no such file"),
        ("../nowhere/at/all", "../nowhere/at/all: no such file"),
        ("a\0b.json", "'a\\x00b.json': no such file"),
    ],
)
def test_what_leads_nowhere(given: str, message: str) -> None:
    Path("empty").mkdir()
    for read in (import_config, llmarch.load):
        with pytest.raises(InputError) as caught:
            read(given)
        assert str(caught.value).startswith(message)


def test_revisions_are_for_the_hub() -> None:
    with pytest.raises(InputError, match=r"--revision needs a model on the Hub; mine\.json is a path"):
        import_config(written(Path("mine.json")), revision="main")


def test_a_cached_model_without_a_network(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Hub's own cache, and its offline mode."""
    cache = here / "cache" / "models--org--model"
    written(cache / "snapshots" / REVISION / "config.json")
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text(REVISION)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(here / "cache"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    download = huggingface_hub.hf_hub_download
    monkeypatch.setattr(
        huggingface_hub, "hf_hub_download", lambda *args, **kwargs: download(*args, cache_dir=here / "cache", **kwargs)
    )
    spec = llmarch.load("org/model")
    assert (spec.name, spec.source) == ("model", "https://huggingface.co/org/model/blob/main/config.json")
    at_revision = import_config("org/model", revision=REVISION)
    assert at_revision.source == f"https://huggingface.co/org/model/blob/{REVISION}/config.json"
    with pytest.raises(InputError, match="org/other: no such file, not in the Hugging Face cache, and the Hub"):
        llmarch.load("org/other")


def response(status: int) -> Any:
    return SimpleNamespace(status_code=status, headers={}, request=None)


def raising(error: Exception) -> Callable[..., Any]:
    def download(*args: Any, **kwargs: Any) -> str:
        raise error

    return download


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (errors.GatedRepoError("x", response=response(403)), "gated; accept its terms on the Hub, then set HF_TOKEN"),
        (errors.RepositoryNotFoundError("x", response=response(404)), "no such public model on the Hugging Face Hub"),
        (errors.RevisionNotFoundError("x", response=response(404)), "no revision 'v2'"),
        (errors.RemoteEntryNotFoundError("x", response=response(404)), "no config.json at revision 'v2'"),
        (errors.LocalEntryNotFoundError("x"), "the Hub is unreachable"),
        (errors.HfHubHTTPError("too many\nrequests", response=response(429)), "cannot be read: too many"),
        (errors.HFValidationError("bad id"), "cannot be read: bad id"),
        (OSError("disk full"), "cannot be read: disk full"),
    ],
)
def test_the_hub_s_errors_are_a_line(error: Exception, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "_is_reachable", lambda: True)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", raising(error))
    with pytest.raises(InputError) as caught:
        import_config("org/model", revision="v2")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("org/model")


def test_what_is_here_comes_before_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", raising(AssertionError()))
    written(Path("org/model/config.json"))
    assert llmarch.load("org/model").name == "model"
    with pytest.raises(InputError, match="org/other: no such file"):
        llmarch.load("org/other")


class TestPartsOfAConfig:
    def test_a_text_decoder_alone(self) -> None:
        found = imported(PUBLISHED["gemma3-4b"])
        assert found.family == "gemma3_text"
        assert found.notes == ("Text decoder only; left out: vision_config.",)

    def test_another_family_on_purpose(self) -> None:
        config = {**PUBLISHED["llama3-8b"], "model_type": "lama"}
        with pytest.raises(InputError, match="`llmarch import --as llama` reads the config as that family"):
            import_config(config)
        found = imported({**config, "tie_word_embeddings": False}, as_="llama")
        assert found.family == "llama"
        assert found.notes[0] == "Read as llama because of --as; its model_type is 'lama'."
        assert found.comments[1:] == found.notes

    def test_of_no_family(self) -> None:
        with pytest.raises(InputError, match=r"--as: unknown family 'lama'; known: .*apertus, .*arcee"):
            import_config(PUBLISHED["llama3-8b"], as_="lama")

    def test_keys_must_be_text(self) -> None:
        keys: dict[Any, Any] = {1: 2}
        with pytest.raises(InputError, match="keys must be strings"):
            import_config(keys)


def test_an_unreachable_hub_is_asked_once(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its client would try again five times, with longer and longer pauses."""
    asked: list[bool] = []

    def refused(address: object, timeout: float) -> None:
        raise OSError

    def download(*_: object, local_files_only: bool, **__: object) -> str:
        asked.append(local_files_only)
        raise errors.LocalEntryNotFoundError("nothing")

    monkeypatch.setattr("socket.create_connection", refused)
    monkeypatch.setattr("urllib.request.getproxies", dict)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    with pytest.raises(InputError, match="the Hub is unreachable"):
        llmarch.import_config("some/model")
    assert asked == [True]
