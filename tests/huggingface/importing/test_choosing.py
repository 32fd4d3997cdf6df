"""Which family reads a config: no guess invents a size, no check confirms one, and advice goes by keys."""

from __future__ import annotations

import re
from typing import ClassVar

import pytest
from refused import SIZES, Settings, refusal

from llmarch_cli.errors import CheckError
from llmarch_cli.huggingface.importing import import_config, imported
from llmarch_cli.huggingface.importing.advice import nearest
from llmarch_cli.huggingface.importing.check import compare_with_transformers
from llmarch_cli.huggingface.importing.families import FAMILIES, WRAPPERS
from llmarch_cli.huggingface.importing.families.others import OUT_OF_SCOPE, WAITING

SIZED: Settings = {**SIZES, "tie_word_embeddings": False}
MINE: Settings = {"model_type": "mine", **SIZED}


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_a_guessed_family_gives_no_size(family: str) -> None:
    said = refusal({"model_type": "mine"}, as_=family)
    sizes = [name for name in FAMILIES[family].aliases if name in SIZED] + list(SIZED)
    assert "it lacks" in said
    own = {FAMILIES[family].aliases.get(name, name) for name in sizes}
    assert len(own & set(re.findall(r"\w+", said))) >= 2 or "_config" in said


def test_all_absent_sizes_are_named_at_once() -> None:
    latent = {"kv_lora_rank", "q_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"}
    said = refusal({"model_type": "mine"}, as_="deepseek_v3")
    assert {*latent, "hidden_size", "vocab_size", "tie_word_embeddings"} <= set(re.findall(r"\w+", said))


def test_defaults_that_are_no_sizes_are_listed() -> None:
    found = imported(MINE, as_="llama")
    (listed,) = [note for note in found.notes if note.startswith("Absent")]
    assert "rope_theta 10000.0" in listed
    assert "rms_norm_eps 1e-06" in listed
    assert "attention_bias false" in listed
    assert found.own == "mine"


def test_the_file_s_own_family_is_no_guess() -> None:
    assert import_config({"model_type": "llama"}, as_="llama") == import_config({"model_type": "llama"})
    text = {"model_type": "llama", "num_hidden_layers": 2}
    assert import_config({"model_type": "llava", "text_config": text}, as_="llama").n_layers == 2


def test_an_absent_key_can_be_assumed() -> None:
    config = {name: value for name, value in MINE.items() if name != "tie_word_embeddings"}
    assert "tie_word_embeddings" in refusal(config, as_="llama")
    found = imported(config, as_="llama", assume={"tie_word_embeddings": True})
    assert found.spec.tie_embeddings
    assert any("tie_word_embeddings" in note for note in found.notes if note.startswith("Assumed"))
    assert "the config says 32" in refusal(config, as_="llama", assume={"hidden_size": 64})
    assert "is not a mapping" in refusal(config, as_="llama", assume={"text_config.x": 1})


class TestCheck:
    """`--check` builds the class of the file's own `model_type`."""

    GLM: ClassVar[Settings] = {"model_type": "glm", **SIZED, "head_dim": 8, "rms_norm_eps": 1e-5, "pad_token_id": 0}

    def compared(self, config: Settings, as_: str | None) -> str:
        import llmarch_cli as llmarch

        found = imported(config, as_=as_)
        return compare_with_transformers(found, llmarch.profile(found.spec, engine="closed-form").params)

    def test_a_wrong_guess_fails(self) -> None:
        config = {**self.GLM, "partial_rotary_factor": 0.5, "attention_bias": True}
        assert "also builds" in self.compared(config, None)
        with pytest.raises(CheckError, match="--as names another family"):
            self.compared(config, "glm4")

    def test_a_guess_that_has_no_class_is_not_confirmed(self) -> None:
        said = self.compared(MINE, "llama")
        assert "has no class for the model_type 'mine'" in said
        assert "for llama" in said
        assert "does not confirm" in said


class TestAdvice:
    """The nearest families by keys."""

    def test_it_goes_by_keys_and_not_by_names(self) -> None:
        assert nearest(MINE)[0].family == "llama"
        experts = {**MINE, "num_local_experts": 4, "num_experts_per_tok": 2}
        assert nearest(experts)[0].family == "mixtral"
        latent = {"q_lora_rank": 8, "kv_lora_rank": 8, "qk_nope_head_dim": 4, "qk_rope_head_dim": 4, "v_head_dim": 4}
        assert "kv_lora_rank" in FAMILIES[nearest({**MINE, **latent, "num_key_value_heads": 4})[0].family].defaults

    def test_it_says_what_would_be_left_unread(self) -> None:
        said = refusal({**MINE, "secret_width": 7})
        assert "nearest by its keys: llama (leaves unread: 'secret_width')" in said
        assert "`llmarch import --as llama`" in said

    def test_none_is_advised_where_none_is_near(self) -> None:
        assert nearest({"model_type": "mine", "alpha": 1, "beta": 2}) == []
        assert "no supported family reads most of its keys" in refusal({"model_type": "mine", "alpha": 1, "beta": 2})

    def test_the_option_that_was_given_is_not_advised(self) -> None:
        assert "--as" not in refusal({**MINE, "secret_width": 7}, as_="llama")


