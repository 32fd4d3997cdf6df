"""A spec's costs by component and in total, independent of the engine that computed them."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import get_args

from llmarch_cli.components.component import walk
from llmarch_cli.errors import CheckError, InputError, shown, unknown
from llmarch_cli.profilers.cost import COST_FIELDS, DTYPE_BYTES, ENGINES, Cost, KvDtype, Workload, simplest
from llmarch_cli.profilers.cost import Engine as Engine
from llmarch_cli.specs.spec import ActiveConvention, Item, ModelSpec, ParamsConvention
from llmarch_cli.specs.storage import NATIVE, PLAIN, PLAIN_BYTES, checked

# Far above any real prompt, and low enough that other tools read the counts exactly.
MAX_CONTEXT = 2**40
MAX_BATCH = 2**20
MAX_TENSOR_BYTES = 2**62


@dataclass(frozen=True)
class Profile:
    """The cost of `spec` under `workload`. All numbers are exact integers.

    Attributes:
        engine: the engine that computed the numbers; if "measured", the closed form gave the same.
        rows: each item of the inventory with the cost of one of its components.
    """

    spec: ModelSpec
    workload: Workload
    engine: Engine
    rows: tuple[tuple[Item, Cost], ...]

    def at(self, context: int, total: Cost) -> Profile:
        """Return the profile at another context, in closed form, given its total cost there. `rows` do not change."""
        other = replace(self, workload=self.workload.at(context), engine="closed-form")
        other.__dict__.update(total=total, _multi_head_width=self._multi_head_width)  # the cached properties
        return other

    @cached_property
    def total(self) -> Cost:
        """The cost of the whole decoder, without multi-token-prediction blocks."""
        return sum((cost * item.count for item, cost in self.rows if not item.mtp), Cost())

    @cached_property
    def mtp(self) -> Cost:
        """The cost of all multi-token-prediction blocks, shown apart and not in the totals."""
        return sum((cost * item.count for item, cost in self.rows if item.mtp), Cost())

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
        if self.engine == "measured":
            from llmarch_cli.profilers import measured

            seen = storage.weight_bytes(self.spec, name, measured.stored_places(self.spec))
            if seen != by_formula:
                raise CheckError(
                    f"{self.spec.name}: the engines disagree on weight_bytes in {name}: measured {seen}, closed form"
                    f" {by_formula}"
                )
        return by_formula

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
    def _multi_head_width(self) -> int:
        """Values per token if each query head cached its own key and value, in all layers."""
        return sum(item.count * item.component.multi_head_width for item, _ in self.rows if not item.mtp)

    @property
    def kv_cache_bytes_multi_head(self) -> int:
        """Bytes of the KV cache of plain multi-head attention: a key and a value per query head and token."""
        workload = self.workload
        return self._multi_head_width * DTYPE_BYTES[workload.kv_dtype] * workload.batch * workload.context

    @property
    def flops_per_token(self) -> int:
        """FLOPs of decoding one token at the workload's context."""
        return self.total.flops_per_token

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


def default_engine() -> Engine:
    """The engine of `LLMARCH_ENGINE`, or "measured". Raises InputError if that is not an engine."""
    return as_engine(os.environ.get("LLMARCH_ENGINE") or "measured", "LLMARCH_ENGINE: ")


def as_engine(name: str, place: str = "") -> Engine:
    """`name` as an engine. Raises InputError if no engine has that name."""
    if name not in ENGINES:
        raise InputError(f"{place}{unknown('engine', name, ENGINES)}")
    return name


def profile(spec: ModelSpec, workload: Workload, engine: Engine) -> Profile:
    """Price each component of `spec` once.

    "measured" runs both engines and raises CheckError, with the component and both numbers, if they differ at all.
    Raises InputError for an invalid workload.
    """
    require(workload)
    items = list(spec.inventory())
    return Profile(spec, workload, engine, tuple(zip(items, costs_of(spec, items, workload, engine), strict=True)))


def costs_of(spec: ModelSpec, items: list[Item], workload: Workload, engine: Engine) -> list[Cost]:
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


def require(workload: Workload) -> None:
    """Raise InputError for an impossible workload."""
    for name, value, limit in (("context", workload.context, MAX_CONTEXT), ("batch", workload.batch, MAX_BATCH)):
        if not isinstance(value, int) or not 1 <= value <= limit:
            raise InputError(f"{name} must be a whole number from 1 to {limit:,}, not {shown(value)}")
    if workload.kv_dtype not in get_args(KvDtype):
        raise InputError(unknown("kv dtype", workload.kv_dtype, get_args(KvDtype)))
    if workload.state_dtype not in (None, *get_args(KvDtype)):
        raise InputError(unknown("state dtype", str(workload.state_dtype), get_args(KvDtype)))
    checked(workload.weights)


def _check_size(spec: ModelSpec, item: Item, cost: Cost, workload: Workload) -> None:
    """Raise InputError if the cache (up to twice its bytes when read) or the float32 scores exceed a tensor's limit."""
    context = workload.context
    mixing = sum(  # 4 or more FLOPs per score
        mixing.flops * mixing.view.rows(context) for inner in walk(item.component) for mixing in inner.mixing()
    )
    if max(2 * (cost.kv_cache_bytes + cost.state_bytes), mixing * workload.batch) > MAX_TENSOR_BYTES:
        raise InputError(
            f"{spec.name}, {item.label}: context {workload.context:,} with batch {workload.batch:,} is more than"
            " one tensor can hold; lower one of them"
        )
