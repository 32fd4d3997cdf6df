from fractions import Fraction

import pytest

from llmarch_cli import api
from llmarch_cli.report import sheet
from llmarch_cli.report.table import Table
from llmarch_cli.specs.loading import names


def tables(model: str) -> dict[str, Table]:
    return {table.name: table for table in api.fact_sheet(model, engine="closed-form")}


@pytest.mark.parametrize("model", names())
def test_components_add_up_to_the_profile(model: str) -> None:
    profile = api.profile(model, engine="closed-form")
    of_model = tables(model)
    for table, total in ((of_model["components"], profile.total), (of_model["mtp_components"], profile.mtp)):
        for key in ("params", "active_params", "kv_cache_bytes", "flops_per_token", "buffers"):
            figures = [row[key] for row in table.rows]
            assert sum(figure for figure in figures if isinstance(figure, int)) == getattr(total, key)
            assert table.total is not None
            assert table.total[key] == getattr(total, key)


def test_shares_are_of_the_total_and_make_a_whole() -> None:
    components = tables("gemma3-27b")["components"]
    for key in ("params", "active_params", "kv_cache_bytes", "flops_per_token"):
        assert sum(row[f"{key}_share"] for row in components.rows) == 1  # type: ignore[misc]


def test_prediction_blocks_stand_apart() -> None:
    of_model = tables("deepseek-v3")
    assert not any("mtp" in str(row["component"]) for row in of_model["components"].rows)
    assert all("mtp" in str(row["component"]) for row in of_model["mtp_components"].rows)


def test_published_figures_stand_beside_ours_by_their_convention() -> None:
    params, active = tables("glm-4.5")["published"].rows
    profile = api.profile("glm-4.5", engine="closed-form")
    assert (params["published"], params["convention"]) == (355_000_000_000, "with_mtp_without_embeddings")
    assert params["ours"] == profile.params_by("with_mtp_without_embeddings")
    assert active["ours"] == profile.active_params_without_embeddings


def test_what_counts_more_than_the_decoder_is_not_compared() -> None:
    spec = api.profile("gpt2", engine="closed-form").spec
    published = spec.published.model_copy(update={"params_convention": "with_vision"})
    seen = api.fact_sheet(spec.model_copy(update={"published": published}), engine="closed-form")
    row = next(table for table in seen if table.name == "published").rows[0]
    assert row["ours"] is None
    assert row["difference"] is None


def test_a_model_without_published_figures_has_none() -> None:
    assert tables("grok-2.5")["published"].rows == ()


def test_operators_are_counted_for_all_of_a_component() -> None:
    profile = api.profile("gpt2", engine="closed-form")
    (item, cost), *_ = [pair for pair in profile.rows if pair[0].role == "ffn"]
    table = sheet.operators(profile, [(item, {"linear": cost.flops_per_token, "gelu": 0})])
    (row,) = table.rows
    assert (row["component"], row["count"], row["operator"]) == ("ffn", 12, "linear")
    assert row["flops_per_token"] == 12 * cost.flops_per_token
    assert row["share"] == Fraction(12 * cost.flops_per_token, profile.flops_per_token)
