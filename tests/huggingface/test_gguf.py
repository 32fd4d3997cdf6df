"""GGUF files: bytes are counted exactly, the architecture is the one that was written, and headers are not trusted."""

from __future__ import annotations

import struct
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType as Type
from gguf_files import MODELS, keys_of, tensors, write, write_example, write_gpt_oss_120b
from hypothesis import given, settings
from hypothesis import strategies as st

import llmarch_cli as llmarch
from llmarch_cli.errors import InputError
from llmarch_cli.huggingface.contents import contents
from llmarch_cli.huggingface.gguf import config, names
from llmarch_cli.huggingface.gguf.config import read_spec
from llmarch_cli.huggingface.gguf.header import read
from llmarch_cli.huggingface.importing import import_config
from llmarch_cli.huggingface.weights import read as read_weights
from llmarch_cli.modules.builder import ExpertStack, build
from llmarch_cli.report.contents import stored

LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}


@pytest.mark.parametrize("name", MODELS)
class TestModels:
    """Every architecture, from transformers' class to the file and back."""

    def test_the_spec_of_the_metadata_is_that_of_the_config(self, name: str, tmp_path: Path) -> None:
        architecture, config = MODELS[name]
        write(name, tmp_path / "tiny.gguf")
        found, expected = llmarch.load(tmp_path / "tiny.gguf"), import_config(config)
        assert found.model_dump() | {"name": ""} == expected.model_dump() | {"name": ""}
        assert (found.name, found.id) == (f"Tiny {architecture}", "tiny")
        for context in (1, 200):
            one, other = (llmarch.profile(spec, context=context, engine="closed-form") for spec in (found, expected))
            assert (one.params, one.kv_cache_bytes) == (other.params, other.kv_cache_bytes)

    @pytest.mark.parametrize("with_data", [True, False])
    def test_every_tensor_is_accounted_for(self, name: str, with_data: bool, tmp_path: Path) -> None:
        path = tmp_path / "tiny.gguf"
        header = write(name, path)
        if not with_data:
            path.write_bytes(path.read_bytes()[: header.header_bytes])
        found = llmarch.reconcile(import_config(MODELS[name][1]), path)
        assert found.ok, found.plan.faults
        assert found.total == sum(values.size for values in tensors(name).values())
        assert set(found.plan.formats) == {"Q8_0", "Q4_0"}

    def test_a_model_of_another_shape_is_not(self, name: str, tmp_path: Path) -> None:
        write(name, tmp_path / "tiny.gguf")
        spec = import_config(MODELS[name][1])
        for change in ({"vocab_size": 97}, {"n_layers": spec.n_layers + 1}, {"n_layers": spec.n_layers - 1}):
            other = spec.model_copy(update=change)
            with suppress(ValueError):  # a layout of another length
                assert not llmarch.reconcile(other, tmp_path / "tiny.gguf").ok

    def test_bytes_are_those_of_the_data(self, name: str, tmp_path: Path) -> None:
        path = tmp_path / "tiny.gguf"
        header = write(name, path)
        found = contents(read_weights(path))
        assert found.n_bytes + found.padding_bytes == path.stat().st_size - header.header_bytes
        for each in found.tensors:
            assert each.n_values == tensors(name)[each.stored.name].size
            own = gguf.GGML_QUANT_SIZES[Type[each.format]]
            assert each.stored.n_bytes == each.n_values // own[0] * own[1]
        by_component, by_format = stored(found)
        for table in (by_component, by_format):
            assert sum(int(str(row["bytes"])) for row in table.rows) == found.n_bytes
        assert {row["format"]: row["bits_per_value"] for row in by_format.rows} == {
            "Q8_0": 8.5,
            "Q4_0": 4.5,
            "F16": 16.0,
            "F32": 32.0,
        }


