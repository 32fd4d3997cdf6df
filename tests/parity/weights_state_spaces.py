"""The names of weights of families in `families/state_spaces.py`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from configs import Config
from torch import Tensor
from weights import DENSE, FRAME, GQA, MIXTURE, Names, Source, linear, of_layer, renamed, share
from weights_shared_experts import GRANITE


def blocks(widths: tuple[int, ...], index: int, values: Tensor) -> Tensor:
    parts: tuple[Tensor, ...] = values.split(widths, dim=0)
    return parts[index]


def mamba2(width: int, shared: int, n_heads: int, mixer: str) -> Names:
    """The matrix of gate, input, write, read and step is fused."""
    names: Names = {
        "attention.conv.weight": Source(f"{mixer}.conv1d.weight", lambda values: values.squeeze(1)),
        "attention.conv.bias": f"{mixer}.conv1d.bias",
        "attention.step_bias": f"{mixer}.dt_bias",
        "attention.log_rate": f"{mixer}.A_log",
        "attention.skip": f"{mixer}.D",
        "attention.norm.weight": f"{mixer}.norm.weight",
        "attention.o_proj.weight": (f"{mixer}.out_proj.weight", "self_attn.o_proj.weight", "mixer.o_proj.weight"),
        "attention.o_proj.bias": (f"{mixer}.out_proj.bias", "self_attn.o_proj.bias"),
    }
    widths = (width, width, shared, shared, n_heads)
    for index, name in enumerate(("gate", "x", "write", "read", "step")):
        for kind in ("weight", "bias"):
            names[f"attention.{name}_proj.{kind}"] = Source(f"{mixer}.in_proj.{kind}", partial(blocks, widths, index))
    return names


def mamba(width: int, rank: int, d_state: int, mixer: str) -> Names:
    names: Names = {
        "attention.conv.weight": Source(f"{mixer}.conv1d.weight", lambda values: values.squeeze(1)),
        "attention.conv.bias": f"{mixer}.conv1d.bias",
        "attention.log_rate": f"{mixer}.A_log",
        "attention.skip": f"{mixer}.D",
        **linear("attention.step_b_proj", f"{mixer}.dt_proj"),
        "attention.step_norm.weight": f"{mixer}.dt_layernorm.weight",
        "attention.write_norm.weight": f"{mixer}.b_layernorm.weight",
        "attention.read_norm.weight": f"{mixer}.c_layernorm.weight",
        "attention.o_proj.weight": (f"{mixer}.out_proj.weight", "self_attn.o_proj.weight"),
        "attention.o_proj.bias": f"{mixer}.out_proj.bias",
    }
    for index, name in enumerate(("step_a", "write", "read")):
        change = partial(blocks, (rank, d_state, d_state), index)
        names[f"attention.{name}_proj.weight"] = Source(f"{mixer}.x_proj.weight", change)
    for index, name in enumerate(("x", "gate")):
        for kind in ("weight", "bias"):
            names[f"attention.{name}_proj.{kind}"] = Source(f"{mixer}.in_proj.{kind}", share(index, 2, 0))
    return names


BACKBONE: Names = {
    "embedding.tokens.weight": "backbone.embeddings.weight",
    "final_norm.norm.weight": "backbone.norm_f.weight",
    "head.lm_head.weight": ("lm_head.weight", "backbone.embeddings.weight"),
}


def mamba_alone(c: Config) -> Names:
    mixer = mamba(c.intermediate_size, c.time_step_rank, c.state_size, "mixer")
    return {**BACKBONE, **of_layer({"norms.attention_pre.weight": "norm.weight", **mixer}, "backbone.layers")}


def mamba2_alone(c: Config) -> Names:
    mixer = mamba2(c.num_heads * c.head_dim, c.n_groups * c.state_size, c.num_heads, "mixer")
    return {**BACKBONE, **of_layer({"norms.attention_pre.weight": "norm.weight", **mixer}, "backbone.layers")}


def of_hybrid(c: Config) -> Names:
    return mamba2(c.mamba_expand * c.hidden_size, c.mamba_n_groups * c.mamba_d_state, c.mamba_n_heads, "mamba")


def granitemoehybrid(c: Config) -> Names:
    names: Names = {**GRANITE, **of_layer({**GQA, **of_hybrid(c)})}
    if not c.num_local_experts:
        names |= of_layer(
            {
                "ffn.gate_proj.weight": Source("shared_mlp.input_linear.weight", share(0, 2, 0)),
                "ffn.up_proj.weight": Source("shared_mlp.input_linear.weight", share(1, 2, 0)),
                "ffn.down_proj.weight": "shared_mlp.output_linear.weight",
            }
        )
    return names


FEED_FORWARD = renamed(
    {
        "norms.ffn_pre": "pre_ff_layernorm",
        **{f"ffn.{name}_proj": f"feed_forward.{name}_proj" for name in ("gate", "up", "down")},
    }
)


def bamba(c: Config) -> Names:
    layer = {**GQA, **of_hybrid(c), **FEED_FORWARD, "norms.attention_pre.weight": "input_layernorm.weight"}
    return {**FRAME, **linear("final_norm.norm", "model.final_layernorm"), **of_layer(layer)}


def falcon_h1(c: Config) -> Names:
    beside = mamba2(c.mamba_n_heads * c.mamba_d_head, c.mamba_n_groups * c.mamba_d_state, c.mamba_n_heads, "mamba")
    mixer = {
        name.replace("attention.", "attention.mamba_branch.", 1): each[0] if isinstance(each, tuple) else each
        for name, each in beside.items()
    }
    attention = {name.replace("attention.", "attention.attention_branch.", 1): each for name, each in GQA.items()}
    layer = {**attention, **mixer, **FEED_FORWARD, "norms.attention_pre.weight": "input_layernorm.weight"}
    return {**FRAME, **linear("final_norm.norm", "model.final_layernorm"), **of_layer(layer)}


def jamba(c: Config) -> Names:
    mixer = mamba(c.mamba_expand * c.hidden_size, c.mamba_dt_rank, c.mamba_d_state, "mamba")
    experts: Names = {
        "ffn.router.weight": "feed_forward.router.weight",
        "ffn.gate_proj.weight": (
            "feed_forward.gate_proj.weight",
            Source("feed_forward.experts.gate_up_proj", share(0, 2, 1)),
        ),
        "ffn.up_proj.weight": (
            "feed_forward.up_proj.weight",
            Source("feed_forward.experts.gate_up_proj", share(1, 2, 1)),
        ),
        "ffn.down_proj.weight": ("feed_forward.down_proj.weight", "feed_forward.experts.down_proj"),
    }
    layer = {**GQA, **mixer, **FEED_FORWARD, **experts, "norms.attention_pre.weight": "input_layernorm.weight"}
    return {**FRAME, **linear("final_norm.norm", "model.final_layernorm"), **of_layer(layer)}


def nemotron_h(c: Config) -> Names:
    width = c.mamba_num_heads * c.mamba_head_dim
    layer: Names = {
        **renamed({f"attention.{name}_proj": f"mixer.{name}_proj" for name in ("q", "k", "v")}),
        **mamba2(width, c.n_groups * c.ssm_state_size, c.mamba_num_heads, "mixer"),
        "norms.attention_pre.weight": "norm.weight",
        "norms.ffn_pre.weight": "norm.weight",
        "ffn.router.weight": "mixer.gate.weight",
        "ffn.selection_bias": "mixer.gate.e_score_correction_bias",
        "ffn.up_proj.weight": ("mixer.up_proj.weight", "mixer.experts.up_proj"),
        "ffn.up_proj.bias": "mixer.up_proj.bias",
        "ffn.down_proj.weight": ("mixer.down_proj.weight", "mixer.experts.down_proj"),
        "ffn.down_proj.bias": "mixer.down_proj.bias",
        "ffn.latent_down_proj.weight": "mixer.fc1_latent_proj.weight",
        "ffn.latent_up_proj.weight": "mixer.fc2_latent_proj.weight",
        **renamed({f"ffn.shared_expert.{name}_proj": f"mixer.shared_experts.{name}_proj" for name in ("up", "down")}),
    }
    frame: Names = {
        "embedding.tokens.weight": "model.embeddings.weight",
        "final_norm.norm.weight": "model.norm_f.weight",
        "head.lm_head.weight": ("lm_head.weight", "model.embeddings.weight"),
    }
    return {**MIXTURE, **DENSE, **frame, **of_layer(layer)}


NAMES: dict[str, Names] = {}

NAMES_BY_CONFIG: dict[str, Callable[[Config], Names]] = {
    "mamba": mamba_alone,
    "falcon_mamba": mamba_alone,
    "mamba2": mamba2_alone,
    "granitemoehybrid": granitemoehybrid,
    "bamba": bamba,
    "falcon_h1": falcon_h1,
    "jamba": jamba,
    "nemotron_h": nemotron_h,
}

# Their checkpoints fuse what is split here.
UNNAMED: set[str] = set()
