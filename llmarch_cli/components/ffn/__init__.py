"""Feed-forward kinds. To add one, write a file in this package and add its class to the union below."""

from __future__ import annotations

from llmarch_cli.components.ffn.channel_mixing import ChannelMixing
from llmarch_cli.components.ffn.dense import DenseFeedForward
from llmarch_cli.components.ffn.moe import MixtureOfExperts
from llmarch_cli.components.ffn.parallel import ParallelFeedForward
from llmarch_cli.components.ffn.shortcut import ShortcutFeedForward

FeedForward = DenseFeedForward | MixtureOfExperts | ParallelFeedForward | ShortcutFeedForward | ChannelMixing

__all__ = [
    "ChannelMixing",
    "DenseFeedForward",
    "FeedForward",
    "MixtureOfExperts",
    "ParallelFeedForward",
    "ShortcutFeedForward",
]
