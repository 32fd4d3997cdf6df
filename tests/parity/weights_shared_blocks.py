"""The names of weights of families in `families/shared_blocks.py`."""

from __future__ import annotations

from collections.abc import Callable

from configs import Config
from weights import FRAME, Names, Source, linear, share
from weights_state_spaces import mamba2

HYBRID = "hybrid"


def zamba2(c: Config) -> Names:
    """A hybrid layer has one adapter of each list of its block: that of its number among such layers."""
    found: Names = {**FRAME, **linear("final_norm.norm", "model.final_layernorm")}
    n_hybrids = 0
    for number, kind in enumerate(c.layers_block_type):
        width, shared = c.mamba_expand * c.hidden_size, c.mamba_ngroups * c.mamba_d_state
        if kind == HYBRID:
            mixer = mamba2(width, shared, c.n_mamba_heads, "mamba_decoder.mamba")
            inside: Names = {ours.replace("attention.", "attention.mixer."): name for ours, name in mixer.items()}
            inside |= block(n_hybrids)
            n_hybrids += 1
        else:
            inside = mamba2(width, shared, c.n_mamba_heads, "mamba")
            inside |= linear("norms.attention_pre", "input_layernorm")
        found |= {f"layers.{number}.{ours}": placed(name, f"model.layers.{number}") for ours, name in inside.items()}
    return found


def placed(name: str | Source | tuple[str | Source, ...], layer: str) -> Source:
    """The first of several names: the others are those of other families."""
    first = name[0] if isinstance(name, tuple) else name
    return Source(f"{layer}.{first.name}", first.change) if isinstance(first, Source) else Source(f"{layer}.{first}")


def block(number: int) -> Names:
    shared, feed_forward = "shared_transformer", "shared_transformer.feed_forward"
    adapters = f"{feed_forward}.gate_up_proj_adapter_list.{number}"
    names: Names = {
        "attention.mixer_norm.weight": "mamba_decoder.input_layernorm.weight",
        "attention.block_proj.weight": "linear.weight",
        "attention.input_norm.weight": f"{shared}.input_layernorm.weight",
        "attention.ffn_norm.weight": f"{shared}.pre_ff_layernorm.weight",
        **{f"attention.{part}_proj.weight": f"{shared}.self_attn.{part}_proj.weight" for part in "qkvo"},
        "attention.adapter_down.weight": f"{adapters}.0.weight",
        **linear("attention.down_proj", f"{feed_forward}.down_proj"),
    }
    for index, part in enumerate(("gate", "up")):
        names[f"attention.{part}_adapter_up.weight"] = Source(f"{adapters}.1.weight", share(index, 2, 0))
        for kind in ("weight", "bias"):
            names[f"attention.{part}_proj.{kind}"] = Source(f"{feed_forward}.gate_up_proj.{kind}", share(index, 2, 0))
    for part in "qkv":
        for index, which in enumerate(("down", "up")):
            theirs = f"{shared}.self_attn.linear_{part}_adapter_list.{number}.{index}.weight"
            names[f"attention.{part}_adapter_{which}.weight"] = theirs
    return names


NAMES: dict[str, Names] = {}

NAMES_BY_CONFIG: dict[str, Callable[[Config], Names]] = {"zamba2": zamba2}

# Their checkpoints hold a shared block once, under the first of its layers.
UNNAMED = {"zamba2"}
