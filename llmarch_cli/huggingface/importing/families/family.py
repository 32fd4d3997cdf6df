"""A family: how its config keys map to the fields of a spec, and the defaults of absent keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
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
        remote: transformers has no class for it; its authors publish the code with the weights.
    """

    model_type: str
    fields: Callable[[Config], Fields]
    defaults: Mapping[str, Any]
    aliases: Mapping[str, str] = field(default_factory=dict)
    without_effect: Mapping[str, Accepted] = field(default_factory=dict)
    remote: bool = False


class Ties(Enum):
    """Which of the two `tie_word_embeddings` of a multimodal config transformers reads."""

    OUTER = "the wrapper's"
    INNER = "that of the text config"
    EITHER = "tied if one of them is true"
    NEITHER = "none: the head is always a matrix of its own"


@dataclass(frozen=True)
class Wrapper:
    """A multimodal config with the config of the text decoder inside.

    Attributes:
        text: the family of a text decoder that does not name one.
        any_text: transformers reads the `model_type` of the text config, and takes any family. Otherwise it ignores it,
            and another family than `text` is an error here.
        absent: the text config that an absent or null one stands for. An empty one is the family's own.
        merged: `absent` also holds the defaults of a text config that is given.
        ties: which `tie_word_embeddings` counts.
        tied: the default of the wrapper's. None is that of the text config.
        null_is_untied: transformers accepts a null `tie_word_embeddings` of the wrapper, and then ties nothing.
        flat: without a text config, its keys are read at the top level, as in early files; always if `text` is itself
            the `model_type` of a wrapper.
        renamed: other names of text families, each with the family.
        inside: the key of an inner wrapper, of the `model_type` `text`, which has the text config.
        parts: keys of other parts than the text decoder, beside those that end with `_config`.
        repeats: keys of the wrapper that must repeat those of the text config, with their defaults.
        without_effect: keys of this wrapper without effect on the text decoder, with the values for which this holds.
        note: what else differs from the text decoder on its own.
        classes: names of its class that do not say that it generates text.
    """

    text: str
    any_text: bool = False
    absent: Mapping[str, Any] = field(default_factory=dict)
    merged: bool = False
    ties: Ties = Ties.OUTER
    tied: bool | None = False
    null_is_untied: bool = False
    flat: bool = False
    renamed: Mapping[str, str] = field(default_factory=dict)
    inside: str | None = None
    parts: tuple[str, ...] = ()
    repeats: Mapping[str, Any] = field(default_factory=dict)
    without_effect: Mapping[str, Accepted] = field(default_factory=dict)
    note: str | None = None
    classes: tuple[str, ...] = ()


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


def basic_sizes(vocab_size: int, d_model: int, n_layers: int, n_heads: int, context_length: int) -> dict[str, Any]:
    """The default sizes of a family from whose width and heads the others follow."""
    return {
        "vocab_size": vocab_size,
        "hidden_size": d_model,
        "num_hidden_layers": n_layers,
        "num_attention_heads": n_heads,
        "max_position_embeddings": context_length,
    }


BIASES: dict[str, Any] = {"attention_bias": False, "mlp_bias": False}

# GPT's own names of keys, and the defaults of the classes that have them.
GPT_NAMES = {
    "n_positions": "max_position_embeddings",
    "n_embd": "hidden_size",
    "n_head": "num_attention_heads",
    "n_layer": "num_hidden_layers",
}
GPT_USUAL: dict[str, Any] = {"activation_function": "gelu_new", "layer_norm_epsilon": 1e-5, "n_inner": None}

# The defaults of most classes. A family overrides those that differ.
USUAL: dict[str, Any] = {
    "hidden_act": "silu",
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": False,
    "rope_parameters": None,
    "rope_theta": 10_000.0,
}
