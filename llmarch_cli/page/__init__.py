"""A comparison as one HTML file without network access: table, pairs of models, plots, drawings and conventions."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from llmarch_cli.page.data import COLUMNS, SHOWN, Once, in_words, models, packed, settings
from llmarch_cli.page.fits import fits
from llmarch_cli.page.script import joined
from llmarch_cli.profilers.profile import Profile
from llmarch_cli.report.columns import titled
from llmarch_cli.report.comparison import comparison
from llmarch_cli.report.plots.data import Kind
from llmarch_cli.version import __version__

_HERE = Path(__file__).parent

# What the box beside a curve or point says, by the kind of the plot.
_NAMED: dict[Kind, str] = {"cache": "cache_bytes", "flops": "flops_per_token", "active": "params active_params"}

MOST_PLOTTED = 200  # models in the plots of a page; of more, no reader could tell one curve or bar from another


def render(profiles: Sequence[Profile], with_pictures: bool = True, opening: Sequence[str] = ()) -> str:
    """The page, always the same bytes. It opens with the two models in `opening` if it has both, else the first two.

    Raises InputError if pictures are wanted but matplotlib is not installed.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    script = joined("elements figures fits context pair drawings marks", _HERE / "page.js")
    workload = profiles[0].workload
    fitted = fits(profiles)
    shown = _numbers(profiles, opening)
    described, known = models(profiles), Once()
    data = [{**each, "fit": table} for each, table in zip(packed(described, known), fitted.packed(known), strict=True)]
    drawn, shapes = _architectures(profiles, shown) if with_pictures else ((), ())
    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("page.html.j2").render(
        script=Markup(script),
        script_hash=b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        style=Markup("\n".join(_styles(with_pictures))),
        version=__version__,
        metrics=titled(SHOWN, workload),
        columns=COLUMNS,
        models=described,
        opening=shown,
        settings={**settings(profiles), "fit": fitted.settings, "plotted": MOST_PLOTTED, "known": known.all},
        data=data,
        fit_note=fitted.note,
        organizations=sorted({p.spec.organization for p in profiles if p.spec.organization}, key=str.lower),
        notes=(f"{workload.settings.capitalize()}.", comparison(profiles).notes[-1]),
        plots=_plots(profiles[:MOST_PLOTTED]) if with_pictures else (),
        n_plotted=min(len(profiles), MOST_PLOTTED),
        architectures=drawn,
        shapes=shapes,
    )


def opening() -> list[str]:
    """The models that the page of all bundled models opens with."""
    import yaml

    return list(yaml.safe_load((_HERE / "opening.yaml").read_text(encoding="utf-8")))


def _numbers(profiles: Sequence[Profile], opening: Sequence[str]) -> tuple[int, int]:
    """The numbers of the two models that are shown first."""
    ids = [profile.spec.id for profile in profiles]
    if opening and set(opening) <= {*ids}:
        first, second = map(ids.index, opening)
        return first, second
    return 0, min(1, len(ids) - 1)


def _styles(with_pictures: bool) -> Iterator[str]:
    yield (_HERE / "page.css").read_text(encoding="utf-8").rstrip()
    if with_pictures:
        from llmarch_cli.drawings import inline

        yield inline.style()


def _plots(profiles: Sequence[Profile]) -> list[dict[str, Any]]:
    from markupsafe import Markup

    from llmarch_cli.page.svg import inline
    from llmarch_cli.report.plots.data import KINDS, MOST_CURVES, plot

    is_many = len(profiles) > MOST_CURVES  # then the page colours and names the curves of the two that are chosen
    drawn = [(kind, plot(kind, profiles, () if is_many else None)) for kind in KINDS]
    return [
        {
            "title": one.title,
            "svg": Markup(inline(one, f"plot-{kind}")),
            "is_many": is_many,
            "metrics": _NAMED.get(kind, ""),
        }
        for kind, one in drawn
    ]


def _architectures(profiles: Sequence[Profile], shown: Sequence[int]) -> tuple[list[Any], list[Any]]:
    """Each model's drawing, without a context of its own: the reader chooses one for the whole page.

    Those of the models shown first are whole. The others list their shapes, which are returned too, each once.
    """
    from markupsafe import Markup

    from llmarch_cli.drawings import inline
    from llmarch_cli.drawings.picture import apart

    shared = inline.Shared()
    drawn = [
        Markup((inline.element if i in shown else shared.element)(one, in_words(profile), **{"data-number": str(i)}))
        for i, (profile, one) in enumerate(zip(profiles, apart(profiles, "this context"), strict=True))
    ]
    return drawn, [Markup(shape) for shape in shared.shapes]
