"""Claims: statements about models as data, each checked against measurements.

A file of claims has sections of claims. Each claim has an expression that is true if the statement is. It calls the
claim's models `a`, `b` ... in their order, and can use:

- any metric of `llmarch columns`, optionally at a context: `a.kv_cache_bytes@8k`;
- any field of a spec: `a.norm_placement`, or `a.ffn.top_k` if all layers with that field agree;
- the number of layers that meet a condition: `a.layers(attention.window == 1024 and index < 3)`, with `index` from 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from string import ascii_lowercase
from typing import TYPE_CHECKING, Annotated, Any, Literal

from llmarch_cli.claims.facts import Facts
from llmarch_cli.components.fields import Limits
from llmarch_cli.components.record import EMPTY, Record, rule
from llmarch_cli.errors import InputError, shown, shown_path
from llmarch_cli.expressions import Expression, Reference
from llmarch_cli.models import load
from llmarch_cli.report.columns import BY_KEY
from llmarch_cli.report.units import INTEGER, TEXT, TIMES, YES_NO, Unit, Value
from llmarch_cli.specs import documents
from llmarch_cli.specs.loading import checked
from llmarch_cli.specs.spec import URL_PATTERN, OneLine

if TYPE_CHECKING:
    from llmarch_cli.profilers.profile import Engine

Verdict = Literal["holds", "holds with a remark", "does not hold"]
Text = Annotated[str, Limits(min_length=1, max_length=500)]
Url = Annotated[str, Limits(pattern=URL_PATTERN, max_length=1000)]


class Claim(Record):
    """One statement, paraphrased."""

    says: Text
    models: Annotated[tuple[OneLine, ...], Limits(strict=False, min_length=1, max_length=8)]
    holds: Text  # an expression that is true if the statement is
    shows: dict[OneLine, Text] = EMPTY  # label -> expression of a value to show
    verdict: Verdict = "holds"
    remark: Text | None = None
    source: Url | None = None  # where the statement was made; None: the section's source

    @rule
    def _explained(self) -> None:
        if (self.verdict == "holds") != (self.remark is None):
            raise ValueError("give a remark with every verdict except a plain 'holds'")


class Section(Record):
    """A titled group of claims from one source."""

    title: OneLine
    source: Url
    claims: Annotated[tuple[Claim, ...], Limits(strict=False, min_length=1)]


class Outside(Record):
    """A statement that an architecture cannot confirm or refute."""

    says: Text
    why: Text


class Claims(Record):
    """A file of claims."""

    sections: Annotated[tuple[Section, ...], Limits(strict=False, min_length=1)]
    outside: Annotated[tuple[Outside, ...], Limits(strict=False)] = ()


@dataclass(frozen=True)
class Finding:
    """A claim and its measurement.

    Attributes:
        true: whether the claim's expression is true.
        figures: the values to show, as (label, value, unit).
    """

    claim: Claim
    true: bool
    figures: tuple[tuple[str, Value, Unit], ...]

    @property
    def confirmed(self) -> bool:
        """Whether the claim's verdict agrees with the measurement."""
        return self.true == (self.claim.verdict != "does not hold")


def bundled() -> Path:
    """The path of the bundled claims, in an installed package or in a checkout's docs."""
    package = Path(__file__).parents[1]
    installed = package / "claims.yaml"
    return installed if installed.is_file() else package.parent / "docs" / "claims.yaml"


def read(path: Path) -> Claims:
    """Read claims from a YAML file. Raises InputError with the place of the first problem."""
    data = documents.read(path)
    return checked(Claims, data, shown_path(path))


def measure(claim: Claim, engine: Engine | None = None) -> Finding:
    """Measure a claim. Raises InputError for unknown models and metrics."""
    models = {letter: Facts(load(name), engine) for letter, name in zip(ascii_lowercase, claim.models, strict=False)}

    def facts(name: str) -> tuple[Facts, str]:
        letter, _, rest = name.partition(".")
        if letter not in models or not rest:
            raise InputError(
                f"unknown name {shown(name)}; names start with {' or '.join(f'{each}.' for each in models)}"
            )
        return models[letter], rest

    def figure(asked: Reference) -> Any:
        of, name = facts(asked.name)
        return of.figure(Reference(name, asked.context))

    def call(function: str, argument: Expression) -> int:
        of, name = facts(function)
        if name != "layers":
            raise InputError(f"unknown function {shown(name)}; known: layers")
        return of.count(argument)

    def value(text: str) -> Any:
        try:
            return Expression(text).value(figure, call)
        except InputError as error:
            raise InputError(f"claim {shown(claim.says)}: {error}") from None

    true = value(claim.holds)
    if not isinstance(true, bool):
        raise InputError(f"claim {shown(claim.says)}: {shown(claim.holds)} is not a condition")
    figures = [(name, text, value(text)) for name, text in claim.shows.items()]
    return Finding(claim, true, tuple((name, found, _unit(text, found)) for name, text, found in figures))


def _unit(text: str, value: Any) -> Unit:
    """The metric's unit if the text names a metric, else a unit for the value's type."""
    column = text.partition(".")[2].partition("@")[0]
    if column in BY_KEY:
        return BY_KEY[column].unit
    match value:
        case bool():
            return YES_NO
        case int():
            return INTEGER
        case Fraction():
            return TIMES
        case _:
            return TEXT
