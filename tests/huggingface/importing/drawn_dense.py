"""Small configs of the families in `families/dense.py`."""

from __future__ import annotations

from typing import Any

from drawn import BIASES, MULTIPLIERS, SWITCHED, Settings, flags, scales, windows
from hypothesis import strategies as st

OPTIONS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "llama": {**BIASES, "head_dim": st.sampled_from((None, 2, 10))},
    "mistral": {"head_dim": st.sampled_from((None, 2, 10)), "sliding_window": windows},
    "arcee": {**BIASES, "head_dim": st.sampled_from((None, 6))},
    "seed_oss": {**BIASES, "attention_out_bias": flags, "head_dim": st.sampled_from((None, 6))},
    "ernie4_5": {"use_bias": flags, "head_dim": st.sampled_from((None, 6))},
    "phi3": {"sliding_window": windows},
    "qwen2": SWITCHED,
    "qwen3": {**SWITCHED, "attention_bias": flags, "head_dim": st.just(6)},
    "internlm3": {"attention_bias": flags, "head_dim": st.sampled_from((None, 6))},
    "iquestcoder": {**BIASES, "head_dim": st.sampled_from((None, 6))},
    "ministral3": {"head_dim": st.sampled_from((2, 10)), "sliding_window": windows},
    "helium": BIASES,
    "glm": {"attention_bias": flags, "head_dim": st.sampled_from((8, 6)), "partial_rotary_factor": st.just(0.5)},
    "granite": {**BIASES, **MULTIPLIERS},
    "glm4": {"attention_bias": flags, "head_dim": st.sampled_from((8, 6)), "partial_rotary_factor": st.just(0.5)},
    "apertus": {"attention_bias": flags},
    "bitnet": {"attention_bias": flags, "hidden_act": st.sampled_from(("relu2", "silu"))},
    "nanochat": {
        "attention_bias": flags,
        "hidden_act": st.sampled_from(("relu2", "gelu")),
        "final_logit_softcapping": st.sampled_from((None, 1.0)),
        "head_dim": st.sampled_from((4, 6)),
    },
    "hyperclovax": {
        **MULTIPLIERS,
        "attention_bias": flags,
        "mlp_bias": flags,
        "head_dim": st.sampled_from((None, 6)),
        "use_post_norm": flags,
    },
}

NEEDED: dict[str, Settings] = {}

ALWAYS: dict[str, tuple[str, ...]] = {}

OWN_ROPE = ("phi3", "ministral3")


def of_family(draw: st.DrawFn, family: str, config: Settings) -> None:
    """What follows from other settings, and what a family calls otherwise."""
    match family:
        case "helium":
            config["head_dim"] = config["hidden_size"] // config["num_attention_heads"]
        case "internlm3" if "attention_bias" in config:
            config["mlp_bias"] = config["attention_bias"]
        case "ministral3" if draw(flags):
            config["rope_parameters"] = {
                "rope_type": draw(st.sampled_from(("default", "yarn"))),
                "rope_theta": 30.0,
                "original_max_position_embeddings": draw(st.sampled_from((5, 64))),
                "llama_4_scaling_beta": draw(scales),
            }
            if config["rope_parameters"]["rope_type"] == "yarn":
                config["rope_parameters"]["factor"] = 4.0
        case "apertus":
            config.pop("rope_theta", None)  # its class stretches a theta of its own where nothing else is said
        case _:
            pass
