"""Plots of models by name, in closed form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llmarch_cli.api import ModelLike, profiles
from llmarch_cli.report.plots import data
from llmarch_cli.report.plots.data import Kind, Plot


def plot(kind: Kind, models: Sequence[ModelLike] | None = None, **asked: Any) -> Plot:
    """The plot of `kind`. `asked` is as for `profiles`."""
    return data.plot(kind, profiles(models, engine="closed-form", **asked))
