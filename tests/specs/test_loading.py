"""Loading specs by name and file: lookup, `extends`, and the place of an error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from published import PUBLISHED

import llmarch_cli as llmarch
from llmarch_cli import models
from llmarch_cli.claims import claims
from llmarch_cli.errors import InputError
from llmarch_cli.guards import baselines, budgets
from llmarch_cli.specs import loading
from llmarch_cli.specs.spec import ModelSpec

TINY = """\
name: Tiny
d_model: 16
n_layers: 4
vocab_size: 100
norm: {eps: 1.0e-5}
attention:
  kind: gqa
  n_heads: 4
  n_kv_heads: 2
  head_dim: 8
  rope_theta: 10_000
  rope_scaling: {kind: linear, factor: 8.0}
ffn:
  first: [dense]
  repeat: [moe]
  variants:
    dense: {kind: dense, d_ff: 32}
    moe:
      kind: moe
      n_experts: 8
      top_k: 2
      d_ff: 16
      shared_expert: {kind: dense, d_ff: 16}
"""


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, with one valid spec in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(TINY)
    return tmp_path


def load(text: str) -> ModelSpec:
    Path("spec.yaml").write_text(text)
    return llmarch.load("spec.yaml")


def error(text: str, name: str = "spec.yaml") -> str:
    Path(name).write_text(text)
    with pytest.raises(InputError) as caught:
        llmarch.load(name)
    message = str(caught.value)
    assert not [word for word in ("Input should", "pydantic", "[type=", "valid dictionary") if word in message]
    assert all(line.isprintable() and len(line) < 500 for line in message.splitlines())
    return message


# --- names and paths ------------------------------------------------------------------------------------------------


def test_every_bundled_id_loads() -> None:
    assert "deepseek-v3" in llmarch.names()
    for name in llmarch.names():
        assert llmarch.load(name).id == name


def test_a_file_is_named_after_its_stem(directory: Path) -> None:
    for name in ("tiny.yaml", "./tiny.yaml", directory / "tiny.yaml", Path("tiny.yaml")):
        spec = llmarch.load(name)
        assert (spec.id, spec.name) == ("tiny", "Tiny")


def test_a_spec_is_taken_as_it_is() -> None:
    spec = llmarch.load("gpt2")
    assert llmarch.load(spec) is spec


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("deepsek-v3", "unknown model 'deepsek-v3'; did you mean deepseek-v3 or deepseek-v3.2 or deepseek-v3.1?"),
        ("DeepSeek-V33", "unknown model 'DeepSeek-V33'; did you mean deepseek-v3"),
        ("zzz", "unknown model 'zzz'; see `llmarch list`, or give the path to a YAML file or a config.json"),
        ("", "unknown model ''; see `llmarch list`"),
        ("x" * 100_000, f"unknown model '{'x' * 59}...'; see `llmarch list`"),
        ("\x1b[31m\n", "unknown model '\\x1b[31m\\n'; see `llmarch list`"),
        ("none.yaml", "none.yaml: no such file"),
        ("\x1b[31m\n.yaml", "'\\x1b[31m\\n.yaml': no such file"),
        ("./deepseek-v3", "deepseek-v3: no such file"),
        (Path("deepseek-v3"), "deepseek-v3: no such file"),
        ("./", ".: a directory without a config.json"),
        ("tiny.yaml/x.yml", "tiny.yaml/x.yml: cannot be read: not a directory"),
        ("a\0b.yaml", "'a\\x00b.yaml': no such file: embedded null byte"),
        ("a\0b", "unknown model 'a\\x00b'"),
        ("x" * 5000 + ".yaml", f"'{'x' * 59}...': cannot be read: file name too long"),
    ],
)
def test_names_that_lead_nowhere(name: str | Path, message: str, directory: Path) -> None:
    with pytest.raises(InputError) as caught:
        llmarch.load(name)
    assert str(caught.value).startswith(message)
    assert str(caught.value).isprintable()


# --- extends --------------------------------------------------------------------------------------------------------


def test_what_is_not_overridden_is_inherited(directory: Path) -> None:
    spec = load("extends: tiny.yaml\nname: Other\nattention: {n_heads: 8, rope_scaling: {factor: 2.0}}")
    expected = llmarch.load("tiny.yaml").model_dump()
    expected["name"] = "Other"
    expected["attention"] |= {"n_heads": 8}
    expected["attention"]["rope_scaling"]["factor"] = 2.0
    assert spec.model_dump() == expected


def test_null_takes_a_setting_away(directory: Path) -> None:
    attention: Any = load("extends: tiny.yaml\nattention: {rope_scaling: null}").attention
    assert attention.rope_scaling is None
    assert attention.rope_theta == 10_000


def test_lists_are_replaced(directory: Path) -> None:
    ffn: Any = load("extends: tiny.yaml\nffn: {first: [dense, dense]}").ffn
    assert ffn.first == ("dense", "dense")
    assert ffn.repeat == ("moe",)


@pytest.mark.parametrize(
    ("override", "axis", "expected"),
    [
        # another kind: nothing of the old one stays
        (
            "attention: {kind: mla, n_heads: 2, kv_lora_rank: 4, qk_nope_head_dim: 2, qk_rope_head_dim: 2,"
            " v_head_dim: 2}",
            "attention",
            {
                "kind": "mla",
                "n_heads": 2,
                "kv_lora_rank": 4,
                "qk_nope_head_dim": 2,
                "qk_rope_head_dim": 2,
                "v_head_dim": 2,
            },
        ),
        # a component for a layout
        ("ffn: {kind: dense, d_ff: 8}", "ffn", {"kind": "dense", "d_ff": 8}),
        # a layout for a component
        (
            "attention: {repeat: [a], variants: {a: {kind: gqa, n_heads: 1, n_kv_heads: 1, head_dim: 2}}}",
            "attention",
            {"repeat": ("a",), "variants": {"a": {"kind": "gqa", "n_heads": 1, "n_kv_heads": 1, "head_dim": 2}}},
        ),
        # the same kind, said again
        (
            "attention: {kind: gqa, rope_scaling: {kind: linear, factor: 3.0}}",
            "attention",
            {
                "kind": "gqa",
                "n_heads": 4,
                "n_kv_heads": 2,
                "head_dim": 8,
                "rope_theta": 10_000,
                "rope_scaling": {"kind": "linear", "factor": 3.0},
            },
        ),
        # inside a variant
        (
            "ffn: {first: [], variants: {dense: {kind: moe, n_experts: 2, top_k: 1, d_ff: 4}}, last: [dense]}",
            "ffn",
            {
                "repeat": ("moe",),
                "last": ("dense",),
                "variants": {
                    "dense": {"kind": "moe", "n_experts": 2, "top_k": 1, "d_ff": 4},
                    "moe": {
                        "kind": "moe",
                        "n_experts": 8,
                        "top_k": 2,
                        "d_ff": 16,
                        "shared_expert": {"kind": "dense", "d_ff": 16},
                    },
                },
            },
        ),
        # a record whose kind is left at its default below
        ("norm: {kind: layer}", "norm", {"kind": "layer", "eps": 1e-5}),
    ],
)
def test_components_merge_as_far_as_they_are_of_one_kind(
    override: str, axis: str, expected: dict[str, Any], directory: Path
) -> None:
    spec = load(f"extends: tiny.yaml\n{override}")
    assert getattr(spec, axis).model_dump(exclude_defaults=True) == expected


def test_paths_are_relative_to_the_file(directory: Path) -> None:
    (directory / "inner" / "deep").mkdir(parents=True)
    Path("inner/middle.yml").write_text("extends: ../tiny.yaml\nn_layers: 5")
    Path("inner/deep/top.yaml").write_text("extends: ../middle.yml\nd_model: 32")
    Path("middle.yml").write_text("nothing: that should be read")
    spec = llmarch.load("inner/deep/top.yaml")
    assert (spec.id, spec.d_model, spec.n_layers, spec.vocab_size) == ("top", 32, 5, 100)
    assert llmarch.load(directory / "inner/deep/top.yaml") == spec
    Path("inner/deep/top.yaml").write_text(f"extends: {directory / 'tiny.yaml'}")
    assert llmarch.load("inner/deep/top.yaml") == llmarch.load("tiny.yaml")


def test_ids_are_bundled_ones(directory: Path) -> None:
    Path("gpt2.yaml").write_text("extends: gpt2\nname: Mine")
    assert llmarch.load("gpt2.yaml").n_layers == llmarch.load("gpt2").n_layers


def test_the_data_with_all_that_is_inherited_can_be_had(directory: Path) -> None:
    Path("spec.yaml").write_text("extends: tiny.yaml\nn_layers: 2")
    assert loading.resolved(Path("spec.yaml")) == yaml.safe_load(TINY) | {"n_layers": 2}


@pytest.mark.parametrize(
    ("parent", "message"),
    [
        ("deepsek-v3", "unknown model 'deepsek-v3'; did you mean deepseek-v3"),
        ("none.yaml", "none.yaml: no such file"),
        ("../none/none.yaml", "../none/none.yaml: no such file"),
        ("./", "'./': must be a bundled id or a path that ends in .yaml, .yml or .json"),
        ("Qwen/Qwen3-8B", "'Qwen/Qwen3-8B': must be a bundled id or a path"),
        ("none.json", "none.json: no such file"),
        ("directory.json", "directory.json: no such file"),
        ("broken.json", "broken.json: not a config that can be read; `llmarch import` says why"),
        ("3", "must be the id of a model or a path, not 3"),
        ("[tiny.yaml]", "must be the id of a model or a path, not a list"),
        ("{a: b}", "must be the id of a model or a path, not a mapping"),
        ("true", "must be the id of a model or a path, not true"),
        ("''", "unknown model ''; see `llmarch list`"),
        ('"a\\0b.yaml"', "'a\\x00b.yaml': no such file: embedded null byte"),
        ("empty.yaml", "empty.yaml: not a valid spec"),
        ("broken.yaml", "broken.yaml: not a valid spec"),
    ],
)
def test_nothing_to_extend(parent: str, message: str, directory: Path) -> None:
    Path("empty.yaml").touch()
    Path("broken.yaml").write_text("a: 1\nb: [")
    Path("broken.json").write_text('{"model_type": "llama", "password": "secret"}')
    Path("directory.json").mkdir()
    assert error(f"name: x\nextends: {parent}").startswith(f"spec.yaml:2: extends: {message}")


CONFIG = {"model_type": "llama", "num_hidden_layers": 22, "hidden_size": 2048, "num_key_value_heads": 4}


def test_a_config_can_be_extended(directory: Path) -> None:
    Path("inner").mkdir()
    Path("inner/config.json").write_text(json.dumps(CONFIG))
    config = llmarch.load("inner/config.json")
    spec = load("extends: inner/config.json\nn_layers: 24\nattention: {n_kv_heads: 8}")
    assert spec.name == "inner"
    assert spec == config.model_copy(
        update={"n_layers": 24, "attention": config.attention.model_copy(update={"n_kv_heads": 8})}
    )
    Path("inner/child.yaml").write_text("extends: config.json")
    assert llmarch.load("inner/child.yaml") == config


def test_a_config_is_the_place_of_what_it_says(directory: Path) -> None:
    Path("mine.json").write_text(json.dumps(PUBLISHED["gemma3-1b"]))
    assert error("extends: mine.json\nn_layers: 1").startswith("mine.json: attention.variants.global: unused variant")
    assert error("extends: mine.json\nn_layers: x").startswith("spec.yaml:2: n_layers: must be a whole number")


def test_a_config_in_a_file_of_another_kind_is_said(directory: Path) -> None:
    text = json.dumps({**CONFIG, "vocab_size": 100})
    said = "a Hugging Face config; give it where a model is named, as a file that ends in .json"
    assert error(text) == f"spec.yaml: {said}"
    Path("config.json").write_text(text)
    for read in (budgets.read, baselines.read, claims.read):
        with pytest.raises(InputError, match=rf"^config\.json: {said}$"):
            read(Path("config.json"))
    assert "model_type: unknown field" in error(f"{TINY}model_type: llama")


def test_what_is_inside_a_directory_extends_no_config_outside_it(directory: Path) -> None:
    (directory / "in").mkdir()
    Path("mine.json").write_text(json.dumps(CONFIG))
    Path("in/link.json").symlink_to("../mine.json")
    for parent in ("../mine.json", "link.json", str(directory / "mine.json")):
        Path("in/spec.yaml").write_text(f"extends: {parent}")
        assert models.read(Path("in/spec.yaml")).n_layers == 22
        with pytest.raises(InputError, match="outside the directory"):
            models.read(Path("in/spec.yaml"), Path("in"))


def test_the_models_that_equal_a_spec_are_not_inherited(directory: Path) -> None:
    Path("parent.yaml").write_text(f"{TINY}same_as: [org/other]\n")
    assert llmarch.load("parent.yaml").same_as == ("org/other",)
    assert load("extends: parent.yaml").same_as == ()


def test_circles(directory: Path) -> None:
    assert error("extends: spec.yaml") == "spec.yaml:1: extends: circular: spec -> spec"
    (directory / "inner").mkdir()
    Path("inner/c.yaml").write_text("extends: ../a.yaml")
    Path("b.yaml").write_text("extends: inner/c.yaml")
    circle = error("name: x\nextends: ./inner/../b.yaml", "a.yaml")
    assert circle == "inner/../inner/c.yaml:1: extends: circular: a -> b -> c -> a"
    Path("start.yaml").write_text("extends: b.yaml")
    Path("linked.yaml").symlink_to("start.yaml")
    with pytest.raises(InputError, match="circular: b -> c -> a -> b"):
        llmarch.load("linked.yaml")


def test_a_long_chain_is_followed(directory: Path) -> None:
    Path("0.yaml").write_text(TINY)
    for number in range(1, 1200):
        Path(f"{number}.yaml").write_text(f"extends: {number - 1}.yaml")
    assert llmarch.load("1199.yaml") == llmarch.load("tiny.yaml")


# --- places of errors -----------------------------------------------------------------------------------------------


def changed(old: str, new: str) -> str:
    assert TINY.count(old) == 1
    return TINY.replace(old, new)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (changed("d_model: 16", "d_model: 1e6"), "2: d_model: must be a whole number, not '1e6'"),
        (
            changed("factor: 8.0", "faktor: 8.0"),
            "12: attention.rope_scaling.faktor: unknown field; did you mean factor?",
        ),
        (changed("n_heads: 4", "n_head: 4"), "8: attention.n_head: unknown field; did you mean n_heads"),
        (
            changed("kind: gqa", "kind: qga"),
            "7: attention.kind: unknown kind 'qga'; known: gqa, ",
        ),
        (changed("  kind: gqa\n", ""), "6: attention.kind: required, but missing; known: gqa, "),
        (changed("n_heads: 4", "n_heads: 3"), "6: attention: n_heads (3) must be a multiple of n_kv_heads (2)"),
        (changed("kind: linear", "kind: none"), "12: attention.rope_scaling.kind: unknown kind 'none'; known: linear,"),
        (changed("d_ff: 32", "width: 32"), "17: ffn.variants.dense.width: unknown field; known: d_ff"),
        (changed(", d_ff: 32", ""), "17: ffn.variants.dense.d_ff: required, but missing"),
        (changed("top_k: 2", "top_k: 9"), "18: ffn.variants.moe: top_k (9) must not exceed n_experts (8)"),
        (
            changed("{kind: dense, d_ff: 16}", "{kind: dense, d_f: 1}"),
            "23: ffn.variants.moe.shared_expert.d_f: unknown",
        ),
        (
            changed("{kind: dense, d_ff: 16}", "{kind: moe, d_ff: 1}"),
            "23: ffn.variants.moe.shared_expert.kind: must be",
        ),
        (
            changed("[moe]", "[dense]"),
            "18: ffn.variants.moe: unused variant; name it in first, repeat or last, or remove it",
        ),
        (
            changed("[moe]", "[meo]"),
            "15: ffn.repeat.0: unknown variant 'meo'; known: 'dense', 'moe'; did you mean moe?",
        ),
        (changed("[moe]", "\n    - moe\n    - 3"), "17: ffn.repeat.1: must be text, not 3"),
        (changed("[moe]", "moe"), "15: ffn.repeat: must be a list, not 'moe'"),
        (
            changed("  repeat: [moe]\n", "  foo: 1\n"),
            "15: ffn.foo: unknown field; known: first, repeat, last, variants",
        ),
        (
            changed("first: [dense]", "first: [dense, dense, dense, dense]"),
            "18: ffn.variants.moe: unused variant: the pattern is cut off at n_layers (4)",
        ),
        (
            changed("first: [dense]", "first: [dense, dense, dense, dense, dense]"),
            "13: ffn: first and last name 5 layers, more than n_layers (4)",
        ),
        (
            changed("  repeat: [moe]", "  last: [moe]"),
            "13: ffn: first and last name only 2 of 4 layers",
        ),
        (changed("norm: {eps: 1.0e-5}", "norm: {eps: 1e-5}"), "5: norm.eps: must be a number, not '1e-5'"),
        (changed("norm: {eps: 1.0e-5}", "norm: [1]"), "5: norm: must be a mapping, not a list"),
        (changed("vocab_size: 100\n", ""), "vocab_size: required, but missing"),
        ("\n", "the file is empty"),
    ],
)
def test_the_line_and_the_field_are_named(text: str, message: str, directory: Path) -> None:
    place, _, rest = error(text).splitlines()[0].partition("spec.yaml:")
    assert place == ""
    assert rest.strip().startswith(message)


def test_values_from_a_merge_stand_where_they_are_written(directory: Path) -> None:
    text = """\
