"""Build PyTorch modules from a spec: parts become modules, and each component's `forward` connects its parts.

A new type of part needs a module here; a new kind of component does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llmarch_cli.components.component import Child, Component, Part, cache_entries
from llmarch_cli.components.frame import LayerScale, PredictionJunction, StreamNorm, TokenEmbedding
from llmarch_cli.components.parts import (
    Assignments,
    BlockDiagonal,
    Buffer,
    Convolution,
    Experts,
    Linear,
    Matrix,
    Norm,
    Table,
    TiedLinear,
    Vector,
)
from llmarch_cli.errors import InputError
from llmarch_cli.modules.cache import Cache, Step, TensorCache
from llmarch_cli.modules.packing import Packing
from llmarch_cli.specs.spec import LAYER_INPUT, LayerVariants, ModelSpec, NormStyle

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


class BlockProjection(nn.Module):
    """The blocks (n_blocks, d_out, d_in) of a block-diagonal matrix, with an optional bias (n_blocks, d_out)."""

    def __init__(self, n_blocks: int, d_in: int, d_out: int, bias: bool) -> None:
        super().__init__()
        self.weight = parameter(n_blocks, d_out, d_in)
        self.bias = parameter(n_blocks, d_out) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """(..., n_blocks, d_in) -> (..., n_blocks, d_out)."""
        out = by_blocks(self.weight, x)
        return out if self.bias is None else out + self.bias


def by_blocks(weight: Tensor, x: Tensor) -> Tensor:
    """Blocks (n_blocks, d_out, d_in) times (..., n_blocks, d_in): (..., n_blocks, d_out)."""
    # Blocks first: as the left factor, the matrices would be copied for every token.
    rows = x.flatten(0, -3).transpose(0, 1)  # (n_blocks, n_rows, d_in)
    out: Tensor = torch.matmul(rows, weight.transpose(1, 2)).transpose(0, 1).unflatten(0, x.shape[:-2])
    return out


class LookupTable(nn.Module):
    """A table of rows (n_rows, dim)."""

    def __init__(self, n_rows: int, dim: int) -> None:
        super().__init__()
        self.weight = parameter(n_rows, dim)

    def forward(self, numbers: Tensor) -> Tensor:
        """(...) integers -> (..., dim)."""
        return F.embedding(numbers, self.weight)


class DepthwiseConvolution(nn.Module):
    """A causal filter (channels, kernel) for each channel, with an optional bias (channels,)."""

    def __init__(self, channels: int, kernel: int, bias: bool) -> None:
        super().__init__()
        self.weight = parameter(channels, kernel)
        self.bias = parameter(channels) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """(batch, n_tokens + kernel - 1, channels), the earlier inputs first -> (batch, n_tokens, channels)."""
        channels = self.weight.shape[0]
        return F.conv1d(x.transpose(1, 2), self.weight.unsqueeze(1), self.bias, groups=channels).transpose(1, 2)


class Normalization(nn.Module):
    """A norm over the last dimension, computed in float32 for any dtype: the model's, but for what `part` replaces."""

    def __init__(self, part: Norm, style: NormStyle) -> None:
        super().__init__()
        self.kind = part.kind or style.kind
        self.eps = style.eps if part.eps is None else part.eps
        self.unit_offset = style.unit_offset if part.unit_offset is None else part.unit_offset
        self.of_heads, self.groups = part.n_heads is not None, part.groups
        self.weight: nn.Parameter | None = None
        self.bias: nn.Parameter | None = None
        if style.weight and not part.weightless:
            self.weight = parameter(part.dim) if part.n_heads is None else parameter(part.n_heads, part.dim)
            biased = style.bias if part.bias is None else part.bias
            self.bias = parameter(part.dim) if biased and part.n_heads is None else None

    def forward(self, x: Tensor) -> Tensor:
        """(..., dim) -> (..., dim); with weights per head, x must be (..., n_heads, n_tokens, dim)."""
        weight = None if self.weight is None else self.weight.float()
        if weight is not None and self.unit_offset:
            weight = weight + 1
        scale: Tensor | None = None
        if weight is not None and self.of_heads:
            scale, weight = weight.unsqueeze(-2), None
        if self.groups > 1:
            grouped = x.float().unflatten(-1, (self.groups, -1))
            scale, normed = weight, F.rms_norm(grouped, grouped.shape[-1:], None, self.eps).flatten(-2)
        elif self.kind == "rms":
            normed = F.rms_norm(x.float(), x.shape[-1:], weight, self.eps)
        else:
            bias = None if self.bias is None else self.bias.float()
            normed = F.layer_norm(x.float(), x.shape[-1:], weight, bias, self.eps)
        return (normed if scale is None else normed * scale).to(x.dtype)


