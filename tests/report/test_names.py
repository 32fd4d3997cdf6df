"""One quantity has one name: the key, the heading and what is typed name the same, in all tables."""

from collections.abc import Iterable

import pytest

from llmarch_cli import api
from llmarch_cli.deployment.chips_table import COLUMNS as CHIPS
from llmarch_cli.deployment.table import tables as fit_tables
from llmarch_cli.errors import InputError
from llmarch_cli.guards.baselines import counted_key
from llmarch_cli.guards.budgets import limit
from llmarch_cli.guards.gauge import GUARDED, checked_key
from llmarch_cli.models import load
from llmarch_cli.report import names
from llmarch_cli.report.columns import BY_KEY, METRICS, RENAMED, TITLES, metric
from llmarch_cli.report.differences import differences
from llmarch_cli.report.table import Column, Table
from llmarch_cli.sweeping.pricing import COUNTS, RATIOS, named


def all_tables() -> Iterable[Table]:
    asked = {"engine": "closed-form"}
    models = ["gpt2", "deepseek-v3"]
    yield api.compare(models, **asked)  # type: ignore[arg-type]
    yield api.compare(models, changes={"n_layers": 13}, **asked)  # type: ignore[arg-type]
    yield api.kv_cache(models, contexts=[1024, 2048], **asked)  # type: ignore[arg-type]
    yield from api.fact_sheet("deepseek-v3", engine="closed-form")
    yield api.overview()
    yield from differences(api.diff(*models, engine="closed-form"))
    yield from fit_tables(api.fits(["gpt2"], ["h100"], context=1024), explain=True)
    yield from fit_tables(api.fits(["gpt2"] * 4, ["h100"], context=1024))
    yield from api.training(["gpt2"], lora_rank=8, engine="closed-form")
    yield from api.training(["gpt2"], engine="closed-form")
    yield api.sweep("gpt2", {"n_layers": [1, 2]})
    yield api.checked(["gpt2"], engine="closed-form")


def columns() -> list[tuple[str, Column]]:
    return [(table.name, column) for table in all_tables() for column in table.columns]


def test_a_key_has_one_heading_in_all_tables() -> None:
    wrong = [
        (table, column.key, column.title)
        for table, column in columns()
        if column.key in BY_KEY and names.plain(column.title) != names.plain(BY_KEY[column.key].title)
    ]
    assert wrong == []


def test_a_heading_is_that_of_one_metric_in_all_tables() -> None:
    keys: dict[str, set[str]] = {}
    for _, column in columns():
        if column.shown != "data":
            keys.setdefault(names.plain(column.title), set()).add(column.key)
    headings = {names.plain(each.title): each.key for each in METRICS}
    assert {title: found for title, found in keys.items() if title in headings and found != {headings[title]}} == {}


def test_a_metric_has_one_unit_in_all_tables() -> None:
    for table, column in columns():
        if column.key in BY_KEY and table != "changes":
            assert column.unit is BY_KEY[column.key].unit, (table, column.key)


@pytest.mark.parametrize("one", METRICS, ids=lambda one: one.key)
def test_what_is_printed_can_be_typed(one: Column) -> None:
    spellings = {one.key, one.key.upper(), one.key.replace("_", " "), one.key.replace("_", "-")}
    for title in TITLES[one.key]:
        spellings |= {title, title.upper(), title.lower(), f" {title} ", title.replace(" ", "_")}
    for text in spellings:
        assert metric(text).key == one.key
        if one.key in (*COUNTS, *RATIOS):
            assert named(text, {}, load("gpt2")) == one.key
        if one.key in GUARDED:
            assert checked_key(text) == one.key


def test_a_heading_of_two_metrics_is_an_error_that_names_both() -> None:
    titles = {"kv_bytes": ("cache",), "state_bytes": ("Cache",)}
    with pytest.raises(InputError, match="column 'cache' can be kv_bytes or state_bytes: name one of them"):
        names.key_of("cache", titles)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("kv_cash_bytes", "did you mean kv_cache_bytes"),
        ("FLOPs", "did you mean flops_per_token or weight_flops_per_token"),
        ("foo", "`llmarch columns` lists all"),
        ("", "`llmarch columns` lists all"),
        ("()", "`llmarch columns` lists all"),
    ],
)
def test_an_unknown_name_is_an_error_with_a_hint(text: str, hint: str) -> None:
    with pytest.raises(InputError, match="unknown column") as caught:
        metric(text)
    assert hint in str(caught.value)


def test_budgets_and_baselines_take_headings() -> None:
    assert limit("KV cache@1k <= 2GiB").figure == limit("kv_cache_bytes@1k <= 2GiB").figure
    assert limit("Parameters <= 1B").figure.key == "params"
    assert counted_key("Active parameters") == "active_params"


def test_old_keys_still_work() -> None:
    for old, new in RENAMED.items():
        with pytest.warns(FutureWarning, match=f"column {old} is now {new}"):
            assert metric(old).key == new


def test_old_headings_are_still_typed() -> None:
    assert (metric("Size").key, metric("active").key) == ("params", "active_params")


def test_chips_are_named_alike() -> None:
    titles = [names.plain(column.title) for column in CHIPS]
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("KV cache <= 2GiB and not active_parameters > 3B", "kv_cache_bytes <= 2GiB and not active_params > 3B"),
        ("kv cache / FLOPs per token > 1", "kv_cache_bytes / flops_per_token > 1"),
        ("training FLOPs per token < 1 or training flops < 2", "training_flops_per_token < 1 or training_flops < 2"),
        ("xkv_cache < 1", "xkv_cache < 1"),
        ("ffn.active parameters < 1", "ffn.active parameters < 1"),
        ("params <= 30B", "params <= 30B"),
    ],
)
def test_headings_stand_in_conditions(text: str, keys: str) -> None:
    assert names.with_keys(text, TITLES) == keys


def test_a_sweep_takes_headings() -> None:
    asked = {"where": "KV cache <= 400MiB", "columns": ["Active parameters"], "sort": "-Layers"}
    table = api.sweep("gpt2", {"n_layers": [1, 2, 3]}, context=8192, **asked)  # type: ignore[arg-type]
    assert [column.key for column in table.columns] == ["n_layers", "active_params"]
    assert [row["n_layers"] for row in table.rows] == [3, 2, 1]
    table = api.sweep_on("gpt2", ["l4"], {"n_layers": [1, 2]}, context=1024, columns=["tokens/s in all", "KV cache"])
    assert [column.key for column in table.columns] == ["n_layers", "tokens_per_second", "kv_cache_bytes"]
