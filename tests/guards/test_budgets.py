"""Budgets: limits are exact, and whatever is not understood is an error with its line."""

import re
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import llmarch_cli
from llmarch_cli.errors import InputError
from llmarch_cli.guards import budgets
from llmarch_cli.guards.budgets import COMPARISONS, Limit, limit
from llmarch_cli.guards.gauge import GUARDED, MetricAt, SequencesOn, metric_at
from llmarch_cli.profilers.cost import Workload
from llmarch_cli.profilers.profile import profile
from llmarch_cli.schema import budgets_schema
from llmarch_cli.specs.spec import ModelSpec


@pytest.mark.parametrize(
    ("text", "expected", "comparison", "amount"),
    [
        ("params <= 30B", MetricAt("params"), "<=", 30 * 10**9),
        ("params<30_000_000", MetricAt("params"), "<", 30_000_000),
        ("params == 671026404352", MetricAt("params"), "==", 671_026_404_352),
        ("params >= 1.5K", MetricAt("params"), ">=", 1500),
        ("kv_cache_bytes@128k <= 2GiB", MetricAt("kv_cache_bytes", 131_072), "<=", 2**31),
        ("kv_cache_bytes@1M > 0.5 KiB", MetricAt("kv_cache_bytes", 2**20), ">", 512),
        ("flops_per_token@8192 <= 2.3T", MetricAt("flops_per_token", 8192), "<=", 2_300_000_000_000),
        ("prefill_flops@8k <= 150T", MetricAt("prefill_flops", 8192), "<=", 150_000_000_000_000),
        ("training_flops_per_token@4k < 60B", MetricAt("training_flops_per_token", 4096), "<", 60_000_000_000),
        ("active_share <= 10%", MetricAt("active_share"), "<=", Fraction(1, 10)),
        ("active_share <= 0.1%", MetricAt("active_share"), "<=", Fraction(1, 1000)),
        ("kv_times_smaller@8k >= 28.5", MetricAt("kv_times_smaller", 8192), ">=", Fraction(57, 2)),
        ("context_window >= 131072", MetricAt("context_window"), ">=", 131_072),
    ],
)
def test_limits_are_exact(text: str, expected: MetricAt, comparison: str, amount: int | Fraction) -> None:
    read = limit(text)
    assert (read.figure, read.comparison, read.amount) == (expected, comparison, amount)
    assert re.fullmatch(budgets._pattern().strip("^$"), text.replace("0.5 KiB", "0.5KiB")), "the schema agrees"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("parms <= 30B", "unknown metric 'parms'; did you mean params"),
        ("layout <= 3", "'layout' is not a number"),
        ("batch <= 3", "'batch' is not a number"),
        ("prompt_tokens@8k <= 3", "'prompt_tokens' is not a number"),
        ("prefill_flops <= 3T", "depends on the context: write it as prefill_flops@128k"),
        ("params@8k <= 30B", "does not depend on the context"),
        ("kv_cache_bytes <= 2GiB", "depends on the context: write it as kv_cache_bytes@128k"),
        ("kv_cache_bytes@0 <= 2GiB", "a context must be from 1"),
        ("kv_cache_bytes@9999999M <= 2GiB", "a context must be from 1"),
        ("kv_cache_bytes@8q <= 2GiB", "write METRIC or METRIC@CONTEXT"),
        ("kv_cache_bytes@8k <= 2GB", "takes KiB, MiB, GiB or TiB, not 'GB'"),
        ("kv_cache_bytes@8k <= 2B", "not 'B'"),
        ("params <= 30GiB", "takes K, M, B or T, not 'GiB'"),
        ("params <= 30b", "not 'b'"),
        ("active_share <= 10", "takes %, not '10'"),
        ("context_window >= 128K", "takes no unit"),
        ("params <= 1.0001K", "is a whole number"),
        ("params <= 1__0", "is not a limit|not an expression"),
        ("params <= 1.2.3", "not an expression"),
        ("params <= -1", "is not a limit"),
        ("params != 3", "is not a limit|write METRIC"),
        ("params", "is not a limit"),
        ("params <= 3 and params >= 2", "write METRIC"),
        ("params + 1 <= 3", "is not a limit|write METRIC"),
        ("", "is not a limit"),
    ],
)
def test_what_is_no_limit(text: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        limit(text)
    assert not re.search(budgets._pattern(), text) or "whole number" in told or "context must" in told


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.sampled_from(sorted(COMPARISONS)))
def test_headroom_is_negative_only_where_a_limit_is_not_kept(value: int, amount: int, comparison: str) -> None:
    checked = Limit(MetricAt("params"), comparison, amount, "")
    if checked.keeps(value):
        assert checked.headroom(value) >= 0
    else:
        assert checked.headroom(value) <= 0
        assert checked.headroom(value) < 0 or comparison in ("<", ">")


