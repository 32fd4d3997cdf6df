"""YAML files as data: values, line numbers, and one-line errors."""

from __future__ import annotations

import datetime as dt
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from llmarch_cli.errors import InputError
from llmarch_cli.specs import documents, yaml_data
from llmarch_cli.specs.documents import Mapping
from llmarch_cli.specs.loading import names, specs_directory
from llmarch_cli.specs.yaml_data import read

PARSERS = ("CSafeLoader", "SafeLoader")


@pytest.fixture(params=PARSERS)
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run with both parsers, because a platform may have only one."""
    monkeypatch.setattr(yaml_data, "_Parser", getattr(yaml, request.param))
    return str(request.param)


def parsed(directory: Path, text: str | bytes) -> Mapping:
    path = directory / "spec.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read(path)


def refusal(directory: Path, text: str | bytes) -> str:
    """The message, from the line's number on."""
    with pytest.raises(InputError) as caught:
        parsed(directory, text)
    message = str(caught.value)
    path = str(directory / "spec.yaml")
    assert message.startswith(path)
    assert len(message) < len(path) + 200
    assert "\n" not in message
    assert message.isprintable()
    return message.removeprefix(path).removeprefix(":").strip()


# --- values ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7168", 7168),
        ("163_840", 163_840),
        ("-3", -3),
        ("+3", 3),
        ("0", 0),
        ("1.0e-5", 1e-5),
        ("1.5", 1.5),
        (".5", 0.5),
        ("5.", 5.0),
        ("-1_000.5", -1000.5),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("2024-12-26", dt.date(2024, 12, 26)),
        ("gqa", "gqa"),
        ("'7168'", "7168"),
        ('"null"', "null"),
        ("|\n  12", "12"),
        ("[1, two, 3.0]", [1, "two", 3.0]),
        ("{b: 1, a: {c: x}}", {"b": 1, "a": {"c": "x"}}),
        ("[]", []),
    ],
)
def test_values(text: str, value: Any, tmp_path: Path, parser: str) -> None:
    read_back = parsed(tmp_path, f"field: {text}")["field"]
    assert read_back == value
    assert isinstance(read_back, type(value))


@pytest.mark.parametrize(
    "text",
    ["1e6", "1e-5", "1.0e5", "yes", "no", "on", "off", "0x10", "0o17", "017", "1:30", "128k", "2024-12", "1,000"],
)
def test_what_yaml_versions_read_differently_is_text(text: str, tmp_path: Path, parser: str) -> None:
    assert parsed(tmp_path, f"field: {text}")["field"] == text


def test_infinities_are_read_for_the_rules_to_refuse(tmp_path: Path, parser: str) -> None:
    infinities = parsed(tmp_path, "a: .inf\nb: -.Inf\nc: .NaN")
    assert infinities["a"] == float("inf") == -infinities["b"]
    assert infinities["c"] != infinities["c"]


def test_bundled_specs_are_what_yaml_says(parser: str) -> None:
    """Bundled specs mean the same to PyYAML: none holds a value that this project reads differently."""
    for name in names():
        path = specs_directory() / f"{name}.yaml"
        assert read(path) == yaml.safe_load(path.read_text())


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(10**30), 10**30)
        | st.floats(allow_nan=False)
        | st.dates()
        | st.text(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
        max_leaves=20,
    )
)
def test_what_is_written_as_yaml_is_read_back(value: Any) -> None:
    text = yaml.safe_dump({"field": value}, allow_unicode=True)
    assert composed(text)["field"] == value


def composed(text: str) -> Mapping:
    loader = yaml_data._Parser(text)
    try:
        return yaml_data._Composer(Path("drawn.yaml"), loader).document()
    finally:
        loader.dispose()


def test_a_byte_order_mark_is_no_content(tmp_path: Path, parser: str) -> None:
    assert parsed(tmp_path, "\ufeffname: x") == {"name": "x"}


# --- anchors, aliases, merges, and places ---------------------------------------------------------------------------

MERGED = """\
base: &base
  a: 1
  b: {c: 2}
other: &other {a: 7, d: 8}
one: {<<: *base, a: 3}
late:
  a: 4
  <<: *base
both: {<<: [*base, *other]}
list:
  - x
  - [y,
     z]
same: *base
"""


def test_merges(tmp_path: Path, parser: str) -> None:
    data = parsed(tmp_path, MERGED)
    assert data == yaml.safe_load(MERGED)
    assert data["one"] == {"a": 3, "b": {"c": 2}}
    assert data["late"] == {"a": 4, "b": {"c": 2}}
    assert data["both"] == {"a": 1, "b": {"c": 2}, "d": 8}


