"""The names of weights of families in `families/experts.py`."""

from __future__ import annotations

from collections.abc import Callable

from configs import Config
from torch import Tensor
from weights import FRAME, MIXTURE, POST_NORMS, Change, Names, Source, after, linear, of_layer, transposed

HEAD: Names = {"head.lm_head.bias": "lm_head.bias"}


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


NAMES: dict[str, Names] = {
    "flex_olmo": {**MIXTURE, **of_layer(POST_NORMS)},
    "phimoe": {**MIXTURE, **HEAD, **of_layer({"ffn.router.weight": "mlp.router.weight"})},
}

NAMES_BY_CONFIG: dict[str, Callable[[Config], Names]] = {
    "dbrx": dbrx,
}

# It calls layers blocks and stacks experts by rows.
UNNAMED = {"dbrx"}
