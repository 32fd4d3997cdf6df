"""The command line: reads options, calls the library and prints what it returns."""

from __future__ import annotations

import gc
import os


def main() -> int:
    """Run the command line and return its status.

    0 fine, 1 a check failed, 2 bad input, 70 a bug, 71 no memory or no library, 130 interrupted.
    """
    gc.set_threshold(100_000)  # imports create many objects and no garbage; collecting takes a tenth of the start
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # a search of all installed packages takes as long
    try:
        from llmarch_cli.cli.interrupts import handled

        with handled():
            from llmarch_cli.cli.app import run

            return run()
    except KeyboardInterrupt:  # outside of a command, where typer returns 130
        return 130
    finally:
        gc.freeze()  # skip the garbage collection of all of torch at exit
