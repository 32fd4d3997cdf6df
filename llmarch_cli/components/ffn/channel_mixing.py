"""Channel mixing of RWKV-4 (arXiv 2305.13048, section 3.1)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from llmarch_cli.components.attention.rwkv import mixed
from llmarch_cli.components.cache import State
from llmarch_cli.components.component import Component, LayerCache, Modules, Part
from llmarch_cli.components.fields import Count
from llmarch_cli.components.parts import Linear, Vector
from llmarch_cli.components.shards import Shard, Units, column_parallel, row_parallel

if TYPE_CHECKING:
    from torch import Tensor


class ChannelMixing(Component):
    """A layer with squared ReLU and a gate on its output; each token is mixed with the one before it."""

    kind: Literal["channel_mixing"]
    channels: Count  # of the residual stream, for the input of the last token
    d_ff: Count

    summarized: ClassVar[frozenset[str]] = Component.summarized | {"channels", "d_ff"}
    concept: ClassVar[str] = "linear-attention"

    @property
    def stream_width(self) -> int:
        return self.channels

    def parts(self, d_model: int) -> Iterator[Part]:
        yield Vector("up_mix", self.channels)
        yield Linear("up_proj", d_model, self.d_ff)
        yield Linear("down_proj", self.d_ff, d_model)
        yield Vector("gate_mix", self.channels)
        yield Linear("gate_proj", d_model, d_model)

    def cache(self) -> Iterator[State]:
        yield State("previous", (1, self.channels), "bf16")

    def shards(self) -> Mapping[str, Shard]:
        hidden = Units(self.d_ff)
        return {**column_parallel(hidden, "up_proj"), **row_parallel(hidden, "down_proj")}

    @property
    def label(self) -> str:
        return f"channel mixing {self.d_ff:,}"

    def forward(self, m: Modules, x: Tensor, cache: LayerCache) -> Tensor:
        import torch.nn.functional as F

        before = cache.extended("previous", x)[:, :-1]
        hidden = F.relu(m.up_proj(mixed(x, before, m.up_mix))).square()
        return m.gate_proj(mixed(x, before, m.gate_mix)).sigmoid() * m.down_proj(hidden)
