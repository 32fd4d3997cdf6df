"""Validation of records by pydantic.

Each record's class gets a pydantic model with the same fields, its twin, when the first record of the class is
validated. What the twin accepts becomes a record, and then the record's own rules are checked.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar, cast, get_type_hints

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, TypeAdapter, create_model
from pydantic_core import CoreSchema, core_schema

from llmarch_cli.components.fields import REQUIRED

CONFIG = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, defer_build=True)

Made = TypeVar("Made")


def _once(make: Callable[[type[Any]], Made]) -> Callable[[type[Any]], Made]:
    """`functools.cache` for a function of a class: mypy asks for a hash, and finds that of the instances."""
    return cast("Callable[[type[Any]], Made]", cache(make))


@_once
def twin(record: type[Any]) -> type[BaseModel]:
    """The pydantic model with the fields of a record's class."""
    hints = get_type_hints(record, include_extras=True)
    fields: dict[str, Any] = {
        name: (hints[name], ... if default is REQUIRED else default) for name, default in record.field_defaults.items()
    }
    about: dict[str, Any] = {"__config__": CONFIG, "__module__": record.__module__, "__doc__": record.__doc__}
    return create_model(record.__name__, **about, **fields)


@_once
def adapter(record: type[Any]) -> TypeAdapter[Any]:
    """What validates a mapping of a record's fields, and gives the record."""
    return TypeAdapter(record, config=ConfigDict(title=record.__name__))


def schema(record: type[Any], handler: GetCoreSchemaHandler) -> CoreSchema:
    """The schema of a record: as its twin's, then its rules. A record of the class is taken as it is."""

    def made(value: Any, of_twin: core_schema.ValidatorFunctionWrapHandler) -> Any:
        if isinstance(value, record):
            return value
        accepted = of_twin(value)
        found = record.model_construct(**{name: getattr(accepted, name) for name in accepted.model_fields_set})
        found.require_rules()
        return found

    return core_schema.no_info_wrap_validator_function(
        made,
        handler.generate_schema(twin(record)),
        serialization=core_schema.plain_serializer_function_ser_schema(lambda found: found.model_dump()),
    )
