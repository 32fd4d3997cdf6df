"""How many sequences of 128k fit on 8 H200, as others answer it, beside `llmarch fit`. Prints Markdown.

`python -m benchmarks.peers` makes a virtual environment for each tool in a scratch directory and installs it there with
pip: that needs a package index. A tool that does not install is left out, with a line that says so. Each tool gets the
published config or has it, and the weight bytes as published where it would ask the Hugging Face Hub for them.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import venv
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import llmarch_cli as llmarch
from benchmarks.others import CONFIGS
from llmarch_cli.deployment.chips import machines
from llmarch_cli.deployment.fit import Fit, Question, Sizes, fit
from llmarch_cli.profilers.cost import Workload
from llmarch_cli.report.units import binary_bytes

CONTEXT, ON = 131_072, "8xh200"
PATIENCE = 600  # seconds

_LLAMA = {
    "model_type": "llama",
    "hidden_size": 8192,
    "intermediate_size": 28672,
    "num_hidden_layers": 80,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "vocab_size": 128256,
}
_QWEN = {
    "model_type": "qwen3_moe",
    "hidden_size": 4096,
    "intermediate_size": 12288,
    "moe_intermediate_size": 1536,
    "num_hidden_layers": 94,
    "num_attention_heads": 64,
    "num_key_value_heads": 4,
    "head_dim": 128,
    "num_experts": 128,
    "num_experts_per_tok": 8,
    "vocab_size": 151936,
}
_ARCHITECTURES = {
    "llama": "LlamaForCausalLM",
    "deepseek_v3": "DeepseekV3ForCausalLM",
    "gpt_oss": "GptOssForCausalLM",
    "gemma3_text": "Gemma3ForCausalLM",
    "qwen3_moe": "Qwen3MoeForCausalLM",
}


class Model(NamedTuple):
    """A model by the names that tools know it by, and its config."""

    repository: str
    config: Mapping[str, Any]
    with_experts: bool = False


MODELS = {
    "llama3.1-70b": Model("meta-llama/Llama-3.1-70B", _LLAMA),
    "gemma3-27b": Model("google/gemma-3-27b-it", CONFIGS["gemma3-27b"]),
    "gpt-oss-120b": Model("openai/gpt-oss-120b", CONFIGS["gpt-oss-120b"], with_experts=True),
    "qwen3-235b-a22b": Model("Qwen/Qwen3-235B-A22B", _QWEN, with_experts=True),
    "deepseek-v3": Model("deepseek-ai/DeepSeek-V3", CONFIGS["deepseek-v3"], with_experts=True),
}

# What runs in each tool's environment: reads a question as JSON, and prints the sequences or bytes of one.
_AICONFIGURATOR = """
import contextlib, json, sys
asked = json.load(sys.stdin)
with contextlib.redirect_stdout(sys.stderr):
    from aiconfigurator_core.sdk.memory import estimate_kv_cache
    moe = {"moe_tp_size": 1, "moe_ep_size": 8} if asked["with_experts"] else {}
    name = asked["repository"].replace("/Llama-3.1", "/Meta-Llama-3.1")
    found = estimate_kv_cache(
        name, "h200_sxm", "vllm", "current", max_num_tokens=8192, max_batch_size=256, memory_fraction_kind="of_total",
        memory_fraction_value=0.9, tp_size=8, kvcache_quant_mode="bfloat16", **moe,
    )