class ComponentModule(nn.Module):
    """A component's parts as modules and parameters of the same names, run by the component's `forward`."""

    def __init__(
        self,
        component: Component,
        d_model: int,
        style: NormStyle,
        tied: nn.Parameter | None = None,
        name: str | None = None,  # of a component inside another one
    ) -> None:
        super().__init__()
        self.component, self.child_name = component, name
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
            case BlockDiagonal():
                self.add_module(part.name, BlockProjection(part.n_blocks, part.d_in, part.d_out, part.bias))
            case Experts():
                self.add_module(part.name, ExpertStack(part.n_experts, part.d_in, part.d_out, part.bias))
            case Norm():
                self.add_module(part.name, Normalization(part, style))
            case Table():
                self.add_module(part.name, LookupTable(part.n_rows, part.dim))
            case Convolution():
                self.add_module(part.name, DepthwiseConvolution(part.channels, part.kernel, part.bias))
            case Vector():
                self.register_parameter(part.name, parameter(part.dim))
            case Matrix():
                self.register_parameter(part.name, parameter(part.rows, part.columns))
            case Buffer():
                # float32 for any model dtype: updates of a load-balancing bias are below bfloat16's resolution
                self.register_buffer(part.name, torch.full((part.dim,), part.fill, dtype=torch.float32))
            case Assignments():
                device = torch.get_default_device()
                if device.type == "meta":  # without values; a remainder there imports torch's compiler
                    count = torch.empty(part.n_rows * part.columns, dtype=torch.int64)
                else:
                    count = torch.arange(part.n_rows * part.columns) % part.limit
                self.register_buffer(part.name, count.view(part.n_rows, -1))
            case Child():
                self.add_module(part.name, ComponentModule(part.component, d_model, style, name=part.name))

    def forward(self, x: Tensor, cache: TensorCache) -> Tensor:
        """Run the component; sublayers of a block keep the shape (batch, n_tokens, d_model).

        `cache` is the one of the component around this one, if there is one.
        """
        return self.component.forward(self, x, cache if self.child_name is None else cache.within(self.child_name))

    def __getattr__(self, name: str) -> Any:  # a type checker cannot know the parts' names
        return super().__getattr__(name)

    def shared_modules(self) -> Iterator[tuple[ComponentModule, str]]:
        """The components inside, this one included, that have parts to share, each with the name of one."""
        for module in self.modules():
            if isinstance(module, ComponentModule):
                yield from ((module, name) for name in sorted(module.component.shared_parts))

    def shared_parameters(self) -> set[nn.Parameter]:
        """The parameters that all layers of a variant share."""
        return {weight for module, name in self.shared_modules() for weight in getattr(module, name).parameters()}

    def share(self, other: ComponentModule) -> None:
        """Take the shared parts of another layer of the same variant instead of its own."""
        pairs = list(zip(self.shared_modules(), other.shared_modules(), strict=True))
        for (module, name), (source, _) in pairs:
            setattr(module, name, getattr(source, name))


