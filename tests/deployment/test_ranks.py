"""A real run: two processes divide a small model by the layout, weigh what each holds, and give the same logits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ranks
from torch.multiprocessing.spawn import spawn

from llmarch_cli.deployment.layouts import Layout, per_device
from llmarch_cli.profilers.cost import Workload
from llmarch_cli.specs.spec import ModelSpec

GQA = {"kind": "gqa", "n_heads": 4, "n_kv_heads": 2, "head_dim": 8, "qkv_bias": True, "qk_norm": "per_head"}
SMALL: dict[str, Any] = {
    "name": "small",
    "d_model": 24,
    "n_layers": 2,
    "vocab_size": 51,  # the second rank has one row less
    "attention": {**GQA, "o_bias": True, "rope_theta": 10_000.0},
    "ffn": {"kind": "dense", "d_ff": 40, "bias": True},
}


def test_two_ranks_hold_the_bytes_of_the_layout_and_give_the_logits_of_the_whole(tmp_path: Path) -> None:
    spawn(ranks.run, (2, SMALL, str(tmp_path)), nprocs=2)
    found = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2)]
    expected = per_device(ModelSpec.model_validate(SMALL), Workload(1, weights="fp32"), Layout(tp=2))
    assert found[0]["bytes"] == expected.weights
    assert found[1]["bytes"] == expected.weights - 2 * 4 * 24  # a row of the table, and one of the head
    assert max(rank["apart"] for rank in found) < 2e-6
