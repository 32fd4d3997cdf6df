"""Checkpoints of models with equal widths, where no shape shows how a matrix is stored, from config to logits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from drawn import NEEDED
from pairs import TOLERANCE, deviation, reference
from transformers import AutoConfig
from weights import UNNAMED, randomize

import llmarch_cli as llmarch
from llmarch_cli.huggingface.importing.check import SAME_AS
from llmarch_cli.huggingface.importing.families import FAMILIES

WIDTH, N_HEADS, N_EXPERTS = 32, 4, 2
VALUES: dict[int, str] = {
    WIDTH: """
        hidden_size intermediate_size n_embd n_inner moe_intermediate_size shared_expert_intermediate_size
        intermediate_size_mlp shared_intermediate_size prefix_dense_intermediate_size kv_lora_rank q_lora_rank
    """,
    WIDTH // N_HEADS: "rotary_dim head_dim v_head_dim qk_nope_head_dim qk_rope_head_dim",
    N_HEADS: "num_attention_heads num_key_value_heads n_head",
    N_EXPERTS: "num_experts num_local_experts n_routed_experts moe_num_experts",
    1: """
        num_experts_per_tok moe_k moe_topk n_shared_experts moe_num_shared_experts num_shared_experts n_group topk_group
    """,
    0: "num_mtp_layers num_nextn_predict_layers first_k_dense_replace",
    3: "num_hidden_layers n_layer",
    48: "vocab_size",
    64: "max_position_embeddings n_positions original_max_position_embeddings",
}
MAMBA = {"mamba_n_heads": N_HEADS, "mamba_d_head": 2 * WIDTH // N_HEADS}
OTHERS: dict[str, dict[str, Any]] = {
    "phimoe": {"num_experts_per_tok": 2},  # the only number that the family has
    "bamba": MAMBA,
    "granitemoehybrid": MAMBA,
    "mamba2": {"num_heads": N_HEADS, "head_dim": 2 * WIDTH // N_HEADS, "n_groups": 2},
    "lfm2_moe": {"layer_types": ["conv", "full_attention", "conv"]},
    "deepseek_v4": {"num_key_value_heads": 1, "head_dim": WIDTH, "o_groups": 2, "n_routed_experts": 4},
    # transformers saves three convolutions as thirds of one, whatever their widths
    "olmo_hybrid": dict.fromkeys(("linear_key_head_dim", "linear_value_head_dim"), WIDTH // N_HEADS),
    "mimo_v2_flash": {"num_key_value_heads": N_HEADS // 2},  # layers with a window have twice as many key heads
}
SQUARE = {name: value for value, names in VALUES.items() for name in names.split()}
REFERENCED = sorted({name for name, family in FAMILIES.items() if not family.remote} - set(SAME_AS) - UNNAMED)


def square(family: str) -> dict[str, Any]:
    needed = {*FAMILIES[family].defaults, *NEEDED.get(family, {})}
    sizes = {name: SQUARE[name] for name in needed if name in SQUARE}
    return {"model_type": family, "pad_token_id": 0, **sizes, **OTHERS.get(family, {})}


@pytest.mark.parametrize("family", REFERENCED)
@torch.no_grad()
def test_logits_of_square_models(family: str, tmp_path: Path) -> None:
    config = square(family)
    theirs = reference(AutoConfig.for_model(**config))
    randomize(theirs, 0)
    theirs.save_pretrained(tmp_path)
    ours = llmarch.load_checkpoint(llmarch.import_config(config), tmp_path)
    tokens = torch.randint(SQUARE["vocab_size"], (1, 12), generator=torch.Generator().manual_seed(0))
    assert deviation(ours(tokens), theirs(tokens, use_cache=False).logits) < TOLERANCE