def test_every_value_knows_its_line(tmp_path: Path, parser: str) -> None:
    data = parsed(tmp_path, MERGED)
    lines = {name: place.line for name, place in data.places.items()}
    assert lines == {"base": 1, "other": 4, "one": 5, "late": 6, "both": 9, "list": 10, "same": 14}
    assert [data["one"].places[name].line for name in ("a", "b")] == [5, 3]  # b is merged from line 3
    assert data["one"]["b"].places["c"].line == 3
    assert data["late"].places["a"].line == 7
    assert data["both"].places["d"].line == 4
    assert [place.line for place in data["list"].places] == [11, 12]
    assert [place.line for place in data["list"][1].places] == [12, 13]
    assert str(data.places["late"]) == f"{tmp_path / 'spec.yaml'}:6"


def test_a_quoted_merge_key_is_a_field(tmp_path: Path, parser: str) -> None:
    assert parsed(tmp_path, 'a: {"<<": 1}') == {"a": {"<<": 1}}


# --- errors ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty: a spec needs at least name, d_model, n_layers, ..."),
        ("# nothing\n", "the file is empty: a spec needs at least name, d_model, n_layers, ..."),
        ("---\n", "a spec must be a mapping of fields, not null"),
        ("just text", "a spec must be a mapping of fields, not 'just text'"),
        ("- a\n- b", "a spec must be a mapping of fields, not a list"),
        ("3", "a spec must be a mapping of fields, not 3"),
        ("a: 1\nb: 2\na: 3", "3: duplicate field 'a'; remove one"),
        ("x:\n  a: 1\n  'a': 3", "3: duplicate field 'a'; remove one"),
        ("x: &x {a: 1}\ny: {<<: *x, <<: *x}", "2: duplicate field '<<'; remove one"),
        ("1: x", "1: a field name must be text, not 1"),
        ("a: {null: x}", "1: a field name must be text, not null"),
        ("~: x", "1: a field name must be text, not ~"),
        ("true: x", "1: a field name must be text, not true"),
        ("2024-01-01: x", "1: a field name must be text, not 2024-01-01"),
        ("? [a]\n: x", "1: a field name must be plain text"),
        ("? {a: b}\n: x", "1: a field name must be plain text"),
        ("a: &k x\n*k : y", "2: a field name must be plain text"),
        ("!!str a: x", "1: a field name must be plain text"),
        ("a: 1\n---\nb: 1", "2: a second YAML document starts here; a file must hold one spec"),
        ("a: *nothing", "1: undefined alias *nothing; its anchor &nothing must end before it"),
        ("a: &a [*a]", "1: undefined alias *a; its anchor &a must end before it"),
        ("a: &a {<<: *a}", "1: undefined alias *a; its anchor &a must end before it"),
        ("a: {<<: 3}", "1: << must be a mapping or a list of mappings, not 3"),
        ("a: {<<: [{b: 1}, 3]}", "1: << must be a mapping or a list of mappings, not 3"),
        ("a: 2024-13-45", "1: 2024-13-45 is not a valid date: month must be in 1..12"),
        ("a: 2023-02-29", "1: 2023-02-29 is not a valid date: day is out of range for month"),
        ("a: 1\nb: " + "9" * 5000, "2: a number of 5000 digits; at most 40 are allowed"),
        ("a: !!python/object/apply:os.system [exit]", "1: the tag '!!python/object/apply:os.system'"),
        ("a: !!python/name:os.system", "1: the tag '!!python/name:os.system'"),
        ("a: !!int '3'", "1: the tag '!!int'"),
        ("a: !!timestamp x", "1: the tag '!!timestamp'"),
        ("a: !!binary aGk=", "1: the tag '!!binary'"),
        ("a: !mine x", "1: the tag '!mine'"),
        ("a: !!set {x}", "1: the tag '!!set'"),
        ("!!omap [a: 1]", "1: the tag '!!omap'"),
        ("a: 1\nb: [1, 2", "not valid YAML"),
        ("a: {b: 1\nc: 2", "not valid YAML"),
        ("a: 'x\nb: 2", "not valid YAML"),
        ("a: b: c", "1: not valid YAML: mapping values are not allowed"),
        ("a: 1\n  b: 2", "2: not valid YAML: mapping values are not allowed"),
        ("a: @x", "1: not valid YAML: found character"),
        ("a:\n\tb: 1", "2: not valid YAML: found character"),
        ("%YAML 3.0\n---\na: 1", "1: not valid YAML: found incompatible YAML document"),
        ("a: 1\nb: \x00", "2: not a text file: it contains the character U+0000"),
        ("a: 1\n\x1b[31m: 2", "2: not a text file: it contains the character U+001B"),
        (b"a: \xff\xfe", "not UTF-8 text (at byte 3); a spec must be a YAML file"),
        ("a: 1".encode("utf-16"), "not UTF-8 text (at byte 0); a spec must be a YAML file"),
        (bytes(range(256)), "not UTF-8 text (at byte 128); a spec must be a YAML file"),
    ],
)
def test_refusals(text: str | bytes, message: str, tmp_path: Path, parser: str) -> None:
    assert message in refusal(tmp_path, text)


