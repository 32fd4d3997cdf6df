"""Training FLOPs by the conventions of four projects and by ours, for the table in `training.md`.

Each function is the project's own formula in our words, read from its code in 2026, for layers of grouped-query and
latent attention, dense layers and mixtures. Values are FLOPs of forward and backward pass for one token, the mean over
a sequence of `n` tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

from llmarch_cli.components.attention import GroupedQueryAttention, MultiHeadLatentAttention
from llmarch_cli.components.component import Child, Component
from llmarch_cli.components.parts import Experts, Linear, Norm
from llmarch_cli.models import load
from llmarch_cli.profilers.cost import Workload
from llmarch_cli.profilers.profile import profile
from llmarch_cli.report import units
from llmarch_cli.specs.spec import ModelSpec

MODELS = ("llama3.1-8b", "qwen3-30b-a3b", "gemma3-27b", "gpt-oss-120b", "deepseek-v3")
LENGTHS = (4096, 32_768)

PADDED_TO = 128  # rows of a vocabulary, in Megatron


@dataclass(frozen=True)
class Attention:
    """What attention of one layer costs for each token that a token sees.

    Attributes:
        width: query heads x (width of a key + width of a value): multiply-adds.
        window: None for all tokens.
    """

    width: int
    window: int | None

    def widest(self, n: int) -> int:
        """The most tokens that a token of `n` sees."""
        return n if self.window is None else min(n, self.window)

    def mean(self, n: int) -> Fraction:
        """The tokens that a token sees, itself included: the mean over `n` tokens."""
        w = self.widest(n)
        return w - Fraction(w * (w - 1), 2 * n)


def attentions(spec: ModelSpec) -> Iterator[Attention]:
    """The attention of each layer."""
    for layer in spec.layers:
        match spec.component("attention", layer.attention):
            case GroupedQueryAttention() as gqa:
                yield Attention(gqa.n_heads * (gqa.head_dim + gqa.v_width), gqa.window)
            case MultiHeadLatentAttention() as mla:
                key = mla.qk_nope_head_dim + mla.qk_rope_head_dim
                yield Attention(mla.n_heads * (key + mla.v_head_dim), None)
            case other:
                raise TypeError(f"{spec.name}: {other}")


def matrices(spec: ModelSpec, without: str = "") -> int:
    """Multiply-adds of one token in all layers' matrices, but for those of one name."""
    return sum(
        _matrices(component, spec.d_model, without)
        for layer in spec.layers
        for axis, name in (("attention", layer.attention), ("ffn", layer.ffn))
        if (component := spec.component(axis, name)) is not None
    )


def _matrices(component: Component, d_model: int, without: str) -> int:
    total = 0
    for part in component.parts(d_model):
        match part:
            case Child():
                total += _matrices(part.component, d_model, without)
            case Linear() if part.name != without:
                total += part.d_in * part.d_out
            case Experts():
                total += part.n_active * part.d_in * part.d_out
    return total


def table(spec: ModelSpec) -> int:
    """The values of the input embedding; those of the head are as many."""
    return spec.vocab_size * spec.d_model


def ours(spec: ModelSpec, n: int) -> Fraction:
    """Products alone, and of attention those of pairs that are seen."""
    seen = sum((each.width * each.mean(n) for each in attentions(spec)), Fraction())
    return 6 * (matrices(spec) + table(spec) + seen)


def verl(spec: ModelSpec, *lengths: int) -> Fraction:
    """The embedding's lookup is a product too; a token sees half of what the last one sees, with windows too."""
    n_tokens = sum(lengths)
    pairs = sum(each.width * n * each.widest(n) for each in attentions(spec) for n in lengths)
    return 6 * (matrices(spec) + 2 * table(spec) + Fraction(pairs, 2 * n_tokens))


def megatron_bridge(spec: ModelSpec, n: int) -> Fraction:
    """No router; norms of latents are products; rows of the vocabulary are padded; n / 2 tokens are seen of n."""
    head = spec.d_model * -(-spec.vocab_size // PADDED_TO) * PADDED_TO
    half = Fraction(n, 2)
    seen = sum((each.width * (half if each.widest(n) == n else each.mean(n)) for each in attentions(spec)), Fraction())
    return 6 * (matrices(spec, without="router") + latent_norms(spec) + head + seen)


def latent_norms(spec: ModelSpec) -> int:
    """The weights of norms inside latent attention, in all layers."""
    found = (spec.component("attention", layer.attention) for layer in spec.layers)
    latent = (each for each in found if isinstance(each, MultiHeadLatentAttention))
    return sum(part.dim for each in latent for part in each.parts(spec.d_model) if isinstance(part, Norm))


def torchtitan(spec: ModelSpec, n: int) -> Fraction:
    """Every active parameter but the input embedding counts as a product; attention is not causal."""
    active = profile(spec, Workload(n), "closed-form").active_params_without_input_embedding
    return Fraction(6 * (active + sum(each.width * each.widest(n) for each in attentions(spec))))


def nanochat(spec: ModelSpec, n: int) -> Fraction | None:
    """As torchtitan, but for all parameters; None for what it has not: mixtures and tied embeddings."""
    found = profile(spec, Workload(n), "closed-form")
    if found.active_params != found.params or spec.tie_embeddings:
        return None
    attention = sum(each.width * each.widest(n) for each in attentions(spec))
    return Fraction(6 * (found.params - table(spec) + attention))


THEIRS: dict[str, Callable[[ModelSpec, int], Fraction | None]] = {
    "verl": verl,
    "Megatron-Bridge": megatron_bridge,
    "torchtitan": torchtitan,
    "nanochat": nanochat,
}


def written() -> str:
    """The table of `training.md`."""
    lines = [
        f"| model | tokens | ours | {' | '.join(THEIRS)} |",
        f"| --- | ---: | ---: | {' | '.join(['---:'] * len(THEIRS))} |",
    ]
    for name in MODELS:
        spec = load(name)
        for n in LENGTHS:
            own = ours(spec, n)
            others = (convention(spec, n) for convention in THEIRS.values())
            cells = ("-" if other is None else units.difference(other / own - 1) for other in others)
            lines.append(f"| {name} | {n:,} | {units.FLOPS.write(own)} | {' | '.join(cells)} |")
    return "\n".join(lines)
