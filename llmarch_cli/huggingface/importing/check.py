"""The reference implementation's parameters: transformers' own class, built without weights on the meta device."""

from __future__ import annotations

import warnings
from copy import deepcopy
from typing import Any

from llmarch_cli.errors import CheckError, InputError
from llmarch_cli.huggingface.importing import Imported
from llmarch_cli.huggingface.importing.families import BY_ARCHITECTURE

# Families that transformers has under another name.
SAME_AS = {"kimi_k2": "deepseek_v3"}

# Says how a file was saved, not what it is of; and `model_type` names the class.
SAVED = ("model_type", "architectures", "auto_map", "quantization_config", "torch_dtype", "dtype")

# A router's bias is a buffer here, and a parameter in some of transformers' classes.
BUFFER = "e_score_correction_bias"


def check(found: Imported, params: int) -> str:
    """A line that says that transformers counts `params` too.

    Raises CheckError where it counts others, and InputError where it is not installed or cannot build the model.
    """
    if found.family in BY_ARCHITECTURE.values():
        raise InputError(f"--check: transformers has no class for the family {found.family}")
    try:
        import transformers
    except ImportError:
        raise InputError("--check needs transformers: `pip install transformers`") from None
    theirs = count(found.family, {name: value for name, value in found.config.items() if name not in SAVED})
    if theirs != params:
        raise CheckError(
            f"{found.source.origin}: {params:,} parameters, but transformers {transformers.__version__} builds"
            f" {theirs:,}: please report it"
        )
    return f"check: transformers {transformers.__version__} builds {theirs:,} parameters too"


def count(family: str, config: dict[str, Any]) -> int:
    """Parameters of transformers' model of this config, tied ones once."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    model_of: Any = AutoModelForCausalLM.from_config
    try:
        with warnings.catch_warnings(action="ignore"), torch.device("meta"):
            model = model_of(AutoConfig.for_model(SAME_AS.get(family, family), **deepcopy(config)))  # which it changes
    except Exception as error:  # its classes raise all sorts
        first = (str(error).strip().splitlines() or [""])[0][:200]
        raise InputError(f"--check: transformers cannot build it: {type(error).__name__}: {first}") from None
    return sum(values.numel() for name, values in model.named_parameters() if not name.endswith(BUFFER))
