import json
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from llmarch_cli import api
from llmarch_cli.profilers.cost import Asked
from llmarch_cli.profilers.profile import Profile
from llmarch_cli.report.columns import listing
from llmarch_cli.report.differences import differences
from llmarch_cli.report.formats import json as json_format
from llmarch_cli.report.table import Table


def test_it_holds_what_the_profile_holds() -> None:
    models = ["deepseek-v3", "gemma3-1b", "gpt2", "glm-4.5"]
    asked: Asked = {"context": 8192, "batch": 3, "kv_dtype": "fp8", "engine": "closed-form"}
    data = json.loads(json_format.render([api.compare(models, **asked)]))
    assert data["schema_version"] == json_format.SCHEMA_VERSION
    assert [row["model"] for row in data["models"]] == models
    for row in data["models"]:
        profile = api.profile(row["model"], **asked)
        figures = {
            name: getattr(profile, name)
            for name in dir(Profile)
            if not name.startswith("_") and isinstance(getattr(profile, name), int)
        }
        assert row.items() >= figures.items()
        assert row["weight_bytes"] == 2 * profile.params
        assert (row["context_tokens"], row["batch"], row["kv_dtype"]) == (8192, 3, "fp8")
        assert row["engine"] == "closed-form"
        fractions = {key for key, value in row.items() if isinstance(value, float)}
        assert fractions <= {"training_flops_per_token"}  # windows need not divide a sequence


def test_integers_beyond_floating_point_are_exact() -> None:
    asked: Asked = {"context": 2**30 + 1, "batch": 1001, "engine": "closed-form"}
    data = json.loads(json_format.render([api.compare(["kimi-k2"], **asked)]))
    figure = data["models"][0]["kv_cache_bytes_multi_head"]
    assert figure > 2**53
    assert figure == api.profile("kimi-k2", **asked).kv_cache_bytes_multi_head


def test_a_sheet_has_each_table_under_its_name() -> None:
    data = json.loads(json_format.render(api.fact_sheet("gpt2", engine="closed-form")))
    tables = ["model", "layers", "components", "mtp_components", "published"]
    assert list(data["tables"]) == tables
    assert list(data) == [*json_format.ENVELOPE, *tables]
    assert all(data[name] == data["tables"][name] for name in tables)  # as they were before
    assert data["mtp_components"] == []
    assert data["model"][0]["released"] == "2019-02-14"
    layer = {"sublayer": "attention", "first_layer": 0, "last_layer": 11, "pattern": "gqa"}
    assert data["layers"][0] == {"model": "gpt2", **layer}


def test_an_architecture_is_data() -> None:
    tables = [api.compare(["gemma3-27b", "gpt2", "deepseek-v3"], engine="closed-form")]
    gemma, gpt2, deepseek = json.loads(json_format.render(tables))["architectures"]
    assert (gemma["model"], gemma["d_model"], gemma["n_layers"], gemma["context_window"]) == (
        *("gemma3-27b", 5376, 62, 131_072),
    )
    assert gemma["attention"]["layers"] == [*(["local"] * 5 + ["global"]) * 10, "local", "local"]
    local = gemma["attention"]["variants"]["local"]
    assert (local["kind"], local["n_heads"], local["n_kv_heads"], local["head_dim"], local["window"]) == (
        *("gqa", 32, 16, 128, 1024),
    )
    assert gpt2["ffn"] == {"variants": {"dense": gpt2["ffn"]["variants"]["dense"]}, "layers": ["dense"] * 12}
    assert deepseek["ffn"]["variants"]["moe"]["n_experts"] == 256
    assert len(deepseek["ffn"]["layers"]) == 61


def test_each_report_has_the_same_keys_around_its_tables() -> None:
    asked: Asked = {"engine": "closed-form"}
    reports: dict[str, tuple[Sequence[Table], int]] = {
        "compare": ([api.compare(["gpt2", "gpt2"], **asked)], 1),
        "kvcache": ([api.kv_cache(["gpt2"], contexts=[1, 2], **asked)], 1),
        "show": (api.fact_sheet("gpt2", **asked), 1),
        "list": ([api.overview(organization="openai")], 6),
        "diff": (differences(api.diff("gpt2", "gpt2-xl", **asked)), 2),
        "fit": (api.fit(["gpt2", "gpt2-xl"], ["h100", "l4"], context=1024), 2),
        "train": (api.training(["gpt2"], engine="closed-form"), 1),
        "sweep": ([api.sweep("gpt2", {"n_layers": [1, 2]})], 1),
        "checked": ([api.checked(["gpt2"], **asked)], 1),
        "columns": ([listing()], 0),
    }
    for name, (tables, n_models) in reports.items():
        data = json.loads(json_format.render(tables))
        assert tuple(data)[:4] == json_format.ENVELOPE, name
        assert set(data) == {*json_format.ENVELOPE, *data["tables"]}, name
        assert len(data["architectures"]) == n_models, name
        assert not {*json_format.ENVELOPE} & {*data["tables"]}, name


PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)


@given(st.recursive(PLAIN, lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner)))
def test_it_is_written_as_by_the_standard_library(value: object) -> None:
    assert json_format._indented(value) == json.dumps(value, indent=2)
