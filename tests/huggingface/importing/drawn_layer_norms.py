"""Small configs of the families in `families/layer_norms.py`."""

from __future__ import annotations

from typing import Any

from drawn import BIASES, GPT_NAMES, Settings, acts, flags, layer_types, scales, widths, windows
from hypothesis import strategies as st

partial = st.sampled_from((0.5, 1.0))
rotary = {"n_inner": st.none() | widths, "activation_function": acts, "rotary_dim": st.sampled_from((2, 4))}

OPTIONS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "gpt_neox": {"attention_bias": flags, "use_parallel_residual": flags, "rotary_pct": st.sampled_from((0.5, 1.0))},
    "gpt_neox_japanese": {"hidden_act": acts, "intermediate_multiple_size": st.integers(1, 5), "rotary_pct": partial},
    **dict.fromkeys(("gptj", "codegen"), rotary),
    "starcoder2": {"use_bias": flags, "sliding_window": windows},
    "nemotron": {**BIASES, "head_dim": st.just(8), "partial_rotary_factor": st.sampled_from((0.5, 1.0))},
    "olmo": {"attention_bias": flags, "clip_qkv": st.sampled_from((None, 8.0))},
    "stablelm": {
        "use_qkv_bias": flags,
        "qk_layernorm": flags,
        "use_parallel_residual": flags,
        "partial_rotary_factor": st.sampled_from((0.5, 1.0)),
    },
    "cohere": {"attention_bias": flags, "use_qk_norm": flags, "logit_scale": scales},
    "cohere2": {"attention_bias": flags, "sliding_window": st.just(9), "sliding_window_pattern": st.integers(1, 3)},
    "falcon": {
        "bias": flags,
        "alibi": flags,
        "multi_query": flags,
        "parallel_attn": flags,
        "ffn_hidden_size": st.none() | widths,
    },
    "phi": {"hidden_act": acts, "qk_layernorm": flags, "partial_rotary_factor": partial},
    "persimmon": {"hidden_act": acts, "qk_layernorm": flags, "partial_rotary_factor": partial},
    "jais2": {"attention_bias": flags, "mlp_bias": flags, "head_dim": st.sampled_from((None, 6))},
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
}

NEEDED: dict[str, Settings] = {
    "nemotron": {"num_key_value_heads": 8},
}

ALWAYS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("gptj", "codegen"), ("rotary_dim",)),
    # The class rotates a quarter or a half, which is an odd number of values in small heads.
    **dict.fromkeys(("stablelm", "phi", "persimmon"), ("partial_rotary_factor",)),
}

OWN_ROPE = ("gptj", "codegen", "falcon", "modernbert-decoder")


def of_family(draw: st.DrawFn, family: str, config: Settings) -> None:
    """What follows from other settings, and what a family calls otherwise."""
    if family in ("gpt_neox", "gpt_neox_japanese", "gptj", "codegen", "persimmon", "modernbert-decoder"):
        del config["num_key_value_heads"]
    if family in ("gpt_neox_japanese", "gptj", "codegen", "falcon"):
        del config["intermediate_size"]
    match family:
        case "gpt_neox":
            config["hidden_act"] = draw(acts)
            config.pop("rope_theta", None)
        case "gpt_neox_japanese" if "rope_theta" in config:
            config["rotary_emb_base"] = config.pop("rope_theta")
        case "gptj" | "codegen":
            if family == "codegen":
                config["num_attention_heads"], config["hidden_size"] = 4, 4 * draw(st.sampled_from((4, 8, 12)))
            for usual, own in GPT_NAMES.items():
                config[own] = config.pop(usual)
        case "falcon":
            config["num_kv_heads"] = config.pop("num_key_value_heads")
            if draw(flags):
                config.update(new_decoder_architecture=True, parallel_attn=True)
                config["num_ln_in_parallel_attn"] = draw(st.sampled_from((None, 1, 2)))
            elif not config.get("multi_query", True):
                config["num_kv_heads"] = None
        case "cohere2" | "modernbert-decoder":
            if draw(flags):
                config["layer_types"] = layer_types(draw, config["num_hidden_layers"])
            if family == "modernbert-decoder":
                config["pad_token_id"] = 0
        case _:
            pass
