"""Small configs of every family, with the settings that change what a model is made of.

The settings of a family are in `drawn_<module>.py`, as its table is in `families/<module>.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

Settings = dict[str, Any]

FULL, SLIDING = "full_attention", "sliding_attention"

flags = st.booleans()
widths = st.integers(3, 40)
scales = st.sampled_from((0.5, 1.0, 12.0))
windows = st.sampled_from((None, 1, 7, 4096))
acts = st.sampled_from(("silu", "gelu", "gelu_new", "gelu_pytorch_tanh", "relu", "quick_gelu"))

BIASES = {"attention_bias": flags, "mlp_bias": flags}
SWITCHED = {"use_sliding_window": flags, "sliding_window": st.just(16), "max_window_layers": st.integers(0, 4)}
SCALED = ("embedding_multiplier", "logits_scaling", "residual_multiplier", "attention_multiplier")
MULTIPLIERS = dict.fromkeys(SCALED, scales)
EXPERTS = {"num_experts_per_tok": st.integers(1, 3), "num_local_experts": st.integers(3, 6)}
CHOICE = {"num_experts_per_tok": st.integers(1, 3), "num_experts": st.integers(3, 6)}
CHOSEN = {"num_experts_per_tok": st.integers(1, 3), "moe_intermediate_size": widths, "attention_bias": flags}
GRANITE_EXPERTS = {**EXPERTS, **MULTIPLIERS, "attention_bias": flags, "shared_intermediate_size": st.just(0) | widths}
QWEN_EXPERTS = {
    **CHOICE,
    "moe_intermediate_size": widths,
    "decoder_sparse_step": st.integers(1, 3),
    "mlp_only_layers": st.sampled_from(([], [0], [1, 3])),
    "norm_topk_prob": flags,
}
ROUTED = {
    "n_routed_experts": st.sampled_from((4, 8)),
    "n_shared_experts": st.integers(1, 2),
    "num_experts_per_tok": st.integers(1, 2),
    "moe_intermediate_size": widths,
    "first_k_dense_replace": st.integers(0, 4),
    "norm_topk_prob": flags,
    "routed_scaling_factor": scales,
}
GROUPED = {
    "num_experts_per_tok": st.integers(1, 2),
    "moe_intermediate_size": widths,
    "norm_topk_prob": flags,
    "routed_scaling_factor": scales,
    "n_group": st.sampled_from((1, 2)),
}

# GPT's own names of sizes.
GPT_NAMES = {
    "hidden_size": "n_embd",
    "num_hidden_layers": "n_layer",
    "num_attention_heads": "n_head",
    "max_position_embeddings": "n_positions",
}

ROPES: tuple[Settings, ...] = (
    {},
    {"rope_theta": 500_000.0},
    {"rope_theta": 30.0, "rope_scaling": None},
    {"rope_scaling": {"type": "linear", "factor": 2.0}},
    {"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 30.0}},
    {"rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64, "truncate": False}},
)
SCALING: Settings = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}


def listed(draw: st.DrawFn, n_layers: int, *words: Any) -> list[Any]:
    """One of these for each layer."""
    return draw(st.lists(st.sampled_from(words), min_size=n_layers, max_size=n_layers))


def layer_types(draw: st.DrawFn, n_layers: int) -> list[str]:
    """A type of attention for each layer."""
    return listed(draw, n_layers, FULL, SLIDING)


def mlp_layer_types(draw: st.DrawFn, n_layers: int) -> list[str]:
    """A type of feed-forward layer for each layer."""
    return listed(draw, n_layers, "dense", "sparse")


def no_rope_layers(draw: st.DrawFn, config: Settings) -> None:
    """Perhaps which layers have rotary embeddings."""
    if draw(flags):
        config["no_rope_layers"] = listed(draw, config["num_hidden_layers"], 0, 1)


def layer_thetas(draw: st.DrawFn, config: Settings) -> None:
    """Perhaps a base of rotary frequencies for each layer."""
    if draw(flags):
        config["layer_rope_theta"] = listed(draw, config["num_hidden_layers"], 0, 30.0, 10_000)


def by_type(draw: st.DrawFn) -> Settings:
    """Rotary settings for each layer type; a share of 0.3 rotates an odd number of values."""
    shares = st.sampled_from((0.3, 0.5, 1.0))
    plain = {"rope_type": "default", "rope_theta": draw(st.sampled_from((30.0, 1e6)))}
    return {
        FULL: {**plain, **draw(st.sampled_from(({}, SCALING))), "partial_rotary_factor": 0.5},
        SLIDING: {**plain, **draw(st.sampled_from(({}, {"partial_rotary_factor": draw(shares)})))},
    }


@st.composite
def configs(draw: st.DrawFn, family: str) -> Settings:
    """A config of `family` as its file could have it, without `model_type`."""
    n_kv_heads, group, n_layers = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(1, 6))
    n_heads = n_kv_heads * group
    config: Settings = {
        "vocab_size": draw(st.integers(5, 90)),
        "hidden_size": n_heads * draw(st.sampled_from((4, 8, 12))),
        "intermediate_size": draw(widths),
        "num_hidden_layers": n_layers,
        "num_attention_heads": n_heads,
        "num_key_value_heads": n_kv_heads,
        "tie_word_embeddings": draw(flags),
        "max_position_embeddings": 512,
        "pad_token_id": None,
    }
    options = OPTIONS[family]
    for name in options:
        if name in ALWAYS.get(family, ()) or draw(flags):
            config[name] = draw(options[name])
    for name, value in NEEDED.get(family, {}).items():
        if name not in config and name != "num_key_value_heads":
            config[name] = 2 if "experts" in name else value
    if family not in OWN_ROPE:
        config.update(draw(st.sampled_from((*ROPES, {"rope_scaling": SCALING}))))
    OF_FAMILY[family](draw, family, config)
    return config


# By family: its settings beyond sizes, each of which may be absent; those that must not be absent, as the class's own
# value is large or fits no small model; what the class lacks a default for, in the words of its own configs; and what
# follows from other settings.
OPTIONS: dict[str, dict[str, st.SearchStrategy[Any]]] = {}
ALWAYS: dict[str, tuple[str, ...]] = {}
NEEDED: dict[str, Settings] = {}
OF_FAMILY: dict[str, Callable[[st.DrawFn, str, Settings], None]] = {}
# Families that rotate nothing, or have rotary settings of their own.
OWN_ROPE: tuple[str, ...] = ()

for _path in sorted(Path(__file__).parent.glob("drawn_*.py")):
    _module = import_module(_path.stem)
    OPTIONS.update(_module.OPTIONS)
    NEEDED.update(_module.NEEDED)
    ALWAYS.update(_module.ALWAYS)
    OWN_ROPE = (*OWN_ROPE, *getattr(_module, "OWN_ROPE", ()))
    OF_FAMILY.update(dict.fromkeys(_module.OPTIONS, _module.of_family))
