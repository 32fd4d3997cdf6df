"""Mechanisms: properties of an architecture that have a name, as components say them of themselves.

To add one: yield it in `mechanisms` of the component that has it. A kind is a mechanism of its own without that.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Telling(IntEnum):
    """How much a mechanism says of a model, the most first."""

    MIXING = 0  # how tokens meet
    EXPERTS = 1
    SHARING = 2  # what layers share, and what carries a token between them
    DETAIL = 3
    COMMON = 4  # said only where there is little else
    PLAIN = 5


@dataclass(frozen=True, slots=True)
class Mechanism:
    """A named property of one component or model.

    Attributes:
        tag: its name, in lower case; each has one meaning and one title.
        title: the name for readers.
        phrase: what to say of it in a line on the model, with the numbers of this component; "" if it is not worth it.
        telling: how much it says.
        by_layer: whether to say in how many layers it is, if not in all of them.
        page: the page of docs/concepts that explains it, without the suffix.
    """

    tag: str
    title: str
    phrase: str = ""
    telling: Telling = Telling.DETAIL
    by_layer: bool = False
    page: str | None = None


def window(span: int) -> Mechanism:
    """Of attention that sees the last `span` tokens."""
    return Mechanism(
        "window", "Sliding window", f"window of {span:,}", Telling.MIXING, by_layer=True, page="windows-and-chunks"
    )


SHARED_CACHE = Mechanism(
    "shared_cache", "Cache of a lower layer", "shared caches", Telling.SHARING, by_layer=True, page="shared-caches"
)
INDEXER = Mechanism("indexer", "Indexer", page="sparse-attention")
SINKS = Mechanism("sinks", "Attention sinks", "attention sinks", page="attention-sinks")
TEMPERATURE = Mechanism("temperature", "Queries scaled by position", "queries scaled by position")
SUB_NORM = Mechanism("sub_norm", "Norm inside sublayers", "norms inside sublayers", page="norms")
