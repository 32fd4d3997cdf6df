"""Chips as data: what their files say holds together, and texts such as `8xh200` mean what they say."""

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from llmarch_cli.deployment.chips import (
    DTYPES,
    Chip,
    Machines,
    chip,
    chips,
    chips_directory,
    is_chip,
    machines,
)
from llmarch_cli.errors import InputError
from llmarch_cli.schema import chip_schema
from llmarch_cli.specs import yaml_data

EVERY = [chip(name) for name in chips()]
WANTED = (
    "a100-40gb a100-80gb h100 h100-pcie h100-nvl h200 h20 b200 b300 gb200 l4 l40s a10g t4 v100-16gb v100-32gb rtx-3090"
    " rtx-4090 rtx-5090 rtx-pro-6000 dgx-spark mi300x mi325x mi355x tpu-v5e tpu-v5p tpu-v6e tpu7x gaudi3 m4-max"
    " m3-ultra"
).split()

SOURCE = '{title: Datasheet, url: "https://example.com/x.pdf"}'
SMALL = f"""\
name: Small
vendor: Somebody
memory_gb: 16
memory_bytes: 16_000_000_000
bandwidth: 300_000_000_000
peak: {{fp16: 60_000_000_000_000}}
sources:
  memory_bytes: {SOURCE}
  bandwidth: {SOURCE}
  peak: {SOURCE}
"""


def written(directory: Path, text: str = SMALL, name: str = "small.yaml") -> Path:
    path = directory / name
    path.write_text(text)
    return path


def by_id(each: Chip) -> str:
    return each.id


# --- the bundled files ----------------------------------------------------------------------------------------------


def test_the_bundled_ones() -> None:
    assert set(chips()) == set(WANTED)
    assert list(chips()) == sorted(chips())
    assert len({each.name for each in EVERY}) == len(EVERY)


# Computed by hand from what the sources print: memory in MiB, bandwidth in GB/s, peaks in TFLOP/s, links in GB/s.
KNOWN: dict[str, tuple[int, int, dict[str, str], int | None, str | None, str | None]] = {
    "a100-80gb": (81920, 2039, {"bf16": "312", "tf32": "156", "int8": "624", "int4": "1248"}, 8, "300", "25"),
    "h100": (81559, 3352, {"bf16": "989.4", "fp8": "1978.9", "int8": "1978.9"}, 8, "450", "50"),
    "h200": (143771, 4800, {"bf16": "989.5", "fp8": "1979"}, 8, "450", "50"),
    "b200": (183359, 7700, {"bf16": "2250", "fp8": "4500", "fp4": "9000"}, 8, "900", "50"),
    "b300": (275040, 7750, {"bf16": "2250", "fp4": "14000", "int8": "153.5"}, 8, "900", "100"),
    "gb200": (189471, 8000, {"bf16": "2500", "fp8": "5000", "fp4": "10000"}, 72, "900", "50"),
    "l4": (23034, 300, {"bf16": "121", "fp8": "242.5"}, 8, "32", None),
    "l40s": (46068, 864, {"bf16": "362.05", "fp8": "733"}, 8, "32", None),
    "t4": (15360, 320, {"fp16": "65", "int8": "130", "int4": "260"}, 8, "16", None),
    "rtx-3090": (24576, 936, {"bf16": "71", "int8": "284"}, 2, "56.25", None),
    "rtx-4090": (24564, 1008, {"bf16": "165.2", "fp8": "330.3"}, None, "32", None),
    "tpu7x": (192 * 1024, 7380, {"bf16": "2307", "fp8": "4614"}, 9216, "600", "12.5"),
    "tpu-v5p": (95 * 1024, 2765, {"bf16": "459", "int8": "918"}, 6144, "600", "6.25"),
}


