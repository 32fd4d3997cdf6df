"""A spec as a YAML file that loads again and gives an equal spec: `extends` resolved, defaults left out."""

from __future__ import annotations

from typing import Any

import yaml

from llmarch_cli.spec import ModelSpec


def render(spec: ModelSpec) -> str:
    """The YAML text, ending in a newline."""
    data = _plain(spec.model_dump(exclude_defaults=True))
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, default_flow_style=None, width=116)


def _plain(value: Any) -> Any:
    """Lists for tuples, which YAML's plain types lack; a component's kind before what depends on it."""
    match value:
        case dict():
            return {name: _plain(value[name]) for name in sorted(value, key=lambda name: name != "kind")}
        case list() | tuple():
            return [_plain(inner) for inner in value]
        case _:
            return value
