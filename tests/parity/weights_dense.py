"""The names of weights of families in `families/dense.py`."""

from __future__ import annotations

from collections.abc import Callable

from configs import Config
from weights import PLAIN, Names, of_layer, renamed

BITNET = {"attention.sub_norm": "self_attn.attn_sub_norm", "ffn.sub_norm": "mlp.ffn_sub_norm"}

HYPERCLOVAX = {"norms.attention_post": "post_norm1", "norms.ffn_post": "post_norm2"}

NAMES: dict[str, Names] = {
    "bitnet": {**PLAIN, **of_layer(renamed(BITNET))},
    "nanochat": {**PLAIN, **of_layer(renamed({"ffn.up_proj": "mlp.fc1", "ffn.down_proj": "mlp.fc2"}))},
    "hyperclovax": {**PLAIN, **of_layer(renamed(HYPERCLOVAX))},
}

NAMES_BY_CONFIG: dict[str, Callable[[Config], Names]] = {}

# Its norm before the feed-forward layer has the name of the one after attention in other families.
UNNAMED = {"hyperclovax"}
