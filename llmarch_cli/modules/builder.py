"""Build PyTorch modules from a spec: parts become modules, and each component's `forward` connects its parts.

A new type of part needs a module here; a new kind of component does not.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llmarch_cli.components.component import Child, Component, Part
from llmarch_cli.components.frame import PredictionJunction, StreamNorm, TokenEmbedding
from llmarch_cli.components.parts import Buffer, Experts, Linear, Norm, Table, TiedLinear, Vector
from llmarch_cli.errors import InputError
from llmarch_cli.modules.cache import Cache, TensorCache
from llmarch_cli.specs.spec import ModelSpec, NormStyle

INIT_STD = 0.02


def parameter(*shape: int) -> nn.Parameter:
    """An uninitialised parameter on the current default device, in the default dtype."""
    return nn.Parameter(torch.empty(shape))


class Projection(nn.Module):
    """A matrix (d_out, d_in) with an optional bias (d_out,)."""

    def __init__(self, d_in: int, d_out: int, bias: bool) -> None:
        super().__init__()
        self.weight = parameter(d_out, d_in)
        self.bias = parameter(d_out) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """(..., d_in) -> (..., d_out)."""
        return F.linear(x, self.weight, self.bias)


class ExpertStack(nn.Module):
    """The experts' matrices, stacked (n_experts, d_out, d_in), with optional biases (n_experts, d_out)."""

    def __init__(self, n_experts: int, d_in: int, d_out: int, bias: bool) -> None:
        super().__init__()
        self.weight = parameter(n_experts, d_out, d_in)
        self.bias = parameter(n_experts, d_out) if bias else None

    def forward(self, rows: Tensor, expert_ids: Tensor, offsets: Tensor) -> Tensor:
        """Multiply each row by its expert's matrix: rows (n_rows, d_in), sorted by expert -> (n_rows, d_out).

        `expert_ids` (n_rows,) is each row's expert; `offsets` (n_experts,) is the end of each expert's rows.
        """
        if self._has_grouped_kernel(rows):
            out = F.grouped_mm(rows, self.weight.transpose(-1, -2), offs=offsets)
        elif torch.compiler.is_compiling():  # a graph cannot loop over data: copy each row's matrix
            out = (self.weight[expert_ids] @ rows.unsqueeze(-1)).squeeze(-1)
        else:
            ends = offsets.tolist()
            blocks = [
                F.linear(rows[start:end], self.weight[expert])
                for expert, (start, end) in enumerate(zip([0, *ends[:-1]], ends, strict=True))
                if end > start
            ]
            out = torch.cat(blocks)
        return out if self.bias is None else out + self.bias[expert_ids]

    def _has_grouped_kernel(self, rows: Tensor) -> bool:
        """Whether torch's grouped product applies: rows of whole 16 bytes and, on a GPU or in a graph, bfloat16."""
        if rows.is_meta:
            return True
        aligned = all(width * rows.element_size() % 16 == 0 for width in self.weight.shape[1:])
        others = rows.dtype in (torch.float16, torch.float32) and not (rows.is_cuda or torch.compiler.is_compiling())
        return aligned and (rows.dtype == torch.bfloat16 or others)


class LookupTable(nn.Module):
    """A table of rows (n_rows, dim)."""

    def __init__(self, n_rows: int, dim: int) -> None:
        super().__init__()
        self.weight = parameter(n_rows, dim)

    def forward(self, numbers: Tensor) -> Tensor:
        """(...) integers -> (..., dim)."""
        return F.embedding(numbers, self.weight)


