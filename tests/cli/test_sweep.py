import csv
import errno
import io
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import llmarch_cli

Run = Callable[..., Any]

VARY = ("--vary", "n_layers=24:96:8", "--vary", "ffn.top_k=1,8,200", "--vary", "attention.n_kv_heads=1,3,4")


def test_a_table_with_what_became_of_the_others(llmarch: Run) -> None:
    result = llmarch("sweep", "qwen3-235b-a22b", *VARY, "--where", "params <= 150B", "--sort=-params", "--top", "2")
    assert (result.status, result.err) == (0, "")
    lines = result.out.splitlines()
    assert lines[0].split()[:4] == ["layers", "ffn.top_k", "attention.n_kv_heads", "parameters"]
    assert [line.split()[:3] for line in lines[2:4]] == [["56", "1", "4"], ["56", "8", "4"]]
    assert "90 combinations for qwen3-235b-a22b: 40 valid, of which 20 meet the condition." in result.out
    assert "30 skipped: ffn: top_k must not exceed n_experts." in result.out
    assert "20 skipped: attention: n_heads must be a multiple of n_kv_heads." in result.out


def test_its_formats_agree_with_the_profile(llmarch: Run) -> None:
    arguments = ["sweep", "qwen3-8b", "--vary", "n_layers=12", "--vary", "attention.window=null,512", "--ctx", "8k"]
    as_json = json.loads(llmarch(*arguments, "--format", "json").out)["variants"]
    as_csv = list(csv.DictReader(io.StringIO(llmarch(*arguments, "--format", "csv").out)))
    assert [row["attention.window"] for row in as_json] == [None, 512]
    data = llmarch_cli.load("qwen3-8b").model_dump() | {"n_layers": 12}
    profile = llmarch_cli.profile(llmarch_cli.ModelSpec.model_validate(data), context=8192, engine="closed-form")
    for key in ("params", "active_params", "kv_cache_bytes", "kv_bytes_per_token", "flops_per_token"):
        assert as_json[0][key] == int(as_csv[0][key]) == getattr(profile, key)


def test_decimal_values_are_numbers_in_data_and_grouped_for_reading(llmarch: Run) -> None:
    arguments = ["--vary", "attention.rope_theta=10_000,1_000_000.5", "--vary", "embedding_scale=2,sqrt_d_model"]
    rows = json.loads(llmarch("sweep", "qwen3-8b", *arguments, "--format", "json").out)["variants"]
    assert [row["attention.rope_theta"] for row in rows] == [10_000.0, 10_000.0, 1_000_000.5, 1_000_000.5]
    assert [row["embedding_scale"] for row in rows[:2]] == [2.0, "sqrt_d_model"]
    as_csv = llmarch("sweep", "qwen3-8b", *arguments, "--columns", "params", "--format", "csv").out.splitlines()
    assert as_csv[3].startswith("1000000.5,2.0,")
    assert "1,000,000.5  2 " in llmarch("sweep", "qwen3-8b", *arguments).out


def test_figures_beyond_the_context_window_are_marked(llmarch: Run) -> None:
    """As in compare and kvcache: the mark is at the figure, one line explains it, and data has a field."""
    varied = ("sweep", "gpt2", "--vary", "n_layers=6,12")
    out = llmarch(*varied, "--ctx", "2k").out
    lines = out.splitlines()
    assert [line.count(" !") for line in lines[2:4]] == [2, 2]
    assert re.search(r"36\.00 MiB !  +18\.00 KiB  +[\d.]+ MFLOPs !$", lines[2])  # what a token adds is not marked
    assert out.count("!: beyond the context window of gpt2 (1k).") == 1
    assert "!" not in llmarch(*varied, "--ctx", "1k").out
    assert "!" not in llmarch(*varied, "--columns", "params").out
    for context, beyond in (("2k", True), ("1k", False)):
        asked = (*varied, "--ctx", context)
        rows = json.loads(llmarch(*asked, "--json").out)["variants"]
        assert [row["beyond_context_window"] for row in rows] == [beyond] * 2
        assert (
            rows[1]["beyond_context_window"]
            == json.loads(llmarch("compare", "gpt2", *asked[4:], "--json").out)["models"][0]["beyond_context_window"]
        )
        csv_rows = list(csv.DictReader(io.StringIO(llmarch(*asked, "--format", "csv").out)))
        assert [row["beyond_context_window"] for row in csv_rows] == [str(beyond).lower()] * 2


