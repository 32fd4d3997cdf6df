"""Claims are measured anew each time, and one that has changed is told."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

import llmarch_cli as llmarch
from llmarch_cli.claims import claims
from llmarch_cli.claims.claims import Claim

BUNDLED = claims.read(claims.bundled())
ALL = [claim for section in BUNDLED.sections for claim in section.claims]


def claim(**fields: Any) -> Claim:
    return Claim.model_validate({"says": "something", "models": ["gpt2", "gpt2-xl"], "holds": "true", **fields})


@pytest.mark.parametrize("said", ALL, ids=lambda said: said.says)
def test_the_verdict_is_what_is_measured(said: Claim) -> None:
    finding = claims.measure(said, "closed-form")
    assert finding.confirmed
    assert finding.figures, "a claim shows its numbers"


SYSTEMS = {
    "DeepSeek V3 and R1": "deepseek-(v3|r1)",
    "OLMo 2": "olmo2-.*",
    "OLMo 3": "olmo3-.*",
    "Gemma 3": "gemma3-.*",
    "Mistral Small 3.1": "mistral-small-3.1-24b",
    "Llama 4": "llama4-.*",
    "Qwen3, dense": r"qwen3-[\d.]+b",
    "Qwen3, mixtures of experts": r"qwen3-(coder-)?\d+b-a\d+b",
    "SmolLM3": "smollm3-3b",
    "Kimi K2": "kimi-k2",
    "gpt-oss": "gpt-oss-.*",
    "Grok 2.5": "grok-2.5",
    "GLM-4.5": "glm-4.5(-air)?",
    "GPT-2": "gpt2.*",
    "Qwen3-Next and 3.5": r"qwen3-next-.*|qwen3\.5-.*",
    "Kimi Linear": "kimi-linear-.*",
    "MiniMax": "minimax-.*",
    "Nemotron": "nemotron-.*",
    "DeepSeek V3.2 and GLM-5": r"deepseek-v3\.2|glm-5",
    "DeepSeek V4": "deepseek-v4-.*",
    "Gemma 3n and 4": "gemma-(3n|4)-.*",
    "LongCat-Flash": "longcat-flash",
}


@pytest.mark.parametrize("system", SYSTEMS)
def test_there_are_claims_about_every_system(system: str) -> None:
    about = [said for said in ALL if re.fullmatch(SYSTEMS[system], said.models[0])]
    assert len(about) >= 4


def test_there_are_claims_of_every_verdict() -> None:
    assert len(ALL) >= 160
    assert sum(said.verdict == "does not hold" for said in ALL) >= 40
    assert {said.verdict for said in ALL} == {"holds", "holds with a remark", "does not hold"}
    assert BUNDLED.outside


def test_a_claim_that_has_changed() -> None:
    wrong = claims.measure(claim(holds="a.params > b.params"), "closed-form")
    assert not wrong.true
    assert not wrong.confirmed
    denied = claims.measure(claim(holds="a.params > b.params", verdict="does not hold", remark="so"), "closed-form")
    assert denied.confirmed


def test_figures_have_the_units_of_their_columns() -> None:
    shows = {
        "parameters": "b.params",
        "cache": "b.kv_cache_bytes@1k",
        "heads": "b.heads",
        "layers": "b.n_layers",
        "twice": "b.n_layers * 2",
        "larger": "b.params / a.params",
        "tied": "b.tie_embeddings",
        "full": "b.layers(attention.window == null)",
    }
    finding = claims.measure(claim(shows=shows), "closed-form")
    written = {name: unit.write(value) for name, value, unit in finding.figures}
    assert written == {
        "parameters": "1.56B",
        "cache": "300.00 MiB",
        "heads": "MHA 25 x 64",
        "layers": "48",
        "twice": "96",
        "larger": "12.5x",
        "tied": "yes",
        "full": "48",
    }


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"holds": "a.parms > 1"}, "did you mean params"),
        ({"holds": "c.params > 1"}, "names start with a. or b."),
        ({"holds": "params > 1"}, "names start with"),
        ({"holds": "a.params"}, "is not a condition"),
        ({"holds": "a.params >"}, "not an expression"),
        ({"holds": "a.count(index < 3) == 3"}, "known: layers"),
        ({"models": ["gpt3"]}, "unknown model"),
    ],
)
def test_what_cannot_be_measured(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(llmarch.InputError, match=message):
        claims.measure(claim(**fields), "closed-form")


SECTION = {"title": "A title", "source": "https://example.com"}
CLAIM = {"says": "something", "models": ["gpt2"], "holds": "true"}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "sections: required, but missing"),
        ({"sections": []}, "must have at least 1 entry"),
        ({"sections": [{**SECTION, "claims": [{**CLAIM, "verdict": "maybe"}]}]}, "verdict: must be"),
        ({"sections": [{**SECTION, "claims": [{**CLAIM, "verdit": "holds"}]}]}, "did you mean verdict"),
        ({"sections": [{**SECTION, "claims": [{**CLAIM, "remark": "but"}]}]}, "give a remark with every verdict"),
        (
            {"sections": [{**SECTION, "claims": [{**CLAIM, "verdict": "does not hold"}]}]},
            "give a remark with every verdict",
        ),
        ({"sections": [{**SECTION, "source": "javascript:alert(1)", "claims": [CLAIM]}]}, "a web address"),
    ],
)
def test_files_that_are_wrong(data: Any, message: str, tmp_path: Path) -> None:
    file = tmp_path / "claims.yaml"
    file.write_text(yaml.safe_dump(data))
    with pytest.raises(llmarch.InputError, match=message) as error:
        claims.read(file)
    assert str(file) in str(error.value)
