"""What every building block of a model is: a frozen record that names its parts, its cache, its cost and its wiring.

To add a kind: one file beside its siblings in `attention/` or `ffn/`, and one line in that package's union.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Protocol

from pydantic import BaseModel, ConfigDict, Field

from llmarch_cli.components.parts import Weights

if TYPE_CHECKING:
    from torch import Tensor


# Bounds far above any real model, and such that no product of fields overflows what torch can hold: three widths, or
# tokens times a width, stay at 2**60 values. They stop a typing slip such as 10**30 at the field where it stands.
Count = Annotated[int, Field(gt=0, le=2**20)]  # a width, or how many heads, experts ... there are
TokenCount = Annotated[int, Field(gt=0, le=2**40)]  # in a vocabulary, a window, a context
Positive = Annotated[float, Field(ge=1e-30, le=1e30)]

NAME_PATTERN = r"^[a-z][a-z0-9_]*$"
Name = Annotated[str, Field(pattern=NAME_PATTERN, max_length=100)]  # what a spec calls a component

NOPE = "NoPE"  # no position embedding (arXiv 2305.19466)


class Record(BaseModel):
    """A frozen record whose fields are YAML fields: no unknown names, no silent conversions."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, defer_build=True)

    told: ClassVar[frozenset[str]] = frozenset()  # fields that a kind's other descriptions tell already

    @property
    def details(self) -> str:
        """Every other field that is not at its default, in the words of the YAML file."""
        return ", ".join(self.settings.values())

    @property
    def settings(self) -> dict[str, str]:
        """The same, field by field."""
        fields = ((name, getattr(self, name), field.default) for name, field in type(self).model_fields.items())
        words = {name: _detail(name, value) for name, value, default in fields if value != default}
        return {name: text for name, text in words.items() if text and name not in self.told}


def _detail(name: str, value: Any) -> str:
    if name == "kind":
        return str(value)
    match value:
        case True:
            return name
        case Record():
            return f"{name} ({value.details})" if value.details else ""
        case int() | float() if value is not False:
            return f"{name} {number(value)}"
        case _:
            return f"{name} {str(value).lower()}"


def number(value: float) -> str:
    """A setting as a person writes it: 10000.0 is 10,000."""
    return f"{value:,}".removesuffix(".0")


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """What one layer keeps of each token: `width` values under `name`."""

    name: str
    width: int


class Modules(Protocol):
    """A component's parts once they are built: modules and parameters, by the parts' names."""

    def __getattr__(self, name: str) -> Any: ...


class LayerCache(Protocol):
    """The cache of one layer while a model runs. `modules/cache.py` implements it."""

    @property
    def length(self) -> int:
        """Tokens seen before this step."""

    def append(self, **new: Tensor) -> tuple[Tensor, ...]:
        """Store tensors (batch, n_tokens, width) by entry name; returns each with the earlier tokens in view."""

    def positions(self, start: int, x: Tensor) -> Tensor:
        """The positions of x (batch, n_tokens, ...) from `start` on, as float32 (n_tokens,)."""


class Component(Record):
    """One sublayer of a decoder, as data."""

    told: ClassVar[frozenset[str]] = frozenset({"kind"})

    @abstractmethod
    def parts(self, d_model: int) -> Iterator[Part]:
        """The weights, in the order they are applied, for a residual stream of `d_model` values."""

    def cache(self) -> Iterator[CacheEntry]:
        """What is kept of every token in view; nothing by default."""
        return iter(())

    @property
    def span(self) -> int | None:
        """How many tokens are kept in view at most, the current one included; None where nothing bounds it."""
        return None

    def tokens_in_view(self, context: int) -> int:
        """How many of `context` tokens are kept in view."""
        return context if self.span is None else min(context, self.span)

    def mixing_flops(self, tokens_in_view: int) -> int:
        """FLOPs for one token beyond its weights: what attending to `tokens_in_view` tokens multiplies."""
        return 0

    @property
    def multi_head_width(self) -> int:
        """Values of one token if each query head kept a key and a value of its own: plain multi-head attention."""
        return 0

    @property
    def title(self) -> str:
        """What a figure calls it; the words of the class's name where a kind does not say."""
        first, *others = re.findall(r"[A-Z]+[a-z0-9]*", type(self).__name__)
        return " ".join((first, *map(str.lower, others)))

    @property
    def label(self) -> str:
        """A few words for a table's cell: what sets this component apart from others of its axis."""
        return type(self).__name__

    @property
    def heads(self) -> str:
        """The heads in a few words, the kind's short name first; nothing where it has none."""
        return ""

    @property
    def positions(self) -> str:
        """How it tells where a token stands, in a few words: `NOPE` where it cannot, nothing where it need not."""
        return ""

    @abstractmethod
    def forward(self, m: Modules, x: Tensor, cache: LayerCache) -> Tensor:
        """Run the built parts `m` on `x` of shape (batch, n_tokens, d_model); returns the same shape."""


@dataclass(frozen=True, slots=True)
class Child:
    """A component inside a component: the shared expert of a mixture."""

    name: str
    component: Component


Part = Weights | Child


def walk(component: Component) -> Iterator[Component]:
    """`component` and everything inside it, outermost first."""
    yield component
    for part in component.parts(1):
        if isinstance(part, Child):
            yield from walk(part.component)
