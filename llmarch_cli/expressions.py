"""Expressions over metrics, such as `params <= 30B and kv_cache_bytes@128k <= 2GiB`: parsed, never run as code.

Python's parser builds the syntax tree, and everything outside an allow-list is an error. Allowed are names,
numbers with units, `+ - * /`, comparisons, `and`, `or`, `not`, and functions that the caller defines. All arithmetic is
exact.
"""

from __future__ import annotations

import ast
import operator
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from typing import Any

from llmarch_cli.errors import InputError, shown

MAX_CHARACTERS = 2_000
MAX_DEPTH = 100  # of nested operators and parentheses

UNITS: dict[str, int | Fraction] = {
    **dict(zip("KMBT", (10**3, 10**6, 10**9, 10**12), strict=True)),
    **dict(zip(("KiB", "MiB", "GiB", "TiB"), (2**10, 2**20, 2**30, 2**40), strict=True)),
    "%": Fraction(1, 100),
}
TOKENS = {"": 1, "k": 2**10, "M": 2**20}

_NUMBER = r"(?<![\w.])[0-9][0-9_]*(?:\.[0-9]+)?"
_UNIT = "|".join(map(re.escape, sorted(UNITS, key=len, reverse=True)))
_NUMBER_WITH_UNIT = re.compile(rf"({_NUMBER})( ?(?:{_UNIT}))(?!\w)")
_LITERAL = re.compile(r"[0-9_]*\.?[0-9_]*(?:[eE][-+]?[0-9]{1,3})?")  # exponents below 1000 keep exact arithmetic fast
_CONTEXT = re.compile(r"@([0-9]+(?:_[0-9]+)*)(k|M|)(?!\w)")

_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: lambda left, right: (Fraction(left) if isinstance(left, int) else left) / right,
}
_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
# Not `and` and `or`, which do not work on columns.
_LOGIC: dict[type[ast.boolop], Callable[[Any, Any], Any]] = {ast.And: operator.and_, ast.Or: operator.or_}
_CONSTANTS = {"true": True, "false": False, "null": None}


@dataclass(frozen=True, slots=True)
class Reference:
    """A dotted name in an expression, and the context after `@`, as in `kv_cache_bytes@8k`; None if not given."""

    name: str
    context: int | None = None

    def __str__(self) -> str:
        return self.name if self.context is None else f"{self.name}@{self.context}"


Lookup = Callable[[Reference], Any]
Call = Callable[[str, "Expression"], Any]


