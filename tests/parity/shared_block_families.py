"""Families whose layers share transformer blocks: tiny configs, and what a spec of ours says of them."""

from __future__ import annotations

from random import Random

from configs import EPS, TIED, Config, Family, Fields, decoder, frame, rope

HYBRID, MAMBA = "hybrid", "linear_attention"


def zamba2(c: Config) -> Fields:
    mixer = {
        "kind": "mamba2",
        "n_heads": c.n_mamba_heads,
        "head_dim": c.mamba_expand * c.hidden_size // c.n_mamba_heads,
        "d_state": c.mamba_d_state,
        "n_groups": c.mamba_ngroups,
        "conv_kernel": c.mamba_d_conv,
        "bias": c.add_bias_linear,
        "norm_groups": c.mamba_ngroups,
        "norm_eps": 1e-5,
        "step_min": c.time_step_min,
    }
    width = 2 * c.hidden_size // c.num_attention_heads
    block = {
        "kind": "shared_block",
        "channels": c.hidden_size,
        "n_heads": c.num_attention_heads,
        "head_dim": width,
        "d_ff": c.intermediate_size,
        "adapter_rank": c.adapter_rank,
        "attention_adapters": c.use_shared_attention_adapter,
        "bias": c.add_bias_linear,
        "score_scale": (width / 2) ** -0.5,
        "mixer": mixer,
        **(rope(c.rope_parameters) if c.use_mem_rope else {}),
    }
    laid, n_hybrids = [], 0
    for kind in c.layers_block_type:
        laid.append("mamba" if kind == MAMBA else f"block_{n_hybrids % c.num_mem_blocks}")
        n_hybrids += kind == HYBRID
    variants = {name: mixer if name == "mamba" else block for name in dict.fromkeys(laid)}
    return {
        **frame(c),
        "n_layers": len(laid),
        "attention": {"first": laid, "variants": variants},
        "ffn": {"repeat": ["none"]},
    }


def shape(rng: Random) -> Fields:
    fields = decoder(rng)
    del fields["head_dim"], fields["num_key_value_heads"]
    n_groups = rng.choice((1, 2))
    n_heads = n_groups * 2
    return {
        **fields,
        "hidden_size": 8 * n_heads * rng.randrange(1, 3),
        "num_attention_heads": 4,
        "num_hidden_layers": 4,
        "layers_block_type": [MAMBA, HYBRID, HYBRID, HYBRID],
        "num_mem_blocks": 2,
        **TIED,  # without it, their class shares no blocks
        "adapter_rank": 3,
        "mamba_d_state": rng.randrange(3, 9),
        "mamba_ngroups": n_groups,
        "n_mamba_heads": n_heads,
        "rms_norm_eps": EPS,
        "time_step_min": 0.4,
    }


SHARED_BLOCKS = {
    family.model_type: family
    for family in (
        Family(
            "zamba2",
            zamba2,
            shape,
            (
                {"use_shared_attention_adapter": True},
                {"use_mem_rope": True, "num_mem_blocks": 1},
                {"add_bias_linear": True, "num_mem_blocks": 3, "use_mem_rope": True, "adapter_rank": 5},
            ),
        ),
    )
}
