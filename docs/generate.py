"""Write the generated parts of the documentation: command reference, schemas, article, drawings and outputs.

`make docs` runs it, and tests check that they are current.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import dedent

import training_flops
from typer import Typer

from llmarch_cli.claims import claims
from llmarch_cli.cli.app import loaded
from llmarch_cli.deployment.chips import chips_directory
from llmarch_cli.huggingface.importing.families import FAMILIES, MULTIMODAL
from llmarch_cli.huggingface.importing.families.others import OUT_OF_SCOPE, WAITING
from llmarch_cli.schema import write_schema
from llmarch_cli.specs.loading import names, specs_directory
from llmarch_cli.specs.storage import FORMATS

DOCS = Path(__file__).parent
PAGES = (DOCS.parent / "README.md", *sorted(DOCS.rglob("*.md")))
WIDTH = "100"

PREFACE = """\
# Commands

<!-- Written by `make docs` from `--help-all`. -->

`llmarch COMMAND --help-all` prints these texts. `--help` fits a screen of 80 columns: of many options, it explains
those used most and names the others. Results go to standard output, diagnostics to standard error. Exit status:
0 fine, 1 a check failed, 2 bad input, 70 a bug, 71 no memory or no library, 130 interrupted.

A column is named by its key or by its heading, in any case: `--sort kv_cache_bytes`, `--columns 'KV cache,parameters'`,
`KV cache@128k <= 2GiB` in budgets. `llmarch columns` lists both. A `!` marks a value at a context, or of a prompt, that
is longer than the model's own context window.

`--json` has the same keys in all commands: `schema_version`; `tables`, each a list of rows under its name;
`architectures`, the models of the rows as data: the fields of a spec that differ from their defaults, with the variant
of each layer; and `notes`. Until the next version, each table is also beside these keys, as it was before.

A terminal shows colours, and on standard error that work goes on. `NO_COLOR` and `TERM=dumb` forbid colours,
`FORCE_COLOR` wants them in a pipe too.
"""


ARTICLE = """\
# The article, checked

<!-- Written by `make docs` from `docs/claims.yaml`, with `llmarch claims --format markdown`. -->

Statements of architecture comparisons that can be measured, in our words, each with our measurements.
[`docs/claims.yaml`](claims.yaml) holds them with the expression behind each verdict. `llmarch claims` measures them
again, and fails if a verdict has changed.
"""


# Runs several commands in one process, with a null byte after the output of each.
_RUN_ALL = """
import json, sys
from llmarch_cli.cli.app import run
for words in json.loads(sys.argv[1]):
    sys.argv = ["llmarch", *words]
    status = run()
    print(end="\\0", flush=True)
    if status:
        sys.exit(status)
