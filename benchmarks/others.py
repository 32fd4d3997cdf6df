"""What other tools answer for the KV cache of four models at 128k, beside what is true. Prints Markdown.

Run it in a virtual environment of its own, with this project and the versions in `docs/other-tools.md`:
`python -m benchmarks.others`. Each tool gets what it reads of the published configs, without a network.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import llmarch_cli as llmarch
from llmarch_cli.report.units import binary_bytes, times

CONTEXT = 131_072

# The keys of each config.json that a KV cache follows from.
CONFIGS: dict[str, dict[str, Any]] = {
    "deepseek-v3": {
        "model_type": "deepseek_v3",
        "hidden_size": 7168,
        "intermediate_size": 18432,
        "moe_intermediate_size": 2048,
        "num_hidden_layers": 61,
        "num_attention_heads": 128,
        "num_key_value_heads": 128,
        "q_lora_rank": 1536,
        "kv_lora_rank": 512,
        "qk_nope_head_dim": 128,
        "qk_rope_head_dim": 64,
        "v_head_dim": 128,
        "n_routed_experts": 256,
        "n_shared_experts": 1,
        "num_experts_per_tok": 8,
        "first_k_dense_replace": 3,
        "moe_layer_freq": 1,
        "vocab_size": 129280,
    },
    "gemma3-27b": {
        "model_type": "gemma3_text",
        "hidden_size": 5376,
        "intermediate_size": 21504,
        "num_hidden_layers": 62,
        "num_attention_heads": 32,
        "num_key_value_heads": 16,
        "head_dim": 128,
        "sliding_window": 1024,
        "layer_types": ["full_attention" if (i + 1) % 6 == 0 else "sliding_attention" for i in range(62)],
        "vocab_size": 262208,
    },
    "llama4-maverick": {
        "model_type": "llama4_text",
        "hidden_size": 5120,
        "intermediate_size": 8192,
        "num_hidden_layers": 48,
        "num_attention_heads": 40,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "attention_chunk_size": 8192,
        "num_local_experts": 128,
        "num_experts_per_tok": 1,
        "vocab_size": 202048,
    },
    "gpt-oss-120b": {
        "model_type": "gpt_oss",
        "hidden_size": 2880,
        "intermediate_size": 2880,
        "num_hidden_layers": 36,
        "num_attention_heads": 64,
        "num_key_value_heads": 8,
        "head_dim": 64,
        "sliding_window": 128,
        "layer_types": ["sliding_attention" if i % 2 == 0 else "full_attention" for i in range(36)],
        "num_local_experts": 128,
        "num_experts_per_tok": 4,
        "vocab_size": 201088,
    },
}


def hf_mem(config: Mapping[str, Any]) -> int:
    from hf_mem.safetensors.kv_cache import compute_safetensors_kv_cache_size

    return int(compute_safetensors_kv_cache_size(config, "BF16", CONTEXT))


def llm_analysis(config: Mapping[str, Any]) -> int:
    from llm_analysis.analysis import LLMAnalysis
    from llm_analysis.config import ModelConfig, get_gpu_config_by_name

    model = ModelConfig(
        name="",
        num_layers=config["num_hidden_layers"],
        n_head=config["num_attention_heads"],
        hidden_dim=config["hidden_size"],
        vocab_size=config["vocab_size"],
        num_key_value_heads=config["num_key_value_heads"],
        ffn_embed_dim=config["intermediate_size"],
        expansion_ratio=config["intermediate_size"] / config["hidden_size"],
    )
    analysis = LLMAnalysis(model, get_gpu_config_by_name("a100-sxm-80gb"))
    return int(analysis.get_memory_kv_cache_per_layer(1, CONTEXT)) * int(config["num_hidden_layers"])


def llm_mem_planner(config: Mapping[str, Any]) -> int:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "config.json"
        path.write_text(json.dumps(config))
        command = [sys.executable, "-m", "llm_mem_planner", "--config", str(path), "--seq-len", str(CONTEXT)]
        run = subprocess.run([*command, "--batch", "1"], capture_output=True, text=True, check=True)
    gib = run.stdout.partition("kv_unique=")[2].partition(" GiB")[0]
    return round(float(gib) * 2**30)


TOOLS: dict[str, Callable[[Mapping[str, Any]], int]] = {
    "hf-mem": hf_mem,
    "llm-analysis": llm_analysis,
    "llm-mem-planner": llm_mem_planner,
}


def answer(tool: Callable[[Mapping[str, Any]], int], config: Mapping[str, Any], true: int) -> str:
    try:
        found = tool(config)
    except subprocess.CalledProcessError:
        return "refuses"
    share = Fraction(found, true)
    return f"{binary_bytes(found)} ({'the same' if abs(share - 1) < Fraction(1, 1000) else times(share)})"


def main() -> None:
    print(f"| model | true | {' | '.join(TOOLS)} |")
    print(f"| --- | ---: | {' | '.join('---:' for _ in TOOLS)} |")
    for name, config in CONFIGS.items():
        true = llmarch.profile(name, context=CONTEXT, engine="closed-form").kv_cache_bytes
        answers = (answer(tool, config, true) for tool in TOOLS.values())
        print(f"| {name} | {binary_bytes(true)} | {' | '.join(answers)} |")


if __name__ == "__main__":
    main()
