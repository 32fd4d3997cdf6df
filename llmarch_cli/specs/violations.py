"""Format pydantic's errors as lines of `place: field: rule, value; hint`."""

from __future__ import annotations

from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from llmarch_cli.components.fields import NAME_PATTERN, Tag
from llmarch_cli.components.record import Record, number
from llmarch_cli.errors import shown, suggestion
from llmarch_cli.specs.spec import HUB_PATTERN, LINE_PATTERN, URL_PATTERN, FieldError, ModelSpec
from llmarch_cli.specs.storage import SELECTOR_PATTERN

MAX_LINES = 5
LONGEST_NAME = 40
LARGEST_EXACT = 2**53  # above it a float may differ from the number as written

FieldPath = tuple[str | int, ...]

_PATTERNS = {
    LINE_PATTERN: "one line of text",
    NAME_PATTERN: "a name of lowercase letters, digits and _ that starts with a letter",
    HUB_PATTERN: "a repository on the Hugging Face Hub, written org/name",
    SELECTOR_PATTERN: "a name of a part, such as experts or attention.o_proj",
    URL_PATTERN: "a web address such as https://example.com/config.json",
}

# The expected value, by pydantic's error type.
_EXPECTED = {
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "text",
    "string_unicode": "text",
    "string_too_short": "at least {min_length} character long",
    "string_too_long": "at most {max_length} characters long",
    "date_type": "a date written YYYY-MM-DD, without quotes",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "dict_type": "a mapping",
    "tuple_type": "a list",
    "greater_than": "above {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than_equal": "at most {le}",
    "multiple_of": "a multiple of {multiple_of}",
}


def explain(error: ValidationError, data: Mapping[str, Any], origin: str, record: type[Record] = ModelSpec) -> str:
    """The first `MAX_LINES` violations of `record`, one per line; a value that fits no type of a union is one line."""
    violations: dict[tuple[FieldPath, int], list[ErrorDetails]] = {}
    # Unknown fields first: a missing field may be one of them, misspelt.
    for details in sorted(_causes(error.errors(include_url=False)), key=lambda details: details["type"] == "missing"):
        violations.setdefault((_locate(record, details["loc"])[0], id(details["input"])), []).append(details)
    lines = [_line(record, field, details, data, origin) for (field, _), details in violations.items()]
    if len(lines) > MAX_LINES:
        lines[MAX_LINES:] = [f"{origin}: and {len(lines) - MAX_LINES} more"]
    return "\n".join(lines)


def _causes(found: list[ErrorDetails]) -> list[ErrorDetails]:
    """The errors without those that follow from others: no "too short" for a list with an invalid entry."""

    def follows(details: ErrorDetails) -> bool:
        inside = (other["loc"] for other in found if len(other["loc"]) > len(details["loc"]))
        return details["type"] == "too_short" and any(loc[: len(details["loc"])] == details["loc"] for loc in inside)

    return [details for details in found if not follows(details)]


def _line(
    record: type[Record], field: FieldPath, details: list[ErrorDetails], data: Mapping[str, Any], origin: str
) -> str:
    rule = _rule(record, details)
    if details[0]["type"].startswith("union_tag"):
        field = (*field, "kind")
    if isinstance(broken := details[0].get("ctx", {}).get("error"), FieldError):
        field = (*field, *broken.field)
    names = [name if str(name).isidentifier() and len(str(name)) <= LONGEST_NAME else shown(name) for name in field]
    return ": ".join(filter(None, (_place(field, data, origin), ".".join(map(str, names)), rule)))


def _place(field: FieldPath, data: Any, origin: str) -> str:
    """The file and line of the field, or of the nearest mapping around it; else `origin`."""
    place = origin
    for name in field:
        try:
            data, place = data[name], str(data.places[name])
        except (AttributeError, LookupError, TypeError):
            break
    return place


def _rule(record: type[Record], details: list[ErrorDetails]) -> str:
    """The rule that one field breaks, its value, and a hint."""
    first = details[0]
    value, context = first["input"], first.get("ctx", {})
    match first["type"]:
        case "value_error":
            error = context["error"]
            return error.rule if isinstance(error, FieldError) else str(error)
        case "missing":
            return "required, but missing"
        case "extra_forbidden":
            known = _known_fields(record, first["loc"])
            return f"unknown field{suggestion(str(first['loc'][-1]), known) or '; known: ' + _listed(known)}"
        case "union_tag_not_found":
            is_axis = first["loc"][1:] == ("component",)
            layers = "; or give variants and a pattern of them" if is_axis else ""
            return f"required, but missing; known: {', '.join(_kinds(record, first['loc']))}{layers}"
        case "union_tag_invalid":
            known = _kinds(record, first["loc"])
            return f"unknown kind {shown(value['kind'])}; known: {', '.join(known)}{suggestion(context['tag'], known)}"
        case "too_short":
            least = context["min_length"]
            return f"must have at least {least} {'entry' if least == 1 else 'entries'}, not {context['actual_length']}"
    expected = " or ".join(_expected(each) for each in details)
    return f"must be {expected}, not {shown(value)}{_number_hint(value, details)}"


