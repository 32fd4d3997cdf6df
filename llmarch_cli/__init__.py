"""llmarch: what an LLM architecture is made of, what it costs, and how it differs from another one.

    import llmarch_cli as llmarch

    spec = llmarch.load("deepseek-v3")
    llmarch.profile(spec, context=131_072).kv_cache_bytes
    llmarch.compare(["deepseek-v3", "llama4-maverick"]).to_pandas()
    llmarch.diff("deepseek-v3", "kimi-k2").by_weight
    llmarch.changed(spec, {"ffn.variants.moe.top_k": 4})
    model = llmarch.build(spec, device="meta")

Importing this package imports nothing else: each name is loaded when it is first used, and torch only by `build`
and by the measuring engine.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llmarch_cli.api import (
        compare,
        diff,
        draw,
        drawing,
        fit,
        gallery,
        kv_cache,
        load_checkpoint,
        profile,
        reconcile,
        sketch,
        sweep,
        sweep_on,
        training,
    )
    from llmarch_cli.errors import CheckError, InputError, LlmarchError
    from llmarch_cli.huggingface.importing import import_config
    from llmarch_cli.huggingface.reconcile import Reconciliation
    from llmarch_cli.models import load
    from llmarch_cli.modules.builder import build
    from llmarch_cli.profilers.attribution import Difference
    from llmarch_cli.profilers.profile import Profile
    from llmarch_cli.report.table import Table
    from llmarch_cli.specs.changes import changed
    from llmarch_cli.specs.loading import names
    from llmarch_cli.specs.spec import ModelSpec
    from llmarch_cli.version import __version__

_HOMES = {
    "__version__": "version",
    "build": "modules.builder",
    "changed": "specs.changes",
    "compare": "api",
    "diff": "api",
    "fit": "api",
    "draw": "api",
    "gallery": "api",
    "drawing": "api",
    "kv_cache": "api",
    "profile": "api",
    "sketch": "api",
    "sweep": "api",
    "sweep_on": "api",
    "load": "models",
    "load_checkpoint": "api",
    "import_config": "huggingface.importing",
    "names": "specs.loading",
    "CheckError": "errors",
    "Difference": "profilers.attribution",
    "InputError": "errors",
    "LlmarchError": "errors",
    "ModelSpec": "specs.spec",
    "Profile": "profilers.profile",
    "Reconciliation": "huggingface.reconcile",
    "reconcile": "api",
    "training": "api",
    "Table": "report.table",
}

__all__ = [
    "CheckError",
    "Difference",
    "InputError",
    "LlmarchError",
    "ModelSpec",
    "Profile",
    "Reconciliation",
    "Table",
    "__version__",
    "build",
    "changed",
    "compare",
    "diff",
    "draw",
    "drawing",
    "fit",
    "gallery",
    "import_config",
    "kv_cache",
    "load",
    "load_checkpoint",
    "names",
    "profile",
    "reconcile",
    "sketch",
    "sweep",
    "sweep_on",
    "training",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"llmarch_cli.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'llmarch_cli' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(_HOMES)
