"""Whole processes, and what they took."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

LLMARCH = (sys.executable, "-m", "llmarch_cli")
PAIR = ("deepseek-v3", "llama4-maverick")

# A process's peak counts what its parent had in memory when it was started, so a small one starts it.
LAUNCHER = """
import json, resource, subprocess, sys, time
started = time.perf_counter()
done = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
seconds = time.perf_counter() - started
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([done.returncode, seconds, used.ru_utime, used.ru_maxrss, done.stdout, done.stderr]))
"""

# As installed: what is measured is not compiled anew in each run, like torch, which pip compiled.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
ENVIRONMENT["NO_COLOR"] = "1"


@dataclass(frozen=True)
class Run:
    """A finished command."""

    seconds: float
    cpu_seconds: float
    peak_kib: int
    output: str
    errors: str


def run(command: Sequence[str]) -> Run:
    """Run `command` to its end. Raises SystemExit if it fails."""
    launcher = [sys.executable, "-I", "-S", "-c", LAUNCHER, *command]
    launched = subprocess.run(launcher, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT, check=True)
    status, seconds, cpu_seconds, peak_kib, output, errors = json.loads(launched.stdout)
    if status:
        raise SystemExit(f"{errors}{' '.join(command)[:200]}: exit {status}")
    return Run(seconds, cpu_seconds, peak_kib, output, errors)


def best(runs: Sequence[Run]) -> Run:
    """The fastest, with the median of user CPU time and the smallest peak of all."""
    cpu_seconds = median(r.cpu_seconds for r in runs)
    peak_kib = min(r.peak_kib for r in runs)
    return Run(min(r.seconds for r in runs), cpu_seconds, peak_kib, runs[0].output, runs[0].errors)
