"""Check the bundled specs, run both engines on them, and keep both: `make certificates`.

To run after a change of a spec, of a kind, or of what checks specs and computes costs.
"""

import json
import os
from collections.abc import Iterable
from pathlib import Path

from llmarch_cli.profilers.certificates import FILE
from llmarch_cli.profilers.profile import certify_all
from llmarch_cli.specs import checked
from llmarch_cli.specs.loading import names, read, specs_directory


def main() -> None:
    """Write both files, with a line for each spec."""
    os.environ["LLMARCH_CACHE"] = os.devnull  # what was kept for the user does not count here
    directory = specs_directory()
    _write(directory / checked.FILE, ())  # read from YAML what is checked now
    specs = [read(directory / f"{name}.yaml") for name in names()]
    _write(directory / checked.FILE, (checked.line(spec, spec.lineage) for spec in specs))
    certificates = certify_all(specs)
    _write(directory / FILE, (f"{json.dumps(key)}: {json.dumps(each.data())}" for key, each in certificates.items()))


def _write(path: Path, lines: Iterable[str]) -> None:
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
