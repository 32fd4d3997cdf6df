"""Wiring errors of sparse attention, as in `test_mutations`: each must show in the logits far above the tolerance."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from configs import EPS, Fields
from mutations import Alteration, Patch, components, shows_in_the_code, shows_in_the_spec
from pairs import Case
from torch import Tensor

from llmarch_cli.components.attention import MultiHeadLatentAttention, indexer, mla
from llmarch_cli.components.attention.block_indexer import BlockIndexer
from llmarch_cli.components.attention.indexer import Indexer

TOKENS, SHARED, BLOCKS, GROUPS = (
    Case("deepseek_v32", 0),
    Case("glm_moe_dsa", 0),
    Case("minimax_m3_vl_text", 0),
    Case("minimax_m3_vl_text", 1),
)


def of_indexers(change: Callable[[Fields], Fields | None]) -> Alteration:
    """What `change` says of each indexer with weights; None removes it."""

    def alter(spec: Fields) -> None:
        for component in components(spec, "attention"):
            found = component.get("indexer")
            if found is not None and found.get("n_heads") is not None:
                component["indexer"] = None if (changed := change(found)) is None else {**found, **changed}

    return alter


def more_tokens(by: int) -> Alteration:
    """Both of an own and of a shared choice, which must agree."""

    def alter(spec: Fields) -> None:
        for component in components(spec, "attention"):
            component["indexer"]["top_k"] += by

    return alter


def reads_all(spec: Fields) -> None:
    """No choice is reused: such layers see all tokens."""
    spec["attention"]["variants"]["shared"]["indexer"] = None


IN_THE_SPEC: dict[str, tuple[Case, Alteration]] = {
    "the indexer forgotten": (TOKENS, of_indexers(lambda found: None)),
    "one token more": (TOKENS, more_tokens(1)),
    "one token fewer, shared": (SHARED, more_tokens(-1)),
    "the indexer's halves as pairs": (TOKENS, of_indexers(lambda found: {"rope_interleaved": True})),
    "the indexer's pairs as halves": (SHARED, of_indexers(lambda found: {"rope_interleaved": False})),
    "no shared choice": (SHARED, reads_all),
    "the indexer of blocks forgotten": (BLOCKS, of_indexers(lambda found: None)),
    "one block more": (BLOCKS, of_indexers(lambda found: {"top_k": found["top_k"] + 1})),
    "longer blocks": (BLOCKS, of_indexers(lambda found: {"block": found["block"] + 1})),
    "no local block": (Case("minimax_m3_vl_text", 3), of_indexers(lambda found: {"local": 0})),
    "a local block invented": (Case("minimax_m3_vl_text", 2), of_indexers(lambda found: {"local": 1})),
}


@pytest.mark.parametrize("name", IN_THE_SPEC)
def test_an_error_in_the_spec_shows(name: str) -> None:
    shows_in_the_spec(*IN_THE_SPEC[name])


# --- what the code does ---------------------------------------------------------------------------------------------

choose, choose_blocks = Indexer.choose, BlockIndexer.choose


def with_modules(**changed: Callable[[Any], Any]) -> Any:
    """An indexer some of whose modules are others, made of the real ones."""

    def mutated(self: Indexer, m: Any, *args: Any) -> Any:
        names = ("index_q_proj", "index_k_proj", "index_k_norm", "index_weights_proj")
        parts = {} if self.indices_from else {name: getattr(m, name) for name in names}
        parts |= {name: make(m) for name, make in changed.items() if parts}
        modules: Any = SimpleNamespace(**parts)
        return choose(self, modules, *args)

    return mutated


def blocks_with_modules(**changed: Callable[[Any], Any]) -> Any:
    def mutated(self: BlockIndexer, m: Any, *args: Any) -> Any:
        parts = {name: getattr(m, name) for name in ("index_q_proj", "index_k_proj", "index_q_norm", "index_k_norm")}
        modules: Any = SimpleNamespace(**parts | {name: make(m) for name, make in changed.items()})
        return choose_blocks(self, modules, *args)

    return mutated


def queries_from_the_stream(self: Indexer, m: Any, x: Tensor, q_latent: Tensor, *args: Any) -> Any:
    return choose(self, m, x, x[..., : q_latent.shape[-1]], *args)


def not_rotated(self: Indexer, m: Any, x: Tensor, q_latent: Tensor, rotate: Any, *args: Any) -> Any:
    return choose(self, m, x, q_latent, lambda heads: heads, *args)


def last_values_rotated(self: Indexer, m: Any, x: Tensor, q_latent: Tensor, rotate: Any, *args: Any) -> Any:
    return choose(self, m, x, q_latent, lambda heads: rotate(heads.flip(-1)).flip(-1), *args)


def later_tokens_take_places(
    self: Indexer, m: Any, x: Tensor, q_latent: Tensor, rotate: Any, mask: Any, cache: Any
) -> Any:
    return choose(self, m, x, q_latent, rotate, None, cache)


def blocks_later_tokens_count(self: BlockIndexer, m: Any, x: Tensor, rotate: Any, mask: Any, cache: Any) -> Any:
    return choose_blocks(self, m, x, rotate, None, cache)


def the_worst(self: Indexer, *args: Any) -> Any:
    """The choice at the other end of the scores."""
    everything = self.model_copy(update={"top_k": 2**20})
    return choose(everything, *args).flip(-1)[..., : self.top_k] if self.indices_from is None else choose(self, *args)


def the_latest_rows(rows: Tensor, chosen: Tensor) -> Tensor:
    return rows[:, -chosen.shape[-1] :]


def choice_without_a_mask(chosen: Tensor, mask: Tensor) -> Tensor:
    return indexer.chosen_mask(chosen, torch.ones_like(mask))


def groups_in_turn(self: BlockIndexer, n_kv_heads: int, chosen: Tensor, mask: Tensor) -> Tensor:
    return chosen_mask(self, n_kv_heads, chosen.flip(1), mask)


def one_choice_for_all(self: BlockIndexer, n_kv_heads: int, chosen: Tensor, mask: Tensor) -> Tensor:
    return chosen_mask(self, n_kv_heads, chosen[:, :1].expand_as(chosen), mask)


def blocks_without_a_mask(self: BlockIndexer, n_kv_heads: int, chosen: Tensor, mask: Tensor) -> Tensor:
    return chosen_mask(self, n_kv_heads, chosen, torch.ones_like(mask))


def incomplete_block_repeated(self: BlockIndexer, heads: Any, chosen: Tensor) -> Any:
    """The last row stands for those that are not there yet."""
    return chosen_rows(self, heads, chosen)[0], None


chosen_mask, chosen_rows = BlockIndexer.chosen_mask, BlockIndexer.chosen_rows
rotate_first = MultiHeadLatentAttention.rotate_first


def start_forgotten(self: Any, x: Tensor, start: int, interleaved: bool | None = None) -> Tensor:
    """In the indexer alone: MLA's own parts call `rotate`."""
    return rotate_first(self, x, 0, interleaved)