class TestUnknownKeys:
    def test_all_are_named_at_once(self) -> None:
        said = refusal({"model_type": "llama", "alpha": 1, "beta": 2, "is_encoder_decoder": True})
        assert all(name in said for name in ("3 keys", "alpha", "beta", "is_encoder_decoder", "--ignore"))

    def test_they_are_passed_over_on_purpose(self) -> None:
        config = {"model_type": "llama", "alpha": 1, "beta": {"gamma": 2}}
        found = imported(config, ignore=["alpha", "beta"])
        passed = [note for note in found.notes if note.startswith("Passed over")]
        assert len(passed) == 2
        assert set(passed) <= set(found.comments)
        assert "beta" in refusal(config, ignore=["alpha"])

    @pytest.mark.parametrize("name", ["hidden_size", "nothing_of_that_name", "torch_dtype"])
    def test_only_what_is_not_understood_is_passed_over(self, name: str) -> None:
        config = {"model_type": "llama", "hidden_size": 4096, "torch_dtype": "float16"}
        assert f"--ignore '{name}'" in refusal(config, ignore=[name])

    def test_keys_of_inner_mappings_have_their_path(self) -> None:
        inner = {"model_type": "llama", "alpha": 1}
        config = {"model_type": "llava", "text_config": inner}
        assert "text_config.alpha" in refusal(config)
        import_config(config, ignore=["text_config.alpha"])


class TestClasses:
    """`architectures` and `auto_map` beside `model_type`."""

    @pytest.mark.parametrize("classes", [["Qwen2ForCausalLM"], ["Gemma3ForCausalLM"], ["GPTNeoXForCausalLM"]])
    def test_contradictions_say_how_to_choose(self, classes: list[str]) -> None:
        said = refusal({"model_type": "llama", "architectures": classes})
        assert f"'{classes[0]}' is the class of" in said
        assert "--as llama" in said
        import_config({"model_type": "llama", "architectures": classes}, as_="llama")

    def test_remote_code_of_another_family_is_one(self) -> None:
        remote = {"AutoModelForCausalLM": "modeling_qwen2.Qwen2ForCausalLM"}
        assert "auto_map" in refusal({"model_type": "llama", "auto_map": remote})

    @pytest.mark.parametrize(
        ("model_type", "name"),
        [
            ("llama", "LlamaForCausalLM"),
            ("llama", "YiOwnForCausalLM"),
            ("kimi_k2", "DeepseekV3ForCausalLM"),
            ("gemma3_text", "Gemma3ForCausalLM"),
            ("llama4_text", "Llama4ForCausalLM"),
            ("qwen2_moe", "Qwen2MoeForCausalLM"),
            ("gpt2", "GPT2LMHeadModel"),
            ("starcoder2", "Starcoder2ForCausalLM"),
        ],
    )
    def test_classes_of_their_own_are_none(self, model_type: str, name: str) -> None:
        import_config({"model_type": model_type, "architectures": [name]})

    def test_the_classes_of_transformers_are_none(self) -> None:
        from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

        from llmarch_cli.huggingface.importing.choosing import _owner

        named = {kind: name for kind, name in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.items() if kind in FAMILIES}
        assert {kind: _owner(name, kind) for kind, name in named.items()} == dict.fromkeys(named)


@pytest.mark.parametrize("model_type", sorted(set(OUT_OF_SCOPE) | set(WAITING) - set(WRAPPERS)))
def test_what_is_not_read_is_named(model_type: str) -> None:
    assert {**OUT_OF_SCOPE, **WAITING}[model_type] in refusal({"model_type": model_type})


class TestLayersThatDiffer:
    def test_overrides(self) -> None:
        overrides = {"0": {"intermediate_size": 12}, "2": {"num_key_value_heads": 4, "intermediate_size": 12}}
        spec = import_config({"model_type": "llama", **SIZED, "per_layer_config": overrides})
        assert [spec.variants("ffn")[layer.ffn].d_ff for layer in spec.layers] == [12, 48, 12]  # type: ignore[attr-defined]
        heads = [spec.variants("attention")[layer.attention].n_kv_heads for layer in spec.layers]  # type: ignore[attr-defined]
        assert heads == [2, 2, 4]

    @pytest.mark.parametrize(
        ("overrides", "expected"),
        [
            ({"0": {"hidden_size": 64}}, "would change d_model"),
            ({"7": {}}, "must be the number of a layer"),
            ({"1": {"alpha": 1}}, "alpha of layer 1: the family does not read it"),
            ({"1": {"skip": ["attention"]}}, "skip"),
            ({"1": 3}, "must be a mapping"),
        ],
    )
    def test_overrides_that_no_layer_can_have(self, overrides: Settings, expected: str) -> None:
        assert expected in refusal({"model_type": "llama", **SIZED, "per_layer_config": overrides})

    def test_lists(self) -> None:
        lists = {"layer_head_num": [4, 1, 3], "layer_inter_size": [5, 6, 5], "layer_num": 3}
        config = {"model_type": "llama", **SIZED, "num_key_value_heads": 4, **lists}
        spec = import_config(config)
        assert [spec.variants("attention")[layer.attention].n_heads for layer in spec.layers] == [4, 1, 3]  # type: ignore[attr-defined]
        assert [spec.variants("ffn")[layer.ffn].d_ff for layer in spec.layers] == [5, 6, 5]  # type: ignore[attr-defined]
        assert "layer_num" in refusal({**config, "layer_num": 4})
        assert "a key head for each query head" in refusal({**config, "num_key_value_heads": 2})