@pytest.mark.parametrize("name", ["qwen3", "qwen3moe", "gpt-oss", "deepseek2"])
def test_components_are_those_of_the_model(name: str, tmp_path: Path) -> None:
    """Norms are a component here, whatever they stand in."""
    write(name, tmp_path / "tiny.gguf")
    table, _ = stored(contents(read_weights(tmp_path / "tiny.gguf")))
    model = build(import_config(MODELS[name][1]), device="meta")
    experts = {path for path, module in model.named_modules() if isinstance(module, ExpertStack)}
    expected: dict[str, int] = {}
    for path, values in model.state_dict().items():
        if path == "head.lm_head.weight" and model.spec.tie_embeddings:
            continue
        component = "experts" if path.rpartition(".")[0] in experts else _component(path)
        expected[component] = expected.get(component, 0) + values.numel()
    assert {row["component"]: row["values"] for row in table.rows} == expected
    assert table.total is not None
    assert table.total["values"] == sum(expected.values())


def _component(path: str) -> str:
    words = ("norm", "embedding", "head.", "shared_expert", "router", "selection_bias", "attention", "ffn")
    word = next(word for word in words if word in path)
    named = {"norm": "norms", "head.": "head", "shared_expert": "shared experts", "selection_bias": "router"}
    return {"ffn": "feed-forward", **named}.get(word, word)


