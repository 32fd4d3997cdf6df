"""Records: what pydantic is told of them, and what they are without it."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import typing
from typing import Annotated, Any, ClassVar, Literal

import pytest
from hypothesis import given
from pydantic import Field, PrivateAttr, ValidationError, field_validator, model_validator
from strategies import specs

from llmarch_cli.components.fields import BY_KIND, REQUIRED, Checked, Count, Limits, Tag, Told
from llmarch_cli.components.record import EMPTY, Record, rule
from llmarch_cli.specs.spec import ModelSpec


def even(text: str) -> str:
    if len(text) % 2:
        raise ValueError("must have an even length")
    return text


class Base(Record):
    """A record."""

    size: Count
    names: Annotated[tuple[str, ...], Limits(strict=False, min_length=1)] = ("a",)

    shown: ClassVar[int] = 3

    @rule
    def _small(self) -> None:
        if self.size > 100:
            raise ValueError("size is above 100")


class Round(Base):
    """A kind."""

    kind: Literal["round"]
    radius: float = 1.0
    word: Annotated[str, Checked(even, ["ab", "cd"])] = "ab"

    @rule
    def _fits(self) -> None:
        if self.radius > self.size:
            raise ValueError("radius is above size")


class Square(Base):
    """Another kind, without a limit of its size."""

    kind: Literal["square"]

    def _small(self) -> None:
        return


def is_many(value: Any) -> str:
    return "many" if isinstance(value, dict) and "kind" not in value else "one"


class Holder(Record):
    """Holds others."""

    one: Annotated[Round | Square, BY_KIND]
    others: Annotated[
        Annotated[Annotated[Round | Square, BY_KIND], Tag("one")] | Annotated[dict[str, Square], Tag("many")],
        Told(is_many),
    ] = EMPTY


ROUND = {"kind": "round", "size": 5}


def test_fields_are_the_annotations_in_the_order_of_the_classes() -> None:
    assert Round.field_defaults == {
        "size": REQUIRED,
        "names": ("a",),
        "kind": REQUIRED,
        "radius": 1.0,
        "word": "ab",
    }
    assert list(Round.model_fields) == list(Round.field_defaults)
    assert Round.model_fields["size"].is_required()
    assert Round.rules == ("_small", "_fits")


def test_a_record_has_its_values_and_the_defaults() -> None:
    found = Round.model_validate(ROUND | {"names": ["x", "y"]})
    assert (found.size, found.names, found.radius, found.kind) == (5, ("x", "y"), 1.0, "round")
    assert found == Round(kind="round", size=5, names=("x", "y"))
    assert found == Round.model_construct(kind="round", size=5, names=("x", "y"))
    assert repr(found) == "Round(size=5, names=('x', 'y'), kind='round', radius=1.0, word='ab')"


@pytest.mark.parametrize(
    ("data", "place", "why"),
    [
        ({"kind": "round"}, ("size",), "missing"),
        (ROUND | {"size": 0}, ("size",), "greater_than"),
        (ROUND | {"size": 2**20 + 1}, ("size",), "less_than_equal"),
        (ROUND | {"size": "5"}, ("size",), "int_type"),
        (ROUND | {"names": []}, ("names",), "too_short"),
        (ROUND | {"names": ["a", 1]}, ("names", 1), "string_type"),
        (ROUND | {"word": "abc"}, ("word",), "value_error"),
        (ROUND | {"radius": float("nan")}, ("radius",), "finite_number"),
        (ROUND | {"other": 1}, ("other",), "extra_forbidden"),
        (ROUND | {"size": 101}, (), "value_error"),
        (ROUND | {"radius": 6.0}, (), "value_error"),
    ],
)
def test_what_must_not_be_is_an_error_with_its_place(data: dict[str, Any], place: tuple[Any, ...], why: str) -> None:
    for make in (Round.model_validate, lambda data: Round(**data)):
        with pytest.raises(ValidationError) as caught:
            make(data)
        assert caught.value.title == "Round"
        assert [(each["loc"], each["type"]) for each in caught.value.errors()] == [(place, why)]
    with pytest.raises(ValidationError):
        Round()  # type: ignore[call-arg]
    with pytest.raises(ValidationError) as caught:
        Holder.model_validate({"one": data})
    assert [each["loc"] for each in caught.value.errors()] == [("one", "round", *place)]


def test_a_rule_may_be_replaced() -> None:
    assert Square.model_validate({"kind": "square", "size": 500}).size == 500


def test_kinds_tell_records_apart() -> None:
    square = {"kind": "square", "size": 2}
    found = Holder.model_validate({"one": ROUND, "others": square})
    assert (type(found.one), type(found.others)) == (Round, Square)
    several = Holder.model_validate({"one": square, "others": {"x": square}})
    assert several.others == {"x": Square(kind="square", size=2)}
    for wrong, place in (({"kind": "oval"}, ("one",)), ({}, ("one",))):
        with pytest.raises(ValidationError) as caught:
            Holder.model_validate({"one": wrong})
        assert caught.value.errors()[0]["loc"] == place


def test_a_record_of_the_class_is_taken_as_it_is() -> None:
    one = Round.model_construct(kind="round", size=1000)  # not valid, and not looked at again
    assert Holder(one=one).one is one
    with pytest.raises(ValidationError):
        Holder(one=Holder(one=one))  # type: ignore[arg-type]


def test_a_record_is_frozen() -> None:
    found: Any = Round.model_validate(ROUND)
    with pytest.raises(AttributeError, match="frozen"):
        found.size = 3
    with pytest.raises(AttributeError, match="frozen"):
        del found.size


def test_equality_and_hashes_are_those_of_the_fields() -> None:
    one, other = Round.model_validate(ROUND), Round.model_validate(ROUND | {"radius": 2.0})
    assert one != other
    assert one == other.model_copy(update={"radius": 1.0})
    assert hash(one) == hash(other.model_copy(update={"radius": 1.0}))
    assert one == one.model_copy(update={"_id": "what is no field does not count"})
    assert Square(kind="square", size=5) != one
    assert Same(size=5) != Base(size=5)


class Same(Base):
    """The fields of another record."""


def test_a_record_as_mappings() -> None:
    found = Round.model_validate(ROUND | {"names": ["a"]})
    whole = {"size": 5, "names": ("a",), "kind": "round", "radius": 1.0, "word": "ab"}
    assert found.model_dump() == whole
    assert found.model_dump(exclude_defaults=True) == ROUND
    holder = Holder(one=found, others={"x": Square(kind="square", size=2)})
    assert holder.model_dump(exclude_defaults=True) == {
        "one": ROUND,
        "others": {"x": {"kind": "square", "size": 2}},
    }


class Reader(Record):
    """A record that names variants."""

    references: ClassVar[frozenset[str]] = frozenset({"source"})

    source: str | None = None
    inner: Reader | None = None
    several: dict[str, Reader] = EMPTY


def test_references_are_renamed_at_any_depth() -> None:
    def chain(name: str) -> Reader:
        each = Reader(source=name)
        return Reader(source=name, inner=each, several={"x": each, "y": Reader()})

    names = {"a": "b", "b": "c"}
    assert chain("a").with_references(names) == chain("b")
    assert Reader(inner=chain("a")).with_references(names) == Reader(inner=chain("b"))
    assert Reader(several={"z": chain("a")}).with_references(names) == Reader(several={"z": chain("b")})
    nothing = Reader(several={"z": Reader()})
    assert nothing.with_references(names) is nothing


class Other(Record):
    """Another base."""

    width: int = 4
    place: typing.ClassVar[int] = 5

    @rule
    def _narrow(self) -> None:
        if self.width > 9:
            raise ValueError("width is above 9")


class Both(Base, Other):
    """A record of two others, with another default."""

    width: int = 6


def test_a_record_has_the_fields_and_rules_of_all_its_bases() -> None:
    assert Both.field_defaults == {"width": 6, "size": REQUIRED, "names": ("a",)}
    assert Both.rules == ("_narrow", "_small")
    assert (Both(size=3).width, Both.model_validate({"size": 3}).width) == (6, 6)
    for wrong in ({"size": 101}, {"size": 3, "width": 10}):
        with pytest.raises(ValidationError):
            Both.model_validate(wrong)


def test_limits_of_pydantic_in_an_annotation_hold() -> None:
    assert Limited(size=1) == Limited()
    with pytest.raises(ValidationError):
        Limited(size=0)


class Limited(Record):
    """A record whose author knows pydantic's names only."""

    size: Annotated[int, Field(gt=0)] = 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("size", Field(default=3, gt=0)),
        ("names", Field(default_factory=tuple)),
        ("_hidden", PrivateAttr(default=3)),
        ("check", model_validator(mode="after")(lambda self: self)),
        ("check", field_validator("size")(lambda value: value)),
    ],
)
def test_what_only_pydantic_understands_is_an_error(name: str, value: Any) -> None:
    annotations = {} if name == "check" else {name: "int"}
    with pytest.raises(TypeError, match=rf"Mine\.{name}: "):
        type("Mine", (Base,), {name: value, "__annotations__": annotations, "__module__": __name__})