def test_a_prompt_beyond_the_context_window_is_marked_alone(llmarch: Run) -> None:
    asked = ("--vary", "n_layers=6", "--columns", "kv_cache_bytes,prefill_flops", "--ctx", "1k", "--prompt", "2k")
    row = llmarch("sweep", "gpt2", *asked).out.splitlines()[2]
    assert re.fullmatch(r" +6  18\.00 MiB  +[\d.]+ GFLOPs !", row)


def test_where_the_context_window_varies_each_row_has_its_own(llmarch: Run) -> None:
    varied = ("sweep", "gpt2", "--vary", "context_length=1024,4096", "--ctx", "2k")
    out = llmarch(*varied).out
    assert [line.count(" !") for line in out.splitlines()[2:4]] == [2, 0]
    assert "!: beyond the variant's own context window, context_length." in out
    rows = json.loads(llmarch(*varied, "--json").out)["variants"]
    assert [row["beyond_context_window"] for row in rows] == [True, False]


def test_figures_of_machines_are_marked_as_fit_marks_them(llmarch: Run) -> None:
    asked = ("--on", "l4", "--ctx", "2k")
    out = llmarch("sweep", "gpt2", *asked, "--vary", "batch=1,2").out
    lines = [line for line in out.splitlines() if "one device" in line]
    assert [line.count(" !") for line in lines] == [4, 4]
    assert [line.split()[0:2] for line in lines] == [["1", "one"], ["2", "one"]]  # a number asked for has no mark
    assert out.count("!: beyond the context window of gpt2 (1k).") == 1
    rows = json.loads(llmarch("sweep", "gpt2", *asked, "--vary", "n_layers=6", "--json").out)["variants"]
    assert [row["beyond_context_window"] for row in rows] == [True]
    model = llmarch("sweep", "gpt2", *asked, "--vary", "n_layers=6", "--columns", "params,kv_cache_bytes").out
    assert re.search(r"^ +6  .*  36\.00 MiB !$", model, re.MULTILINE)
    assert "!" not in llmarch("sweep", "gpt2", "--on", "l4", "--ctx", "1k", "--vary", "n_layers=6").out


def test_the_pareto_front_is_shown_whole_and_in_order(llmarch: Run) -> None:
    arguments = ["--vary", "n_layers=1:60", "--pareto=-params,kv_cache_bytes", "--columns", "params", "--format", "csv"]
    rows = llmarch("sweep", "qwen3-8b", *arguments).out.splitlines()
    assert rows[0] == "n_layers,params"
    assert [row.split(",")[0] for row in rows[1:]] == [str(n) for n in range(60, 0, -1)]


