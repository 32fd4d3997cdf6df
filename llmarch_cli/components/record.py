"""Frozen records with one field per YAML field.

A record is a plain class. The fields are its annotations. What they may hold is checked by pydantic, which is loaded
when the first record is validated: `validation.py`. A record that comes from a checked spec is never validated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, dataclass_transform

from llmarch_cli.components.fields import REQUIRED

if TYPE_CHECKING:
    from typing import Self

    from pydantic import GetCoreSchemaHandler
    from pydantic.fields import FieldInfo
    from pydantic_core import CoreSchema

Rule = TypeVar("Rule", bound=Callable[[Any], None])


EMPTY: dict[Any, Any] = {}  # the default of a mapping; nothing is ever put into it


def rule(method: Rule) -> Rule:
    """Mark a method that checks fields against each other. It raises ValueError for a record that must not be."""
    method.is_rule = True  # type: ignore[attr-defined]
    return method


class _FieldsOnDemand:
    """pydantic's fields of a record's class, by their names."""

    def __get__(self, record: Record | None, kind: type[Record]) -> Mapping[str, FieldInfo]:
        from llmarch_cli.components.validation import twin

        return twin(kind).model_fields


@dataclass_transform(kw_only_default=True, frozen_default=True, eq_default=False)
class Record:
    """A frozen record: unknown names and type conversions are errors. Methods are named as pydantic names them.

    Attributes:
        field_defaults: the default of each field, in the order of the fields; `REQUIRED` for one without.
        rules: the names of the methods that check fields against each other, in order.
        model_fields: pydantic's own description of each field.
        summarized: fields already shown by `label`, `heads` or `positions`.
        references: fields that name a variant of the same axis.
    """

    field_defaults: ClassVar[dict[str, Any]] = EMPTY
    rules: ClassVar[tuple[str, ...]] = ()
    model_fields: ClassVar[_FieldsOnDemand] = _FieldsOnDemand()
    summarized: ClassVar[frozenset[str]] = frozenset()
    references: ClassVar[frozenset[str]] = frozenset()
    _given: ClassVar[dict[str, Any]] = EMPTY  # the defaults, without fields that have none

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        inherited: dict[str, Any] = {}
        rules: dict[str, None] = {}
        for base in reversed(cls.__bases__):  # the first base counts most, as in Python
            inherited.update(getattr(base, "field_defaults", EMPTY))
            rules.update(dict.fromkeys(getattr(base, "rules", ())))
        given = [name for name, annotation in cls.__annotations__.items() if _is_field(name, annotation)]
        fields = inherited | {name: getattr(cls, name, REQUIRED) for name in given}
        for name, value in vars(cls).items():
            if type(value).__module__.startswith("pydantic"):
                raise TypeError(
                    f"{cls.__name__}.{name}: write it by fields.py and @rule, because pydantic is not asked"
                )
            if name in inherited and name not in given:
                raise TypeError(f"{cls.__name__}.{name}: another default of a field needs its annotation too")
            if hasattr(value, "is_rule"):
                rules[name] = None
        cls.field_defaults, cls.rules = fields, tuple(rules)
        cls._given = {name: default for name, default in fields.items() if default is not REQUIRED}

    def __init__(self, **values: Any) -> None:
        """Validate `values`. Raises pydantic's ValidationError."""
        is_usual = not values and REQUIRED not in self.field_defaults.values()  # then there is nothing to validate
        self.__dict__.update(self._given if is_usual else vars(self.model_validate(values)))

    @classmethod
    def model_construct(cls, **values: Any) -> Self:
        """The record with these values and the defaults of the other fields. Nothing is validated."""
        made = object.__new__(cls)
        made.__dict__.update(cls._given)
        made.__dict__.update(values)
        return made

    @classmethod
    def model_validate(cls, data: Any) -> Self:
        """The record of a mapping of its fields. Raises pydantic's ValidationError."""
        from llmarch_cli.components.validation import adapter

        found: Self = adapter(cls).validate_python(data)
        return found

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        from llmarch_cli.components.validation import schema

        return schema(cls, handler)

    @classmethod
    def model_json_schema(cls) -> dict[str, Any]:
        """The JSON schema of the fields."""
        from llmarch_cli.components.validation import adapter

        return adapter(cls).json_schema()

    def require_rules(self) -> None:
        """Raise ValueError if a rule between the fields is broken; rules inside other records are not asked."""
        for name in self.rules:
            getattr(self, name)()

    def model_copy(self, *, update: Mapping[str, Any] | None = None) -> Self:
        """A copy with other values of these fields. Nothing is validated."""
        made = object.__new__(type(self))
        made.__dict__.update(self.__dict__)
        made.__dict__.update(update or {})
        return made

    def model_dump(self, *, exclude_defaults: bool = False) -> dict[str, Any]:
        """The fields as nested mappings, without those at their defaults if they are excluded."""
        return {
            name: _dumped(value, exclude_defaults)
            for name, value, default in self._values()
            if not exclude_defaults or (value is not default and value != default)
        }

    def _values(self) -> list[tuple[str, Any, Any]]:
        """Each field with its value and its default."""
        return [(name, getattr(self, name), default) for name, default in self.field_defaults.items()]

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen: {name} cannot be set")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen: {name} cannot be deleted")

    def __eq__(self, other: object) -> bool:
        """Compare all fields. What is not a field is ignored, such as an id that depends on the file."""
        if type(self) is not type(other):
            return False
        own, others = self.__dict__, other.__dict__
        return own == others or all(own[name] == others[name] for name in self.field_defaults)

    def __hash__(self) -> int:
        return hash((type(self), *(self.__dict__[name] for name in self.field_defaults)))

    def __repr__(self) -> str:
        fields = (f"{name}={value!r}" for name, value, _ in self._values())
        return f"{type(self).__name__}({', '.join(fields)})"

    def with_references(self, names: Mapping[str, str]) -> Self:
        """Return a copy in which references to variants have these new names, inside other records too."""
        changed: dict[str, Any] = {}
        for field, value, _ in self._values():
            if field in self.references and value is not None:
                changed[field] = names[value]
            elif isinstance(value, Record):
                inner = value.with_references(names)
                if inner is not value:
                    changed[field] = inner
            elif isinstance(value, dict) and any(isinstance(each, Record) for each in value.values()):
                inside = {name: each.with_references(names) for name, each in value.items()}
                if any(inside[name] is not each for name, each in value.items()):
                    changed[field] = inside
        return self.model_copy(update=changed) if changed else self

    @property
    def details(self) -> str:
        """The `settings` on one line."""
        return ", ".join(self.settings.values())

    @property
    def settings(self) -> dict[str, str]:
        """The fields that are neither at their defaults nor `summarized`, each in the words of the YAML file."""
        words = {name: _detail(name, value) for name, value, default in self._values() if value != default}
        return {name: text for name, text in words.items() if text and name not in self.summarized}


def _is_field(name: str, annotation: Any) -> bool:
    return name[0] != "_" and "ClassVar" not in str(annotation).partition("[")[0]


def _dumped(value: Any, exclude_defaults: bool) -> Any:
    match value:
        case Record():
            return value.model_dump(exclude_defaults=exclude_defaults)
        case dict():
            return {name: _dumped(each, exclude_defaults) for name, each in value.items()}
        case tuple():
            return tuple(_dumped(each, exclude_defaults) for each in value)
    return value


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
    """Format a setting for people: 10000.0 as 10,000."""
    return f"{value:,}".removesuffix(".0")
