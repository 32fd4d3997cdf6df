import json

from llmarch_cli import api
from llmarch_cli.profilers.cost import Asked
from llmarch_cli.profilers.profile import Profile
from llmarch_cli.report.formats import json as json_format


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
    assert list(data) == ["schema_version", "model", "layers", "components", "mtp_components", "published"]
    assert data["mtp_components"] == []
    assert data["model"][0]["released"] == "2019-02-14"
    assert data["layers"][0] == {"sublayer": "attention", "first_layer": 0, "last_layer": 11, "pattern": "gqa"}
