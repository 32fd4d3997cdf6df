"""`--as` a wrapper or a family invents nothing: what its class would fill in must be said."""

from __future__ import annotations

import pytest
from refused import SIZES, Settings, refusal

from llmarch_cli.huggingface.importing import imported
from llmarch_cli.huggingface.importing.families import MULTIMODAL

LLAMA: Settings = {"model_type": "llama", **SIZES}


@pytest.mark.parametrize("wrapper", MULTIMODAL)
@pytest.mark.parametrize("text", [None, {}, {"model_type": "own"}], ids=["absent", "empty", "typed"])
def test_a_guessed_wrapper_gives_no_text_config(wrapper: str, text: Settings | None) -> None:
    """Its class has sizes for an absent text config, and some beneath a given one."""
    if text:
        text = {"model_type": MULTIMODAL[wrapper].text}
    refusal({"model_type": "mine", **({} if text is None else {"text_config": text})}, as_=wrapper)


@pytest.mark.parametrize("wrapper", [name for name, each in MULTIMODAL.items() if each.any_text and not each.repeats])
def test_a_guessed_wrapper_does_not_decide_on_ties(wrapper: str) -> None:
    assert "tie_word_embeddings" in refusal({"model_type": "mine", "text_config": LLAMA}, as_=wrapper)


def test_ties_that_the_file_says_are_read() -> None:
    for tied in (False, True):
        found = imported({"model_type": "mine", "text_config": LLAMA, "tie_word_embeddings": tied}, as_="mistral3")
        assert found.spec.tie_embeddings is tied
    whole = {"model_type": "mine", "text_config": LLAMA}
    assumed = imported(whole, as_="mistral3", assume={"tie_word_embeddings": False})
    assert not assumed.spec.tie_embeddings


@pytest.mark.parametrize(
    ("family", "key"),
    [
        ("mllama_text_model", "cross_attention_layers"),
        ("ernie4_5_vl_moe_text", "moe_intermediate_size"),
        ("flint", "mlp_only_layers"),
    ],
)
def test_numbers_that_stand_for_a_null_default_are_missing(family: str, key: str) -> None:
    assert key in refusal({**LLAMA, "model_type": "mine"}, as_=family)


@pytest.mark.parametrize(
    ("family", "key"),
    [
        ("llama", "head_dim"),
        ("llama", "num_key_value_heads"),
        ("mixtral", "sliding_window"),
        ("phi3", "sliding_window"),
    ],
)
def test_null_defaults_are_listed(family: str, key: str) -> None:
    own = {"model_type": "mine", "tie_word_embeddings": False, "num_local_experts": 4, "num_experts_per_tok": 2}
    own |= {"original_max_position_embeddings": 64} if family == "phi3" else {}
    config = {name: value for name, value in {**LLAMA, **own}.items() if name != key}
    if family != "mixtral":
        config = {name: value for name, value in config.items() if "experts" not in name}
    (listed,) = [note for note in imported(config, as_=family).notes if note.startswith("Absent")]
    assert f"{key} null" in listed
