import re

from llmarch_cli import api
from llmarch_cli.report import units
from llmarch_cli.report.formats import markdown
from llmarch_cli.report.table import Column, Table


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_every_line_has_a_cell_for_each_column() -> None:
    for n_models in (2, 3, 5):
        models = ["deepseek-v3", "gpt2", "gemma3-1b", "glm-4.5", "kimi-k2"][:n_models]
        text = markdown.render([api.compare(models, engine="closed-form")])
        lines = [cells(line) for line in text.splitlines() if line.startswith("|")]
        assert len({len(line) for line in lines}) == 1
        assert set("".join(lines[1])) <= {"-", ":"}


def test_two_models_stand_in_columns_and_more_in_rows() -> None:
    table = api.compare(["gpt2", "llama3-8b"], engine="closed-form")
    assert cells(markdown.render([table]).splitlines()[0]) == ["", "gpt2", "llama3-8b", "ratio"]
    table = api.compare(["gpt2", "gpt2-xl", "gemma3-1b", "kimi-k2"], engine="closed-form", columns=["params"])
    assert cells(markdown.render([table]).splitlines()[0]) == ["model", "parameters"]
    assert markdown.render([table]).splitlines()[1] == "| --- | ---: |"


def test_figures_are_rounded_unless_exact() -> None:
    table = api.compare(["gpt2"], engine="closed-form", columns=["params", "kv_cache_bytes"], context=1024)
    assert "| parameters | 124.44M |" in markdown.render([table])
    assert "| parameters | 124,439,808 |" in markdown.render([table], exact=True)
    assert "| KV cache, bytes | 37,748,736 |" in markdown.render([table], exact=True)


def test_a_table_without_rows_is_its_notes() -> None:
    table = Table("models", (Column("model", "model", units.TEXT),), (), notes=("None.", "At all."))
    assert markdown.render([table]) == "None.\n\nAt all.\n"


def test_hostile_text_stays_in_its_cell() -> None:
    hostile = "a|b\n| c <script> [x](y) `z` *w*"
    table = Table("models", (Column("model", "model", units.TEXT),), ({"model": hostile},), title=hostile)
    lines = markdown.render([table]).splitlines()
    assert cells(lines[-1]) == [r"a\|b \| c \<script\> \[x\](y) \`z\` \*w\*"]
    assert lines[0].startswith("### a")
    assert len(lines) == 5


def test_notes_follow_the_table() -> None:
    text = markdown.render([api.compare(["gpt2"], engine="closed-form")])
    assert "\n\n131,072 tokens of context, batch 1, bf16 cache.\n" in text
