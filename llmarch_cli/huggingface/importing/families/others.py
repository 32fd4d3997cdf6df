"""Model types that cannot be read, and why: what a spec lacks for them, or what they are instead of decoders."""

from __future__ import annotations

# What a spec lacks for these families.
WAITING: dict[str, str] = {
    "gemma3n_text": "alternating updates of several streams, per-layer embeddings and shared key-value caches",
    "gemma4_text": "shared key-value caches, per-layer embeddings and values that are keys",
    "gemma4_unified_text": "shared key-value caches, per-layer embeddings and values that are keys",
    "kimi_linear": "Kimi delta attention",
    "lfm2": "short convolutions",
    "lfm2_moe": "short convolutions",
    "minimax_m3_vl_text": "block-sparse attention",
    "nemotron_h": "Mamba-2",
    "qwen3_5_moe_text": "gated DeltaNet",
    "qwen3_5_text": "gated DeltaNet",
    "voxtral_realtime_text": "norms that depend on the delay of the audio",
}

OUT_OF_SCOPE: dict[str, str] = {}