class TestKeys:
    """What metadata do not say is an error that names the key."""

    def spec_of(self, tmp_path: Path, name: str, keys: dict[str, Any]) -> Any:
        return read_spec(write(name, tmp_path / "tiny.gguf", keys=keys))

    @pytest.mark.parametrize(
        ("name", "keys", "message"),
        [
            ("qwen3", {"qwen3.block_count": None}, r"qwen3\.block_count: required, but missing"),
            ("qwen3", {"qwen3.attention.head_count": None}, r"qwen3\.attention\.head_count: required"),
            ("qwen3", {"qwen3.attention.head_count": [4, 4, 2]}, "must be a whole number"),
            ("qwen3", {"qwen3.attention.head_count": "four"}, "must be a whole number"),
            ("qwen3", {"qwen3.new_key": 1}, r"qwen3\.new_key: unknown key: its effect"),
            ("qwen3", {"qwen3.rope.dimension_count": 16}, "rotates whole heads"),
            ("qwen3", {"qwen3.rope.scaling.type": "dynamic"}, "'dynamic' is not supported"),
            ("qwen3", {"qwen3.rope.scaling.type": "yarn"}, r"rope\.scaling\.factor: required"),
            ("qwen3", {"qwen3.feed_forward_length": 96}, "its metadata describe .* parameters, but its tensors have"),
            ("qwen3", {"qwen3.attention.causal": False}, "false is not supported"),
            ("qwen3moe", {"qwen3moe.expert_used_count": None}, r"expert_used_count: required"),
            ("qwen3moe", {"qwen3moe.expert_weights_norm": False}, "false is not supported"),
            ("llama", {"llama.vocab_size": 97}, r"must be 96 \(the rows of token_embd"),
            ("llama", {"llama.rope.scaling.attn_factor": 2.0}, "2.0 is not supported"),
            ("gemma2", {"gemma2.attn_logit_softcapping": None}, "attn_logit_softcapping: required"),
            ("gemma3", {"gemma3.attention.sliding_window": None}, "sliding_window: required"),
            ("gpt2", {"gpt2.context_length": 256}, "position_embd.weight has 128 rows"),
            ("phi3", {"phi3.rope.scaling.type": "longrope"}, "rope_factors_short.weight, which the file lacks"),
            ("deepseek2", {"deepseek2.expert_group_count": None}, "expert_group_count: required"),
            ("deepseek2", {"deepseek2.expert_gating_func": 4}, "4 is not supported"),
            (
                "deepseek2",
                {"deepseek2.expert_gating_func": None},
                "sigmoid and the tensors exp_probs_b.bias go together",
            ),
            ("deepseek2", {"deepseek2.rope.scaling.yarn_log_multiplier": None}, "yarn_log_multiplier: required"),
            ("deepseek2", {"deepseek2.attention.key_length": 40}, "must be that of a latent and a rotary key"),
        ],
    )
    def test_missing_and_wrong_ones(self, name: str, keys: dict[str, Any], message: str, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=message) as error:
            self.spec_of(tmp_path, name, keys)
        assert str(error.value).startswith(f"{tmp_path / 'tiny.gguf'}: ")

    def test_an_architecture_that_is_not_known(self, tmp_path: Path) -> None:
        path = tmp_path / "tiny.gguf"
        header = write("llama", path, keys={"general.architecture": None})
        path.write_bytes(path.read_bytes().replace(b"\5\0\0\0\0\0\0\0llama", b"\5\0\0\0\0\0\0\0mamba"))
        assert read(path).header_bytes == header.header_bytes
        with pytest.raises(InputError, match=r"general\.architecture: 'mamba' cannot be read as a spec; known: llama"):
            llmarch.load(path)
        with pytest.raises(InputError, match="the tensor names of the architecture 'mamba' are not known"):
            llmarch.reconcile("gpt2", path)

    def test_the_library_knows_all_names(self) -> None:
        assert set(names.ARCHITECTURES) == set(config._READERS) <= set(gguf.MODEL_ARCH_NAMES.values())
        known = {
            str(value).removeprefix("{arch}.")
            for group in vars(gguf.Keys).values()
            if isinstance(group, type)
            for value in vars(group).values()
        }
        own = {key.partition(".")[2] for name in MODELS for key in keys_of(name) if not key.startswith("general.")}
        assert own | set(config._WITHOUT_EFFECT) <= known

    def test_the_largest_gemma_has_another_scale_of_scores(self, tmp_path: Path) -> None:
        header = write("gemma3", tmp_path / "tiny.gguf", keys={"gemma3.block_count": 62})
        with pytest.raises(InputError, match="parameters"):
            read_spec(header)
        keys = config._Keys(header, {"block_count": 62, **self._sizes(header.metadata)}, "gemma3.")
        assert config._gemma3(keys)["query_pre_attn_scalar"] == 16  # 64 over 4 heads

    def _sizes(self, metadata: Any) -> dict[str, Any]:
        own = {key.removeprefix("gemma3."): value for key, value in metadata.items() if key.startswith("gemma3.")}
        return {key: value for key, value in own.items() if key != "block_count"}

    def test_the_types_of_layers_as_a_list(self, tmp_path: Path) -> None:
        pattern = [True, False, True, True, False, True, False]
        keys = {"gemma3.attention.sliding_window_pattern": pattern}
        spec = self.spec_of(tmp_path, "gemma3", keys)
        assert [spec.component("attention", layer.attention).window for layer in spec.layers] == [
            64 if local else None for local in pattern
        ]

    def test_older_files_of_latent_attention(self, tmp_path: Path) -> None:
        """One matrix of keys and values, and the widths of heads under other keys."""
        halves = {name: values for name, values in tensors("deepseek2").items() if "_b.weight" in name}
        whole = {}
        for layer in range(3):
            k, v = (halves[f"blk.{layer}.attn_{letter}_b.weight"] for letter in "kv")
            joined = np.concatenate((k.transpose(0, 2, 1), v), axis=1).reshape(-1, k.shape[1])
            whole[f"blk.{layer}.attn_kv_b.weight"] = np.ascontiguousarray(joined)
        keys = {
            "attention.key_length": 48,
            "attention.value_length": 64,
            "attention.head_count_kv": 4,
            "attention.key_length_mla": None,
            "attention.value_length_mla": None,
        }
        left_out = {name: None for name in halves if "attn_k_b" in name or "attn_v_b" in name}
        named = {f"deepseek2.{key}": value for key, value in keys.items()}
        header = write("deepseek2", tmp_path / "tiny.gguf", keys=named, more={**left_out, **whole})
        spec = import_config(MODELS["deepseek2"][1])
        assert read_spec(header).model_dump() | {"name": ""} == spec.model_dump() | {"name": ""}
        assert llmarch.reconcile(spec, tmp_path / "tiny.gguf").ok

    def test_half_of_a_matrix_is_missing(self, tmp_path: Path) -> None:
        write("deepseek2", tmp_path / "tiny.gguf", more={"blk.1.attn_v_b.weight": None})
        found = llmarch.reconcile(import_config(MODELS["deepseek2"][1]), tmp_path / "tiny.gguf")
        assert found.plan.missing == ("layers.1.attention.kv_b_proj.weight [384, 64] lacks 256 of 384 rows",)


