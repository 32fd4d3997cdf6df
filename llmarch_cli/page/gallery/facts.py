"""What a model's page shows of its profile: figures by group, drawing and plots. Markup of other sorts as well."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from llmarch_cli.errors import InputError
from llmarch_cli.page import data
from llmarch_cli.page.gallery import curves
from llmarch_cli.profilers.profile import Profile
from llmarch_cli.report.columns import Metric, titled
from llmarch_cli.report.formats.grid import one_line
from llmarch_cli.report.layout import order
from llmarch_cli.report.plots.data import CURVED, Curve, Curves, plot
from llmarch_cli.specs.pairs import AXES
from llmarch_cli.specs.spec import ModelSpec

_WITHOUT = "multi-head attention"

# What a model's page says elsewhere, or of the workload.
_LEFT_OUT = frozenset(
    "model name organization released license source highlights mechanisms layout context_tokens batch kv_dtype"
    " state_dtype engine prefix_tokens beyond_context_window".split()
)


def markup(text: str) -> Any:
    """Markup that this package has made: an element that was built as such."""
    from markupsafe import Markup

    return Markup(text)


def can_be_drawn(profile: Profile) -> bool:
    """Whether the model is not too large to draw."""
    from llmarch_cli.drawings.model import require_drawable

    try:
        require_drawable(profile.spec)
    except InputError:
        return False
    return True


def drawing(profile: Profile) -> Any:
    """The drawing as an element, on a scale of its own; None if the model is too large to draw."""
    from llmarch_cli.drawings import inline
    from llmarch_cli.drawings.picture import apart

    if not can_be_drawn(profile):
        return None
    (drawn,) = apart([profile], "this context")
    return markup(inline.element(drawn, data.in_words(profile)))


def layers_in_words(spec: ModelSpec) -> str:
    """The order of the layers, for those who cannot see a strip."""
    orders = (f"{axis} {order(spec, axis)}" for axis in AXES)
    return "; ".join(map(one_line, orders))


def plots(profile: Profile, relatives: Sequence[Profile]) -> Iterator[dict[str, Any]]:
    """Cache and FLOPs by context, of a model and its relatives; and the cache of multi-head attention."""
    for kind in CURVED:
        shown = plot(kind, [profile, *relatives])
        assert isinstance(shown, Curves)
        contexts = [context for context, _ in shown.curves[0].points]
        row = profile.kv_cache_bytes_multi_head // profile.workload.context
        without = Curve(_WITHOUT, tuple((each, row * each) for each in contexts), None)
        others = [without] if kind == "cache" and row and not relatives else []
        yield {"title": shown.title, "svg": markup(curves.drawn(shown, others))}


def figure(of: Metric, profile: Profile) -> tuple[Metric, str]:
    """A metric and its value."""
    return of, one_line(of.unit.write(of.value(profile)))


def groups(profile: Profile) -> dict[str, list[tuple[Metric, str]]]:
    """The metrics of the fact sheet by their groups, without those that say nothing of this model."""
    found: dict[str, list[tuple[Metric, str]]] = {}
    for each in titled(data.SHOWN, profile.workload):
        hidden = each.key in _LEFT_OUT or (each.shown == "if any" and not each.value(profile))
        hidden |= each.key == "weight_format" and each.shown == "data"
        if not hidden and each.value(profile) not in (None, ""):
            found.setdefault(each.group, []).append(figure(each, profile))
    return found
