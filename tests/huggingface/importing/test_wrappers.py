"""Multimodal configs: the text decoder that transformers builds from the whole file, or an error."""

from __future__ import annotations

import re
from copy import deepcopy
from typing import Any

import pytest
import torch
from drawn import configs
from hypothesis import given, settings
from hypothesis import strategies as st
from pairs import N_TOKENS, TOLERANCE, deviation
from transformers import AutoConfig, PreTrainedConfig
from transformers.initialization import no_init_weights
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from weights import carry, names_of, randomize

import llmarch_cli as llmarch
from llmarch_cli.errors import CheckError, InputError
from llmarch_cli.huggingface.importing import import_config, imported
from llmarch_cli.huggingface.importing.check import compare_with_transformers, count, head_class
from llmarch_cli.huggingface.importing.families import FAMILIES, MULTIMODAL, WRAPPERS, Ties
from llmarch_cli.huggingface.importing.families.others import WAITING
from llmarch_cli.huggingface.importing.without_effect import WITHOUT_EFFECT
from llmarch_cli.modules.builder import build

Settings = dict[str, Any]

TIED = "tie_word_embeddings"
VISION = {"num_hidden_layers": 1, "hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2}
TEXT: Settings = {
    "vocab_size": 90,
    "hidden_size": 32,
    "intermediate_size": 20,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}

# What a class needs beside the text config: its own defaults do not fit together, or not around a small text decoder.
OUTER: dict[str, Settings] = {
    "aya_vision": {"vision_config": VISION},
    "emu3": {"vocabulary_map": {"<image>": 5}},
    "fun_asr_nano": {"adaptor_config": {"hidden_size": 32, "intermediate_size": 8}},
    "granite4_vision": {"deepstack_layer_map": [[-1, 1]], "downsample_rate": "4/8"},
    "granite_docling": {"vision_config": {"out_hidden_size": TEXT["hidden_size"], "num_hidden_layers": 1}},
    "ovis2": {"vocab_size": 90, "hidden_size": 32},
}
INNER: dict[str, Settings] = {
    "emu3": {"pad_token_id": 4},
    "ernie4_5_vl_moe": {"rope_parameters": {"rope_type": "default", "mrope_section": [1, 1, 2]}},
    "exaone4_5": {"model_type": "exaone4"},
    "fuyu": {"num_key_value_heads": 4},
    "granite_docling": {"pad_token_id": 4},
    "hunyuan_vl": {"head_dim": 8},
    "kimi_k25": {"num_key_value_heads": 4},
    "mllama": {"pad_token_id": 4, "cross_attention_layers": [1]},
}

MULTIPLIED = ("embedding_multiplier", "logits_scaling", "residual_multiplier", "attention_multiplier")

# These need timm, or cannot be built with their defaults.
UNBUILT = {"fast_vlm", "gemma3n", "perception_lm", "phi4mm"}
WITH_TEXT = [
    name
    for name, wrapper in MULTIMODAL.items()
    if name not in UNBUILT and wrapper.inside is None and wrapper.text not in MULTIMODAL
]


def wrapped(wrapper: str, text: Settings, **outer: Any) -> Settings:
    """A config around a text config."""
    return {
        "model_type": wrapper,
        **OUTER.get(wrapper, {}),
        "text_config": {**TEXT, **INNER.get(wrapper, {}), **text},
        **outer,
    }


def params(config: Settings) -> int | None:
    """The parameters of our spec and of what it leaves out; None for an error."""
    try:
        found = imported(config)
    except InputError:
        return None
    return llmarch.profile(found.spec, context=1, engine="closed-form").params + found.left_out


def theirs(config: Settings) -> int | None:
    """The parameters that transformers builds; None for an error."""
    try:
        return count(config["model_type"], config)
    except InputError:
        return None


@pytest.mark.parametrize("wrapper", WITH_TEXT)
def test_ties_outside_and_inside(wrapper: str) -> None:
    ties: tuple[Settings, ...] = ({}, {TIED: True}, {TIED: False})
    for outer in ties:
        for inner in ties:
            config = wrapped(wrapper, inner, **outer)
            assert params(config) == theirs(config) is not None, (outer, inner)


@pytest.mark.parametrize("wrapper", WITH_TEXT)
def test_null_ties(wrapper: str) -> None:
    """As in transformers, or refused."""
    for config in (wrapped(wrapper, {}, **{TIED: None}), wrapped(wrapper, {TIED: None})):
        assert params(config) in (theirs(config), None)


@pytest.mark.parametrize("text", [{}, {"text_config": None}, {"text_config": {}}], ids=str)
@pytest.mark.parametrize("wrapper", sorted({*WITH_TEXT} - {"hunyuan_vl", "ovis2", "qwen3_omni_moe_thinker"}))
def test_without_a_text_config(wrapper: str, text: Settings) -> None:
    outer = OUTER.get(wrapper, {}) if wrapper not in ("fun_asr_nano", "granite_docling") else {}
    config = {"model_type": wrapper, **outer, **text}
    if wrapper in ("exaone4_5", "fun_asr_nano") and text.get("text_config") == {}:
        assert theirs(config) is None  # its class needs more of a text config
    else:
        assert params(config) == theirs(config) is not None


@pytest.mark.parametrize("wrapper", sorted({*WITH_TEXT, *UNBUILT} - {"phi4mm"}))
def test_the_table_is_that_of_transformers(wrapper: str) -> None:
    ours, cls = MULTIMODAL[wrapper], CONFIG_MAPPING[wrapper]
    default = cls.__dataclass_fields__.get(TIED)
    if default is not None and ours.ties not in (Ties.INNER, Ties.NEITHER):
        assert ours.tied == default.default
    text, usual = cls.sub_configs_defaults["text_config"], FAMILIES[ours.text].defaults
    assert ours.text == text.model_type
    assert ours.any_text != issubclass(text.config_class, PreTrainedConfig)
    assert set(ours.absent) <= set(text.init_kwargs)
    for name, value in text.init_kwargs.items():
        if name in usual or name not in (*WITHOUT_EFFECT, "model_type"):
            assert ours.absent.get(name, usual.get(name)) == value, name


FIXED = [name for name in WITH_TEXT if not MULTIMODAL[name].any_text]


@pytest.mark.parametrize("wrapper", FIXED)
def test_a_text_decoder_of_another_family_is_refused(wrapper: str) -> None:
    for other in ("llama", "gemma3", "mistral"):
        config = {"model_type": wrapper, "text_config": {"model_type": other, **TEXT}}
        with pytest.raises(InputError, match=re.escape(f"text_config.model_type: '{other}'")):
            import_config(config)


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_a_text_config_in_a_family_without_one_is_refused(family: str) -> None:
    needed = {"head_dim": 128, "num_experts_per_tok": 2, "n_routed_experts": 4, "n_shared_experts": 1}
    with pytest.raises(InputError):
        import_config({"model_type": family, **needed, "text_config": TEXT})


@pytest.mark.parametrize("wrapper", WITH_TEXT)
@settings(max_examples=3)
@given(data=st.data())
def test_drawn_text_decoders(wrapper: str, data: st.DataObject) -> None:
    family = MULTIMODAL[wrapper].text
    text = data.draw(configs(family))
    if wrapper in ("fun_asr_nano", "granite_docling", "ovis2"):
        text |= {name: TEXT[name] for name in ("vocab_size", "hidden_size", "num_attention_heads")}
        text["num_key_value_heads"] = 1
    if wrapper == "glmasr":  # which has rotary settings of its own
        text = {name: value for name, value in text.items() if not name.startswith("rope")}
    if wrapper == "exaone4_5":
        text["model_type"] = "exaone4"
    config = {"model_type": wrapper, **OUTER.get(wrapper, {}), "text_config": text}
    assert params(config) == theirs(config) is not None


@pytest.mark.parametrize("family", ["arcee", "gemma2", "qwen3_moe"])
@settings(max_examples=3)
@given(data=st.data())
def test_a_text_decoder_of_any_family(family: str, data: st.DataObject) -> None:
    for wrapper in ("llava", "internvl"):
        config = {"model_type": wrapper, "text_config": {**data.draw(configs(family)), "model_type": family}}
        assert params(config) == theirs(config) is not None


@pytest.mark.parametrize("wrapper", sorted({*FIXED, "glm46v"} - {"llama4"}))
@torch.no_grad()
def test_logits_of_text(wrapper: str) -> None:
    """Without an image, positions of three axes and layers for images change nothing."""
    family = MULTIMODAL[wrapper].text
    config = wrapped(wrapper, {**SMALL, **POSITIONS.get(family, {}), **MORE.get(family, {})})
    assert deviation(*logits(family, config)) < 10 * TOLERANCE


def logits(family: str, config: Settings) -> tuple[torch.Tensor, torch.Tensor]:
    """Ours and theirs, each (2, n_tokens, vocab_size), of a text decoder of `family` with the same weights."""
    spec = imported(config).spec
    named = {name: value for name, value in config.items() if name != "model_type"}
    built = AutoConfig.for_model(config["model_type"], **deepcopy(named))
    with no_init_weights():  # the encoders of images are large, and stay unused
        model: Any = head_class(built)._from_config(built, attn_implementation="eager").eval()
    model.tie_weights()
    decoder, head = model.get_decoder(), model.get_output_embeddings()
    randomize(decoder, 0)
    randomize(head, 1)
    state = {f"model.{name}": values for name, values in decoder.state_dict().items()} | {"lm_head.weight": head.weight}
    ours = build(spec)
    carry(names_of(family, built.get_text_config(decoder=True)), _text_alone(state, spec.vocab_size, CROSSED), ours)
    tokens = torch.randint(6, spec.vocab_size, (2, N_TOKENS), generator=torch.Generator().manual_seed(0))
    return ours(tokens), model(tokens, use_cache=False).logits


SMALL: Settings = {"rms_norm_eps": 1e-3, "num_hidden_layers": 3}
CROSSED = 1  # the layer of Llama 3.2 Vision that attends to images
EXPERTS: Settings = {"num_experts_per_tok": 2, "moe_intermediate_size": 12}


def _sections(*sections: int, **fields: Any) -> Settings:
    return {"rope_scaling": {"type": "default", "mrope_section": sections, **fields}, "rope_theta": 30.0}


POSITIONS: dict[str, Settings] = {
    **dict.fromkeys(("qwen2_vl_text", "qwen2_5_vl_text"), _sections(1, 1, 2, type="mrope")),
    "qwen2_5_omni_text": _sections(1, 1, 2),
    **dict.fromkeys(("qwen3_vl_moe_text", "qwen3_omni_moe_text"), _sections(2, 1, 1, mrope_interleaved=True)),
    "qwen3_vl_text": _sections(3, 1, 1, mrope_interleaved=True),
    "glm4v_text": _sections(1, 1, 0),
    "glm4v_moe_text": _sections(1, 1, 0),
    "glm_ocr_text": _sections(1, 1, 0),
    "paddleocr_vl_text": _sections(1, 1, 2),
    "hunyuan_vl_text": {
        "rope_scaling": {"type": "xdrope", "alpha": 3.0, "factor": 1.0, "xdrope_section": [1, 1, 1, 1]}
    },
}
MORE: dict[str, Settings] = {
    "step3p5": {"sliding_window": 9, "head_dim": 8, "n_routed_experts": 4, "pad_token_id": 4},
    "qwen3_vl_text": {"head_dim": 10},
    "qwen3_vl_moe_text": {**EXPERTS, "num_experts": 4, "mlp_only_layers": [1]},
    "qwen3_omni_moe_text": {**EXPERTS, "num_experts": 4, "norm_topk_prob": False},
    "glm4v_text": {"partial_rotary_factor": 0.5},
    "glm_ocr_text": {"partial_rotary_factor": 0.5},
    "glm4v_moe_text": {**EXPERTS, "n_routed_experts": 4},
    "ernie4_5_vl_moe_text": {"moe_intermediate_size": [12, 8], "moe_num_experts": 4, "moe_k": 2},
    "paddleocr_vl_text": {"head_dim": 8, "use_bias": True},
    "hunyuan_vl_text": {"head_dim": 8},
    "gemma3_text": {"head_dim": 8},
    "gemma4_text": {"head_dim": 8, "global_head_dim": 12, "vocab_size_per_layer_input": 90},
    "granite4_vision_text": dict.fromkeys(MULTIPLIED, 0.5),
    "granite_docling_text": dict.fromkeys(MULTIPLIED, 0.5),
    "aria_text": {"moe_num_experts": 4},
}


def _text_alone(state: dict[str, torch.Tensor], vocab_size: int, crossed: int) -> dict[str, torch.Tensor]:
    """The weights without those for images: cross-attention, experts, encoders, and rows of the embedding."""
    dropped = ("vision_moe", "embed_tokens_extend")
    cross = f"model.layers.{crossed}."
    has_cross = any(name.startswith(cross) and "cross_attn" in name for name in state)

    def renumbered(found: re.Match[str]) -> str:
        return f"layers.{int(found[1]) - (has_cross and int(found[1]) > crossed)}."

    return {
        re.sub(r"layers\.(\d+)\.", renumbered, name): values[:vocab_size]
        if name.endswith("embed_tokens.weight")
        else values
        for name, values in state.items()
        if not any(each in name for each in dropped) and not (has_cross and name.startswith(cross))
    }


# --- text keys at the top level --------------------------------------------------------------------------------------

FLAT = [name for name, each in MULTIMODAL.items() if each.flat and each.text not in MULTIMODAL]


@pytest.mark.parametrize("outer", [{}, {TIED: True}, {TIED: False}], ids=str)
@pytest.mark.parametrize("wrapper", FLAT)
def test_text_keys_at_the_top(wrapper: str, outer: Settings) -> None:
    text = {**TEXT, "head_dim": 8}
    if wrapper == "fuyu":  # no groups of heads, and no width of its own
        text = {name: value for name, value in TEXT.items() if name != "num_key_value_heads"}
    config = {"model_type": wrapper, **text, **outer, "vision_config": {"model_type": wrapper}, "image_token_id": 7}
    spec = import_config(config)
    assert params(config) == theirs(config) is not None
    inside = {"model_type": wrapper, "text_config": text, **outer}
    assert spec == import_config(inside)


@torch.no_grad()
def test_logits_of_phi4_multimodal() -> None:
    """Its decoder holds the encoders of images and audio, and its text keys stand beside them."""
    scaling = {"type": "longrope", "short_factor": [1.0, 2.0, 3.0], "long_factor": [2.0, 3.0, 4.0]}
    config = {
        "model_type": "phi4_multimodal",
        **TEXT,
        "pad_token_id": 4,
        "partial_rotary_factor": 0.75,
        "rope_scaling": scaling,
        "vision_config": {**VISION, "num_hidden_layers": 2, "crop_size": 28},
        "audio_config": {**VISION, "num_blocks": 1, "ext_pw_out_channel": 16, "nemo_conv_channels": 16},
    }
    assert deviation(*logits("phi4_multimodal", config)) < 10 * TOLERANCE


def test_phi4_multimodal() -> None:
    config = {**TEXT, "pad_token_id": 4, "vision_config": {}, "audio_config": {}}
    assert params({"model_type": "phi4_multimodal", **config}) == count("phi4_multimodal", config)
    of_authors = {"model_type": "phi4mm", **config, "vision_lora": {"r": 8}, "embd_layer": {}}
    found = imported(of_authors)
    assert found.spec == import_config({"model_type": "phi4_multimodal", **config}, name=found.spec.name)
    assert "vision_lora" in " ".join(found.notes)
    with pytest.raises(InputError, match="text_config: not supported"):
        import_config({"model_type": "phi4_multimodal", "text_config": TEXT})


# --- wrappers that transformers does not have ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "place", ["text_config", "language_config", "llm_config", "text_model_config", "thinker_config"]
)
def test_a_wrapper_without_a_class(place: str) -> None:
    text = {"model_type": "llama", **TEXT}
    config = {
        "model_type": "other",
        "architectures": ["OtherForConditionalGeneration"],
        place: text,
        "vision_config": {"depth": 2},
        "bridge_config": {"width": 7},
        "image_token_id": 3,
        "hidden_size": TEXT["hidden_size"],
    }
    found = imported(config, name="One")
    assert found.spec == import_config(text, name="One")
    assert "Text decoder only; left out: vision_config and bridge_config." in found.notes
    compare_with_transformers(found, llmarch.profile(found.spec, context=1).params)
    with pytest.raises(InputError, match="n_streams: unknown key"):
        import_config({**config, "n_streams": 4})
    with pytest.raises(InputError, match="hidden_size: unknown key"):
        import_config({**config, "hidden_size": 17})


