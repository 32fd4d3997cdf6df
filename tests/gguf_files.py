"""Tiny models as GGUF files: tensors of the classes in transformers, with the names and keys of GGUF."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
import transformers
from gguf import GGMLQuantizationType as Type
from torch import Tensor

from llmarch_cli.huggingface.gguf.header import Header, read

Values = np.ndarray[Any, np.dtype[np.float32]]

SIZES = {"vocab_size": 96, "hidden_size": 64, "intermediate_size": 160, "num_hidden_layers": 3}
HEADS = {"num_attention_heads": 4, "num_key_value_heads": 2}
USUAL = {**SIZES, **HEADS, "max_position_embeddings": 512, "rms_norm_eps": 1e-5, "rope_theta": 10_000.0}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 128}
LATENT = {
    **SIZES,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "q_lora_rank": 32,
    "kv_lora_rank": 64,
    "qk_rope_head_dim": 16,
    "qk_nope_head_dim": 32,
    "v_head_dim": 64,
    "first_k_dense_replace": 1,
    "n_routed_experts": 8,
    "num_experts_per_tok": 2,
    "n_shared_experts": 1,
    "moe_intermediate_size": 32,
    "max_position_embeddings": 512,
    "rms_norm_eps": 1e-6,
    "rope_theta": 10_000.0,
    "routed_scaling_factor": 2.5,
}

# A name for each: the architecture as llama.cpp calls it, and the config of the model.
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("llama", {"model_type": "llama", **USUAL}),
    "llama tied and biased": (
        "llama",
        {"model_type": "llama", **USUAL, "tie_word_embeddings": True, "attention_bias": True, "mlp_bias": True},
    ),
    "llama of wide heads": (
        "llama",
        {"model_type": "llama", **USUAL, "head_dim": 32, "rope_scaling": {"rope_type": "linear", "factor": 2.0}},
    ),
    "mixtral": ("llama", {"model_type": "mixtral", **USUAL, "num_local_experts": 4, "num_experts_per_tok": 2}),
    "qwen2": ("qwen2", {"model_type": "qwen2", **USUAL, "rope_scaling": YARN}),
    "qwen3": ("qwen3", {"model_type": "qwen3", **USUAL, "head_dim": 32, "tie_word_embeddings": True}),
    "qwen3moe": (
        "qwen3moe",
        {
            "model_type": "qwen3_moe",
            **USUAL,
            "head_dim": 32,
            "num_experts": 8,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 32,
            "norm_topk_prob": True,
        },
    ),
    "gemma2": (
        "gemma2",
        {
            "model_type": "gemma2",
            **USUAL,
            "head_dim": 32,
            "sliding_window": 64,
            "tie_word_embeddings": True,
            "query_pre_attn_scalar": 32,
            "attn_logit_softcapping": 50.0,
            "final_logit_softcapping": 30.0,
        },
    ),
    "gemma3": (
        "gemma3",
        {
            "model_type": "gemma3_text",
            **USUAL,
            "num_hidden_layers": 7,
            "head_dim": 32,
            "sliding_window": 64,
            "rope_theta": 1_000_000.0,
            "rope_local_base_freq": 10_000.0,
            "tie_word_embeddings": True,
            "query_pre_attn_scalar": 32,
            "rope_scaling": {"rope_type": "linear", "factor": 8.0},
        },
    ),
    "gpt2": (
        "gpt2",
        {
            "model_type": "gpt2",
            "vocab_size": 96,
            "n_embd": 64,
            "n_layer": 3,
            "n_head": 4,
            "n_positions": 128,
            "n_inner": 160,
            "bos_token_id": None,
            "eos_token_id": None,
        },
    ),
    "phi3": (
        "phi3",
        {
            "model_type": "phi3",
            **USUAL,
            "original_max_position_embeddings": 512,
            "sliding_window": 100,
            "partial_rotary_factor": 0.5,
            "pad_token_id": 0,
            "bos_token_id": None,
            "eos_token_id": None,
        },
    ),
    "gpt-oss": (
        "gpt-oss",
        {
            "model_type": "gpt_oss",
            **USUAL,
            "intermediate_size": 32,
            "head_dim": 32,
            "sliding_window": 64,
            "num_local_experts": 4,
            "num_experts_per_tok": 2,
            "rope_theta": 150_000.0,
            "rope_scaling": {**YARN, "beta_fast": 32.0, "beta_slow": 1.0, "truncate": False},
        },
    ),
    "deepseek2": (
        "deepseek2",
        {
            "model_type": "deepseek_v3",
            **LATENT,
            "n_group": 4,
            "topk_group": 2,
            "norm_topk_prob": True,
            "num_nextn_predict_layers": 0,
            "rope_interleave": True,
            "rope_scaling": {**YARN, "mscale": 0.707, "mscale_all_dim": 0.707},
        },
    ),
    "deepseek2 of softmax": (
        "deepseek2",
        {
            "model_type": "deepseek_v2",
            **LATENT,
            "q_lora_rank": None,
            "n_group": 1,
            "topk_group": 1,
            "topk_method": "greedy",
            "norm_topk_prob": False,
            "routed_scaling_factor": 1.0,
        },
    ),
}

# Types by the width of a row, in turn over the matrices of a model.
TYPES = (Type.Q8_0, Type.Q4_0, Type.F16)


def write(
    name: str,
    path: Path,
    types: tuple[Type, ...] = TYPES,
    keys: Mapping[str, Any] | None = None,
    more: Mapping[str, Values | None] | None = None,
    **options: Any,
) -> Header:
    """Write a model, and return its header. `keys` and tensors (`more`) are added, or with None left out."""
    architecture, config = MODELS[name]
    writer = gguf.GGUFWriter(path, architecture, **options)
    for key, value in {**keys_of(name), **(keys or {})}.items():
        match value:
            case None:
                continue
            case bool():
                writer.add_bool(key, value)
            case int():
                writer.add_uint32(key, value)
            case float():
                writer.add_float32(key, value)
            case str():
                writer.add_string(key, value)
            case _:
                writer.add_array(key, value)
    writer.add_token_list([f"<{number}>" for number in range(config["vocab_size"])])
    for number, (tensor, values) in enumerate(sorted({**tensors(name), **(more or {})}.items())):
        if values is None:
            continue
        kind = types[number % len(types)] if values.ndim > 1 and "gate_inp" not in tensor else Type.F32
        writer.add_tensor(tensor, gguf.quants.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    parts = sorted(path.parent.glob(f"{path.stem}-*-of-*{path.suffix}"))
    return read(parts[0] if parts else path)


@cache
def tensors(name: str) -> dict[str, Values]:
    """The tensors of a model, as the class in transformers has them, by their names in GGUF."""
    architecture, config = MODELS[name]
    kind = next(kind for kind, called in gguf.MODEL_ARCH_NAMES.items() if called == architecture)
    known = gguf.get_tensor_name_map(kind, config.get("num_hidden_layers") or config["n_layer"])
    settings = {key: value for key, value in config.items() if key != "model_type"}
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(  # type: ignore[no-untyped-call]
        transformers.AutoConfig.for_model(config["model_type"], **settings), dtype=torch.float32
    )
    tied = model.config.tie_word_embeddings
    found = {}
    for theirs, values in model.state_dict().items():
        if theirs == "lm_head.weight" and tied:
            continue
        for part, tensor in _parts(theirs, values, config):
            called = known.get_name(part, try_suffixes=(".weight", ".bias"))
            assert called is not None, part
            found[called if called.endswith((".weight", ".bias")) else f"{called}.weight"] = tensor.float().numpy()
    return found


def _parts(name: str, values: Tensor, config: dict[str, Any]) -> Iterator[tuple[str, Tensor]]:
    """A tensor of transformers as llama.cpp's converter cuts it."""
    stem, _, last = name.rpartition(".")
    if config["model_type"] == "gpt2" and last == "weight" and stem.endswith(("c_attn", "c_proj", "c_fc")):
        yield name, values.T.contiguous()
    elif last.startswith("gate_up_proj"):
        kind = "bias" if last.endswith("bias") else "weight"
        if config["model_type"] == "gpt_oss":
            values = values.transpose(1, 2) if kind == "weight" else values
            gate, up = values[:, 0::2], values[:, 1::2]
        else:
            gate, up = values.chunk(2, dim=1)
        yield f"{stem}.gate_proj.{kind}", gate.contiguous()
        yield f"{stem}.up_proj.{kind}", up.contiguous()
    elif last.startswith("down_proj"):
        kind = "bias" if last.endswith("bias") else "weight"
        turned = config["model_type"] == "gpt_oss" and kind == "weight"
        yield f"{stem}.down_proj.{kind}", (values.transpose(1, 2) if turned else values).contiguous()
    elif stem.endswith("kv_b_proj"):
        halves = (config["qk_nope_head_dim"], config["v_head_dim"])
        k, v = values.unflatten(0, (config["num_attention_heads"], -1)).split(halves, dim=1)
        yield f"{stem.replace('kv_b_proj', 'k_b_proj')}.weight", k.transpose(1, 2).contiguous()
        yield f"{stem.replace('kv_b_proj', 'v_b_proj')}.weight", v.contiguous()
    elif last == "e_score_correction_bias":
        yield f"{stem}.e_score_correction.bias", values
    elif last == "sinks":
        yield f"{name}.weight", values
    else:
        yield name, values


