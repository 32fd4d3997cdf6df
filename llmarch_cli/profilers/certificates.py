"""Certificates: records that both engines agreed on a spec, so that the closed form alone may answer. No torch.

A certificate is made from points at which both engines ran. They suffice: the cost of a component is a sum of rows in
view, each with a factor, and of what is the same at every context; both engines add up the same sort of sum. Between
two contexts at which a window is full, such a sum is `a + b * context`, and for rows of several tokens
`c * (context // stride)` besides. `contexts_of` has enough points in each such piece to determine `a`, `b` and each
`c`, so two sums that agree there agree in the whole piece. Costs are proportional to the batch, or do not depend on it:
two batches determine that. For prompts nothing is inferred: those of other lengths than the listed ones are measured.

A certificate is for one spec, apart from names and dates; for the formats of cached rows and states; and for the
sources of everything that a cost depends on. Those of bundled specs come with the package. Others are files in the
user's cache directory, one each: written whole or not at all, and believed only if nobody else can write them.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from llmarch_cli.components.component import Component, views
from llmarch_cli.profilers.cost import MAX_CONTEXT, Workload
from llmarch_cli.specs import kept, sources
from llmarch_cli.specs.checked import plain
from llmarch_cli.specs.loading import specs_directory
from llmarch_cli.specs.spec import Item, ModelSpec
from llmarch_cli.specs.storage import PLAIN_BYTES

LONG_CONTEXT = 131_072
BATCHES = (1, 3)
# Lengths of prompts that are compared for bundled specs, besides each context window.
PROMPTS = (
    *(2**power for power in range(10, 21)),
    *(1000 * thousands for thousands in (1, 2, 4, 8, 10, 16, 32, 64, 100, 128, 200, 256, 500, 1000)),
)
SHORTEST_PIECE = 8  # contexts: all of a shorter piece are points
LONGEST_VERSION = 63  # characters
FILE = "certificates.json"  # of bundled specs
SORT = "certificates"  # in the user's directory

# What identifies a model and does not change a cost.
_NAMES = {"name", "organization", "source", "released", "license", "published", "same_as", "context_length"}


@dataclass(frozen=True, slots=True)
class Certificate:
    """What both engines agreed on.

    Attributes:
        date: of the last measurement.
        torch: the version of torch that ran the modules.
        points: how many components were compared at how many contexts and batches, in all.
        prompts: lengths of prompts from the start whose FLOPs were compared.
        weights: storage formats of weights whose bytes were compared.
    """

    date: dt.date
    torch: str
    points: int
    prompts: tuple[int, ...] = ()
    weights: tuple[str, ...] = ()

    def covers_prompt(self, n_tokens: int, prefix: int) -> bool:
        """Whether the FLOPs of such a prompt were compared."""
        return prefix == 0 and n_tokens in self.prompts

    def covers_weights(self, name: str) -> bool:
        """Whether bytes in a format were compared, or are parameters times a whole number."""
        return name in PLAIN_BYTES or name in self.weights

    @property
    def words(self) -> str:
        """When, and with what."""
        return f"{self.date} with torch {self.torch}"

    def data(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "date": self.date.isoformat(),
            "torch": self.torch,
            "points": self.points,
            "prompts": list(self.prompts),
            "weights": list(self.weights),
        }

    @classmethod
    def of(cls, data: Any) -> Certificate | None:
        """From plain data; None if it is not a certificate."""
        try:
            found = cls(
                dt.date.fromisoformat(data["date"]),
                data["torch"],
                data["points"],
                tuple(data["prompts"]),
                tuple(data["weights"]),
            )
        except (KeyError, TypeError, ValueError):
            return None
        whole = all(type(number) is int and number > 0 for number in (found.points, *found.prompts))
        words = all(isinstance(word, str) and word.isprintable() for word in (found.torch, *found.weights))
        return found if whole and words and len(found.torch) <= LONGEST_VERSION else None


# --- the points -----------------------------------------------------------------------------------------------------


def contexts_of(component: Component) -> list[int]:
    """The contexts that determine the cost of a component at all others."""
    seen = set(views(component))
    strides = sorted({view.stride for view in seen if view.stride > 1})
    spans = sorted({view.span for view in seen if view.span is not None and view.span < MAX_CONTEXT})
    starts = sorted({1, *(span + 1 for span in spans)})
    found: set[int] = set()
    for start, end in zip(starts, [*(each - 1 for each in starts[1:]), None], strict=True):
        found.update(_points(start, end, strides))
    return sorted(found)


def _points(start: int, end: int | None, strides: list[int]) -> Iterator[int]:
    """Contexts of one piece: both ends, its second one, and both sides of two multiples of each stride."""
    last = max(LONG_CONTEXT, 2 * start) if end is None else end
    if last - start < SHORTEST_PIECE:
        yield from range(start, last + 1)
        return
    inside = {start, start + 1, last}
    for stride in strides:
        first = (start // stride + 1) * stride
        inside.update(edge for multiple in (first, first + stride) for edge in (multiple - 1, multiple))
    yield from (context for context in inside if start <= context and (end is None or context <= end))


def items_by_context(spec: ModelSpec) -> dict[int, list[Item]]:
    """The components to compare at each context, each at those that determine it."""
    found: dict[int, list[Item]] = {}
    for item in spec.inventory():
        for context in contexts_of(item.component):
            found.setdefault(context, []).append(item)
    return found


# --- where they are kept --------------------------------------------------------------------------------------------


def key(spec: ModelSpec, workload: Workload) -> str:
    """What a certificate is for. Raises TypeError for a spec that none can be for: with a record of another package."""
    data = plain(spec)
    text = json.dumps({name: each for name, each in data.items() if name not in _NAMES}, sort_keys=True)
    return hashlib.sha256(f"{sources.digest()} {workload.kv_dtype} {workload.state_dtype} {text}".encode()).hexdigest()


def find(spec: ModelSpec, workload: Workload) -> Certificate | None:
    """The certificate of a spec for the workload's formats; None if there is none that can be believed."""
    with suppress(TypeError):
        return _bundled().get(key(spec, workload)) or of_user(spec, workload)
    return None


def of_user(spec: ModelSpec, workload: Workload) -> Certificate | None:
    """The certificate in the user's directory, which may cover more than that of a bundled spec."""
    data = None
    with suppress(TypeError):
        data = kept.find(SORT, key(spec, workload))
    return None if data is None else Certificate.of(data)


@cache
def _bundled() -> dict[str, Certificate]:
    """Of bundled specs, by key: made with the package, and of no use with other sources."""
    try:
        data = json.loads((specs_directory() / FILE).read_bytes())
        pairs = {str(name): Certificate.of(each) for name, each in data.items()}
    except (OSError, ValueError, AttributeError):
        return {}
    return {name: each for name, each in pairs.items() if each is not None}


def keep(spec: ModelSpec, workload: Workload, certificate: Certificate) -> None:
    """Keep a certificate for the next command, if the user's directory can be written to."""
    with suppress(TypeError):
        kept.keep(SORT, key(spec, workload), certificate.data())


def keep_extended(
    spec: ModelSpec,
    workload: Workload,
    certificate: Certificate,
    prompts: tuple[int, ...] = (),
    weights: tuple[str, ...] = (),
) -> None:
    """Keep a certificate that also covers these prompts and formats of weights, once both engines agreed on them."""
    known = of_user(spec, workload) or certificate
    prompts, weights = (*known.prompts, *prompts), (*known.weights, *weights)
    keep(spec, workload, replace(known, prompts=tuple(sorted({*prompts})), weights=tuple(sorted({*weights}))))