def test_tabs_are_named(tmp_path: Path, parser: str) -> None:
    assert refusal(tmp_path, "a:\n\tb: 1").endswith("; indent with spaces, not tabs")
    assert "tabs" not in refusal(tmp_path, "a: [")


DEEP = {"[": "a: ", "{a: ": "", "- ": "", "? ": "", "[[[[\n": "a: ", "a:\n": "", "{? ": "", "- - ? ": "", "&a [": "a: "}


@pytest.mark.parametrize("opening", DEEP)
@pytest.mark.parametrize("n_levels", [50, 10_000, 100_000])
def test_deep_nesting_exhausts_no_stack(opening: str, n_levels: int, tmp_path: Path) -> None:
    deep = "".join(" " * level + opening for level in range(500)) if opening == "a:\n" else opening * n_levels
    began = time.process_time()
    message = refusal(tmp_path, DEEP[opening] + deep)
    assert "nested deeper than 40 levels" in message or "a field name must be plain text" in message
    assert time.process_time() - began < 5


def test_forty_levels_are_read(tmp_path: Path, parser: str) -> None:
    assert parsed(tmp_path, "a: " + "[" * 40 + "]" * 40)
    assert "nested deeper" in refusal(tmp_path, "a: " + "[" * 41 + "]" * 41)


def bomb(item: str, use: str) -> str:
    lines = [f"x0: &x0 {item}"]
    lines += [f"x{i}: &x{i} {use.format(', '.join([f'*x{i - 1}'] * 9))}" for i in range(1, 30)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    "text",
    [bomb("[1]", "[{}]"), bomb("{a: 1}", "{{<<: [{}]}}"), bomb("{a: 1}", "{{k: [{}]}}"), "a: [" + "1, " * 30_000 + "]"],
    ids=["lists", "merges", "mappings", "plain"],
)
def test_what_grows_without_bound_is_refused(text: str, tmp_path: Path, parser: str) -> None:
    assert "more than 20,000 values with aliases expanded" in refusal(tmp_path, text)


def test_a_file_is_read_no_further_than_its_bound(tmp_path: Path) -> None:
    with (tmp_path / "spec.yaml").open("wb") as file:
        file.truncate(200 << 20)
    began = time.process_time()
    with pytest.raises(InputError, match="larger than 1 MiB, too large for a spec"):
        read(tmp_path / "spec.yaml")
    assert time.process_time() - began < 0.5


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="POSIX")
def test_a_device_without_end_is_read_no_further(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="/dev/zero: larger than 1 MiB"):
        read(Path("/dev/zero"))
    with pytest.raises(InputError, match="/dev/null: the file is empty"):
        read(Path("/dev/null"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="POSIX")
class TestPipes:
    def test_a_pipe_is_read_as_its_writer_writes(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")

        def write() -> None:
            with (tmp_path / "pipe").open("w") as pipe:
                pipe.write("name: x\n")
                pipe.flush()
                time.sleep(0.05)
                pipe.write("d_model: 3\n")

        writer = threading.Thread(target=write)
        writer.start()
        assert read(tmp_path / "pipe") == {"name": "x", "d_model": 3}
        writer.join()

    def test_a_pipe_without_a_writer_is_given_up(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(documents, "PIPE_TIMEOUT", 0.05)
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(InputError, match=r"pipe: no data on the pipe for 0\.05 seconds"):
            read(tmp_path / "pipe")

    def test_a_pipe_that_closes_is_empty(self) -> None:
        reading, writing = os.pipe()
        os.close(writing)
        with pytest.raises(InputError, match="the file is empty"):
            read(Path(f"/dev/fd/{reading}"))
        os.close(reading)


def test_what_is_no_file(tmp_path: Path) -> None:
    def message(path: Path) -> str:
        with pytest.raises(InputError) as caught:
            read(path)
        assert len(str(caught.value)) < 300
        return str(caught.value)

    assert message(tmp_path / "none.yaml") == f"{tmp_path / 'none.yaml'}: no such file"
    assert message(tmp_path) == f"{tmp_path}: a directory, not a YAML file"
    assert "no such file: embedded null byte" in message(Path("a\0b.yaml"))
    assert "file name too long" in message(Path("x" * 5000 + ".yaml"))
    (tmp_path / "file").touch()
    assert "not a directory" in message(tmp_path / "file" / "spec.yaml")
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    assert "cannot be read" in message(tmp_path / "loop.yaml")
