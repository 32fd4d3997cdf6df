"""Parse JSON objects from untrusted files: unique names, short numbers, bounded nesting."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from llmarch_cli.errors import InputError, shown

MAX_DEPTH = 64
MAX_DIGITS = 40


def parse(text: bytes, origin: object, what: str = "it") -> dict[str, Any]:
    """Parse the JSON object in `text`. Raises InputError, which names the file `origin` and its content `what`."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
            raise InputError(f"{origin}: {shown(twice)} is given twice")
        return found

    def whole(digits: str) -> int:
        if len(digits) > MAX_DIGITS:
            raise InputError(f"{origin}: a number of {len(digits):,} digits; at most {MAX_DIGITS} are allowed")
        return int(digits)

    def decimal(digits: str) -> float:
        value = float(digits)
        if value in (float("inf"), float("-inf")):
            raise InputError(f"{origin}: the number {shown(digits)} is too large")
        return value

    def constant(name: str) -> float:
        if name == "NaN":
            raise InputError(f"{origin}: contains {name}, which is not a JSON number")
        return float(name)  # Infinity, which transformers writes for settings without a limit

    try:
        value = json.loads(text, object_pairs_hook=once, parse_int=whole, parse_float=decimal, parse_constant=constant)
    except RecursionError:
        raise InputError(f"{origin}: {what} is nested deeper than {MAX_DEPTH} levels") from None
    except ValueError as error:
        reason = "not UTF-8 text"
        if isinstance(error, json.JSONDecodeError):
            reason = f"line {error.lineno}: {error.msg[:1].lower()}{error.msg[1:]}"
        raise InputError(f"{origin}: {what} is not valid JSON ({reason})") from None
    if not isinstance(value, dict):
        raise InputError(f"{origin}: {what} must be a JSON object, not {shown(value)}")
    if _deeper_than(value, MAX_DEPTH):
        raise InputError(f"{origin}: {what} is nested deeper than {MAX_DEPTH} levels")
    return value


def _deeper_than(value: Any, depth: int) -> bool:
    """Whether lists and objects are nested deeper than `depth` levels."""
    level = [value]
    for _ in range(depth):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True