class TestFactorsOfFrequencies:
    """Llama 3.1 and long Phi-3 store them as tensors, and no key repeats them."""

    @torch.no_grad()
    def test_logits_are_those_of_the_scaling(self, tmp_path: Path) -> None:
        scaling = {**LLAMA3, "original_max_position_embeddings": 64}
        expected = import_config({**MODELS["llama"][1], "rope_scaling": scaling})
        attention: Any = expected.component("attention", expected.layers[0].attention)
        plain = 10_000.0 ** -(torch.arange(0, 16, 2) / 16)
        factors = plain / attention.rope_scaling.stretch(plain, 10_000.0, 512)
        assert float(factors.max()) == 8
        path = tmp_path / "tiny.gguf"
        header = write("llama", path, more={"rope_freqs.weight": factors.numpy()})
        found = llmarch.load(path)
        models = [build(spec) for spec in (found, expected)]
        models[0].load_state_dict(models[1].state_dict())
        one, other = (model(torch.arange(90)[None]) for model in models)
        assert float((one - other).abs().max() / other.abs().max()) < 2e-5
        costs = [llmarch.profile(spec, context=512, engine="closed-form").total for spec in (found, expected)]
        assert costs[0] == costs[1]

        checked = llmarch.reconcile(expected, path)
        assert checked.ok
        assert checked.stored["factors of rotary frequencies"] == (8, 1)
        assert llmarch.reconcile(found, path).ok
        path.write_bytes(path.read_bytes()[: header.header_bytes])
        with pytest.raises(InputError, match=r"the tensor rope_freqs\.weight, which the file lacks"):
            llmarch.load(path)
        assert llmarch.reconcile(expected, path).ok

    def test_of_short_and_long_contexts(self, tmp_path: Path) -> None:
        keys = {
            "phi3.rope.scaling.type": "longrope",
            "phi3.rope.scaling.attn_factor": 1.25,
            "phi3.rope.scaling.original_context_length": 128,
        }
        more = {
            f"rope_factors_{name}.weight": np.array([1.0, 1.5, 2.0, top], np.float32)
            for name, top in (("short", 4.0), ("long", 8.0))
        }
        spec: Any = read_spec(write("phi3", tmp_path / "tiny.gguf", keys=keys, more=more))
        scaling = spec.component("attention", spec.layers[0].attention).rope_scaling
        assert (scaling.short_factor[-1], scaling.long_factor[-1], scaling.attention_factor) == (4, 8, 1.25)
        assert (scaling.original_context_length, spec.context_length) == (128, 512)

    @pytest.mark.parametrize("wrong", [float("nan"), float("inf"), 0.0, -1.0])
    def test_numbers_that_are_no_factors(self, wrong: float, tmp_path: Path) -> None:
        factors = np.full(8, wrong, np.float32)
        with pytest.raises(InputError):
            read_spec(write("llama", tmp_path / "tiny.gguf", more={"rope_freqs.weight": factors}))


def test_scales_beside_a_matrix_are_no_values(tmp_path: Path) -> None:
    """NVFP4 has one for each matrix, and one for its inputs."""
    one = np.ones(1, np.float32)
    scales = {f"blk.0.attn_q.{name}": one for name in ("scale", "input_scale")}
    header = write("qwen3", tmp_path / "tiny.gguf", more=scales)
    spec = read_spec(header)
    found = llmarch.reconcile(spec, tmp_path / "tiny.gguf")
    assert found.ok
    assert found.stored["scales of NVFP4"] == (2, 2)
    own = [each for each in contents(read_weights(tmp_path / "tiny.gguf")).tensors if each.stored.name in scales]
    assert [(each.component, each.n_values) for each in own] == [("attention", 0)] * 2