def test_another_default_of_a_field_needs_its_annotation() -> None:
    with pytest.raises(TypeError, match=r"Mine\.names: "):
        type("Mine", (Base,), {"names": ("b",), "__module__": __name__})


def test_a_record_without_required_fields_needs_no_validation() -> None:
    code = """
from __future__ import annotations
import sys
from llmarch_cli.components.record import Record
class Plain(Record):
    size: int = 3
assert (Plain().size, Plain()) == (3, Plain.model_construct(size=3))
assert "pydantic" not in sys.modules
Plain(size=4)
assert "pydantic" in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_schema_says_what_is_checked() -> None:
    schema = Round.model_json_schema()
    assert schema["required"] == ["size", "kind"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["size"] | {"title": ""} == {
        "exclusiveMinimum": 0,
        "maximum": 2**20,
        "title": "",
        "type": "integer",
    }
    assert schema["properties"]["word"]["enum"] == ["ab", "cd"]
    assert schema["properties"]["names"]["minItems"] == 1
    assert set(Holder.model_json_schema()["$defs"]) == {"Round", "Square"}


@given(specs())
def test_a_spec_is_the_same_after_any_way_of_copying(spec: ModelSpec) -> None:
    assert pickle.loads(pickle.dumps(spec)) == copy.deepcopy(spec) == spec.model_copy() == spec
    assert ModelSpec.model_validate(spec.model_dump()) == spec
    assert ModelSpec.model_validate(spec.model_dump(exclude_defaults=True)) == spec
    assert eval(repr(spec), _names()) == spec


def _names() -> dict[str, Any]:
    from llmarch_cli.specs.checked import kinds

    return {**kinds(), "datetime": __import__("datetime")}
