"""Configs changed at random, and files that are no configs: a spec or a clean error, and never a key passed over."""

from __future__ import annotations

import json
from copy import deepcopy
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from drawn import NEEDED, OPTIONS, configs
from hypothesis import given, settings
from hypothesis import strategies as st
from published import PUBLISHED

from llmarch_cli.errors import InputError
from llmarch_cli.huggingface.importing import import_config
from llmarch_cli.specs.spec import ModelSpec

VALUES: st.SearchStrategy[Any] = st.sampled_from(
    (
        *(None, True, False, 0, 1, -1, 2, 3, 7, 64, 2**20, 2**31, 2**63, 10**39, -(10**39)),
        *(0.0, -0.0, 0.5, 1e-320, 1e-5, 1.5, 1e30, 1e300, -1e300, -0.25),
        *("", "silu", "full_attention", "yarn", "\ud800", "x" * 10_000),
        *([], [1], [0, 1, 0], ["full_attention"], [None], [[]], {}, {"rope_type": "yarn"}, {"a": {"b": {}}}),
    )
)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every mapping or list inside, with each of its keys or indexes."""
    if isinstance(value, dict):
        return [*((value, key) for key in value), *(each for inner in value.values() for each in places(inner))]
    if isinstance(value, list):
        return [(value, i) for i in range(len(value))][:3]
    return []


@settings(max_examples=400)
@given(data=st.data())
def test_mutated_configs_give_a_spec_or_a_clean_error(data: st.DataObject) -> None:
    config = deepcopy(data.draw(st.sampled_from(list(PUBLISHED.values()))))
    if data.draw(st.booleans()):
        family = data.draw(st.sampled_from(sorted(OPTIONS)))
        config = {"model_type": family, **deepcopy(data.draw(configs(family)))}
    for _ in range(data.draw(st.integers(1, 3))):
        if not (found := places(config)):
            break
        where, key = found[data.draw(st.integers(0, len(found) - 1))]
        change = data.draw(st.sampled_from(("set", "drop", "rename")))
        if change == "set" or isinstance(where, list):
            where[key] = deepcopy(data.draw(VALUES))
        elif change == "drop":
            del where[key]
        else:
            where[data.draw(st.sampled_from(("rope_theta", "head_dim", "layer_types", "num_experts")))] = where.pop(key)
    given: ModelSpec | str
    try:
        given = import_config(config)
    except InputError as error:
        given = str(error)
    assert isinstance(given, ModelSpec) or (given.startswith("config") and len(given) < 2000)


def inner_mappings(config: dict[str, Any]) -> list[dict[str, Any]]:
    """Those of which every key is read."""
    left_out = ("vision_config", "vision_encoder", "quantization_config")
    return [value for key, value in config.items() if isinstance(value, dict) and key not in left_out]


@settings(max_examples=150)
@given(data=st.data())
def test_an_unknown_key_is_named_wherever_it_stands(data: st.DataObject) -> None:
    config = deepcopy(data.draw(st.sampled_from(list(PUBLISHED.values()))))
    mappings = [config, *(outer := inner_mappings(config)), *chain.from_iterable(map(inner_mappings, outer))]
    where = mappings[data.draw(st.integers(0, len(mappings) - 1))]
    name = data.draw(st.sampled_from(("block_sparse", "hiden_size", "kv_share", "ropetype")))
    where[name] = deepcopy(data.draw(VALUES))
    with pytest.raises(InputError, match=name):
        import_config(config)


@pytest.mark.parametrize("family", sorted(OPTIONS))
def test_an_unknown_key_of_every_family(family: str) -> None:
    config = {"model_type": family, **NEEDED.get(family, {})}
    import_config(config)
    with pytest.raises(InputError, match="sparsity_of_attention"):
        import_config({**config, "sparsity_of_attention": None})
    with pytest.raises(InputError, match=r"rope_scaling"):
        import_config({**config, "rope_scaling": {"rope_type": "default", "by": 2}})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty; a config is a JSON object"),
        ("  \n", "the file is empty"),
        ("[1]", "it must be a JSON object, not a list"),
        ("{", "it is not valid JSON (line 1: expecting property name enclosed in double quotes)"),
        ("\xff\xfe", "it is not valid JSON"),
        ('{"a": 1, "a": 2}', "'a' is given twice"),
        ('{"hidden_size": NaN}', "contains NaN, which is not a JSON number"),
        (
            '{"model_type": "llama", "hidden_size": -Infinity}',
            "hidden_size: must be a whole number of at least 1, not -inf",
        ),
        ('{"rope_theta": 1e999}', "the number '1e999' is too large"),
        (f'{{"hidden_size": {"9" * 5000}}}', "a number of 5,000 digits"),
        ('{"a":' * 10_000 + "1" + "}" * 10_000, "it is nested deeper than 64 levels"),
        ('{"a":' * 100 + "1" + "}" * 100, "it is nested deeper than 64 levels"),
        ("[" * 10_000, "it is nested deeper than 64 levels"),
        ("{}", "model_type: required, but missing; no supported family reads most of its keys"),
        ('{"model_type": 3}', "model_type: must be text, not 3"),
        ('{"model_type": "lama"}', "model_type: 'lama' is not supported; no supported family reads most"),
        (
            '{"model_type": "zzzzz", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,'
            ' "intermediate_size": 96, "vocab_size": 50, "max_position_embeddings": 64}',
            "model_type: 'zzzzz' is not supported; nearest by its keys: llama (reads every key)",
        ),
        ('{"model_type": "llama", "hidden_size": 0}', "hidden_size: must be a whole number of at least 1, not 0"),
        ('{"model_type": "llama", "hidden_size": "4k"}', "hidden_size: must be a whole number of at least 1, not '4k'"),
        ('{"model_type": "llama", "hidden_size": true}', "hidden_size: must be a whole number"),
        ('{"model_type": "llama", "hidden_size": null}', "hidden_size: must be a whole number of at least 1, not null"),
        ('{"model_type": "llama", "num_hidden_layers": 1000000000000}', "num_hidden_layers: must be a whole number"),
        ('{"model_type": "llama", "num_key_value_heads": 5}', "attention: n_heads (32) must be a multiple of"),
        ('{"model_type": "llama", "rms_norm_eps": "1e-5"}', "rms_norm_eps: must be a number, not '1e-5'"),
        ('{"model_type": "llama", "mlp_bias": 1}', "mlp_bias: must be true or false, not 1"),
        ('{"model_type": "llama", "hidden_act": "magic"}', "hidden_act: 'magic' is not supported; known: silu"),
        ('{"model_type": "llama", "rope_scaling": [1]}', "rope_scaling: must be a mapping, not a list"),
        (
            '{"model_type": "llama", "rope_scaling": {"type": "ntk", "factor": 2.0}}',
            "rope_scaling.rope_type: 'ntk' is not supported; known: default, linear, dynamic, llama3, yarn, longrope",
        ),
        (
            '{"model_type": "llama", "rope_scaling": {"type": "linear", "rope_type": "yarn"}}',
            "rope_scaling.type: 'linear', but rope_type is 'yarn': two names of one key",
        ),
        ('{"model_type": "llama", "rope_scaling": {"type": "linear"}}', "rope_scaling.factor: required, but missing"),
        ('{"model_type": "dots1"}', "n_routed_experts: required, but missing"),
        ('{"model_type": "qwen3", "layer_types": ["full_attention"]}', "layer_types: must have 32 entries"),
        ('{"model_type": "llama", "hiden_size": 8}', "hiden_size: unknown key; did you mean hidden_size"),
        (
            '{"model_type": "llama", "is_encoder_decoder": true}',
            "is_encoder_decoder: true is not supported: must be false",
        ),
        (
            '{"model_type": "llama", "architectures": ["LlamaForSequenceClassification"]}',
            "architectures: 'LlamaForSequenceClassification' has no language-model head",
        ),
        ('{"model_type": "mistral3", "text_config": {"model_type": "zamba"}}', "text_config.model_type: 'zamba'"),
    ],
)
def test_files_that_are_no_configs(text: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError) as caught:
        import_config("x.json")
    assert str(caught.value).startswith(f"x.json: {message}")


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    huge = tmp_path / "config.json"
    with huge.open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(InputError, match="larger than 16 MiB, too large for a config"):
        import_config(huge)


def test_a_config_is_left_as_it_was() -> None:
    for config in PUBLISHED.values():
        before = json.dumps(config)
        import_config(config)
        assert json.dumps(config) == before


@pytest.mark.parametrize(
    "config",
    [
        {"model_type": "x", "text_config": {"model_type": ["llama"]}},
        {"model_type": "x", "llm_config": {"model_type": {}, "text_config": {}}},
        {"model_type": "hyperclovax", "hidden_size": 1, "num_attention_heads": 32},
    ],
)
def test_values_that_once_ended_in_a_traceback(config: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        import_config(config)


def test_a_key_with_control_characters_is_escaped_in_advice() -> None:
    with pytest.raises(InputError) as caught:
        import_config({"model_type": "llama", "\x1b[31m\nred": 1})
    assert str(caught.value).isprintable()
