"""The architecture of a model as data, for programs: widths, heads, and the variant of each layer."""

from __future__ import annotations

from typing import Any

from llmarch_cli.specs.spec import ModelSpec
from llmarch_cli.specs.spec_file import ABOUT, plain

AXES = ("attention", "ffn")


def architecture(spec: ModelSpec) -> dict[str, Any]:
    """The fields of a spec that say how the model is built, named as in YAML, without those that have their default.

    `attention` and `ffn` have the fields of each variant under `variants`, and under `layers` the variant of each
    layer, bottom to top; "none" for a layer without that sublayer.
    """
    data = plain(spec)
    axes = {
        axis: {
            "variants": {name: plain(component) for name, component in spec.variants(axis).items()},
            "layers": spec.names(axis, spec.n_layers),
        }
        for axis in AXES
    }
    shape = {name: value for name, value in data.items() if name not in (*ABOUT, *AXES)}
    return {"model": spec.id, "context_window": spec.context_length, **shape, **axes}
