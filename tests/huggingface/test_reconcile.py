"""Published checkpoints by their headers: every stored value accounted for, to the last one.

The directories hold headers only, made here from the shapes and names that the publishers use.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from checkpoints import Tensors, write_headers

import llmarch_cli as llmarch
from llmarch_cli.specs.spec import ModelSpec


def fp8(name: str, d_out: int, d_in: int) -> Tensors:
    scales = (-(-d_out // 128), -(-d_in // 128))
    return {f"{name}.weight": ("F8_E4M3", (d_out, d_in)), f"{name}.weight_scale_inv": ("F32", scales)}


def bf16(name: str, *shape: int) -> Tensors:
    return {name: ("BF16", shape)}


def gated(name: str, d_model: int, d_ff: int) -> Iterator[Tensors]:
    for part in ("gate_proj", "up_proj"):
        yield fp8(f"{name}.{part}", d_ff, d_model)
    yield fp8(f"{name}.down_proj", d_model, d_ff)


def deepseek_v3() -> Iterator[Tensors]:
    """`deepseek-ai/DeepSeek-V3` as published, the prediction block as layer 61."""
    d, vocab = 7168, 129_280
    yield bf16("model.embed_tokens.weight", vocab, d)
    yield bf16("model.norm.weight", d)
    yield bf16("lm_head.weight", vocab, d)
    for layer in range(62):
        at = f"model.layers.{layer}"
        yield bf16(f"{at}.input_layernorm.weight", d)
        yield bf16(f"{at}.post_attention_layernorm.weight", d)
        yield fp8(f"{at}.self_attn.q_a_proj", 1536, d)
        yield bf16(f"{at}.self_attn.q_a_layernorm.weight", 1536)
        yield fp8(f"{at}.self_attn.q_b_proj", 128 * 192, 1536)
        yield fp8(f"{at}.self_attn.kv_a_proj_with_mqa", 512 + 64, d)
        yield bf16(f"{at}.self_attn.kv_a_layernorm.weight", 512)
        yield fp8(f"{at}.self_attn.kv_b_proj", 128 * 256, 512)
        yield fp8(f"{at}.self_attn.o_proj", d, 128 * 128)
        if layer < 3:
            yield from gated(f"{at}.mlp", d, 18_432)
            continue
        yield bf16(f"{at}.mlp.gate.weight", 256, d)
        yield {f"{at}.mlp.gate.e_score_correction_bias": ("F32", (256,))}
        yield from gated(f"{at}.mlp.shared_experts", d, 2048)
        for expert in range(256):
            yield from gated(f"{at}.mlp.experts.{expert}", d, 2048)
    at = "model.layers.61"
    yield bf16(f"{at}.enorm.weight", d)
    yield bf16(f"{at}.hnorm.weight", d)
    yield bf16(f"{at}.eh_proj.weight", d, 2 * d)
    yield bf16(f"{at}.shared_head.norm.weight", d)
    yield bf16(f"{at}.embed_tokens.weight", vocab, d)
    yield bf16(f"{at}.shared_head.head.weight", vocab, d)


def glm() -> Iterator[Tensors]:
    """`zai-org/GLM-4.5` as published, in bfloat16 throughout."""
    d, vocab, n_layers = 5120, 151_552, 92
    yield bf16("model.embed_tokens.weight", vocab, d)
    yield bf16("model.norm.weight", d)
    yield bf16("lm_head.weight", vocab, d)
    for layer in range(n_layers + 1):
        at = f"model.layers.{layer}"
        for norm in ("input_layernorm", "post_attention_layernorm"):
            yield bf16(f"{at}.{norm}.weight", d)
        for part, width in (("q", 96 * 128), ("k", 8 * 128), ("v", 8 * 128)):
            yield bf16(f"{at}.self_attn.{part}_proj.weight", width, d)
            yield bf16(f"{at}.self_attn.{part}_proj.bias", width)
        yield bf16(f"{at}.self_attn.o_proj.weight", d, 96 * 128)
        for part in ("q", "k"):
            yield bf16(f"{at}.self_attn.{part}_norm.weight", 128)
        layers = [(f"{at}.mlp", 12_288)]
        if layer >= 3:
            yield bf16(f"{at}.mlp.gate.weight", 160, d)
            yield {f"{at}.mlp.gate.e_score_correction_bias": ("F32", (160,))}
            layers = [(f"{at}.mlp.experts.{expert}", 1536) for expert in range(160)]
            layers += [(f"{at}.mlp.shared_experts", 1536)]
        for name, width in layers:
            yield bf16(f"{name}.gate_proj.weight", width, d)
            yield bf16(f"{name}.up_proj.weight", width, d)
            yield bf16(f"{name}.down_proj.weight", d, width)
    at = f"model.layers.{n_layers}"
    for norm in ("enorm", "hnorm", "shared_head.norm"):
        yield bf16(f"{at}.{norm}.weight", d)
    yield bf16(f"{at}.eh_proj.weight", d, 2 * d)
    yield bf16(f"{at}.embed_tokens.weight", vocab, d)
    yield bf16(f"{at}.shared_head.head.weight", vocab, d)


def gpt2() -> Iterator[Tensors]:
    """`openai-community/gpt2` as published: no prefix, no head, and the causal masks."""
    d = 768
    yield {"wte.weight": ("F32", (50_257, d)), "wpe.weight": ("F32", (1024, d))}
    yield {"ln_f.weight": ("F32", (d,)), "ln_f.bias": ("F32", (d,))}
    for layer in range(12):
        at = f"h.{layer}"
        yield {f"{at}.attn.bias": ("F32", (1, 1, 1024, 1024))}
        for norm in ("ln_1", "ln_2"):
            yield {f"{at}.{norm}.weight": ("F32", (d,)), f"{at}.{norm}.bias": ("F32", (d,))}
        matrices = (("attn.c_attn", d, 3 * d), ("attn.c_proj", d, d), ("mlp.c_fc", d, 4 * d), ("mlp.c_proj", 4 * d, d))
        for name, d_in, d_out in matrices:
            yield {f"{at}.{name}.weight": ("F32", (d_in, d_out)), f"{at}.{name}.bias": ("F32", (d_out,))}


COPIES = "copies of embedding and head in multi-token prediction"
PUBLISHED = {
    "deepseek-v3": (
        deepseek_v3,
        684_531_386_000,
        {
            "model": 671_026_404_352,
            "router biases": 14_848,
            "multi-token prediction": 11_610_068_224,
            COPIES: 1_853_358_080,
            "scales of fp8 in 128 x 128 blocks": 41_540_496,
        },
    ),
    "glm-4.5": (
        glm,
        358_337_791_296,
        {
            "model": 352_797_814_784,
            "router biases": 14_240,
            "multi-token prediction": 3_988_069_792,
            COPIES: 1_551_892_480,
        },
    ),
    "gpt2": (gpt2, 124_439_808 + 12_582_912, {"model": 124_439_808, "causal masks": 12_582_912}),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_value_of_a_published_checkpoint_is_accounted_for(name: str, tmp_path: Path) -> None:
    tensors, total, classes = PUBLISHED[name]
    stored: Tensors = {}
    for some in tensors():
        stored |= some
    write_headers(stored, tmp_path)
    found = llmarch.reconcile(name, tmp_path)
    assert found.ok, found.plan.faults[:5]
    assert {belongs: values for belongs, (values, _) in found.stored.items()} == classes
    assert found.total == total
    assert sum(n for _, n in found.stored.values()) == len(stored)


def test_a_model_of_another_shape_is_not_reconciled(tmp_path: Path) -> None:
    stored: Tensors = {}
    for some in gpt2():
        stored |= some
    write_headers(stored, tmp_path)
    data = llmarch.load("gpt2").model_dump(exclude_defaults=True)
    shorter = ModelSpec.model_validate({**data, "n_layers": 11})
    found = llmarch.reconcile(shorter, tmp_path)
    assert not found.ok
    assert any("h.11.mlp.c_fc.weight" in fault for fault in found.plan.left_over)
    deeper = llmarch.reconcile(ModelSpec.model_validate({**data, "n_layers": 13}), tmp_path)
    assert any("layers.12.attention.q_proj.weight" in fault for fault in deeper.plan.missing)
    wider = llmarch.reconcile(ModelSpec.model_validate({**data, "vocab_size": 50_258}), tmp_path)
    assert any("embedding.tokens.weight" in fault for fault in wider.plan.misshapen)
