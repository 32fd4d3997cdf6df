import re
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from strategies import specs

from llmarch_cli.components.attention import Attention
from llmarch_cli.components.ffn import FeedForward
from llmarch_cli.models import load
from llmarch_cli.report.highlights import WIDTH, highlights, mechanisms, named
from llmarch_cli.specs.loading import names
from llmarch_cli.specs.spec import ModelSpec

CONCEPTS = Path(__file__).parents[2] / "docs" / "concepts"
KINDS = {str(get_args(kind.model_fields["kind"].annotation)[0]) for kind in get_args(Attention) + get_args(FeedForward)}

_meanings: dict[str, tuple[str, str | None]] = {}


def check(spec: ModelSpec) -> None:
    """A line that fits, and tags with one meaning each."""
    line = highlights(spec)
    assert line
    assert len(line) <= WIDTH
    assert line[0] == line[0].upper()
    found = named(spec)
    assert tuple(found) == mechanisms(spec)
    for tag, mechanism in found.items():
        assert tag == mechanism.tag
        assert re.fullmatch(r"[a-z0-9_]+", tag)
        assert len(mechanism.title) <= WIDTH
        meaning = (mechanism.title, mechanism.page)
        assert _meanings.setdefault(tag, meaning) == meaning
    for axis in ("attention", "ffn"):
        kinds = {str(getattr(component, "kind", "")) for component in spec.variants(axis).values()}
        assert kinds - {"gqa", ""} <= found.keys()  # which has a tag for each of its extremes


@pytest.mark.parametrize("name", names())
def test_every_bundled_model_has_a_line(name: str) -> None:
    check(load(name))


@given(specs())
def test_random_models_have_a_line_that_fits_and_tags_of_one_meaning(spec: ModelSpec) -> None:
    check(spec)


def test_every_page_is_there() -> None:
    pages = {mechanism.page for name in names() for mechanism in named(load(name)).values()} - {None}
    assert len(pages) > 12
    assert {page for page in pages if not (CONCEPTS / f"{page}.md").is_file()} == set()


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("deepseek-v3", "MLA, 256 experts (8 chosen) + 1 shared, MTP"),
        ("deepseek-v3.2", "MLA of 2,048 chosen tokens, 256 experts (8 chosen) + 1 shared, MTP"),
        ("deepseek-v4-flash", "Compressed rows, 256 experts (6 chosen) + 1 shared, 4 residual streams"),
        ("kimi-linear-48b-a3b", "KDA in 20 of 27 layers, MLA, 256 experts (8 chosen) + 1 shared, NoPE"),
        ("qwen3-next-80b-a3b", "Gated DeltaNet in 3 of 4 layers, 512 experts (10 chosen) + 1 shared, MTP"),
        ("nemotron-3-super-120b-a12b", "Mamba-2 in 5 of 11 layers, 512 latent experts (22 chosen) + 2 shared"),
        ("longcat-flash", "MLA, 512 experts + 256 zero (12 chosen) in 1 of 2 layers, shortcuts"),
        ("gemma3-27b", "Window of 1,024 in 5 of 6 layers, norms before and after, QK norm"),
        ("gemma-4-e2b", "Window of 512 in 4 of 5 layers, per-layer embeddings, shared caches"),
        ("gpt-oss-120b", "Window of 128 in 1 of 2 layers, 128 experts (4 chosen), attention sinks"),
        ("falcon-h1-0.5b", "Parallel mixers, Mamba-2, GQA 8:2"),
        ("gpt2", "Learned positions, LayerNorm, tied embeddings"),
        ("llama3-8b", "GQA 32:8, dense"),
    ],
)
def test_the_line_says_what_is_special(name: str, line: str) -> None:
    assert highlights(load(name)) == line


@pytest.mark.parametrize(
    ("name", "tags"),
    [
        ("llama3-8b", "gqa dense"),
        ("gpt2", "learned_positions layer_norm tied mha qkv_bias ungated dense"),
        ("gemma3-1b", "window sandwich_norm mqa qk_norm tied dense"),
        ("deepseek-v3", "mla moe mtp shared_expert group_routing dense"),
        ("glm-5", "mla moe mtp indexer shared_expert dense"),
        ("gpt-oss-20b", "window moe sinks gqa qkv_bias"),
        ("minimax-m3", "block_sparse moe qk_norm indexer shared_expert gqa partial_rope dense"),
        ("kimi-linear-48b-a3b", "kda mla moe hybrid shared_expert nope dense"),
        ("falcon-h1-0.5b", "parallel mamba2 hybrid gqa dense"),
        ("longcat-flash", "mla moe shortcut zero_experts dense"),
        ("deepseek-v4-flash", "compressed window moe hyper_connections sinks shared_expert indexer hash_routing"),
        (
            "gemma-4-e2b",
            "window per_layer_embedding shared_cache sandwich_norm logit_softcap mqa qk_norm layer_scale tied"
            " partial_rope dense",
        ),
    ],
)
def test_tags_of_models(name: str, tags: str) -> None:
    assert mechanisms(load(name)) == tuple(tags.split())


def test_positions_of_the_model_are_positions() -> None:
    assert "nope" in mechanisms(load("smollm3-3b"))
    assert "nope" not in mechanisms(load("gpt2"))


def test_kinds_are_tags() -> None:
    told = {tag for name in names() for tag in mechanisms(load(name))}
    assert "gated_deltanet" in KINDS
    assert KINDS - told <= {"gqa", "mamba", "rwkv4", "channel_mixing", "shared_block"}  # of no bundled model


def test_layers_without_attention_and_widths_that_vary() -> None:
    full = load("llama3-8b")
    dense = full.ffn.model_dump()
    uneven = ModelSpec.model_validate(
        full.model_dump()
        | {
            "n_layers": 4,
            "attention": {"repeat": ["full", "none"], "variants": {"full": full.attention.model_dump()}},
            "ffn": {"repeat": list("abca"), "variants": {name: dense | {"d_ff": ord(name)} for name in "abc"}},
        }
    )
    assert highlights(uneven) == "No attention in 2 of 4 layers, 3 feed-forward widths, GQA 32:8"
    assert {"skipped_attention", "varied_widths"} <= set(mechanisms(uneven))
    assert "skipped_attention" not in mechanisms(load("nemotron-h-56b"))