Declared = Mapping[str, tuple[tuple[int, ...], Type]]


def write_header(path: Path, architecture: str, keys: Mapping[str, Any], declared: Declared) -> None:
    """Write a header without data and vocabulary."""
    writer = gguf.GGUFWriter(path, architecture)
    for key, value in keys.items():
        match value:
            case int():
                writer.add_uint32(key, value)
            case float():
                writer.add_float32(key, value)
            case _:
                writer.add_string(key, value)
    for name, (shape, kind) in declared.items():
        values, size = gguf.GGML_QUANT_SIZES[kind]
        writer.add_tensor_info(name, shape, np.dtype(np.float32), int(np.prod(shape)) // values * size, kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()


def write_example(path: Path) -> None:
    """Write the header of Qwen3-8B in llama.cpp's mix Q4_K_M, without a vocabulary: the example in `docs/examples`."""
    keys = {
        "context_length": 40_960,
        "embedding_length": 4096,
        "block_count": 36,
        "feed_forward_length": 12_288,
        "attention.head_count": 32,
        "attention.head_count_kv": 8,
        "attention.key_length": 128,
        "attention.value_length": 128,
        "rope.freq_base": 1_000_000.0,
        "attention.layer_norm_rms_epsilon": 1e-6,
    }
    matrices = {
        "attn_q": (4096, 4096),
        "attn_k": (1024, 4096),
        "attn_v": (1024, 4096),
        "attn_output": (4096, 4096),
        "ffn_gate": (12_288, 4096),
        "ffn_up": (12_288, 4096),
        "ffn_down": (4096, 12_288),
    }
    norms = {"attn_norm": 4096, "ffn_norm": 4096, "attn_q_norm": 128, "attn_k_norm": 128}
    declared: dict[str, tuple[tuple[int, ...], Type]] = {
        "token_embd.weight": ((151_936, 4096), Type.Q4_K),
        "output_norm.weight": ((4096,), Type.F32),
        "output.weight": ((151_936, 4096), Type.Q6_K),
    }
    for layer in range(36):
        for name, shape in matrices.items():
            is_better = name in ("attn_v", "ffn_down") and _has_more_bits(layer, 36)
            declared[f"blk.{layer}.{name}.weight"] = shape, Type.Q6_K if is_better else Type.Q4_K
        declared |= {f"blk.{layer}.{name}.weight": ((width,), Type.F32) for name, width in norms.items()}
    named = {"general.name": "Qwen3 8B", "general.file_type": int(gguf.LlamaFileType.MOSTLY_Q4_K_M)}
    write_header(path, "qwen3", {**named, **{f"qwen3.{key}": value for key, value in keys.items()}}, declared)


def _has_more_bits(layer: int, n_layers: int) -> bool:
    """The layers that the mix gives six bits: the first and last eighth, and every third between."""
    eighth = n_layers // 8
    return layer < eighth or layer >= 7 * n_layers // 8 or (layer - eighth) % 3 == 2


def write_gpt_oss_120b(path: Path) -> None:
    """Write the header of gpt-oss-120b as published in GGUF: experts in MXFP4, other matrices in Q8_0."""
    keys = {
        "context_length": 131_072,
        "embedding_length": 2880,
        "block_count": 36,
        "feed_forward_length": 2880,
        "expert_feed_forward_length": 2880,
        "attention.head_count": 64,
        "attention.head_count_kv": 8,
        "attention.key_length": 64,
        "attention.value_length": 64,
        "attention.sliding_window": 128,
        "rope.freq_base": 150_000.0,
        "rope.scaling.type": "yarn",
        "rope.scaling.factor": 32.0,
        "rope.scaling.original_context_length": 4096,
        "attention.layer_norm_rms_epsilon": 1e-5,
        "expert_count": 128,
        "expert_used_count": 4,
    }
    matrices = {
        "attn_q": ((4096, 2880), Type.Q8_0),
        "attn_k": ((512, 2880), Type.Q8_0),
        "attn_v": ((512, 2880), Type.Q8_0),
        "attn_output": ((2880, 4096), Type.Q8_0),
        "ffn_gate_inp": ((128, 2880), Type.F32),
        **{f"ffn_{part}_exps": ((128, 2880, 2880), Type.MXFP4) for part in ("gate", "up", "down")},
    }
    vectors = {"attn_norm": 2880, "post_attention_norm": 2880, "attn_sinks": 64}
    declared: dict[str, tuple[tuple[int, ...], Type]] = {
        "token_embd.weight": ((201_088, 2880), Type.Q8_0),
        "output_norm.weight": ((2880,), Type.F32),
        "output.weight": ((201_088, 2880), Type.Q8_0),
    }
    for layer in range(36):
        for name, (shape, kind) in matrices.items():
            declared[f"blk.{layer}.{name}.weight"] = shape, kind
            declared[f"blk.{layer}.{name}.bias"] = shape[:-1], Type.F32
        declared |= {f"blk.{layer}.{name}.weight": ((width,), Type.F32) for name, width in vectors.items()}
    write_header(path, "gpt-oss", {f"gpt-oss.{key}": value for key, value in keys.items()}, declared)


def keys_of(name: str) -> dict[str, Any]:
    """The keys of a model, as llama.cpp's converter writes them."""
    architecture, config = MODELS[name]
    n_heads = config.get("num_attention_heads") or config["n_head"]
    d_model = config.get("hidden_size") or config["n_embd"]
    width = config.get("head_dim") or d_model // n_heads
    keys = {
        "context_length": config.get("max_position_embeddings", config.get("n_positions")),
        "embedding_length": d_model,
        "block_count": config.get("num_hidden_layers", config.get("n_layer")),
        "feed_forward_length": config.get("intermediate_size", config.get("n_inner")),
        "attention.head_count": n_heads,
        "attention.head_count_kv": config.get("num_key_value_heads"),
        "attention.layer_norm_rms_epsilon": config.get("rms_norm_eps"),
        "attention.layer_norm_epsilon": 1e-5 if architecture == "gpt2" else None,
        "attention.sliding_window": config.get("sliding_window"),
        "rope.freq_base": config.get("rope_theta"),
        "vocab_size": config["vocab_size"] if architecture == "llama" else None,
        "attn_logit_softcapping": config.get("attn_logit_softcapping"),
        "final_logit_softcapping": config.get("final_logit_softcapping"),
    }
    if architecture == "phi3":
        keys["rope.dimension_count"] = int(width * config["partial_rotary_factor"])
        keys["rope.scaling.original_context_length"] = config["original_max_position_embeddings"]
    elif architecture not in ("gpt2", "deepseek2"):
        keys["rope.dimension_count"] = width
    if "head_dim" in config:
        keys |= {"attention.key_length": width, "attention.value_length": width}
    n_experts = next(
        (config[key] for key in ("n_routed_experts", "num_experts", "num_local_experts") if key in config), 0
    )
    if n_experts:
        keys |= {"expert_count": n_experts, "expert_used_count": config["num_experts_per_tok"]}
    if architecture in ("qwen3moe", "deepseek2"):
        keys["expert_feed_forward_length"] = config["moe_intermediate_size"]
    if architecture == "gpt-oss":
        keys["expert_feed_forward_length"] = config["intermediate_size"]
    if (scaling := config.get("rope_scaling")) is not None:
        keys |= {"rope.scaling.type": scaling["rope_type"], "rope.scaling.factor": scaling["factor"]}
        keys["rope.scaling.original_context_length"] = scaling.get("original_max_position_embeddings")
    if architecture == "deepseek2":
        keys |= _latent(config)
    named = {f"{architecture}.{key}": value for key, value in keys.items() if value is not None}
    return {"general.name": f"Tiny {architecture}", **named}


def _latent(config: dict[str, Any]) -> dict[str, Any]:
    latent, rotated = config["kv_lora_rank"], config["qk_rope_head_dim"]
    keys = {
        "attention.head_count_kv": 1,
        "attention.q_lora_rank": config["q_lora_rank"],
        "attention.kv_lora_rank": latent,
        "attention.key_length": latent + rotated,
        "attention.value_length": latent,
        "attention.key_length_mla": config["qk_nope_head_dim"] + rotated,
        "attention.value_length_mla": config["v_head_dim"],
        "rope.dimension_count": rotated,
        "leading_dense_block_count": config["first_k_dense_replace"],
        "expert_shared_count": config["n_shared_experts"],
        "expert_weights_scale": config["routed_scaling_factor"],
        "expert_weights_norm": config["norm_topk_prob"],
        "expert_group_count": config["n_group"],
        "expert_group_used_count": config["topk_group"],
        "expert_gating_func": 2 if config["model_type"] == "deepseek_v3" else 1,
    }
    if (scaling := config.get("rope_scaling")) is not None:
        keys["rope.scaling.yarn_log_multiplier"] = 0.1 * scaling["mscale_all_dim"]
    return keys
