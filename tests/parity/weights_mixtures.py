"""The names of weights of the families in `families/mixtures.py`."""

from __future__ import annotations

from collections.abc import Callable

from configs import Config
from torch import Tensor
from weights import (
    FRAME,
    GLM4,
    GRANITE_MOE,
    MIXTURE,
    PLAIN,
    POST_NORMS,
    SHARED_EXPERT,
    Change,
    Names,
    Source,
    after,
    linear,
    of_layer,
    renamed,
    share,
    transposed,
)

ARIA: Names = {
    "ffn.router.weight": "mlp.router.weight",
    "ffn.gate_proj.weight": Source("mlp.experts.gate_up_proj", after(share(0, 2, -1), transposed)),
    "ffn.up_proj.weight": Source("mlp.experts.gate_up_proj", after(share(1, 2, -1), transposed)),
    "ffn.down_proj.weight": Source("mlp.experts.down_proj", transposed),
}
SHARED_GRANITE: Names = {
    "ffn.shared_expert.gate_proj.weight": Source("shared_mlp.input_linear.weight", share(0, 2, 0)),
    "ffn.shared_expert.up_proj.weight": Source("shared_mlp.input_linear.weight", share(1, 2, 0)),
    "ffn.shared_expert.down_proj.weight": "shared_mlp.output_linear.weight",
}
GRANITE: Names = {**PLAIN, **of_layer({**GRANITE_MOE, **SHARED_GRANITE})}
BRANCHES: Names = {
    "ffn.moe_branch.router.weight": "mlp.gate.weight",
    "ffn.moe_branch.gate_proj.weight": Source("mlp.experts.gate_up_proj", share(0, 2, 1)),
    "ffn.moe_branch.up_proj.weight": Source("mlp.experts.gate_up_proj", share(1, 2, 1)),
    "ffn.moe_branch.down_proj.weight": "mlp.experts.down_proj",
    **renamed({f"ffn.shared_branch.{name}_proj": f"mlp.shared_experts.{name}_proj" for name in ("gate", "up", "down")}),
}
HEAD: Names = {"head.lm_head.bias": "lm_head.bias"}

NAMES: dict[str, Names] = {
    "aria_text": {**MIXTURE, **of_layer(ARIA)},
    "flex_olmo": {**MIXTURE, **of_layer(POST_NORMS)},
    "granitemoeshared": GRANITE,
    "granitemoe_swa": GRANITE,
    "granite_swa": PLAIN,
    "flint": {**MIXTURE, **of_layer(renamed(SHARED_EXPERT))},
    "mellum": MIXTURE,
    **dict.fromkeys(("exaone_moe", "solar_open"), MIXTURE),
    "kolibri1": {**MIXTURE, **of_layer(renamed(GLM4) | {"norms.ffn_pre.weight": "post_attention_layernorm.weight"})},
    "hy_v3": {**MIXTURE, **of_layer({"ffn.selection_bias": "mlp.e_score_correction_bias"})},
    "cohere2_moe": {**MIXTURE, **of_layer(BRANCHES)},
    "phimoe": {**MIXTURE, **HEAD, **of_layer({"ffn.router.weight": "mlp.router.weight"})},
}


def dbrx(c: Config) -> Names:
    """Queries, keys and values fused; experts stacked by rows, the last matrix transposed."""
    width = c.d_model // c.n_heads
    n_rows = [heads * width for heads in (c.n_heads, *[c.attn_config.kv_n_heads] * 2)]

    def block(index: int) -> Change:
        return lambda values: values.split(n_rows)[index]

    n_experts: int = c.ffn_config.moe_num_experts

    def stacked(values: Tensor) -> Tensor:
        return values.view(n_experts, -1, values.shape[1])

    names: Names = {
        f"attention.{projection}.weight": Source("norm_attn_norm.attn.Wqkv.weight", block(index))
        for index, projection in enumerate(("q_proj", "k_proj", "v_proj"))
    }
    names |= {
        "norms.attention_pre.weight": "norm_attn_norm.norm_1.weight",
        "norms.ffn_pre.weight": "norm_attn_norm.norm_2.weight",
        "attention.o_proj.weight": "norm_attn_norm.attn.out_proj.weight",
        "ffn.router.weight": "ffn.router.layer.weight",
        "ffn.gate_proj.weight": Source("ffn.experts.mlp.w1", stacked),
        "ffn.up_proj.weight": Source("ffn.experts.mlp.v1", stacked),
        "ffn.down_proj.weight": Source("ffn.experts.mlp.w2", after(stacked, transposed)),
    }
    return {
        **FRAME,
        "embedding.tokens.weight": "transformer.wte.weight",
        **linear("final_norm.norm", "transformer.norm_f"),
        **of_layer(names, "transformer.blocks"),
    }


NAMES_BY_CONFIG: dict[str, Callable[[Config], Names]] = {"dbrx": dbrx}

# DBRX calls layers blocks and stacks experts by rows; in Kolibri, post_attention_layernorm is before the experts.
UNNAMED = {"dbrx", "kolibri1"}