def _expected(details: ErrorDetails) -> str:
    context: dict[str, Any] = details.get("ctx", {})
    match details["type"]:
        case "literal_error":
            return str(context["expected"]).replace("'", "")
        case "string_pattern_mismatch":
            return _PATTERNS[context["pattern"]]
        case known if known in _EXPECTED:
            bounds = {name: number(bound) for name, bound in context.items() if isinstance(bound, int | float)}
            return _EXPECTED[known].format_map(bounds)
        case _:
            return details["msg"].removeprefix("Input should be ")


def _number_hint(value: Any, details: list[ErrorDetails]) -> str:
    """A hint on how to write a number that YAML 1.1 reads as text: `1e6`, or a number in quotes."""
    if not isinstance(value, str) or len(value) > 20:
        return ""
    try:
        meant = float(value)
    except ValueError:
        return ""
    wanted = {each["type"] for each in details}
    if "int_type" in wanted and meant.is_integer() and abs(meant) < LARGEST_EXACT:
        return f"; YAML reads this as text: write {int(meant):_}"
    if "float_type" in wanted and abs(meant) < float("inf"):
        mantissa, e, exponent = repr(meant).partition("e")
        return f"; YAML reads this as text: write {mantissa if '.' in mantissa else mantissa + '.0'}{e}{exponent}"
    return ""


# --- from pydantic's locations to fields ----------------------------------------------------------------------------
#
# A location names fields, keys and indexes, and also the union member that pydantic tried. Only the types tell these
# apart: a variant may be named `dense` and be of kind `dense`.


MOST_FIELDS = 24  # that an error lists


def _listed(fields: list[str]) -> str:
    """The fields, or the first of many and where to find all."""
    if len(fields) <= MOST_FIELDS:
        return ", ".join(fields)
    return f"{', '.join(fields[:MOST_FIELDS])} and {len(fields) - MOST_FIELDS} more; `llmarch schema` has all"


def _known_fields(record: type[Record], loc: FieldPath) -> list[str]:
    """The valid fields of the record with the unknown field at `loc`."""
    _, inner = _locate(record, loc[:-1])
    return list(inner.field_defaults) if _is_record(inner) else []


def _kinds(record: type[Record], loc: FieldPath) -> list[str]:
    """The valid kinds of the component at `loc`."""
    _, union = _locate(record, loc)
    return [tag for member in get_args(union) for tag in _tags(member)]


def _locate(record: type[Record], loc: FieldPath) -> tuple[FieldPath, Any]:
    """The path to an error in the file, and the type expected there."""
    field: list[str | int] = []
    expected: Any = record
    for name in loc:
        expected = _required(expected)
        if get_origin(expected) in (Union, UnionType):
            expected = next((member for member in get_args(expected) if name in _tags(member)), None)
        elif _is_record(expected):
            field.append(name)
            known = expected.model_fields.get(str(name))
            expected = known.annotation if known else None
        elif name != "[key]":  # an entry of a mapping or of a list
            field.append(name)
            expected = get_args(expected)[-1 if get_origin(expected) is dict else 0]
    return tuple(field), _required(expected)


def _required(annotation: Any) -> Any:
    """Strip metadata and None from an annotation."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        elif get_origin(annotation) in (Union, UnionType):
            members = [member for member in get_args(annotation) if member is not NoneType]
            if len(members) > 1:
                return annotation
            annotation = members[0]
        else:
            return annotation


def _tags(member: Any) -> tuple[str, ...]:
    """The names that pydantic gives a union member: its tag, or its kinds."""
    tags = [each.tag for each in getattr(member, "__metadata__", ()) if isinstance(each, Tag)]
    record = _required(member)
    if not tags and _is_record(record) and "kind" in record.field_defaults:
        tags = list(get_args(record.model_fields["kind"].annotation))
    return tuple(tags)


def _is_record(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Record)
