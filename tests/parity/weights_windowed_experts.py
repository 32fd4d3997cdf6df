"""The names of weights of families in `families/windowed_experts.py`."""

from __future__ import annotations

from collections.abc import Callable

from configs import Config
from weights import GLM4, MIXTURE, SHARED_EXPERT, Names, Source, of_layer, renamed, share
from weights_shared_experts import GRANITE

GATE = {"attention.gate_proj": "self_attn.g_proj"}

AFMOE = {
    "attention.gate_proj": "self_attn.gate_proj",
    "norms.attention_post": "post_attention_layernorm",
    "norms.ffn_pre": "pre_mlp_layernorm",
    "norms.ffn_post": "post_mlp_layernorm",
    "ffn.router": "mlp.router.gate",
}

BRANCHES: Names = {
    "ffn.moe_branch.router.weight": "mlp.gate.weight",
    "ffn.moe_branch.gate_proj.weight": Source("mlp.experts.gate_up_proj", share(0, 2, 1)),
    "ffn.moe_branch.up_proj.weight": Source("mlp.experts.gate_up_proj", share(1, 2, 1)),
    "ffn.moe_branch.down_proj.weight": "mlp.experts.down_proj",
    **renamed({f"ffn.shared_branch.{name}_proj": f"mlp.shared_experts.{name}_proj" for name in ("gate", "up", "down")}),
}

NAMES: dict[str, Names] = {
    "flint": {**MIXTURE, **of_layer(renamed(SHARED_EXPERT))},
    **dict.fromkeys(("mellum", "exaone_moe", "mimo_v2_flash"), MIXTURE),
    "granitemoe_swa": GRANITE,
    "kolibri1": {**MIXTURE, **of_layer(renamed(GLM4) | {"norms.ffn_pre.weight": "post_attention_layernorm.weight"})},
    "cohere2_moe": {**MIXTURE, **of_layer(BRANCHES)},
    "afmoe": {**MIXTURE, **of_layer({**renamed(AFMOE), "ffn.selection_bias": "mlp.expert_bias"})},
    "laguna": {**MIXTURE, **of_layer(renamed(GATE))},
}

NAMES_BY_CONFIG: dict[str, Callable[[Config], Names]] = {}

# Its post_attention_layernorm is before the experts.
UNNAMED = {"kolibri1"}
