"""The names of weights of the text decoders of multimodal models."""

from __future__ import annotations

from collections.abc import Callable

from configs import Config
from torch import Tensor
from weights import GATE_AND_UP, GLM4, HUNYUAN, MIXTURE, PLAIN, Names, Source, of_layer, phi3, renamed, share

ERNIE: Names = {
    "ffn.router.weight": "mlp.text_moe.gate.weight",
    "ffn.selection_bias": Source("mlp.text_moe.gate.moe_statics.e_score_correction_bias", Tensor.flatten),
    "ffn.gate_proj.weight": ("mlp.gate_proj.weight", Source("mlp.text_moe.experts.gate_up_proj", share(0, 2, 1))),
    "ffn.up_proj.weight": ("mlp.up_proj.weight", Source("mlp.text_moe.experts.gate_up_proj", share(1, 2, 1))),
    "ffn.down_proj.weight": ("mlp.down_proj.weight", "mlp.text_moe.experts.down_proj"),
}
GLM: Names = {**PLAIN, **of_layer({**GATE_AND_UP, **renamed(GLM4)})}

NAMES: dict[str, Names] = {
    **dict.fromkeys(("qwen2_vl_text", "qwen2_5_vl_text", "qwen2_5_omni_text", "qwen3_vl_text"), PLAIN),
    **dict.fromkeys(("emu3_text_model", "granite4_vision_text", "granite_docling_text"), PLAIN),
    **dict.fromkeys(("mllama_text_model", "paddleocr_vl_text"), PLAIN),
    **dict.fromkeys(("qwen3_vl_moe_text", "qwen3_omni_moe_text", "glm4v_moe_text"), MIXTURE),
    **dict.fromkeys(("glm4v_text", "glm_ocr_text"), GLM),
    "hunyuan_vl_text": {**PLAIN, **of_layer(renamed(HUNYUAN))},
    "ernie4_5_vl_moe_text": {**MIXTURE, **of_layer(ERNIE)},
}
NAMES_BY_CONFIG: dict[str, Callable[[Config], Names]] = {"phi4_multimodal": phi3}

# No class of transformers saves them without the other parts.
UNNAMED: tuple[str, ...] = (*NAMES, *NAMES_BY_CONFIG)
