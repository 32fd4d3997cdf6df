"""Attention kinds. To add one, write a file in this package and add its class to the union below."""

from __future__ import annotations

from llmarch_cli.components.attention.gqa import GroupedQueryAttention
from llmarch_cli.components.attention.mla import MultiHeadLatentAttention

Attention = GroupedQueryAttention | MultiHeadLatentAttention

__all__ = ["Attention", "GroupedQueryAttention", "MultiHeadLatentAttention"]
