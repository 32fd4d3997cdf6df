"""What attention and feed-forward layers of parallel branches share: several components on one input."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, ClassVar

from llmarch_cli.components.component import Child, Component, LayerCache, Modules, Part
from llmarch_cli.components.mechanism import Mechanism, Telling

if TYPE_CHECKING:
    from torch import Tensor


class Branched(Component):
    """Components side by side, each with its own weights and cache.

    A subclass has them in a field `branches`, by name.
    """

    summarized: ClassVar[frozenset[str]] = Component.summarized | {"branches"}

    @property
    @abstractmethod
    def inner(self) -> Mapping[str, Component]:
        """The branches."""

    @property
    def label(self) -> str:
        return " beside ".join(branch.label for branch in self.inner.values())

    def mechanisms(self) -> Iterator[Mechanism]:
        yield Mechanism("parallel", "Parallel branches", self.title, Telling.MIXING, by_layer=True)
        for branch in self.inner.values():
            yield from branch.mechanisms()

    @property
    def settings(self) -> dict[str, str]:
        inside = (f"{name} ({branch.details})" for name, branch in self.inner.items())
        return {"branches": ", ".join(inside), **super().settings}

    def parts(self, d_model: int) -> Iterator[Part]:
        for name, branch in self.inner.items():
            yield Child(f"{name}_branch", branch)  # the suffix avoids clashes with attributes of nn.Module

    def summed(
        self, m: Modules, x: Tensor, cache: LayerCache, before: Mapping[str, float], behind: Mapping[str, float]
    ) -> Tensor:
        """The sum of all branches' outputs, each times its scale `behind`, of its input times its scale `before`."""

        def scaled(values: Tensor, scale: float) -> Tensor:
            return values if scale == 1 else values * scale

        return reduce(
            add,
            (
                scaled(m.get_submodule(f"{name}_branch")(scaled(x, before.get(name, 1)), cache), behind.get(name, 1))
                for name in self.inner
            ),
        )
