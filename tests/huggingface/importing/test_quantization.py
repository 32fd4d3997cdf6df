"""How a config's weights are stored: every method, lists of what stays plain, and what is not understood."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from published import PUBLISHED

from llmarch_cli.huggingface.importing import imported
from llmarch_cli.huggingface.importing.quantization import _written_out
from llmarch_cli.profilers.storage import weight_bytes
from llmarch_cli.specs.storage import Stored

DENSE = {"model_type": "llama", "hidden_size": 256, "num_hidden_layers": 4, "vocab_size": 96, "intermediate_size": 512}
DENSE |= {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 128}
MIXTURE = {**DENSE, "model_type": "qwen3_moe", "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 256}
MIXTURE |= {"mlp_only_layers": [0], "decoder_sparse_step": 1}
HYBRID = PUBLISHED["qwen3.5-397b-a17b"]


def stored(quantized: Any, config: dict[str, Any] = DENSE, key: str = "quantization_config") -> Stored | None:
    found = imported({**config, key: quantized})
    assert not [note for note in found.notes if note.startswith("Not read")]
    return found.spec.stored


def unread(quantized: Any, config: dict[str, Any] = DENSE) -> str:
    found = imported({**config, "quantization_config": quantized})
    assert found.spec.stored is None
    (note,) = (note for note in found.notes if note.startswith("Not read"))
    return note


def grouped(bits: int, kind: str, strategy: str, **more: Any) -> dict[str, Any]:
    weights = {"num_bits": bits, "type": kind, "strategy": strategy, "symmetric": True, **more}
    return {"targets": ["Linear"], "weights": weights}


def compressed(group: dict[str, Any], *ignored: str) -> dict[str, Any]:
    return {"quant_method": "compressed-tensors", "config_groups": {"group_0": group}, "ignore": ["lm_head", *ignored]}


FP8 = {"quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic"}


@pytest.mark.parametrize(
    ("quantized", "expected"),
    [
        ({**FP8, "weight_block_size": [128, 128]}, "fp8-block"),
        ({**FP8, "fmt": "float8_e4m3fn", "weight_block_size": [128, 128]}, "fp8-block"),
        (FP8, "fp8"),
        ({**FP8, "activation_scheme": "static"}, "fp8-static"),
        ({"quant_method": "fbgemm_fp8", "modules_to_not_convert": ["lm_head"]}, "fp8-channel"),
        ({"quant_method": "gptq", "bits": 4, "group_size": 128, "desc_act": True, "lm_head": False}, "gptq-int4"),
        ({"quant_method": "gptq", "bits": 8, "group_size": 32}, "gptq-int8-g32"),
        ({"quant_method": "awq", "bits": 4, "group_size": 128, "version": "gemm", "zero_point": True}, "awq-int4"),
        ({"quant_method": "awq", "w_bit": 4, "q_group_size": 64}, "awq-int4-g64"),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_use_double_quant": True}, "bnb-nf4"),
        ({"quant_method": "bitsandbytes", "_load_in_4bit": True}, "bnb-nf4-single"),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True, "llm_int8_skip_modules": ["lm_head"]}, "bnb-int8"),
        ({"quant_method": "modelopt", "quant_algo": "FP8", "exclude_modules": ["lm_head"]}, "fp8-static"),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4", "ignore": ["lm_head"]}, "nvfp4"),
        (compressed(grouped(8, "float", "channel")), "fp8-row"),
        (compressed(grouped(8, "float", "tensor")), "fp8"),
        (compressed(grouped(8, "float", "block", block_structure=[128, 128])), "fp8-block"),
        (compressed(grouped(8, "int", "channel")), "int8"),
        (compressed(grouped(4, "int", "group", group_size=128)), "int4"),
        (compressed(grouped(4, "int", "group", group_size=32)), "int4-g32"),
        (compressed(grouped(4, "float", "tensor_group", group_size=16)), "nvfp4"),
        ({"bits": 4, "group_size": 64}, "mlx-4bit"),
        ({"bits": 8, "group_size": 32, "mode": "affine"}, "mlx-8bit-g32"),
    ],
)
def test_each_method(quantized: dict[str, Any], expected: str) -> None:
    assert stored(quantized) == Stored(format=expected)


@pytest.mark.parametrize("key", ["quantization_config", "quantization", "compression_config"])
def test_each_place(key: str) -> None:
    assert stored({"bits": 4, "group_size": 64}, key=key) == Stored(format="mlx-4bit")


def test_a_wrapper_and_its_text_decoder() -> None:
    text = {**DENSE, "model_type": "mistral"}
    outer = {"model_type": "mistral3", "text_config": text, "vision_config": {}, "quantization_config": FP8}
    inner = {**outer, "quantization_config": None, "text_config": {**text, "quantization_config": FP8}}
    for config in (outer, inner):
        assert imported(config).spec.stored == Stored(format="fp8")


@pytest.mark.parametrize(
    ("ignored", "parts"),
    [
        (["lm_head", "model.embed_tokens", *(f"model.layers.{i}.mlp.gate" for i in range(4))], {}),
        ([f"model.layers.{i}.self_attn" for i in range(4)], {"attention": "bf16"}),
        (["re:.*self_attn.*"], {"attention": "bf16"}),
        (["model.layers.*.self_attn"], {"attention": "bf16"}),
        (["self_attn"], {"attention": "bf16"}),
        (["*.self_attn.o_proj"], {"o_proj": "bf16"}),
        ([f"model.layers.{i}.self_attn.o_proj" for i in range(4)], {"o_proj": "bf16"}),
        (["re:.*mlp\\.(gate|up|gate_up|down)_proj.*"], {"dense": "bf16"}),
        (["model.layers.0.mlp*"], {"dense": "bf16"}),
        (["re:.*mlp\\.experts.*"], {"experts": "bf16"}),
    ],
)
def test_what_a_list_leaves_as_it_is(ignored: list[str], parts: dict[str, str]) -> None:
    found = stored({**FP8, "modules_to_not_convert": ignored}, MIXTURE)
    assert found is not None
    assert (found.format, found.parts) == ("fp8", parts)


def test_experts_alone() -> None:
    group = grouped(4, "int", "group", group_size=32)
    ignored = ("re:.*self_attn.*", "re:.*shared_experts.*", r"re:.*mlp\.(gate|up|gate_up|down)_proj.*")
    for config in (MIXTURE, PUBLISHED["kimi-k2"]):
        assert stored(compressed(group, *ignored), config) == Stored(parts={"experts": "int4-g32"})


def test_layers_of_a_hybrid_by_their_numbers() -> None:
    names = [f"model.language_model.layers.{i}.{'self_attn' if i % 4 == 3 else 'linear_attn'}*" for i in range(60)]
    shared = [f"model.language_model.layers.{i}.mlp.shared_expert*" for i in range(60)]
    quantized = {
        "quant_method": "modelopt",
        "quant_algo": "NVFP4",
        "ignore": ["lm_head", "mtp.layers.0*", *names, *shared],
    }
    found = stored(quantized, HYBRID)
    assert found == Stored(parts={"experts": "nvfp4"})
    spec = imported({**HYBRID, "quantization_config": quantized}).spec
    # Of 396.35 B parameters 386.55 B are those of experts.
    assert weight_bytes(spec, "native") == 237_032_044_032


def test_qwen3_235b_in_fp8() -> None:
    kept = ("input_layernorm", "mlp.gate", "post_attention_layernorm")
    ignored = ["lm_head", *(f"model.layers.{i}.{name}" for i in range(94) for name in kept)]
    quantized = {**FP8, "weight_block_size": [128, 128], "modules_to_not_convert": ignored}
    spec = imported({**PUBLISHED["qwen3-235b-a22b"], "quantization_config": quantized}).spec
    assert spec.stored == Stored(format="fp8-block")
    # Queries and outputs, keys and values, 128 experts of three matrices: all widths are multiples of 128.
    values = 94 * 4096 * (2 * 64 * 128 + 2 * 4 * 128 + 128 * 3 * 1536)
    plain = 2 * 151_936 * 4096 + 94 * (128 * 4096 + 2 * 4096 + 2 * 128) + 4096
    assert values + plain == 235_093_634_560
    assert weight_bytes(spec, "native") == values + 4 * values // 128**2 + 2 * plain == 236_445_455_360


def test_one_sort_of_attention_of_a_hybrid() -> None:
    found = stored({**FP8, "modules_to_not_convert": ["re:.*linear_attn.*"]}, HYBRID)
    assert found is not None
    (name,) = found.parts
    spec = imported(HYBRID).spec
    assert name.rpartition(".")[2] in spec.variants("attention")
    assert spec.variants("attention")[name.rpartition(".")[2]].kind == "gated_deltanet"  # type: ignore[attr-defined]


def test_several_formats() -> None:
    layers = {
        f"model.layers.{i}.mlp.experts.{e}.{part}_proj": {"quant_algo": "NVFP4"}
        for i in range(1, 4)
        for e in range(4)
        for part in ("gate", "up", "down")
    }
    layers |= {f"model.layers.{i}.self_attn.{part}_proj": {"quant_algo": "FP8"} for i in range(4) for part in "qkvo"}
    quantized = {"quant_method": "modelopt", "quant_algo": "MIXED_PRECISION", "quantized_layers": layers}
    assert stored(quantized, MIXTURE) == Stored(parts={"experts": "nvfp4", "attention": "fp8-static"})


def test_branches_and_layers_of_states() -> None:
    config = PUBLISHED["falcon-h1-0.5b"]
    assert stored({**FP8, "modules_to_not_convert": ["lm_head", "re:.*mamba.*"]}, config) == Stored(
        format="fp8", parts={"mamba_branch": "bf16"}
    )


def test_a_list_of_modules_that_are_not_known_is_a_note() -> None:
    config = {"model_type": "falcon", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    config |= {"vocab_size": 100, "new_decoder_architecture": False}
    assert stored({**FP8, "modules_to_not_convert": ["lm_head"]}, config) == Stored(format="fp8")
    assert "'h.0.self_attention.dense' is no module that is known" in unread(
        {**FP8, "modules_to_not_convert": ["transformer.h.0.self_attention.dense"]}, config
    )


def test_groups_of_several_targets() -> None:
    quantized = compressed({**grouped(8, "float", "channel"), "targets": ["re:.*self_attn.*"]})
    quantized["config_groups"]["group_1"] = grouped(4, "int", "group", group_size=128)
    found = stored(quantized, MIXTURE)
    assert found is not None
    assert (found.format, dict(found.parts)) == ("int4", {"attention": "fp8-row"})


def test_deepseek_v4() -> None:
    config = PUBLISHED["deepseek-v4-flash"]
    assert weight_bytes(imported(config).spec, "native") == 155_997_040_860
    in_fp8 = imported({**config, "expert_dtype": "fp8"}).spec
    assert in_fp8.stored is not None
    assert (in_fp8.stored.format, "experts" in in_fp8.stored.parts) == ("fp8-block", False)


def test_other_dtypes_than_bfloat16_without_quantisation() -> None:
    assert imported({**DENSE, "torch_dtype": "float32"}).spec.stored == Stored(format="fp32")
    assert imported({**DENSE, "dtype": "torch.float16"}).spec.stored == Stored(format="fp16")
    assert imported({**DENSE, "dtype": "bfloat16", "torch_dtype": "float32"}).spec.stored is None
    assert imported({**DENSE, "dtype": ["float32"]}).spec.stored is None
    assert imported(DENSE).spec.stored is None


@pytest.mark.parametrize(
    ("quantized", "why"),
    [
        ({"quant_method": "hqq"}, "quant_method 'hqq'"),
        ({"quant_method": ["fp8"]}, "quant_method a list"),
        ({"quantized": True}, "quant_method null"),
        ({**FP8, "weight_block_size": [64, 64]}, "weight_block_size '[64, 64]'"),
        ({**FP8, "fmt": "e5m2"}, "fmt 'e5m2'"),
        ({"quant_method": "gptq", "bits": 3, "group_size": 128}, "gptq-int3"),
        ({"quant_method": "gptq", "bits": 4, "group_size": -1}, "gptq-int4-g-1"),
        ({"quant_method": "gptq", "bits": 4, "group_size": 128, "dynamic": {"-:mlp": {}}}, "dynamic is a mapping"),
        ({"quant_method": "awq", "bits": 4, "group_size": 128, "version": "gemv"}, "gemm"),
        ({"quant_method": "bitsandbytes"}, "neither load_in_4bit"),
        ({"quant_method": "modelopt", "quant_algo": "W4A8_AWQ"}, "quant_algo 'W4A8_AWQ'"),
        (compressed(grouped(4, "int", "group", group_size=128, symmetric=False)), "weights '4-bit int by group'"),
        ({"quant_method": "compressed-tensors", "config_groups": {}}, "no config_groups"),
        ({"quant_method": "compressed-tensors", "config_groups": [1]}, "config_groups is no mapping"),
        ({**FP8, "modules_to_not_convert": "lm_head"}, "modules_to_not_convert is no list"),
        ({**FP8, "modules_to_not_convert": [1]}, "modules_to_not_convert is no list"),
        ({**FP8, "modules_to_not_convert": ["re:("]}, "no regular expression"),
        ({**FP8, "modules_to_not_convert": ["re:(.+)+x"]}, "the pattern"),
        ({**FP8, "modules_to_not_convert": ["re:a{99999999999}"]}, "the pattern"),
        ({**FP8, "modules_to_not_convert": ["re:" + "(" * 400 + ")" * 4]}, "the pattern"),
        ({**FP8, "modules_to_not_convert": [f"a{i}*" for i in range(2000)]}, "2,000 patterns are too many"),
        ({**FP8, "modules_to_not_convert": ["re:" + ".*" * 9]}, "the pattern"),
        ({**FP8, "modules_to_not_convert": ["model.layers.2.mlp"]}, "by layer"),
        ({"bits": 4, "group_size": 64, "mode": "mxfp4"}, "mode 'mxfp4'"),
        ({**FP8, "expert_dtype": "fp4"}, ""),
    ],
)
def test_what_is_not_understood_is_a_note(quantized: dict[str, Any], why: str) -> None:
    if "expert_dtype" in quantized:  # a setting of the config, not of its format
        assert stored(quantized) == Stored(format="fp8")
        return
    note = unread(quantized)
    assert why in note
    assert note.startswith("Not read: quantization_config (")
    assert note.endswith("`--weights native` takes the weights as bf16.")


@pytest.mark.parametrize("quantized", [None, {}, 5, "fp8", [], True])
def test_nothing_to_read(quantized: Any) -> None:
    assert imported({**DENSE, "quantization_config": quantized}).spec.stored is None


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 200) | st.floats(allow_nan=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=4,
)
EXAMPLES = (
    {**FP8, "weight_block_size": [128, 128], "modules_to_not_convert": ["lm_head"]},
    {"quant_method": "gptq", "bits": 4, "group_size": 128},
    {"quant_method": "bitsandbytes", "load_in_4bit": True},
    {"quant_method": "modelopt", "quant_algo": "MIXED_PRECISION", "quantized_layers": {"a": {"quant_algo": "FP8"}}},
    compressed(grouped(4, "int", "group", group_size=128), "re:.*self_attn.*"),
    {"bits": 4, "group_size": 64, "model.layers.0.mlp": {"bits": 8}},
)


@settings(max_examples=150)
@given(st.data())
def test_any_settings_give_a_format_or_a_note(data: st.DataObject) -> None:
    said: Any = deepcopy(data.draw(st.sampled_from(EXAMPLES)))
    where = said
    for name in ("config_groups", "group_0", "weights", "quantized_layers", "a"):
        if name in where and data.draw(st.booleans()):
            where = where[name]
    where[data.draw(st.sampled_from(sorted(where)))] = data.draw(VALUES)
    found = imported({**DENSE, "quantization_config": said})
    assert all(len(note) < 2000 for note in found.notes)


def test_patterns_of_names_written_out() -> None:
    assert _written_out(r"self_attn\.(?:g|gate)_proj\.weight") == [
        "self_attn.g_proj.weight",
        "self_attn.gate_proj.weight",
    ]
    assert _written_out(r"(?:mlp\.)?fc1") == ["mlp.fc1", "fc1"]
    assert _written_out(r"mlp\.experts\.\{expert\}\.up_proj") == ["mlp.experts.0.up_proj"]
