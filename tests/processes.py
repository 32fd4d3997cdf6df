"""Runs commands in processes of their own: what they print, to a pipe or a terminal, and which modules they take."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys

LLMARCH = [sys.executable, "-m", "llmarch_cli"]
CLOSED_FORM = {"LLMARCH_ENGINE": "closed-form"}

# Runs a command in a fresh interpreter, and then says which modules it took.
MODULES = """
import json, sys
from llmarch_cli.cli import main
sys.argv[0] = "llmarch"
try:
    main()
except SystemExit:
    pass
print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""


def process(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "COLUMNS": "100", **environment}
    return subprocess.run([*LLMARCH, *arguments], capture_output=True, text=True, env=env, check=False)


def modules(*arguments: str) -> set[str]:
    command = [sys.executable, "-c", MODULES, *arguments]
    seen = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "COLUMNS": "100"})
    return set(json.loads(seen.stderr.splitlines()[-1]))


def on_a_terminal(arguments: list[str], **environment: str) -> str:
    """What a command writes to a terminal."""
    leader, follower = pty.openpty()
    env = {**os.environ, **CLOSED_FORM, "TERM": "xterm", "COLUMNS": "100", **environment}
    env = {name: value for name, value in env.items() if value}
    child = subprocess.Popen([*LLMARCH, *arguments], stdout=follower, stderr=subprocess.PIPE, env=env)
    os.close(follower)
    written = b""
    while chunk := _read(leader):
        written += chunk
    os.close(leader)
    child.communicate()
    assert child.returncode == 0
    return written.decode()


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65_536)
    except OSError:  # Linux's way to say that the other end is closed
        return b""
