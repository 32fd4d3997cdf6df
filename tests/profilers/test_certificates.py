"""Certificates: the points suffice, errors are caught, and nothing that is not a certificate is believed."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import specs

import llmarch_cli
from llmarch_cli import load
from llmarch_cli.components.attention.gqa import GroupedQueryAttention
from llmarch_cli.components.attention.mla import MultiHeadLatentAttention
from llmarch_cli.components.cache import FULL, Mixing, Rows, View
from llmarch_cli.components.component import views
from llmarch_cli.deployment import loads  # noqa: F401  (before the closed form is made wrong: it keeps what it imports)
from llmarch_cli.errors import CheckError
from llmarch_cli.profilers import certificates, closed_form, lines, verification  # noqa: F401  (as loads)
from llmarch_cli.profilers import profile as profiling
from llmarch_cli.profilers.certificates import Certificate, contexts_of, find, keep, keep_extended, key
from llmarch_cli.profilers.cost import COST_FIELDS, Cost, Workload
from llmarch_cli.profilers.profile import certify, costs_of, profile
from llmarch_cli.specs import kept, sources
from llmarch_cli.specs.checked import built, plain
from llmarch_cli.specs.spec import ModelSpec

Run = Callable[..., Any]
GIVEN = Certificate(dt.date(2026, 1, 2), "2.13.0", 12, (1024,), ("native",))


@pytest.fixture(autouse=True)
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the user, and no bundled certificates."""
    monkeypatch.setenv("LLMARCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(certificates, "_bundled", dict)
    return tmp_path / "cache" / "certificates"


# --- the argument ---------------------------------------------------------------------------------------------------


def rank(rows: list[list[int]]) -> int:
    """The rank of a matrix, exactly."""
    found, left = 0, [[Fraction(value) for value in row] for row in rows]
    for column in range(len(rows[0])):
        pivot = next((row for row in left if row[column]), None)
        if pivot is None:
            continue
        found += 1
        left.remove(pivot)
        left = [
            [value - row[column] / pivot[column] * by for value, by in zip(row, pivot, strict=True)] for row in left
        ]
    return found


@settings(max_examples=60)
@given(specs())
def test_the_points_determine_every_cost_in_each_piece(spec: ModelSpec) -> None:
    """A cost is a combination of 1, the context, and the rows of each stride: as many points tell it from others."""
    for item in spec.inventory():
        seen = set(views(item.component))
        points = contexts_of(item.component)
        starts = sorted({1, *(view.span + 1 for view in seen if view.span is not None)})
        strides = sorted({view.stride for view in seen})
        for start, end in zip(starts, [*(each - 1 for each in starts[1:]), None], strict=True):
            inside = [point for point in points if start <= point and (end is None or point <= end)]
            if end is not None and end - start < 8:
                assert inside == list(range(start, end + 1))
                continue
            longest = max(strides, default=1)
            if end is None or end - start > 3 * longest:
                rows = [[1, point, *(point // stride for stride in strides if stride > 1)] for point in inside]
                assert rank(rows) == len(rows[0])


@settings(max_examples=25)
@given(specs(), st.integers(1, 3000), st.integers(1, 7))
def test_what_is_certified_agrees_everywhere(spec: ModelSpec, context: int, batch: int) -> None:
    assert certify(spec, Workload()) is not None
    items = list(spec.inventory())
    workload = Workload(context, batch)
    assert costs_of(spec, items, workload, "measured") == costs_of(spec, items, workload, "closed-form")


def small(name: str = "gemma3-1b", **changes: Any) -> ModelSpec:
    return llmarch_cli.changed(load(name), {"n_layers": 6, **changes})


def _off(field: str, when: Callable[[Workload], bool] = lambda workload: True, by: int = 1) -> Callable[..., Cost]:
    """The closed form with an error in one figure."""
    right = closed_form.component_cost

    def wrong(component: Any, spec: ModelSpec, workload: Workload, *more: Any) -> Cost:
        found = right(component, spec, workload, *more)
        value = getattr(found, field)
        return found._replace(**{field: value + by}) if value and when(workload) else found

    return wrong


CLOSED_FORM = {
    **{
        name: (name, lambda workload: True, 1)
        for name in COST_FIELDS
        if name not in ("buffers", "index_bytes", "partial_bytes", "state_bytes")
    },
    "a window that is one too long": ("kv_cache_bytes", lambda workload: workload.context > 512, 256),
    "growth behind a window": ("flops_per_token", lambda workload: workload.context > 513, 2),
    "the first token": ("flops_per_token", lambda workload: workload.context == 1, 1),
    "several sequences": ("kv_fixed_bytes", lambda workload: workload.batch > 1, 1),
}


@pytest.mark.parametrize("error", CLOSED_FORM)
def test_errors_in_the_closed_form_are_caught(error: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = small()
    assert certify(spec, Workload()) is not None
    monkeypatch.setattr(closed_form, "component_cost", _off(*CLOSED_FORM[error]))
    with pytest.raises(CheckError, match="the engines disagree on"):
        certify(spec, Workload())


def _mixing(flops: int, view: View = FULL) -> Callable[[Any], Iterator[Mixing]]:
    def mixing(self: Any) -> Iterator[Mixing]:
        yield Mixing(flops * self.n_heads, view)

    return mixing


def _cache(*names: str, width: int = 1, view: View = FULL) -> Callable[[Any], Iterator[Rows]]:
    def cache(self: Any) -> Iterator[Rows]:
        for name in names:
            yield Rows(name, width * self.n_kv_heads * self.head_dim, view)

    return cache


def _without(name: str) -> Callable[[type], Callable[[Any, int], Any]]:
    def changed(kind: type) -> Callable[[Any, int], Any]:
        right = kind.parts  # type: ignore[attr-defined]
        return lambda self, d_model: (part for part in right(self, d_model) if part.name != name)

    return changed


# What a kind says of itself, and what its modules then do not do.
KINDS: dict[str, tuple[str, type, str, Any]] = {
    "half of the scores": ("gemma3-1b", GroupedQueryAttention, "mixing", _mixing(512)),
    "scores of a window in all layers": ("llama3.2-1b", GroupedQueryAttention, "mixing", _mixing(256, View(span=64))),
    "one row more": ("llama3.2-1b", GroupedQueryAttention, "mixing", _mixing(257)),
    "no scores": ("llama3.2-1b", GroupedQueryAttention, "mixing", lambda self: iter(())),
    "keys without values": ("llama3.2-1b", GroupedQueryAttention, "cache", _cache("k")),
    "wide keys": ("llama3.2-1b", GroupedQueryAttention, "cache", _cache("k", "v", width=2)),
    "no cache": ("llama3.2-1b", GroupedQueryAttention, "cache", lambda self: iter(())),
    "latents expanded": ("deepseek-v2-lite", MultiHeadLatentAttention, "mixing", _mixing(1000)),
    "no window": ("gemma3-1b", GroupedQueryAttention, "cache", _cache("k", "v")),
    "no scores of latents": ("deepseek-v2-lite", MultiHeadLatentAttention, "mixing", lambda self: iter(())),
}


@pytest.mark.parametrize("error", KINDS)
def test_errors_in_a_kind_are_caught(error: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, kind, attribute, wrong = KINDS[error]
    spec = load(name)
    monkeypatch.setattr(kind, attribute, wrong)
    with pytest.raises(Exception) as caught:  # noqa: PT011  (modules that do not run are caught too)
        certify(spec, Workload())
    assert not isinstance(caught.value, AssertionError)


# --- what is believed -----------------------------------------------------------------------------------------------


def test_one_is_found_again_and_by_no_other_spec_or_format(empty: Path) -> None:
    spec, workload = load("gpt2"), Workload()
    assert find(spec, workload) is None
    keep(spec, workload, GIVEN)
    assert find(spec, workload) == GIVEN
    assert find(spec, Workload(77, batch=9, weights="q8_0", prompt=5)) == GIVEN  # not what it depends on
    renamed = spec.model_copy(update={"name": "other", "license": None})
    assert find(renamed, workload) == GIVEN
    assert find(llmarch_cli.changed(spec, {"n_layers": 11}), workload) is None
    assert find(spec, Workload(kv_dtype="fp8")) is None
    assert find(spec, Workload(state_dtype="bf16")) is None
    (file,) = empty.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


def test_other_sources_or_another_version_make_it_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = load("gpt2")
    keep(spec, Workload(), GIVEN)
    monkeypatch.setattr(sources, "digest", lambda: "other")
    assert find(spec, Workload()) is None


class Wrong(GroupedQueryAttention):
    """A user's own kind, with the name of one of this package."""

    def mixing(self) -> Iterator[Mixing]:
        yield Mixing(1)


Wrong.__name__ = Wrong.__qualname__ = "GroupedQueryAttention"


def test_a_record_of_another_package_is_measured_each_time(empty: Path) -> None:
    """No digest covers its code. Nor does it take the place of one of this package."""
    spec = load("llama3.2-1b")
    keep(spec, Workload(), GIVEN)
    own = spec.model_copy(update={"attention": Wrong.model_construct(**vars(spec.attention))})
    with pytest.raises(TypeError):
        key(own, Workload())
    assert find(own, Workload()) is None
    keep(own, Workload(), GIVEN)
    assert len(list(empty.iterdir())) == 1
    with pytest.raises(CheckError):
        profile(own, Workload(64), "auto")
    assert type(built(plain(spec)).attention) is GroupedQueryAttention


FORGED = {
    "nothing": b"",
    "half": b'{"key": ',
    "a list": b"[]",
    "another key": json.dumps({"key": "0" * 64, **GIVEN.data()}).encode(),
    "no key": json.dumps(GIVEN.data()).encode(),
    "no date": b'{"key": "KEY", "torch": "2", "points": 1, "prompts": [], "weights": []}',
    "no such day": json.dumps({"key": "KEY", **GIVEN.data(), "date": "2026-02-30"}).encode(),
    "no points": json.dumps({"key": "KEY", **GIVEN.data(), "points": 0}).encode(),
    "points that are none": json.dumps({"key": "KEY", **GIVEN.data(), "points": True}).encode(),
    "a prompt in words": json.dumps({"key": "KEY", **GIVEN.data(), "prompts": ["all"]}).encode(),
    "an escape code": json.dumps({"key": "KEY", **GIVEN.data(), "torch": "\x1b[2J"}).encode(),
    "a long text": json.dumps({"key": "KEY", **GIVEN.data(), "torch": "2" * 100}).encode(),
    "code": b'__import__("os").system("true")',
    "a deep nest": b"[" * 100_000,
    "bytes": bytes(range(256)) * 4,
}


@pytest.mark.parametrize("forged", FORGED)
def test_what_is_no_certificate_is_not_believed(forged: str, empty: Path) -> None:
    spec = load("gpt2")
    keep(spec, Workload(), GIVEN)
    (file,) = empty.iterdir()
    data = FORGED[forged].replace(b"KEY", file.stem.encode())
    file.write_bytes(data)
    assert find(spec, Workload()) is None
    if data.startswith(b"{") and data.endswith(b"}"):
        file.write_bytes(kept.sealed(json.loads(data)))
    assert find(spec, Workload()) is None
    found = profile(small("gpt2"), Workload(64), "auto")
    assert found.engine == "measured"


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="no owners")
def test_what_others_can_write_is_not_believed(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = load("gpt2")
    keep(spec, Workload(), GIVEN)
    (file,) = empty.iterdir()
    for mode in (0o620, 0o602, 0o666):
        file.chmod(mode)
        assert find(spec, Workload()) is None
    file.chmod(0o600)
    assert find(spec, Workload()) == GIVEN
    monkeypatch.setattr(os, "getuid", lambda: file.stat().st_uid + 1)
    assert find(spec, Workload()) is None


def test_a_directory_in_its_place_and_one_that_is_full_or_read_only(
    empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = small("gpt2")
    empty.parent.mkdir(exist_ok=True)
    empty.write_text("a file")  # no directory can be made there
    assert profile(spec, Workload(64), "auto").engine == "measured"
    empty.unlink()
    (empty / f"{key(spec, Workload())}.json").mkdir(parents=True)
    assert profile(spec, Workload(64), "auto").engine == "measured"

    def full(path: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    other = small("gpt2", vocab_size=1000)
    assert profile(other, Workload(64), "auto").engine == "measured"
    assert find(other, Workload()) is None
    assert len(list(empty.iterdir())) == 1


def test_old_ones_make_room(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MOST_FILES", 3)
    several = [small("gpt2", vocab_size=size) for size in range(100, 500, 100)]
    for age, spec in enumerate(several):
        keep(spec, Workload(), GIVEN)
        path = empty / f"{key(spec, Workload())}.json"
        os.utime(path, (1_000_000 + age, 1_000_000 + age))
    monkeypatch.setattr(kept, "_written", Counter())  # another command
    keep(several[-1], Workload(), GIVEN)
    assert [find(spec, Workload()) is not None for spec in several] == [False, True, True, True]


# --- what is answered -----------------------------------------------------------------------------------------------


def test_the_first_answer_is_measured_and_the_next_is_the_same() -> None:
    spec = small()
    first = profile(spec, Workload(700), "auto")
    assert (first.engine, first.certificate is not None) == ("measured", True)
    for workload in (Workload(700), Workload(5000, batch=7)):
        second, measured = profile(spec, workload, "auto"), profile(spec, workload, "measured")
        assert second.engine == "closed-form"
        assert second.certificate is not None
        assert second.rows == measured.rows
    assert profile(spec, Workload(700), "measured").engine == "measured"
    assert profile(spec, Workload(700), "closed-form").certificate is None


def test_prompts_and_formats_that_were_not_compared_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    from llmarch_cli.profilers import measured, prompts

    spec = small()
    profile(spec, Workload(), "auto")
    ran: list[str] = []

    def noted(what: str, right: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any) -> Any:
            ran.append(what)
            return right(*args)

        return run

    monkeypatch.setattr(prompts, "measure", noted("prompt", prompts.measure))
    monkeypatch.setattr(measured, "stored_places", noted("weights", measured.stored_places))

    def asked(**workload: Any) -> list[str]:
        ran.clear()
        found = profile(spec, Workload(64, **workload), "auto")
        assert found.engine == "closed-form"
        assert found.prefill_flops == profile(spec, found.workload, "closed-form").prefill_flops
        assert found.weight_bytes == profile(spec, found.workload, "closed-form").weight_bytes
        return list(ran)

    assert asked() == ["prompt"]
    assert asked() == []  # it was compared just now
    assert asked(prompt=65) == ["prompt"]
    assert asked(prompt=65, prefix=3) == ["prompt"]
    assert asked(prompt=65, prefix=3) == ["prompt"]  # no certificate is for prompts behind others
    assert asked(weights="fp16") == []
    assert asked(weights="q8_0") == ["weights"]
    assert asked(weights="q8_0") == []


def test_what_was_compared_before_is_still_covered() -> None:
    """The certificate at hand may be the bundled one, which knows nothing of what the user asked before."""
    spec = small("gpt2")
    keep_extended(spec, Workload(), GIVEN, prompts=(7,))
    keep_extended(spec, Workload(), GIVEN, prompts=(5,), weights=("q8_0",))
    assert find(spec, Workload()) == replace(GIVEN, prompts=(5, 7, 1024), weights=("native", "q8_0"))


def test_a_spec_with_too_many_components_is_measured_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiling, "MOST_MEASURED", 5)
    spec = small()
    for _ in range(2):
        found = profile(spec, Workload(64), "auto")
        assert (found.engine, found.certificate) == ("measured", None)


def test_a_false_certificate_does_not_pass_verification(llmarch: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """`verify` and `--engine measured` believe nothing."""
    spec = small("gpt2")
    keep(spec, Workload(), GIVEN)
    monkeypatch.setattr(closed_form, "component_cost", _off("flops_per_token"))
    assert profile(spec, Workload(64), "auto").engine == "closed-form"
    with pytest.raises(CheckError):
        profile(spec, Workload(64), "measured")
    result = llmarch("verify", "gpt2")
    assert result.status == 1


def test_the_line_below_a_table_says_when_and_with_what(llmarch: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMARCH_ENGINE", "auto")
    first = llmarch("compare", "gpt2", "gpt2-medium", "--ctx", "1k")
    assert "Measured; the closed form agrees on every value." in first.out
    second = llmarch("compare", "gpt2", "gpt2-medium", "--ctx", "1k")
    assert "Closed form; measured and equal on 20" in second.out
    assert first.out.splitlines()[:-1] == second.out.splitlines()[:-1]
    mixed = llmarch("compare", "gpt2", "gpt2-large", "--ctx", "1k")
    assert "Measured (1 of the models); the closed form agrees on every value." in mixed.out
    assert "with torch" in mixed.out
    keep(load("gpt2"), Workload(), GIVEN)
    dated = llmarch("compare", "gpt2", "gpt2-medium", "--ctx", "1k")
    assert "measured and equal between 2026-01-02 and " in dated.out
    forced = llmarch("compare", "gpt2", "--ctx", "1k", "--engine", "measured")
    assert "Measured; the closed form agrees" in forced.out


PROGRAM = """
import sys
from llmarch_cli.cli import main
sys.argv = ["llmarch", "kvcache", *sys.argv[1:], "--ctx", "1k", "--format", "csv"]
try:
    main()
finally:
    print("torch" in sys.modules, file=sys.stderr)
"""


def test_torch_is_imported_once_for_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("extends: gpt2\nname: Mine\nn_layers: 3\n")
    env = {**os.environ, "LLMARCH_CACHE": str(tmp_path), "LLMARCH_ENGINE": ""}
    runs = [
        subprocess.run([sys.executable, "-c", PROGRAM, str(file)], env=env, capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    assert [run.stderr.strip() for run in runs] == ["True", "False"]
    assert runs[0].stdout == runs[1].stdout.replace("closed-form", "measured")