def test_the_other_byte_order(tmp_path: Path) -> None:
    factors = {"rope_freqs.weight": np.linspace(1, 8, 8, dtype=np.float32)}
    swapped = gguf.GGUFEndian.BIG if sys.byteorder == "little" else gguf.GGUFEndian.LITTLE
    usual = write("llama", tmp_path / "tiny.gguf", types=(Type.F16,), more=factors)
    other = write("llama", tmp_path / "swapped.gguf", types=(Type.F16,), more=factors, endianess=swapped)
    assert (tmp_path / "swapped.gguf").read_bytes() != (tmp_path / "tiny.gguf").read_bytes()
    assert read_spec(other).model_dump() == read_spec(usual).model_dump()
    assert [each.shape for each in other.tensors.values()] == [each.shape for each in usual.tensors.values()]


class TestParts:
    """A model split into several files is read as one, from any of them."""

    @pytest.fixture
    def directory(self, tmp_path: Path) -> Path:
        write("qwen3", tmp_path / "tiny.gguf", split_max_tensors=10)
        assert len(list(tmp_path.iterdir())) == 4
        return tmp_path

    @pytest.mark.parametrize("number", [1, 3, 4])
    def test_all_are_read(self, directory: Path, number: int) -> None:
        path = directory / f"tiny-{number:05}-of-00004.gguf"
        spec = import_config(MODELS["qwen3"][1])
        assert llmarch.reconcile(spec, path).ok
        assert llmarch.load(path).model_dump() | {"name": ""} == spec.model_dump() | {"name": ""}
        found = contents(read_weights(path))
        assert found.n_bytes + found.header_bytes + found.padding_bytes == sum(
            part.stat().st_size for part in directory.iterdir()
        )

    def test_one_is_missing(self, directory: Path) -> None:
        (directory / "tiny-00002-of-00004.gguf").unlink()
        with pytest.raises(InputError, match=r"one of 4 parts, and 'tiny-00002-of-00004\.gguf' is missing"):
            read(directory / "tiny-00001-of-00004.gguf")

    def test_one_has_another_name(self, directory: Path) -> None:
        (directory / "tiny-00002-of-00004.gguf").rename(directory / "second.gguf")
        with pytest.raises(InputError, match=r"must be named NAME-00001-of-00004\.gguf"):
            read(directory / "second.gguf")

    def test_one_stands_twice(self, directory: Path) -> None:
        first = (directory / "tiny-00002-of-00004.gguf").read_bytes()
        (directory / "tiny-00003-of-00004.gguf").write_bytes(first)
        with pytest.raises(InputError, match=r", as does tiny-00002-of-00004\.gguf"):
            read(directory / "tiny-00001-of-00004.gguf")


def text(value: bytes) -> bytes:
    return struct.pack("<Q", len(value)) + value


def header(n_tensors: int = 0, n_keys: int = 0, rest: bytes = b"", version: int = 3) -> bytes:
    return struct.pack("<4sIQQ", b"GGUF", version, n_tensors, n_keys) + rest


def tensor(name: bytes = b"a", shape: tuple[int, ...] = (32,), kind: int = 0, offset: int = 0) -> bytes:
    return text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)


