"""Write what follows from the code: command reference, schemas, article, and what pages show of pictures and outputs.

`make docs` runs it.
Tests hold them current.
"""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

from typer import Typer

from llmarch_cli.claims import claims
from llmarch_cli.cli.app import COMMANDS
from llmarch_cli.schema import write_schema
from llmarch_cli.specs.loading import names, specs_directory

DOCS = Path(__file__).parent
PAGES = (DOCS.parent / "README.md", *sorted(DOCS.rglob("*.md")))
WIDTH = "100"

PREFACE = """\
# Commands

<!-- Written by `make docs` from `--help`. -->

`llmarch COMMAND --help` prints what stands here. Results go to standard output and nothing else does; diagnostics go to
standard error. Exit status: 0 fine, 1 a check failed, 2 bad input, 70 a bug, 71 no memory
or library, 130 interrupted.
"""


ARTICLE = """\
# The article, checked

<!-- Written by `make docs` from `docs/claims.yaml`, with `llmarch claims --format markdown`. -->

Architecture comparisons make many statements about these models. Here are those that can be measured, in our words,
each with what this tool measures. [`docs/claims.yaml`](claims.yaml) holds them with the expression behind each verdict;
`llmarch claims` measures them again, and fails where one has changed.
"""


def printed(*arguments: str) -> str:
    """What a command prints, without styles and at a fixed width."""
    environment = {**os.environ, "COLUMNS": WIDTH, "TERMINAL_WIDTH": WIDTH, "NO_COLOR": "1", "TERM": "dumb"}
    run = subprocess.run(
        [sys.executable, "-m", "llmarch_cli", *arguments],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    return "\n".join(line.rstrip() for line in run.stdout.splitlines()).strip("\n")


def reference() -> str:
    """The page, as it should be."""
    sections = [PREFACE, f"```text\n{printed('--help')}\n```\n"]
    sections += [f"## {' '.join(words)}\n\n```text\n{printed(*words, '--help')}\n```\n" for words in _commands()]
    return "\n".join(sections)


def _commands() -> Iterator[tuple[str, ...]]:
    """Every command's words, those of groups after their group's."""
    for name, _, command, _ in COMMANDS:
        yield (name,)
        if isinstance(command, Typer):
            yield from ((name, str(each.name)) for each in command.registered_commands)


def article() -> str:
    """The page of claims, as it should be."""
    claimed = printed("claims", "--engine", "closed-form", "--format", "markdown")
    linked = re.sub(r"(?<= )(https://\S+)", r"<\1>", claimed)
    return f"{ARTICLE}\n{linked}\n"


def refreshed(page: str) -> str:
    """A page with the outputs that it shows as they are now: of commands that stand alone in their block."""

    def block(match: re.Match[str]) -> str:
        command, output = match.groups()
        if not output.strip() or re.search("^[$] ", output, re.MULTILINE):
            return match[0]
        return f"```console\n$ llmarch {command}\n{printed(*shlex.split(command))}\n```"

    return re.sub(r"^```console\n[$] llmarch (.*?)\n(.*?)\n?```", block, page, flags=re.MULTILINE | re.DOTALL)


def counted(page: str) -> str:
    """A page with the numbers of what there is as they are now."""
    page = re.sub(r"\d+(?= published architectures)", str(len(names())), page)
    n_claims = sum(len(section.claims) for section in claims.read(claims.bundled()).sections)
    return re.sub(r"\d+(?= statements\]\(docs/article\.md\))", str(n_claims), page)


def quoted(page: str) -> str:
    """A page with the code that it quotes as it stands in the package: an object, or a statement inside it."""

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


def draw() -> None:
    """Draw the pictures of all pages, each with the command that its page shows for it."""
    found = (re.findall(r"^[$] llmarch (.+\.svg)$", page.read_text(), re.MULTILINE) for page in PAGES)
    for command in sorted({command for commands in found for command in commands}):
        subprocess.run(
            [sys.executable, "-m", "llmarch_cli", *shlex.split(command)],
            check=True,
            cwd=DOCS / "figures",
            stdout=subprocess.DEVNULL,
        )


if __name__ == "__main__":
    (DOCS / "commands.md").write_text(reference())
    (DOCS / "article.md").write_text(article())
    write_schema(specs_directory() / "schema.json")
    for of in ("budgets", "baseline"):
        write_schema(DOCS / f"{of}.schema.json", of)
    draw()
    for page in PAGES:
        page.write_text(quoted(counted(refreshed(page.read_text()))))
