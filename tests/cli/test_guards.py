"""`llmarch check`, `baseline`, `drift` and `validate`, as CI jobs run them."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml
from jsonschema import Draft202012Validator

from llmarch_cli.schema import SCHEMAS

Run = Callable[..., Any]

BUDGETS = """\
budgets:
  - models: [gpt2, mine.yaml]
    limits: [params <= 0.2B, kv_cache_bytes@1k <= 36MiB, active_share <= 100%]
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text("extends: gpt2\nn_layers: 13\n")
    Path("budgets.yaml").write_text(BUDGETS)
    return tmp_path


def problems(of: str, path: str) -> list[str]:
    data = yaml.safe_load(Path(path).read_text())
    return [error.message for error in Draft202012Validator(SCHEMAS[of]()).iter_errors(data)]


class TestCheck:
    def test_a_violation_is_status_1_in_every_format(self, llmarch: Run) -> None:
        for file_format in ("table", "markdown", "csv", "json", "junit"):
            result = llmarch("check", "budgets.yaml", "--format", file_format)
            assert (result.status, result.err) == (1, ""), file_format
            assert "EXCEEDED" in result.out

    def test_kept_limits_are_status_0(self, llmarch: Run) -> None:
        Path("budgets.yaml").write_text(BUDGETS.replace("36MiB", "39MiB"))
        result = llmarch("check", "budgets.yaml")
        assert (result.status, result.err) == (0, "")
        assert "6 limits met." in result.out
        assert problems("budgets", "budgets.yaml") == []

    def test_figures_are_exact(self, llmarch: Run) -> None:
        rows = json.loads(llmarch("check", "budgets.yaml", "--format", "json").out)["checks"]
        cache = {row["model"]: row for row in rows if row["metric"] == "kv_cache_bytes"}
        assert (cache["gpt2"]["measured"], cache["gpt2"]["headroom"]) == (37_748_736, 0)
        assert (cache["mine.yaml"]["headroom"], cache["mine.yaml"]["violated"]) == (-3_145_728, True)
        assert "40,894,464" in llmarch("check", "budgets.yaml").out

    def test_junit_counts_failures(self, llmarch: Run) -> None:
        root = ET.fromstring(llmarch("check", "budgets.yaml", "--format", "junit").out)
        assert (root.get("tests"), root.get("failures")) == ("6", "1")

    def test_what_does_not_fit_is_status_1(self, llmarch: Run, here: Path) -> None:
        text = "budgets:\n  - models: [deepseek-v3]\n    weights: native\n    limits:\n      - fits({}, 32k, 8)\n"
        for machines, status in (("8xh200", 0), ("8xh100", 1), ("8xh10", 2)):
            (here / "fits.yaml").write_text(text.format(machines))
            result = llmarch("check", "fits.yaml")
            assert result.status == status
        assert result.err == "error: fits.yaml: fits(8xh10, 32k, 8): unknown chip 'h10'; did you mean h100 or h20?\n"

    def test_a_bad_file_is_status_2(self, llmarch: Run) -> None:
        Path("budgets.yaml").write_text(BUDGETS.replace("params", "parms"))
        result = llmarch("check", "budgets.yaml")
        assert (result.status, result.out) == (2, "")
        assert result.err.startswith("error: budgets.yaml:3: budgets.0.limits.0: unknown metric 'parms'; did you mean")
        assert problems("budgets", "budgets.yaml")
        assert llmarch("check", "none.yaml").status == 2
        assert llmarch("check", "budgets.yaml", "--format", "html").status == 2

    def test_both_engines_say_the_same(self, llmarch: Run) -> None:
        measured, formula = (
            json.loads(llmarch("check", "budgets.yaml", "--format", "json", "--engine", engine).out)["checks"]
            for engine in ("measured", "closed-form")
        )
        assert measured == formula


