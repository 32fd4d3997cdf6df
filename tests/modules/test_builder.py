"""Built models: bytes of the cache, gradients, export and building."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import llmarch_cli as llmarch
from llmarch_cli.errors import InputError
from llmarch_cli.modules.builder import BlockProjection, ExpertStack, Model, build
from llmarch_cli.modules.cache import Cache
from llmarch_cli.modules.packing import Packing
from llmarch_cli.profilers.closed_form import component_cost
from llmarch_cli.profilers.cost import KvDtype, Workload
from llmarch_cli.profilers.measured import ROW_DTYPES
from llmarch_cli.specs.spec import ModelSpec

torch.set_num_threads(1)  # tensors are tiny: threads would only wait for each other

GQA = {"kind": "gqa", "n_heads": 4, "n_kv_heads": 2, "head_dim": 6, "rope_theta": 100.0}
MLA = {
    "kind": "mla",
    "n_heads": 3,
    "kv_lora_rank": 8,
    "qk_nope_head_dim": 4,
    "qk_rope_head_dim": 6,
    "v_head_dim": 5,
    "rope_theta": 100.0,
}
DENSE = {"kind": "dense", "d_ff": 20}
MOE = {"kind": "moe", "n_experts": 6, "top_k": 2, "d_ff": 8, "shared_expert": {"kind": "dense", "d_ff": 8}}
WINDOW, CHUNK = 4, 5
LENGTH = 12  # past every edge, twice


def spec(attention: Any = GQA, ffn: Any = DENSE, **fields: Any) -> ModelSpec:
    sizes = {"name": "tiny", "d_model": 16, "n_layers": 2, "vocab_size": 31}
    return ModelSpec.model_validate({**sizes, "attention": attention, "ffn": ffn, **fields})


def mixed(**fields: Any) -> ModelSpec:
    """A layer with each type of cache, and one without a cache."""
    variants = {
        "local": {**GQA, "window": WINDOW},
        "shortest": {**GQA, "window": 1},
        "chunked": {**GQA, "chunk": CHUNK, "rope_theta": None},
        "full": {**GQA, "n_heads": 1, "n_kv_heads": 1, "rope_theta": None},
        "latent": MLA,
        "nope": {**MLA, "rope_theta": None},
    }
    names = ["none", *variants]
    return spec({"first": names, "variants": variants}, n_layers=len(names), **fields)


def tokens(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(31, shape, generator=torch.Generator().manual_seed(seed))


def closed_form_bytes(of: ModelSpec, context: int, batch: int, kv_dtype: KvDtype) -> int:
    components = of.variants("attention")
    return sum(
        component_cost(components[layer.attention], of, Workload(context, batch, kv_dtype)).kv_cache_bytes
        for layer in of.layers
        if layer.attention != "none"
    )


def check_cache(cache: Cache, of: ModelSpec, length: int, batch: int, kv_dtype: KvDtype) -> None:
    assert cache.length == length
    assert cache.n_bytes == closed_form_bytes(of, length, batch, kv_dtype)
    for entry in (entry for layer in cache.layers for entry in layer.stored.values()):
        stored_as = ROW_DTYPES[kv_dtype]
        assert entry.dtype == (torch.uint8 if isinstance(stored_as, Packing) else stored_as)
        assert entry.untyped_storage().nbytes() == entry.numel() * entry.element_size()


@pytest.mark.parametrize("kv_dtype", ["bf16", "fp16", "fp32", "fp8"])
@pytest.mark.parametrize("pieces", [[1] * LENGTH, [LENGTH], [3, 1, 1, 4, 2, 1], [2, WINDOW, CHUNK, 1]], ids=str)
@torch.no_grad()
def test_the_cache_holds_what_the_closed_form_says(pieces: list[int], kv_dtype: KvDtype) -> None:
    of = mixed(ffn=MOE, learned_positions=20)
    model = build(of, seed=0)
    cache = model.new_cache(batch=3, dtype=ROW_DTYPES[kv_dtype])
    assert cache.n_bytes == cache.length == 0
    for piece in tokens(3, LENGTH).split(pieces, dim=1):
        logits = model(piece, cache)
        assert logits.isfinite().all()
        check_cache(cache, of, cache.length, 3, kv_dtype)
    assert cache.length == LENGTH


@pytest.mark.parametrize(("kv_dtype", "rounding"), [("fp32", 1e-6), ("fp16", 1e-2), ("bf16", 5e-2), ("fp8", 5e-1)])
@torch.no_grad()
def test_a_smaller_cache_dtype_only_rounds(kv_dtype: KvDtype, rounding: float) -> None:
    model = build(mixed(), seed=0)
    prompt = tokens(2, LENGTH)
    exact, cache = model(prompt), model.new_cache(dtype=ROW_DTYPES[kv_dtype])
    logits = torch.cat([model(token, cache) for token in prompt.split(1, dim=1)], dim=1)
    deviation = (logits - exact).abs().max() / exact.abs().max()
    assert deviation < rounding
    assert kv_dtype == "fp32" or deviation > 1e-6  # it stored the lower precision


@torch.no_grad()
def test_without_a_dtype_the_cache_keeps_the_models_own() -> None:
    model = build(spec(), dtype=torch.bfloat16, seed=0)
    cache = model.new_cache()
    model(tokens(1, 3), cache)
    check_cache(cache, model.spec, 3, 1, "bf16")


@torch.no_grad()
def test_layers_without_attention_count_tokens() -> None:
    model = build(mixed(learned_positions=LENGTH), seed=0)
    prompt, cache = tokens(2, LENGTH), model.new_cache()
    logits = torch.cat([model(token, cache) for token in prompt.split(1, dim=1)], dim=1)
    torch.testing.assert_close(logits, model(prompt), rtol=0, atol=1e-5)
    with pytest.raises(InputError, match=f"learned positions for {LENGTH} tokens, not for {LENGTH + 1}"):
        model(prompt[:, :1], cache)


@pytest.mark.parametrize("batch", [None, 3])
@torch.no_grad()
def test_a_cache_refuses_another_batch_and_stays_as_it_was(batch: int | None) -> None:
    model = build(spec(), seed=0)
    cache = model.new_cache(batch=batch)
    model(tokens(3, 4), cache)
    with pytest.raises(InputError, match="the cache is for 3 sequences, but the tokens have 2"):
        model(tokens(2, 1), cache)
    check_cache(cache, model.spec, 4, 3, "fp32")


def test_a_cache_for_a_batch_refuses_another_one_from_the_start() -> None:
    model = build(spec(), seed=0)
    with pytest.raises(InputError, match="for 2 sequences"):
        model(tokens(1, 4), model.new_cache(batch=2))


def test_learned_positions_end() -> None:
    model = build(spec(learned_positions=6), seed=0)
    assert model(tokens(1, 6)).shape == (1, 6, 31)
    with pytest.raises(InputError, match="tiny has learned positions for 6 tokens, not for 7"):
        model(tokens(1, 7))


# --- training -------------------------------------------------------------------------------------------------------


def trained(of: ModelSpec, prompt: torch.Tensor) -> Model:
    """A model after one backward pass, its weights random enough to route tokens apart."""
    model = build(of, seed=0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(parameter.numel())) / 4)
    loss = nn.functional.cross_entropy(model(prompt[:, :-1]).flatten(0, 1), prompt[:, 1:].flatten())
    loss.backward()
    return model


@pytest.mark.parametrize("tied", [False, True])
def test_gradients_reach_every_parameter_of_a_dense_model(tied: bool) -> None:
    attention = {**GQA, "qkv_bias": True, "o_bias": True, "qk_norm": "per_head", "sinks": True, "softcap": 5.0}
    of = spec(attention, {**DENSE, "bias": True}, tie_embeddings=tied, learned_positions=9)
    prompt = tokens(2, 10)
    model = trained(of, prompt)
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        rows = parameter.grad.flatten(1).any(dim=1) if parameter.dim() > 1 else parameter.grad
        if name == "embedding.tokens.weight" and not tied:  # the rows of the tokens read, and no others
            assert rows.nonzero().flatten().tolist() == sorted(set(prompt[:, :-1].flatten().tolist()))
        else:
            assert rows.all(), name


@pytest.mark.parametrize("d_ff", [8, 7])  # torch's grouped product, and the loop
def test_gradients_reach_the_experts_that_tokens_chose_and_no_others(d_ff: int) -> None:
    of = spec(MLA, {**MOE, "d_ff": d_ff, "n_experts": 16, "bias": True, "router_bias": True}, n_layers=1)
    prompt = tokens(1, 5)
    chosen: set[int] = set()

    def note(module: nn.Module, args: tuple[torch.Tensor, ...]) -> None:
        if isinstance(module, ExpertStack):
            chosen.update(args[1].tolist())

    hook = nn.modules.module.register_module_forward_pre_hook(note)
    try:
        model = trained(of, prompt)
    finally:
        hook.remove()
    assert 0 < len(chosen) < 16
    stacks = {
        id(weight) for module in model.modules() if isinstance(module, ExpertStack) for weight in module.parameters()
    }
    assert len(stacks) == 6
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        if id(parameter) in stacks:
            reached = parameter.grad.flatten(1).any(dim=1).nonzero().flatten().tolist()
            assert reached == sorted(chosen), name
        else:
            assert parameter.grad.any(), name


@pytest.mark.parametrize("ffn", [DENSE, MOE], ids=["dense", "moe"])
def test_a_model_learns(ffn: dict[str, Any]) -> None:
    model = build(spec({**GQA, "window": WINDOW}, ffn), seed=0)
    prompt = tokens(4, 9)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(30):
        loss = nn.functional.cross_entropy(model(prompt[:, :-1]).flatten(0, 1), prompt[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2


# --- export ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ffn", "dtype"),
    [(DENSE, torch.float32), (MOE, torch.float32), ({**MOE, "d_ff": 7}, torch.float32), (MOE, torch.bfloat16)],
    ids=["dense", "moe", "moe of odd widths", "moe in bfloat16"],
)
@torch.no_grad()
def test_an_exported_model_says_the_same(ffn: dict[str, Any], dtype: torch.dtype) -> None:
    model = build(spec({**GQA, "window": WINDOW}, ffn), seed=0, dtype=dtype)
    dynamic = {"tokens": {0: torch.export.Dim.AUTO, 1: torch.export.Dim.AUTO}}
    exported = torch.export.export(model, (tokens(2, 7),), strict=False, dynamic_shapes=dynamic)
    other = tokens(3, 11, seed=1)
    torch.testing.assert_close(exported.module()(other), model(other), rtol=0, atol=1e-6)
    operators = {str(node.target) for node in exported.graph.nodes}
    assert any("grouped_mm" in operator for operator in operators) is (dtype == torch.bfloat16)


# --- building -------------------------------------------------------------------------------------------------------


def test_a_seed_gives_the_same_weights_each_time() -> None:
    first, again, other = (build(mixed(ffn=MOE), seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in first if name.endswith("proj.weight"))


def test_building_leaves_the_random_state_and_the_default_dtype_alone() -> None:
    torch.manual_seed(0)
    before, dtype = torch.get_rng_state(), torch.get_default_dtype()
    build(spec(), seed=1, dtype=torch.bfloat16)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_default_dtype() == dtype


@pytest.mark.parametrize("name", ["deepseek-v3", "kimi-k2", "grok-2.5"])
def test_on_meta_a_model_of_any_size_takes_no_memory(name: str) -> None:
    of = llmarch.load(name)
    tracemalloc.start()
    try:
        model = build(of, device="meta")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert all(values.is_meta for values in (*model.parameters(), *model.buffers()))
    assert peak < 20 * 2**20  # the modules themselves


def test_dtypes_are_what_is_asked_for_and_selection_biases_float32() -> None:
    model = build(spec(ffn={**MOE, "scoring": "sigmoid", "selection_bias": True}), dtype=torch.bfloat16, seed=0)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    assert {buffer.dtype for buffer in model.buffers()} == {torch.float32}
    assert model(tokens(1, 5)).dtype == torch.bfloat16


def test_a_tied_head_is_the_embedding() -> None:
    model: Any = build(spec(tie_embeddings=True), seed=0)
    assert model.head.lm_head.weight is model.embedding.tokens.weight
    assert "head.lm_head.weight" not in dict(model.named_parameters())


@pytest.mark.parametrize("tied", [True, False])
def test_a_normalised_head_has_rows_of_length_1(tied: bool) -> None:
    model: Any = build(spec(head_norm=True, tie_embeddings=tied), seed=0)
    hidden = model.embedding.tokens(tokens(2, 3))
    rows = torch.nn.functional.normalize(model.head.lm_head.weight, dim=-1)
    torch.testing.assert_close(model.head(hidden, None), hidden @ rows.T)


NOVEL = """
name: A hybrid that nobody published
d_model: 64
n_layers: 12
vocab_size: 300
attention:
  first: [mamba, mamba, mamba, sparse]
  repeat: [mamba, mamba, mamba, above]
  variants:
    mamba: {kind: mamba2, n_heads: 4, head_dim: 16, d_state: 16}
    sparse: &sparse
      kind: mla
      n_heads: 4
      q_lora_rank: 24
      kv_lora_rank: 16
      qk_nope_head_dim: 12
      qk_rope_head_dim: 8
      v_head_dim: 12
      rope_theta: 10_000
      indexer: {n_heads: 20, head_dim: 16, top_k: 8}
    above: {<<: *sparse, kv_from: sparse, indexer: {indices_from: sparse, top_k: 8}}
