"""Headers are trusted in nothing: whatever is wrong with one is an error that says what."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmarch_cli.errors import InputError
from llmarch_cli.huggingface.headers import INDEX, read_directory, read_file

GOOD = {"dtype": "BF16", "shape": [2, 3], "data_offsets": [0, 12]}


def write(path: Path, header: Any, data: bytes = b"") -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def test_with_and_without_data(tmp_path: Path) -> None:
    header = {"__metadata__": {"format": "pt"}, "a": GOOD}
    for data in (b"", bytes(12)):
        (tensor,) = read_file(write(tmp_path / "a.safetensors", header, data))
        assert (tensor.name, tensor.dtype, tensor.shape, tensor.n_values) == ("a", "BF16", (2, 3), 6)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b"not json", "its header is not valid JSON"),
        (b"[1]", "its header must be a JSON object, not a list"),
        (b"[" * 100_000, "its header is nested deeper than 64 levels"),
        (b'{"a": {}, "a": {}}', "given twice"),
        ({"a": {**GOOD, "dtype": "F7"}}, "has dtype 'F7'"),
        ({"a": {**GOOD, "dtype": ["BF16"]}}, "needs a valid dtype, shape and data_offsets"),
        ({"a": {**GOOD, "shape": [2, -3]}}, "needs a valid dtype, shape and data_offsets"),
        ({"a": {**GOOD, "shape": [2.0, 3]}}, "needs a valid dtype, shape and data_offsets"),
        ({"a": {**GOOD, "shape": [2**63, 3]}}, "needs a valid dtype, shape and data_offsets"),
        ({"a": {**GOOD, "shape": [True, 6]}}, "needs a valid dtype, shape and data_offsets"),
        ({"a": {**GOOD, "shape": [2, 4]}}, "does not fit into 12 bytes"),
        ({"a": {**GOOD, "data_offsets": [12, 0]}}, "does not fit into"),
        ({"a": {**GOOD, "data_offsets": [4, 16]}}, "starts at byte 4"),
        ({"a": GOOD, "b": {**GOOD, "data_offsets": [6, 18]}}, "starts at byte 6"),
        ({"a": "everything"}, "needs a valid dtype, shape and data_offsets"),
        ({"a": None}, "needs a valid dtype, shape and data_offsets"),
    ],
)
def test_what_is_wrong_with_a_header(header: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        read_file(write(tmp_path / "a.safetensors", header, bytes(12)))


@pytest.mark.parametrize("content", [b"", b"1234567", (2**63).to_bytes(8, "little") + b"{}", bytes(8)])
def test_lengths_that_lie(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(content)
    with pytest.raises(InputError, match="not a safetensors file"):
        read_file(tmp_path / "a.safetensors")


@pytest.mark.parametrize("data", [bytes(11), bytes(13), bytes(1)])
def test_data_cut_off_or_too_long(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="download it again"):
        read_file(write(tmp_path / "a.safetensors", {"a": GOOD}, data))


@given(st.binary(max_size=200))
@settings(derandomize=True, max_examples=200)
def test_any_bytes(content: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "a.safetensors"
        path.write_bytes(content)
        for attempt in (content, len(content).to_bytes(8, "little") + content):
            path.write_bytes(attempt)
            with suppress(InputError):
                read_file(path)


class TestIndex:
    """The index and its files must agree in both directions, and stay in their directory."""

    @pytest.fixture
    def directory(self, tmp_path: Path) -> Path:
        write(tmp_path / "one.safetensors", {"a": GOOD})
        write(tmp_path / "two.safetensors", {"b": GOOD})
        return tmp_path

    def index(self, directory: Path, weight_map: Any) -> None:
        (directory / INDEX).write_text(json.dumps({"weight_map": weight_map}))

    def test_both_agree(self, directory: Path) -> None:
        self.index(directory, {"a": "one.safetensors", "b": "two.safetensors"})
        assert set(read_directory(directory)) == {"a", "b"}

    @pytest.mark.parametrize(
        ("weight_map", "message"),
        [
            ({"a": "../one.safetensors"}, "not a .safetensors file of this directory"),
            ({"a": "/etc/passwd"}, "not a .safetensors file of this directory"),
            ({"a": "three.safetensors"}, "is missing"),
            ({"a": "one.safetensors", "b": "two.safetensors", "c": "two.safetensors"}, "which does not contain it"),
            ({"a": "one.safetensors", "b": "one.safetensors"}, "which does not contain it"),
            ({"a": "one.safetensors", "b": 3}, "must map each tensor to a file"),
            (["a"], "must map each tensor to a file"),
        ],
    )
    def test_they_do_not(self, weight_map: Any, message: str, directory: Path) -> None:
        self.index(directory, weight_map)
        with pytest.raises(InputError, match=message):
            read_directory(directory)

    def test_a_tensor_that_the_index_does_not_name(self, directory: Path) -> None:
        write(directory / "two.safetensors", {"b": GOOD, "c": {**GOOD, "data_offsets": [12, 24]}})
        self.index(directory, {"a": "one.safetensors", "b": "two.safetensors"})
        with pytest.raises(InputError, match="does not list 'c'"):
            read_directory(directory)

    def test_one_tensor_in_two_files(self, directory: Path) -> None:
        write(directory / "two.safetensors", {"a": GOOD})
        with pytest.raises(InputError, match=r"contains 'a', as does one\.safetensors"):
            read_directory(directory)

    def test_nothing_there(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"no \.safetensors files"):
            read_directory(tmp_path)
        with pytest.raises(InputError, match="no such directory"):
            read_directory(tmp_path / "absent")