"""


@contextmanager
def copied_examples() -> Iterator[Path]:
    """A directory with a copy of the example files, as commands of the pages find them."""
    with TemporaryDirectory() as directory:
        shutil.copytree(DOCS / "examples", directory, dirs_exist_ok=True)
        yield Path(directory)


def printed(*commands: tuple[str, ...]) -> list[str]:
    """The outputs of commands, without styles and at a fixed width."""
    terminal = {"COLUMNS": WIDTH, "TERMINAL_WIDTH": WIDTH, "NO_COLOR": "1", "TERM": "dumb"}
    environment = {**os.environ, **terminal, "LLMARCH_CACHE": os.devnull}  # nothing was measured before
    with copied_examples() as directory:
        run = subprocess.run(
            [sys.executable, "-c", _RUN_ALL, json.dumps(commands)],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            cwd=directory,
            env=environment,
        )
    outputs = run.stdout.split("\0")[:-1]
    return ["\n".join(line.rstrip() for line in output.splitlines()).strip("\n") for output in outputs]


def reference() -> str:
    """The page of commands."""
    names = list(_commands())
    main, *others = printed(("--help-all",), *((*words, "--help-all") for words in names))
    sections = [PREFACE, f"```text\n{main}\n```\n"]
    sections += [f"## {' '.join(words)}\n\n```text\n{text}\n```\n" for words, text in zip(names, others, strict=True)]
    return "\n".join(sections)


def _commands() -> Iterator[tuple[str, ...]]:
    """The words of each command; the commands of a group come after it."""
    for name, _, command, _ in loaded():
        yield (name,)
        if isinstance(command, Typer):
            yield from ((name, str(each.name)) for each in command.registered_commands)


def article() -> str:
    """The page of claims."""
    (claimed,) = printed(("claims", "--engine", "closed-form", "--format", "markdown"))
    linked = re.sub(r"(?<= )(https://\S+)", r"<\1>", claimed)
    return f"{ARTICLE}\n{linked}\n"


def refreshed(page: str) -> str:
    """A page with current outputs, for commands that are alone in their block."""

    def block(match: re.Match[str]) -> str:
        command, output = match.groups()
        if not output.strip() or re.search("^[$] ", output, re.MULTILINE):
            return match[0]
        return f"```console\n$ llmarch {command}\n{printed(tuple(shlex.split(command)))[0]}\n```"

    return re.sub(r"^```console\n[$] llmarch (.*?)\n(.*?)\n?```", block, page, flags=re.MULTILINE | re.DOTALL)


def counted(page: str) -> str:
    """A page with current counts of models and claims."""
    page = re.sub(r"\d+(?= published architectures)", str(len(names())), page)
    n_claims = sum(len(section.claims) for section in claims.read(claims.bundled()).sections)
    return re.sub(r"\d+(?= statements\]\(docs/article\.md\))", str(n_claims), page)


def quoted(page: str) -> str:
    """A page with current quotes of code: of an object, or of a statement inside it."""

    def block(match: re.Match[str]) -> str:
        marker, path, name, statement = match.groups()
        return f"{marker}\n```python\n{_source(path, name, statement)}\n```"

    return re.sub(
        r"^(<!-- code: (\S+) ([\w.]+)(?:: (.+))? -->)\n```python\n.*?```", block, page, flags=re.MULTILINE | re.DOTALL
    )


def _source(path: str, name: str, statement: str | None) -> str:
    text = (DOCS.parent / path).read_text()
    node: ast.AST = ast.parse(text)
    for part in name.split("."):
        node = next(each for each in ast.iter_child_nodes(node) if getattr(each, "name", None) == part)
    if statement is not None:
        inside = (each for each in ast.walk(node) if isinstance(each, ast.stmt))
        node = next(each for each in inside if (ast.get_source_segment(text, each) or "").startswith(statement))
    return dedent(ast.get_source_segment(text, node, padded=True) or "")


def listed(page: str) -> str:
    """A page with current tables between its markers: of families that are imported, formats, chips, conventions."""
    tables = {"families": _families, "formats": _formats, "chips": _chips, "training FLOPs": training_flops.written}
    return re.sub(
        r"(<!-- ([\w ]+): [^\n]*-->\n).*?(\n<!-- end -->)",
        lambda match: f"{match[1]}{tables[match[2]]()}{match[3]}",
        page,
        flags=re.DOTALL,
    )


def _formats() -> str:
    rows = "\n".join(f"| `{name}` | {each.words} |" for name, each in FORMATS.items())
    return f"| format | a matrix |\n| --- | --- |\n{rows}"


def _chips() -> str:
    (table,) = printed(("chips", "--format", "markdown"))
    return table.partition("\n\n")[0]


def _families() -> str:
    import transformers
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    rows: dict[str, list[str]] = {}
    kinds = sorted(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)
    exact = sum(kind in FAMILIES or kind in MULTIMODAL for kind in kinds)
    for kind in sorted(kinds, key=_status):
        rows.setdefault(" ".join(_status(kind)).strip(), []).append(kind)
    ours = {
        "multimodal, their text decoder": sorted(MULTIMODAL),
        "text decoders inside them": sorted(kind for kind, each in FAMILIES.items() if not each.remote),
        "published with their own code": sorted(
            (kind for kind, each in FAMILIES.items() if each.remote), key=str.lower
        ),
    }
    beyond = {title: [kind for kind in named if kind not in kinds] for title, named in ours.items()}
    return "\n".join(
        (
            f"Of the {len(kinds)} causal language models of transformers {transformers.__version__}, {exact} are read"
            " exactly:",
            "",
            _table("status", rows),
            "",
            "Beyond these:",
            "",
            _table("configs", beyond),
        )
    )


def _status(kind: str) -> tuple[str, str]:
    """How a model type stands, in the order of the alphabet, and why."""
    if kind in FAMILIES:
        return "exact", ""
    if kind in MULTIMODAL:
        return "exact:", "the text decoder of a multimodal config"
    return ("waits for", WAITING[kind]) if kind in WAITING else ("out of scope:", OUT_OF_SCOPE[kind])


def _table(title: str, rows: dict[str, list[str]]) -> str:
    lines = [f"| {name} | {' '.join(f'`{kind}`' for kind in kinds)} |" for name, kinds in rows.items()]
    return "\n".join((f"| {title} | model_type |", "| --- | --- |", *lines))


def draw() -> None:
    """Make the pictures of all pages with the commands that the pages show."""
    found = (re.findall(r"^[$] llmarch (.+\.svg)$", page.read_text(), re.MULTILINE) for page in PAGES)
    with copied_examples() as directory:
        for command in sorted({command for commands in found for command in commands}):
            subprocess.run(
                [sys.executable, "-m", "llmarch_cli", *shlex.split(command)],
                check=True,
                cwd=directory,
                stdout=subprocess.DEVNULL,
            )
        for picture in directory.glob("*.svg"):
            shutil.copy(picture, DOCS / "figures")


if __name__ == "__main__":
    (DOCS / "commands.md").write_text(reference())
    (DOCS / "article.md").write_text(article())
    write_schema(specs_directory() / "schema.json")
    write_schema(chips_directory() / "schema.json", "chip")
    for of in ("budgets", "baseline"):
        write_schema(DOCS / f"{of}.schema.json", of)
    draw()
    for page in PAGES:
        page.write_text(listed(quoted(counted(refreshed(page.read_text())))))
