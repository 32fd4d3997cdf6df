"""The mixes Q4_K_M and Q5_K_M of llama.cpp, which store some matrices in more bits in some layers.

The rule is that of `llama_tensor_get_type_impl` in src/llama-quant.cpp. It tells matrices apart by their names: the
value and output projections of attention, and the last matrix of feed-forward layers, experts included.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from llmarch_cli.components.component import SharedWeights
from llmarch_cli.specs.encodings import GGML, Blocks
from llmarch_cli.specs.spec import NONE, Item, ModelSpec

Q4, Q5, MORE, MOST = GGML["q4_k"], GGML["q5_k"], GGML["q6_k"], GGML["q8_0"]

N_LAYERS_OF_70B = 80  # by which llama.cpp knows that size, whose value projections are few
N_EXPERTS_OF_8X7B = 8  # by which it knows that family


def more_bits(layer: int, n_layers: int) -> bool:
    """Whether a layer is in the first or last eighth, or is every third in between."""
    return layer < n_layers // 8 or layer >= 7 * n_layers // 8 or (layer - n_layers // 8) % 3 == 2


class Mix:
    """The types of the matrices of a spec.

    Args:
        spec: the model.
        n_experts: the most experts of a layer; 0 without.
        with_values: the items of attention that have a value projection.
        with_last: the items of feed-forward layers that have a `down_proj`.
    """

    def __init__(self, spec: ModelSpec, n_experts: int, with_values: Iterable[Item], with_last: Iterable[Item]) -> None:
        self.spec, self.n_experts = spec, n_experts
        self._names = {axis: spec.names(axis, spec.n_layers) for axis in ("attention", "ffn")}
        self._values = self._numbered(with_values)
        self._last = self._numbered(with_last)

    def types(
        self, default: Blocks, item: Item, part: str, d_in: int, layers: range | None = None
    ) -> list[tuple[Blocks, int]]:
        """The types of a matrix with `d_in` input values, each with the number of its layers: of all, or of `layers`.

        A matrix that has one type in all layers has it once, with all of them.
        """
        is_output = item.role == "head" or (item.role in ("embedding", "layer embedding") and self.spec.tie_embeddings)
        if is_output:
            return [(MOST if d_in % default.values else MORE, 1)]
        of_8x7b = self.n_experts == N_EXPERTS_OF_8X7B
        if item.role == "attention" and part in ("v_proj", "k_proj") and of_8x7b:
            return [(MOST, item.count)]
        if item.role == "attention" and part == "o_proj" and of_8x7b and default is Q4:
            return [(Q5, item.count)]
        if item.role == "attention" and part == "v_proj":
            few = Q5 if default is Q4 and self.spec.n_layers == N_LAYERS_OF_70B else default
            return self._by_layer(item, self._values, len(self._values), few, layers)
        if item.role == "ffn" and part == "down_proj":
            numbers = {layer: layer for layer in self._last} if self.n_experts > 1 else self._last
            return self._by_layer(item, numbers, self.spec.n_layers, default, layers)
        return [(default, item.count)]

    def _by_layer(
        self, item: Item, numbers: dict[int, int], n_layers: int, few: Blocks, layers: range | None
    ) -> list[tuple[Blocks, int]]:
        there = self._layers(item)
        if layers is not None and not isinstance(item.component, SharedWeights):  # which stand wherever they are used
            there = [layer for layer in there if layer in layers]
        counts = Counter(more_bits(numbers[layer], n_layers) for layer in there)
        return [(MORE, counts[True]), (few, counts[False])]

    def _numbered(self, items: Iterable[Item]) -> dict[int, int]:
        """The layers that have these items, each with its number among them."""
        return {layer: i for i, layer in enumerate(sorted({layer for item in items for layer in self._layers(item)}))}

    def _layers(self, item: Item) -> list[int]:
        """The layers that an item of an axis stands in; of shared weights, the first."""
        variant = item.label.partition(": ")[2].partition(",")[0]
        names = enumerate(self._names[item.role])
        return [layer for layer, name in names if (name == variant if variant else name != NONE)][: item.count]