@pytest.mark.parametrize("name", KNOWN)
def test_known_numbers(name: str) -> None:
    memory, bandwidth, peaks, peers, link, network = KNOWN[name]
    found = chip(name)
    assert found.memory_bytes == memory << 20
    assert found.bandwidth == bandwidth * 10**9
    assert {dtype: found.peak_of(dtype) for dtype in peaks if dtype in found.peak and dtype != "int8"} == {
        dtype: Fraction(peak) * 10**12 for dtype, peak in peaks.items() if dtype != "int8"
    }
    assert all(dict(found.peak)[dtype] == Fraction(peak) * 10**12 for dtype, peak in peaks.items())  # type: ignore[index]
    assert found.peers == peers
    assert found.link == (None if link is None else Fraction(link) * 10**9)
    assert found.network == (None if network is None else Fraction(network) * 10**9)


@pytest.mark.parametrize("each", EVERY, ids=by_id)
def test_numbers_hold_together(each: Chip) -> None:
    assert each.memory_gb is not None
    assert each.memory_gb * 10**9 <= each.memory_bytes <= each.memory_gb * 2**30
    peak = dict(each.peak)
    assert peak.get("bf16") == peak.get("fp16") or None in (peak.get("bf16"), peak.get("fp16"))
    for narrow, wide in (("fp8", "bf16"), ("fp4", "fp8"), ("fp6", "fp8"), ("bf16", "tf32"), ("tf32", "fp32")):
        if {narrow, wide} <= set(peak):
            assert 1 <= Fraction(peak[narrow], peak[wide]) <= 16, (narrow, wide)  # type: ignore[index]
    if each.link is not None and each.network is not None:
        assert each.network < each.link
    if each.flops_per_byte is not None:
        assert 10 < each.flops_per_byte < 1000


@pytest.mark.parametrize("each", EVERY, ids=by_id)
def test_every_number_has_a_source_of_its_vendor_or_of_a_tool(each: Chip) -> None:
    named = {name for name in type(each.sources).model_fields if getattr(each.sources, name) is not None}
    given = {name for name in ("peak", "peers", "link", "network") if getattr(each, name)}
    assert named == {"memory_bytes", "bandwidth"} | given
    for name in named:
        assert getattr(each.sources, name).url.startswith("https://")


@pytest.mark.parametrize("name", WANTED)
def test_bundled_files_fit_the_schema(name: str) -> None:
    data = json.loads(json.dumps(yaml_data.read(chips_directory() / f"{name}.yaml"), default=str))
    validator = Draft202012Validator(chip_schema(), format_checker=Draft202012Validator.FORMAT_CHECKER)
    assert [error.message for error in validator.iter_errors(data)] == []


# --- peaks ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "dtype", "tera"),
    [
        ("h100", "bf16", "989.4"),
        ("h100", "fp4", "1978.9"),  # as fp8
        ("a100-80gb", "fp8", "312"),  # as 16 bits, and not as int8, which holds other values
        ("a100-80gb", "int8", "624"),
        ("h20", "int4", "296"),
        ("b300", "int8", "2250"),  # bf16 holds every int8, and is faster there
        ("v100-16gb", "bf16", "15.7"),  # fp16 does not hold bf16's range
        ("t4", "fp8", "65"),
        ("tpu-v5e", "fp8", "197"),
    ],
)
def test_the_peak_of_a_dtype(name: str, dtype: str, tera: str) -> None:
    assert chip(name).peak_of(dtype) == Fraction(tera) * 10**12


@pytest.mark.parametrize("each", EVERY, ids=by_id)
def test_no_peak_is_below_that_of_a_wider_dtype(each: Chip) -> None:
    def best(dtype: str) -> int:
        try:
            return each.peak_of(dtype)
        except InputError:
            return 0

    for narrow, wide in (("fp4", "fp8"), ("fp8", "fp16"), ("fp8", "bf16"), ("int4", "int8"), ("int8", "bf16")):
        assert best(narrow) >= best(wide)
    assert all(best(dtype) >= peak for dtype, peak in each.peak.items())


