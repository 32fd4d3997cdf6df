"""Where the time of the default `compare` goes: `python -m benchmarks --profile`.

One process reports what each import takes by itself (`-X importtime`), and when printing begins and ends. The start of
Python is a process that does nothing. Of each part the smallest of several rounds counts.
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence

from benchmarks.processes import LLMARCH, PAIR, run

ROUNDS = 15

# The command as it is, but that what prints says when, among the lines of `-X importtime`.
_TIMED = """
import gc, sys, time
gc.set_threshold(100_000)  # as the command does, which here is loaded a little earlier
began = time.perf_counter()

def mark(name):
    print(f"mark: {name} {time.perf_counter() - began:.6f}", file=sys.stderr, flush=True)

mark("begin")
from llmarch_cli.cli import main, output
show = output.show

def marked(*given, **named):
    mark("print")
    show(*given, **named)
    mark("printed")

output.show = marked
main()
mark("end")
"""

PARTS = {
    "start of Python": "a process that does nothing",
    "import: typer": "the command line",
    "import: pydantic": "checks what a user gives; nothing that is bundled needs it",
    "import: YAML": "",
    "import: records": "the kinds of components, and the spec",
    "import: other code of llmarch": "",
    "import: other packages": "",
    "import: standard library": "",
    "command": "reads two specs and their certificates, and computes",
    "printing": "",
}
_PACKAGES = {
    "typer": "import: typer",
    "click": "import: typer",
    "rich": "import: typer",
    "shellingham": "import: typer",
    "pydantic": "import: pydantic",
    "pydantic_core": "import: pydantic",
    "annotated_types": "import: pydantic",
    "typing_inspection": "import: pydantic",
    "yaml": "import: YAML",
    "_yaml": "import: YAML",
}
_IMPORT = re.compile(r"import time: +([0-9]+) \| +[0-9]+ \| +(\S+)")
_MARK = re.compile(r"mark: (\w+) ([0-9.]+)")


def part_of(module: str) -> str:
    """The part that the import of a module belongs to."""
    if module.startswith(("llmarch_cli.components", "llmarch_cli.specs")):
        return "import: records"
    package = module.partition(".")[0]
    if package == "llmarch_cli":
        return "import: other code of llmarch"
    if package in sys.stdlib_module_names:
        return "import: standard library"
    return _PACKAGES.get(package, "import: other packages")


def parts(lines: Sequence[str]) -> dict[str, float]:
    """Seconds of each part behind the start of Python, from what the command wrote on standard error."""
    found: dict[str, float] = defaultdict(float)
    marks: dict[str, float] = {}
    while_printing = 0.0
    for line in lines:
        if match := _MARK.fullmatch(line):
            marks[match[1]] = float(match[2])
        elif "begin" in marks and (match := _IMPORT.fullmatch(line)):
            seconds = int(match[1]) / 1e6
            found[part_of(match[2])] += seconds
            while_printing += seconds * ("print" in marks and "printed" not in marks)
    imports = sum(found.values())
    found["printing"] = marks["printed"] - marks["print"] - while_printing
    found["command"] = marks["end"] - marks["begin"] - imports - found["printing"]
    return found


def rounds(count: int) -> Iterator[dict[str, float]]:
    """Seconds of each part, and of the command as it is, in so many rounds."""
    timed = (sys.executable, "-X", "importtime", "-c", _TIMED, "compare", *PAIR)
    for _ in range(count):
        found = parts(run(timed).errors.splitlines())
        found["start of Python"] = run((sys.executable, "-c", "pass")).seconds
        found["as it is"] = run((*LLMARCH, "compare", *PAIR)).seconds
        yield found


def main(count: int = ROUNDS) -> None:
    """Print a table."""
    measured = list(rounds(count))
    least = {name: min(each.get(name, 0) for each in measured) for name in (*PARTS, "as it is")}
    total = sum(least[name] for name in PARTS)
    print(f"{'compare of two, default':32} {'ms':>7} {'share':>6}")
    for name, about in PARTS.items():
        print(f"{name:32} {1e3 * least[name]:7.1f} {least[name] / total:6.0%}  {about}".rstrip())
    print(f"{'all':32} {1e3 * total:7.1f} {1:6.0%}  as it is, without a clock: {1e3 * least['as it is']:.1f} ms")