IN_THE_CODE: dict[str, Patch] = {
    "the key norm's epsilon of the model": Patch(TOKENS, indexer, "KEY_EPS", 50 * EPS),
    "the key norm forgotten": Patch(TOKENS, Indexer, "choose", with_modules(index_k_norm=lambda m: lambda keys: keys)),
    "heads weighted alike": Patch(
        TOKENS, Indexer, "choose", with_modules(index_weights_proj=lambda m: lambda x: m.index_weights_proj(x) * 0 + 1)
    ),
    "weights without their sign": Patch(
        TOKENS, Indexer, "choose", with_modules(index_weights_proj=lambda m: lambda x: m.index_weights_proj(x).abs())
    ),
    "scores not cut at zero": Patch(TOKENS, Tensor, "relu", lambda scores: scores),
    "queries from the stream": Patch(Case("deepseek_v32", 0), Indexer, "choose", queries_from_the_stream),
    "the indexer not rotated": Patch(TOKENS, Indexer, "choose", not_rotated),
    "the indexer's last values rotated": Patch(TOKENS, Indexer, "choose", last_values_rotated),
    "later tokens take places": Patch(TOKENS, Indexer, "choose", later_tokens_take_places),
    "the worst tokens": Patch(TOKENS, Indexer, "choose", the_worst),
    "the latest tokens for the chosen ones": Patch(TOKENS, mla, "chosen_rows", the_latest_rows, "token by token"),
    "later tokens seen if chosen": Patch(TOKENS, mla, "chosen_mask", choice_without_a_mask),
    "decoding starts at position 0, indexer": Patch(
        TOKENS, MultiHeadLatentAttention, "rotate_first", start_forgotten, "token by token"
    ),
    "blocks by tokens that follow": Patch(BLOCKS, BlockIndexer, "choose", blocks_later_tokens_count),
    "blocks by their mean": Patch(BLOCKS, Tensor, "amax", lambda scores, dim: scores.clamp(min=-9).mean(dim)),
    "keys of the blocks not normalised": Patch(
        BLOCKS, BlockIndexer, "choose", blocks_with_modules(index_k_norm=lambda m: lambda keys: keys)
    ),
    "choices of groups swapped": Patch(GROUPS, BlockIndexer, "chosen_mask", groups_in_turn),
    "one choice for all groups": Patch(GROUPS, BlockIndexer, "chosen_mask", one_choice_for_all),
    "later tokens of a block seen": Patch(BLOCKS, BlockIndexer, "chosen_mask", blocks_without_a_mask),
    "an incomplete block made whole": Patch(
        BLOCKS, BlockIndexer, "chosen_rows", incomplete_block_repeated, "token by token"
    ),
}


@pytest.mark.parametrize("name", IN_THE_CODE)
def test_an_error_in_the_code_shows(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shows_in_the_code(IN_THE_CODE[name], monkeypatch)
