"""A transformers model and ours with the same random weights, and the ways to run ours over the same tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any
from zlib import crc32

import torch
from families import FAMILIES
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, DynamicCache
from transformers.modeling_outputs import CausalLMOutput
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING
from weights import carry, names_of, randomize

from llmarch_cli.huggingface.importing.check import head_class, wrapper_of
from llmarch_cli.modules.builder import Model, build
from llmarch_cli.specs.spec import ModelSpec

torch.set_num_threads(1)  # tensors are tiny: threads would only wait for each other

N_TOKENS = 26  # longer than every window and chunk, and than each of them twice
TOLERANCE = 2e-5  # of the largest logit


@dataclass(frozen=True)
class Case:
    """One config of a family: a random shape, and one of the family's variants laid over it."""

    family: str
    variant: int

    def __str__(self) -> str:
        return f"{self.family}-{self.variant}"

    def config(self) -> Any:
        """The same at each call."""
        family = FAMILIES[self.family]
        fields = {**family.shape(Random(str(self))), **family.variants[self.variant]}
        return AutoConfig.for_model(self.family, **fields)

    def spec(self) -> ModelSpec:
        """What our spec says of the config."""
        return ModelSpec.model_validate(FAMILIES[self.family].spec(self.config()))


CASES = [Case(name, variant) for name, family in FAMILIES.items() for variant in range(len(family.variants))]


class TextDecoder(nn.Module):
    """The text decoder of a multimodal model with its head."""

    def __init__(self, whole: Any) -> None:
        super().__init__()
        self.model, self.lm_head = whole.get_decoder(), whole.lm_head

    def forward(self, tokens: Tensor, use_cache: bool) -> CausalLMOutput:
        """Logits (batch, n_tokens, vocab_size) for token ids (batch, n_tokens)."""
        return CausalLMOutput(logits=self.lm_head(self.model(tokens, use_cache=use_cache)[0]))


VISION = {"num_hidden_layers": 1, "hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2}


def reference(config: Any) -> Any:
    """Transformers' model, in its plainest form."""
    plain = {"attn_implementation": "eager", "experts_implementation": "eager"}
    if (around := wrapper_of(config.model_type)) is not None:
        outer = {"vision_config": VISION, "tie_word_embeddings": config.tie_word_embeddings}
        whole = AutoConfig.for_model(around, text_config=config, **outer)
        return TextDecoder(head_class(whole)._from_config(whole, **plain)).eval()
    known = type(config) in MODEL_FOR_CAUSAL_LM_MAPPING
    model_of: Any = AutoModelForCausalLM.from_config if known else head_class(config)._from_config
    # Its plain form of ALiBi in Falcon adds the biases twice: once with the mask, once beside it.
    attention = "sdpa" if getattr(config, "alibi", False) else "eager"
    return model_of(config, **{**plain, "attn_implementation": attention}).eval()


@dataclass(frozen=True)
class Pair:
    """Two models of the same weights, and what theirs says of a batch of two prompts.

    tokens: (2, n_tokens). logits: (2, n_tokens, vocab_size), theirs, of the whole prompts at once.
    """

    theirs: Any
    ours: Model
    tokens: Tensor
    logits: Tensor


@cache
@torch.no_grad()
def pair(case: Case) -> Pair:
    """Both models, shared by all tests: leave them as they are."""
    seed = crc32(str(case).encode())  # the same whatever other cases there are
    config = case.config()
    theirs = reference(config)
    randomize(theirs, seed)
    ours = build(case.spec())
    carry(names_of(case.family, config), theirs.state_dict(), ours)
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(ours.spec.vocab_size, (2, N_TOKENS), generator=generator)
    return Pair(theirs, ours, tokens, theirs(tokens, use_cache=False).logits)


class Cached:
    """Their model, called as ours is."""

    def __init__(self, theirs: Any) -> None:
        self.theirs = theirs

    def new_cache(self) -> DynamicCache:
        return DynamicCache()

    def __call__(self, tokens: Tensor, kept: Any = None) -> Tensor:
        logits: Tensor = self.theirs(tokens, past_key_values=kept, use_cache=kept is not None).logits
        return logits


def continued(model: Model | Cached, pieces: Iterator[Tensor] | tuple[Tensor, ...]) -> Tensor:
    """Logits of pieces of a prompt, each (batch, n_tokens), one after another with a cache."""
    kept = model.new_cache()
    return torch.cat([model(piece, kept) for piece in pieces], dim=1)


# Each gives the logits of `tokens` (2, n_tokens), or of the first of them.
WAYS: dict[str, Callable[[Model | Cached, Tensor], Tensor]] = {
    "prompt": lambda model, tokens: model(tokens[:1]),
    "batch": lambda model, tokens: model(tokens),
    "token by token": lambda model, tokens: continued(model, tokens.split(1, dim=1)),
    "chunks of a prompt": lambda model, tokens: continued(model, tokens.split((3, 1, 7, 2, 6, 5, 2), dim=1)),
    "a prompt, then tokens": lambda model, tokens: continued(model, tokens[:1].split((17, *[1] * 9), dim=1)),
}


def deviation(ours: Tensor, theirs: Tensor) -> float:
    """The largest difference of two tensors of logits, as a share of the largest logit."""
    theirs = theirs[: ours.shape[0]]
    return float((ours - theirs).abs().max() / theirs.abs().max())
