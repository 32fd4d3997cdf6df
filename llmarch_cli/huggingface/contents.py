"""What a checkpoint holds, from its headers alone: the component, the format and the values of each tensor.

Components are known by the names that publishers give to tensors, without a spec. To add a name: `_COMPONENTS`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from math import prod
from pathlib import Path

from llmarch_cli.huggingface import names
from llmarch_cli.huggingface.gguf import names as gguf_names
from llmarch_cli.huggingface.headers import Stored
from llmarch_cli.huggingface.packed import Candidate, Packed, candidates, fitting_shapes, plain_name, recognised
from llmarch_cli.huggingface.weights import Weights

OTHER = "other"

LONGEST_NAME = 500  # of a tensor in a component; matching takes long with longer ones, which no publisher has

# Components in the order of a report, each with a regular expression for one part of a tensor's name, and the place of
# this expression in the order of trying them: a norm inside attention is a norm.
_COMPONENTS = {
    "embedding": (5, r"wte|wpe|\w*embed(?:ding)?s?(?:_\w+)?|(?:\w+_)?embd|tok_embeddings"),
    "attention": (
        7,
        r"(?:self_|linear_)?(?:attn|attention)(?:_\w+)?|mixer|mamba|conv|ssm_\w+|shortconv|temporal_block|time_mix_\w+",
    ),
    "feed-forward": (
        6,
        r"mlp|mlp_block|ffn|ffn_\w+|feed_forward|block_sparse_moe|moe|fc[12](?:_latent_proj)?|(?:up|down)_proj"
        r"|shared_mlp|channel_mix_\w+",
    ),
    "shared experts": (3, r"shared_experts?|ffn_\w+_shexp"),
    "experts": (4, r"experts|ffn_\w+_exps"),
    "router": (
        2,
        r"router|ffn_gate_inp(?:_shexp)?|exp_probs_b|(?:e_score_correction|expert)_bias|shared_expert_gate|tid2eid",
    ),
    "norms": (1, r"(?:\w+_)?(?:(?:layer_?|rms_?)?norms?|ln)(?:_\w+|\d)?"),
}
COMPONENTS = (*_COMPONENTS, "head", OTHER)

_PATTERNS = [
    (name, re.compile(pattern)) for name, (_, pattern) in sorted(_COMPONENTS.items(), key=lambda item: item[1])
]

_HEAD = r"(?:language_model\.)?(?:model\.)?(?:lm_head|output|head|embed_out|output_projection)\."

# By whole names: where the same part of a name stands for something else. Tried first, in this order.
_WHOLE = tuple(
    (re.compile(pattern), name)
    for pattern, name in (
        *((pattern, OTHER) for pattern in (*names.BEYOND.values(), gguf_names.FACTORS)),
        (rf"{_HEAD}norm\..+", "norms"),
        (rf"{_HEAD}.+", "head"),
        # The router of many families is a `gate` right below the layer; elsewhere, a gate is a matrix of the layer.
        (r"(?:.*\.)?(?:mlp|block_sparse_moe|feed_forward|ffn|mixer|moe)\.gate(?:\.wg)?\.(?:weight|bias)", "router"),
        (r".*\.block_sparse_moe\.(?:input|output)_linear\.weight", "experts"),
    )
)


@dataclass(frozen=True, slots=True)
class Content:
    """A stored tensor.

    Attributes:
        component: one of COMPONENTS.
        format: its dtype or type; for packed values and what is stored beside them, the format.
        n_values: its unpacked values; 0 for what is stored beside packed ones. None if the headers, and a config.json
            beside them, do not say how many bits a value has.
    """

    stored: Stored
    component: str
    format: str
    n_values: int | None


@dataclass(frozen=True)
class Contents:
    """The tensors of a checkpoint, and the bytes beside them."""

    path: Path
    tensors: tuple[Content, ...]
    header_bytes: int
    padding_bytes: int

    @property
    def n_bytes(self) -> int:
        """The bytes of all tensors."""
        return sum(each.stored.n_bytes for each in self.tensors)


def contents(weights: Weights) -> Contents:
    """Sort the tensors of a checkpoint by component and format."""
    packed, unknown = _packed(weights)
    beside = {other.name: (name, each) for name, each in packed.items() for _, other in each.beside}

    def of(tensor: Stored) -> Content:
        if tensor.name in beside:
            owner, its = beside[tensor.name]
            return Content(tensor, component(plain_name(weights.tensors[owner])), str(its), 0)
        own = component(plain_name(tensor))
        if tensor.name in packed:
            its = packed[tensor.name]
            n_values = None if tensor.name in unknown else prod(its.values)
            return Content(tensor, own, its.format.name if n_values is None else str(its), n_values)
        is_scale = weights.gguf is not None and re.fullmatch(gguf_names.SCALES, tensor.name) is not None
        return Content(tensor, own, tensor.dtype, 0 if is_scale else tensor.n_values)

    return Contents(weights.path, tuple(map(of, weights.tensors.values())), weights.header_bytes, weights.padding_bytes)


@cache  # names repeat in each expert
def component(name: str) -> str:
    """The component of a tensor by its plain name."""
    if len(name) > LONGEST_NAME:
        return OTHER
    whole = (of for pattern, of in _WHOLE if pattern.fullmatch(name))
    parts = name.split(".")
    inside = (of for of, pattern in _PATTERNS if any(pattern.fullmatch(part) for part in parts))
    return next(whole, None) or next(inside, OTHER)


def _packed(weights: Weights) -> tuple[dict[str, Packed], set[str]]:
    """The packed tensors by name, and the names of those whose number of values several formats fit, or none."""
    tensors, unknown = {}, set()
    for name, formats in candidates(weights.tensors).items():
        shapes = fitting_shapes(weights.tensors[name], formats, weights.settings)
        if len({prod(shape) for shape in shapes}) != 1:
            unknown.add(name)
        tensors[name] = Candidate(weights.tensors[name], formats, next(iter(shapes), None))
    return recognised(tensors, weights.settings), unknown