def test_a_wrapper_inside_another() -> None:
    text = {"model_type": "qwen3_vl_text", **TEXT, "head_dim": 4}
    inner = {"model_type": "qwen3_vl", "text_config": text, TIED: True, "vision_config": {}}
    for config in ({"model_type": "other", "thinker_config": inner}, {"model_type": "other", "llm_config": inner}):
        found = imported({**config, "talker_config": {}}, name="One")
        assert found.spec == import_config(inner, name="One")
        assert found.spec.tie_embeddings
        assert [note for note in found.notes if "left out" in note] == [
            f"Text decoder only; left out: {next(iter(set(config) - {'model_type'}))}.vision_config.",
            "Text decoder only; left out: talker_config.",
        ]


def test_ties_of_a_wrapper_without_a_class_must_agree() -> None:
    text = {"model_type": "llama", **TEXT}
    for outer, inner, tied in ((True, None, True), (None, True, True), (True, True, True), (None, None, False)):
        ties = ({} if outer is None else {TIED: outer}), ({} if inner is None else {TIED: inner})
        config = {"model_type": "other", **ties[0], "text_config": {**text, **ties[1]}}
        assert import_config(config).tie_embeddings == tied
    with pytest.raises(InputError, match=r"tie_word_embeddings: true, but text_config\.tie_word_embeddings is false"):
        import_config({"model_type": "other", TIED: True, "text_config": {**text, TIED: False}})


