"""On a GPU the modules say what they say on the CPU, and take the memory that the figures tell. Skipped without one."""

from __future__ import annotations

import copy

import pytest
import torch
from pairs import CASES, WAYS, Case, deviation, pair

import llmarch_cli as llmarch
from benchmarks import gpu
from llmarch_cli.modules.builder import ExpertStack, Model, build

if not torch.cuda.is_available():
    pytest.skip("no CUDA device", allow_module_level=True)

TOLERANCE = 5e-5  # of the largest logit: a GPU adds up in another order


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", CASES, ids=str)
@torch.no_grad()
def test_logits_equal_those_of_the_cpu(case: Case, way: str) -> None:
    models = pair(case)
    expected = WAYS[way](models.ours, models.tokens)
    logits = WAYS[way](copy.deepcopy(models.ours).cuda(), models.tokens.cuda()).cpu()
    assert deviation(logits, expected) < TOLERANCE


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("n_rows", "n_experts"), [(1, 4), (5, 8), (300, 8), (7, 128)])
@torch.no_grad()
def test_the_fused_product_of_experts_is_the_loop(n_rows: int, n_experts: int, bias: bool) -> None:
    generator = torch.Generator("cuda").manual_seed(n_rows)
    with torch.device("cuda"):
        stack = ExpertStack(n_experts, 64, 96, bias).bfloat16()
        for weight in stack.parameters():
            weight.normal_(generator=generator)
        rows = torch.randn(n_rows, 64, dtype=torch.bfloat16, generator=generator)
        expert_ids = torch.randint(n_experts, (n_rows,), generator=generator).sort().values
        offsets = torch.searchsorted(expert_ids, torch.arange(1, n_experts + 1)).int()
    assert stack._has_grouped_kernel(rows)
    fused = stack(rows, expert_ids, offsets).float()
    looped = stack.float()(rows.float(), expert_ids, offsets)
    assert not stack._has_grouped_kernel(rows.float())
    torch.testing.assert_close(fused, looped, rtol=2**-7, atol=0.1)


@pytest.mark.parametrize("name", ["gpt2", "gemma3-270m", "qwen3-0.6b"])
@torch.no_grad()
def test_memory_is_what_the_figures_say(name: str) -> None:
    context = 1000
    profile = llmarch.profile(name, context=context)
    before = requested_bytes()
    model = build(profile.spec, "cuda", torch.bfloat16, initialized=False)
    assert requested_bytes() - before == 2 * profile.params
    assert kept(model, context) == profile.kv_cache_bytes


@pytest.mark.parametrize("options", [[], ["--compile"]])
def test_the_benchmark_runs(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu.main(["qwen3-0.6b", "--steps", "1x300,4x300", "--prompts", "100", *options]) == 0
    printed = capsys.readouterr()
    assert "no CUDA graph" not in printed.err
    assert printed.out.count("decode") == 2


def requested_bytes() -> int:
    """What tensors have asked of the allocator, which itself rounds up."""
    return int(torch.cuda.memory_stats().get("requested_bytes.all.current", 0))


def kept(model: Model, context: int) -> int:
    """Bytes of the cache of one sequence, read in two pieces."""
    cache = model.new_cache()
    tokens = torch.zeros(1, context, dtype=torch.int64, device="cuda")
    for piece in tokens.split(context - 1, dim=1):
        model(piece, cache)
    return cache.n_bytes
