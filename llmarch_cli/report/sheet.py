"""The fact sheet of one model: its metrics, layers, components, and the numbers that its authors publish."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from llmarch_cli.profilers.cost import Cost
from llmarch_cli.profilers.profile import Profile
from llmarch_cli.report import units
from llmarch_cli.report.columns import BY_KEY, METRICS, Metric, marks, ratio, rows, titled
from llmarch_cli.report.comparison import notes
from llmarch_cli.report.layout import layer_map
from llmarch_cli.report.table import Column, Shown, Table
from llmarch_cli.report.units import Value
from llmarch_cli.specs.spec import Item, ModelSpec

# Hidden in comparisons, which are wide already.
_ALSO_SHOWN = (
    "active_params_without_input_embedding",
    "active_params_without_embeddings",
    "kv_cache_bytes_multi_head",
)


def _of(key: str, shown: Shown = "always") -> Column:
    """The column of a metric, of components instead of models."""
    return Column(key, BY_KEY[key].title, BY_KEY[key].unit, shown=shown)


_MODEL = Column("model", "model", units.TEXT, "The spec's id; for a YAML file its name.", shown="data")
_COMPONENT, _COUNT = Column("component", "component", units.TEXT), Column("count", "count", units.INTEGER)

# The metrics of a component, each with its share of the total.
_COMPONENT_METRICS = (
    _of("params"),
    _of("active_params"),
    _of("kv_cache_bytes"),
    _of("state_bytes", "if any"),
    _of("partial_bytes", "if any"),
    _of("flops_per_token"),
)
_BUFFERS = _of("buffers", "data")  # readers see the model's total

_LAYER_COLUMNS = (
    Column("sublayer", "sublayer", units.TEXT),
    Column("layers", "layer numbers", units.TEXT, shown="reading"),
    Column("first_layer", "from", units.INTEGER, shown="data"),
    Column("last_layer", "to", units.INTEGER, shown="data"),
    Column("pattern", "layer pattern", units.TEXT),
)

_PUBLISHED_COLUMNS = (
    Column("figure_words", "published", units.TEXT, shown="reading"),
    Column("figure", "metric", units.TEXT, shown="data"),
    Column("published", "theirs", units.PARAMS),
    Column("ours", "ours", units.PARAMS),
    Column("difference", "difference", units.DIFFERENCE, shown="reading"),
    Column("convention", "convention", units.TEXT, shown="data"),
    Column("counted", "authors' convention", units.TEXT, shown="reading"),
)

_CONVENTIONS = {
    "all": "the whole decoder",
    "without_input_embedding": "all but the input embedding and learned positions",
    "without_embeddings": "all but the input embedding, learned positions and the head",
    "with_mtp": "the multi-token-prediction blocks too",
    "with_mtp_without_embeddings": "the multi-token-prediction blocks too, but no embedding and no head",
    "with_vision": "the vision tower too, which is not part of the decoder",
}


def sheet(profile: Profile) -> tuple[Table, ...]:
    """The tables of a fact sheet. The main one is the table of components.

    In data, each row says of which model it is, so that the rows of several sheets can be told apart.
    """
    tables = (_layers(profile.spec), _components(profile), _prediction_blocks(profile), _published(profile))
    return (_model(profile), *(_of_model(table, profile.spec) for table in tables))


def _of_model(table: Table, spec: ModelSpec) -> Table:
    lines = tuple({_MODEL.key: spec.id, **row} for row in table.rows)
    return replace(table, columns=(_MODEL, *table.columns), rows=lines)


def in_a_row(sheets: Sequence[tuple[Table, ...]]) -> tuple[Table, ...]:
    """The tables of sheets one after another; of several, a heading says where each begins."""
    if len(sheets) == 1:
        return sheets[0]
    return tuple(
        replace(table, title=_place(table, number, len(sheets))) if table is tables[0] else table
        for number, tables in enumerate(sheets, start=1)
        for table in tables
    )


def _place(first: Table, number: int, n_sheets: int) -> str:
    named = first.title or str(first.rows[0][_MODEL.key])
    return f"{named} ({number:,} of {n_sheets:,})"


def operators(profile: Profile, counted: Iterable[tuple[Item, Mapping[str, int]]]) -> Table:
    """Each component's FLOPs by operator, as counted by an independent counter."""
    columns = (
        _COMPONENT,
        _COUNT,
        Column("operator", "operator", units.TEXT),
        _of("flops_per_token"),
        Column("share", "share", units.SHARE, shown="reading"),
    )
    whole = profile.flops_per_token
    lines = tuple(
        {
            "component": item.label,
            "count": item.count,
            "operator": operator,
            "flops_per_token": flops * item.count,
            "share": None if item.mtp else ratio(flops * item.count, whole),
        }
        for item, by_operator in counted
        for operator, flops in by_operator.items()
        if flops
    )
    return _of_model(Table("operators", columns, lines, title="By operator", main=False), profile.spec)


