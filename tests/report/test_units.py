from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmarch_cli.report import units
from llmarch_cli.report.table import plain


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0, "0"),
        (999, "999 B/s"),
        (56_250_000_000, "56.25 GB/s"),
        (450_000_000_000, "450 GB/s"),
        (537_600_000_000, "537.6 GB/s"),
        (3_352_000_000_000, "3.35 TB/s"),
        (1_000_500_000_000_000, "1,000.5 TB/s"),
    ],
)
def test_byte_rates(value: int, written: str) -> None:
    assert units.BYTE_RATE.write(value) == written
    assert units.BYTE_RATE.write(value, exact=True) == f"{value:,}"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0, "0"),
        (362_050_000_000_000, "362.05T"),
        (100_000_000_000_000, "100T"),
        (15_700_000_000_000, "15.7T"),
        (14_000_000_000_000_000, "14,000T"),
    ],
)
def test_operation_rates(value: int, written: str) -> None:
    assert units.OPERATION_RATE.write(value) == written


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0, "0"),
        (14_848, "14,848"),
        (999_999, "999,999"),
        (1_000_000, "1.00M"),
        (999_994_999, "999.99M"),
        (999_995_000, "1.00B"),
        (671_026_404_352, "671.03B"),
        (37_552_282_624, "37.55B"),
        (1_026_408_232_448, "1.03T"),
        (1_234_567 * 10**12, "1,234,567.00T"),
    ],
)
def test_counts(value: int, written: str) -> None:
    assert units.PARAMS.write(value) == written
    assert units.PARAMS.write(value, exact=True) == f"{value:,}"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0, "0"),
        (1023, "1,023 B"),
        (1024, "1.00 KiB"),
        (70_272, "68.63 KiB"),
        (1024**2 - 1, "1.00 MiB"),
        (9_210_691_584, "8.58 GiB"),
        (2**80, "1,048,576.00 EiB"),
    ],
)
def test_bytes(value: int, written: str) -> None:
    assert units.BYTES.write(value) == written


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0, "0"),
        (999, "999 FLOPs"),
        (73_250_000_000, "73.25 GFLOPs"),
        (2_300_189_736_960, "2.30 TFLOPs"),
    ],
)
def test_flops(value: int, written: str) -> None:
    assert units.FLOPS.write(value) == written


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0, "0"),
        (1, "1"),
        (1000, "1,000"),
        (1024, "1k"),
        (40_960, "40k"),
        (131_072, "128k"),
        (1_048_576, "1M"),
        (163_840, "160k"),
    ],
)
def test_tokens(value: int, written: str) -> None:
    assert units.TOKENS.write(value) == written
    assert units.TOKENS.write(value, exact=True) == f"{value:,}"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (Fraction(0), "0%"),
        (Fraction(1), "100%"),
        (Fraction(1, 10**9), "<0.1%"),
        (Fraction(9_999, 10_000), ">99.9%"),
        (Fraction(1, 2), "50.0%"),
        (Fraction(37_552_282_624, 671_026_404_352), "5.6%"),
    ],
)
def test_shares_say_when_they_are_not_nothing_and_not_all(value: Fraction, written: str) -> None:
    assert units.SHARE.write(value) == written


def test_other_ratios() -> None:
    assert units.TIMES.write(Fraction(57, 2)) == "28.5x"
    assert units.DIFFERENCE.write(Fraction(-101, 10_000)) == "-1.01%"
    assert units.DIFFERENCE.write(Fraction(1, 1000)) == "+0.10%"
    assert units.DIFFERENCE.write(Fraction(-1, 10**6)) == "0.00%"


def test_what_is_not_known_is_not_written_as_zero() -> None:
    for unit in (units.PARAMS, units.BYTES, units.SHARE, units.TEXT, units.YES_NO):
        assert unit.write(None) == unit.write(None, exact=True) == units.ABSENT


SCALES = {"": 1, "K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}


@given(st.integers(0, 10**17))
def test_a_rounded_count_is_within_half_of_its_last_digit(value: int) -> None:
    written = units.count(value).replace(",", "")
    number, scale = (written[:-1], SCALES[written[-1]]) if written[-1] in SCALES else (written, 1)
    assert abs(Fraction(number) * scale - value) <= (Fraction(scale, 200) if scale > 1 else 0)
    assert Fraction(number) < 1000 or scale in (1, 10**12)


@pytest.mark.parametrize(
    ("unit", "before", "after", "written", "exact"),
    [
        (units.PARAMS, 2_000_000_000, 1_000_000_000, "-1.00B (-50.00%)", "-1,000,000,000 (-50.00%)"),
        (units.BYTES, 1024, 1025, "+1 B (+0.10%)", "+1 (+0.10%)"),
        (units.FLOPS, 0, 5, "+5 FLOPs", "+5"),
        (units.TOKENS, 131_072, 131_072, "0", "0"),
        (units.TOKENS, None, 131_072, "changed", "changed"),
        (units.SHARE, Fraction(1, 2), Fraction(1, 4), "-25.0% points", "-25.0% points"),
        (units.TIMES, Fraction(2), Fraction(3), "+1.0x", "+1.0x"),
        (units.TEXT, "a", "a", "", ""),
        (units.TEXT, "a", "b", "changed", "changed"),
        (units.YES_NO, False, True, "changed", "changed"),
        (units.YES_NO, True, True, "", ""),
    ],
)
def test_what_became_of_a_value(
    unit: units.Unit, before: units.Fact, after: units.Fact, written: str, exact: str
) -> None:
    delta = units.Delta(before, after)
    assert unit.write(delta) == written
    assert unit.write(delta, exact=True) == exact
    assert bool(delta) == (before != after)


@pytest.mark.parametrize(
    ("unit", "base", "value", "written", "exact"),
    [
        (units.PARAMS, 2_000_000_000, 1_000_000_000, "1.00B (-50.00%)", "1,000,000,000 (-50.00%)"),
        (units.BYTES, 1024, 0, "0 (-100.00%)", "0 (-100.00%)"),
        (units.BYTES, 1024, 10239, "10.00 KiB (+899.90%)", "10,239 (+899.90%)"),
        (units.BYTES, 1024, 10240, "10.00 KiB (10.00x)", "10,240 (10.00x)"),
        (units.FLOPS, 0, 5, "5 FLOPs", "5"),
        (units.TOKENS, 131_072, 131_072, "128k", "131,072"),
        (units.TOKENS, None, 131_072, "128k", "131,072"),
        (units.TOKENS, 131_072, None, "-", "-"),
        (units.SHARE, Fraction(1, 2), Fraction(1, 4), "25.0%", "25.0%"),
        (units.TEXT, "a", "b", "b", "b"),
    ],
)
def test_a_value_beside_that_of_a_base(
    unit: units.Unit, base: units.Fact, value: units.Fact, written: str, exact: str
) -> None:
    beside = units.Beside(value, base)
    assert unit.write(beside) == written
    assert unit.write(beside, exact=True) == exact
    assert unit.write_together([base, beside])[1] == written
    assert bool(beside) == (base != value)
    assert plain(beside) == plain(value)


@pytest.mark.parametrize(("amount", "written"), [(0, "0"), (-5, "-5"), (2_500_000, "+2.50M")])
def test_amounts_have_a_sign(amount: int, written: str) -> None:
    assert units.signed(units.PARAMS).write(amount) == written
    assert units.signed(units.PARAMS).write(amount, exact=True) == f"{amount:+,}".replace("+0", "0")
