"""What can be asked of one model by name: its figures, its fields, and how many of its layers are of some sort."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from llmarch_cli.components.component import Component, Record
from llmarch_cli.errors import InputError, shown, suggestion
from llmarch_cli.expressions import Expression, Figure
from llmarch_cli.profilers.cost import DEFAULT_CONTEXT, Workload
from llmarch_cli.profilers.profile import Engine, Profile, default_engine, profile
from llmarch_cli.report.columns import BY_KEY
from llmarch_cli.specs.spec import NONE, ModelSpec

_ABSENT = object()


@dataclass(frozen=True)
class Layer:
    """A layer's number from 0, and its components."""

    index: int
    attention: Component | None
    ffn: Component | None


class Facts:
    """One model's facts. Profiles are made when they are first asked for."""

    def __init__(self, spec: ModelSpec, engine: Engine | None = None) -> None:
        self.spec, self.engine = spec, engine
        self._profiles: dict[int, Profile] = {}

    def figure(self, asked: Figure) -> Any:
        """The value of a column, or of a spec's field.

        A field inside `attention` or `ffn` is what all layers that have it agree on. Raises InputError where there is
        no such figure, where layers differ, and where a context is given for what does not depend on one.
        """
        name = asked.name
        if (metric := BY_KEY.get(name)) is not None:
            if asked.context is not None and not metric.by_context:
                raise InputError(f"{shown(str(asked))}: {name} is the same at every context: leave out '@'")
            return metric.value(self._profile(DEFAULT_CONTEXT if asked.context is None else asked.context))
        if asked.context is not None:
            raise InputError(f"{shown(name)} is no column: '@' gives columns a context")
        axis, _, field = name.partition(".")
        if axis in ("attention", "ffn") and field:
            return self._shared(axis, field)
        if (value := _field(self.spec, name)) is _ABSENT:
            known = (*BY_KEY, *ModelSpec.model_fields)
            hint = suggestion(name, known) or "; `llmarch columns` and `llmarch schema` list what there is"
            raise InputError(f"unknown figure {shown(name)}{hint}")
        return value

    def count(self, sort: Expression) -> int:
        """How many layers there are for which `sort` is true: of their `index`, `attention` fields and `ffn` fields.

        A field that a layer's component has not is null. Raises InputError where no layer has it.
        """
        for asked in sort.figures():
            if all(_field(layer, asked.name) is _ABSENT for layer in self.layers):
                raise InputError(f"no layer of {self.spec.id} has a field {shown(asked.name)}")

        def of(layer: Layer) -> Any:
            values = {str(asked): _field(layer, asked.name) for asked in sort.figures()}
            return sort.value(lambda asked: None if (v := values[str(asked)]) is _ABSENT else v)

        answers = [of(layer) for layer in self.layers]
        if not all(isinstance(answer, bool) for answer in answers):
            raise InputError(f"{shown(str(sort))} is no condition; compare a field, such as attention.window == 1024")
        return sum(answers)

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """Bottom to top."""
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
                f"{axis}.{field} is not the same in all layers of {self.spec.id}: {', '.join(values)}; count layers"
            )
        return next(iter(values.values()))


def _field(record: Any, name: str) -> Any:
    """The field of a record behind a dotted name; what is inside a field that is null, is null too."""
    value = record
    for part in name.split("."):
        match value:
            case None:
                return None
            case Record() if part in type(value).model_fields:
                value = getattr(value, part)
            case dict() if part in value:
                value = value[part]
            case Layer() if part in ("index", "attention", "ffn"):
                value = getattr(value, part)
            case _:
                return _ABSENT
    return value