def test_internvl_of_its_authors() -> None:
    text = {"model_type": "qwen2", **TEXT}
    config = {
        "model_type": "internvl_chat",
        "llm_config": text,
        "vision_config": {"model_type": "intern_vit_6b"},
        "downsample_ratio": 0.5,
        "select_layer": -1,
        "template": "internlm2-chat",
        "use_backbone_lora": 0,
        "use_llm_lora": 0,
    }
    assert import_config(config, name="One") == import_config(text, name="One")
    with pytest.raises(InputError, match="use_llm_lora: 16 is not supported"):
        import_config({**config, "use_llm_lora": 16})


def test_the_family_of_a_text_decoder_is_not_guessed() -> None:
    with pytest.raises(InputError, match=r"llm_config\.model_type: required, but missing"):
        import_config({"model_type": "other", "llm_config": TEXT})
    advised = (
        r"llm_config\.model_type: 'unheard_of' is not supported; nearest by its keys: llama .*"
        r"`llmarch import --as llama` reads"
    )
    with pytest.raises(InputError, match=advised):
        import_config({"model_type": "other", "llm_config": {"model_type": "unheard_of", **TEXT}})


def test_an_unsupported_wrapper_read_on_purpose() -> None:
    config = {"model_type": "other", "text_config": {"model_type": "llama", **TEXT}, TIED: True}
    found = imported(config, as_="llama")
    assert found.spec.tie_embeddings
    total = llmarch.profile(found.spec, context=1).params
    assert "builds" in compare_with_transformers(found, total)
    assert not import_config({**config, TIED: None}, as_="llama").tie_embeddings


