"""A family: how its config keys map to the fields of a spec, and the defaults of absent keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from llmarch_cli.huggingface.importing.keys import Accepted, Config
from llmarch_cli.huggingface.importing.layers import Fields


@dataclass(frozen=True)
class Family:
    """One `model_type`, as transformers registers it.

    Attributes:
        model_type: the `model_type` of its configs.
        fields: converts a config into the fields of a spec.
        defaults: the values of absent keys: the defaults of transformers' config class, held equal by a test. A key
            without a value or a default is an error.
        aliases: other names of keys, each with its name in `defaults`.
        without_effect: keys of this family without effect on the architecture, with the values for which this holds.
    """

    model_type: str
    fields: Callable[[Config], Fields]
    defaults: Mapping[str, Any]
    aliases: Mapping[str, str] = field(default_factory=dict)
    without_effect: Mapping[str, Accepted] = field(default_factory=dict)


@dataclass(frozen=True)
class Wrapper:
    """A multimodal config with the text decoder's config under `text_config`.

    Attributes:
        text: the family of the text decoder. transformers ignores or rejects any other `model_type` there.
        absent: the text config that an absent or null `text_config` stands for. An empty one is the family's own.
        tied: the default of the wrapper's `tie_word_embeddings`, which overrides that of the text config. None if
            transformers ignores the wrapper's and uses that of the text config.
        null_is_untied: transformers accepts a null `tie_word_embeddings` of the wrapper, and then ties nothing.
    """

    text: str
    absent: Mapping[str, Any] = field(default_factory=dict)
    tied: bool | None = None
    null_is_untied: bool = False


def sizes(
    vocab_size: int,
    hidden_size: int,
    intermediate_size: int,
    num_hidden_layers: int,
    num_attention_heads: int,
    num_key_value_heads: int | None,
    max_position_embeddings: int,
) -> dict[str, Any]:
    """The default sizes, under the names that most families use."""
    return dict(locals())


# The defaults of most classes. A family overrides those that differ.
USUAL: dict[str, Any] = {
    "hidden_act": "silu",
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": False,
    "rope_parameters": None,
    "rope_theta": 10_000.0,
}
