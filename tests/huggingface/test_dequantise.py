"""The unpacking of 8-bit and 4-bit matrices, against transformers' own."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from safetensors.torch import save_file

import llmarch_cli as llmarch
from llmarch_cli.huggingface.dequantise import fp8_blocks, mxfp4


def packed_fp4(*shape: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Random blocks (..., n_groups, 16) and scales (..., n_groups)."""
    generator = torch.Generator().manual_seed(seed)
    blocks = torch.randint(0, 256, (*shape, 16), dtype=torch.uint8, generator=generator)
    return blocks, torch.randint(110, 140, shape, dtype=torch.uint8, generator=generator)


def test_mxfp4_is_what_transformers_unpacks() -> None:
    from transformers.integrations.mxfp4 import convert_moe_packed_tensors

    blocks, scales = packed_fp4(2, 6, 3)
    theirs = convert_moe_packed_tensors(blocks, scales)
    assert torch.equal(mxfp4(blocks, scales), theirs.transpose(-1, -2))


def test_mxfp4_by_hand() -> None:
    blocks = torch.zeros(1, 16, dtype=torch.uint8)
    blocks[0, 0] = 0x9F  # -6 in the lower half, -0.5 in the upper
    values = mxfp4(blocks, torch.tensor([128], dtype=torch.uint8))
    assert values[:3].tolist() == [-12.0, -1.0, 0.0]


def packed_fp8(*shape: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A random matrix and a scale for each of its blocks."""
    generator = torch.Generator().manual_seed(0)
    packed = torch.randn(shape, generator=generator).to(torch.float8_e4m3fn)
    return packed, torch.rand([-(-width // 128) for width in shape], generator=generator)


def test_fp8_blocks_are_what_transformers_unpacks() -> None:
    from transformers.integrations.finegrained_fp8 import Fp8Dequantize

    packed, scales = packed_fp8(256, 384)
    dequantize: Any = Fp8Dequantize(hf_quantizer=None)  # type: ignore[no-untyped-call]
    assert torch.equal(fp8_blocks(packed, scales), dequantize._dequantize_one(packed, scales, torch.float32))


@pytest.mark.parametrize("shape", [(128, 256), (200, 130), (5, 300)])
def test_fp8_blocks_by_loop(shape: tuple[int, int]) -> None:
    """Each value times the scale of the block that it lies in, blocks at the edges cut."""
    packed, scales = packed_fp8(*shape)
    values = fp8_blocks(packed, scales)
    for row in range(0, shape[0], 37):
        for column in range(0, shape[1], 41):
            assert values[row, column] == packed[row, column].float() * scales[row // 128, column // 128]


def test_a_packed_mixture_loads_as_its_values(tmp_path) -> None:  # type: ignore[no-untyped-def]
    """gpt-oss as it is published: gate and up in alternating rows of one packed matrix, beside it their biases."""
    spec = llmarch.ModelSpec.model_validate(
        {
            "name": "packed",
            "d_model": 64,
            "n_layers": 1,
            "vocab_size": 10,
            "attention": {"kind": "gqa", "n_heads": 2, "n_kv_heads": 1, "head_dim": 16},
            "ffn": {"kind": "moe", "n_experts": 3, "top_k": 2, "d_ff": 32, "bias": True, "router_bias": True},
        }
    )
    gate_up, gate_up_scales = packed_fp4(3, 64, 2)
    down, down_scales = packed_fp4(3, 64, 1, seed=1)
    layer = "model.layers.0."
    tensors = {
        "model.embed_tokens.weight": torch.ones(10, 64),
        "model.norm.weight": torch.ones(64),
        "lm_head.weight": torch.ones(10, 64),
        f"{layer}input_layernorm.weight": torch.ones(64),
        f"{layer}post_attention_layernorm.weight": torch.ones(64),
        f"{layer}self_attn.q_proj.weight": torch.ones(32, 64),
        f"{layer}self_attn.k_proj.weight": torch.ones(16, 64),
        f"{layer}self_attn.v_proj.weight": torch.ones(16, 64),
        f"{layer}self_attn.o_proj.weight": torch.ones(64, 32),
        f"{layer}mlp.router.weight": torch.ones(3, 64),
        f"{layer}mlp.router.bias": torch.ones(3),
        f"{layer}mlp.experts.gate_up_proj_blocks": gate_up,
        f"{layer}mlp.experts.gate_up_proj_scales": gate_up_scales,
        f"{layer}mlp.experts.gate_up_proj_bias": torch.arange(3 * 64.0).view(3, 64),
        f"{layer}mlp.experts.down_proj_blocks": down,
        f"{layer}mlp.experts.down_proj_scales": down_scales,
        f"{layer}mlp.experts.down_proj_bias": torch.ones(3, 64),
    }
    save_file(tensors, tmp_path / "model.safetensors")
    loaded = llmarch.load_checkpoint(spec, tmp_path, dtype=torch.bfloat16)
    values = mxfp4(gate_up, gate_up_scales)
    assert torch.equal(loaded.get_parameter("layers.0.ffn.gate_proj.weight"), values[:, ::2])
    assert torch.equal(loaded.get_parameter("layers.0.ffn.up_proj.weight"), values[:, 1::2])
    assert torch.equal(loaded.get_parameter("layers.0.ffn.down_proj.weight"), mxfp4(down, down_scales))
    bias = loaded.get_parameter("layers.0.ffn.up_proj.bias")
    assert bias[1].tolist() == list(range(65, 128, 2))
    found = llmarch.reconcile(spec, tmp_path)
    assert found.ok
    assert found.stored["scales of MXFP4"] == (gate_up_scales.numel() + down_scales.numel(), 2)