ffn: {kind: moe, n_experts: 8, top_k: 2, d_ff: 32}
"""


def test_a_model_that_only_a_file_describes_is_priced_and_runs(tmp_path: Path) -> None:
    """Three state spaces for one sparse attention, and upper layers that read a lower one's latents and choice."""
    path = tmp_path / "novel.yaml"
    path.write_text(NOVEL)
    priced = llmarch.profile(str(path), context=4096, engine="measured")
    assert priced.kv_cache_bytes == 4096 * (16 + 8 + 16) * 2  # of one layer: latent, rotary key and index key
    assert priced.state_bytes == 9 * (4 * 16 * 16 * 4 + 3 * 96 * 2)
    model = build(llmarch.load(str(path)), seed=0)
    tokens = torch.randint(300, (2, 30), generator=torch.Generator().manual_seed(0))
    cache = model.new_cache()
    with torch.no_grad():
        whole = model(tokens)
        steps = torch.cat([model(tokens[:, i : i + 1], cache) for i in range(30)], dim=1)
    torch.testing.assert_close(steps, whole, rtol=1e-4, atol=1e-5)


def test_blocks_are_not_copied_for_every_token() -> None:
    with torch.device("meta"):
        module, x = BlockProjection(8, 16, 32, bias=True), torch.empty(2, 100, 8, 16, requires_grad=True)
    kept: set[int] = set()

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept.add(tensor.untyped_storage().nbytes())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        out = module(x)
    assert out.shape == (2, 100, 8, 32)
    assert max(kept) == x.untyped_storage().nbytes()