@pytest.mark.parametrize("text", sorted(WAITING))
def test_text_decoders_that_wait_name_what_a_spec_lacks(text: str) -> None:
    around = [name for name, each in WRAPPERS.items() if each.text == text] or ["other"]
    for wrapper in around:
        inner: tuple[Settings, ...] = ({"model_type": text, **TEXT}, {})
        for config in ({"text_config": each} for each in inner):
            if wrapper != "other" or "model_type" in config["text_config"]:
                with pytest.raises(InputError, match=re.escape(WAITING[text])):
                    import_config({"model_type": wrapper, **config})


# --- what is left out -------------------------------------------------------------------------------------------------


def test_cross_attention_is_counted_apart() -> None:
    """Llama 3.2 Vision 11B: transformers' text decoder with its layers of cross-attention."""
    found = imported({"model_type": "mllama"})
    assert found.spec.n_layers == 32
    total = llmarch.profile(found.spec, context=1).params
    assert total == 8_030_261_248  # Llama 3.1 8B
    assert "8 layers of cross-attention, 1,744,898,064 parameters" in " ".join(found.notes)
    compare_with_transformers(found, total)
    with pytest.raises(CheckError):
        compare_with_transformers(found, total + 1)


def test_experts_for_images_are_counted_apart() -> None:
    found = imported({"model_type": "ernie4_5_vl_moe"})
    assert "experts for images in 27 layers" in " ".join(found.notes)
    compare_with_transformers(found, llmarch.profile(found.spec, context=1).params)