class TestBaseline:
    def test_written_and_held_to(self, llmarch: Run) -> None:
        result = llmarch("baseline", "write", "b.yaml", "gpt2", "mine.yaml", "--ctx", "1k")
        assert (result.status, result.out) == (0, "b.yaml: 20 values of 2 models.\n")
        assert problems("baseline", "b.yaml") == []
        result = llmarch("baseline", "compare", "b.yaml")
        assert result.status == 0
        assert "20 values of 2 models: none beyond tolerance." in result.out

    def test_drift_is_status_1(self, llmarch: Run) -> None:
        llmarch("baseline", "write", "b.yaml", "mine.yaml", "--columns", "params")
        Path("mine.yaml").write_text("extends: gpt2\nn_layers: 12\n")
        result = llmarch("baseline", "compare", "b.yaml", "--format", "json")
        (row,) = json.loads(result.out)["drift"]
        assert result.status == 1
        assert (row["before"], row["after"], row["change"]) == (131_527_680, 124_439_808, -7_087_872)
        assert "-5.39%" in llmarch("baseline", "compare", "b.yaml").out
        assert llmarch("baseline", "compare", "b.yaml", "--tolerance", "params=5.3%").status == 1
        within = llmarch("baseline", "compare", "b.yaml", "--tolerance", "params=5.4%")
        assert (within.status, "within" in within.out) == (0, True)
        root = ET.fromstring(llmarch("baseline", "compare", "b.yaml", "--format", "junit").out)
        assert (root.get("tests"), root.get("failures")) == ("1", "1")

    @pytest.mark.parametrize(
        "arguments",
        [
            "compare none.yaml",
            "compare budgets.yaml",
            "compare b.yaml --tolerance parms=1%",
            "compare b.yaml --format html",
            "write b.yaml gtp2",
            "write budgets.yaml gpt2",
            "write b.yaml gpt2 --columns layout",
            "write b.yaml gpt2 --ctx 0",
            "write b.yaml gpt2 --batch 0",
            "write b.yaml gpt2 --batch 9999999999",
            "write b.yaml gpt2 --ctx 9999999999M",
        ],
    )
    def test_bad_input_is_status_2(self, llmarch: Run, arguments: str) -> None:
        llmarch("baseline", "write", "b.yaml", "gpt2")
        before = Path("b.yaml").read_text()
        result = llmarch("baseline", *arguments.split())
        assert (result.status, result.out) == (2, "")
        assert result.err.startswith("error: ")
        assert Path("b.yaml").read_text() == before


class TestValidate:
    def test_all_that_is_wrong_is_told(self, llmarch: Run) -> None:
        Path("bad.yaml").write_text("extends: gpt2\nn_layer: 3\n")
        Path("worse.yaml").write_text("extends: [\n")
        assert llmarch("validate", "mine.yaml", "gpt2") == (0, "2 valid.\n", "")
        result = llmarch("validate", "mine.yaml", "bad.yaml", "worse.yaml")
        assert (result.status, result.out) == (2, "")
        assert "bad.yaml:2: n_layer: unknown field; did you mean n_layers" in result.err
        assert "worse.yaml:" in result.err


@pytest.mark.filterwarnings("default::FutureWarning")
def test_a_config_is_a_model_in_every_guard(llmarch: Run) -> None:
    Path("models").mkdir()
    for name in ("config.json", "models/config.json"):
        Path(name).write_text('{"model_type": "llama"}')
    for name in ("config.json", "models", "'models/*.json'", "Qwen/Qwen3-8B"):
        Path("budgets.yaml").write_text(f"budgets:\n  - models: [{name}]\n    limits: [params <= 9B]\n")
        assert (llmarch("check", "budgets.yaml").status, problems("budgets", "budgets.yaml")) == (0, [])
    names = ("config.json", "models", "models/*.json", "Qwen/Qwen3-8B")
    Path("inner").mkdir()
    for file, above in (("b.yaml", ""), ("inner/b.yaml", "../")):
        result = llmarch("baseline", "write", file, *names, "--columns", "params")
        assert result.out == f"{file}: 4 values of 4 models.\n"
        kept = [f"{above}{name}" for name in names[:3]] + ["qwen3-8b"]
        assert yaml.safe_load(Path(file).read_text())["models"] == kept
        assert llmarch("baseline", "compare", file).status == 0
    Path("config.json").write_text('{"model_type": "llama", "num_hidden_layers": 2}')
    assert llmarch("baseline", "compare", "b.yaml").status == 1


def test_every_byte_is_the_same_whatever_the_hash_seed(here: Path) -> None:
    def written(seed: str) -> tuple[str, ...]:
        env = {**os.environ, "PYTHONHASHSEED": seed, "LLMARCH_ENGINE": "closed-form", "PYTHONPATH": str(ROOT)}
        name = f"b{seed}.yaml"
        commands = (
            ["baseline", "write", name, "gemma3-*", "mine.yaml", "--ctx", "8k", "--ctx", "1k"],
            ["baseline", "compare", name, "--format", "junit"],
            ["check", "budgets.yaml", "--format", "junit"],
            ["schema", "baseline"],
        )
        run = [
            subprocess.run(
                [sys.executable, "-m", "llmarch_cli", *each], env=env, capture_output=True, text=True, check=False
            )
            for each in commands
        ]
        return (Path(name).read_text(), *(each.stdout for each in run[1:]))

    assert written("1") == written("2")


ROOT = Path(__file__).parents[2]