def test_what_depends_on_the_context() -> None:
    """Every guarded figure is either asked at a context, or the same at all of them."""
    for name in ("gemma3-1b", "deepseek-v3", "llama4-scout"):
        spec = llmarch_cli.load(name)
        short, long = (
            profile(spec, Workload(context, batch), "closed-form") for context, batch in ((7, 1), (70_000, 3))
        )
        for key, metric in GUARDED.items():
            if not GUARDED[key].by_context:
                assert metric.value(short) == metric.value(long), key


def test_figures_are_written_as_they_are_read() -> None:
    for text in ("params", "kv_cache_bytes@128k", "kv_cache_bytes@1M", "flops_per_token@100000"):
        assert str(metric_at(text)) == text
    assert str(metric_at("kv_cache_bytes@131072")) == "kv_cache_bytes@128k"


@pytest.mark.parametrize(
    ("text", "machines", "context", "amount"),
    [
        ("fits(8xh100, 32k, 64)", "8xh100", 32_768, 64),
        (" fits( 2x8xh200,131072 ) ", "2x8xh200", 131_072, 1),
        ("fits(./my-chip.yaml, 1M, 8)", "./my-chip.yaml", 2**20, 8),
    ],
)
def test_what_fits_is_a_limit_on_sequences(text: str, machines: str, context: int, amount: int) -> None:
    read = limit(text)
    assert (read.figure, read.comparison, read.amount) == (SequencesOn(machines, context), ">=", amount)
    assert re.fullmatch(budgets._pattern().strip("^$"), text), "the schema agrees"


@pytest.mark.parametrize(
    "text",
    ["fits(8xh100)", "fits(8xh100, 32k, 0)", "fits(8xh100, 32q)", "fits(a, 0)", "fits 8xh100", "fits(a, 1, 2, 3)"],
)
def test_what_is_no_such_limit(text: str) -> None:
    with pytest.raises(InputError, match=r"write fits\(MACHINES, CONTEXT, SEQUENCES\)|a context must be from 1"):
        limit(text)
    assert not re.fullmatch(budgets._pattern().strip("^$"), text) or text == "fits(a, 0)"


def test_what_fits_is_asked_with_the_context_and_the_formats(tmp_path: Path) -> None:
    asked: list[tuple[str, str, Workload]] = []

    def most(spec: ModelSpec, machines: str, workload: Workload) -> int:
        asked.append((spec.id, machines, workload))
        return 63

    text = """
weights: native
budgets:
  - {models: [gpt2], kv_dtype: fp8, limits: ["fits(8xh100, 1k, 64)", "fits(h100, 1k, 63)"]}
"""
    short, enough = budgets.check(write(tmp_path, text), "closed-form", most)
    workload = Workload(1024, kv_dtype="fp8", weights="native")
    assert asked == [("gpt2", "8xh100", workload), ("gpt2", "h100", workload)]
    assert (short.measured, short.holds, short.headroom, enough.holds) == (63, False, -1, True)


def write(directory: Path, text: str) -> Path:
    path = directory / "budgets.yaml"
    path.write_text(text)
    return path


def test_models_paths_and_patterns(tmp_path: Path) -> None:
    (tmp_path / "specs").mkdir()
    for name in ("b", "a"):
        (tmp_path / "specs" / f"{name}.yaml").write_text(f"extends: gpt2\nname: {name}\n")
    text = (
        "budgets:\n  - models: [specs/*.yaml, gpt2, 'qwen3-?b', specs/a.yaml]\n    limits: [params > 1, n_layers > 1]\n"
    )
    checks = list(budgets.check(write(tmp_path, text), "closed-form"))
    models = ["specs/a.yaml", "specs/b.yaml", "gpt2", "qwen3-4b", "qwen3-8b"]
    assert [check.model for check in checks] == [model for model in models for _ in range(2)]
    assert all(check.holds for check in checks)


def test_measured_figures_are_those_of_the_profile(tmp_path: Path) -> None:
    text = """
batch: 4
budgets:
  - models: [deepseek-v3]
    limits: [kv_cache_bytes@8k <= 1, active_share <= 1%]
  - {models: [deepseek-v3], kv_dtype: fp8, batch: 2, limits: [kv_cache_bytes@8k <= 1]}
"""
    first, share, second = budgets.check(write(tmp_path, text), "closed-form")
    spec = llmarch_cli.load("deepseek-v3")
    assert first.measured == profile(spec, Workload(8192, 4), "closed-form").kv_cache_bytes
    assert second.measured == profile(spec, Workload(8192, 2, "fp8"), "closed-form").kv_cache_bytes
    assert share.measured == Fraction(37_552_282_624, 671_026_404_352)
    assert not first.holds