class Normalization(nn.Module):
    """The model's norm over the last dimension, computed in float32 for any dtype."""

    def __init__(self, part: Norm, style: NormStyle) -> None:
        super().__init__()
        self.style, self.eps = style, style.eps if part.eps is None else part.eps
        self.of_heads = part.n_heads is not None
        self.weight: nn.Parameter | None = None
        self.bias: nn.Parameter | None = None
        if style.weight and not part.weightless:
            self.weight = parameter(part.dim) if part.n_heads is None else parameter(part.n_heads, part.dim)
            self.bias = parameter(part.dim) if style.bias and part.n_heads is None else None

    def forward(self, x: Tensor) -> Tensor:
        """(..., dim) -> (..., dim); with weights per head, x must be (..., n_heads, n_tokens, dim)."""
        weight = None if self.weight is None else self.weight.float()
        if weight is not None and self.style.unit_offset:
            weight = weight + 1
        scale: Tensor | None = None
        if weight is not None and self.of_heads:
            scale, weight = weight.unsqueeze(-2), None
        if self.style.kind == "rms":
            normed = F.rms_norm(x.float(), x.shape[-1:], weight, self.eps)
        else:
            bias = None if self.bias is None else self.bias.float()
            normed = F.layer_norm(x.float(), x.shape[-1:], weight, bias, self.eps)
        return (normed if scale is None else normed * scale).to(x.dtype)


class ComponentModule(nn.Module):
    """A component's parts as modules and parameters of the same names, run by the component's `forward`."""

    def __init__(self, component: Component, d_model: int, style: NormStyle, tied: nn.Parameter | None = None) -> None:
        super().__init__()
        self.component = component
        for part in component.parts(d_model):
            self._add(part, d_model, style, tied)

    def _add(self, part: Part, d_model: int, style: NormStyle, tied: nn.Parameter | None) -> None:
        match part:
            case Linear():
                self.add_module(part.name, Projection(part.d_in, part.d_out, part.bias))
            case TiedLinear():
                projection = Projection(0, part.d_out, part.bias)
                assert tied is not None
                projection.weight = tied
                self.add_module(part.name, projection)
            case Experts():
                self.add_module(part.name, ExpertStack(part.n_experts, part.d_in, part.d_out, part.bias))
            case Norm():
                self.add_module(part.name, Normalization(part, style))
            case Table():
                self.add_module(part.name, LookupTable(part.n_rows, part.dim))
            case Vector():
                self.register_parameter(part.name, parameter(part.dim))
            case Buffer():
                # float32 for any model dtype: updates of a load-balancing bias are below bfloat16's resolution
                self.register_buffer(part.name, torch.zeros(part.dim, dtype=torch.float32))
            case Child():
                self.add_module(part.name, ComponentModule(part.component, d_model, style))

    def forward(self, x: Tensor, cache: TensorCache) -> Tensor:
        """Run the component; sublayers of a block keep the shape (batch, n_tokens, d_model)."""
        return self.component.forward(self, x, cache)

    def __getattr__(self, name: str) -> Any:  # a type checker cannot know the parts' names
        return super().__getattr__(name)


class Block(nn.Module):
    """One layer: attention and feed-forward, each with a residual connection and the model's norms."""

    def __init__(self, spec: ModelSpec, attention: Component | None, ffn: Component | None) -> None:
        super().__init__()
        normed = attention is not None and attention.has_block_norms
        self.norms = ComponentModule(spec.block_norms(normed, ffn is not None), spec.d_model, spec.norm)
        self.attention = None if attention is None else ComponentModule(attention, spec.d_model, spec.norm)
        self.ffn = None if ffn is None else ComponentModule(ffn, spec.d_model, spec.norm)
        self.parallel, self.residual_scale = spec.parallel_sublayers, spec.residual_scale
        self.norms_residual = spec.norm_placement == "post_residual"

    def forward(self, x: Tensor, cache: TensorCache) -> Tensor:
        """(batch, n_tokens, d_model) -> the same shape."""
        read = self._normed("shared_pre", x)
        for name, sublayer in (("attention", self.attention), ("ffn", self.ffn)):
            if sublayer is not None:
                update = sublayer(self._normed(f"{name}_pre", read), cache)
                if not self.norms_residual:
                    update = self._normed(f"{name}_post", update)
                x = x + (update if self.residual_scale == 1 else update * self.residual_scale)
                if self.norms_residual:
                    x = self._normed(f"{name}_post", x)
                read = read if self.parallel else x
        if self.attention is None:  # nothing to cache, but the tokens count as seen
            cache.length += x.shape[1]
        return x

    def _normed(self, name: str, x: Tensor) -> Tensor:
        """Apply the block's norm of that name; return `x` unchanged if it has none."""
        norm = getattr(self.norms, name, None)
        return x if norm is None else norm(x)

    def new_cache(self, dtype: torch.dtype | None = None) -> TensorCache:
        """An empty cache for this layer."""
        return TensorCache(None if self.attention is None else self.attention.component.span, dtype)


