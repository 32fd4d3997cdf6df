"""The command line: reads options, calls the library and prints what it returns."""

from __future__ import annotations

import gc
import os


def main() -> int:
    """Run the command line. Returns its status: 0 fine, 1 a check failed, 2 bad input, 70 a bug, 130 interrupted."""
    gc.set_threshold(100_000)  # imports make many objects and no garbage: looking for it is a tenth of the start
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # so is a search of all that is installed
    try:
        from llmarch_cli.cli.app import run

        return run()
    except KeyboardInterrupt:  # while it starts; the rest of the time typer answers it alike
        return 130
    finally:
        gc.freeze()  # else Python looks through all of torch for garbage once more before it exits
