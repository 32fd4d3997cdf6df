"""What people type: short forms of options, and a clear error for an option that is given twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from typer.core import TyperCommand, TyperGroup

from llmarch_cli.errors import InputError

JSON = "--json"
FORMAT = "--format"


# Typer's own words take two lines each on a narrow screen.
_COMPLETION = {
    "install_completion": "Install completion for the current shell.",
    "show_completion": "Print completion for the current shell.",
}


def plain(params: Iterable[Any]) -> list[Any]:
    """The parameters of a command, whose help shows no Python types: what an argument is, its help says."""
    found = list(params)
    for param in found:
        if getattr(param, "is_bool_flag", False) and param.metavar is None:
            param.metavar = ""
        if param.param_type_name == "argument":
            param.display_type_rich = _no_type
        if param.name in _COMPLETION:
            param.help = _COMPLETION[param.name]
        if hasattr(param, "get_runtime_param"):
            param.get_runtime_param = _Conversion(param, param.get_runtime_param).itself
    return found


def _no_type(ctx: Any) -> None:
    return None


class _Conversion:
    """What Typer makes of a text, without pydantic: to load that takes longer than most commands run.

    Args:
        param: an option or an argument of Typer.
        usual: gives Typer's own conversion, which is used for all but text and what has a parser.
    """

    def __init__(self, param: Any, usual: Callable[[], Any]) -> None:
        kind, parser = param.type_descriptor.annotation, param.type_descriptor.parameter_info.parser
        self._one: Callable[[Any], Any] | None = parser or (str if kind in (str, list[str]) else None)
        self._usual = usual

    def itself(self) -> _Conversion:
        """Return this object, in the place of what builds Typer's."""
        return self

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """The value of an option as its command gets it; of an option with several values, all of them."""
        is_several = param.multiple or param.nargs == -1
        if value is None:
            return () if is_several else None
        if self._one is None:
            return self._usual().coerce(value, param=param, ctx=ctx)
        return list(map(self._one, value)) if is_several else self._one(value)


class Group(TyperGroup):
    """A group of commands whose help shows no Python types."""

    def get_params(self, ctx: Any) -> list[Any]:
        return plain(super().get_params(ctx))


class Command(TyperCommand):
    """A command that knows `--json`, and takes each option once if it has one value."""

    def get_params(self, ctx: Any) -> list[Any]:
        return plain(super().get_params(ctx))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments. Raises InputError for an option of one value that is given twice."""
        named = list(args)
        if JSON in named and any(FORMAT in param.opts for param in self.params):
            at = named.index(JSON)
            named[at : at + 1] = [FORMAT, "json"]
        if not ctx.resilient_parsing:
            self._require_once(ctx, named)
        return super().parse_args(ctx, named)

    def _require_once(self, ctx: Any, args: list[str]) -> None:
        """Without this, the last one would count, in silence."""
        _, _, order = self.make_parser(ctx).parse_args(args=list(args))
        for param, times in Counter(order).items():
            is_single = param.param_type_name == "option" and not (param.multiple or getattr(param, "is_flag", False))
            if is_single and times > 1:
                raise InputError(f"{param.opts[0]} is given {times} times, but `{ctx.command_path}` takes one")
