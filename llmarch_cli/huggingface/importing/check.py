"""Compare the parameter count with that of transformers, built on the meta device."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from llmarch_cli.errors import CheckError, InputError, shown
from llmarch_cli.huggingface.importing import Imported
from llmarch_cli.huggingface.importing.families import FAMILIES, MULTIMODAL

# Families that transformers implements under another name.
SAME_AS = {"kimi_k2": "deepseek_v3"}

# Keys that say how the weights were saved; `model_type` is passed on its own.
SAVED = ("model_type", "architectures", "auto_map", "quantization_config", "torch_dtype", "dtype")

# A router's bias is a buffer here, but a parameter in some classes of transformers.
BUFFER = ("e_score_correction_bias", "mlp.expert_bias")

# Image and audio encoders that a class keeps inside its decoder.
ENCODERS = "embed_tokens_extend."


def compare_with_transformers(found: Imported, params: int) -> str:
    """Check that transformers builds `params` parameters from the same file, and return a line that says so.

    It builds the class of the file's own `model_type`. Where it has none, the line says which class it built instead.
    Raises CheckError if the counts differ, and InputError if transformers is not installed or cannot build the model.
    """
    if FAMILIES[found.family].remote:
        raise InputError(f"--check: transformers has no class for the family {found.family}")
    try:
        import transformers
    except ImportError:
        raise InputError("--check needs transformers: `pip install transformers`") from None
    is_own = found.own is None or found.own in transformers.CONFIG_MAPPING
    if is_own and found.own is not None:
        theirs = count(found.own, found.source.data)
    else:
        theirs = count(found.model_type, found.config) - found.left_out
    if theirs != params:
        advice = "please report this" if found.own is None else "--as names another family than the file's own"
        raise CheckError(
            f"{found.source.origin}: {params:,} parameters, but transformers {transformers.__version__} builds"
            f" {theirs:,}; {advice}"
        )
    if is_own:
        return f"check: transformers {transformers.__version__} also builds {theirs:,} parameters"
    return (
        f"check: transformers {transformers.__version__} has no class for the model_type {shown(found.own)}; its class"
        f" for {found.model_type}, which --as names, builds {theirs:,} parameters too. That does not confirm the family"
    )


def count(model_type: str, config: Mapping[str, Any]) -> int:
    """Count the parameters that transformers builds from a config file's keys and values, each tied matrix once.

    Of a multimodal model, the text decoder and its head only.
    """
    import torch
    from transformers import AutoConfig

    settings = deepcopy({name: value for name, value in config.items() if name not in SAVED})  # transformers edits it
    if (around := wrapper_of(model_type)) is not None:
        tied = settings.get("tie_word_embeddings", FAMILIES[model_type].defaults["tie_word_embeddings"])
        model_type, settings = around, {"text_config": settings, "tie_word_embeddings": tied}
    try:
        with warnings.catch_warnings(action="ignore"), torch.device("meta"):
            built = AutoConfig.for_model(SAME_AS.get(model_type, model_type), **settings)
            model = head_class(built)._from_config(built)
    except Exception as error:  # its classes raise errors of many types
        first = (str(error).strip().splitlines() or [""])[0][:200]
        raise InputError(f"--check: transformers cannot build it: {type(error).__name__}: {first}") from None
    text = [model.get_decoder(), model.get_output_embeddings()] if model_type in MULTIMODAL else [model]
    counted = torch.nn.ModuleList(text)
    return sum(
        values.numel()
        for name, values in counted.named_parameters()
        if not name.endswith(BUFFER) and ENCODERS not in name
    )


def wrapper_of(model_type: str) -> str | None:
    """The wrapper around a text decoder that transformers has no class with a head for."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    if model_type not in FAMILIES or SAME_AS.get(model_type, model_type) in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        return None
    return next((name for name, each in MULTIMODAL.items() if each.text == model_type), None)


def head_class(config: Any) -> Any:
    """The class of transformers with a decoder and its head."""
    from transformers.models.auto import modeling_auto

    mappings = (
        modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING,
        modeling_auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
        modeling_auto.MODEL_FOR_MULTIMODAL_LM_MAPPING,
        modeling_auto.MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING,
    )
    if config.model_type in MULTIMODAL:  # some have another class for text alone
        mappings = (*mappings[1:], mappings[0])
    found = next((mapping[type(config)] for mapping in mappings if type(config) in mapping), None)
    if found is None:
        raise InputError(f"no class with a head for {config.model_type}")
    return found
