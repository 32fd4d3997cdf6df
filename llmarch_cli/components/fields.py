"""What a field of a record may hold, as metadata of its annotation: `Annotated[int, Limits(gt=0)]`.

This is what pydantic's `Field`, `Discriminator` and `Tag` say. They are written here without pydantic, which takes
longer to load than most commands run, and a bundled spec needs no validation. Each turns into pydantic's schema when
a record is first validated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, get_args

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic_core import CoreSchema


class _Required:
    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED = _Required()  # the default of a field that has none


class Limits:
    """Bounds of a number, a text or a collection, by the names that pydantic's `Field` has.

    `strict=False` takes a list for a tuple, since YAML has no tuples.
    """

    def __init__(self, **limits: float | str | bool) -> None:
        self.limits = limits

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema: Any = handler(source)
        return {**schema, **self.limits}  # pydantic's schemas have these keys


class _ByKind:
    """One of several records, which their `kind` tells apart."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic import Field

        return handler.generate_schema(Annotated[source, Field(discriminator="kind")])


BY_KIND = _ByKind()


@dataclass(frozen=True, slots=True)
class Tag:
    """The name of a member of a union whose members `Told` tells apart."""

    tag: str


@dataclass(frozen=True, slots=True)
class Told:
    """Which member of a union a value is: `by` gives the tag of the member."""

    by: Callable[[Any], str]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        import pydantic

        tagged = []
        for member in get_args(source):
            inner, *metadata = get_args(member)
            tags = [pydantic.Tag(each.tag) for each in metadata if isinstance(each, Tag)]
            others = [each for each in metadata if not isinstance(each, Tag)]
            tagged.append(Annotated[(inner, *others, *tags)])
        return handler.generate_schema(Annotated[reduce(or_, tagged), pydantic.Discriminator(self.by)])


class Checked:
    """A text that a function checks, which raises ValueError for a wrong one. Editors complete the `known` ones."""

    def __init__(self, check: Callable[[str], str], known: Iterable[str]) -> None:
        self._check, self._known = check, known

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core.core_schema import no_info_after_validator_function

        return no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"enum": list(self._known)}


# Bounds far above any real model, so that a typing slip such as 10**30 is an error of its own field. They also keep
# products of fields within torch's limits: three widths, or tokens times a width, are at most 2**60 values.
Count = Annotated[int, Limits(gt=0, le=2**20)]  # a width, or a number of heads, experts ...
TokenCount = Annotated[int, Limits(gt=0, le=2**40)]  # of a vocabulary, a window, a context
Positive = Annotated[float, Limits(ge=1e-30, le=1e30)]

NAME_PATTERN = r"^[a-z][a-z0-9_]*$"
Name = Annotated[str, Limits(pattern=NAME_PATTERN, max_length=100)]  # of a variant or a branch
