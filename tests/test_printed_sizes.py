"""Sizes that inference engines print when they load these shapes: log lines of llama.cpp and vLLM."""

from typing import Any

import pytest

import llmarch_cli as llmarch
from llmarch_cli.deployment.engines import EngineView
from llmarch_cli.deployment.layouts import DeviceBytes, Division, Layout, per_device
from llmarch_cli.profilers.cost import StateDtype, Workload
from llmarch_cli.specs.loading import validated
from llmarch_cli.specs.spec import ModelSpec

MIB = 1 << 20

# 64 layers: three with a matrix for each of 48 heads and a convolution of 4 tokens, then one with attention.
HYBRID: dict[str, Any] = {
    "name": "hybrid",
    "d_model": 5120,
    "n_layers": 64,
    "vocab_size": 248_320,
    "attention": {
        "repeat": ["linear", "linear", "linear", "full"],
        "variants": {
            "linear": {
                "kind": "gated_deltanet",
                "n_k_heads": 16,
                "n_v_heads": 48,
                "k_head_dim": 128,
                "v_head_dim": 128,
            },
            "full": {"kind": "gqa", "n_heads": 24, "n_kv_heads": 4, "head_dim": 256, "rope_theta": 10_000_000},
        },
    },
    "ffn": {"kind": "dense", "d_ff": 17_408},
}


def hybrid() -> ModelSpec:
    return validated(HYBRID, "here")


@pytest.mark.parametrize("engine", ["closed-form", "measured"])
def test_states_of_a_hybrid(engine: Any) -> None:
    """The engine keeps all states in float32, for each of 4 sequences, and shares the cells of attention."""
    states = llmarch.profile(hybrid(), context=262_144, batch=4, state_dtype="fp32", engine=engine)
    assert states.state_bytes == 598.50 * MIB
    attention = llmarch.profile(hybrid(), context=262_144, engine=engine)
    assert attention.kv_cache_bytes == 16_384 * MIB
    assert attention.kv_fixed_bytes == 0
    assert attention.cache_bytes == attention.kv_cache_bytes + attention.state_bytes


def test_each_state_has_its_own_dtype_unless_one_is_asked_for() -> None:
    matrices, inputs = 48 * 48 * 128 * 128, 48 * 3 * (2 * 16 + 48) * 128
    sizes: dict[StateDtype | None, int] = {
        None: 4 * matrices + 2 * inputs,
        "fp32": 4 * (matrices + inputs),
        "bf16": 2 * (matrices + inputs),
        "fp8": matrices + inputs,
    }
    for dtype, expected in sizes.items():
        for context in (1, 4096):
            found = llmarch.profile(hybrid(), context=context, state_dtype=dtype, engine="closed-form")
            assert found.state_bytes == expected


def test_full_layers_of_two_sequences() -> None:
    figures = llmarch.profile("gpt-oss-120b", context=131_072, batch=2, engine="closed-form")
    assert figures.kv_bytes_per_token * 131_072 == 9_216 * MIB
    assert figures.kv_cache_bytes == 9_216 * MIB + figures.kv_fixed_bytes


def test_windows_kept_and_not() -> None:
    figures = llmarch.profile("gemma3-1b", context=32_768, engine="closed-form")
    assert figures.kv_cache_bytes == 139 * MIB
    assert figures.kv_cache_bytes_without_windows == 832 * MIB


# llama.cpp keeps the cells of a sequence in multiples of 256, and in a layer with a window those of the window and of a
# batch of a prompt, 512 tokens unless it is told otherwise (src/llama-kv-cache-iswa.cpp).
LLAMA_CPP = EngineView(pages=256, windows="+512")


def device(
    spec: str | ModelSpec, context: int, batch: int = 1, view: EngineView = LLAMA_CPP, **asked: Any
) -> DeviceBytes:
    layout = Layout(tp=asked.pop("tp", 1))
    model = llmarch.load(spec) if isinstance(spec, str) else spec
    return per_device(model, Workload(context, batch, **asked), layout, view)


def windowed(window: int) -> ModelSpec:
    """Six layers, five of them with a window, and 4 key heads of 64 values."""
    heads = {"kind": "gqa", "n_heads": 4, "n_kv_heads": 4, "head_dim": 64}
    attention = {"repeat": [*["local"] * 5, "full"], "variants": {"local": {**heads, "window": window}, "full": heads}}
    ffn = {"kind": "dense", "d_ff": 512}
    sizes = {"name": "windowed", "d_model": 256, "n_layers": 6, "vocab_size": 1024}
    return validated({**sizes, "attention": attention, "ffn": ffn}, "here")


def test_four_sequences_share_the_cells_of_a_hybrid() -> None:
    found = device(hybrid(), 65_536, 4, state_dtype="fp32")
    assert found.cache == 16_384 * MIB
    assert found.state == 598.50 * MIB


