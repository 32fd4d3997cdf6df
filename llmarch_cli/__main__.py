"""`python -m llmarch_cli` is `llmarch`."""

from __future__ import annotations

import sys

from llmarch_cli.cli import main

if __name__ == "__main__":  # a worker process reads this file too
    sys.exit(main())
