"""Decoders whose layers share transformer blocks: Zamba2."""

from __future__ import annotations

from llmarch_cli.huggingface.importing.families.family import USUAL, Family
from llmarch_cli.huggingface.importing.families.state_spaces import mamba2_mixer
from llmarch_cli.huggingface.importing.keys import ANY, TIED, Config, one_of
from llmarch_cli.huggingface.importing.layers import Fields, axis
from llmarch_cli.huggingface.importing.pieces import NOPE, fixed_activation, frame, rms
from llmarch_cli.huggingface.importing.rope import rope
from llmarch_cli.specs.spec import NONE

HYBRID = "hybrid"
PLAIN = ("linear_attention", "mamba")  # the second one in earlier files
INNER_EPS = 1e-5  # of Mamba's norm, whatever the config says


def zamba2(c: Config) -> Fields:
    if not c.flag(TIED):
        c.fail(TIED, "false is not supported: the class of this family then shares no blocks")
    types = _types(c)
    mixer = _mamba2(c)
    n_blocks, n_hybrids = c.count("num_mem_blocks"), types.count(HYBRID)
    # Hybrid layers take turns: with two blocks, every second one shares its weights.
    numbers = iter(range(n_hybrids))
    laid = [f"block_{next(numbers) % n_blocks + 1}" if kind == HYBRID else "mamba" for kind in types]
    block = _block(c, mixer)
    variants = {name: mixer if name == "mamba" else block for name in dict.fromkeys(laid)}
    found = axis(laid, lambda name: {"kind": name})
    attention = {**found, "variants": variants} if "variants" in found else variants[laid[0]]
    return frame(c, rms(c), attention=attention, ffn={"repeat": [NONE]})


def _types(c: Config) -> list[str]:
    """The type of each layer; by default those of 54 layers, of which nine are hybrid."""
    name, n_layers = "layers_block_type", c.layers()
    if c.given(name):
        found = c.items(name, one_of((*PLAIN, HYBRID)), f"one of {', '.join((*PLAIN, HYBRID))}", n_layers)
    else:
        plain = PLAIN[0]
        found = [plain, *([plain] * 5 + [HYBRID]) * 7, *[plain] * 4, HYBRID, *[plain] * 3, HYBRID, plain, plain]
        c.optional(c.whole_numbers, name)
        c.expect("num_hidden_layers", len(found), why=f"{name} is absent, and the class then has as many layers")
    hybrids = [layer for layer, kind in enumerate(found) if kind == HYBRID]
    c.expect("hybrid_layer_ids", hybrids, why=f"the hybrid layers of {name}")
    return found


def _mamba2(c: Config) -> Fields:
    width = int(c.number("mamba_expand") * c.count("hidden_size"))
    n_heads = c.count("n_mamba_heads")
    if not width or width % n_heads:
        c.fail("n_mamba_heads", f"{n_heads} must divide mamba_expand * hidden_size, {width}")
    c.expect("mamba_headdim", width // n_heads, why="mamba_expand * hidden_size / n_mamba_heads")
    return mamba2_mixer(
        c,
        *(n_heads, width // n_heads),
        *("mamba_d_state", "mamba_ngroups", "mamba_d_conv"),
        bias=c.flag("add_bias_linear"),
        norm_eps=INNER_EPS,
        step_min=c.number("time_step_min"),
    )


def _block(c: Config, mixer: Fields) -> Fields:
    d_model, n_heads = c.count("hidden_size"), c.count("num_attention_heads")
    width = 2 * d_model // n_heads
    if 2 * d_model % n_heads:
        c.fail("num_attention_heads", f"{n_heads} must divide 2 * hidden_size")
    for name in ("num_key_value_heads", "num_query_groups"):
        c.expect(name, n_heads, why="the shared block has a key for each head")
    c.expect("attention_hidden_size", 2 * d_model, why="2 * hidden_size")
    c.expect("attention_head_dim", width, why="2 * hidden_size / num_attention_heads")
    c.expect("kv_channels", d_model // n_heads, why="hidden_size / num_attention_heads")
    d_ff = c.optional(c.count, "intermediate_size") or 4 * d_model
    c.expect("ffn_hidden_size", d_ff, why="intermediate_size, which alone the class reads")
    c.expect("lora_rank", c.count("adapter_rank"), why="adapter_rank, its newer name")
    c.expect("use_long_context", False, why="transformers then reads other positions than the authors' code")
    rotary = rope(c, width)
    if not c.flag("use_mem_rope"):
        rotary = NOPE
    return {
        "kind": "shared_block",
        "channels": d_model,
        "n_heads": n_heads,
        "head_dim": width,
        "d_ff": d_ff,
        "adapter_rank": c.count("adapter_rank"),
        "attention_adapters": c.flag("use_shared_attention_adapter"),
        "activation": fixed_activation(c, "hidden_act", "shared block"),
        "bias": c.flag("add_bias_linear"),
        "score_scale": (width / 2) ** -0.5,
        "mixer": mixer,
        **rotary,
    }


FAMILIES = (
    Family(
        "zamba2",
        zamba2,
        USUAL
        | {"hidden_act": "gelu", "rms_norm_eps": 1e-5, "tie_word_embeddings": True, "layers_block_type": None}
        | {"vocab_size": 32_000, "hidden_size": 2560, "num_hidden_layers": 54, "max_position_embeddings": 4096}
        | {"mamba_d_state": 64, "mamba_d_conv": 4, "mamba_expand": 2, "mamba_ngroups": 1, "n_mamba_heads": 8}
        | {"time_step_min": 0.001, "add_bias_linear": False, "intermediate_size": None}
        | {"num_attention_heads": 32, "num_key_value_heads": None, "num_mem_blocks": 1, "adapter_rank": 128}
        | {"use_shared_attention_adapter": False, "use_mem_rope": False, "use_long_context": False},
        aliases={"layer_types": "layers_block_type", "head_dim": "attention_head_dim"},
        without_effect={
            **dict.fromkeys(
                "chunk_size num_logits_to_keep time_step_floor time_step_max use_conv_bias use_mamba_kernels"
                " use_mem_eff_path".split(),
                ANY,
            ),
            **dict.fromkeys(("gated_linear_unit", "use_shared_mlp_adapter"), (True,)),  # always so
            "time_step_limit": (None,),
        },
    ),
)
