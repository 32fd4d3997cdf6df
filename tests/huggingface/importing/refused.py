"""Small configs that lack a family or have one by mistake, and why a config is refused."""

from __future__ import annotations

from typing import Any

import pytest

from llmarch_cli.errors import InputError
from llmarch_cli.huggingface.importing import import_config

Settings = dict[str, Any]

SIZES: Settings = {
    "vocab_size": 96,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
}


def refusal(config: Settings, **how: Any) -> str:
    """The error of an import."""
    with pytest.raises(InputError) as caught:
        import_config(config, **how)
    return str(caught.value)
