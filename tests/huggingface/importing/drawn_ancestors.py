"""Small configs of older decoders."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

Settings = dict[str, Any]

flags = st.booleans()
widths = st.integers(3, 40)
acts = st.sampled_from(("silu", "gelu", "gelu_new", "relu", "quick_gelu"))
partial = st.sampled_from((0.5, 1.0))

OPTIONS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "opt": {
        "activation_function": acts,
        "do_layer_norm_before": flags,
        "_remove_final_layer_norm": flags,
        "enable_bias": flags,
        "layer_norm_elementwise_affine": flags,
        "ffn_dim": widths,
    },
    "biogpt": {"hidden_act": acts, "scale_embedding": flags, "layer_norm_eps": st.just(0.1)},
    "xglm": {"activation_function": acts, "scale_embedding": flags, "ffn_dim": widths},
    "phi": {"hidden_act": acts, "qk_layernorm": flags, "partial_rotary_factor": partial},
    "persimmon": {"hidden_act": acts, "qk_layernorm": flags, "partial_rotary_factor": partial},
    "gpt_neox_japanese": {"hidden_act": acts, "intermediate_multiple_size": st.integers(1, 5), "rotary_pct": partial},
    "modernbert-decoder": {
        "norm_bias": flags,
        "attention_bias": flags,
        "mlp_bias": flags,
        "decoder_bias": flags,
        "classifier_bias": flags,
        "classifier_activation": acts,
        "hidden_activation": acts,
        "local_attention": st.sampled_from((2, 11, 128)),
        "global_attn_every_n_layers": st.integers(1, 4),
        "global_rope_theta": st.just(30.0),
        "local_rope_theta": st.just(20.0),
    },
    "jais2": {"attention_bias": flags, "mlp_bias": flags, "head_dim": st.sampled_from((None, 6))},
}
NEEDED: dict[str, Settings] = {}
ALWAYS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("phi", "persimmon"), ("partial_rotary_factor",)),  # half of some small heads is an odd number
    **dict.fromkeys(("opt", "xglm"), ("ffn_dim",)),
}

# How a family names its sizes, where it has names of its own.
NAMED: dict[str, Settings] = {
    "xglm": {"hidden_size": "d_model", "num_hidden_layers": "num_layers", "num_attention_heads": "attention_heads"},
}
ROTATED = ("phi", "persimmon", "gpt_neox_japanese", "jais2")


def of_family(draw: st.DrawFn, family: str, config: Settings) -> None:
    """What follows from other settings, and what a family calls otherwise."""
    if family not in ("phi", "jais2"):
        del config["num_key_value_heads"]
    if family in ("opt", "xglm", "gpt_neox_japanese"):
        del config["intermediate_size"]
    if family not in ROTATED:
        for name in ("rope_theta", "rope_scaling", "rope_parameters"):
            config.pop(name, None)
    if family == "gpt_neox_japanese" and "rope_theta" in config:
        config["rotary_emb_base"] = config.pop("rope_theta")
    if family == "modernbert-decoder":
        config["pad_token_id"] = 0
    if family == "modernbert-decoder" and draw(flags):
        types = st.sampled_from(("full_attention", "sliding_attention"))
        n_layers = config["num_hidden_layers"]
        config["layer_types"] = draw(st.lists(types, min_size=n_layers, max_size=n_layers))
    if family == "xglm" and draw(flags):
        config["pad_token_id"] = 1
    for usual, own in NAMED.get(family, {}).items():
        config[own] = config.pop(usual)
