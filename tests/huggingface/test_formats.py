"""Packed checkpoints: recognised, counted as values, and every wrong shape found. Shapes are those of the libraries."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import pytest
import torch
from checkpoints import Tensors, write_headers
from safetensors.torch import save_file

import llmarch_cli as llmarch
from llmarch_cli.huggingface.dequantise import UNPACK
from llmarch_cli.huggingface.formats import FORMATS
from llmarch_cli.report.checkpoint import reconciled

# Widths that groups of 128 and 64 do not divide.
D_MODEL, D_FF = 160, 224
SPEC = llmarch.ModelSpec.model_validate(
    {
        "name": "packed",
        "d_model": D_MODEL,
        "n_layers": 2,
        "vocab_size": 50,
        "attention": {"kind": "gqa", "n_heads": 3, "n_kv_heads": 1, "head_dim": 32},
        "ffn": {"kind": "dense", "d_ff": D_FF},
    }
)
MATRICES = {
    "self_attn.q_proj": (96, D_MODEL),
    "self_attn.k_proj": (32, D_MODEL),
    "self_attn.v_proj": (32, D_MODEL),
    "self_attn.o_proj": (D_MODEL, 96),
    "mlp.gate_proj": (D_FF, D_MODEL),
    "mlp.up_proj": (D_FF, D_MODEL),
    "mlp.down_proj": (D_MODEL, D_FF),
}
N_PACKED = 2 * sum(d_out * d_in for d_out, d_in in MATRICES.values())
PARAMS = llmarch.profile(SPEC, engine="closed-form").params
AT = "model.layers.1.mlp.down_proj"


@dataclass(frozen=True)
class Case:
    """The tensors of a packed matrix (d_out, d_in) by the end of their names, and how a report names the format."""

    named: str
    tensors: Callable[[int, int], Tensors]
    settings: dict[str, Any]
    method: str


def gptq(bits: int, group: int) -> Case:
    def tensors(d_out: int, d_in: int) -> Tensors:
        n_groups = ceil(d_in / group)
        return {
            ".qweight": ("I32", (d_in // 32 * bits, d_out)),
            ".qzeros": ("I32", (n_groups, d_out // 32 * bits)),
            ".scales": ("F16", (n_groups, d_out)),
            ".g_idx": ("I32", (d_in,)),
        }

    words = "one group per row" if group > D_FF else f"groups of {group}"
    settings = {"bits": bits, "group_size": -1 if group > D_FF else group}
    return Case(f"GPTQ, {bits} bits, {words}", tensors, settings, "gptq")


def awq(d_out: int, d_in: int) -> Tensors:
    n_groups = ceil(d_in / 32)
    return {
        ".qweight": ("I32", (d_in, d_out // 8)),
        ".qzeros": ("I32", (n_groups, d_out // 8)),
        ".scales": ("F16", (n_groups, d_out)),
    }


def awq_gemv(d_out: int, d_in: int) -> Tensors:
    n_words = ceil(ceil(d_in // 32 / 8) / 4) * 4
    return {
        ".qweight": ("I32", (d_out, d_in // 8)),
        ".qzeros": ("I32", (d_out, n_words)),
        ".scales": ("F16", (d_out, 8 * n_words)),
    }


def pack_quantized(bits: int, group: int, symmetric: bool) -> Case:
    per_word = 32 // bits

    def tensors(d_out: int, d_in: int) -> Tensors:
        n_groups = ceil(d_in / group)
        found: Tensors = {
            ".weight_packed": ("I32", (d_out, ceil(d_in / per_word))),
            ".weight_scale": ("BF16", (d_out, n_groups)),
            ".weight_shape": ("I64", (2,)),
        }
        if not symmetric:
            found[".weight_zero_point"] = ("I32", (ceil(d_out / per_word), n_groups))
        return found

    words = "one group per row" if group > D_FF else f"groups of {group}"
    weights = {"num_bits": bits, "strategy": "group", "group_size": group}
    if group > D_FF:
        weights |= {"strategy": "channel", "group_size": None}
    groups = {"group_0": {"targets": ["Linear"], "weights": weights, "input_activations": {"num_bits": 16}}}
    named = f"compressed-tensors pack-quantized, {bits} bits, {words}"
    return Case(named, tensors, {"config_groups": groups}, "compressed-tensors")


def eight_bits(
    dtype: str, scale: str, shape: Callable[[int, int], tuple[int, ...]], scale_dtype: str = "F32", **more: str
) -> Callable[[int, int], Tensors]:
    return lambda d_out, d_in: {
        ".weight": (dtype, (d_out, d_in)),
        scale: (scale_dtype, shape(d_out, d_in)),
        **{f".{name}": (of, shape(d_out, d_in) if name == "weight_zero_point" else ()) for name, of in more.items()},
    }


def bitsandbytes(nested: bool, storage: str = "U8") -> Callable[[int, int], Tensors]:
    n_halves = {"U8": 2, "BF16": 4}[storage]

    def tensors(d_out: int, d_in: int) -> Tensors:
        n_blocks = ceil(d_out * d_in / 64)
        found: Tensors = {
            ".weight": (storage, (d_out * d_in // n_halves, 1)),
            ".weight.absmax": ("U8" if nested else "F32", (n_blocks,)),
            ".weight.quant_map": ("F32", (16,)),
            ".weight.quant_state.bitsandbytes__nf4": ("U8", (90,)),
        }
        if nested:
            found[".weight.nested_absmax"] = ("F32", (ceil(n_blocks / 256),))
            found[".weight.nested_quant_map"] = ("F32", (256,))
        return found

    return tensors


def fp4(
    ending: str, group: int, scale_dtype: str, *scalars: str, scalar: tuple[int, ...] = ()
) -> Callable[[int, int], Tensors]:
    return lambda d_out, d_in: {
        ending: ("U8", (d_out, d_in // 2)),
        ".weight_scale": (scale_dtype, (d_out, d_in // group)),
        **dict.fromkeys(scalars, ("F32", scalar)),
    }


def mlx(d_out: int, d_in: int) -> Tensors:
    per_group = (d_out, ceil(d_in / 32))
    return {".weight": ("U32", (d_out, d_in // 8)), ".scales": ("BF16", per_group), ".biases": ("BF16", per_group)}


def one(d_out: int, d_in: int) -> tuple[int, ...]:
    return ()


def a_row(d_out: int, d_in: int) -> tuple[int, ...]:
    return (d_out, 1)


def a_block(d_out: int, d_in: int) -> tuple[int, ...]:
    return (ceil(d_out / 128), ceil(d_in / 128))


CT = "compressed-tensors"
CASES = [
    gptq(4, 128),
    gptq(8, 32),
    gptq(3, 64),
    gptq(2, 1 << 20),
    Case("AWQ 4-bit, groups of 32", awq, {"bits": 4, "group_size": 32, "version": "gemm"}, "awq"),
    Case("AWQ 4-bit (gemv), groups of 32", awq_gemv, {"bits": 4, "group_size": 32, "version": "gemv"}, "awq"),
    pack_quantized(4, 128, symmetric=True),
    pack_quantized(4, 32, symmetric=False),
    pack_quantized(8, 1 << 20, symmetric=True),
    Case("fp8 per tensor", eight_bits("F8_E4M3", ".weight_scale", one, input_scale="F32"), {}, CT),
    Case("fp8 per tensor", eight_bits("F8_E4M3", ".weight_scale_inv", one, activation_scale="F32"), {}, "fp8"),
    Case("fp8 per channel", eight_bits("F8_E4M3", ".weight_scale", a_row, input_scale_ub="F32"), {}, "fbgemm_fp8"),
    Case("fp8 in 128 x 128 blocks", eight_bits("F8_E4M3", ".weight_scale_inv", a_block), {}, "fp8"),
    Case("fp8 in 128 x 128 blocks", eight_bits("F8_E4M3", ".weight_scale", a_block), {}, CT),
    Case("int8 per channel", eight_bits("I8", ".weight_scale", a_row), {}, CT),
    Case("int8 per tensor", eight_bits("I8", ".weight_scale", one, input_scale="F32", input_zero_point="I8"), {}, CT),
    Case("int8 per channel with zero points", eight_bits("I8", ".weight_scale", a_row, weight_zero_point="I8"), {}, CT),
    Case(
        "bitsandbytes 8-bit",
        eight_bits("I8", ".SCB", lambda d_out, _: (d_out,), weight_format="U8"),
        {},
        "bitsandbytes",
    ),
    Case("bitsandbytes 4-bit nf4, groups of 64", bitsandbytes(nested=False), {}, "bitsandbytes"),
    Case("bitsandbytes 4-bit nf4, groups of 64", bitsandbytes(nested=False, storage="BF16"), {}, "bitsandbytes"),
    Case("bitsandbytes 4-bit nf4, double quantised, groups of 64", bitsandbytes(nested=True), {}, "bitsandbytes"),
    Case("NVFP4 (modelopt)", fp4(".weight", 16, "F8_E4M3", ".weight_scale_2", ".input_scale"), {}, "modelopt"),
    Case(
        "NVFP4 (compressed-tensors)",
        fp4(".weight_packed", 16, "F8_E4M3", ".weight_global_scale", ".input_global_scale", scalar=(1,)),
        {},
        CT,
    ),
    Case("MXFP4 (compressed-tensors)", fp4(".weight_packed", 32, "U8"), {}, CT),
    Case("MXFP8", eight_bits("F8_E4M3", ".weight_scale", lambda o, i: (o, i // 32), "U8"), {}, "modelopt"),
    Case("MLX, 4 bits, groups of 32", mlx, {"bits": 4, "group_size": 32}, "mlx"),
]
IDS = [f"{number}: {case.named}" for number, case in enumerate(CASES)]


def plain() -> Tensors:
    found: Tensors = {
        "model.embed_tokens.weight": ("BF16", (50, D_MODEL)),
        "model.norm.weight": ("BF16", (D_MODEL,)),
        "lm_head.weight": ("BF16", (50, D_MODEL)),
    }
    for layer in range(2):
        for norm in ("input_layernorm", "post_attention_layernorm"):
            found[f"model.layers.{layer}.{norm}.weight"] = ("BF16", (D_MODEL,))
    return found


def packed(case: Case) -> Tensors:
    found = plain()
    for layer in range(2):
        for name, (d_out, d_in) in MATRICES.items():
            for ending, stored in case.tensors(d_out, d_in).items():
                found[f"model.layers.{layer}.{name}{ending}"] = stored
    return found


def write_config(
    directory: Path, method: str | None, settings: dict[str, Any], key: str = "quantization_config"
) -> None:
    config = {key: settings if method is None else {"quant_method": method, **settings}}
    (directory / "config.json").write_text(json.dumps(config))


def faults(tensors: Tensors, directory: Path) -> tuple[str, ...]:
    write_headers(tensors, directory)
    found = llmarch.reconcile(SPEC, directory)
    assert found.ok is not bool(found.plan.faults)
    return found.plan.faults


@pytest.mark.parametrize("config", ["config", "no config"])
@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_values_are_counted_and_the_format_is_named(case: Case, config: str, tmp_path: Path) -> None:
    tensors = packed(case)
    write_headers(tensors, tmp_path)
    if config == "config":
        write_config(tmp_path, case.method, case.settings)
    found = llmarch.reconcile(SPEC, tmp_path)
    assert found.ok, found.plan.faults[:3]
    assert found.stored.pop("model")[0] == PARAMS
    assert found.plan.formats == {case.named: (14, N_PACKED)}
    assert not found.plan.notes
    assert all(case.named.startswith(name.rsplit(" of ", 1)[1]) for name in found.stored)
    assert sum(n for _, n in found.stored.values()) == len(tensors) - len(plain()) - 14


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_every_wrong_shape_is_a_fault(case: Case, tmp_path: Path) -> None:
    tensors = packed(case)
    tried = 0
    for ending, (dtype, shape) in case.tensors(*MATRICES["mlp.down_proj"]).items():
        if "quant_state" in ending:
            continue  # a text of any length
        wrong = [(*shape[:dim], width + by, *shape[dim + 1 :]) for dim, width in enumerate(shape) for by in (1, width)]
        wrong += [(*shape, 2), (3, *shape)]
        for other in wrong:
            found = faults({**tensors, AT + ending: (dtype, other)}, tmp_path)
            assert found, f"{ending} {other} in place of {shape}"
            assert any(repr(AT + ending) in line for line in found)
            tried += 1
    assert tried >= 6


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_a_format_without_its_scales_is_a_fault(case: Case, tmp_path: Path) -> None:
    tensors = packed(case)
    scales = next(name for name in case.tensors(1, 1) if "scale" in name or "absmax" in name or "SCB" in name)
    del tensors[AT + scales]
    first = next(iter(case.tensors(1, 1)))
    found = faults(tensors, tmp_path)
    assert any(line.startswith(f"'{AT}{first}'") for line in found), found
    assert len(found) <= len(case.tensors(1, 1))


def test_a_mixture_of_formats(tmp_path: Path) -> None:
    """Attention in one format and the feed-forward layer in another, as mixed precision is published."""
    tensors = plain()
    for layer in range(2):
        for name, shape in MATRICES.items():
            case = next(c for c in CASES if c.named == ("fp8 per channel" if "attn" in name else "NVFP4 (modelopt)"))
            tensors |= {f"model.layers.{layer}.{name}{end}": stored for end, stored in case.tensors(*shape).items()}
    write_headers(tensors, tmp_path)
    found = llmarch.reconcile(SPEC, tmp_path)
    assert found.ok
    assert {name: n for name, (n, _) in found.plan.formats.items()} == {"fp8 per channel": 8, "NVFP4 (modelopt)": 6}


class TestConfig:
    """A config.json narrows the packing. What it does not state is the same for all matrices."""

    def mixed(self) -> Tensors:
        """All matrices in groups of 64, one in 8 bits and groups of 32."""
        return packed(gptq(4, 64)) | {AT + ending: of for ending, of in gptq(8, 32).tensors(D_MODEL, D_FF).items()}

    def test_a_matrix_of_its_own_packing_needs_a_config(self, tmp_path: Path) -> None:
        found = faults(self.mixed(), tmp_path)
        assert found
        assert all("in GPTQ, 4 bits, groups of 64, to fill layers.1.ffn.down_proj.weight" in line for line in found)
        overrides = {"+:.*down_proj": {"bits": 8, "group_size": 32}}
        write_config(tmp_path, "gptq", {"bits": 4, "group_size": 64, "dynamic": overrides})
        assert not faults(self.mixed(), tmp_path)

    def test_another_group_size_than_stated(self, tmp_path: Path) -> None:
        write_config(tmp_path, "gptq", {"bits": 4, "group_size": 128})
        found = faults(packed(gptq(4, 64)), tmp_path)
        assert f"'{AT}.scales' [4, 160] should be [2, 160], in GPTQ, 4 bits, groups of 128, to fill" in "\n".join(found)

    def test_a_group_size_that_only_a_config_can_tell(self, tmp_path: Path) -> None:
        assert faults(packed(gptq(4, 48)), tmp_path)
        write_config(tmp_path, "gptq", {"bits": 4, "group_size": 48})
        assert not faults(packed(gptq(4, 48)), tmp_path)

    @pytest.mark.parametrize("key", ["quantization", "quantization_config"])
    def test_mlx(self, key: str, tmp_path: Path) -> None:
        write_config(tmp_path, None, {"bits": 4, "group_size": 64}, key)
        assert faults(packed(next(case for case in CASES if case.method == "mlx")), tmp_path)

    @pytest.mark.parametrize(
        ("method", "note"),
        [
            ("awq", "config.json names the format 'awq', but the tensors are GPTQ."),
            ("hqq", "config.json names the format 'hqq', which is not known."),
            ("gptq", None),
        ],
    )
    def test_another_format_than_stated(self, method: str, note: str | None, tmp_path: Path) -> None:
        write_headers(packed(CASES[0]), tmp_path)
        write_config(tmp_path, method, {})
        found = llmarch.reconcile(SPEC, tmp_path)
        assert found.ok
        assert found.plan.notes == (() if note is None else (note,))
        assert reconciled(found)[0].notes[1:] == found.plan.notes

    def test_whatever_a_config_states(self, tmp_path: Path) -> None:
        """Values of any kind where bits and group sizes are read: counted, or faults that are named."""
        write_headers(packed(gptq(4, 64)), tmp_path)
        odd: tuple[Any, ...] = (None, True, 0, -1, 4, 64, 10**30, 2.5, "4", [4], {}, {"bits": 4, "group_size": 64})
        n_right = 0
        for bits in odd:
            for group in odd:
                write_config(tmp_path, "gptq", {"bits": bits, "group_size": group})
                found = llmarch.reconcile(SPEC, tmp_path)
                assert found.ok or found.plan.misshapen
                n_right += found.ok
        assert 0 < n_right < len(odd) ** 2

    def test_a_broken_config_is_an_error(self, tmp_path: Path) -> None:
        write_headers(packed(CASES[0]), tmp_path)
        (tmp_path / "config.json").write_text("{")
        with pytest.raises(llmarch.InputError, match=r"config\.json: it is not valid JSON"):
            llmarch.reconcile(SPEC, tmp_path)


def test_scales_of_the_cache_are_no_fault(tmp_path: Path) -> None:
    tensors = packed(CASES[9])
    own: Tensors = {
        f"model.layers.{n}.self_attn.{name}": ("F32", ()) for n in (0, 1) for name in ("k_scale", "v_scale")
    }
    assert not faults(tensors | own, tmp_path)
    assert llmarch.reconcile(SPEC, tmp_path).stored["scales of the KV cache"] == (4, 4)
    modelopt: Tensors = {f"model.layers.0.self_attn.{part}_proj.{part}_scale": ("F32", ()) for part in "kv"}
    assert not faults(tensors | modelopt, tmp_path)
    assert faults(tensors | {"model.layers.0.self_attn.k_scale": ("F32", (3,))}, tmp_path)


def test_an_unknown_packing_is_named_by_its_dtype(tmp_path: Path) -> None:
    tensors = {**packed(CASES[0]), "model.norm.weight": ("I64", (D_MODEL,))}
    assert faults(tensors, tmp_path) == ("'model.norm.weight' [160] is stored as I64, in no known format",)


def test_what_is_unpacked_is_a_format() -> None:
    assert UNPACK.keys() <= {each.name for each in FORMATS}


def test_a_report_lists_the_formats(tmp_path: Path) -> None:
    for case, loads in ((CASES[0], False), (CASES[9], True)):
        write_headers(packed(case), tmp_path)
        table = next(table for table in reconciled(llmarch.reconcile(SPEC, tmp_path)) if table.name == "formats")
        assert table.rows == ({"format": case.named, "tensors": 14, "values": N_PACKED, "loads": loads},)
    write_headers(plain(), tmp_path)
    assert "formats" not in [table.name for table in reconciled(llmarch.reconcile(SPEC, tmp_path))]


def save(tensors: Tensors, directory: Path) -> dict[str, torch.Tensor]:
    """A file with random data."""
    torch_dtypes = {"I32": torch.int32, "I8": torch.int8, "F8_E4M3": torch.float8_e4m3fn, "F16": torch.float16}
    generator = torch.Generator().manual_seed(0)
    found = {}
    for name, (dtype, shape) in tensors.items():
        of = torch_dtypes.get(dtype, torch.float32)
        found[name] = torch.randint(-9, 9, shape, generator=generator).to(of)
        if "scale" in name:
            found[name] = torch.rand(shape, generator=generator)
    save_file(found, directory / "model.safetensors")
    return found


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.named in UNPACK and "block" not in case.named], ids=lambda case: case.named
)
def test_8_bit_matrices_load_as_products(case: Case, tmp_path: Path) -> None:
    tensors = save(packed(case), tmp_path)
    loaded = llmarch.load_checkpoint(SPEC, tmp_path, dtype=torch.float64)
    for name, ours in (("self_attn.q_proj", "attention.q_proj"), ("mlp.down_proj", "ffn.down_proj")):
        values = tensors[f"model.layers.1.{name}.weight"].float()
        scale = next(of for key, of in tensors.items() if key.startswith(f"model.layers.1.{name}.weight_scale"))
        for row, (mine, theirs) in enumerate(zip(loaded.get_parameter(f"layers.1.{ours}.weight"), values, strict=True)):
            factor = scale.flatten()[row if scale.numel() > 1 else 0]
            assert torch.equal(mine, (theirs * factor).double())


def test_a_format_that_is_only_counted_is_an_error_that_names_it(tmp_path: Path) -> None:
    save(packed(CASES[0]), tmp_path)
    with pytest.raises(llmarch.InputError) as error:
        llmarch.load_checkpoint(SPEC, tmp_path)
    assert "GPTQ, 4 bits, groups of 128 cannot be unpacked" in str(error.value)
    assert "`llmarch verify MODEL --checkpoint PATH` counts its values" in str(error.value)