@pytest.mark.parametrize(
    ("name", "dtype", "message"),
    [
        ("m4-max", "bf16", "m4-max: no `peak` is known for bf16 or a dtype that holds its values; it has none"),
        ("dgx-spark", "fp8", "dgx-spark: no `peak` is known for fp8 or a dtype that holds its values; it has: fp4"),
        ("h100", "fp5", f"no chip has a peak for 'fp5'; known: {', '.join(DTYPES)}"),
    ],
)
def test_a_peak_that_is_not_known(name: str, dtype: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        chip(name).peak_of(dtype)
    assert str(error.value) == message


def test_a_number_that_is_not_known() -> None:
    assert chip("h100").known("network") == 50 * 10**9
    with pytest.raises(InputError, match=r"^l4: no `network` is known; use a copy of its file that gives it$"):
        chip("l4").known("network")


def test_operations_per_byte() -> None:
    assert chip("h100").flops_per_byte == Fraction(9894, 10) * 10**12 / (3352 * 10**9)
    assert chip("t4").flops_per_byte == Fraction(65 * 10**12, 320 * 10**9)
    assert chip("m3-ultra").flops_per_byte is None


# --- files ----------------------------------------------------------------------------------------------------------


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    path = written(tmp_path)
    for name in (path, str(path)):
        found = chip(name)
        assert (found.id, found.name, found.peak_of("fp16")) == ("small", "Small", 60 * 10**12)
        assert (found.released, found.peers, found.link, found.network) == (None, None, None, None)
    assert found.with_id("other").id == "other"


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("bandwidth: 300_000_000_000\n", "", None, "bandwidth: required, but missing"),
        ("bandwidth: 300_000_000_000", "bandwidth: 300", 5, "bandwidth: must be at least 1,000,000,000, not 300"),
        ("bandwidth: 300_000_000_000", "bandwidth: 3e11", 5, "bandwidth: must be a whole number, not '3e11'"),
        ("memory_bytes: 16_000_000_000", "memory_bytes: 18_000_000_000", 4, "memory_bytes: 18,000,000,000 is not"),
        ("memory_bytes: 16_000_000_000", "memory_bytes: 15_000_000_000", 4, "memory_bytes: 15,000,000,000 is not"),
        ("fp16: 60", "fp17: 60", 6, "peak.fp17: must be fp32, tf32,"),
        ("fp16: 60_000_000_000_000", "fp16: 60", 6, "peak.fp16: must be at least 1,000,000,000, not 60"),
        ("vendor:", "maker:", 2, "maker: unknown field"),
        (f"  peak: {SOURCE}\n", "", 7, "sources.peak: required, because peak is given"),
        ("peak: {fp16: 60_000_000_000_000}\n", "", 9, "sources.peak: a source, but peak is not given"),
        (f"  bandwidth: {SOURCE}\n", "", 7, "sources.bandwidth: required, but missing"),
        ("https://example.com/x.pdf", "example.com", 8, "sources.memory_bytes.url: must be a web address"),
    ],
)
def test_wrong_files(tmp_path: Path, old: str, new: str, line: int | None, message: str) -> None:
    assert old in SMALL
    path = written(tmp_path, SMALL.replace(old, new, 1))
    with pytest.raises(InputError) as error:
        chip(path)
    place = str(path) if line is None else f"{path}:{line}"
    assert str(error.value).startswith(f"{place}: {message}")


def test_files_that_are_none(tmp_path: Path) -> None:
    for text, message in (
        ("", "the file is empty: a chip"),
        ("[1]", "a chip must be a mapping"),
        ("a: [", "not valid YAML"),
    ):
        with pytest.raises(InputError, match=message):
            chip(written(tmp_path, text))
    with pytest.raises(InputError, match="no such file"):
        chip(tmp_path / "missing.yaml")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("h10", "unknown chip 'h10'; did you mean h100 or h20?"),
        ("H200x", "unknown chip 'H200x'; did you mean h200 or h20"),
        ("v100", "unknown chip 'v100'; did you mean h100"),
        ("abacus", "unknown chip 'abacus'; see `llmarch chips`, or give the path to a YAML file"),
    ],
)
def test_unknown_names(name: str, hint: str) -> None:
    with pytest.raises(InputError) as error:
        chip(name)
    assert str(error.value).startswith(hint)
    assert "\n" not in str(error.value)


