"""`llmarch show FILE` and `llmarch verify MODEL --checkpoint FILE`, for files of weights."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from gguf_files import MODELS, write
from pairs import Case, pair

import llmarch_cli
from llmarch_cli.huggingface.importing import import_config
from llmarch_cli.specs import spec_file

Run = Callable[..., Any]


@pytest.fixture
def gguf(tmp_path: Path) -> Path:
    write("qwen3moe", tmp_path / "tiny.gguf")
    return tmp_path / "tiny.gguf"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a config.json, an index and two or more files."""
    directory = tmp_path_factory.mktemp("checkpoint")
    pair(Case("qwen3_moe", 0)).theirs.save_pretrained(directory, max_shard_size="20KB")
    return directory


class TestGguf:
    def test_the_architecture_and_what_is_stored(self, llmarch: Run, gguf: Path) -> None:
        result = llmarch("show", str(gguf), "--ctx", "256", "--format", "json")
        assert (result.status, result.err) == (0, "")
        data = json.loads(result.out)
        expected = llmarch_cli.profile(import_config(MODELS["qwen3moe"][1]), context=256, engine="closed-form")
        assert (data["model"][0]["params"], data["model"][0]["kv_cache_bytes"]) == (
            expected.params,
            expected.kv_cache_bytes,
        )
        assert sum(row["values"] for row in data["stored"]) == expected.params
        assert {row["format"]: row["bits_per_value"] for row in data["stored_formats"]} == {
            "Q8_0": 8.5,
            "Q4_0": 4.5,
            "F16": 16.0,
            "F32": 32.0,
        }

    @pytest.mark.parametrize("columns", ["80", "100"])
    def test_it_fits(self, llmarch: Run, gguf: Path, columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COLUMNS", columns)
        out = llmarch("show", str(gguf)).out
        assert max(map(len, out.splitlines())) <= int(columns)
        for words in ("component", "Stored in tiny.gguf", "experts", "router", "bits a value", "B of headers"):
            assert words in out

    def test_its_spec(self, llmarch: Run, gguf: Path, tmp_path: Path) -> None:
        (tmp_path / "mine.yaml").write_text(llmarch("show", str(gguf), "--spec").out)
        expected = import_config(MODELS["qwen3moe"][1]).model_copy(update={"name": "Tiny qwen3moe"})
        assert llmarch_cli.load(tmp_path / "mine.yaml") == expected

    def test_changes(self, llmarch: Run, gguf: Path, tmp_path: Path) -> None:
        path = tmp_path / "more.yaml"
        out = llmarch("show", str(gguf), "--set", "ffn.n_experts=16", "--save", str(path), "--format", "json").out
        assert json.loads(out)["model"][0]["params"] > sum(row["values"] for row in json.loads(out)["stored"])
        assert path.exists()

    def test_a_spec_that_metadata_do_not_give(self, llmarch: Run, tmp_path: Path) -> None:
        path = tmp_path / "tiny.gguf"
        write("qwen3moe", path, keys={"qwen3moe.expert_used_count": None})
        result = llmarch("show", str(path))
        assert (result.status, result.err) == (0, "")
        assert "Stored in tiny.gguf" in result.out
        assert "qwen3moe.expert_used_count: required, but missing" in " ".join(result.out.split())
        assert len(json.loads(llmarch("show", str(path), "--format", "json").out)["stored"]) == 6
        for options in (("--spec",), ("--operators",), ("--set", "n_layers=2"), ("--plot", "a.svg")):
            refused = llmarch("show", str(path), *options)
            assert (refused.status, refused.out) == (2, "")
            assert refused.err.startswith("error: ")
            assert refused.err.count("\n") == 1

    @pytest.mark.parametrize("command", ["show", "verify"])
    def test_half_of_a_file_is_one_line(self, llmarch: Run, gguf: Path, command: str) -> None:
        whole = gguf.read_bytes()
        for content in (whole[: len(whole) // 2], whole[:1000], b"GGUF", b"", b"\0" * 100):
            gguf.write_bytes(content)
            result = llmarch(
                *(("show", str(gguf)) if command == "show" else ("verify", "gpt2", "--checkpoint", str(gguf)))
            )
            assert (result.status, result.out) == (2, "")
            assert result.err.startswith(f"error: {gguf}: ")
            assert result.err.count("\n") == 1

    def test_it_is_a_model_of_other_commands(self, llmarch: Run, gguf: Path) -> None:
        result = llmarch("compare", str(gguf), "gpt2", "--columns", "params", "--format", "json")
        assert [row["model"] for row in json.loads(result.out)["models"]] == ["tiny", "gpt2"]
        assert f"did you mean `llmarch show {gguf}`" in llmarch(str(gguf)).err

    def test_it_is_verified(self, llmarch: Run, gguf: Path, tmp_path: Path) -> None:
        spec_file.write(import_config(MODELS["qwen3moe"][1]), tmp_path / "mine.yaml")
        for model in (str(tmp_path / "mine.yaml"), str(gguf)):
            result = llmarch("verify", model, "--checkpoint", str(gguf), "--tensors")
            assert result.status == 0
            assert "parameters, and every tensor is accounted for" in result.out
            assert "blk.0.ffn_gate_exps.weight" in result.out
        wrong = llmarch("verify", "gpt2", "--checkpoint", str(gguf))
        assert wrong.status == 1
        assert "blk.0.attn_q_norm.weight" in wrong.out


class TestSafetensors:
    def test_a_directory_has_both(self, llmarch: Run, checkpoint: Path) -> None:
        data = json.loads(llmarch("show", str(checkpoint), "--format", "json").out)
        assert sum(row["values"] for row in data["stored"]) == data["model"][0]["params"]
        assert sum(row["bytes"] for row in data["stored"]) == 4 * data["model"][0]["params"]
        assert [row["format"] for row in data["stored_formats"]] == ["F32"]

    def test_an_index_has_the_tensors_of_all_files(self, llmarch: Run, checkpoint: Path) -> None:
        whole = json.loads(llmarch("show", str(checkpoint), "--format", "json").out)["stored"]
        path = str(checkpoint / "model.safetensors.index.json")
        index = json.loads(llmarch("show", path, "--format", "json").out)
        assert index["stored"] == [{**row, "file": path} for row in whole]
        parts = sorted(checkpoint.glob("*.safetensors"))
        assert len(parts) > 1
        each = [json.loads(llmarch("show", str(part), "--format", "json").out)["stored"] for part in parts]
        assert sum(row["bytes"] for rows in each for row in rows) == sum(row["bytes"] for row in whole)

    def test_several_files_are_one_after_another(self, llmarch: Run, checkpoint: Path) -> None:
        parts = [str(path) for path in sorted(checkpoint.glob("*.safetensors"))[:2]]
        result = llmarch("show", *parts)
        assert (result.status, result.err) == (0, "")
        for number, path in enumerate(parts, start=1):
            assert f"Stored in {Path(path).name} ({number} of 2)" in result.out
        both = json.loads(llmarch("show", *parts, "--json").out)["stored"]
        each = [json.loads(llmarch("show", path, "--json").out)["stored"] for path in parts]
        assert both == each[0] + each[1]
        assert {row["file"] for row in both} == set(parts)

    def test_files_with_and_without_an_architecture(self, llmarch: Run, checkpoint: Path) -> None:
        part = str(sorted(checkpoint.glob("*.safetensors"))[0])
        data = json.loads(llmarch("show", part, "gpt2", str(checkpoint), "--json").out)
        assert [row["model"] for row in data["model"]] == ["gpt2", checkpoint.name]
        assert list(dict.fromkeys(row["file"] for row in data["stored"])) == [part, str(checkpoint)]
        mixed = llmarch("show", part, "gpt2", "--format", "csv")
        assert (mixed.status, mixed.out) == (2, "")
        assert mixed.err == (
            "error: csv is one table, but some of these have an architecture and some have none: use json\n"
        )

    def test_a_file_says_where_the_architecture_is(self, llmarch: Run, checkpoint: Path) -> None:
        part = str(sorted(checkpoint.glob("*.safetensors"))[0])
        assert "No architecture: safetensors files do not describe one" in llmarch("show", part).out
        for command in (("show", part, "--spec"), ("compare", part), ("kvcache", part)):
            result = llmarch(*command)
            assert (result.status, result.out) == (2, "")
            assert "holds weights and no architecture; give its directory" in result.err

    def test_a_directory_without_a_config(self, llmarch: Run, checkpoint: Path, tmp_path: Path) -> None:
        for path in checkpoint.glob("*.safetensors*"):
            (tmp_path / path.name).write_bytes(path.read_bytes())
        assert "No architecture" in llmarch("show", str(tmp_path)).out
        result = llmarch("show", str(tmp_path), "--spec")
        assert (result.status, "a directory without a config.json" in result.err) == (2, True)

    def test_a_directory_with_a_config_alone_is_as_before(self, llmarch: Run, checkpoint: Path, tmp_path: Path) -> None:
        (tmp_path / "config.json").write_bytes((checkpoint / "config.json").read_bytes())
        result = llmarch("show", str(tmp_path))
        assert (result.status, "Stored in" in result.out) == (0, False)

    def test_all_are_verified(self, llmarch: Run, checkpoint: Path) -> None:
        for path in (checkpoint, checkpoint / "model.safetensors.index.json"):
            result = llmarch("verify", str(checkpoint), "--checkpoint", str(path))
            assert (result.status, "Reconciled: " in result.out) == (0, True)
        part = sorted(checkpoint.glob("*.safetensors"))[0]
        result = llmarch("verify", str(checkpoint), "--checkpoint", str(part))
        assert (result.status, "is missing" in result.out) == (1, True)

    def test_a_single_file_is_verified_and_loaded(self, llmarch: Run, tmp_path: Path) -> None:
        models = pair(Case("llama", 0))
        models.theirs.save_pretrained(tmp_path)
        path = tmp_path / "model.safetensors"
        assert llmarch("verify", str(tmp_path), "--checkpoint", str(path)).status == 0
        loaded = llmarch_cli.load_checkpoint(models.ours.spec, path).state_dict()
        assert all(torch.equal(values, loaded[name]) for name, values in models.ours.state_dict().items())