class Block(nn.Module):
    """One layer: attention and feed-forward, each added to the residual stream, with the model's norms.

    It compiles whole, `block.compile(fullgraph=True)`, and layers of a kind share their graphs. For a model with more
    than a few kinds of layers, raise `torch._dynamo.config.recompile_limit`: all blocks are one function to torch.
    """

    def __init__(self, spec: ModelSpec, layer: LayerVariants) -> None:
        super().__init__()

        def built(component: Component) -> ComponentModule:
            return ComponentModule(component, spec.d_model, spec.norm)

        attention = spec.component("attention", layer.attention)
        ffn = spec.component("ffn", layer.ffn)
        norms = spec.block_norms(layer)
        self.norms = built(norms)
        self.attention = None if attention is None else built(attention)
        self.ffn = None if ffn is None else built(ffn)
        connections = spec.connections(attention is not None, ffn is not None)
        self.connections = nn.ModuleDict({place: built(connection) for place, connection in connections.items()})
        branch = spec.laurel() if attention is not None else None
        self.laurel = None if branch is None else built(branch)
        layer_input = spec.layer_input()
        self.layer_input = (
            None if layer_input is None else ComponentModule(layer_input, spec.d_model, spec.norm, name=LAYER_INPUT)
        )
        self.layer_scale = built(LayerScale()) if spec.layer_scale else None
        self.parallel, self.residual_scale = spec.parallel_sublayers, spec.residual_scale
        self.stream_scale = spec.stream_scale
        self.norms_residual = norms.placement == "post_residual"

    def forward(self, x: Tensor, cache: TensorCache) -> Tensor:
        """(batch, n_tokens, d_model) -> the same shape; or the residual streams, and the same shape."""
        x = self._connected("block", x, lambda x: self._sublayers(x, cache))
        if self.layer_input is not None:
            x = self._with_input(x, self.layer_input, cache)
        return x if self.layer_scale is None else self.layer_scale(x, cache)

    def _sublayers(self, x: Tensor, cache: TensorCache) -> Tensor:
        read = self._normed("shared_pre", x) if self.parallel else None  # by both sublayers
        if self.attention is not None:
            attention = self.attention
            x = self._connected("attention", x, lambda x: self._updated("attention", attention, x, read, cache))
        if self.ffn is not None:
            ffn, inner = self.ffn, cache.within("ffn")
            x = self._connected("ffn", x, lambda x: self._updated("ffn", ffn, x, read, inner))
        return x

    def _with_input(self, x: Tensor, layer_input: ComponentModule, cache: TensorCache) -> Tensor:
        """The stream, or the streams, with the layer's own input added."""
        if "block" not in self.connections:
            return x + layer_input(x, cache)
        connection: Any = self.connections["block"]
        with_input: Tensor = connection.component.with_input(connection, x, lambda read: layer_input(read, cache))
        return with_input

    def _connected(self, place: str, x: Tensor, run: Callable[[Tensor], Tensor]) -> Tensor:
        """`run(x)`, or what the connection at that place makes of the residual streams `x` and of `run`."""
        if place not in self.connections:
            return run(x)
        connection: Any = self.connections[place]
        around: Tensor = connection.component.around(connection, x, run)
        return around

    def _updated(
        self, name: str, sublayer: ComponentModule, x: Tensor, read: Tensor | None, cache: TensorCache
    ) -> Tensor:
        """The residual `x` with a sublayer's output added; the sublayer reads `read`, or `x` if that is None."""
        read = self._normed(f"{name}_pre", x if read is None else read)
        update = sublayer(read, cache)
        if not self.norms_residual:
            update = self._normed(f"{name}_post", update)
        if name in self.connections:  # which adds it to the streams itself
            return update
        x = x if self.stream_scale == 1 else x * self.stream_scale
        x = x + (update if self.residual_scale == 1 else update * self.residual_scale)
        if name == "attention" and self.laurel is not None:
            branch: Any = self.laurel
            x = branch.component.beside(branch, x, read)
        return self._normed(f"{name}_post", x) if self.norms_residual else x

    def _normed(self, name: str, x: Tensor) -> Tensor:
        """Apply the block's norm of that name; return `x` unchanged if it has none."""
        norm = getattr(self.norms, name, None)
        return x if norm is None else norm(x)

    def new_cache(
        self,
        dtype: torch.dtype | Packing | None = None,
        state_dtype: torch.dtype | None = None,
        step: Step | None = None,
    ) -> TensorCache:
        """An empty cache for this layer: what its attention keeps, and its feed-forward layer as `ffn.entry`."""
        entries = {}
        for prefix, sublayer in (("", self.attention), ("ffn.", self.ffn)):
            if sublayer is not None:
                entries.update({prefix + name: entry for name, entry in cache_entries(sublayer.component)})
        return TensorCache(entries, step, dtype, state_dtype)


