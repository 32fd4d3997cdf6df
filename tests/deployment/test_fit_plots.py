"""Points of the plots are those of the answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llmarch_cli import api
from llmarch_cli.deployment import bounds
from llmarch_cli.deployment.plots import plot
from llmarch_cli.errors import InputError
from llmarch_cli.report.plots import file, terminal

Run = Callable[..., Any]


def test_memory_crosses_the_room_where_the_longest_context_ends() -> None:
    (found,) = api.fits(["llama3.1-70b"], ["4xh100"], context=8192)
    drawn = plot("memory", [found])
    *curves, room = drawn.curves
    assert {value for _, value in room.points} == {found.room}
    assert curves[0].model == "1 sequence"
    assert curves[-1].model == f"{found.most_sequences:,} sequences"
    most = dict(curves[-1].points)
    assert most[8192] == found.sizes.needed(found.layout, found.most_sequences) <= found.room < most[16_384]
    for curve in curves:
        assert [value for _, value in curve.points] == sorted(value for _, value in curve.points)


def test_times_cross_where_compute_binds() -> None:
    (found,) = api.fits(["qwen3-30b-a3b"], ["h100"], context=64)
    batch = found.compute_batch
    assert batch is not None
    lines = {curve.model: dict(curve.points) for curve in plot("step", [found]).curves}
    assert set(lines) == {"to read", "to compute"}
    for number, read in lines["to read"].items():
        assert (lines["to compute"][number] > read) == (number >= batch)
    (several,) = api.fits(["qwen3-30b-a3b"], ["2xh100"], context=64, layout={"tp": 2})
    assert "to exchange" in {curve.model for curve in plot("step", [several]).curves}


def test_steps_lie_on_the_roof_of_their_chip() -> None:
    found = api.fits(["qwen3-30b-a3b", "llama3.1-8b"], ["h100", "2xl40s"], context=512, compute="bf16")
    curves = {curve.model: curve for curve in plot("roofline", found).curves}
    assert list(curves)[:2] == ["roof of h100, bf16", "roof of l40s, bf16"]
    for each in found:
        chip = each.machines.chip
        peak, roof = chip.peak_of("bf16"), dict(curves[f"roof of {chip.id}, bf16"].points)
        assert max(roof.values()) == peak
        assert any(value < peak for value in roof.values())
        curve = curves[f"{each.spec.id} on {each.machines}"]
        assert len(curve.points) > 5
        rates = [rate for _, rate in curve.points]
        assert rates == sorted(rates)
        for at, rate in curve.points:  # thousandths, rounded down
            assert chip.bandwidth * at // 1000 <= rate or rate == peak
            assert rate <= min(peak, chip.bandwidth * (at + 1) // 1000)
        # Compute binds from a number of sequences, if it ever does: there a step reaches the peak.
        assert (max(rates) == peak) == (each.compute_batch is not None)
        inside = [at for at, _ in curve.points if at <= (curve.context_window or 0)]
        step = bounds.decode_step(each.sizes.model, each.setting, each.most_sequences)
        assert max(inside) == 1000 * step.flops // step.n_bytes


def test_no_step_beats_the_front() -> None:
    found = api.fits(["qwen3-30b-a3b", "gpt-oss-20b"], ["4xh100"], context=8192)
    drawn = plot("pareto", found)
    assert [curve.model for curve in drawn.curves] == ["qwen3-30b-a3b", "gpt-oss-20b"]
    for answer, curve in zip(found, drawn.curves, strict=True):
        users, devices = zip(*curve.points, strict=True)
        assert list(users) == sorted(set(users))
        assert list(devices) == sorted(set(devices), reverse=True)
        for layout in answer.sizes.candidates(answer.machines):
            for batch in (1, 16, 256):
                if batch <= answer.sizes.most_sequences(layout, answer.room):
                    setting = replace(answer.setting, layout=layout)
                    seconds = bounds.decode_step(answer.sizes.model, setting, batch).seconds
                    own = int(1 / seconds), int(batch / seconds / 4)
                    assert any(user >= own[0] and device >= own[1] for user, device in curve.points)


@pytest.mark.parametrize("kind", ["memory", "step", "roofline", "pareto"])
def test_they_are_drawn(kind: Any) -> None:
    drawn = plot(kind, api.fits(["gpt-oss-20b"], ["2xh100"], context=1024))
    assert drawn.title in terminal.render(drawn, 100)
    assert file.render(drawn, "svg").startswith(b"<?xml")


def test_the_option(llmarch: Run, tmp_path: Path) -> None:
    result = llmarch("fit", "gpt2", "--on", "t4", "--ctx", "1k", "--plot")
    assert (result.status, result.err) == (0, "")
    assert "Bytes of a device by context" in result.out
    picture = tmp_path / "pareto.svg"
    assert llmarch("fit", "gpt2", "gpt2-xl", "--on", "t4", "--ctx", "1k", "--plot", str(picture)).status == 0
    assert picture.read_bytes().startswith(b"<?xml")
    for more, why in (
        (("--plot-kind", "step"), "needs --plot"),
        (
            ("gpt2-xl", "--plot", "--plot-kind", "memory"),
            "is for one model on one machine; roofline and pareto are for several",
        ),
        (("--plot", "--plot-kind", "pie"), "unknown plot 'pie'"),
        (("--plot", "--format", "csv"), "--plot draws below a table"),
    ):
        wrong = llmarch("fit", "gpt2", "--on", "t4", *more)
        assert (wrong.status, wrong.out) == (2, "")
        assert why in wrong.err


def test_several_answers_have_no_plot_of_memory() -> None:
    with pytest.raises(InputError, match="is for one model on one machine"):
        plot("memory", api.fits(["gpt2", "gpt2-xl"], ["t4"], context=1024))