FORGED: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "not a GGUF file"),
    "another magic": (b"GGML" + bytes(60), "not a GGUF file: it starts with b'GGML'"),
    "magic alone": (b"GGUF", "ends inside its header, after 4 bytes"),
    "version 1": (header(version=1), "version 1"),
    "version 99": (header(version=99), "version 99"),
    "2**60 tensors": (header(n_tensors=1 << 60), "declares 1,152,921,504,606,846,976 tensors; at most 65,536"),
    "2**64 - 1 keys": (header(n_keys=(1 << 64) - 1), "declares 18,446,744,073,709,551,615 keys; at most 65,536"),
    "more tensors than stand there": (header(2, 0, tensor()), "ends inside its header"),
    "a key as long as the sea": (header(0, 1, struct.pack("<Q", 1 << 62)), "ends inside its header"),
    "a text as long as the sea": (header(0, 1, text(b"a") + struct.pack("<IQ", 8, 1 << 63)), "ends inside its header"),
    "2**60 numbers": (header(0, 1, text(b"a") + struct.pack("<IIQ", 9, 0, 1 << 60)), "ends inside its header"),
    "2**60 texts": (header(0, 1, text(b"a") + struct.pack("<IIQ", 9, 8, 1 << 60)), "ends inside its header"),
    "a long text in a list": (
        header(0, 1, text(b"a") + struct.pack("<IIQQ", 9, 8, 1, 1 << 63)),
        "ends inside its header",
    ),
    "a list of lists": (header(0, 1, text(b"a") + struct.pack("<IIQ", 9, 9, 1)), "a list of lists"),
    "a type of value": (header(0, 1, text(b"a") + struct.pack("<I", 77)), "77"),
    "a type of items": (header(0, 1, text(b"a") + struct.pack("<IIQ", 9, 77, 1)), "77"),
    "no UTF-8": (header(0, 1, text(b"\xff") + struct.pack("<II", 4, 1)), "not a GGUF header that can be read"),
    "no UTF-8 in a value": (header(0, 1, text(b"a") + struct.pack("<I", 8) + text(b"\xff")), "can be read"),
    "a key twice": (header(0, 2, 2 * (text(b"a") + struct.pack("<II", 4, 1))), "'a' is given twice"),
    "a tensor twice": (header(2, 0, 2 * tensor()), "declares 'a' twice"),
    "five dimensions": (header(1, 0, tensor(shape=(1,) * 5)), "a tensor of 5 dimensions"),
    "2**32 - 1 dimensions": (header(1, 0, text(b"a") + struct.pack("<I", (1 << 32) - 1)), "at most 4 are possible"),
    "no dimension": (header(1, 0, tensor(shape=())), r"'a' has the shape '\[\]'"),
    "nothing in it": (header(1, 0, tensor(shape=(32, 0))), r"has the shape '\[0, 32\]'"),
    "2**64 - 1 columns": (header(1, 0, tensor(shape=((1 << 64) - 1,))), "has the shape"),
    "too many values": (header(1, 0, tensor(shape=(1 << 40, 1 << 40))), "has the shape"),
    "an unknown type": (header(1, 0, tensor(kind=999)), "'a' has the type 999, which the library gguf does not know"),
    "half a block": (header(1, 0, tensor(shape=(33,), kind=8)), "rows of 33 values; Q8_0 has blocks of 32"),
    "blocks across rows": (header(1, 0, tensor(shape=(16, 2), kind=8)), "rows of 16 values; Q8_0 has blocks of 32"),
    "behind the data": (header(1, 0, tensor(offset=32)), "'a' starts at byte 32 of the data, not at 0"),
    "an overlap": (header(2, 0, tensor() + tensor(b"b", offset=64)), "'b' starts at byte 64 of the data, not at 128"),
    "a gap": (header(2, 0, tensor() + tensor(b"b", offset=256)), "'b' starts at byte 256 of the data, not at 128"),
    "another alignment": (
        header(1, 1, text(b"general.alignment") + struct.pack("<II", 4, 33) + tensor()),
        "must be a non-zero power of two",
    ),
    "an alignment as text": (
        header(1, 1, text(b"general.alignment") + struct.pack("<I", 8) + text(b"32") + tensor()),
        "Bad type for general.alignment",
    ),
    "half of the data": (
        header(1, 0, tensor()) + bytes(100),
        "header declares 128; download it again, or keep its first",
    ),
    "too much data": (header(1, 0, tensor()) + bytes(300), "its header declares 128"),
}


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_header_is_one_line(name: str, tmp_path: Path) -> None:
    content, message = FORGED[name]
    path = tmp_path / "forged.gguf"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as error:
        read(path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 300 + len(str(path))


def test_a_header_is_bounded(tmp_path: Path) -> None:
    """A file with no end of a list in it: sparse, 200 MB."""
    path = tmp_path / "forged.gguf"
    with path.open("wb") as file:
        file.write(header(0, 1, text(b"a") + struct.pack("<IIQ", 9, 0, 150_000_000)))
        file.truncate(200_000_000)
    with pytest.raises(InputError, match="its header is larger than 100,000,000 bytes"):
        read(path)


def test_no_file(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.gguf", tmp_path):
        with pytest.raises(InputError, match="no such file"):
            read(path)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    path = tmp_path_factory.mktemp("mutated") / "tiny.gguf"
    found = write("deepseek2", path)
    return path, path.read_bytes()[: found.header_bytes]


@given(st.data())
@settings(max_examples=300)
def test_any_change_of_a_header_is_read_or_refused(good: tuple[Path, bytes], data: st.DataObject) -> None:
    path, content = good
    changed = bytearray(content)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(changed) - 1))
        match data.draw(st.sampled_from(("byte", "number", "cut", "insert", "remove"))):
            case "byte":
                changed[at] = data.draw(st.integers(0, 255))
            case "number":
                numbers = st.sampled_from((0, 1, 1 << 31, 1 << 60, (1 << 64) - 1))
                changed[at : at + 8] = data.draw(numbers).to_bytes(8, "little")
            case "cut":
                del changed[max(at, 1) :]
            case "insert":
                changed[at:at] = data.draw(st.binary(max_size=12))
            case _:
                del changed[at : at + data.draw(st.integers(1, 12))]
        changed = changed or bytearray(b"G")
    path.write_bytes(changed)
    with suppress(InputError):
        found = read_weights(path)
        stored(contents(found))
        assert found.gguf is not None
        read_spec(found.gguf)


