"""Runs git as someone, whoever runs the tests."""

import subprocess
from pathlib import Path

NOBODY = ("-c", "user.name=x", "-c", "user.email=x@example.com")


def git(*arguments: str, cwd: Path | None = None) -> str:
    """What it prints."""
    command = ["git", *NOBODY, *arguments]
    return subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True).stdout.strip()
