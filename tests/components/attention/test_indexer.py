"""Sparse attention by an indexer, over latents and over blocks of keys: shapes, cost, choice, and what layers share."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from sublayers import component, module, run, values

import llmarch_cli as llmarch
from llmarch_cli.components.cache import FULL, Mixing, Rows, View
from llmarch_cli.modules.builder import build
from llmarch_cli.modules.cache import TensorCache
from llmarch_cli.specs.spec import ModelSpec

Data = dict[str, Any]

MLA: Data = {
    "kind": "mla",
    "n_heads": 3,
    "q_lora_rank": 7,
    "kv_lora_rank": 10,
    "qk_nope_head_dim": 4,
    "qk_rope_head_dim": 6,
    "v_head_dim": 5,
    "rope_theta": 100.0,
}
OWN: Data = {"n_heads": 24, "head_dim": 8, "top_k": 5}
INDEXED: Data = {**MLA, "indexer": OWN}
GQA: Data = {"kind": "gqa", "n_heads": 4, "n_kv_heads": 2, "head_dim": 6, "rope_theta": 100.0}
BLOCKS: Data = {**GQA, "indexer": {"n_heads": 2, "head_dim": 8, "block": 3, "top_k": 2}}


def added(data: Data) -> dict[str, tuple[int, ...]]:
    """The parameters that an indexer adds."""
    plain = dict(module({**data, "indexer": None}).named_parameters())
    return {name: tuple(weight.shape) for name, weight in module(data).named_parameters() if name not in plain}


def test_parameters() -> None:
    assert added(INDEXED) == {
        "index_q_proj.weight": (24 * 8, 7),
        "index_k_proj.weight": (8, 16),
        "index_k_norm.weight": (8,),
        "index_k_norm.bias": (8,),
        "index_weights_proj.weight": (24, 16),
    }
    assert added(BLOCKS) == {
        "index_q_proj.weight": (2 * 8, 16),
        "index_k_proj.weight": (8, 16),
        "index_q_norm.weight": (8,),
        "index_k_norm.weight": (8,),
    }
    assert added({**MLA, "indexer": {"indices_from": "other", "top_k": 5}}) == {}


def test_cache_and_cost() -> None:
    tokens, blocks = component(INDEXED), component(BLOCKS)
    assert list(tokens.cache()) == [Rows("latent", 10), Rows("k_rope", 6), Rows("index_k", 8, FULL, "index")]
    assert list(tokens.mixing()) == [Mixing(3 * 2 * (10 + 6 + 10), View(5)), Mixing(2 * 24 * 8 + 2 * 24)]
    assert list(blocks.cache()) == [Rows("k", 12), Rows("v", 12), Rows("index_k", 8, FULL, "index")]
    assert list(blocks.mixing()) == [Mixing(2 * 4 * (6 + 6), View(6, unit=3)), Mixing(2 * 2 * 8)]
    shared = component({**MLA, "indexer": {"indices_from": "other", "top_k": 5}})
    assert [entry.name for entry in shared.cache()] == ["latent", "k_rope"]
    assert list(shared.mixing()) == [Mixing(3 * 2 * (10 + 6 + 10), View(5))]
    assert (tokens.label, blocks.label) == ("latent top 5", "top 2 blocks of 3")


@pytest.mark.parametrize("data", [INDEXED, BLOCKS])
def test_where_all_tokens_are_chosen_attention_is_whole(data: Data) -> None:
    x = values(2, 12, 16)
    chosen = module({**data, "indexer": {**data["indexer"], "top_k": 12}})
    whole = module({**data, "indexer": None})
    whole.load_state_dict(chosen.state_dict(), strict=False)
    torch.testing.assert_close(run(chosen, x), run(whole, x), rtol=1e-4, atol=1e-5)
    few = module(data)
    few.load_state_dict(chosen.state_dict())
    assert not torch.allclose(run(few, x)[:, -1], run(whole, x)[:, -1], atol=1e-3)


def n_seen(data: Data, n_tokens: int) -> list[int]:
    """The tokens whose values reach the output of the last one, alone, with the choice as it is."""
    built = module(data)
    x = values(1, n_tokens, 16)
    cache = TensorCache.of(built.component)
    run(built, x[:, :-1], cache)
    name = "latent" if data["kind"] == "mla" else "v"
    kept = {key: value.clone() for key, value in cache.stored.items()}

    def last(stored: dict[str, torch.Tensor]) -> torch.Tensor:
        fresh = TensorCache.of(built.component)
        fresh.step.length = n_tokens - 1
        fresh.stored = {key: value.clone() for key, value in stored.items()}
        return run(built, x[:, -1:], fresh)

    before, seen = last(kept), []
    for position in range(n_tokens - 1):
        changed = {key: value.clone() for key, value in kept.items()}
        changed[name][:, position] += 1.0
        if not torch.equal(last(changed), before):
            seen.append(position)
    return seen


def test_a_token_attends_to_as_many_as_it_chooses() -> None:
    assert len(n_seen(INDEXED, 20)) in (4, 5)  # the last one may be among them
    assert len(n_seen(INDEXED, 4)) == 3


def test_blocks_are_seen_whole() -> None:
    one = {**BLOCKS, "indexer": {**BLOCKS["indexer"], "n_heads": 1}}
    seen = n_seen(one, 20)  # tokens 18 and 19 are those of the last block
    others = [position for position in seen if position < 18]
    assert 18 in seen
    assert len(others) == 3
    assert others[0] % 3 == 0
    assert others == list(range(others[0], others[0] + 3))


def test_the_choice_of_equal_scores_does_not_depend_on_what_follows() -> None:
    """With one head half of the scores are zero."""
    data = {**INDEXED, "indexer": {**OWN, "n_heads": 1}}
    built, x = module(data), values(2, 16, 16)
    cache = TensorCache.of(built.component)
    one_by_one = torch.cat([run(built, x[:, [i]], cache) for i in range(16)], dim=1)
    torch.testing.assert_close(one_by_one, run(built, x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("data", "named"),
    [
        ({**MLA, "indexer": {"top_k": 5}}, "needs n_heads and head_dim, or indices_from"),
        ({**MLA, "indexer": {"top_k": 5, "n_heads": 2}}, "needs n_heads and head_dim, or indices_from"),
        ({**MLA, "indexer": {**OWN, "indices_from": "other"}}, "remove n_heads, head_dim"),
        ({**MLA, "indexer": {"top_k": 5, "indices_from": "other", "rope_interleaved": True}}, "remove n_heads"),
        ({**INDEXED, "q_lora_rank": None}, "needs q_lora_rank"),
        ({**INDEXED, "indexer": {**OWN, "head_dim": 5}}, r"head_dim \(5\) must not be below qk_rope_head_dim \(6\)"),
        ({**BLOCKS, "window": 5}, "window and indexer exclude each other"),
        ({**BLOCKS, "chunk": 5}, "chunk and indexer exclude each other"),
        ({**BLOCKS, "rope_theta": None, "alibi": True}, "alibi and indexer exclude each other"),
        ({**BLOCKS, "indexer": {**BLOCKS["indexer"], "n_heads": 3}}, r"n_kv_heads \(2\) must be a multiple of"),
        ({**BLOCKS, "indexer": {**BLOCKS["indexer"], "head_dim": 5}}, "must not be below the number of rotated"),
        ({**BLOCKS, "indexer": {**BLOCKS["indexer"], "local": 3}}, r"local \(3\) must not exceed top_k \(2\)"),
    ],
)
def test_contradictions(data: Data, named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        component(data)


# --- what layers share ----------------------------------------------------------------------------------------------

SHARED: Data = {**MLA, "indexer": {"indices_from": "full", "top_k": 5}}
BELOW: Data = {**MLA, "kv_from": "full"}


def spec(first: list[str], **variants: Data) -> ModelSpec:
    return ModelSpec.model_validate(
        {
            "name": "shared",
            "d_model": 16,
            "n_layers": len(first),
            "vocab_size": 50,
            "attention": {"first": first, "variants": variants},
            "ffn": {"kind": "dense", "d_ff": 16},
        }
    )


def ready(model: ModelSpec) -> Any:
    """The model with random weights."""
    built, generator = build(model), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in built.parameters():
            weight.normal_(0, 0.3, generator=generator)
    return built


@torch.no_grad()
def test_shared_choices_and_latents_in_pieces() -> None:
    layers = ["full", "shared", "below", "shared", "full", "shared"]
    model = ready(spec(layers, full=INDEXED, shared=SHARED, below=BELOW))
    tokens = torch.randint(50, (2, 20), generator=torch.Generator().manual_seed(0))
    whole = model(tokens)
    for sizes in ([1] * 20, [3, 1, 7, 2, 7]):
        cache = model.new_cache()
        pieces = torch.cat([model(piece, cache) for piece in tokens.split(sizes, 1)], dim=1)
        torch.testing.assert_close(pieces, whole, rtol=1e-4, atol=1e-4)
    kept = [sorted(layer.stored) for layer in cache.layers]
    assert kept[:3] == [["index_k", "k_rope", "latent"], ["k_rope", "latent"], []]


@torch.no_grad()
def test_a_shared_choice_is_that_of_the_nearest_layer_below() -> None:
    model = ready(spec(["full", "full", "shared"], full=INDEXED, shared=SHARED))
    tokens = torch.randint(50, (1, 20), generator=torch.Generator().manual_seed(0))
    attention, x = [layer.attention for layer in model.layers], values(1, 20, 16)
    for each in attention:
        each.register_forward_pre_hook(lambda module, given: (x, *given[1:]))  # so that only the choice may differ
    found: list[torch.Tensor] = []
    attention[2].register_forward_hook(lambda module, given, out: found.append(out))
    model(tokens)
    for below in (0, 1):
        attention[below].index_weights_proj.weight.neg_()  # the worst tokens instead of the best
        model(tokens)
    assert torch.equal(found[1], found[0])
    assert not torch.allclose(found[2], found[0], atol=1e-3)


@pytest.mark.parametrize("context", [1, 4, 5, 6, 100])
def test_both_engines_agree_on_shared_layers(context: int) -> None:
    model = spec(["full", "shared", "below"], full=INDEXED, shared=SHARED, below=BELOW)
    measured = llmarch.profile(model, context=context, batch=2, engine="measured")  # raises if they differ
    assert measured.index_bytes == 2 * context * 8 * 2
    assert measured.kv_cache_bytes == 2 * context * (2 * (10 + 6) + 8) * 2


@pytest.mark.parametrize(
    ("first", "variants", "named"),
    [
        (
            ["shared", "full"],
            {"full": INDEXED, "shared": SHARED},
            "no layer below the first one of this variant has it",
        ),
        (["below", "full"], {"full": INDEXED, "below": BELOW}, "no layer below the first one of this variant has it"),
        (["full", "shared"], {"full": MLA, "shared": SHARED}, "reads chosen of the variant 'full', which has none"),
        (
            ["full", "shared"],
            {"full": INDEXED, "shared": {**SHARED, "indexer": {"indices_from": "full", "top_k": 6}}},
            "reads chosen of the variant 'full' as 6 values, but there it has 5",
        ),
        (
            ["full", "below"],
            {"full": MLA, "below": {**BELOW, "kv_lora_rank": 9}},
            "reads latent of the variant 'full' as 9 values",
        ),
        (
            ["full", "below"],
            {"full": MLA, "below": {**MLA, "kv_from": "other"}},
            "which is no other variant; known: 'full'",
        ),
    ],
)
def test_sources_that_do_not_fit(first: list[str], variants: dict[str, Data], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        spec(first, **variants)
