"""Statements about models as data, and whether what this tool measures bears them out.

A file of claims has sections, and each claim an expression over figures of its models, which it calls `a`, `b` ... in
their order: any column of `llmarch columns`, at a context where one is given (`a.kv_cache_bytes@8k`); any field of a
spec (`a.norm_placement`, and `a.ffn.top_k` where all layers that have such a field agree); and how many layers there
are for which something holds (`a.layers(attention.window == 1024)`, where `index` is the layer's number from 0).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from string import ascii_lowercase
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, model_validator

from llmarch_cli.claims.facts import Facts
from llmarch_cli.components.component import Record
from llmarch_cli.errors import InputError, shown, shown_path
from llmarch_cli.expressions import Expression, Figure
from llmarch_cli.models import load
from llmarch_cli.report.columns import BY_KEY
from llmarch_cli.report.units import INTEGER, TEXT, TIMES, YES_NO, Unit, Value
from llmarch_cli.specs import documents
from llmarch_cli.specs.loading import checked
from llmarch_cli.specs.spec import URL_PATTERN, Line

if TYPE_CHECKING:
    from typing import Self

    from llmarch_cli.profilers.profile import Engine

Verdict = Literal["holds", "holds with a remark", "does not hold"]
Text = Annotated[str, Field(min_length=1, max_length=500)]
Url = Annotated[str, Field(pattern=URL_PATTERN, max_length=1000)]


class Claim(Record):
    """One statement, in this project's words."""

    says: Text
    models: Annotated[tuple[Line, ...], Field(strict=False, min_length=1, max_length=8)]
    holds: Text  # an expression that is true where the statement is
    shows: dict[Line, Text] = Field(default={})  # our numbers, by what they are called
    verdict: Verdict = "holds"
    remark: Text | None = None
    source: Url | None = None  # where it is said; None: where its section says

    @model_validator(mode="after")
    def _explained(self) -> Self:
        if (self.verdict == "holds") != (self.remark is None):
            raise ValueError("a remark goes with each verdict but a plain 'holds', and only with those")
        return self


class Section(Record):
    """Claims that belong together."""

    title: Line
    source: Url
    claims: Annotated[tuple[Claim, ...], Field(strict=False, min_length=1)]


class Outside(Record):
    """A statement that no architecture can show to be right or wrong."""

    says: Text
    why: Text


class Claims(Record):
    """A file of claims."""

    sections: Annotated[tuple[Section, ...], Field(strict=False, min_length=1)]
    outside: Annotated[tuple[Outside, ...], Field(strict=False)] = ()


@dataclass(frozen=True)
class Finding:
    """A claim, and what was measured.

    Attributes:
        true: whether its expression is.
        figures: what it shows, by name, each with the unit that it is written in.
    """

    claim: Claim
    true: bool
    figures: tuple[tuple[str, Value, Unit], ...]

    @property
    def stands(self) -> bool:
        """Whether the verdict is what was measured."""
        return self.true == (self.claim.verdict != "does not hold")


def bundled() -> Path:
    """The file of claims inside an installed package, or in the documentation of a checkout."""
    package = Path(__file__).parents[1]
    installed = package / "claims.yaml"
    return installed if installed.is_file() else package.parent / "docs" / "claims.yaml"


def read(path: Path) -> Claims:
    """The claims of a YAML file. Raises InputError with the place of what is wrong with it."""
    data = documents.read(path)
    return checked(Claims, data, shown_path(path))


def measure(claim: Claim, engine: Engine | None = None) -> Finding:
    """Measure what a claim states. Raises InputError for unknown models and figures."""
    models = {letter: Facts(load(name), engine) for letter, name in zip(ascii_lowercase, claim.models, strict=False)}

    def facts(name: str) -> tuple[Facts, str]:
        letter, _, rest = name.partition(".")
        if letter not in models or not rest:
            raise InputError(
                f"unknown name {shown(name)}: names begin with {' or '.join(f'{each}.' for each in models)}"
            )
        return models[letter], rest

    def figure(asked: Figure) -> Any:
        of, name = facts(asked.name)
        return of.figure(Figure(name, asked.context))

    def call(function: str, argument: Expression) -> int:
        of, name = facts(function)
        if name != "layers":
            raise InputError(f"there is no function {shown(name)}; known: layers")
        return of.count(argument)

    def value(text: str) -> Any:
        try:
            return Expression(text).value(figure, call)
        except InputError as error:
            raise InputError(f"claim {shown(claim.says)}: {error}") from None

    true = value(claim.holds)
    if not isinstance(true, bool):
        raise InputError(f"claim {shown(claim.says)}: {shown(claim.holds)} is neither true nor false")
    figures = [(name, text, value(text)) for name, text in claim.shows.items()]
    return Finding(claim, true, tuple((name, found, _unit(text, found)) for name, text, found in figures))


def _unit(text: str, value: Any) -> Unit:
    """A column's own unit where the text is a column's name, else what suits the value."""
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