def test_what_a_spec_does_not_state_keeps_no_limit(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("extends: gpt2\ncontext_length: null\n")
    text = "budgets: [{models: [x.yaml], limits: [context_window > 1]}]"
    (check,) = budgets.check(write(tmp_path, text), "closed-form")
    assert (check.measured, check.headroom, check.holds) == (None, None, False)


GOOD = "budgets:\n  - models: [gpt2]\n    limits:\n      - params <= 30B\n"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("budgets:", "budget:", "budgets.yaml:1: budget: unknown field; did you mean budgets"),
        ("models:", "model:", "budgets.yaml:2: budgets.0.model: unknown field; did you mean models"),
        ("[gpt2]", "[]", "budgets.yaml:2: budgets.0.models: must have at least 1 entry"),
        ("[gpt2]", "gpt2", "budgets.yaml:2: budgets.0.models: must be a list, not 'gpt2'"),
        ("[gpt2]", "[gtp2]", "budgets.yaml:2: models: 'gtp2' matches no model; did you mean gpt2"),
        ("[gpt2]", "['nobody-*']", "budgets.yaml:2: models: 'nobody-*' matches no model"),
        ("[gpt2]", "[no/*.yaml]", "budgets.yaml:2: models: 'no/*.yaml' matches no file"),
        ("[gpt2]", "[no.yaml]", "budgets.yaml:2: models: 'no.yaml' matches no file"),
        ("params <= 30B", "parms <= 30B", "budgets.yaml:4: budgets.0.limits.0: unknown metric 'parms'"),
        ("params <= 30B", "30", "budgets.yaml:4: budgets.0.limits.0: must be text, not 30"),
        ("budgets:", "batch: 0\nbudgets:", "budgets.yaml:1: batch: must be above 0, not 0"),
        ("budgets:", "kv_dtype: int3\nbudgets:", "budgets.yaml:1: kv_dtype: must be"),
        ("budgets:", "schema_version: 2\nbudgets:", "budgets.yaml:1: schema_version: must be 1, not 2"),
        ("budgets:", "schema_version: true\nbudgets:", "budgets.yaml:1: schema_version: must be 1, not true"),
        ("budgets:", "schema_version: 1.0\nbudgets:", "budgets.yaml:1: schema_version: must be 1, not 1.0"),
        (GOOD, "", "budgets.yaml: the file is empty: a budget file is a mapping"),
        (GOOD, "- x", "budgets.yaml: a budget file must be a mapping of fields, not a list"),
        (GOOD, "budgets: []", "budgets.yaml:1: budgets: must have at least 1 entry"),
    ],
)
def test_a_bad_file_is_told_with_its_line(tmp_path: Path, old: str, new: str, told: str) -> None:
    path = write(tmp_path, GOOD)
    assert list(budgets.check(path, "closed-form"))
    path = write(tmp_path, GOOD.replace(old, new))
    with pytest.raises(InputError) as error:
        list(budgets.check(path, "closed-form"))
    assert told in str(error.value)


def test_a_wrong_entry_is_all_that_is_told(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD.replace("params <= 30B", "params <= nan"))
    with pytest.raises(InputError) as error:
        list(budgets.check(path, "closed-form"))
    (line,) = str(error.value).splitlines()
    assert "budgets.0.limits.0: 'params <= nan' is not a limit" in line


def test_a_file_that_is_no_text_is_called_what_it_should_be(tmp_path: Path) -> None:
    (tmp_path / "budgets.yaml").write_bytes(b"\xff")
    with pytest.raises(InputError, match=r"not UTF-8 text .*; a budget file must be a YAML file"):
        budgets.read(tmp_path / "budgets.yaml")
    (tmp_path / "budgets.yaml").write_bytes(b"#" * (2 << 20))
    with pytest.raises(InputError, match="larger than 1 MiB, too large for a budget file"):
        budgets.read(tmp_path / "budgets.yaml")


def test_a_file_with_the_letters_of_a_pattern_stands_for_itself(tmp_path: Path) -> None:
    for name in ("x[1]", "x1"):
        (tmp_path / f"{name}.yaml").write_text("extends: gpt2\n")
    text = "budgets: [{models: ['x[1].yaml'], limits: [params > 1]}]"
    assert [check.model for check in budgets.check(write(tmp_path, text), "closed-form")] == ["x[1].yaml"]
    (tmp_path / "x[1].yaml").unlink()
    assert [check.model for check in budgets.check(write(tmp_path, text), "closed-form")] == ["x1.yaml"]


@pytest.mark.parametrize("name", ["x" * 300, "x" * 300 + "*"])
def test_what_no_file_can_be_called_matches_none(tmp_path: Path, name: str) -> None:
    text = f"budgets: [{{models: ['./{name}.yaml'], limits: [params > 1]}}]"
    with pytest.raises(InputError, match="matches no file"):
        list(budgets.check(write(tmp_path, text), "closed-form"))


def test_the_schema_knows_every_figure() -> None:
    text = str(budgets_schema())
    assert all(key in text for key in GUARDED)
