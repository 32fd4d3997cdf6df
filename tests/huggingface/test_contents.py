"""What a checkpoint stores by component and format, from headers: every value and byte, packed formats told apart."""

from __future__ import annotations

import json
import re
from fractions import Fraction
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch
from families import FAMILIES
from hypothesis import given, settings
from hypothesis import strategies as st
from pairs import Case, pair
from safetensors.torch import save_file
from torch import Tensor
from weights import UNNAMED

import llmarch_cli as llmarch
from llmarch_cli.errors import InputError
from llmarch_cli.huggingface.contents import COMPONENTS, Contents, component, contents
from llmarch_cli.huggingface.headers import DTYPE_BITS
from llmarch_cli.huggingface.weights import read
from llmarch_cli.modules.builder import ExpertStack, Model
from llmarch_cli.report.contents import stored

D_OUT, D_IN = 256, 512

U8, I32, F8 = torch.uint8, torch.int32, torch.float8_e4m3fn


def of(path: Path, tensors: dict[str, Tensor], config: dict[str, Any] | None = None) -> Contents:
    save_file(tensors, path / "model.safetensors")
    if config is not None:
        (path / "config.json").write_text(json.dumps(config))
    return contents(read(path))


def matrix(**parts: tuple[torch.dtype, tuple[int, ...]]) -> dict[str, Tensor]:
    return {
        f"model.layers.0.self_attn.q_proj.{name}": torch.zeros(shape, dtype=dtype)
        for name, (dtype, shape) in parts.items()
    }


F16 = torch.float16