class PredictionBlock(nn.Module):
    """One multi-token-prediction block (DeepSeek-V3, arXiv 2412.19437, section 2.2), sharing embedding and head."""

    def __init__(self, spec: ModelSpec, attention: Component | None, ffn: Component | None) -> None:
        super().__init__()
        self.junction = ComponentModule(PredictionJunction(), spec.d_model, spec.norm)
        self.block = Block(spec, attention, ffn)

    def forward(self, hidden: Tensor, following: Tensor) -> Tensor:
        """Join `hidden` and the embeddings of the following tokens, both (batch, n_tokens, d_model); run the block.

        Returns the normalised output (batch, n_tokens, d_model), which the head and the next prediction block read.
        """
        joined = PredictionJunction().join(self.junction, hidden, following)
        return self.junction.final_norm(self.block(joined, self.block.new_cache()))


class Model(nn.Module):
    """A decoder: tokens in, logits out."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.spec = spec

        def built(component: Component, tied: nn.Parameter | None = None) -> ComponentModule:
            return ComponentModule(component, spec.d_model, spec.norm, tied)

        self.embedding = built(TokenEmbedding(vocab_size=spec.vocab_size))
        positions = spec.position_embedding()
        self.position_embedding = None if positions is None else built(positions)
        self.embedding_norm = built(StreamNorm()) if spec.embedding_norm else None
        attention, ffn = spec.variants("attention"), spec.variants("ffn")
        layers = spec.layers
        self.layers = nn.ModuleList(Block(spec, attention.get(a.attention), ffn.get(a.ffn)) for a in layers)
        self.final_norm = built(StreamNorm()) if spec.final_norm else None
        self.head = built(spec.head(), self.embedding.tokens.weight)
        self.mtp = nn.ModuleList(
            PredictionBlock(spec, attention.get(layers[-1].attention), ffn.get(layers[-1].ffn))
            for _ in range(spec.n_mtp_blocks)
        )

    def forward(self, tokens: Tensor, cache: Cache | None = None) -> Tensor:
        """Logits (batch, n_tokens, vocab_size) for token ids (batch, n_tokens).

        With a cache, `tokens` continue the tokens that it holds, and are added to it.
        Raises InputError if there are more tokens than learned positions, or if the cache is for another batch size.
        """
        return self.logits(self.hidden(tokens, cache))

    def hidden(self, tokens: Tensor, cache: Cache | None = None) -> Tensor:
        """The last block's output (batch, n_tokens, d_model), before the final norm."""
        cache = cache or self.new_cache()
        cache.admit(tokens)
        x = self._embedded(tokens)
        if self.position_embedding is not None:
            end, rows = cache.length + tokens.shape[1], self.spec.learned_positions
            if rows is not None and end > rows:
                raise InputError(f"{self.spec.name} has learned positions for {rows} tokens, not for {end}")
            x = self.position_embedding(x, cache.layers[0])
        if self.embedding_norm is not None:
            x = self.embedding_norm(x, _NO_CACHE)
        for layer, layer_cache in zip(self.layers, cache.layers, strict=True):
            x = layer(x, layer_cache)
        return x

    def logits(self, hidden: Tensor) -> Tensor:
        """(batch, n_tokens, d_model) -> (batch, n_tokens, vocab_size)."""
        return self._head(self._normed(hidden))

    def predict_further(self, tokens: Tensor) -> list[Tensor]:
        """The logits of each multi-token-prediction block for a whole prompt (batch, n_tokens).

        Block k reads token i + 1 + k and the hidden state of token i, and predicts the next token: its logits have
        shape (batch, n_tokens - 1 - k, vocab_size). The hidden state passed to the next depth is normalised: the paper
        leaves this open, and published weights are served this way. Raises InputError if the prompt is too short.
        """
        if tokens.shape[1] <= len(self.mtp):
            raise InputError(
                f"{self.spec.name} has {len(self.mtp)} multi-token-prediction blocks: a prompt needs more than"
                f" {len(self.mtp)} tokens, not {tokens.shape[1]}"
            )
        hidden = self._normed(self.hidden(tokens))
        predictions = []
        for depth, predictor in enumerate(self.mtp, start=1):
            following = self._embedded(tokens[:, depth:])
            hidden = predictor(hidden[:, : following.shape[1]], following)
            predictions.append(self._head(hidden))
        return predictions

    def new_cache(self, batch: int | None = None, dtype: torch.dtype | None = None) -> Cache:
        """An empty cache.

        Args:
            batch: number of sequences; None takes it from the first tokens.
            dtype: dtype of the stored tensors; None keeps the model's own.
        """
        layers: Any = self.layers  # the element type of a ModuleList is unknown to a type checker
        return Cache([layer.new_cache(dtype) for layer in layers], batch)

    def _embedded(self, tokens: Tensor) -> Tensor:
        x = self.embedding(tokens, _NO_CACHE)
        scale = self.spec.d_model**0.5 if self.spec.embedding_scale == "sqrt_d_model" else self.spec.embedding_scale
        return x if scale == 1 else x * scale

    def _normed(self, hidden: Tensor) -> Tensor:
        return hidden if self.final_norm is None else self.final_norm(hidden, _NO_CACHE)

    def _head(self, hidden: Tensor) -> Tensor:
        logits = self.head(hidden, _NO_CACHE)
        if self.spec.logit_scale != 1:
            logits = logits * self.spec.logit_scale
        if self.spec.logit_softcap is not None:
            logits = self.spec.logit_softcap * (logits / self.spec.logit_softcap).tanh()
        return logits

    @torch.no_grad()
    def initialize(self, seed: int | None = None) -> None:
        """Initialise for training: matrices normal with a standard deviation of 0.02, norms neutral, biases 0."""
        generator = None
        if seed is not None:
            generator = torch.Generator(device=next(self.parameters()).device).manual_seed(seed)
        for module in self.modules():
            if isinstance(module, Normalization):
                if module.weight is not None:
                    module.weight.fill_(0.0 if module.style.unit_offset else 1.0)
                if module.bias is not None:
                    module.bias.zero_()
            else:
                for name, weight in module.named_parameters(recurse=False):
                    if name == "bias" or weight.dim() == 1:
                        weight.zero_()
                    else:
                        weight.normal_(0.0, INIT_STD, generator=generator)


# For components that cache nothing.
_NO_CACHE = TensorCache(span=None)


def build(
    spec: ModelSpec,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    seed: int | None = None,
    initialized: bool = True,
) -> Model:
    """Build the architecture as a plain `nn.Module`, with fresh weights on a real device, and none on "meta".

    Args:
        spec: the architecture.
        device: "meta" for shapes only, or a real device.
        dtype: dtype of all parameters.
        seed: seed of the fresh weights; None draws new ones each time.
        initialized: False skips initialisation; use it when loading a checkpoint.

    >>> from llmarch_cli import load
    >>> sum(parameter.numel() for parameter in build(load("gpt2"), device="meta").parameters())
    124439808
    """
    previous = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            model = Model(spec)
    finally:
        torch.set_default_dtype(previous)
    if initialized and torch.device(device).type != "meta":
        model.initialize(seed)
    return model
