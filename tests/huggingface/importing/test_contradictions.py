"""Class names that contradict a `model_type` are errors, and those that files have are none."""

from __future__ import annotations

import pytest
from transformers.models.auto import modeling_auto

from llmarch_cli.errors import InputError
from llmarch_cli.huggingface.importing import import_config
from llmarch_cli.huggingface.importing.choosing import check_classes
from llmarch_cli.huggingface.importing.choosing import model_type as chosen
from llmarch_cli.huggingface.importing.families import FAMILIES, WRAPPERS
from llmarch_cli.huggingface.importing.keys import Config

# What transformers writes for each model type, and what their authors published.
SAVED = sorted(
    (kind, name)
    for kind, names in {
        **modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        **modeling_auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
        **modeling_auto.MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES,
    }.items()
    for name in ((names,) if isinstance(names, str) else names)
    if kind in FAMILIES or kind in WRAPPERS
)
PUBLISHED = (
    ("bailing_moe", "BailingMoeV2ForCausalLM"),
    ("chatglm", "ChatGLMForConditionalGeneration"),
    ("ernie4_5_moe", "Ernie4_5_MoeForCausalLM"),
    ("exaone_moe", "ExaoneMoEForCausalLM"),
    ("falcon", "RWForCausalLM"),
    ("grok-1", "Grok1ModelForCausalLM"),
    ("hunyuan_v1_moe", "HunYuanMoEV1ForCausalLM"),
    ("kimi_k2", "DeepseekV3ForCausalLM"),
    ("kimi_k25", "KimiK25ForConditionalGeneration"),
    ("llama", "LLaMAForCausalLM"),
    ("llama", "YiForCausalLM"),
    ("llava", "LlavaLlamaForCausalLM"),
    ("mpt", "MPTForCausalLM"),
    ("nemotron-nas", "DeciLMForCausalLM"),
    ("qwen", "QWenLMHeadModel"),
    ("qwen2_5_omni", "Qwen2_5OmniModel"),
    ("stablelm_epoch", "StableLMEpochForCausalLM"),
)


@pytest.mark.parametrize(("kind", "name"), [*SAVED, *PUBLISHED])
def test_classes_of_real_files(kind: str, name: str) -> None:
    classes = {"architectures": [name], "auto_map": {"AutoModelForCausalLM": f"modeling.{name}"}}
    assert chosen(Config({"model_type": kind, **classes}, "config", {}), None) == kind


@pytest.mark.parametrize(
    ("kind", "name", "other"),
    [
        ("llama", "DiffLlamaForCausalLM", "diffllama"),
        ("qwen3_moe", "JetMoeForCausalLM", "jetmoe"),
        ("nemotron", "xLSTMForCausalLM", "xlstm"),
        ("mixtral", "HYV4ForCausalLM", "hy_v4"),
        ("gpt2", "BertLMHeadModel", "bert"),
    ],
)
def test_the_class_of_a_model_that_cannot_be_read(kind: str, name: str, other: str) -> None:
    with pytest.raises(InputError, match=f"is the class of {other}, ") as caught:
        import_config({"model_type": kind, "architectures": [name]})
    assert f"`llmarch import --as {kind}` says" in str(caught.value)  # the other one is no choice


def test_the_classes_of_a_text_config() -> None:
    text = {"model_type": "llama", "architectures": ["Qwen3ForCausalLM"], "num_hidden_layers": 2}
    with pytest.raises(InputError, match=r"text_config\.architectures: 'Qwen3ForCausalLM' is the class of qwen3"):
        import_config({"model_type": "llava", "text_config": text})
    for family, name in (("mistral", "LlavaNextForConditionalGeneration"), ("llama", "VLlama3ForCausalLM")):
        check_classes(Config({"architectures": [name]}, "config", {}, path="text_config."), family)
