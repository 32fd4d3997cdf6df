"""Weights as stored: bytes equal those of tensors that are really packed, and of published files."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from math import ceil, prod
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from strategies import specs, weight_formats
from torch import Tensor

import llmarch_cli as llmarch
from llmarch_cli.components.ffn import MixtureOfExperts
from llmarch_cli.errors import CheckError, InputError
from llmarch_cli.huggingface.formats import FORMATS as RECOGNISED
from llmarch_cli.huggingface.formats import Packing, possible
from llmarch_cli.huggingface.headers import DTYPE_BITS
from llmarch_cli.modules.builder import build
from llmarch_cli.profilers import measured
from llmarch_cli.profilers.cost import ENGINES, Workload
from llmarch_cli.profilers.mixes import more_bits
from llmarch_cli.profilers.profile import profile
from llmarch_cli.profilers.storage import places, stored_parts, weight_bytes
from llmarch_cli.specs.encodings import GGML, Blocks, MisfitError, Scaled, shard_bytes
from llmarch_cli.specs.spec import ModelSpec
from llmarch_cli.specs.storage import FORMATS, checked, fits, format_of

torch.set_num_threads(1)  # tensors are small: threads would only wait for each other

GIB = 2**30

GQA = {"kind": "gqa", "n_heads": 4, "n_kv_heads": 2, "head_dim": 32}
DENSE = {"kind": "dense", "d_ff": 512}
MOE = {"kind": "moe", "n_experts": 3, "top_k": 2, "d_ff": 256, "shared_expert": DENSE}


def tiny(attention: Any = GQA, ffn: Any = DENSE, **fields: Any) -> ModelSpec:
    sizes = {"name": "tiny", "d_model": 256, "n_layers": 2, "vocab_size": 96}
    return ModelSpec.model_validate({**sizes, "attention": attention, "ffn": ffn, **fields})


# --- what is published ----------------------------------------------------------------------------------------------


def test_gpt_oss() -> None:
    assert weight_bytes(llmarch.load("gpt-oss-120b"), "native") == 65_248_815_744
    assert f"{weight_bytes(llmarch.load('gpt-oss-20b'), 'native') / GIB:.2f}" == "12.82"
    # llama.cpp prints these of its MXFP4 file.
    as_gguf = llmarch.profile("gpt-oss-120b", weights="mxfp4_moe", engine="closed-form")
    assert f"{as_gguf.weight_bytes / GIB:.2f} {float(as_gguf.bits_per_weight):.2f}" == "59.02 4.34"


def test_deepseek_v3() -> None:
    spec = llmarch.load("deepseek-v3")
    n_values, n_bytes, n_scales = {1: 0, 2: 0}, 0, 0
    for place, total in stored_parts(spec, "native"):  # the prediction block's too
        params = place.params * place.item.count
        n_values[2 if total == 2 * params else 1] += params
        n_bytes += total
        n_scales += 0 if total == 2 * params else (total - params) // 4
    copies = 2 * 129_280 * 7168  # of embedding and head, in the prediction block
    biases = 59 * 256  # of routers: buffers here, in float32
    assert n_scales == 41_540_496
    assert (n_values[1], n_values[2] + copies) == (680_571_043_840, 3_918_786_560)  # fp8 and bf16
    assert sum(n_values.values()) + copies + biases + n_scales == 684_531_386_000  # as the Hub counts the checkpoint
    headers = 688_586_727_753 - (n_bytes + 2 * copies + 4 * biases)
    assert 0 < headers < 12_000_000


def test_deepseek_v4_flash() -> None:
    # The sum of its checkpoint's tensors, without the prediction block, the tables of hashed tokens and router biases.
    assert weight_bytes(llmarch.load("deepseek-v4-flash"), "native") == 155_997_040_860


@pytest.mark.parametrize(
    ("model", "name", "file", "metadata"),
    [  # bytes of published files; of these up to 8 MB are tokens and headers
        ("llama3.1-8b", "q4_k_m", 4_920_734_272, 8_000_000),
        ("llama3.1-8b", "q5_k_m", 5_730_000_000, 10_000_000),
        ("llama3.1-8b", "q8_0", 8_540_000_000, 13_000_000),
        ("llama3.1-70b", "q4_k_m", 42_520_000_000, 13_000_000),
        ("deepseek-v3", "q4_k_m", 404_430_000_000, 100_000_000),
    ],
)
def test_files_of_llama_cpp(model: str, name: str, file: int, metadata: int) -> None:
    found = weight_bytes(llmarch.load(model), name)
    assert 0 < file - found < metadata
    assert (file - found) / file < 0.005


def test_llama_cpp_prints_the_same_bits_a_weight() -> None:
    found = llmarch.profile("llama3.1-8b", weights="q4_k_m", engine="closed-form")
    assert f"{found.weight_bytes / GIB:.2f} {float(found.bits_per_weight):.2f}" == "4.58 4.89"


def test_a_model_without_a_format_of_its_own_is_in_bf16() -> None:
    found = llmarch.profile("qwen3-8b", weights="native", engine="closed-form")
    assert (found.weight_format, found.weight_bytes) == ("bf16", 2 * found.params)


# --- tensors that are packed ----------------------------------------------------------------------------------------


def padded(matrix: Tensor, rows: int, columns: int) -> Tensor:
    d_out, d_in = matrix.shape
    whole = matrix.new_zeros(d_out + -d_out % rows, d_in + -d_in % columns)
    whole[:d_out, :d_in] = matrix
    return whole


def scales_of(matrix: Tensor, rows: int, columns: int) -> Tensor:
    """The largest magnitude of each block."""
    whole = padded(matrix, rows, columns).abs()
    n_down, n_across = whole.shape[0] // rows, whole.shape[1] // columns
    return whole.view(n_down, rows, n_across, columns).amax(dim=(1, 3))


def as_words(values: Tensor, bits: int) -> Tensor:
    """Whole numbers of a row in int32 words, the last one padded."""
    each = 32 // bits
    whole = padded(values, 1, each).long()
    return (whole.view(len(whole), -1, each) << torch.arange(0, 32, bits)).sum(-1).to(torch.int32)


def as_bytes(values: Tensor) -> Tensor:
    pairs = values.to(torch.uint8).view(len(values), -1, 2)
    low, high = pairs.unbind(-1)
    return low + 16 * high


def digits(matrix: Tensor, bits: int, columns: int) -> Tensor:
    scales: Tensor = scales_of(matrix, 1, columns).repeat_interleave(columns, 1)
    return ((matrix / scales + 1) / 2).mul(2**bits - 1).round()


def gptq(matrix: Tensor, bits: int = 4) -> Iterator[Tensor]:
    yield as_words(digits(matrix, bits, 128), bits).T
    scales = scales_of(matrix, 1, 128).T.half()
    yield scales
    yield as_words(torch.full(scales.shape, 7), bits)
    yield torch.arange(matrix.shape[1], dtype=torch.int32) // 128


def awq(matrix: Tensor) -> Iterator[Tensor]:
    yield as_words(digits(matrix, 4, 128).T, 4)
    scales = scales_of(matrix, 1, 128).T.half()
    yield from (scales, as_words(torch.full(scales.shape, 7), 4))


def fp8(rows: int | None, columns: int | None, dtype: torch.dtype) -> Callable[[Tensor], Iterator[Tensor]]:
    def packed(matrix: Tensor) -> Iterator[Tensor]:
        yield matrix.to(torch.float8_e4m3fn)
        yield scales_of(matrix, rows or matrix.shape[0], columns or matrix.shape[1]).to(dtype)

    return packed


def nf4(matrix: Tensor) -> Iterator[Tensor]:
    flat = matrix.reshape(1, -1)
    yield as_bytes(padded(digits(padded(flat, 1, 64), 4, 64)[:, : flat.shape[1]], 1, 2))
    absmax = scales_of(flat, 1, 64)
    yield from (absmax.to(torch.uint8), scales_of(absmax, 1, 256), torch.zeros(16), torch.zeros(256))


PACKED: dict[str, Callable[[Tensor], Iterator[Tensor]]] = {
    "fp8": fp8(None, None, torch.float32),
    "fp8-channel": fp8(1, None, torch.float32),
    "fp8-row": fp8(1, None, torch.bfloat16),
    "fp8-block": fp8(128, 128, torch.float32),
    "fp8-block-e8m0": fp8(128, 128, torch.float8_e8m0fnu),
    "mxfp8": fp8(1, 32, torch.float8_e8m0fnu),
    "int8": lambda matrix: iter(
        (digits(matrix, 7, matrix.shape[1]).char(), scales_of(matrix, 1, matrix.shape[1]).half())
    ),
    "bnb-int8": lambda matrix: iter(
        (
            digits(matrix, 7, matrix.shape[1]).char(),
            scales_of(matrix, 1, matrix.shape[1]),
            torch.zeros((), dtype=torch.uint8),
        )
    ),
    "gptq-int4": gptq,
    "gptq-int8": lambda matrix: gptq(matrix, 8),
    "awq-int4": awq,
    "int4": lambda matrix: iter(
        (
            as_words(digits(matrix, 4, 128), 4),
            scales_of(matrix, 1, 128).bfloat16(),
            torch.tensor(matrix.shape, dtype=torch.int32),
        )
    ),
    "mxfp4": lambda matrix: iter((as_bytes(digits(matrix, 4, 32)), scales_of(matrix, 1, 32).to(torch.uint8))),
    "nvfp4": lambda matrix: iter(
        (
            as_bytes(digits(matrix, 4, 16)),
            scales_of(matrix, 1, 16).to(torch.float8_e4m3fn),
            torch.ones(()),
            torch.ones(()),
        )
    ),
    "bnb-nf4": nf4,
    "mlx-4bit": lambda matrix: iter(
        (as_words(digits(matrix, 4, 64), 4), *(scales_of(matrix, 1, 64).bfloat16() for _ in range(2)))
    ),
    "mlx-8bit": lambda matrix: iter(
        (as_words(digits(matrix, 8, 64), 8), *(scales_of(matrix, 1, 64).bfloat16() for _ in range(2)))
    ),
}
GROUPED = frozenset({"gptq-int4", "gptq-int8", "awq-int4", "int4", "mxfp4", "mxfp8", "nvfp4", "mlx-4bit", "mlx-8bit"})
IN_LAYERS = re.compile(r"layers\.\d+\.(attention|ffn)\..+\.weight")
EVERYWHERE = re.compile(rf"{IN_LAYERS.pattern}|embedding\.tokens\.weight|head\.lm_head\.weight")


def checkpoint(spec: ModelSpec, name: str) -> dict[str, Tensor]:
    """The tensors of a model in a format: its matrices packed, the others in bfloat16."""
    pack, chosen = PACKED[name], EVERYWHERE if name.startswith("mlx") else IN_LAYERS
    tensors = {}
    for key, values in build(spec, device="cpu").named_parameters():
        of_experts = values.ndim == 3
        plain = values.ndim < 2 or "norm" in key or "router" in key or not chosen.fullmatch(key)
        if plain or (name == "mxfp4" and isinstance(spec.ffn, MixtureOfExperts) and not of_experts):
            tensors[key] = values.detach().bfloat16()
        else:
            matrices = values.detach().flatten(0, -3) if of_experts else values.detach()[None]
            for number, matrix in enumerate(matrices):
                for which, tensor in enumerate(pack(matrix)):
                    tensors[f"{key}.{number}.{which}"] = tensor.contiguous()
    return tensors


@st.composite
def small_specs(draw: st.DrawFn, whole_groups: bool) -> ModelSpec:
    """Specs of few values; their widths are multiples of 128, or any."""
    width = st.sampled_from((128, 256, 384) if whole_groups else (16, 72, 130, 256, 258))
    head_dim = 128 if whole_groups else draw(st.sampled_from((8, 34, 64)))
    n_kv_heads = draw(st.integers(1, 2))
    attention = {
        "kind": "gqa",
        "n_heads": n_kv_heads * draw(st.integers(1, 2)),
        "n_kv_heads": n_kv_heads,
        "head_dim": head_dim,
        "qkv_bias": draw(st.booleans()),
        "sinks": draw(st.booleans()),
        "qk_norm": draw(st.sampled_from((None, "per_head"))),
    }
    dense = {"kind": "dense", "d_ff": draw(width), "gated": draw(st.booleans())}
    moe = {"kind": "moe", "n_experts": draw(st.integers(1, 3)), "top_k": 1, "d_ff": draw(width)}
    moe |= {"shared_expert": draw(st.sampled_from((None, {"kind": "dense", "d_ff": 128}))), "bias": draw(st.booleans())}
    ffn = draw(st.sampled_from((dense, moe)))
    sizes = {"d_model": draw(width), "n_layers": draw(st.integers(1, 2)), "vocab_size": draw(st.integers(1, 40))}
    return tiny(attention, ffn, tie_embeddings=draw(st.booleans()), **sizes)


@pytest.mark.parametrize("name", PACKED)
@settings(max_examples=4)
@given(data=st.data())
def test_a_checkpoint_weighs_what_we_say(name: str, data: st.DataObject, tmp_path_factory: Any) -> None:
    spec = data.draw(small_specs(name in GROUPED))
    tensors = checkpoint(spec, name)
    file: Path = tmp_path_factory.getbasetemp() / f"{name}.safetensors"
    save_file(tensors, file)
    header = 8 + int.from_bytes(file.read_bytes()[:8], "little")
    assert file.stat().st_size - header == weight_bytes(spec, name)


@settings(max_examples=25)
@given(specs())
def test_plain_formats_are_the_measured_parameters(spec: ModelSpec) -> None:
    params = profile(spec, Workload(8), "measured").params
    for name, size in (("bf16", 2), ("fp16", 2), ("fp32", 4)):
        assert weight_bytes(spec, name) == size * params
        assert profile(spec, Workload(8, weights=name), "closed-form").weight_bytes == size * params


@settings(max_examples=40)
@given(specs(), weight_formats())
def test_every_spec_has_bytes_in_every_format_without_groups(spec: ModelSpec, name: str) -> None:
    found = weight_bytes(spec, name)
    assert 0 < found <= 2 * weight_bytes(spec, "fp32") + 1088 * 2**20
    shipped = ModelSpec.model_validate({**spec.model_dump(), "stored": {"format": name}})
    assert weight_bytes(shipped, "native") == found
    for engine in ENGINES:
        assert profile(shipped, Workload(8, weights="native"), engine).weight_bytes == found


# Those of our formats that checkpoints are recognised by, each with the optional tensors that it has.
AS_RECOGNISED = {
    "fp8": ("fp8 per tensor", ()),
    "fp8-channel": ("fp8 per channel", ()),
    "fp8-block": ("fp8 in 128 x 128 blocks", ()),
    "mxfp8": ("MXFP8", ()),
    "gptq-int4": ("GPTQ", (".g_idx",)),
    "awq-int4": ("AWQ 4-bit", ()),
    "mxfp4": ("MXFP4", ()),
    "nvfp4": ("NVFP4 (modelopt)", (".input_scale",)),
}
WIDEST = {"F32", "F16", "I32", "U8", "F8_E4M3", "F8_E8M0"}


@pytest.mark.parametrize("name", AS_RECOGNISED)
@given(st.integers(1, 9).map(lambda n: 8 * n), st.integers(1, 4).map(lambda n: 128 * n))
def test_bytes_are_those_of_the_shapes_that_checkpoints_are_recognised_by(name: str, d_out: int, d_in: int) -> None:
    called, optional = AS_RECOGNISED[name]
    theirs = next(each for each in RECOGNISED if each.name == called)
    ours = format_of(name).encoding
    assert isinstance(ours, Scaled)
    packing = Packing(ours.bits, ours.columns or 0)
    beside = [each for each in theirs.beside if each.required or each.ending in optional]
    total = prod(possible(theirs.stored, (d_out, d_in), packing)[0]) * _bits(theirs.dtypes)
    for each in beside:
        bits = 16 if name in ("gptq-int4", "awq-int4") and each.called == "scales" else _bits(each.dtypes)
        total += prod(possible(each.shapes, (d_out, d_in), packing)[0]) * bits
    assert ours.bytes(d_out, d_in) * 8 == total


def _bits(dtypes: frozenset[str]) -> int:
    return DTYPE_BITS[next(iter(sorted(dtypes & WIDEST, key=("F32", "I32", "F16", "F8_E8M0", "U8", "F8_E4M3").index)))]


def test_blocks_of_gguf_are_those_of_its_own_library() -> None:
    gguf = pytest.importorskip("gguf")
    for name, ours in GGML.items():
        theirs = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[name.upper()]]
        assert (ours.values, ours.size) == theirs


# --- laws -----------------------------------------------------------------------------------------------------------

BY_BITS = (
    ("fp32", "bf16", "fp8-channel"),
    ("gptq-int8", "gptq-int4"),
    ("fp8-block", "fp8-block-e8m0"),
    ("mlx-8bit", "mlx-6bit", "mlx-4bit"),
    ("mxfp8", "nvfp4"),
    ("q8_0", "q6_k", "q5_k", "q4_k", "iq4_xs"),
    ("q5_k_m", "q4_k_m", "q4_k"),
)


@pytest.mark.parametrize("names", BY_BITS)
@settings(max_examples=8)
@given(data=st.data())
def test_more_bits_are_more_bytes(names: tuple[str, ...], data: st.DataObject) -> None:
    spec = data.draw(small_specs(whole_groups=True))
    found = [weight_bytes(spec, name) for name in names]
    assert found == sorted(found, reverse=True)


@pytest.mark.parametrize("name", FORMATS)
def test_shards_take_what_the_whole_takes_and_what_each_has_besides(name: str) -> None:
    """A matrix of 1,024 x 2,048, by 4 shards of its rows or columns."""
    encoding, whole = FORMATS[name].encoding, (1024, 2048)
    each_row, each_column = (0, 0) if isinstance(encoding, Blocks) else (encoding.rows, encoding.columns)
    extra = {(256, 2048): 0, (1024, 512): 0}
    if isinstance(encoding, Scaled) and encoding.scale_bits:
        once = encoding.matrix_bits + (encoding.scale_bits if (each_row, each_column) == (None, None) else 0)
        of_flat = encoding.matrix_bits if encoding.flat_block is not None else once
        by_row = 1024 * encoding.scale_bits if each_row == 1 and each_column is None else 0
        extra = {(256, 2048): of_flat + encoding.column_bits * 2048, (1024, 512): of_flat + by_row}
    for shard, bits in extra.items():
        assert 4 * shard_bytes(encoding, whole, shard) == encoding.bytes(*whole) + 3 * bits // 8


def test_shards_that_cut_what_shares_a_scale_are_refused() -> None:
    for name, shard in (
        ("fp8-block", (64, 2048)),
        ("fp8-block", (1024, 64)),
        ("gptq-int4", (4, 2048)),  # zero points of 8 rows fill a word
        ("awq-int4", (1024, 64)),
        ("mxfp4", (1024, 16)),
        ("q4_k", (1024, 128)),
        ("mlx-4bit", (1024, 32)),
        ("bnb-nf4", (1, 32)),
    ):
        with pytest.raises(MisfitError, match="cut blocks of"):
            shard_bytes(FORMATS[name].encoding, (1024, 2048), shard)
    assert shard_bytes(FORMATS["q4_k"].encoding, (1024, 2048 + 32), (1024, 32)) == 1024 * 22  # llama.cpp takes q5_0


@given(st.integers(1, 2000), st.integers(1, 2000), st.sampled_from(sorted(FORMATS)))
def test_a_matrix_takes_its_bits_and_more(d_out: int, d_in: int, name: str) -> None:
    encoding = FORMATS[name].encoding
    bits = encoding.bits if isinstance(encoding, Scaled) else 4
    try:
        found = encoding.bytes(d_out, d_in)
    except MisfitError:
        return
    assert found * 8 >= d_out * d_in * bits


# --- which parts ----------------------------------------------------------------------------------------------------


def test_routers_norms_and_biases_stay_as_they_are() -> None:
    spec = tiny(ffn={**MOE, "router_bias": True, "bias": True, "shared_expert_gate": True})
    plain, packed = (
        {str(place): total for place, total in stored_parts(spec, name)} for name in ("bf16", "fp8-channel")
    )
    same = {name for name in plain if plain[name] == packed[name]}
    assert same == {
        "token embedding: tokens",
        "ffn: router",
        "ffn: shared_expert_gate",
        "block norms: attention_pre",
        "block norms: ffn_pre",
        "final norm: norm",
        "lm head: lm_head",
    }
    assert packed["ffn: up_proj"] < plain["ffn: up_proj"]


def test_mxfp4_is_for_experts_where_there_are_any() -> None:
    assert weight_bytes(tiny(ffn=MOE), "mxfp4") > weight_bytes(tiny(ffn=MOE), "nvfp4")
    with_experts = {str(place): total for place, total in stored_parts(tiny(ffn=MOE), "mxfp4")}
    without = {str(place): total for place, total in stored_parts(tiny(), "mxfp4")}
    assert with_experts["attention: q_proj"] == 2 * 2 * 128 * 256
    assert without["attention: q_proj"] == 2 * 128 * 256 * 17 // 32


def test_a_name_picks_parts_in_the_order_given() -> None:
    stored = {
        "format": "fp8-block",
        "parts": {"shared_expert.up_proj": "fp32", "shared_expert": "bf16", "norm": "fp32"},
    }
    found = {place.words: total for place, total in stored_parts(tiny(ffn=MOE, stored=stored), "native")}
    shared = {words[-1]: total for words, total in found.items() if "shared_expert" in words}
    assert shared == {"gate_proj": 2 * 2 * 512 * 256, "up_proj": 2 * 4 * 512 * 256, "down_proj": 2 * 2 * 512 * 256}
    assert found["norm", "final", "norm", "norm"] == 4 * 256
    assert fits("ffn.down_proj", ("ffn", "moe", "experts", "down_proj"))
    assert not fits("down_proj.ffn", ("ffn", "moe", "experts", "down_proj"))


def test_the_prediction_block_is_not_in_the_total() -> None:
    with_one = tiny(n_mtp_blocks=1)
    assert weight_bytes(with_one, "fp8-block") == weight_bytes(tiny(), "fp8-block")
    words = {place.words[1:] for place, _ in stored_parts(with_one, "fp8-block") if place.item.mtp}
    assert ("mtp", "junction", "proj") in words


def test_layers_with_more_bits_are_a_half() -> None:
    # 32 layers: 4 at the bottom, 4 at the top, every third of the 24 between.
    assert [layer for layer in range(32) if more_bits(layer, 32)] == [
        0,
        1,
        2,
        3,
        6,
        9,
        12,
        15,
        18,
        21,
        24,
        27,
        *range(28, 32),
    ]


def test_the_mix_gives_more_bits_by_layer() -> None:
    spec = tiny(n_layers=32, attention={"repeat": ["a", "b"], "variants": {"a": GQA, "b": {**GQA, "window": 8}}})
    found = {str(place): total for place, total in stored_parts(spec, "q4_k_m")}
    q4, q6 = GGML["q4_k"].bytes(64, 256), GGML["q6_k"].bytes(64, 256)
    even = sum(more_bits(layer, 32) for layer in range(0, 32, 2))
    assert found["attention: a: v_proj"] == even * q6 + (16 - even) * q4
    assert found["attention: b: v_proj"] == (16 - even) * q6 + even * q4
    assert found["attention: a: k_proj"] == 16 * q4
    assert found["ffn: down_proj"] == 16 * GGML["q6_k"].bytes(256, 512) + 16 * GGML["q4_k"].bytes(256, 512)
    assert found["lm head: lm_head"] == GGML["q6_k"].bytes(96, 256)
    assert found["token embedding: tokens"] == GGML["q4_k"].bytes(96, 256)
    tied = {str(place): total for place, total in stored_parts(tiny(tie_embeddings=True), "q4_k_m")}
    assert tied["token embedding: tokens"] == GGML["q6_k"].bytes(96, 256)


def test_llama_cpp_knows_two_families_by_their_numbers() -> None:
    of_8x7b = {str(place): total for place, total in stored_parts(tiny(ffn={**MOE, "n_experts": 8}), "q4_k_m")}
    assert of_8x7b["attention: v_proj"] == 2 * GGML["q8_0"].bytes(64, 256)
    assert of_8x7b["attention: k_proj"] == 2 * GGML["q8_0"].bytes(64, 256)
    assert of_8x7b["attention: q_proj"] == 2 * GGML["q4_k"].bytes(128, 256)
    of_70b = {str(place): total for place, total in stored_parts(tiny(n_layers=80), "q4_k_m")}
    assert of_70b["attention: v_proj"] == 40 * (GGML["q6_k"].bytes(64, 256) + GGML["q5_k"].bytes(64, 256))


def test_a_width_that_blocks_do_not_divide_takes_another_type() -> None:
    assert GGML["q4_k"].bytes(3, 96) == 3 * 96 * 22 // 32
    assert GGML["q6_k"].bytes(3, 96) == 3 * 96 * 34 // 32
    assert GGML["q5_k"].bytes(3, 40) == 3 * 40 * 2  # fp16
    with pytest.raises(MisfitError, match="blocks of 32"):
        GGML["q8_0"].bytes(3, 40)


@pytest.mark.parametrize("name", ["gptq-int4", "awq-int4", "int4", "mxfp4", "nvfp4", "mlx-4bit", "q8_0"])
def test_a_width_that_groups_do_not_divide_is_an_error_that_names_the_matrix(name: str) -> None:
    with pytest.raises(InputError, match=r"tiny, ffn: down_proj: its 520 input values do not divide into"):
        weight_bytes(tiny(ffn={"kind": "dense", "d_ff": 520}), name)


def test_a_partial_block_has_a_scale() -> None:
    encoding = FORMATS["fp8-block"].encoding
    assert encoding.bytes(129, 257) == 129 * 257 + 4 * ceil(129 / 128) * ceil(257 / 128)


def test_groups_of_other_sizes_are_named() -> None:
    assert format_of("gptq-int4-g64").encoding.bytes(64, 256) > FORMATS["gptq-int4"].encoding.bytes(64, 256)
    assert "each 32" in format_of("int4-g32").words
    with pytest.raises(MisfitError, match="groups of 64"):
        format_of("awq-int4-g64").encoding.bytes(64, 96)


@pytest.mark.parametrize("wrong", ["fp9", "gptq-int4-g7", "nvfp4-g32", "", "BF16", "bf16 "])
def test_an_unknown_format_is_one_clear_error(wrong: str) -> None:
    with pytest.raises(InputError, match=r"unknown weight format .*; known: native, bf16, fp16"):
        checked(wrong)
    with pytest.raises(InputError, match="unknown weight format"):
        llmarch.profile("gpt2", weights=wrong, engine="closed-form")


@pytest.mark.parametrize(
    "stored",
    [{"format": "fp9"}, {"format": "native"}, {"parts": {"experts": "fp9"}}, {"parts": {"A b": "fp8"}}, {"x": 1}],
)
def test_a_spec_names_known_formats(stored: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="stored"):
        tiny(stored=stored)


def test_a_name_that_fits_no_part_is_an_error() -> None:
    with pytest.raises(InputError, match=r"tiny: stored\.parts\.experts: no part of this model has that name"):
        weight_bytes(tiny(stored={"parts": {"experts": "mxfp4"}}), "native")


@pytest.mark.parametrize("name", llmarch.names())
def test_bundled_specs_by_both_engines(name: str) -> None:
    spec = llmarch.load(name)
    built = list(measured.stored_places(spec))
    for weights in ("native", "q6_k", "fp8-block"):
        assert weight_bytes(spec, weights, built) == weight_bytes(spec, weights) > 0


def test_engines_that_disagree_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = tiny()
    monkeypatch.setattr(measured, "stored_places", lambda spec: list(places(spec))[1:])
    with pytest.raises(CheckError, match="tiny: the engines disagree on weight_bytes in fp8: measured"):
        _ = profile(spec, Workload(8, weights="fp8"), "measured").weight_bytes


@pytest.mark.parametrize(
    ("stored", "name"),
    [
        ({}, "bf16"),
        ({"format": "fp32"}, "fp32"),
        ({"parts": {"experts": "mxfp4"}}, "mxfp4"),
        ({"format": "fp8-block", "parts": {"experts": "mxfp4", "sinks": "fp32"}}, "fp8-block + mxfp4"),
        ({"parts": {"head": "fp32"}}, "bf16 + fp32"),
    ],
)
def test_formats_in_one_word(stored: dict[str, Any], name: str) -> None:
    assert tiny(stored=stored).stored.name == name  # type: ignore[union-attr]


def test_every_format_says_what_it_stores() -> None:
    assert all(each.words for each in FORMATS.values())
    assert {name for name, each in FORMATS.items() if isinstance(each.encoding, Blocks)} == {
        *("q8_0", "q6_k", "q5_k", "q4_k", "q4_0", "iq4_xs", "q5_k_m", "q4_k_m", "mxfp4_moe")
    }
