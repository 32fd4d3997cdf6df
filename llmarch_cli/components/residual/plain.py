"""The plain residual stream (arXiv 1512.03385): each sublayer's output is added to its input."""

from __future__ import annotations

from typing import Literal

from llmarch_cli.components.residual.connection import ResidualStream


class PlainResidual(ResidualStream):
    """One stream of d_model values."""

    kind: Literal["plain"] = "plain"