@pytest.mark.parametrize(
    ("name", "context", "batch", "expected"),
    [
        ("gpt-oss-20b", 131_072, 1, 3072 + 18),  # 131,072 cells in 12 layers, 768 in 12
        ("gpt-oss-120b", 131_072, 2, 9216 + 54),  # printed: 9,216 in 18 layers; as above: 2 x 768 cells in 18
        ("gemma3-1b", 32_768, 1, 128 + 22),  # 32,768 cells in 4 layers, 1,024 in 22
        ("gemma3-270m", 4096, 1, 27),
        ("gemma3-270m", 2048, 2, 42),
        ("gemma3-270m", 1024, 4, 72),
        ("gemma3-270m", 512, 8, 72),
        ("gemma3-270m", 8192, 1, 39),
        ("gemma3-270m", 4096, 2, 54),
        ("gemma3-270m", 341, 3, 27),  # 3 x 512 cells
    ],
)
def test_cells_of_windows(name: str, context: int, batch: int, expected: int) -> None:
    """One sequence has `context` tokens, and each its own cells."""
    assert device(name, context, batch).cache == expected * MIB


@pytest.mark.parametrize(
    ("window", "context", "batch", "asked", "expected"),
    [
        (128, 8192, 2, {}, "23.50"),
        (128, 8192, 2, {"view": EngineView(pages=256, windows="+1024")}, "28.50"),
        (1024, 8192, 4, {}, "62.00"),
        (1024, 1000, 2, {}, "12.00"),
        (128, 300, 1, {}, "3.00"),
        (1024, 4096, 3, {"kv_dtype": "q8_0"}, "18.33"),
    ],
)
def test_cells_of_a_small_model(window: int, context: int, batch: int, asked: dict[str, Any], expected: str) -> None:
    assert f"{device(windowed(window), context, batch, **asked).cache / MIB:.2f}" == expected


def test_windows_reserved_or_kept() -> None:
    """139 MiB are the rows in view; with the batch behind them that an engine keeps, they would be 150 (above)."""
    assert device("gemma3-1b", 32_768, view=EngineView()).cache == 139 * MIB
    assert device("gemma3-1b", 32_768, view=EngineView(windows="reserved")).cache == 832 * MIB


def test_weights_of_a_card_under_tensor_parallelism() -> None:
    """vLLM loads 13.9476 GiB on each of two cards. Half of the values is 13.7557, and norms stand on both.

    The vocabulary is a multiple of 64 already, and 2 divides the key heads: neither explains the other 0.19 GiB, which
    are no weights. The table of rotary positions, which the cards keep besides, would be 0.03.
    """
    attention = {"kind": "gqa", "n_heads": 40, "n_kv_heads": 8, "head_dim": 128, "qkv_bias": True}
    sizes = {"name": "shape of Qwen2.5-14B", "d_model": 5120, "n_layers": 48, "vocab_size": 152_064}
    parts = {"attention": attention, "ffn": {"kind": "dense", "d_ff": 13_824}, "tie_embeddings": False}
    spec = validated({**sizes, **parts}, "here")
    n_values, norms = 14_770_033_664, 97 * 5120
    assert device(spec, 1).weights == 2 * n_values
    for view in (EngineView(), EngineView(pad_vocab=64)):
        assert device(spec, 1, view=view, tp=2).weights == n_values + norms
    gib = 1 << 30
    assert n_values / gib == pytest.approx(13.7557, abs=5e-5)
    assert 0.19 < 13.9476 - (n_values + norms) / gib < 0.192


@pytest.mark.parametrize("name", ["deepseek-v3", "deepseek-r1"])
def test_a_latent_cache_stands_on_every_card(name: str) -> None:
    for view in (EngineView(), EngineView(pages=1)):
        assert device(name, 1, view=view).cache == device(name, 1, view=view, tp=8).cache == 70_272
    assert device(name, 1, view=EngineView(pages=64)).cache == 64 * 70_272


def test_cards_that_divide_28_query_and_4_key_heads() -> None:
    """Beyond 4 cards, key heads are copied."""
    heads = {"kind": "gqa", "n_heads": 28, "n_kv_heads": 4, "head_dim": 128}
    sizes = {"name": "heads", "d_model": 3584, "n_layers": 2, "vocab_size": 1024}
    spec = validated({**sizes, "attention": heads, "ffn": {"kind": "dense", "d_ff": 28 * 64}}, "here")
    division = Division(spec)
    found = [n for n in range(1, 57) if Layout(tp=n) in division.layouts(n, n)]
    assert found == [1, 2, 4, 7, 14, 28]
    copied = {n: division.copies(Layout(tp=n)).heads for n in found}
    assert copied == {n: ("k", "v") if n > 4 else () for n in found}
    of_head = 2 * 2 * 128 * 2  # keys and values of 2 layers
    on_card = {n: device(spec, 1, view=EngineView(), tp=n).cache // of_head for n in found}
    # 7 query heads read a key head: those of a card of 7 or 14 may read two.
    assert on_card == {1: 4, 2: 2, 4: 1, 7: 2, 14: 2, 28: 1}