def test_what_is_a_chips_file(tmp_path: Path) -> None:
    assert is_chip(written(tmp_path))
    assert is_chip(written(tmp_path, "bandwidth: 3", "wrong.yaml"))
    assert not is_chip(written(tmp_path, "extends: gpt2", "spec.yaml"))
    assert not is_chip(written(tmp_path, "a: [", "broken.yaml"))
    assert not is_chip(written(tmp_path, SMALL, "chip.txt"))
    assert not is_chip(tmp_path / "missing.yaml")
    assert not is_chip(Path("h100"))


# --- devices --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "n_nodes", "per_node", "name"),
    [
        ("h100", 1, 1, "h100"),
        ("1xh100", 1, 1, "h100"),
        ("8xh200", 1, 8, "h200"),
        ("2x8xb200", 2, 8, "b200"),
        ("3x1xh200", 3, 1, "h200"),
        ("72xgb200", 1, 72, "gb200"),
        ("64xtpu-v5e", 1, 64, "tpu-v5e"),
        ("4xrtx-4090", 1, 4, "rtx-4090"),  # no system of the vendor says how many are in a node
        ("08xh100", 1, 8, "h100"),
    ],
)
def test_texts_of_devices(text: str, n_nodes: int, per_node: int, name: str) -> None:
    found = machines(text)
    assert (found.n_nodes, found.per_node, found.chip.id) == (n_nodes, per_node, name)
    assert found.n_devices == n_nodes * per_node


def test_devices_of_a_file_of_ones_own(tmp_path: Path) -> None:
    path = written(tmp_path)
    assert machines(f"4x{path}") == Machines(chip(path), 1, 4)
    assert machines(f"2x4x{path}").n_devices == 8
    assert machines(str(path)).chip.name == "Small"


@given(st.integers(1, 50), st.integers(1, 8))
def test_a_text_says_all(n_nodes: int, per_node: int) -> None:
    found = Machines(chip("h100"), n_nodes, per_node)
    assert machines(str(found)) == found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0xh100", "'0xh100' is no device; write at least 1"),
        ("0x8xh100", "'0x8xh100' is no device; write at least 1"),
        ("2x0xh100", "'2x0xh100' is no device; write at least 1"),
        ("16xh100", "'16xh100': a node of NVIDIA H100 SXM has 8 devices, not 16; for several nodes write 2x8xh100"),
        ("12xh100", "'12xh100': a node of NVIDIA H100 SXM has 8 devices, not 12; for several nodes write 2x6xh100"),
        ("2x16xh100", "'2x16xh100': a node of NVIDIA H100 SXM has 8 devices, not 16; for several nodes write 4x8xh100"),
        ("2xm4-max", "'2xm4-max': a node of Apple M4 Max has 1 device, not 2; for several nodes write 2x1xm4-max"),
        ("8xh10", "unknown chip 'h10'; did you mean"),
        ("8x", "no chip is named in '8x'"),
        ("2x8x", "no chip is named in '2x8x'"),
        ("", "no chip is named in ''"),
        ("-8xh100", "unknown chip '-8xh100'"),
        ("2x2x2xh100", "unknown chip '2xh100'"),
        ("8 x h100", "unknown chip '8 x h100'"),
        ("99999999xh100", "unknown chip '99999999xh100'"),
    ],
)
def test_wrong_texts_of_devices(text: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        machines(text)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


@given(st.text(max_size=20))
def test_any_text_is_devices_or_one_clear_line(text: str) -> None:
    try:
        found = machines(text)
    except InputError as error:
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert found.n_devices >= 1


def test_a_chip_cannot_be_changed() -> None:
    found: Any = chip("h100")
    with pytest.raises(ValueError, match="frozen"):
        found.peers = 16
