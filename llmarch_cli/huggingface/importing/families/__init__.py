"""Families by `model_type`. To add one, add an entry to the table of the most similar module."""

from __future__ import annotations

from llmarch_cli.huggingface.importing.families import dense, experts, grok, hunyuan, latent, layer_normed, windows
from llmarch_cli.huggingface.importing.families.family import Family, Wrapper, sizes

FAMILIES: dict[str, Family] = {
    family.model_type: family
    for module in (dense, windows, layer_normed, experts, hunyuan, latent, grok)
    for family in module.FAMILIES
}

# Families with the `model_type` of another model, by the name of their class.
BY_ARCHITECTURE = {"Grok1ForCausalLM": "grok-2"}

MULTIMODAL: dict[str, Wrapper] = {
    "gemma3": Wrapper("gemma3_text", tied=True, null_is_untied=True),
    "llama4": Wrapper("llama4_text"),
    "mistral3": Wrapper(
        "mistral",
        {
            "head_dim": 128,
            "rms_norm_eps": 1e-5,
            "rope_theta": 1_000_000_000.0,
            "sliding_window": None,
            **sizes(131_072, 5120, 32_768, 40, 32, 8, 131_072),
        },
        tied=True,
    ),
}

__all__ = ["BY_ARCHITECTURE", "FAMILIES", "MULTIMODAL", "Family", "Wrapper"]