name: x
d_model: 8
n_layers: 2
vocab_size: 9
attention:
  repeat: [a, b]
  variants:
    a: &a
      kind: gqa
      n_heads: two
      n_kv_heads: 1
      head_dim: 2
    b: {<<: *a, head_dim: three}
ffn: {kind: dense, d_ff: 8}
"""
    assert error(text) == (
        "spec.yaml:10: attention.variants.a.n_heads: must be a whole number, not 'two'\n"
        "spec.yaml:10: attention.variants.b.n_heads: must be a whole number, not 'two'\n"
        "spec.yaml:13: attention.variants.b.head_dim: must be a whole number, not 'three'"
    )


def test_an_inherited_value_is_named_where_it_stands(directory: Path) -> None:
    (directory / "inner").mkdir()
    Path("inner/parent.yaml").write_text(TINY.replace("n_heads: 4", "n_heads: four").replace("d_ff: 32", "d_ff: 0"))
    message = error("extends: inner/parent.yaml\nname: Child\nattention:\n  head_dim: none\nffn:\n  repeat: [moe]")
    assert message == (
        "inner/parent.yaml:8: attention.n_heads: must be a whole number, not 'four'\n"
        "spec.yaml:4: attention.head_dim: must be a whole number, not 'none'\n"
        "inner/parent.yaml:17: ffn.variants.dense.d_ff: must be above 0, not 0"
    )


def test_what_a_replaced_component_lacks_is_named_where_it_was_replaced(directory: Path) -> None:
    message = error("extends: tiny.yaml\nattention:\n  kind: mla\n  n_heads: 4")
    assert message.splitlines()[0] == "spec.yaml:2: attention.kv_lora_rank: required, but missing"


def test_only_the_first_few_are_told(directory: Path) -> None:
    lines = error("a: 1\nb: 2\nc: 3\nd: 4").splitlines()
    assert len(lines) == 6
    assert lines[-1] == "spec.yaml: and 5 more"


def test_data_that_comes_from_no_file_is_named_by_its_origin() -> None:
    data = yaml.safe_load(TINY)
    assert loading.validated(data, "config.json").name == "Tiny"
    data["attention"]["n_heads"] = 3
    with pytest.raises(InputError, match=r"^config.json: attention: n_heads \(3\) must be a multiple"):
        loading.validated(data, "config.json")


def test_what_a_file_extends(directory: Path) -> None:
    (directory / "mine.yaml").write_text("extends: gpt2\nn_layers: 6\n")
    (directory / "theirs.yaml").write_text("extends: ./mine.yaml\nn_layers: 8\n")
    assert loading.extended(directory / "mine.yaml") == loading.find("gpt2")
    assert loading.extended(directory / "theirs.yaml") == directory / "mine.yaml"
    assert loading.extended(loading.find("gpt2")) is None
    (directory / "theirs.yaml").write_text("extends: [gpt2]\n")
    with pytest.raises(InputError, match=r"theirs\.yaml:1: extends: must be the id of a model or a path, not a list"):
        loading.extended(directory / "theirs.yaml")
