"""The facts of one model by name: its metrics, its fields, and the number of layers that meet a condition."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from llmarch_cli.components.component import Component
from llmarch_cli.components.record import Record
from llmarch_cli.errors import InputError, shown, suggestion
from llmarch_cli.expressions import Expression, Reference
from llmarch_cli.profilers.cost import DEFAULT_CONTEXT, Workload
from llmarch_cli.profilers.profile import Engine, Profile, default_engine, profile
from llmarch_cli.report.columns import BY_KEY
from llmarch_cli.specs.spec import NONE, ModelSpec

_ABSENT = object()


@dataclass(frozen=True)
class Layer:
    """A layer's components and its index from 0."""

    index: int
    attention: Component | None
    ffn: Component | None


class Facts:
    """One model's facts. Profiles are computed on first use."""

    def __init__(self, spec: ModelSpec, engine: Engine | None = None) -> None:
        self.spec, self.engine = spec, engine
        self._profiles: dict[int, Profile] = {}

    def figure(self, asked: Reference) -> Any:
        """The value of a metric or of a spec's field.

        For a field inside `attention` or `ffn`, all layers that have it must agree. Raises InputError for an unknown
        name, if layers disagree, and for a context with a value that does not depend on it.
        """
        name = asked.name
        if (metric := BY_KEY.get(name)) is not None:
            if asked.context is not None and not metric.by_context:
                raise InputError(f"{shown(str(asked))}: {name} does not depend on the context; leave out '@'")
            return metric.value(self._profile(DEFAULT_CONTEXT if asked.context is None else asked.context))
        if asked.context is not None:
            raise InputError(f"{shown(name)} is not a metric; only metrics take '@'")
        axis, _, field = name.partition(".")
        if axis in ("attention", "ffn") and field:
            return self._shared(axis, field)
        if (value := _field(self.spec, name)) is _ABSENT:
            known = (*BY_KEY, *ModelSpec.field_defaults)
            hint = suggestion(name, known) or "; `llmarch columns` lists metrics, `llmarch schema` fields"
            raise InputError(f"unknown metric or field {shown(name)}{hint}")
        return value

    def count(self, condition: Expression) -> int:
        """The number of layers that meet a condition on `index` and on fields of `attention` and `ffn`.

        A field that a layer's component lacks is null. Raises InputError if no layer has the field.
        """
        for asked in condition.references():
            if all(_field(layer, asked.name) is _ABSENT for layer in self.layers):
                raise InputError(f"no layer of {self.spec.id} has a field {shown(asked.name)}")

        def of(layer: Layer) -> Any:
            values = {str(asked): _field(layer, asked.name) for asked in condition.references()}
            return condition.value(lambda asked: None if (v := values[str(asked)]) is _ABSENT else v)

        answers = [of(layer) for layer in self.layers]
        if not all(isinstance(answer, bool) for answer in answers):
            raise InputError(f"{shown(str(condition))} is not a condition; compare a field: attention.window == 1024")
        return sum(answers)

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """The layers, bottom to top."""
        attention, ffn = ({NONE: None, **self.spec.variants(axis)} for axis in ("attention", "ffn"))
        return tuple(Layer(i, attention[each.attention], ffn[each.ffn]) for i, each in enumerate(self.spec.layers))

    def _profile(self, context: int) -> Profile:
        if context not in self._profiles:
            self._profiles[context] = profile(self.spec, Workload(context), self.engine or default_engine())
        return self._profiles[context]

    def _shared(self, axis: str, field: str) -> Any:
        components = [getattr(layer, axis) for layer in self.layers]
        found = [_field(component, field) for component in components if component is not None]
        values = {repr(value): value for value in found if value is not _ABSENT}
        if not values:
            raise InputError(f"no layer of {self.spec.id} has a field {shown(f'{axis}.{field}')}")
        if len(values) > 1:
            raise InputError(
                f"{axis}.{field} differs between layers of {self.spec.id}: {', '.join(values)};"
                f" count layers instead: layers({axis}.{field} == ...)"
            )
        return next(iter(values.values()))


def _field(record: Any, name: str) -> Any:
    """The field at a dotted name, or `_ABSENT`. A field inside a null field is null."""
    value = record
    for part in name.split("."):
        match value:
            case None:
                return None
            case Record() if part in type(value).field_defaults:
                value = getattr(value, part)
            case dict() if part in value:
                value = value[part]
            case Layer() if part in ("index", "attention", "ffn"):
                value = getattr(value, part)
            case _:
                return _ABSENT
    return value