class Expression:
    """A parsed expression. Raises InputError with the offending part if `text` is invalid."""

    def __init__(self, text: str) -> None:
        self.text = text.strip()
        self.units: dict[int, int | Fraction] = {}  # offset of a number's first character -> its unit
        self.contexts: dict[int, int] = {}  # offset of a name's end -> its context
        self.node = self._parsed()
        self._check_depth()
        nodes = [node for node in ast.walk(self.node) if isinstance(node, ast.expr)]
        for node in nodes:
            self._check(node)
        ends = {node.end_col_offset for node in nodes if isinstance(node, ast.Name | ast.Attribute)}
        if stray := sorted(set(self.contexts) - ends):
            raise InputError(f"{shown(self.text)}: '@' at character {stray[0] + 1} does not follow a name")

    @classmethod
    def _part(cls, whole: Expression, node: ast.expr) -> Expression:
        part = cls.__new__(cls)
        part.text, part.units, part.contexts, part.node = whole.text, whole.units, whole.contexts, node
        return part

    def __str__(self) -> str:
        return self._source(self.node)

    def references(self) -> list[Reference]:
        """All names in the expression, except those in arguments of functions."""
        return list(dict.fromkeys(self._figures(self.node)))

    def value(self, lookup: Lookup, call: Call | None = None) -> Any:
        """Evaluate the expression.

        Args:
            lookup: returns the value of a name: a number, text, a truth value, None, or a column with operators.
            call: returns the result of a function, by its name and its unevaluated argument; None allows no functions.

        Raises InputError for a division by zero and for operands of different types, and whatever `lookup` and `call`
        raise.
        """
        try:
            return self._value(self.node, lookup, call)
        except ZeroDivisionError:
            raise InputError(f"{self}: division by zero") from None
        except TypeError:
            raise InputError(f"{self}: compares or combines values of different types") from None

    def _parsed(self) -> ast.expr:
        if len(self.text) > MAX_CHARACTERS:
            raise InputError(f"an expression of {len(self.text):,} characters exceeds the limit of {MAX_CHARACTERS:,}")
        if not self.text.isascii() or not self.text.isprintable():
            raise InputError(f"{shown(self.text)}: an expression must be one line of ASCII")

        # Blank out units and contexts, so that all offsets stay valid.
        def blank_unit(match: re.Match[str]) -> str:
            self.units[match.start()] = UNITS[match[2].strip()]
            return match[1] + " " * len(match[2])

        def blank_context(match: re.Match[str]) -> str:
            self.contexts[match.start()] = int(match[1]) * TOKENS[match[2]]
            return " " * len(match[0])

        source = _NUMBER_WITH_UNIT.sub(blank_unit, _CONTEXT.sub(blank_context, self.text))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # such as `7or 8`
                return ast.parse(source.rstrip(), mode="eval").body
        except (SyntaxError, Warning, RecursionError, MemoryError, ValueError):
            raise InputError(
                f"{shown(self.text)}: not an expression; an example: 'params <= 30B and kv_cache_bytes <= 2GiB'"
            ) from None

    def _check_depth(self) -> None:
        level: list[ast.AST] = [self.node]
        for _ in range(MAX_DEPTH):
            level = [inner for node in level for inner in ast.iter_child_nodes(node)]
            if not level:
                return
        raise InputError(f"{shown(self.text)}: more than {MAX_DEPTH} nested operators and parentheses")

    def _check(self, node: ast.expr) -> None:
        match node:
            case ast.BinOp(op=op) if type(op) in _ARITHMETIC:
                return
            case ast.BoolOp() | ast.UnaryOp(op=ast.Not() | ast.USub()):
                return
            case ast.Compare(ops=ops) if all(type(op) in _COMPARISONS for op in ops):
                return
            case ast.Constant(value=bool() | None):
                hint = "; write true, false or null"
            case ast.Constant(value=str()):
                return
            case ast.Constant(value=int() | float()) if _LITERAL.fullmatch(self._source(node)):
                return
            case ast.Constant(value=int() | float()):
                hint = "; write numbers in decimal, with an exponent below 1000"
            case ast.Name() | ast.Attribute() if _dotted(node) is not None:
                return
            case ast.Call(args=[_], keywords=[], func=func) if _dotted(func) is not None:
                return
            case _:
                hint = ""
        raise InputError(
            f"{shown(self.text)}: {shown(self._source(node))} is not allowed;"
            f" allowed: names, numbers, + - * /, comparisons, and, or, not{hint}"
        )

    def _figures(self, node: ast.AST) -> Iterator[Reference]:
        match node:
            case ast.Name() | ast.Attribute():
                if (name := str(_dotted(node))) not in _CONSTANTS:
                    yield self._figure(node, name)
            case ast.Call():
                return
            case _:
                for inner in ast.iter_child_nodes(node):
                    yield from self._figures(inner)

    def _value(self, node: ast.expr, lookup: Lookup, call: Call | None) -> Any:
        def value(inner: ast.expr) -> Any:
            return self._value(inner, lookup, call)

        match node:
            case ast.BinOp(left=left, op=op, right=right):
                return _ARITHMETIC[type(op)](_number(value(left)), _number(value(right)))
            case ast.BoolOp(op=op, values=values):
                return reduce(_LOGIC[type(op)], (_truth(value(inner)) for inner in values))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return _truth(value(operand)) ^ True  # works on columns, unlike `not`
            case ast.UnaryOp(operand=operand):
                return -_number(value(operand))
            case ast.Compare(left=left, ops=ops, comparators=comparators):
                values = [value(left), *map(value, comparators)]
                pairs = zip(ops, values, values[1:], strict=False)
                return reduce(operator.and_, (_compared(_COMPARISONS[type(op)], a, b) for op, a, b in pairs))
            case ast.Constant(value=str()):
                return ast.literal_eval(str(self._source(node)))
            case ast.Constant():
                number = Fraction(self._source(node).replace("_", "")) * self.units.get(node.col_offset, 1)
                return int(number) if number.denominator == 1 else number
            case ast.Call(func=func, args=[argument]):
                name = str(_dotted(func))
                if call is None:
                    raise InputError(f"{shown(self.text)}: unknown function {name}")
                return call(name, Expression._part(self, argument))
            case _:
                name = str(_dotted(node))
                return _CONSTANTS[name] if name in _CONSTANTS else lookup(self._figure(node, name))

    def _figure(self, node: ast.expr, name: str) -> Reference:
        return Reference(name, self.contexts.get(node.end_col_offset or 0))

    def _source(self, node: ast.expr) -> str:
        return ast.get_source_segment(self.text, node) or self.text


def _truth(value: Any) -> Any:
    """Return a truth value or a column of them. Raises TypeError for anything else."""
    if value is None or (isinstance(value, int | Fraction | str) and not isinstance(value, bool)):
        raise TypeError
    return value


def _compared(compare: Callable[[Any, Any], Any], left: Any, right: Any) -> Any:
    """Compare two values. Raises TypeError for a number and a boolean, which Python would compare as numbers."""
    numbers = all(isinstance(each, int | Fraction) for each in (left, right))
    if numbers and isinstance(left, bool) != isinstance(right, bool):
        raise TypeError
    return compare(left, right)


def _number(value: Any) -> Any:
    """Return a number or a column of them. Raises TypeError for anything else."""
    if value is None or isinstance(value, bool | str):
        raise TypeError
    return value


def _dotted(node: ast.expr) -> str | None:
    """`a.b.c` for a name with attributes, None for any other node."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=attr):
            return None if (before := _dotted(value)) is None else f"{before}.{attr}"
        case _:
            return None
