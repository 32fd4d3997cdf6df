"""A spec's costs by component and in total, independent of the engine that computed them."""

from __future__ import annotations

import datetime as dt
import os
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING

from llmarch_cli.components.component import walk
from llmarch_cli.errors import CheckError, InputError, shown, unknown
from llmarch_cli.extras import is_installed
from llmarch_cli.profilers.cost import (
    COST_FIELDS,
    DTYPE_BYTES,
    ENGINES,
    ROW_ENCODINGS,
    Cost,
    Workload,
    per,
    simplest,
    sum_of,
)
from llmarch_cli.profilers.cost import MAX_CONTEXT as MAX_CONTEXT
from llmarch_cli.profilers.cost import Engine as Engine
from llmarch_cli.profilers.cost import Source as Source
from llmarch_cli.specs.encodings import group_of
from llmarch_cli.specs.spec import ActiveConvention, Item, ModelSpec, ParamsConvention
from llmarch_cli.specs.storage import NATIVE, PLAIN, PLAIN_BYTES, checked

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmarch_cli.profilers.certificates import Certificate

MAX_BATCH = 2**20
MAX_TENSOR_BYTES = 2**62
UNMEASURED = "the closed form is not measured: that takes torch, which the extra `torch` installs"
MOST_MEASURED = 5_000  # components at points; a spec with more gets no certificate

# Products of the backward pass for each of the forward pass: the gradients of what it read, and of its weights.
BACKWARD = 2


