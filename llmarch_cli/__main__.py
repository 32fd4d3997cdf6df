"""`python -m llmarch_cli` is `llmarch`."""

from __future__ import annotations

import sys

from llmarch_cli.cli import main

sys.exit(main())
