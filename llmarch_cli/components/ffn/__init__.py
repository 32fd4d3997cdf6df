"""Feed-forward kinds. To add one: a file in this package, and its class in the union below."""

from __future__ import annotations

from llmarch_cli.components.ffn.dense import DenseFeedForward
from llmarch_cli.components.ffn.moe import MixtureOfExperts
from llmarch_cli.components.ffn.parallel import ParallelFeedForward

FeedForward = DenseFeedForward | MixtureOfExperts | ParallelFeedForward

__all__ = ["DenseFeedForward", "FeedForward", "MixtureOfExperts", "ParallelFeedForward"]
