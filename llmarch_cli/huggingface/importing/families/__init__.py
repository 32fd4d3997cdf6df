"""Families by their `model_type`. To add one: an entry in the table of the module that it is most like."""

from __future__ import annotations

from typing import Any

from llmarch_cli.huggingface.importing.families import dense, experts, grok, hunyuan, latent, layer_normed, windows
from llmarch_cli.huggingface.importing.families.family import Family, sizes

FAMILIES: dict[str, Family] = {
    family.model_type: family
    for module in (dense, windows, layer_normed, experts, hunyuan, latent, grok)
    for family in module.FAMILIES
}

# Families whose configs have another `model_type`, by the name of the class.
BY_ARCHITECTURE = {"Grok1ForCausalLM": "grok-2"}

# Configs that hold a text decoder's: its family where it does not say, and what it is where it is absent.
MULTIMODAL: dict[str, tuple[str, dict[str, Any]]] = {
    "gemma3": ("gemma3_text", {}),
    "llama4": ("llama4_text", {}),
    "mistral3": (
        "mistral",
        {
            "head_dim": 128,
            "rms_norm_eps": 1e-5,
            "rope_theta": 1_000_000_000.0,
            "sliding_window": None,
            **sizes(131_072, 5120, 32_768, 40, 32, 8, 131_072),
        },
    ),
}

__all__ = ["BY_ARCHITECTURE", "FAMILIES", "MULTIMODAL", "Family"]