@dataclass(frozen=True)
class Profile:
    """The cost of `spec` under `workload`. All numbers are exact integers.

    Attributes:
        engine: the engine that computed the numbers; if "measured", the closed form gave the same.
        rows: each item of the inventory with the cost of one of its components.
        certificate: that both engines agree on this spec: what says that numbers of the closed form are right.
    """

    spec: ModelSpec
    workload: Workload
    engine: Source
    rows: tuple[tuple[Item, Cost], ...]
    certificate: Certificate | None = None

    def at(self, context: int, total: Cost) -> Profile:
        """Return the profile at another context, in closed form, given its total cost there. `rows` do not change."""
        other = replace(self, workload=self.workload.at(context), engine="closed-form")
        other.__dict__.update(total=total, _multi_head_row=self._multi_head_row)  # the cached properties
        return other

    @cached_property
    def total(self) -> Cost:
        """The cost of the whole decoder, without multi-token-prediction blocks."""
        return sum_of(cost * item.count for item, cost in self.rows if not item.mtp)

    @cached_property
    def mtp(self) -> Cost:
        """The cost of all multi-token-prediction blocks, shown apart and not in the totals."""
        return sum_of(cost * item.count for item, cost in self.rows if item.mtp)

    @property
    def params(self) -> int:
        """Unique parameters of the decoder; tied matrices count once."""
        return self.total.params

    @property
    def active_params(self) -> int:
        """Parameters that one token uses, including the whole table of the input embedding."""
        return self.total.active_params

    @property
    def active_params_without_input_embedding(self) -> int:
        """Active parameters without input embedding, per-layer embedding and positions; a tied table counts."""
        tied = self.spec.tie_embeddings
        without = self._params_of("position") + self._params_of("layer embedding")
        return self.active_params - without - (0 if tied else self._params_of("embedding"))

    @property
    def active_params_without_embeddings(self) -> int:
        """Active parameters without input embedding, learned positions and head."""
        return self.active_params - self._embedding_params

    @property
    def mtp_params(self) -> int:
        """Values that multi-token-prediction blocks add to a checkpoint, including load-balancing biases of routers."""
        return self.mtp.params + self.mtp.buffers

    @property
    def buffers(self) -> int:
        """Values stored with the weights but not learned: load-balancing biases of routers."""
        return self.total.buffers

    @cached_property
    def weight_bytes(self) -> int:
        """Bytes of all parameters in the workload's format.

        Raises InputError if it cannot store one of them, and CheckError if the engines disagree.
        """
        name = self.workload.weights
        if name in PLAIN_BYTES or (name == NATIVE and self.spec.stored is None):
            return self.params * PLAIN_BYTES.get(name, PLAIN_BYTES[PLAIN])
        from llmarch_cli.profilers import storage

        by_formula = storage.weight_bytes(self.spec, name)
        if self.engine == "measured" or self._is_new(lambda certificate: certificate.covers_weights(name)):
            from llmarch_cli.profilers import measured

            seen = storage.weight_bytes(self.spec, name, measured.stored_places(self.spec))
            if seen != by_formula:
                raise CheckError(
                    f"{self.spec.name}: the engines disagree on weight_bytes in {name}: measured {seen}, closed form"
                    f" {by_formula}"
                )
            self._extend(weights=(name,))
        return by_formula

    def _is_new(self, covers: Callable[[Certificate], bool]) -> bool:
        """Whether a figure must be measured that is answered by a certificate: none covers it."""
        if self.certificate is None or covers(self.certificate) or not can_measure():
            return False
        from llmarch_cli.profilers import certificates

        own = certificates.of_user(self.spec, self.workload)
        return own is None or not covers(own)

    def _extend(self, prompts: tuple[int, ...] = (), weights: tuple[str, ...] = ()) -> None:
        """Keep that both engines agree on what no certificate covered."""
        if self.certificate is not None:
            from llmarch_cli.profilers import certificates

            certificates.keep_extended(self.spec, self.workload, self.certificate, prompts, weights)

    @property
    def weight_format(self) -> str:
        """The format of the weights; for `native`, all formats that the publisher uses."""
        name, shipped = self.workload.weights, self.spec.stored
        if name != NATIVE:
            return name
        return PLAIN if shipped is None else shipped.name

    @property
    def bits_per_weight(self) -> Fraction:
        """Bits of a stored parameter, on average."""
        return Fraction(8 * self.weight_bytes, self.params)

    @property
    def kv_cache_bytes(self) -> int:
        """Bytes cached for the whole batch at the workload's context."""
        return self.total.kv_cache_bytes

    @property
    def index_bytes(self) -> int:
        """The part of the KV cache that is index keys."""
        return self.total.index_bytes

    @property
    def state_bytes(self) -> int:
        """Bytes of states, for the whole batch: the same at every context."""
        return self.total.state_bytes

    @property
    def partial_bytes(self) -> int:
        """Bytes of the inputs of rows that are not complete yet, for the whole batch."""
        return self.total.partial_bytes

    @property
    def cache_bytes(self) -> int:
        """All bytes kept between two steps for the whole batch: KV cache, states and inputs of incomplete rows."""
        return self.kv_cache_bytes + self.state_bytes + self.partial_bytes

    @property
    def kv_bytes_per_token(self) -> int | Fraction:
        """Bytes of the KV cache added by one more token of context, for the whole batch."""
        return simplest(self.total.kv_growth_bytes)

    @property
    def kv_fixed_bytes(self) -> int:
        """Bytes of full windows and chunks: `kv_cache_bytes - kv_bytes_per_token * context`.

        With rows of several tokens that holds at contexts that complete them; in between, the cache is smaller.
        """
        return self.total.kv_fixed_bytes

    @property
    def kv_cache_bytes_without_windows(self) -> int:
        """Bytes of the KV cache if every layer cached every token, as many inference engines reserve."""
        return self.total.kv_cache_bytes_without_windows

    @cached_property
    def _multi_head_row(self) -> int:
        """Bytes per token if each query head cached its own key and value, in all layers."""
        encoding = ROW_ENCODINGS[self.workload.kv_dtype]
        group = group_of(encoding)
        widths = ((item.count, item.component.multi_head_width) for item, _ in self.rows if not item.mtp)
        return sum(n * encoding.bytes(1, width if group == 1 else -(-width // group) * group) for n, width in widths)

    @property
    def kv_cache_bytes_multi_head(self) -> int:
        """Bytes of the KV cache of plain multi-head attention: a key and a value per query head and token."""
        return self._multi_head_row * self.workload.batch * self.workload.context

    @property
    def flops_per_token(self) -> int:
        """FLOPs of decoding one token at the workload's context."""
        return self.total.flops_per_token

    @property
    def context_flops_per_token(self) -> int:
        """The part of `flops_per_token` that is attention over the rows in view."""
        return self.total.context_flops

    @property
    def weight_flops_per_token(self) -> int:
        """The rest of `flops_per_token`: products with weights, and recurrences."""
        return self.total.flops_per_token - self.total.context_flops

    @property
    def prompt_tokens(self) -> int:
        """Tokens of the workload's prompt, or of the training sequence."""
        return self.workload.prompt_tokens

    @cached_property
    def prefill_flops(self) -> int:
        """FLOPs of one prompt of the workload, behind its prefix; the head runs for the last token only."""
        if not self.workload.prefix:
            return self._from_the_start[0]
        return _forward_flops(self.spec, self.workload.prefix, self.workload.prompt_tokens, self._of_prompts)[0]

    @property
    def _of_prompts(self) -> Source:
        """The engine for the workload's prompt: a certificate names those that were compared."""
        asked = self.workload.prompt_tokens, self.workload.prefix
        return "measured" if self._is_new(lambda certificate: certificate.covers_prompt(*asked)) else self.engine

    @cached_property
    def _from_the_start(self) -> tuple[int, int]:
        alone = replace(self.workload, prefix=0)
        engine = replace(self, workload=alone)._of_prompts
        flops = _forward_flops(self.spec, 0, self.workload.prompt_tokens, engine)
        if engine == "measured":
            self._extend(prompts=(self.workload.prompt_tokens,))
        return flops

    @property
    def training_forward_flops(self) -> int:
        """FLOPs of the forward pass over one training sequence as long as the prompt, with the head at every token."""
        return self._from_the_start[1]

    @property
    def training_backward_flops(self) -> int:
        """FLOPs of the backward pass."""
        return BACKWARD * self.training_forward_flops

    @property
    def training_flops(self) -> int:
        """FLOPs of both passes over one training sequence, without recomputation."""
        return self.training_forward_flops + self.training_backward_flops

    @property
    def training_flops_per_token(self) -> int | Fraction:
        """`training_flops` of one of the sequence's tokens."""
        return per(self.training_flops, self.prompt_tokens)

    def active_by(self, convention: ActiveConvention) -> int:
        """Active parameters by a publisher's convention."""
        match convention:
            case "all":
                return self.active_params
            case "without_input_embedding":
                return self.active_params_without_input_embedding
            case "without_embeddings":
                return self.active_params_without_embeddings

    def params_by(self, convention: ParamsConvention) -> int | None:
        """Parameters by a publisher's convention; None if it counts more than the decoder."""
        match convention:
            case "all":
                return self.params
            case "without_embeddings":
                return self.params - self._embedding_params
            case "with_mtp":
                return self.params + self.mtp.params
            case "with_mtp_without_embeddings":
                return self.params + self.mtp.params - self._embedding_params
            case "with_vision":
                return None

    @property
    def _embedding_params(self) -> int:
        return sum(map(self._params_of, ("position", "embedding", "layer embedding", "head")))

    def _params_of(self, role: str) -> int:
        return sum(cost.params * item.count for item, cost in self.rows if item.role == role)


def can_measure() -> bool:
    """Whether torch is installed. If not, a note says that the closed form is not measured."""
    if is_installed("torch"):
        return True
    warnings.warn(UNMEASURED, FutureWarning, stacklevel=2)
    return False


def default_engine() -> Engine:
    """The engine of `LLMARCH_ENGINE`, or "auto". Raises InputError if that is not an engine."""
    return as_engine(os.environ.get("LLMARCH_ENGINE") or "auto", "LLMARCH_ENGINE: ")


def as_engine(name: str, place: str = "") -> Engine:
    """`name` as an engine. Raises InputError if no engine has that name."""
    if name not in ENGINES:
        raise InputError(f"{place}{unknown('engine', name, ENGINES)}")
    return name


def profile(spec: ModelSpec, workload: Workload, engine: Engine) -> Profile:
    """Price each component of `spec` once.

    "measured" runs both engines and raises CheckError, with the component and both numbers, if they differ at all.
    "auto" does so unless a certificate says that they agree, and then keeps one. Without torch and a certificate it is
    the closed form, and nothing says that it is right. Raises InputError for an invalid workload.
    """
    require(workload)
    if engine == "auto":
        return _with_certificate(spec, workload)
    items = list(spec.inventory())
    return Profile(spec, workload, engine, tuple(zip(items, costs_of(spec, items, workload, engine), strict=True)))


def _with_certificate(spec: ModelSpec, workload: Workload) -> Profile:
    from llmarch_cli.profilers import certificates

    if (kept := certificates.find(spec, workload)) is not None:
        return replace(profile(spec, workload, "closed-form"), certificate=kept)
    if not can_measure():
        return profile(spec, workload, "closed-form")
    found = profile(spec, workload, "measured")
    if (made := certify(spec, workload)) is not None:
        certificates.keep(spec, workload, made)
    return replace(found, certificate=made)


def certify(spec: ModelSpec, workload: Workload, prompts: tuple[int, ...] = ()) -> Certificate | None:
    """Run both engines at all points, for the workload's formats. None if there are too many.

    Raises CheckError if the engines disagree.
    """
    from llmarch_cli.profilers.certificates import BATCHES, Certificate, items_by_context

    by_context = items_by_context(spec)
    points = sum(map(len, by_context.values())) * len(BATCHES)
    if points > MOST_MEASURED:
        return None
    import torch

    for context, items in sorted(by_context.items()):
        for batch in BATCHES:
            costs_of(spec, items, replace(workload, context=context, batch=batch), "measured")
    for n_tokens in prompts:
        forward_flops(spec, 0, n_tokens, "measured")
    formats = dict.fromkeys((workload.weights, *([] if spec.stored is None else [NATIVE])))
    compared = tuple(name for name in formats if _agree_on_weights(spec, name))
    return Certificate(dt.datetime.now(dt.UTC).date(), str(torch.__version__), points, prompts, compared)


def _agree_on_weights(spec: ModelSpec, name: str) -> bool:
    """Compare the bytes of weights in a format. False if nothing is to be compared, or if it cannot store them."""
    if name in PLAIN_BYTES or (name == NATIVE and spec.stored is None):
        return False
    try:
        _ = profile(spec, Workload(1, weights=name), "measured").weight_bytes
    except InputError:
        return False
    return True


def certify_all(specs: Iterable[ModelSpec]) -> dict[str, Certificate]:
    """Certificates of bundled specs by key, for the usual workload and the prompts of `PROMPTS`.

    Raises CheckError if the engines disagree on any, and ValueError for a spec with too many components.
    """
    from llmarch_cli.profilers.certificates import PROMPTS, key

    found: dict[str, Certificate] = {}
    for spec in specs:
        name = key(spec, Workload())
        windows = [] if spec.context_length is None else [spec.context_length]
        prompts = tuple(sorted({*PROMPTS, *windows, *(found[name].prompts if name in found else ())}))
        certificate = certify(spec, Workload(), prompts)
        if certificate is None:
            raise ValueError(f"{spec.id} has too many components to certify")
        found[name] = certificate
    return dict(sorted(found.items()))


def costs_of(spec: ModelSpec, items: list[Item], workload: Workload, engine: Source) -> list[Cost]:
    """The cost of one of each of `items`, all or some of the inventory. Raises CheckError and InputError as `profile`.

    A tied head needs the token embedding among them.
    """
    from llmarch_cli.profilers import closed_form

    costs = closed_form.measure(spec, items, workload)
    for item, cost in zip(items, costs, strict=True):
        _check_size(spec, item, cost, workload)
    if engine == "measured":
        from llmarch_cli.profilers import measured

        seen = measured.measure(spec, items, workload)
        for item, by_formula, by_measure in zip(items, costs, seen, strict=True):
            for field in COST_FIELDS:
                formula, measure = getattr(by_formula, field), getattr(by_measure, field)
                if formula != measure:
                    raise CheckError(
                        f"{spec.name}, {item.label}: the engines disagree on {field} at context {workload.context}:"
                        f" measured {measure}, closed form {formula}"
                    )
        costs = seen
    return costs


def forward_flops(spec: ModelSpec, start: int, n_tokens: int, engine: Source, *, all_logits: bool = False) -> int:
    """FLOPs of the decoder for `n_tokens` tokens of one sequence behind `start` tokens, whose rows are cached.

    Every matrix is multiplied once a token, scores count for the rows that each token sees, and recurrences token by
    token. Latent attention expands the rows of all tokens, those of the prefix too. The head runs for the last token,
    or with `all_logits` for each. Raises CheckError if the engines disagree, with "measured".
    """
    last_logits, every = _forward_flops(spec, start, n_tokens, engine)
    return every if all_logits else last_logits


def _forward_flops(spec: ModelSpec, start: int, n_tokens: int, engine: Source) -> tuple[int, int]:
    """`forward_flops` with the head for the last token, and with the head for each: all else is counted once."""
    from llmarch_cli.profilers import closed_form

    items = [item for item in spec.inventory() if not item.mtp]
    heads = [item for item in items if item.role == "head"]
    asked, end = [*items, *heads], start + n_tokens
    starts = [*(end - 1 if item.role == "head" else start for item in items), *(start for _ in heads)]
    flops = [closed_form.prompt_flops(item.component, spec, at, end) for item, at in zip(asked, starts, strict=True)]
    if engine == "measured":
        from llmarch_cli.profilers import prompts

        for item, formula, measure in zip(asked, flops, prompts.measure(spec, asked, starts, end), strict=True):
            if formula != measure:
                raise CheckError(
                    f"{spec.name}, {item.label}: the engines disagree on the FLOPs of {n_tokens} tokens behind {start}:"
                    f" measured {measure}, closed form {formula}"
                )
    totals = [each * item.count for item, each in zip(asked, flops, strict=True)]
    last_logits = sum(totals[: len(items)])
    of_last = sum(total for item, total in zip(items, totals, strict=False) if item.role == "head")
    return last_logits, last_logits - of_last + sum(totals[len(items) :])


def require(workload: Workload) -> None:
    """Raise InputError for an impossible workload."""
    _require_count("context", workload.context, 1, MAX_CONTEXT)
    _require_count("batch", workload.batch, 1, MAX_BATCH)
    if workload.prompt is not None:
        _require_count("prompt", workload.prompt, 1, MAX_CONTEXT)
    _require_count("prefix", workload.prefix, 0, MAX_CONTEXT - workload.prompt_tokens)
    if workload.kv_dtype not in ROW_ENCODINGS:
        raise InputError(unknown("kv dtype", workload.kv_dtype, ROW_ENCODINGS))
    if workload.state_dtype not in (None, *DTYPE_BYTES):
        raise InputError(unknown("state dtype", str(workload.state_dtype), DTYPE_BYTES))
    checked(workload.weights)


def _require_count(name: str, value: object, least: int, most: int) -> None:
    if not isinstance(value, int) or not least <= value <= most:
        raise InputError(f"{name} must be a whole number from {least} to {most:,}, not {shown(value)}")


def _check_size(spec: ModelSpec, item: Item, cost: Cost, workload: Workload) -> None:
    """Raise InputError if the cache (up to twice its bytes when read) or the float32 scores exceed a tensor's limit."""
    context = workload.context
    if max(2 * (cost.kv_cache_bytes + cost.state_bytes), cost.flops_per_token * workload.batch) <= MAX_TENSOR_BYTES:
        return  # mixing is a part of these FLOPs
    mixing = sum(  # 4 or more FLOPs per score
        mixing.flops * mixing.view.rows(context) for inner in walk(item.component) for mixing in inner.mixing()
    )
    if max(2 * (cost.kv_cache_bytes + cost.state_bytes), mixing * workload.batch) > MAX_TENSOR_BYTES:
        raise InputError(
            f"{spec.name}, {item.label}: context {workload.context:,} with batch {workload.batch:,} is more than"
            " one tensor can hold; lower one of them"
        )