def test_shares_can_be_sorted_and_asked_for(llmarch: Run) -> None:
    arguments = [
        "--where",
        "active_share <= 20%",
        "--sort=-active_share",
        "--columns",
        "active_share",
        "--format",
        "csv",
    ]
    rows = llmarch("sweep", "qwen3-235b-a22b", "--vary", "ffn.top_k=4,8,16,32,64", *arguments).out.splitlines()
    assert [row.split(",")[0] for row in rows[1:]] == ["16", "8", "4"]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((), "nothing varies"),
        (("--vary", "n_layer=2"), "did you mean n_layers"),
        (("--vary", "n_layers=two"), "must be a whole number"),
        (("--vary", "n_layers=9:1"), "is an empty range"),
        (("--vary", "n_layers=2", "--where", "__import__('os')"), "unknown function __import__"),
        (("--vary", "n_layers=2", "--where", "parms < 1B"), "did you mean params"),
        (("--vary", "n_layers=2", "--sort", "parms"), "did you mean params"),
        (("--vary", "n_layers=2", "--sort", "attention"), "unknown metric 'attention'"),
        (("--vary", "n_layers=2", "--pareto", ","), "--pareto is empty"),
        (("--vary", "n_layers=2", "--columns", "parms"), "did you mean params"),
        (("--vary", "n_layers=2", "--top", "0"), "--top must be 1 or more"),
        (("--vary", "n_layers=2", "--sample", "0"), "--sample must be from 1 to 1"),
        (("--vary", "n_layers=2", "--sample", "many"), "--sample takes a whole number"),
        (("--vary", "n_layers=2", "--ctx", "0"), "--ctx takes a number of tokens"),
        (("--vary", "n_layers=2", "--batch", "0"), "batch must be"),
        (("--vary", "n_layers=2", "--out", "a.xls"), "the file name must end in .csv, .json or .parquet"),
        (("--vary", "n_layers=2", "--plot", "a.jpg"), "a.jpg: the file name must end in .svg, .png or .html"),
        (("--vary", "n_layers=2", "--plot", "missing/a.svg"), "its directory does not exist"),
        (
            ("--vary", "n_layers=2", "--plot", "a.svg"),
            "--plot needs two metrics, one for each axis: name them with --pareto A,B",
        ),
        (("--vary", "n_layers=2", "--plot", "a.svg", "--pareto", "params,active_share"), "cannot draw a ratio"),
        (("--vary", "attention.window=null,8", "--where", "attention.window < 9"), "is not an integer in every"),
        (("--vary", "n_layers=2", "--scheduler", "local"), "--scheduler must be local:N"),
        (("--vary", "n_layers=2,3", "--sample", "2", "--seed", "-1"), "--seed takes a whole number such as"),
        (("--vary", "n_layers=2", "--where", "params < 0x10"), "write numbers in decimal"),
    ],
)
def test_bad_input_is_an_error_in_a_line(
    llmarch: Run, arguments: tuple[str, ...], why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = llmarch("sweep", "qwen3-8b", *arguments)
    assert (result.status, result.out) == (2, "")
    assert why in result.err
    assert result.err.startswith("error: ")
    assert result.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_grid_of_a_million_million_points_wants_a_sample(llmarch: Run) -> None:
    vary = [
        word
        for path in ("d_model", "ffn.d_ff", "vocab_size", "attention.n_heads")
        for word in ("--vary", f"{path}=8:8_000:8")
    ]
    result = llmarch("sweep", "qwen3-8b", *vary)
    assert (result.status, result.out) == (2, "")
    assert "1,000,000,000,000 points are more than 1,000,000,000; search a sample" in result.err
    assert llmarch("sweep", "qwen3-8b", *vary, "--sample", "1_000").status == 0


def test_every_condition_must_be_met(llmarch: Run) -> None:
    vary = ("sweep", "gpt2", "--vary", "n_layers=1:12")
    both = llmarch(*vary, "--where", "n_layers < 4 or n_layers > 8", "--where", "n_layers > 2")
    assert "of which 5 meet the condition" in both.out  # 3, 9, 10, 11 and 12


@pytest.mark.parametrize("where", ["kv_times_smaller > 16.000000001", "params / n_layers <= 1e30", "d_model < 1e400"])
def test_conditions_of_single_numbers_of_any_size(llmarch: Run, where: str) -> None:
    asked = ("--vary", "n_layers=24,48,96", "--vary", "ffn.top_k=4,8", "--ctx", "1M", "--batch", "1_000")
    columns = () if "d_model" not in where else ("--vary", "d_model=4096")
    result = llmarch("sweep", "qwen3-235b-a22b", *asked, *columns, "--where", where)
    assert (result.status, result.err) == (0, "")


@pytest.mark.parametrize("ending", ["svg", "png", "html"])
def test_pictures(llmarch: Run, tmp_path: Path, ending: str) -> None:
    pytest.importorskip("matplotlib")
    for name in ("one", "two"):
        path = tmp_path / f"{name}.{ending}"
        vary = ("--vary", "n_layers=1:40", "--vary", "d_model=64:1024:64")
        result = llmarch("sweep", "qwen3-8b", *vary, "--pareto=-params,kv_cache_bytes", "--plot", str(path))
        assert (result.status, result.err) == (0, "")
    drawn = (tmp_path / f"one.{ending}").read_bytes()
    assert drawn == (tmp_path / f"two.{ending}").read_bytes()
    if ending == "png":
        assert drawn.startswith(b"\x89PNG")
    else:
        assert b"Pareto front" in drawn
        assert b"Variants of Qwen3 8B" in drawn
        ticks = re.findall(rb">([\d.]+ [KMGT]iB)<", drawn)  # at powers of 2, where bytes are round
        assert len(ticks) > 3
        assert all(tick.split()[0].endswith((b".00", b".50")) for tick in ticks)


def test_a_picture_needs_no_column_of_its_figures_and_takes_any_name(llmarch: Run, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    spec, picture = tmp_path / "odd.yaml", tmp_path / "a.svg"
    spec.write_text("extends: qwen3-8b\nname: Cheap $\\frac{a$\n")
    goals = ("--vary", "n_layers=1:9", "--pareto=-params,kv_cache_bytes", "--columns", "flops_per_token")
    result = llmarch("sweep", str(spec), *goals, "--plot", str(picture))
    assert (result.status, result.err) == (0, "")
    assert "Variants of Cheap $\\frac{a$" in picture.read_text()


@pytest.mark.parametrize("ending", ["svg", "png", "html"])
def test_half_a_picture_is_none(llmarch: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str) -> None:
    pytest.importorskip("matplotlib")

    def full(path: Path, data: bytes) -> int:
        with path.open("wb") as file:
            file.write(data[:100])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    goals = ("--vary", "n_layers=1:9", "--pareto=-params,kv_cache_bytes")
    result = llmarch("sweep", "qwen3-8b", *goals, "--plot", str(tmp_path / f"a.{ending}"))
    assert (result.status, result.out) == (2, "")
    assert result.err == f"error: --plot {tmp_path}/a.{ending}: No space left on device\n"
    assert not list(tmp_path.iterdir())


def test_from_python() -> None:
    table = llmarch_cli.sweep("qwen3-8b", {"n_layers": range(10, 40, 10)}, where="n_layers > 10", sort="-params")
    frame = table.to_pandas()
    assert list(frame["n_layers"]) == [30, 20]
    assert frame["params"].dtype == "int64"


def test_it_imports_neither_torch_nor_what_only_some_sweeps_need() -> None:
    program = (
        "import sys; sys.argv[1:] = ['sweep', 'qwen3-8b', '--vary', 'n_layers=2,3', '--format', 'csv'];"
        "from llmarch_cli.cli.app import built, loaded; built(loaded())(standalone_mode=False);"
        "print(sorted({'torch', 'pandas', 'rich.progress', 'matplotlib', 'pyarrow', 'distributed'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert out.splitlines()[-1] == "[]"


def test_layouts_and_models_on_machines(llmarch: Run) -> None:
    arguments = ("sweep", "gpt-oss-20b", "--on", "2xh100", "--ctx", "8k", "--vary", "tp=1,2", "--price", "2/h")
    result = llmarch(*arguments, "--sort=-user_tokens_per_second", "--columns", "user_tokens_per_second,batch,layout")
    assert (result.status, result.err) == (0, "")
    lines = result.out.splitlines()
    assert lines[0].split() == ["tp", "tokens/s", "a", "user", "batch", "layout"]
    assert [line.split()[0] for line in lines[2:4]] == ["2", "1"]
    assert "2 combinations for gpt-oss-20b: 2 with an answer." in result.out
    assert "as published" in result.out
    one = llmarch(*arguments, "--batch", "1", "--weights", "bf16", "--every-layout", "--format", "json")
    rows = json.loads(one.out)["variants"]
    assert len(rows) > 3
    assert all(row["user_tokens_per_second"] == row["tokens_per_second"] for row in rows)
    assert rows[0].keys() >= {"tp", "layout", "most_sequences", "first_token_seconds"}


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--on", "2xh100", "--out", "a.csv"), "--out does not go with --on"),
        (("--on", "2xh100", "--scheduler", "local:2"), "--scheduler does not go with --on"),
        (("--every-layout",), "--every-layout needs machines, such as --on 8xh200"),
        (("--price", "2/h"), "--price needs machines"),
        (("--on", "2xh100", "--price", "cheap"), "--price takes the price of a device for an hour"),
        (("--on", "0xh100"), "'0xh100' is no device"),
        (("--on", "2xh100", "--vary", "tp=two"), "tp: values must be whole numbers from 1"),
    ],
)
def test_bad_input_on_machines(llmarch: Run, arguments: tuple[str, ...], why: str) -> None:
    result = llmarch("sweep", "gpt-oss-20b", "--vary", "n_layers=24", *arguments)
    assert (result.status, result.out) == (2, "")
    assert why in result.err
    assert result.err.count("\n") == 1
