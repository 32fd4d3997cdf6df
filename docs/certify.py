"""Check the bundled specs and chips, run both engines on the specs, and keep all that: `make certificates`.

To run after a change of a spec or chip, of a kind, or of what checks them and computes costs.
"""

import json
import os
from collections.abc import Iterable
from pathlib import Path

from llmarch_cli.deployment import chips
from llmarch_cli.profilers.certificates import FILE
from llmarch_cli.profilers.profile import certify_all
from llmarch_cli.specs import checked
from llmarch_cli.specs.loading import names, read, specs_directory


def main() -> None:
    """Write the files, with a line for each spec or chip."""
    os.environ["LLMARCH_CACHE"] = os.devnull  # what was kept for the user does not count here
    directory, machines = specs_directory(), chips.chips_directory()
    for each in (directory, machines):
        _write(each / checked.FILE, ())  # read from YAML what is checked now
    specs = [read(directory / f"{name}.yaml") for name in names()]
    _write(directory / checked.FILE, (checked.line(spec.id, spec, spec.lineage) for spec in specs))
    known = [chips.chip(name) for name in chips.chips()]
    _write(machines / checked.FILE, (checked.line(chip.id, chip, [machines / f"{chip.id}.yaml"]) for chip in known))
    certificates = certify_all(specs)
    _write(directory / FILE, (f"{json.dumps(key)}: {json.dumps(each.data())}" for key, each in certificates.items()))


def _write(path: Path, lines: Iterable[str]) -> None:
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
