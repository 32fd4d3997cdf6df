"""Residual streams: what carries a token from one layer to the next, and how sublayers read it and add to it.

To add a kind: one file here, and one line in the union.
"""

from __future__ import annotations

from typing import Annotated

from llmarch_cli.components.fields import BY_KIND
from llmarch_cli.components.residual.altup import AlternatingUpdates
from llmarch_cli.components.residual.connection import Connection as Connection
from llmarch_cli.components.residual.hyper_connections import HyperConnections
from llmarch_cli.components.residual.plain import PlainResidual

Residual = Annotated[AlternatingUpdates | HyperConnections | PlainResidual, BY_KIND]
