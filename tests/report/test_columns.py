import pytest

from llmarch_cli import api
from llmarch_cli.errors import InputError
from llmarch_cli.profilers.profile import Profile
from llmarch_cli.report import columns
from llmarch_cli.report.columns import METRICS

PROFILES = [api.profile(name, engine="closed-form") for name in ("gpt2", "deepseek-v3", "gemma3-270m")]


def test_every_figure_of_a_profile_is_a_metric_under_its_own_name() -> None:
    figures = {
        name for name in dir(Profile) if not name.startswith("_") and isinstance(getattr(PROFILES[0], name, None), int)
    }
    assert figures
    for name in figures:
        for profile in PROFILES:
            assert columns.metric(name).value(profile) == getattr(profile, name)


def test_metrics_have_unlike_names_and_say_what_they_count() -> None:
    assert len({metric.key for metric in METRICS}) == len(METRICS)
    assert len({metric.title for metric in METRICS}) == len(METRICS)
    assert all(metric.convention.endswith(".") for metric in METRICS)


def test_keys_say_their_unit() -> None:
    for metric in METRICS:
        if metric.unit.name == "bytes":
            assert "bytes" in metric.key


def test_picked_columns_come_after_the_model_in_the_order_asked_for() -> None:
    picked = columns.picked(["kv_cache_bytes", "engine", "params", "params", "model"])
    assert [metric.key for metric in picked] == ["model", "kv_cache_bytes", "engine", "params"]
    assert {metric.shown for metric in picked} == {"always"}


def test_unknown_columns_are_refused_with_the_nearest() -> None:
    with pytest.raises(InputError, match="'parms'; did you mean params"):
        columns.picked(["parms"])
    with pytest.raises(InputError, match="llmarch columns"):
        columns.require(sort="-qqqqqq")


def test_sorting_goes_both_ways_and_puts_the_unknown_last() -> None:
    ids = [profile.spec.id for profile in columns.sorted_by(PROFILES, "params")]
    assert ids == ["gpt2", "gemma3-270m", "deepseek-v3"]
    assert [profile.spec.id for profile in columns.sorted_by(PROFILES, "-params")] == ids[::-1]
    unmade = PROFILES[0].spec.model_copy(update={"context_length": None})
    profiles = [api.profile(unmade, engine="closed-form"), *PROFILES[1:]]
    for key in ("context_window", "-context_window"):
        assert columns.sorted_by(profiles, key)[-1].spec.context_length is None


def test_the_listing_holds_every_convention() -> None:
    table = columns.listing()
    assert [row["key"] for row in table.rows] == [metric.key for metric in METRICS]
    assert [row["key"] for row in columns.listing(["params"]).rows] == ["params"]


def test_a_renamed_column_is_read_with_a_note() -> None:
    with pytest.warns(FutureWarning, match="column context_length is now context_window"):
        assert columns.metric("context_length").key == "context_window"
    assert all(new in columns.BY_KEY and old not in columns.BY_KEY for old, new in columns.RENAMED.items())
