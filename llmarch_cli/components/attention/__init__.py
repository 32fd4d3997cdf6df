"""Attention kinds. To add one, write a file in this package and add its class to the union below."""

from __future__ import annotations

from llmarch_cli.components.attention.compressed import CompressedAttention
from llmarch_cli.components.attention.gated_deltanet import GatedDeltaNet
from llmarch_cli.components.attention.gqa import GroupedQueryAttention
from llmarch_cli.components.attention.kda import KimiDeltaAttention
from llmarch_cli.components.attention.lightning import LightningAttention
from llmarch_cli.components.attention.mamba import Mamba
from llmarch_cli.components.attention.mamba2 import Mamba2
from llmarch_cli.components.attention.mla import MultiHeadLatentAttention
from llmarch_cli.components.attention.parallel import ParallelMixers
from llmarch_cli.components.attention.rg_lru import RealGatedLinearRecurrentUnit
from llmarch_cli.components.attention.rwkv import TimeMixing
from llmarch_cli.components.attention.shared_block import SharedBlockMixer
from llmarch_cli.components.attention.short_conv import ShortConvolution

Attention = (
    GroupedQueryAttention
    | MultiHeadLatentAttention
    | CompressedAttention
    | GatedDeltaNet
    | KimiDeltaAttention
    | LightningAttention
    | Mamba
    | Mamba2
    | ShortConvolution
    | RealGatedLinearRecurrentUnit
    | TimeMixing
    | ParallelMixers
    | SharedBlockMixer
)

__all__ = [
    "Attention",
    "CompressedAttention",
    "GatedDeltaNet",
    "GroupedQueryAttention",
    "KimiDeltaAttention",
    "LightningAttention",
    "Mamba",
    "Mamba2",
    "MultiHeadLatentAttention",
    "ParallelMixers",
    "RealGatedLinearRecurrentUnit",
    "SharedBlockMixer",
    "ShortConvolution",
    "TimeMixing",
]
