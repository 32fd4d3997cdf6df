"""Small configs of older decoders with GPT's names of keys."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

Settings = dict[str, Any]

flags = st.booleans()
widths = st.integers(3, 40)
acts = st.sampled_from(("silu", "gelu", "gelu_new", "relu", "quick_gelu"))
inner = {"n_inner": st.none() | widths}
rotary = {**inner, "activation_function": acts, "rotary_dim": st.sampled_from((2, 4))}

OPTIONS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "bloom": {},
    "gptj": rotary,
    "codegen": rotary,
    "gpt_neo": {
        "activation_function": acts,
        "intermediate_size": st.none() | widths,
        "window_size": st.sampled_from((1, 5, 9, 300)),
        "attention_types": st.just([]),
    },
    "gpt_bigcode": {**inner, "activation_function": acts, "multi_query": flags, "scale_attn_weights": flags},
    "mpt": {
        "attn_config": st.fixed_dictionaries(
            {},
            optional={
                "clip_qkv": st.sampled_from((None, 0.5, 8.0)),
                "softmax_scale": st.sampled_from((None, 0.3)),
                "alibi": st.just(True),
            },
        )
    },
    "openai-gpt": {"afn": st.sampled_from(("relu", "gelu", "silu", "swish"))},
    "ctrl": {"dff": widths},
}
NEEDED: dict[str, Settings] = {}
ALWAYS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("gptj", "codegen"), ("rotary_dim",)),
    "gpt_neo": ("attention_types",),
    "ctrl": ("dff",),
}

GPT = {
    "hidden_size": "n_embd",
    "num_hidden_layers": "n_layer",
    "num_attention_heads": "n_head",
    "max_position_embeddings": "n_positions",
}
# How a family names its sizes, where it has names of its own.
NAMED: dict[str, Settings] = {
    **dict.fromkeys(("gptj", "codegen", "gpt_bigcode", "openai-gpt", "ctrl"), GPT),
    "bloom": {"num_hidden_layers": "n_layer", "num_attention_heads": "n_head", "max_position_embeddings": "seq_length"},
    "gpt_neo": {"num_hidden_layers": "num_layers", "num_attention_heads": "num_heads"},
    "mpt": {
        "hidden_size": "d_model",
        "num_hidden_layers": "n_layers",
        "num_attention_heads": "n_heads",
        "max_position_embeddings": "max_seq_len",
    },
}


def of_family(draw: st.DrawFn, family: str, config: Settings) -> None:
    """What follows from other settings, and what a family calls otherwise."""
    del config["num_key_value_heads"]
    for name in ("rope_theta", "rope_scaling", "rope_parameters"):
        config.pop(name, None)
    if family != "gpt_neo":
        del config["intermediate_size"]
    elif draw(flags):
        config["attention_types"] = [[["global", "local"], config["num_hidden_layers"] // 2], [["local"], 1]]
        config["num_hidden_layers"] = config["num_hidden_layers"] // 2 * 2 + 1
    else:
        config["attention_types"] = [[[draw(st.sampled_from(("global", "local")))], config["num_hidden_layers"]]]
    if family == "codegen":
        config["num_attention_heads"], config["hidden_size"] = 4, 4 * draw(st.sampled_from((4, 8, 12)))
    for usual, own in NAMED.get(family, {}).items():
        config[own] = config.pop(usual)