def test_an_absent_switch_whose_default_is_unusual_is_noted() -> None:
    config = {"model_type": "mistral3", "text_config": TEXT}
    note = "tie_word_embeddings is absent; read as true, the default of transformers."
    assert note in imported(config).notes
    assert note not in imported({**config, TIED: True}).notes


def test_a_switch_that_does_not_count_is_noted() -> None:
    config: Settings = {"model_type": "qwen3_vl", "text_config": {**TEXT, TIED: True}}
    assert "text_config.tie_word_embeddings is true; read as false, as by transformers." in imported(config).notes
    assert not import_config(config).tie_embeddings
    config = {"model_type": "paddleocr_vl", **TEXT, TIED: False}
    assert "tie_word_embeddings is false; read as true, as by transformers." in imported(config).notes
    assert import_config(config).tie_embeddings


def test_keys_that_a_wrapper_must_repeat() -> None:
    with pytest.raises(InputError, match=r"vocab_size: 151643, but text_config\.vocab_size is 90"):
        import_config({"model_type": "ovis2", "text_config": TEXT, "hidden_size": 32})


@pytest.mark.parametrize(
    ("wrapper", "given", "theta"),
    [
        ("voxtral", {}, 100_000_000.0),
        ("voxtral", {"rope_theta": 30.0}, 30.0),
        ("voxtral", {"rope_parameters": {"rope_type": "default", "rope_theta": 30.0}}, 30.0),
        ("voxtral", {"rope_scaling": {"rope_type": "linear", "factor": 2.0}}, 100_000_000.0),
        ("glmasr", {"rope_scaling": {"rope_type": "linear", "factor": 2.0, "rope_theta": 30.0}}, 30.0),
    ],
    ids=str,
)
def test_rotary_settings_over_the_wrapper_s_own(wrapper: str, given: Settings, theta: float) -> None:
    config = {"text_config": {**TEXT, **given}}
    built = AutoConfig.for_model(wrapper, **deepcopy(config)).text_config
    assert built.rope_parameters["rope_theta"] == theta
    attention: Any
    (attention,) = import_config({"model_type": wrapper, **config}).variants("attention").values()
    assert attention.rope_theta == theta
    assert (attention.rope_scaling is not None) == (built.rope_parameters["rope_type"] == "linear")


