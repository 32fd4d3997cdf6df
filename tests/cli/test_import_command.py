import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from published import PUBLISHED

import llmarch_cli

Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("config.json").write_text(json.dumps(PUBLISHED["smollm3-3b"]))
    Path("seeing").mkdir()
    Path("seeing/config.json").write_text(json.dumps(PUBLISHED["gemma3-4b"]))
    return tmp_path


SMOLLM3 = """\
# Imported from config.json, a config of the family smollm3.
name: Mine
context_length: 65_536

d_model: 2048
n_layers: 36
vocab_size: 128_256
tie_embeddings: true
attention:
  repeat: [rope, rope, rope, nope]
  variants:
    rope: &gqa {kind: gqa, n_heads: 16, n_kv_heads: 4, head_dim: 128, rope_theta: 5_000_000}
    nope: {<<: *gqa, rope_theta: null}
ffn: {kind: dense, d_ff: 11_008}
"""


def test_a_spec_as_a_person_would_write_it(llmarch: Run) -> None:
    assert llmarch("import", "config.json", "--name", "Mine") == (0, SMOLLM3, "")


@pytest.mark.parametrize("name", PUBLISHED)
def test_what_is_written_is_what_was_imported(llmarch: Run, name: str) -> None:
    Path("config.json").write_text(json.dumps(PUBLISHED[name]))
    assert llmarch("import", "config.json", "-o", "mine.yaml").status == 0
    assert llmarch_cli.load("mine.yaml") == llmarch_cli.load("config.json")
    assert yaml.safe_load(Path("mine.yaml").read_text())["d_model"] == llmarch_cli.load(name).d_model


def test_a_file_that_is_there_is_kept(llmarch: Run) -> None:
    Path("mine.yaml").write_text("mine")
    assert llmarch("import", "config.json", "-o", "mine.yaml") == (
        2,
        "",
        "error: mine.yaml: already exists; not overwritten: give another name\n",
    )
    assert Path("mine.yaml").read_text() == "mine"
    assert llmarch("import", "config.json", "-o", "mine.yaml", "--force") == (0, "", "")
    assert llmarch_cli.load("mine.yaml").n_layers == 36


def test_notes_go_to_standard_error(llmarch: Run) -> None:
    status, out, err = llmarch("import", "seeing")
    assert status == 0
    assert err == "note: Text decoder only; left out: vision_config.\n"
    assert out.splitlines()[:2] == [
        "# Imported from seeing/config.json, a config of the family gemma3_text.",
        "# Text decoder only; left out: vision_config.",
    ]


def test_another_family_on_purpose(llmarch: Run) -> None:
    sizes = '"hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 4, "vocab_size": 50'
    Path("config.json").write_text(f'{{"model_type": "lama", "num_hidden_layers": 3, "my_key": 1, {sizes}}}')
    assert llmarch("import", "config.json").err.startswith(
        "error: config.json: model_type: 'lama' is not supported; nearest by its keys: llama (leaves unread: 'my_key');"
    )
    lacking = llmarch("import", "config.json", "--as", "llama")
    assert (lacking.status, lacking.err) == (
        2,
        "error: config.json: read as llama, which its model_type does not say, it lacks max_position_embeddings,"
        " tie_word_embeddings; `--assume KEY=VALUE` gives a value that you know\n",
    )
    given = ("--ignore", "my_key", "--assume", "max_position_embeddings=64", "--assume", "tie_word_embeddings=true")
    found = llmarch("import", "config.json", "--as", "llama", *given).out
    assert "# Read as llama because of --as; its model_type is 'lama'." in found
    assert "# Passed over on purpose: 'my_key', which is 1." in found
    assert "# Assumed, as the config does not say it: 'tie_word_embeddings' is true." in found


@pytest.mark.parametrize("setting", ["x", "=1", "x=1 x=2"])
def test_an_assumption_is_a_key_and_a_value(llmarch: Run, setting: str) -> None:
    Path("config.json").write_text('{"model_type": "llama"}')
    options = [word for each in setting.split() for word in ("--assume", each)]
    run = llmarch("import", "config.json", *options)
    assert run.status == 2
    assert "--assume" in run.err


@pytest.mark.parametrize("model", ["config.json", "./config.json", "seeing", "seeing/config.json"])
def test_every_other_command_takes_a_config(llmarch: Run, model: str) -> None:
    spec = llmarch_cli.load(model)
    assert f"n_layers: {spec.n_layers}" in llmarch("show", model, "--spec").out
    for command in ("show", "compare", "kvcache"):
        assert llmarch(command, model).status == 0


class TestCheck:
    def test_the_reference_implementation_agrees(self, llmarch: Run) -> None:
        status, out, err = llmarch("import", "seeing", "--check")
        assert (status, out.count("n_layers: 34")) == (0, 1)
        assert "also builds 3,880,263,168 parameters" in err

    def test_it_does_not(self, llmarch: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("llmarch_cli.huggingface.importing.check.count", lambda *_: 7)
        status, out, err = llmarch("import", "config.json", "--check")
        assert (status, out) == (1, "")
        assert "error: config.json: 3,075,098,624 parameters, but transformers" in err

    def test_transformers_is_missing(self, llmarch: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "transformers", None)
        assert llmarch("import", "config.json", "--check") == (
            2,
            "",
            "error: --check needs transformers: `pip install transformers`\n",
        )

    def test_transformers_has_no_such_class(self, llmarch: Run) -> None:
        Path("config.json").write_text(json.dumps(PUBLISHED["grok-2.5"]))
        assert llmarch("import", "config.json", "--check").err == (
            "error: --check: transformers has no class for the family grok-2\n"
        )

    def test_transformers_cannot_build_it(self, llmarch: Run) -> None:
        Path("config.json").write_text('{"model_type": "llama", "hidden_size": 100, "num_attention_heads": 32}')
        status, _, err = llmarch("import", "config.json", "--check")
        assert status == 2
        assert err.startswith("error: ")
        assert err.count("\n") == 1