# A matrix of D_OUT x D_IN in each format, and its name.
PACKED: dict[str, dict[str, Tensor]] = {
    "GPTQ, 4 bits, groups of 128": matrix(
        qweight=(I32, (D_IN // 8, D_OUT)), qzeros=(I32, (4, D_OUT // 8)), scales=(F16, (4, D_OUT)), g_idx=(I32, (D_IN,))
    ),
    "GPTQ, 8 bits, groups of 128": matrix(
        qweight=(I32, (D_IN // 4, D_OUT)), qzeros=(I32, (4, D_OUT // 4)), scales=(F16, (4, D_OUT))
    ),
    "AWQ 4-bit, groups of 128": matrix(
        qweight=(I32, (D_IN, D_OUT // 8)), qzeros=(I32, (4, D_OUT // 8)), scales=(F16, (4, D_OUT))
    ),
    "fp8 in 128 x 128 blocks": matrix(weight=(F8, (D_OUT, D_IN)), weight_scale_inv=(torch.float32, (2, 4))),
    "fp8 per channel": matrix(weight=(F8, (D_OUT, D_IN)), weight_scale=(torch.float32, (D_OUT, 1))),
    "NVFP4 (modelopt)": matrix(
        weight=(U8, (D_OUT, D_IN // 2)), weight_scale=(F8, (D_OUT, D_IN // 16)), weight_scale_2=(torch.float32, ())
    ),
    "MXFP4 (compressed-tensors)": matrix(
        weight_packed=(U8, (D_OUT, D_IN // 2)), weight_scale=(U8, (D_OUT, D_IN // 32))
    ),
    "bitsandbytes 8-bit": matrix(weight=(torch.int8, (D_OUT, D_IN)), SCB=(torch.float32, (D_OUT,))),
}


@pytest.mark.parametrize("name", PACKED)
def test_packed_values_count_without_a_model(name: str, tmp_path: Path) -> None:
    tensors = PACKED[name]
    found = of(tmp_path, tensors)
    assert {each.format for each in found.tensors} == {name}
    assert sum(each.n_values or 0 for each in found.tensors) == D_OUT * D_IN
    assert found.n_bytes == sum(each.nbytes for each in tensors.values())
    assert {each.component for each in found.tensors} == {"attention"}
    table, formats = stored(found)
    assert formats.rows[0]["bits_per_value"] == Fraction(8 * found.n_bytes, D_OUT * D_IN)
    assert table.rows[0]["formats"] == name


def test_experts_of_mxfp4(tmp_path: Path) -> None:
    at = "model.layers.0.mlp.experts.gate_up_proj"
    blocks, scales = torch.zeros(4, 64, 3, 16, dtype=U8), torch.zeros(4, 64, 3, dtype=U8)
    found = of(tmp_path, {f"{at}_blocks": blocks, f"{at}_scales": scales, f"{at}_bias": torch.zeros(4, 64)})
    values = {(each.format, each.n_values) for each in found.tensors}
    assert values == {("MXFP4", 4 * 64 * 96), ("MXFP4", 0), ("F32", 256)}
    assert {each.component for each in found.tensors} == {"experts"}


class TestBits:
    """Four bits with long groups look as eight with short ones: the config decides, and nothing is guessed."""

    tensors = matrix(weight=(torch.uint32, (D_OUT, D_IN // 8)), scales=(F16, (D_OUT, 8)), biases=(F16, (D_OUT, 8)))

    def test_without_a_config(self, tmp_path: Path) -> None:
        found = of(tmp_path, self.tensors)
        assert [each.n_values for each in found.tensors if each.format == "MLX"].count(None) == 1
        table, _ = stored(found)
        assert (table.rows[0]["values"], table.rows[0]["bits_per_value"]) == (None, None)
        assert table.total is not None
        assert table.total["bytes"] == found.n_bytes
        assert "How many values 1 packed tensors have is not clear" in table.notes[1]

    @pytest.mark.parametrize(("bits", "group"), [(4, 64), (8, 32)])
    def test_with_one(self, bits: int, group: int, tmp_path: Path) -> None:
        found = of(tmp_path, self.tensors, {"quantization": {"bits": bits, "group_size": group}})
        assert sum(each.n_values or 0 for each in found.tensors) == D_OUT * D_IN * 4 // bits


def test_a_packed_tensor_of_a_wrong_shape_has_no_known_number_of_values(tmp_path: Path) -> None:
    found = of(tmp_path, matrix(qweight=(I32, (3, 5)), qzeros=(I32, (7, 11)), scales=(F16, (2, 2))))
    assert [each.n_values for each in found.tensors if each.n_values != 0] == [None]


ENDINGS = (
    *("weight", "bias", "qweight", "qzeros", "scales", "biases", "g_idx", "weight_scale", "weight_scale_inv"),
    *("weight_packed", "weight_global_scale", "weight_scale_2", "SCB", "weight.absmax", "weight.quant_map"),
)


@st.composite
def headers(draw: st.DrawFn) -> dict[str, Any]:
    """Headers that are right in themselves, whose tensors need not go together."""
    found: dict[str, Any] = {}
    end = 0
    for stem, ending in draw(st.sets(st.tuples(st.sampled_from("ab"), st.sampled_from(ENDINGS)), max_size=8)):
        dtype = draw(st.sampled_from(("F32", "F16", "BF16", "U8", "I8", "I32", "U32", "F8_E4M3", "F8_E8M0")))
        shape = draw(st.lists(st.sampled_from((0, 1, 2, 8, 16, 32, 64, 128, 1 << 40)), max_size=4))
        n_bytes = prod(shape) * DTYPE_BITS[dtype] // 8
        if end + n_bytes < 1 << 62:
            name = f"model.layers.0.self_attn.{stem}.{ending}"
            found[name] = {"dtype": dtype, "shape": shape, "data_offsets": [end, end + n_bytes]}
            end += n_bytes
    return found


@given(headers())
@settings(max_examples=300)
def test_any_tensors_are_sorted(header: dict[str, Any]) -> None:
    text = json.dumps(header).encode()
    with TemporaryDirectory() as directory:
        path = Path(directory) / "model.safetensors"
        path.write_bytes(len(text).to_bytes(8, "little") + text)
        found = contents(read(path))
        table, formats = stored(found)
    n_bytes = sum(each["data_offsets"][1] - each["data_offsets"][0] for each in header.values())
    assert found.n_bytes == n_bytes
    for each in (table, formats):
        assert sum(int(str(row["bytes"])) for row in each.rows) == n_bytes
        assert sum(int(str(row["tensors"])) for row in each.rows) == len(header)


# What can stand in a part of our modules, by the start of its path inside a layer or the model.
PLACES = {
    "embedding.": {"embedding"},
    "position_embedding.": {"embedding"},
    "layer_embedding.": {"embedding"},
    "head.": {"head", "norms"},
    "final_norm.": {"norms"},
    "norms.": {"norms"},
    "attention.": {"attention", "norms"},
    "ffn.": {"feed-forward", "experts", "shared experts", "router", "norms"},
}


@pytest.mark.parametrize("name", sorted(name for name in FAMILIES if name not in UNNAMED))
def test_every_tensor_of_a_family_stands_where_the_model_has_it(name: str, tmp_path: Path) -> None:
    models = pair(Case(name, 0))
    models.theirs.save_pretrained(tmp_path)
    plan = llmarch.reconcile(models.ours.spec, tmp_path).plan
    found = {each.stored.name: each for each in contents(read(tmp_path)).tensors}
    assert len(found) == len(plan.assigned)
    for each in plan.assigned:
        own = found[each.stored.name]
        assert own.n_values == each.n_values
        assert own.component in COMPONENTS
        for target in each.targets:
            inside = re.sub(r"^(?:mtp\.\d+\.block|layers\.\d+)\.", "", target.name)
            place = next((place for place in PLACES if inside.startswith(place)), None)
            if place is not None:
                assert own.component in PLACES[place], (each.stored.name, target.name)
            if "norm" in target.name.rpartition(".")[0]:
                assert own.component == "norms", each.stored.name
            if target.name in {f"{path}.weight" for path in experts(models.ours)}:
                assert own.component == "experts", each.stored.name


def experts(model: Model) -> set[str]:
    return {path for path, module in model.named_modules() if isinstance(module, ExpertStack)}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("model.embed_tokens.weight", "embedding"),
        ("transformer.wpe.weight", "embedding"),
        ("per_layer_token_embd.weight", "embedding"),
        ("model.layers.0.self_attn.q_norm.weight", "norms"),
        ("token_embd_norm.weight", "norms"),
        ("h.0.ln_1.bias", "norms"),
        ("h.0.attn.c_attn.weight", "attention"),
        ("h.0.attn.bias", "other"),
        ("blk.0.attn_kv_a_mqa.weight", "attention"),
        ("blk.0.attn_kv_a_norm.weight", "norms"),
        ("backbone.layers.0.mixer.in_proj.weight", "attention"),
        ("backbone.layers.0.mixer.up_proj.weight", "feed-forward"),
        ("model.layers.0.mlp.gate_proj.weight", "feed-forward"),
        ("model.layers.0.mlp.gate.weight", "router"),
        ("model.layers.0.mlp.gate.e_score_correction_bias", "router"),
        ("model.layers.0.mlp.shared_expert_gate.weight", "router"),
        ("model.layers.0.mlp.shared_expert.up_proj.weight", "shared experts"),
        ("model.layers.0.block_sparse_moe.experts.7.w1.weight", "experts"),
        ("blk.0.ffn_gate_exps.weight", "experts"),
        ("blk.0.ffn_gate_inp.weight", "router"),
        ("lm_head.weight", "head"),
        ("output.weight", "head"),
        ("output_norm.weight", "norms"),
        ("rope_freqs.weight", "other"),
        ("model.visual.blocks.0.attn.qkv.weight", "other"),
        ("vision_tower.encoder.layers.0.self_attn.q_proj.weight", "other"),
        ("something.else", "other"),
    ],
)
def test_components_by_name(name: str, expected: str) -> None:
    assert component(name) == expected


def test_what_is_no_file_of_weights(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"")
    with pytest.raises(InputError, match="not a file of weights"):
        read(tmp_path / "model.bin")
    for absent in ("model.safetensors", "model.safetensors.index.json", "model.gguf", "model"):
        with pytest.raises(InputError, match=r"[Nn]o such file|no such directory"):
            read(tmp_path / absent)
