"""The names of weights of the families in `families/gated.py`."""

from __future__ import annotations

from collections.abc import Callable

from configs import Config
from weights import MIXTURE, Names, of_layer, renamed

GATE = {"attention.gate_proj": "self_attn.g_proj"}
AFMOE = {
    "attention.gate_proj": "self_attn.gate_proj",
    "norms.attention_post": "post_attention_layernorm",
    "norms.ffn_pre": "pre_mlp_layernorm",
    "norms.ffn_post": "post_mlp_layernorm",
    "ffn.router": "mlp.router.gate",
}

NAMES: dict[str, Names] = {
    "afmoe": {**MIXTURE, **of_layer({**renamed(AFMOE), "ffn.selection_bias": "mlp.expert_bias"})},
    "laguna": {**MIXTURE, **of_layer(renamed(GATE))},
    "mimo_v2_flash": MIXTURE,
}

NAMES_BY_CONFIG: dict[str, Callable[[Config], Names]] = {}

UNNAMED: set[str] = set()
