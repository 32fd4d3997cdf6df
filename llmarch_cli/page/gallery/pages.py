"""The pages of a gallery, each a template and what it shows.

To add a page: its template in `templates/`, a function below, and its line in `_NAVIGATION`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmarch_cli.claims import claims
from llmarch_cli.claims.table import findings
from llmarch_cli.components.mechanism import Mechanism
from llmarch_cli.page import data
from llmarch_cli.page.gallery import facts, mechanisms, relations, strip, timeline, yaml_text
from llmarch_cli.page.gallery.entries import Edge, Entry, edges, is_bundled
from llmarch_cli.page.script import joined
from llmarch_cli.page.tables import shown
from llmarch_cli.profilers.profile import Profile
from llmarch_cli.report import sheet
from llmarch_cli.report.columns import Metric, metric, titled
from llmarch_cli.report.formats.grid import one_line
from llmarch_cli.report.highlights import highlights, named
from llmarch_cli.report.layout import is_moe
from llmarch_cli.specs import spec_file
from llmarch_cli.specs.loading import extended
from llmarch_cli.version import __version__

if TYPE_CHECKING:
    from jinja2 import Environment

_HERE = Path(__file__).parent
INDEX = "index.html"

# The columns of the index, with short headings.
COLUMNS = {
    "model": "model",
    "released": "released",
    "params": "size",
    "active_params": "active",
    "context_window": "context window",
    "cache_bytes": "cache",
    "kv_bytes_per_token": "KV per token",
    "kv_times_smaller": "smaller than MHA",
    "flops_per_token": "FLOPs per token",
}
TILES = ("params", "active_params", "cache_bytes", "kv_bytes_per_token", "flops_per_token", "context_window")
MOST_RELATIVES = 6  # in a plot
_SEARCHED = "attention heads positions ffn license".split()
_NAVIGATION = (
    (INDEX, "Models"),
    ("timeline.html", "Timeline"),
    ("family.html", "Family tree"),
    ("compare.html", "Compare"),
    (mechanisms.PAGE, "Mechanisms"),
)
_SCRIPTS = {
    "index": "elements figures context address",
    "model": "elements figures context drawings",
    "compare": "elements figures context pair drawings address",
    "timeline": "marks",
}


@dataclass(frozen=True)
class Gallery:
    """All pages. `docs` is the address of the documentation from here, with a slash at its end."""

    models: Sequence[Entry]
    docs: str | None

    def files(self) -> Iterator[tuple[str, bytes]]:
        """The name and the content of each file."""
        for name, text in self._texts():
            yield name, text.encode("utf-8")

    def _texts(self) -> Iterator[tuple[str, str]]:
        yield "gallery.css", self._style()
        yield "theme.js", (_HERE / "scripts" / "theme.js").read_text(encoding="utf-8")
        for name, parts in _SCRIPTS.items():
            yield f"{name}.js", joined(parts, _HERE / "scripts" / f"{name}.js")
        yield from self._data()
        yield INDEX, self._page("index", "Models", **self._index())
        yield "timeline.html", self._page("timeline", "Timeline", **self._timeline())
        yield "family.html", self._page("family", "Family tree", **self._family())
        yield "compare.html", self._page("compare", "Compare", **self._compare())
        yield mechanisms.PAGE, self._page("mechanisms", "Mechanisms", **self._mechanisms())
        for entry in self.models:
            title = entry.name
            yield f"models/{entry.slug}.html", self._page("model", title, up="../", **self._model(entry))

    # What pages share.

    @cached_property
    def _environment(self) -> Environment:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined

        made = Environment(
            loader=FileSystemLoader([_HERE / "templates", _HERE.parent]),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        made.filters["line"] = one_line
        made.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
        return made

    def _page(self, template: str, title: str, up: str = "", **values: Any) -> str:
        docs = None if self.docs is None else mechanisms.from_page(self.docs, up)
        return self._environment.get_template(f"{template}.html.j2").render(
            title=title,
            up=up,
            own=f"{template}.html",
            navigation=_NAVIGATION,
            docs=docs,
            version=__version__,
            n_models=len(self.models),
            **values,
        )

    def _style(self) -> str:
        from llmarch_cli.drawings import inline

        own = (_HERE.parent / "page.css", _HERE / "gallery.css")
        return "\n".join([*(path.read_text(encoding="utf-8") for path in own), inline.style(), strip.style(), ""])

    @cached_property
    def _profiles(self) -> list[Profile]:
        return [entry.profile for entry in self.models]

    @cached_property
    def _figures(self) -> list[dict[str, Any]]:
        """The data of each model, as the report's page has it."""
        return data.models(self._profiles)

    @cached_property
    def _settings(self) -> dict[str, Any]:
        return data.settings(self._profiles)

    @cached_property
    def _edges(self) -> list[Edge]:
        return list(edges(self.models))

    @cached_property
    def _workload(self) -> str:
        return f"{self._profiles[0].workload.settings.capitalize()}."

    def _tags(self, entry: Entry, up: str = "") -> list[mechanisms.Tag]:
        return mechanisms.tags(entry.spec, self.docs, up)

    # The index.

    def _index(self) -> dict[str, Any]:
        columns = [replace(metric(key), title=title) for key, title in COLUMNS.items()]
        pairs = zip(self.models, self._figures, strict=True)
        newest = sorted(pairs, key=lambda pair: str(pair[0].spec.released or ""), reverse=True)
        of_tags = {tag.name: tag.title for entry in self.models for tag in self._tags(entry)}
        return {
            "columns": columns,
            "rows": [self._row(entry, columns) for entry, _ in newest],
            "settings": self._reduced(list(COLUMNS)),
            "data": [self._light(*pair) for pair in newest],
            "organizations": sorted({entry.organization for entry in self.models if entry.organization}, key=str.lower),
            "years": sorted({entry.spec.released.year for entry in self.models if entry.spec.released}, reverse=True),
            "tags": sorted(of_tags.items(), key=lambda pair: pair[1].lower()),
            "metrics": columns,
            "legend": [(key, words) for key, words in strip.WORDS.items() if key in self._strips],
            "workload": self._workload,
        }

    @cached_property
    def _strips(self) -> set[str]:
        return {key for entry in self.models for key in strip.used(entry.spec)}

    def _row(self, entry: Entry, columns: Sequence[Metric]) -> dict[str, Any]:
        return {
            "entry": entry,
            "line": highlights(entry.spec),
            "strip": facts.markup(strip.strip(entry.spec)),
            "tags": self._tags(entry),
            "cells": [one_line(each.unit.write(each.value(entry.profile))) for each in columns[1:]],
        }

    def _reduced(self, keys: Sequence[str]) -> dict[str, Any]:
        """The settings of the report's page for some of its metrics."""
        settings = self._settings
        by_context = [each for each in settings["by_context"] if each["key"] in {*keys, "beyond_context_window"}]
        kept = {"context": settings["context"], "longest": settings["longest"], "by_context": by_context}
        return {**kept, "numeric": [key for key in settings["numeric"] if key in keys]}

    def _light(self, entry: Entry, figures: Mapping[str, Any]) -> dict[str, Any]:
        """What the index needs of a model's data: lines of its columns, sort keys, and words to search."""
        by_context = self._reduced(list(COLUMNS))["by_context"]
        needed = {key for each in by_context for key in (each["ratio_of"] or [each["key"]])}
        words = " ".join(figures["values"][key]["exact"] for key in _SEARCHED)
        return {
            "slug": entry.slug,
            "id": figures["id"],
            "organization": entry.organization,
            "is_moe": is_moe(entry.spec),
            "tags": [tag.name for tag in self._tags(entry)],
            "words": words.lower(),
            "lines": {key: line for key, line in figures["lines"].items() if key in needed},
            "parts": {key: parts for key, parts in figures["parts"].items() if key in needed},
            "values": {key: figures["values"][key]["order"] for key in COLUMNS if not metric(key).by_context},
        }

    # Data that pages load as scripts, since a page on a disk may read no other file.

    def _data(self) -> Iterator[tuple[str, str]]:
        for entry, figures, drawn in zip(self.models, self._figures, self._drawings, strict=True):
            text = json.dumps({**figures, "drawing": drawn}, separators=(",", ":"))
            yield f"data/{entry.slug}.js", f'(globalThis.llmarchModels ??= new Map()).set("{entry.slug}",{text});\n'

    @cached_property
    def _drawings(self) -> list[Any]:
        """Each model's drawing as data, all with layers that begin at one height; None if it is too large to draw."""
        from llmarch_cli.drawings import inline
        from llmarch_cli.drawings.picture import apart

        drawn = [profile for profile in self._profiles if facts.can_be_drawn(profile)]
        made = zip(drawn, apart(drawn, "this context"), strict=True) if drawn else ()
        trees = {id(profile): inline.tree(one, data.in_words(profile)) for profile, one in made}
        return [trees.get(id(profile)) for profile in self._profiles]

    # A model's page.

    def _model(self, entry: Entry) -> dict[str, Any]:
        spec, profile = entry.spec, entry.profile
        tables = {table.name: table for table in sheet.sheet(profile)}
        return {
            "entry": entry,
            "line": highlights(spec),
            "tags": self._tags(entry, "../"),
            "tiles": [facts.figure(metric(key), profile) for key in TILES],
            "groups": facts.groups(profile),
            "metrics": [each for each in titled(data.SHOWN, profile.workload) if each.convention],
            "settings": self._reduced([each.key for each in data.SHOWN]),
            "strip": facts.markup(
                strip.strip(spec, f"Layers from the first, left, to the last: {facts.layers_in_words(spec)}")
            ),
            "legend": [(key, strip.WORDS[key]) for key in strip.used(spec)],
            "layers": shown(tables["layers"]),
            "components": shown(tables["components"]),
            "prediction": shown(tables["mtp_components"]) if tables["mtp_components"].rows else None,
            "published": shown(tables["published"]) if tables["published"].rows else None,
            "drawing": facts.drawing(profile),
            "plots": list(facts.plots(profile, self._relatives(entry))),
            "extends": [relations.told(edge) for edge in self._edges if edge.child is entry],
            "extended": [relations.told(edge) for edge in self._edges if edge.parent is entry],
            "claims": self._claims.get(spec.id, ()) if is_bundled(entry) else (),
            "yaml": facts.markup(yaml_text.coloured(entry.written)),
            "resolved": facts.markup(yaml_text.coloured(spec_file.render(spec))) if _extends(entry) else None,
            "others": [other for other in self.models if other is not entry],
            "workload": self._workload,
            "context": profile.workload.context,
        }

    def _relatives(self, entry: Entry) -> list[Profile]:
        """What a model extends and what extends it, if that has other figures."""
        found = [edge.difference.before for edge in self._edges if edge.child is entry]
        found += [edge.child.profile for edge in self._edges if edge.parent is entry]
        return [each for each in found if each.total != entry.profile.total][:MOST_RELATIVES]

    @cached_property
    def _claims(self) -> dict[str, list[dict[str, Any]]]:
        """The statements about each bundled model, measured in closed form: those that do not hold first."""
        ids = {entry.spec.id for entry in self.models}
        sections = [
            (section, [claims.measure(claim, "closed-form") for claim in section.claims if ids & {*claim.models}])
            for section in claims.read(claims.bundled()).sections
        ]
        found: dict[str, list[dict[str, Any]]] = {}
        for row in (row for table in findings(sections, ()) if table.name == "claims" for row in table.rows):
            models = str(row["models"]).split(", ")
            for name in models:
                found.setdefault(name, []).append({**row, "models": models})
        return found

    # The other pages.

    def _timeline(self) -> dict[str, Any]:
        dated = sorted(
            (entry for entry in self.models if entry.spec.released), key=lambda e: str(e.spec.released), reverse=True
        )
        groups = {entry.slug: mechanisms.group(entry.spec) for entry in dated}
        columns = [metric(key) for key in ("released", *timeline.CHARTS)]
        return {
            "charts": [replace(chart, svg=facts.markup(chart.svg)) for chart in timeline.charts(self.models)],
            "groups": [
                (name, words, facts.markup(timeline.key_mark(name, moe=True)))
                for name, words in mechanisms.GROUPS.items()
                if name in groups.values()
            ],
            "filled": facts.markup(timeline.key_mark("full", moe=True)),
            "hollow": facts.markup(timeline.key_mark("full", moe=False)),
            "columns": columns,
            "rows": [
                (entry, mechanisms.GROUPS[groups[entry.slug]], [c.unit.write(c.value(entry.profile)) for c in columns])
                for entry in dated
            ],
            "undated": [entry for entry in self.models if not entry.spec.released],
            "workload": self._workload,
            "context": self._profiles[0].workload.context,
        }

    def _family(self) -> dict[str, Any]:
        trees, alone = relations.trees(self.models, self._edges)
        return {"trees": trees, "alone": alone}

    def _compare(self) -> dict[str, Any]:
        settings = {**self._settings, "models": {entry.slug: entry.id for entry in self.models}}
        del settings["columns"]
        return {
            "settings": settings,
            "metrics": titled(data.SHOWN, *(profile.workload for profile in self._profiles)),
            "workload": self._workload,
        }

    def _mechanisms(self) -> dict[str, Any]:
        having: dict[str, list[Entry]] = {}
        every: dict[str, Mechanism] = {}
        for entry in self.models:
            for tag, each in named(entry.spec).items():
                having.setdefault(tag, []).append(entry)
                every.setdefault(tag, each)
        said = [
            {
                "mechanism": each,
                "words": mechanisms.words(each),
                "address": mechanisms.address(each, self.docs),
                "models": having[tag],
            }
            for tag, each in sorted(every.items(), key=lambda pair: pair[1].title.lower())
        ]
        return {"mechanisms": said}


def _extends(entry: Entry) -> bool:
    return entry.path is not None and extended(entry.path) is not None