def test_the_check_builds_from_the_file() -> None:
    """A total that holds for the spec but not for the file is an error."""
    config = {"model_type": "gemma3", "text_config": TEXT, "vision_config": VISION}
    found = imported(config)
    right = llmarch.profile(found.spec, context=1).params
    compare_with_transformers(found, right)
    untied = llmarch.profile(imported({**config, TIED: False}).spec, context=1).params
    with pytest.raises(CheckError, match=f"{untied:,} parameters, but transformers"):
        compare_with_transformers(found, untied)


# --- published files --------------------------------------------------------------------------------------------------

MULTIMODAL_QWEN = {"rope_type": "default", "mrope_section": [24, 20, 20], "mrope_interleaved": True}
PUBLISHED: dict[str, tuple[Settings, int]] = {
    "Qwen2.5-VL-7B": (
        {
            "model_type": "qwen2_5_vl",
            "hidden_size": 3584,
            "intermediate_size": 18_944,
            "num_hidden_layers": 28,
            "num_attention_heads": 28,
            "num_key_value_heads": 4,
            "vocab_size": 152_064,
            "max_window_layers": 28,
            "sliding_window": None,
            "rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]},
            "vision_config": {"depth": 32, "hidden_size": 1280},
            "vision_token_id": 151_654,
        },
        7_615_616_512,
    ),
    "Qwen3-VL-8B": (
        {
            "model_type": "qwen3_vl",
            "tie_word_embeddings": False,
            "text_config": {
                "model_type": "qwen3_vl_text",
                "intermediate_size": 12_288,
                "num_hidden_layers": 36,
                "num_key_value_heads": 8,
                "rope_theta": 5_000_000,
                "rope_scaling": MULTIMODAL_QWEN,
            },
            "vision_config": {"model_type": "qwen3_vl"},
        },
        8_190_735_360,
    ),
    "Kimi-K2.5": (
        {
            "model_type": "kimi_k25",
            "tie_word_embeddings": False,
            "media_placeholder_token_id": 163_605,
            "text_config": {
                "model_type": "kimi_k2",
                "first_k_dense_replace": 1,
                "n_group": 1,
                "topk_group": 1,
                "n_routed_experts": 384,
                "num_attention_heads": 64,
                "num_key_value_heads": 64,
                "num_nextn_predict_layers": 0,
                "vocab_size": 163_840,
            },
            "vision_config": {"vt_num_hidden_layers": 27},
        },
        1_026_408_209_408,
    ),
}


@pytest.mark.parametrize("model", PUBLISHED)
def test_published_files(model: str) -> None:
    config, total = PUBLISHED[model]
    assert params(config) == total


@pytest.mark.parametrize("wrapper", ["llava", "glm4v", "step3p7"])
def test_keys_of_a_text_decoder_at_the_top_of_a_wrapper_that_reads_none(wrapper: str) -> None:
    text = WRAPPERS[wrapper].text
    with pytest.raises(
        InputError, match=f"text_config: required, but missing; .*`llmarch import --as {text}` reads it there"
    ):
        import_config({"model_type": wrapper, "vision_config": {}, **TEXT})
