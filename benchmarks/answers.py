"""Other tools that say how large a model is, for the table of `python -m benchmarks`: what each is asked, and how.

Each is found where it is installed: beside this Python, or on the PATH. With `--install`, pip installs each into an
environment of its own in a scratch directory, which needs a package index.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import llmarch_cli as llmarch
from benchmarks.others import CONFIGS
from benchmarks.peers import TOOLS, installed

REPOSITORY = "deepseek-ai/DeepSeek-V3"

# hf-mem asks the Hub for a list of files, for the head of each file of weights, and for the config. Here they are in
# memory: one file whose head names one tensor. All else is done as it does it.
_HF_MEM = """
import json, struct, sys
import httpx2
from hf_mem.cli import main
asked = json.loads(sys.argv.pop())
head = json.dumps(asked["head"]).encode()
files = {"model.safetensors": struct.pack("<Q", len(head)) + head, "config.json": json.dumps(asked["config"]).encode()}

def answer(request):
    if request.url.path.startswith("/api/models/"):
        return httpx2.Response(200, json=[{"type": "file", "path": name} for name in files])
    return httpx2.Response(200, content=files[request.url.path.rpartition("/")[2]])

class Client(httpx2.AsyncClient):
    def __init__(self, **settings):
        super().__init__(**settings)
        self._transport = httpx2.MockTransport(answer)

httpx2.AsyncClient = Client
main()
"""

# The two models of `compare`, as configs with their defaults.
_AUTO_CONFIG = """
from transformers import AutoConfig
for kind in ("deepseek_v3", "llama4_text"):
    print(AutoConfig.for_model(kind))
"""


@dataclass(frozen=True)
class Asked:
    """Another tool's question.

    Attributes:
        name: in the table.
        command: what is run; None if the tool is not installed.
        version: of the tool, if it is known.
    """

    name: str
    command: tuple[str, ...] | None
    version: str = ""


def asked(directory: Path | None = None) -> Iterator[Asked]:
    """The tools, each installed into `directory` first if that is given."""
    pythons = {} if directory is None else _installed(directory)
    program = _program("llmfit", pythons)
    info = None if program is None else (str(program), "--no-dashboard", "info", REPOSITORY)
    yield Asked("llmfit info of one", info, _version("llmfit", program))
    program = _program("hf-mem", pythons)
    memory = None if program is None else (str(program.with_name("python")), "-c", _HF_MEM, *_hf_mem_arguments())
    yield Asked("hf-mem of one, the Hub's answers in memory", memory, _version("hf-mem", program))
    configs = (sys.executable, "-c", _AUTO_CONFIG) if importlib.util.find_spec("transformers") else None
    yield Asked("transformers, two configs printed", configs, _version("transformers", Path(sys.executable)))


def _installed(directory: Path) -> Mapping[str, Path]:
    wanted = {tool.partition("=")[0]: tool for tool in TOOLS}
    found = {name: installed(wanted[name], directory) for name in ("llmfit", "hf-mem")}
    return {name: python for name, python in found.items() if python is not None}


def _program(name: str, pythons: Mapping[str, Path]) -> Path | None:
    """The program of a tool, in the environment that it was installed into."""
    if name in pythons:
        return pythons[name].with_name(name)
    places = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
    found = shutil.which(name, path=places)
    return None if found is None else Path(found).resolve()


def _version(package: str, program: Path | None) -> str:
    """The version in the environment of a program; empty if there is none."""
    python = None if program is None else program.with_name("python")
    if python is None or not python.exists():
        return ""
    code = f"import importlib.metadata as m; print(m.version({package!r}))"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    return f"{package} {done.stdout.strip()}" if done.returncode == 0 else ""


def _hf_mem_arguments() -> tuple[str, ...]:
    params = llmarch.profile("deepseek-v3", engine="closed-form").params
    tensor = {"dtype": "BF16", "shape": [params], "data_offsets": [0, 2 * params]}
    config = {
        **CONFIGS["deepseek-v3"],
        "architectures": ["DeepseekV3ForCausalLM"],
        "torch_dtype": "bfloat16",
        "max_position_embeddings": 163_840,
    }
    options = ("--experimental", "--max-model-len", "131072", "--kv-cache-dtype", "bfloat16")
    return ("--model-id", REPOSITORY, *options, json.dumps({"head": {"weights": tensor}, "config": config}))
