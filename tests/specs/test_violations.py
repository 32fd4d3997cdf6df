"""The message for each rule of a spec."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Annotated, Any, get_args

import pytest
from pydantic import Field, ValidationError

from llmarch_cli.components.attention import Attention
from llmarch_cli.components.ffn import FeedForward
from llmarch_cli.components.record import Record
from llmarch_cli.errors import InputError
from llmarch_cli.specs import violations
from llmarch_cli.specs.loading import validated
from llmarch_cli.specs.spec import ModelSpec


def kinds(union: Any) -> list[str]:
    return [get_args(member.model_fields["kind"].annotation)[0] for member in get_args(union)]


GQA = {"kind": "gqa", "n_heads": 4, "n_kv_heads": 2, "head_dim": 8}
DENSE = {"kind": "dense", "d_ff": 32}
MOE = {"kind": "moe", "n_experts": 8, "top_k": 2, "d_ff": 16}
ROTATED = {**GQA, "rope_theta": 1e4}
ATTENTION, FFN = ", ".join(kinds(Attention)), ", ".join(kinds(FeedForward))
TINY = {"name": "tiny", "d_model": 16, "n_layers": 4, "vocab_size": 100, "attention": GQA, "ffn": DENSE}


def message(**fields: Any) -> str:
    with pytest.raises(InputError) as caught:
        validated(TINY | fields, "here")
    lines = str(caught.value).splitlines()
    assert all(line.startswith("here: ") for line in lines)
    return " | ".join(line.removeprefix("here: ") for line in lines)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        # whole numbers
        ({"d_model": "1e6"}, "d_model: must be a whole number, not '1e6'; YAML reads this as text: write 1_000_000"),
        ({"d_model": "7168"}, "d_model: must be a whole number, not '7168'; YAML reads this as text: write 7_168"),
        ({"d_model": "wide"}, "d_model: must be a whole number, not 'wide'"),
        ({"d_model": "1.5"}, "d_model: must be a whole number, not '1.5'"),
        ({"d_model": "inf"}, "d_model: must be a whole number, not 'inf'"),
        ({"d_model": "1e300"}, "d_model: must be a whole number, not '1e300'"),
        ({"d_model": 7168.0}, "d_model: must be a whole number, not 7168.0"),
        ({"d_model": True}, "d_model: must be a whole number, not true"),
        ({"d_model": None}, "d_model: must be a whole number, not null"),
        ({"d_model": [1]}, "d_model: must be a whole number, not a list"),
        ({"d_model": {"a": 1}}, "d_model: must be a whole number, not a mapping"),
        ({"d_model": dt.date(2024, 1, 2)}, "d_model: must be a whole number, not 2024-01-02"),
        ({"d_model": float("nan")}, "d_model: must be a whole number, not nan"),
        ({"d_model": 0}, "d_model: must be above 0, not 0"),
        ({"d_model": -5}, "d_model: must be above 0, not -5"),
        ({"d_model": 2**20 + 1}, "d_model: must be at most 1,048,576, not 1048577"),
        ({"d_model": 10**39}, f"d_model: must be at most 1,048,576, not 1{'0' * 39}"),
        ({"n_mtp_blocks": -1}, "n_mtp_blocks: must be at least 0, not -1"),
        ({"attention": {**ROTATED, "rotary_dim": 3}}, "attention.rotary_dim: must be a multiple of 2, not 3"),
        # numbers
        ({"logit_scale": "1e-5"}, "logit_scale: must be a number, not '1e-5'; YAML reads this as text: write 1.0e-05"),
        ({"logit_scale": "2"}, "logit_scale: must be a number, not '2'; YAML reads this as text: write 2.0"),
        ({"logit_scale": "nan"}, "logit_scale: must be a number, not 'nan'"),
        ({"logit_scale": float("inf")}, "logit_scale: must be a finite number, not inf"),
        ({"logit_scale": float("nan")}, "logit_scale: must be a finite number, not nan"),
        ({"logit_scale": False}, "logit_scale: must be a number, not false"),
        ({"logit_scale": 0}, "logit_scale: must be at least 1e-30, not 0"),
        ({"logit_scale": 1e31}, "logit_scale: must be at most 1e+30, not 1e+31"),
        ({"attention": {**GQA, "rope_theta": 1}}, "attention.rope_theta: must be above 1, not 1"),
        # one of several types: one line
        ({"embedding_scale": "sqrt"}, "embedding_scale: must be a number or sqrt_d_model, not 'sqrt'"),
        ({"embedding_scale": -1}, "embedding_scale: must be at least 1e-30 or sqrt_d_model, not -1"),
        ({"embedding_scale": [1]}, "embedding_scale: must be a number or sqrt_d_model, not a list"),
        # words, texts, dates
        ({"tie_embeddings": "yes"}, "tie_embeddings: must be true or false, not 'yes'"),
        ({"tie_embeddings": 1}, "tie_embeddings: must be true or false, not 1"),
        (
            {"norm_placement": "both"},
            "norm_placement: must be pre, post, sandwich, pre_shared or post_residual, not 'both'",
        ),
        (
            {"norm_placement": {"gqa": "both"}},
            "norm_placement.gqa: must be pre, post, sandwich, pre_shared or post_residual, not 'both'",
        ),
        (
            {"norm_placement": {"Gqa": "pre"}},
            "norm_placement.Gqa: must be a name of lowercase letters, digits and _ that starts with a letter,"
            " not 'Gqa'",
        ),
        (
            {"norm_placement": None},
            "norm_placement: must be pre, post, sandwich, pre_shared or post_residual, not null",
        ),
        ({"name": 3}, "name: must be text, not 3"),
        ({"name": ""}, "name: must be one line of text, not ''"),
        ({"name": "a\nb"}, "name: must be one line of text, not 'a\\nb'"),
        ({"name": "\x1b[31m"}, "name: must be one line of text, not '\\x1b[31m'"),
        ({"name": "\ud800"}, "name: must be text, not '\\ud800'"),
        ({"name": "x" * 300}, f"name: must be at most 200 characters long, not '{'x' * 59}...'"),
        ({"source": "hf.co/x"}, "source: must be a web address such as https://example.com/config.json, not 'hf.co/x'"),
        ({"released": "2024-12"}, "released: must be a date written YYYY-MM-DD, without quotes, not '2024-12'"),
        ({"released": 20241226}, "released: must be a date written YYYY-MM-DD, without quotes, not 20241226"),
        # records, and unknown fields at every depth
        ({"norm": 3}, "norm: must be a mapping, not 3"),
        ({"published": []}, "published: must be a mapping, not a list"),
        ({"attention": "gqa"}, "attention: must be a mapping, not 'gqa'"),
        ({"attention": {**ROTATED, "rope_scaling": 8}}, "attention.rope_scaling: must be a mapping, not 8"),
        ({"dmodel": 3}, "dmodel: unknown field; did you mean d_model?"),
        ({"norm": {"epz": 1}}, "norm.epz: unknown field; did you mean eps?"),
        ({"published": {"x": 1}}, "published.x: unknown field; known: params, params_convention, active_params, …"),
        (
            {"attention": {**GQA, "n_head": 1}},
            "attention.n_head: unknown field; did you mean n_heads or n_kv_heads or v_head_dim?",
        ),
        ({"attention": {**GQA, "gqa": 1}}, "attention.gqa: unknown field; known: …"),
        ({"attention": {**GQA, "component": 1}}, "attention.component: unknown field; known: …"),
        ({"attention": {**GQA, "layout": {}}}, "attention.layout: unknown field; known: …"),
        ({"attention": {**GQA, "variants": {}}}, "attention.variants: unknown field; known: …"),
        ({"attention": {**GQA, "\x1b[31m": 1}}, "attention.'\\x1b[31m': unknown field; known: …"),
        ({"x" * 300: 1}, f"'{'x' * 59}...': unknown field; known: name, …"),
        (
            {"ffn": {**MOE, "shared_expert": {**DENSE, "dff": 1}}},
            "ffn.shared_expert.dff: unknown field; did you mean d_ff?",
        ),
        ({"ffn": {**MOE, "shared_expert": {**DENSE, "dense": 1}}}, "ffn.shared_expert.dense: unknown field; known: …"),
        # kinds
        ({"attention": {"kind": "qga"}}, f"attention.kind: unknown kind 'qga'; known: {ATTENTION}; did you mean gqa?"),
        ({"attention": {"kind": None}}, f"attention.kind: unknown kind null; known: {ATTENTION}"),
        ({"attention": {"kind": ["x"]}}, f"attention.kind: unknown kind a list; known: {ATTENTION}"),
        (
            {"attention": {}},
            f"attention.kind: required, but missing; known: {ATTENTION}; or give variants and a pattern of them",
        ),
        ({"ffn": {"kind": "gqa"}}, f"ffn.kind: unknown kind 'gqa'; known: {FFN}"),
        (
            {"attention": {**ROTATED, "rope_scaling": {}}},
            "attention.rope_scaling.kind: required, but missing; known: linear, dynamic_ntk, stepped_ntk, ntk_by_parts,"
            " yarn, longrope",
        ),
        (
            {"attention": {**ROTATED, "rope_scaling": {"kind": "yarn"}}},
            "attention.rope_scaling.factor: required, but missing"
            " | attention.rope_scaling.original_context_length: required, but missing",
        ),
        (
            {"attention": {**GQA, "temperature": {"kind": "log"}}},
            "attention.temperature.kind: unknown kind 'log'; known: log_floor, log_ratio…",
        ),
        (
            {"ffn": {**MOE, "shared_expert": {**MOE}}},
            "ffn.shared_expert.kind: must be dense, not 'moe' | ffn.shared_expert.n_experts: unknown field; known: …",
        ),
        # layouts
        ({"attention": {"variants": 3}}, "attention.variants: must be a mapping, not 3"),
        (
            {"attention": {"variants": {}}},
            "attention: first and last name only 0 of 4 layers; give repeat for the others",
        ),
        ({"attention": {"repeat": [3], "variants": {"a": GQA}}}, "attention.repeat.0: must be text, not 3"),
        ({"attention": {"repeat": ["a"], "variants": {"a": 3}}}, "attention.variants.a: must be a mapping, not 3"),
        (
            {"attention": {"repeat": ["a"], "variants": {"a": {}}}},
            f"attention.variants.a.kind: required, but missing; known: {ATTENTION}",
        ),
        (
            {"attention": {"repeat": ["gqa"], "variants": {"gqa": {**GQA, "gqa": 1}}}},
            "attention.variants.gqa.gqa: unknown field; known: …",
        ),
        (
            {"attention": {"repeat": ["layout"], "variants": {"layout": {**GQA, "n_heads": "x"}}}},
            "attention.variants.layout.n_heads: must be a whole number, not 'x'",
        ),
        (
            {"attention": {"repeat": ["A"], "variants": {"A": GQA}}},
            "attention.repeat.0: must be a name of lowercase letters, digits and _ that starts with a letter, not 'A'"
            " | attention.variants.A: must be a name of lowercase letters, …",
        ),
        (
            {"attention": {"repeat": ["none"], "variants": {"none": GQA}}},
            "attention.variants.none: 'none' is reserved for layers without this sublayer; rename the variant",
        ),
        (
            {"attention": {"repeat": ["a", "none"], "variants": {"a": GQA}}}
            | {"ffn": {"repeat": ["a", "none"], "variants": {"a": DENSE}}},
            "layer 1 has neither attention nor ffn; give it a variant of one of them",
        ),
        (
            {"attention": {"variants": {"a": GQA}}},
            "attention.variants.a: unused variant; name it in first, repeat or last, or remove it",
        ),
        (
            {"attention": {"repeat": ["a"], "variants": {"a": GQA, "B": {}}}},
            "attention.variants.B: must be a name of lowercase letters, digits and _ that starts with a letter, not 'B'"
            f" | attention.variants.B.kind: required, but missing; known: {ATTENTION}",
        ),
        # parallel branches
        ({"ffn": {"kind": "parallel", "branches": {"a": DENSE}}}, "ffn.branches: must have at least 2 entries, not 1"),
        (
            {"ffn": {"kind": "parallel", "branches": {"dense": {"kind": "dense"}, "moe": 3}}},
            "ffn.branches.moe: must be a mapping, not 3 | ffn.branches.dense.d_ff: required, but missing",
        ),
        (
            {"ffn": {"kind": "parallel", "branches": {"dense": {**MOE, "dense": 3}, "moe": DENSE}}},
            "ffn.branches.dense.dense: unknown field; known: …",
        ),
        (
            {"ffn": {"kind": "parallel", "branches": {"a": DENSE, "b": {"kind": "parallel"}}}},
            "ffn.branches.b.kind: unknown kind 'parallel'; known: dense, moe",
        ),
    ],
)
def test_rules(fields: dict[str, Any], expected: str) -> None:
    said = message(**fields)
    beginning, more, _ = expected.partition("…")
    assert said.startswith(beginning) if more else said == expected


def test_a_constraint_without_words_of_its_own_is_told_in_pydantics() -> None:
    class Kept(Record):
        n: Annotated[int, Field(lt=5)]

    with pytest.raises(ValidationError) as caught:
        Kept(n=7)
    assert violations.explain(caught.value, {"n": 7}, "here") == "here: n: must be less than 5, not 7"


def test_every_pattern_has_words() -> None:
    assert set(patterns(ModelSpec.model_json_schema())) == set(violations._PATTERNS)


def patterns(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        yield from (schema[name] for name in ("pattern",) if name in schema)
        yield from schema.get("patternProperties", ())
    inner = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ()
    for each in inner:
        yield from patterns(each)