class PredictionBlock(nn.Module):
    """One multi-token-prediction block (DeepSeek-V3, arXiv 2412.19437, section 2.2), sharing embedding and head."""

    def __init__(self, spec: ModelSpec, layer: LayerVariants) -> None:
        super().__init__()
        self.junction = ComponentModule(PredictionJunction(), spec.d_model, spec.norm)
        self.block = Block(spec, layer)

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
        layer_inputs = spec.layer_inputs()
        self.layer_embedding = None if layer_inputs is None else built(layer_inputs[0])
        self.layer_projection = None if layer_inputs is None else built(layer_inputs[1])
        opening, closing = spec.residual.opening(), spec.residual.closing()
        self.opening = None if opening is None else built(opening)
        layers = spec.layers
        self.layers = nn.ModuleList(Block(spec, layer) for layer in layers)
        self._share_weights(layers)
        self.closing = None if closing is None else built(closing)
        self.final_norm = built(StreamNorm()) if spec.final_norm else None
        self.head = built(spec.head(), self.embedding.tokens.weight)
        self.mtp = nn.ModuleList(PredictionBlock(spec, layers[-1]) for _ in range(spec.n_mtp_blocks))

    def _share_weights(self, layers: Sequence[LayerVariants]) -> None:
        """Let all layers of a variant have the shared parts of the first one."""
        first: dict[tuple[str, str], ComponentModule] = {}
        for block, layer in zip(self.layers, layers, strict=True):
            for axis in ("attention", "ffn"):
                if (sublayer := getattr(block, axis)) is None:
                    continue
                source = first.setdefault((axis, getattr(layer, axis)), sublayer)
                if source is not sublayer:
                    sublayer.share(source)

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
        self._leave_layer_inputs(tokens, x, cache.step)
        x = x if self.embedding_norm is None else self.embedding_norm(x, _NO_CACHE)
        if "embeddings" in cache.step.wanted:  # otherwise they would stay in memory until the step ends
            cache.step.left["embeddings"] = x
        x = x if self.opening is None else self.opening(x, _NO_CACHE)
        for layer, layer_cache in zip(self.layers, cache.layers, strict=True):
            x = layer(x, layer_cache)
        cache.advance(tokens.shape[1])
        return x if self.closing is None else self.closing(x, _NO_CACHE)

    def _leave_layer_inputs(self, tokens: Tensor, x: Tensor, step: Step) -> None:
        """Leave every layer's own input for all layers, if the model has per-layer embeddings."""
        if self.layer_embedding is None or self.layer_projection is None:
            return
        reader = TensorCache({}, step)
        reader.sources["layer_rows"] = step.left
        step.left["layer_rows"] = self.layer_embedding(tokens, reader)
        step.left["layer_inputs"] = self.layer_projection(x, reader)

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

    def new_cache(
        self,
        batch: int | None = None,
        dtype: torch.dtype | Packing | None = None,
        state_dtype: torch.dtype | None = None,
    ) -> Cache:
        """An empty cache.

        Args:
            batch: number of sequences; None takes it from the first tokens.
            dtype: dtype or packing of the stored keys, values and other rows; None keeps the model's own.
            state_dtype: dtype of the stored states; None keeps each state's own.
        """
        step = Step()
        blocks: Any = self.layers  # the element type of a ModuleList is unknown to a type checker
        caches = [block.new_cache(dtype, state_dtype, step) for block in blocks]
        for number, cache in enumerate(caches):
            cache.layer, cache.n_layers = number, len(caches)
        for layer, name, source in self.spec.layer_reads():
            if source is None:
                caches[layer].sources[name] = step.left
                step.wanted.add(name.rpartition(".")[2])  # without the component's prefix
            else:
                caches[layer].sources[name] = caches[source].left
                caches[source].wanted.add(name)
        return Cache(caches, batch)

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
                    module.weight.fill_(0.0 if module.unit_offset else 1.0)
                if module.bias is not None:
                    module.bias.zero_()
            else:
                for name, weight in module.named_parameters(recurse=False):
                    if name == "bias" or weight.dim() == 1:
                        weight.zero_()
                    else:
                        weight.normal_(0.0, INIT_STD, generator=generator)


# For components that cache nothing.
_NO_CACHE = TensorCache({})


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
