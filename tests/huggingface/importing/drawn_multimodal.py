"""Small configs of the families in `families/multimodal.py`."""

from __future__ import annotations

from typing import Any

from drawn import BIASES, MULTIPLIERS, QWEN_EXPERTS, ROUTED, SWITCHED, Settings, flags, widths, windows
from hypothesis import strategies as st

OF_QWEN = {name: found for name, found in QWEN_EXPERTS.items() if name != "norm_topk_prob"}
HEADS = {"attention_bias": flags, "head_dim": st.sampled_from((4, 6))}
PARTIAL = {"partial_rotary_factor": st.sampled_from((0.5, 1.0))}

OPTIONS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    **dict.fromkeys(("qwen2_vl_text", "qwen2_5_vl_text", "qwen2_5_omni_text"), SWITCHED),
    "qwen3_vl_text": HEADS,
    "qwen3_vl_moe_text": {**HEADS, **OF_QWEN},
    "qwen3_omni_moe_text": {**HEADS, **QWEN_EXPERTS},
    "glm4v_text": PARTIAL,
    "glm4v_moe_text": {**ROUTED, **PARTIAL, "attention_bias": flags, "n_group": st.just(1)},
    "glm_ocr_text": {**PARTIAL, "head_dim": st.just(8)},
    "ernie4_5_vl_moe_text": {
        "moe_k": st.integers(1, 3),
        "moe_num_experts": st.integers(3, 6),
        "moe_num_shared_experts": st.integers(0, 2),
        "moe_intermediate_size": st.lists(widths, min_size=2, max_size=2),
        "use_bias": flags,
    },
    "mllama_text_model": {"cross_attention_layers": st.sampled_from(([], [0], [1, 3], [9]))},
    "emu3_text_model": BIASES,
    "paddleocr_vl_text": {"use_bias": flags, "head_dim": st.sampled_from((4, 6))},
    "hunyuan_vl_text": {"attention_bias": flags, "head_dim": st.sampled_from((4, 6))},
    "granite4_vision_text": {**BIASES, **MULTIPLIERS},
    "granite_docling_text": {**BIASES, **MULTIPLIERS},
    "phi4_multimodal": {"sliding_window": windows},
}

NEEDED: dict[str, Settings] = {"hunyuan_vl_text": {"head_dim": 128}, "qwen3_omni_moe_text": {"head_dim": 128}}

ALWAYS: dict[str, tuple[str, ...]] = {
    "ernie4_5_vl_moe_text": ("moe_num_experts", "moe_k"),
    "glm4v_moe_text": ("n_routed_experts", "num_experts_per_tok"),
    "hunyuan_vl_text": ("head_dim",),
    "mllama_text_model": ("cross_attention_layers",),
    "qwen3_omni_moe_text": ("num_experts", "num_experts_per_tok"),
    "qwen3_vl_moe_text": ("num_experts", "num_experts_per_tok"),
}

OWN_ROPE = tuple(OPTIONS)
MROPE = ("qwen2_vl_text", "qwen2_5_vl_text")
UNTIED = ("mllama_text_model",)  # its class ties nothing


def of_family(draw: st.DrawFn, family: str, config: Settings) -> None:
    """What follows from other settings."""
    if family in UNTIED:
        config["tie_word_embeddings"] = False
    if family == "mllama_text_model":
        config["num_hidden_layers"] = max(2, config["num_hidden_layers"])
        config["pad_token_id"] = 0
    if family in ("emu3_text_model", "phi4_multimodal", "granite_docling_text"):
        config["pad_token_id"] = 0
    if family == "granite4_vision_text":
        config["num_key_value_heads"] = config["num_attention_heads"]
    width = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    if family == "paddleocr_vl_text":
        width = config.setdefault("head_dim", 8)
    if family in ("qwen3_vl_text", "qwen3_omni_moe_text"):
        width = config.setdefault("head_dim", 8)
    partial = config.get("partial_rotary_factor", 0.5 if family == "glm4v_moe_text" else 1.0)
    pairs = int(width * partial) // 2
    sections = [1, 1, pairs - 2] if pairs > 1 else [pairs, 0, 0]
    if family == "ernie4_5_vl_moe_text" and pairs < 3:
        sections = [0, 0, pairs]
    if "granite" in family or family in ("mllama_text_model", "emu3_text_model", "phi4_multimodal", "hunyuan_vl_text"):
        config["rope_theta"] = draw(st.sampled_from((10_000.0, 30.0)))
        return
    settings: Settings = {"rope_type": "default", "mrope_section": sections, "rope_theta": 30.0}
    if family in MROPE and draw(flags):
        settings = {"type": "mrope", "mrope_section": sections}
    if family.startswith("qwen3"):
        settings["mrope_interleaved"] = True
    config["rope_scaling"] = settings