def test_it_is_not_loaded(tmp_path: Path) -> None:
    write("llama", tmp_path / "tiny.gguf")
    with pytest.raises(InputError, match="GGUF files are not loaded"):
        llmarch.load_checkpoint(tmp_path / "tiny.gguf", tmp_path / "tiny.gguf")


def test_without_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write("llama", tmp_path / "tiny.gguf")
    monkeypatch.setitem(sys.modules, "gguf", None)
    monkeypatch.delitem(sys.modules, "llmarch_cli.huggingface.gguf.bounded")
    with pytest.raises(InputError, match=r"reading GGUF needs the library gguf: pip install 'llmarch\[gguf\]'"):
        llmarch.load(tmp_path / "tiny.gguf")


def test_the_example_of_the_documentation(tmp_path: Path) -> None:
    """A header alone, of a bundled model. With the vocabulary, the published file has 5.03 GB."""
    path = Path(__file__).parents[2] / "docs" / "examples" / "qwen3-8b-q4_k_m.gguf"
    write_example(tmp_path / "example.gguf")
    assert path.read_bytes() == (tmp_path / "example.gguf").read_bytes()
    assert llmarch.reconcile("qwen3-8b", path).ok
    found, bundled = llmarch.load(path), llmarch.load("qwen3-8b")
    assert (found.attention, found.ffn, found.norm) == (bundled.attention, bundled.ffn, bundled.norm)
    assert contents(read_weights(path)).n_bytes == 5_021_827_072


def test_a_published_size(tmp_path: Path) -> None:
    """llama.cpp prints 59.02 GiB for gpt-oss-120b, at 4.34 bits a weight."""
    path = tmp_path / "gpt-oss-120b.gguf"
    write_gpt_oss_120b(path)
    found, bundled = llmarch.load(path), llmarch.load("gpt-oss-120b")
    assert (found.ffn, found.norm) == (bundled.ffn, bundled.norm)
    layers = ([spec.component("attention", layer.attention) for layer in spec.layers] for spec in (found, bundled))
    assert next(layers) == next(layers)
    assert llmarch.reconcile("gpt-oss-120b", path).ok
    n_bytes = contents(read_weights(path)).n_bytes
    assert round(n_bytes / 2**30, 2) == 59.02
    assert round(8 * n_bytes / llmarch.profile(found, engine="closed-form").params, 2) == 4.34


def test_it_is_not_a_config() -> None:
    with pytest.raises(InputError, match="a GGUF file; `llmarch show FILE --spec` prints"):
        import_config("tiny.gguf")
