"""Time mixing of RWKV-4 (arXiv 2305.13048, section 3.1)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from llmarch_cli.components.attention.scan import accumulated, largest
from llmarch_cli.components.cache import State
from llmarch_cli.components.component import Component, LayerCache, Modules, Part
from llmarch_cli.components.fields import Count
from llmarch_cli.components.parts import Linear, Vector
from llmarch_cli.components.shards import Shard, Units, column_parallel, row_parallel

if TYPE_CHECKING:
    from torch import Tensor

LOWEST = -1e38  # the exponent of an empty sum


class TimeMixing(Component):
    """An average of all values by their keys and a decay of each channel; each token is mixed with the last one.

    Its sums are kept with their largest exponent, which keeps them from overflowing.
    """

    kind: Literal["rwkv4"]
    channels: Count  # of the residual stream, for the input of the last token
    width: Count

    summarized: ClassVar[frozenset[str]] = Component.summarized | {"channels", "width"}
    concept: ClassVar[str] = "linear-attention"
    abbreviation: ClassVar[str] = "RWKV-4"

    @property
    def stream_width(self) -> int:
        return self.channels

    def parts(self, d_model: int) -> Iterator[Part]:
        for name in ("k", "v", "gate"):
            yield Vector(f"{name}_mix", self.channels)
            yield Linear(f"{name}_proj", d_model, self.width)
        yield Vector("decay", self.width)
        yield Vector("bonus", self.width)  # of the current token
        yield Linear("o_proj", self.width, d_model)

    def cache(self) -> Iterator[State]:
        yield State("previous", (1, self.channels), "bf16")
        yield State("sums", (3, self.width))  # of weighted values, of weights, and their largest exponent

    @property
    def label(self) -> str:
        return "RWKV-4"

    @property
    def heads(self) -> str:
        return f"RWKV-4 {self.width:,}"

    def shards(self) -> Mapping[str, Shard]:
        channels = Units(self.width)
        return {
            **column_parallel(channels, "k_proj", "v_proj", "gate_proj", "decay", "bonus"),
            **row_parallel(channels, "o_proj", "sums"),
        }

    def forward(self, m: Modules, x: Tensor, cache: LayerCache) -> Tensor:
        import torch

        before = cache.extended("previous", x)[:, :-1]
        k, v, gate = (
            projection(mixed(x, before, share))
            for projection, share in ((m.k_proj, m.k_mix), (m.v_proj, m.v_mix), (m.gate_proj, m.gate_mix))
        )
        keys, values, decay = k.float(), v.float(), m.decay.float().exp() * -1
        values_sum, weights_sum, exponent = cache.state("sums", x).unbind(1)  # (batch, width) each
        exponent = exponent if cache.length else torch.ones_like(exponent) * LOWEST

        exponents = largest(keys, decay, exponent)  # after each token, (batch, n_tokens, width)
        earlier = torch.cat((exponent.unsqueeze(1), exponents[:, :-1]), dim=1)
        kept, added = (earlier + decay - exponents).exp(), (keys - exponents).exp()
        all_values, all_weights = accumulated(kept, added * values, values_sum), accumulated(kept, added, weights_sum)
        cache.keep(sums=torch.stack((all_values[:, -1], all_weights[:, -1], exponents[:, -1]), dim=1))

        now = keys + m.bonus.float()
        highest = torch.maximum(earlier, now)
        old, new = (earlier - highest).exp(), (now - highest).exp()
        values_before = torch.cat((values_sum.unsqueeze(1), all_values[:, :-1]), dim=1)
        weights_before = torch.cat((weights_sum.unsqueeze(1), all_weights[:, :-1]), dim=1)
        average = (old * values_before + new * values) / (old * weights_before + new)
        return m.o_proj(gate.sigmoid() * average.to(x.dtype))


def mixed(x: Tensor, before: Tensor, share: Tensor) -> Tensor:
    """Each token's `share` of itself, and the rest of the token before it."""
    return x * share + before * (1 - share)
