"""The names of weights of families in `families/shared_caches.py`."""

from __future__ import annotations

from collections.abc import Callable

from configs import Config
from weights import PLAIN, POST_NORMS, Names, Source, linear, of_layer, renamed, share

BRANCHES: Names = {
    **renamed({f"ffn.dense_branch.{name}_proj": f"mlp.{name}_proj" for name in ("gate", "up", "down")}),
    **renamed({"ffn.dense_branch.input_norm": "pre_feedforward_layernorm"}),
    **renamed({"ffn.dense_branch.output_norm": "post_feedforward_layernorm_1"}),
    **renamed({"ffn.moe_branch.input_norm": "pre_feedforward_layernorm_2"}),
    **renamed({"ffn.moe_branch.output_norm": "post_feedforward_layernorm_2"}),
    **renamed({"ffn.output_norm": "post_feedforward_layernorm"}),
    **renamed({"ffn.moe_branch.router": "router.proj"}),
    "ffn.moe_branch.router_scale": "router.scale",
    "ffn.moe_branch.expert_scales": "router.per_expert_scale",
    "ffn.moe_branch.gate_proj.weight": Source("experts.gate_up_proj", share(0, 2, 1)),
    "ffn.moe_branch.up_proj.weight": Source("experts.gate_up_proj", share(1, 2, 1)),
    "ffn.moe_branch.down_proj.weight": "experts.down_proj",
}

PER_LAYER: Names = {
    "layer_embedding.tokens.weight": "model.embed_tokens_per_layer.weight",
    **linear("layer_projection.proj", "model.per_layer_model_projection"),
    **linear("layer_projection.norm", "model.per_layer_projection_norm"),
}

OWN_INPUT: Names = {
    "norms.ffn_pre.weight": "pre_feedforward_layernorm.weight",
    **renamed({"layer_input.gate_proj": "per_layer_input_gate"}),
    **renamed({"layer_input.proj": "per_layer_projection"}),
    **renamed({"layer_input.norm": "post_per_layer_input_norm"}),
}

UPDATES: Names = {
    "layer_input.input_scale": "altup.correct_output_scale",
    **renamed({"laurel.down_proj": "laurel.linear_left", "laurel.up_proj": "laurel.linear_right"}),
    **renamed({"laurel.norm": "laurel.post_laurel_norm"}),
    **renamed({"connections.block.router": "altup.modality_router"}),
    **renamed({"connections.block.router_norm": "altup.router_norm"}),
    **renamed({"connections.block.predict_proj": "altup.prediction_coefs"}),
    **renamed({"connections.block.correct_proj": "altup.correction_coefs"}),
}

UNIFIED = {
    **POST_NORMS,
    "norms.ffn_pre.weight": "pre_feedforward_layernorm.weight",
    "layer_scale.scale": "layer_scalar",
}

NAMES: dict[str, Names] = {
    "gemma4_unified_text": {**PLAIN, **of_layer(UNIFIED)},
    "gemma3n_text": {
        **PLAIN,
        **PER_LAYER,
        **{
            f"{end}.proj_{number}.weight": f"model.altup_{theirs}.{number - 1}.weight"
            for end, theirs in (("opening", "projections"), ("closing", "unembed_projections"))
            for number in (1, 2, 3)
        },
        **of_layer({**POST_NORMS, **OWN_INPUT, **UPDATES}),
    },
    "gemma4_text": {
        **PLAIN,
        **PER_LAYER,
        **of_layer({**POST_NORMS, **OWN_INPUT, "layer_scale.scale": "layer_scalar", **BRANCHES}),
    },
}

NAMES_BY_CONFIG: dict[str, Callable[[Config], Names]] = {}

# Their checkpoints hold keys and values of layers that read others'.
UNNAMED = {"gemma3n_text"}
