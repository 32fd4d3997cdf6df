import doctest
import inspect
from importlib import import_module
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

import llmarch_cli as llmarch
from llmarch_cli import api
from llmarch_cli.errors import InputError

MODELS = ["deepseek-v3", "llama4-maverick"]


def test_a_comparison_is_a_row_a_model_with_exact_integer_columns() -> None:
    frame = llmarch.compare(MODELS, engine="closed-form").to_pandas()
    assert list(frame["model"]) == MODELS
    assert list(frame["params"]) == [671_026_404_352, 400_711_848_960]
    for key in ("params", "active_params", "kv_cache_bytes", "flops_per_token", "mtp_params", "n_layers"):
        assert pd.api.types.is_integer_dtype(frame[key]), key
        assert [int(figure) for figure in frame[key]] == [
            getattr(profile, key, None) or getattr(profile.spec, key, 0)
            for profile in (llmarch.profile(model, engine="closed-form") for model in MODELS)
        ]


def test_names_paths_and_specs_can_be_mixed(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("extends: gpt2\nn_layers: 3\n")
    table = llmarch.compare(["gpt2", path, str(path), llmarch.load("gpt2-xl")], engine="closed-form")
    assert [row["n_layers"] for row in table.rows] == [12, 3, 3, 48]


def test_files_of_one_name_go_by_their_paths(tmp_path: Path) -> None:
    paths = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        paths.append(tmp_path / folder / "mine.yaml")
        paths[-1].write_text("extends: gpt2\n")
    table = llmarch.compare([*paths, "gpt2"], engine="closed-form")
    assert [row["model"] for row in table.rows] == [*map(str, paths), "gpt2"]


def test_the_default_and_both_engines_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LLMARCH_ENGINE", raising=False)
    usual = llmarch.compare(["gpt2", "gemma3-1b"], context=2000)
    assert any("measured and equal on" in note for note in usual.notes)
    measured = llmarch.compare(["gpt2", "gemma3-1b"], context=2000, engine="measured")
    closed = llmarch.compare(["gpt2", "gemma3-1b"], context=2000, engine="closed-form")
    assert [row["engine"] for row in measured.rows] == ["measured"] * 2
    assert [{**row, "engine": ""} for row in measured.rows] == [{**row, "engine": ""} for row in closed.rows]
    assert usual.rows == closed.rows


def test_caches_are_of_all_models_unless_some_are_named() -> None:
    table = llmarch.kv_cache(engine="closed-form")
    assert sorted(str(row["model"]) for row in table.rows) == list(llmarch.names())
    frame = llmarch.kv_cache(["gpt2"], contexts=[1, 1024], engine="closed-form").to_pandas()
    assert list(frame["kv_cache_bytes"]) == [36_864, 36_864 * 1024]


def test_columns_and_sorting_are_refused_before_anything_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "profile", lambda *_: pytest.fail("measured"))
    for refused in ({"columns": ["parms"]}, {"sort": "parms"}):
        with pytest.raises(InputError, match="did you mean params"):
            llmarch.compare(["gpt2"], **refused)
        with pytest.raises(InputError, match="did you mean params"):
            llmarch.kv_cache(["gpt2"], **refused)


def test_no_models_is_an_empty_table() -> None:
    assert llmarch.compare([], engine="closed-form").rows == ()
    assert llmarch.kv_cache([], engine="closed-form").rows == ()


def test_a_fact_sheet_is_tables() -> None:
    assert [table.name for table in api.fact_sheet("gpt2", engine="closed-form") if table.main] == ["components"]


def test_changes_stand_beside_what_they_change() -> None:
    changes = {"n_layers": 3}
    table = llmarch.compare(["gpt2"], changes=changes, engine="closed-form")
    changed = llmarch.changed(llmarch.load("gpt2"), changes)
    assert [row["model"] for row in table.rows] == ["gpt2", changed.id, "change"]
    frame = table.to_pandas()
    assert list(frame["n_layers"]) == [12, 3, -9]
    assert frame["params"][1] == llmarch.profile(changed, engine="closed-form").params
    rows = llmarch.kv_cache(["gpt2"], changes=changes, engine="closed-form").rows
    assert {row["model"] for row in rows} == {"gpt2", changed.id}


def test_all_is_changed_before_anything_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "profile", lambda *_: pytest.fail("measured"))
    with pytest.raises(InputError, match=r"gemma3-1b: attention\.window"):
        llmarch.compare(["gpt2", "gemma3-1b"], changes={"attention.window": 5})


def test_a_difference_of_models_named_alike(tmp_path: Path) -> None:
    path = tmp_path / "gpt2.yaml"
    path.write_text("extends: gpt2\nn_layers: 3\n")
    found = llmarch.diff("gpt2", path, engine="closed-form")
    assert (found.before.spec.id, found.after.spec.id) == ("gpt2", str(path))
    assert [change.field for effect in found.effects for change in effect.changes] == [("n_layers",)]


TINY = """
name: Tiny
d_model: 8
n_layers: 1
vocab_size: 10
tie_embeddings: true
attention: {kind: gqa, n_heads: 1, n_kv_heads: 1, head_dim: 8, rope_theta: 10_000}
ffn: {kind: dense, d_ff: 16}
"""


@pytest.mark.parametrize("name", [name for name in llmarch.__all__ if inspect.isfunction(getattr(llmarch, name))])
def test_the_example_of_each_public_function_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tiny.yaml").write_text(TINY)
    Path("checkpoint").mkdir()
    layer = "model.layers.0."
    shapes = {
        **dict.fromkeys(("model.norm.weight", f"{layer}input_layernorm.weight"), (8,)),
        f"{layer}post_attention_layernorm.weight": (8,),
        "model.embed_tokens.weight": (10, 8),
        **{f"{layer}self_attn.{part}_proj.weight": (8, 8) for part in "qkvo"},
        **{f"{layer}mlp.{part}_proj.weight": (16, 8) for part in ("gate", "up")},
        f"{layer}mlp.down_proj.weight": (8, 16),
    }
    save_file({name: torch.ones(shape) for name, shape in shapes.items()}, Path("checkpoint") / "model.safetensors")

    function = getattr(llmarch, name)
    home = vars(import_module(function.__module__))
    (example,) = doctest.DocTestFinder(recurse=False).find(function, name, globs=dict(home))
    assert example.examples, "no example"
    assert doctest.DocTestRunner().run(example).failed == 0
