"""Bytes per device in closed form equal torch's own sharding of our built modules, and obey the laws of dividing."""

from __future__ import annotations

from pathlib import Path

import pytest
from dtensors import Built

import llmarch_cli as llmarch
from llmarch_cli.deployment.layouts import DeviceBytes, Layout, layouts, per_device
from llmarch_cli.errors import InputError
from llmarch_cli.profilers.cost import Workload

MODELS = sorted(path.stem for path in Path("model_specs").glob("*.yaml"))
LAYOUTS = (
    Layout(tp=2),
    Layout(tp=4),
    Layout(tp=8),
    Layout(tp=8, ep=8),
    Layout(dp=8, ep=8),
    Layout(tp=4, ep=2, dp=2),
    Layout(pp=2),
    Layout(tp=2, pp=4),
    Layout(tp=4, cp=2, dp_attention=True),
    Layout(tp=8, pp=8),
    Layout(tp=8, dp=8, ep=64, dp_attention=True),
)


def by_stage(device: DeviceBytes) -> list[tuple[int, int, int]]:
    return [(stage.weights, stage.cache, stage.state) for stage in device.stages]


@pytest.mark.parametrize("name", MODELS)
def test_bytes_per_device_are_those_of_dtensor(name: str) -> None:
    spec = llmarch.load(name)
    built = Built(spec)
    workload = Workload(10_000, batch=13)
    for layout in LAYOUTS:
        try:
            found = per_device(spec, workload, layout)
        except InputError as error:
            print(name, layout.words, "|", error)
            continue
        assert by_stage(found) == built.on_rank(0, layout, workload)