print(json.dumps({"sequences": found["total_kv_size_tokens"] // asked["context"]}))
"""

_PLANNER = """
import json, sys
from types import SimpleNamespace
from planner import capacity_planner as planner
asked = json.load(sys.stdin)
config = SimpleNamespace(**asked["config"], architectures=[asked["architecture"]], torch_dtype="bfloat16")
planner.model_params_by_dtype = lambda *_: {"U8": asked["weight_bytes"]}  # it asks the Hub for tensors
detail = planner.KVCacheDetail(asked["repository"], config, asked["context"])
most = planner.max_concurrent_requests(asked["repository"], config, asked["context"], 141, 0.9, tp=8)
print(json.dumps({"sequences": most, "bytes": detail.per_request_kv_cache_bytes}))
"""

_LLMFIT = """
import json, os, subprocess, sys
asked = json.load(sys.stdin)
quant = {"BF16": ["--quant", "BF16"]}.get(asked["format"], [])
program = os.path.join(os.path.dirname(sys.executable), "llmfit")
command = [program, "--no-dashboard", "--memory", "1128G", "concurrency"]
command += [asked["repository"], "--context", str(asked["context"]), "--json", *quant]
run = subprocess.run(command, capture_output=True, text=True, check=True)
(found,) = json.loads(run.stdout)["estimate"]["ladder"]
print(json.dumps({"sequences": found["max_sessions"], "bytes": round(found["per_session_kv_gb"] * 2**30)}))
"""

_HF_MEM = """
import json, sys
from hf_mem.safetensors.kv_cache import compute_safetensors_kv_cache_size
asked = json.load(sys.stdin)
print(json.dumps({"bytes": int(compute_safetensors_kv_cache_size(asked["config"], "BF16", asked["context"]))}))
"""

TOOLS = {
    "aiconfigurator==0.12.0": _AICONFIGURATOR,
    "llm-d-planner==0.3.3": _PLANNER,
    "llmfit==1.1.17": _LLMFIT,
    "hf-mem==0.5.6": _HF_MEM,
}


def installed(tool: str, directory: Path) -> Path | None:
    """The interpreter of a new environment with a tool; None if it does not install."""
    home = directory / tool.partition("=")[0]
    venv.create(home, with_pip=True)
    python = home / "bin" / "python"
    try:
        subprocess.run([python, "-m", "pip", "install", "-q", tool], check=True, timeout=PATIENCE, capture_output=True)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        print(f"{tool} does not install here: left out", file=sys.stderr)
        return None
    return python


def asked(name: str, model: Model) -> str:
    """The question about a model, as JSON."""
    profile = llmarch.profile(name, context=CONTEXT, weights="native", engine="closed-form")
    return json.dumps(
        {
            "repository": model.repository,
            "config": model.config,
            "architecture": _ARCHITECTURES[model.config["model_type"]],
            "with_experts": model.with_experts,
            "context": CONTEXT,
            "weight_bytes": profile.weight_bytes,
            "format": "BF16" if profile.spec.stored is None else profile.spec.stored.format,
        }
    )


def answer(python: Path, code: str, question: str) -> str:
    """What a tool says."""
    try:
        run = subprocess.run(
            [python, "-c", code], input=question, capture_output=True, text=True, check=True, timeout=PATIENCE
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        said = str(error.stderr or error).strip().splitlines()
        print(f"{python.parents[1].name}: {said[-1] if said else 'no answer'}", file=sys.stderr)
        return "refuses"
    return written(**json.loads(run.stdout))


def written(sequences: int | None = None, **sizes: int) -> str:
    """Sequences, and the bytes of the cache of one, where a tool says them."""
    each = f"{binary_bytes(sizes['bytes'])} each" if "bytes" in sizes else ""
    return ", ".join(said for said in ("" if sequences is None else f"{sequences:,}", each) if said)


def ours(name: str, model: Model, **sizes: int | bool) -> Fit:
    """Our answer for a layout, or for the best one."""
    question = Question(Workload(context=CONTEXT, weights="native"), sizes=sizes)
    return fit(Sizes(llmarch.load(name), question), machines(ON))


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        found = {tool: installed(tool, Path(directory)) for tool in TOOLS}
        tools = {tool: python for tool, python in found.items() if python is not None}
        heads = [f"{tool.replace('==', ' ')}" for tool in tools]
        print(f"| model | most in any layout | in the same layout | {' | '.join(heads)} |")
        print(f"| --- | ---: | ---: | {' | '.join('---:' for _ in tools)} |")
        for name, model in MODELS.items():
            same = {"tp": 8, "pp": 1, "dp": 1, "cp": 1, "ep": 8 if model.with_experts else 1, "dp_attention": False}
            each = llmarch.profile(name, context=CONTEXT, engine="closed-form").kv_cache_bytes
            most = written(ours(name, model, **same).most_sequences, bytes=each)
            answers = [answer(python, TOOLS[tool], asked(name, model)) for tool, python in tools.items()]
            print(f"| {name} | {ours(name, model).most_sequences:,} | {most} | {' | '.join(answers)} |")


if __name__ == "__main__":
    main()
