"""A comparison as one HTML file without network access: table, pairs of models, plots, drawings and conventions."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from llmarch_cli.page.data import COLUMNS, SHOWN, in_words, models, settings
from llmarch_cli.page.fits import fits
from llmarch_cli.page.script import joined
from llmarch_cli.profilers.profile import Profile
from llmarch_cli.report.columns import titled
from llmarch_cli.report.comparison import comparison
from llmarch_cli.version import __version__

_HERE = Path(__file__).parent


def render(profiles: Sequence[Profile], with_pictures: bool = True) -> str:
    """The page, always the same bytes. Raises InputError if pictures are wanted but matplotlib is not installed."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    script = joined("elements figures fits context pair drawings", _HERE / "page.js")
    workload = profiles[0].workload
    fitted = fits(profiles)
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
        models=[{**model, "fit": table} for model, table in zip(models(profiles), fitted.tables, strict=True)],
        settings={**settings(profiles), "fit": fitted.settings},
        fit_note=fitted.note,
        organizations=sorted({p.spec.organization for p in profiles if p.spec.organization}, key=str.lower),
        notes=(f"{workload.settings.capitalize()}.", comparison(profiles).notes[1]),
        plots=_plots(profiles) if with_pictures else (),
        architectures=_architectures(profiles) if with_pictures else (),
    )


def _styles(with_pictures: bool) -> Iterator[str]:
    yield (_HERE / "page.css").read_text(encoding="utf-8").rstrip()
    if with_pictures:
        from llmarch_cli.drawings import inline

        yield inline.style()


def _plots(profiles: Sequence[Profile]) -> list[dict[str, Any]]:
    from markupsafe import Markup

    from llmarch_cli.page.svg import inline
    from llmarch_cli.report.plots.data import KINDS, plot

    drawn = [(kind, plot(kind, profiles)) for kind in KINDS]
    return [{"title": one.title, "svg": Markup(inline(one, f"plot-{kind}"))} for kind, one in drawn]


def _architectures(profiles: Sequence[Profile]) -> list[Any]:
    """Each model's drawing, without a context of its own: the reader chooses one for the whole page."""
    from markupsafe import Markup

    from llmarch_cli.drawings import inline
    from llmarch_cli.drawings.picture import apart

    drawn = enumerate(zip(profiles, apart(profiles, "this context"), strict=True))
    return [Markup(inline.element(one, in_words(profile), **{"data-number": str(i)})) for i, (profile, one) in drawn]