def _model(profile: Profile) -> Table:
    metrics = titled(map(_as_shown, METRICS), profile.workload)
    return Table(
        "model",
        metrics,
        rows([profile], metrics),
        notes=tuple(notes([profile], metrics)),
        side_by_side=True,
        main=False,
        marked=marks([profile], metrics),
        specs=(profile.spec,),
    )


def _as_shown(metric: Metric) -> Metric:
    if metric.key in _ALSO_SHOWN:
        return replace(metric, shown="always")
    return replace(metric, shown="if any") if metric.group == "facts" and metric.shown == "data" else metric


def _layers(spec: ModelSpec) -> Table:
    lines = tuple(
        {
            "sublayer": axis,
            "layers": f"{segment.first}-{segment.last}" if segment.last > segment.first else str(segment.first),
            "first_layer": segment.first,
            "last_layer": segment.last,
            "pattern": segment.pattern,
        }
        for axis in ("attention", "ffn")
        for segment in layer_map(spec, axis)
    )
    return Table("layers", _LAYER_COLUMNS, lines, main=False)


def _components(profile: Profile) -> Table:
    columns = [
        column
        for metric in _COMPONENT_METRICS
        for column in (
            replace(metric, group=metric.key),
            Column(f"{metric.key}_share", "share", units.SHARE, shown=_share_shown(metric), group=metric.key),
        )
    ]
    listed = [(item, cost) for item, cost in profile.rows if not item.mtp]
    return Table(
        "components",
        (_COMPONENT, _COUNT, *columns, _BUFFERS),
        tuple(_component(item, cost, profile.total) for item, cost in listed),
        total=_line("total", None, profile.total, profile.total),
        marked=_marked(profile, (*(cost for _, cost in listed), profile.total)),
    )


def _marked(profile: Profile, costs: Iterable[Cost]) -> tuple[frozenset[str], ...]:
    """For each cost, the figures over rows in view, if these are beyond the model's context window.

    The cache of windows that are full is the same at every context.
    """
    (beyond,) = marks([profile], [BY_KEY[metric.key] for metric in _COMPONENT_METRICS])
    return tuple(
        beyond
        & {
            key
            for key, growing in (("kv_cache_bytes", cost.kv_growth_bytes), ("flops_per_token", cost.context_flops))
            if growing
        }
        for cost in costs
    )


def _share_shown(metric: Column) -> Shown:
    return "if any" if metric.shown == "if any" else "reading"


def _prediction_blocks(profile: Profile) -> Table:
    listed = [(item, cost) for item, cost in profile.rows if item.mtp]
    return Table(
        "mtp_components",
        (_COMPONENT, _COUNT, *_COMPONENT_METRICS, _BUFFERS),
        tuple(_line(item.label, item.count, cost * item.count) for item, cost in listed),
        title="Multi-token prediction, not in the totals",
        total=_line("total", None, profile.mtp),
        main=False,
        marked=_marked(profile, (*(cost for _, cost in listed), profile.mtp)),
    )


def _component(item: Item, cost: Cost, total: Cost) -> dict[str, Value]:
    return _line(item.label, item.count, cost * item.count, total)


def _line(label: str, count: int | None, cost: Cost, total: Cost | None = None) -> dict[str, Value]:
    line: dict[str, Value] = {"component": label, "count": count, "buffers": cost.buffers}
    for metric in _COMPONENT_METRICS:
        value: int = getattr(cost, metric.key)
        line[metric.key] = value
        if total is not None:
            line[f"{metric.key}_share"] = ratio(value, getattr(total, metric.key))
    return line


def _published(profile: Profile) -> Table:
    return Table("published", _PUBLISHED_COLUMNS, tuple(_stated(profile)), main=False, keeps_whole=True)


def _stated(profile: Profile) -> Iterator[dict[str, Value]]:
    stated = profile.spec.published
    for key, theirs, ours, convention in (
        ("params", stated.params, profile.params_by(stated.params_convention), stated.params_convention),
        ("active_params", stated.active_params, profile.active_by(stated.active_convention), stated.active_convention),
    ):
        if theirs is not None:
            yield {
                "figure": key,
                "figure_words": BY_KEY[key].title,
                "published": theirs,
                "ours": ours,
                "difference": None if ours is None else ratio(ours - theirs, theirs),
                "convention": convention,
                "counted": _CONVENTIONS[convention],
            }
