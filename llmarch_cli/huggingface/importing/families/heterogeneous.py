"""Decoders whose layers differ in heads and widths, as a search or a schedule over the depth gave them.

transformers has no class for them, so all sizes are required.
"""

from __future__ import annotations

from llmarch_cli.errors import shown
from llmarch_cli.huggingface.importing.families.family import BIASES, Family
from llmarch_cli.huggingface.importing.keys import ANY, Accepted, Config, above_zero
from llmarch_cli.huggingface.importing.layers import Fields, axis
from llmarch_cli.huggingface.importing.pieces import ACTIVATIONS, biased, dense, frame, gqa, only_divided, rms

WIDTH_STEP = 256  # widths of feed-forward layers are rounded up to a multiple of it


def deci(c: Config) -> Fields:
    """Another number of key and value heads in each layer."""
    attention = gqa(c, only_divided(c), **biased(c))
    c.expect("num_key_value_heads", None)
    kv_heads = c.items("num_key_value_heads_per_layer", above_zero, "a whole number above 0", c.layers())
    return frame(
        c,
        rms(c),
        attention=axis(kv_heads, lambda n_kv_heads: {**attention, "n_kv_heads": n_kv_heads}),
        ffn=dense(c, bias=c.flag("mlp_bias")),
    )


def nemotron_nas(c: Config) -> Fields:
    """Each layer as `block_configs` has it: its heads, its width, or no such sublayer."""
    for name in ("num_key_value_heads", "intermediate_size"):
        c.expect(name, None, why="block_configs has one for each layer")
    n_heads, d_model = c.count("num_attention_heads"), c.count("hidden_size")
    blocks = [_block(block, n_heads, d_model) for block in c.inners("block_configs", c.layers())]
    kept = [block for block in blocks if block != (None, None)]
    for sublayers, word in zip(zip(*kept, strict=True), ("attention", "a feed-forward layer"), strict=False):
        if set(sublayers) == {None}:
            c.fail("block_configs", f"no layer has {word}")
    if not kept:
        c.fail("block_configs", "no layer has any sublayer")
    if len(kept) < len(blocks):
        c.notes.append(
            f"{len(blocks) - len(kept)} of {len(blocks)} layers have no sublayer and are left out: they change nothing."
        )
    attention = gqa(c, only_divided(c), n_kv_heads=n_heads, **biased(c))
    ffn = {"kind": "dense", "activation": c.choice("hidden_act", ACTIVATIONS), "bias": c.flag("mlp_bias")}
    return {
        **frame(c, rms(c)),
        "n_layers": len(kept),
        "attention": axis([n for n, _ in kept], lambda n: None if n is None else {**attention, "n_kv_heads": n}),
        "ffn": axis([d_ff for _, d_ff in kept], lambda d_ff: None if d_ff is None else {**ffn, "d_ff": d_ff}),
    }


def _block(block: Config, n_heads: int, d_model: int) -> tuple[int | None, int | None]:
    """The number of key and value heads and the feed-forward width of a layer; None for an absent sublayer."""
    attention, ffn = (block.inner(name, {"no_op": False}) for name in ("attention", "ffn"))
    block.finish({"parallel_blocks": (None,)})
    n_kv_heads = d_ff = None
    if not attention.flag("no_op"):
        n_kv_heads, rest = divmod(n_heads, attention.count("n_heads_in_group"))
        if rest:
            attention.fail("n_heads_in_group", f"must divide num_attention_heads ({n_heads})")
    if not ffn.flag("no_op"):
        d_ff = _rounded_up(int(2 * ffn.number("ffn_mult") * d_model / 3))
        if d_ff <= 0:
            ffn.fail("ffn_mult", f"must be above 0, not {shown(ffn.data['ffn_mult'])}")
    attention.finish(AS_USUAL | {"n_heads_in_group": ANY})
    ffn.finish(AS_USUAL | {"ffn_mult": ANY})
    return n_kv_heads, d_ff


def _rounded_up(width: int) -> int:
    return -(-width // WIDTH_STEP) * WIDTH_STEP


# Other features of a sublayer, turned off.
AS_USUAL: dict[str, Accepted] = {
    "replace_with_linear": (False,),
    "sparsify": (None,),
    "window_length": (None,),
    "num_sink_tokens": (None,),
    "unshifted_sink": (False,),
    "use_prefill_window_in_sink_attention": (False,),
}


def openelm(c: Config) -> Fields:
    """Heads and widths grow with the depth (arXiv 2404.14619, section 2.1)."""
    n_layers, d_model, width = c.layers(), c.count("hidden_size"), c.count("head_dim")
    group = c.count("num_gqa_groups")
    step, divisor = width * group, c.count("ffn_dim_divisor")
    n_heads = [_nearest(d_model * each, step) // width for each in _multipliers(c, "qkv_multipliers", n_layers)]
    widths = [_nearest(d_model * each, divisor) for each in _multipliers(c, "ffn_multipliers", n_layers, listed=True)]
    why = "that which qkv_multipliers gives"
    c.expect("num_query_heads", n_heads, why=why)
    c.expect("num_kv_heads", [n // group for n in n_heads], why=why)
    attention = {
        "kind": "gqa",
        "head_dim": width,
        "rope_theta": c.number("rope_freq_constant"),
        "qk_norm": "per_head" if c.flag("normalize_qk_projections") else None,
    }
    ffn = {
        "kind": "dense",
        "activation": c.choice("activation_fn_name", ACTIVATIONS),
        "gated": c.flag("ffn_with_glu"),
    }
    return frame(
        c,
        {"eps": 1e-6},
        attention=axis(n_heads, lambda n: {**attention, "n_heads": n, "n_kv_heads": n // group}),
        ffn=axis(widths, lambda d_ff: {**ffn, "d_ff": d_ff}),
    )


def _multipliers(c: Config, name: str, n_layers: int, listed: bool = False) -> list[float]:
    """One for each layer, from a number for all, from the first and the last, or (`listed`) from all of them."""
    if not isinstance(c.value(name), list):
        return [c.number(name)] * n_layers
    given = c.numbers(name)
    if len(given) == 2:
        first, last = given
        steps = max(n_layers - 1, 1)
        return [round((first + i * ((last - first) / steps)) * 100) / 100 for i in range(n_layers)]
    if not listed or len(given) != n_layers:
        c.fail(name, f"must have 2 entries{f' or {n_layers:,}, one per layer' if listed else ''}, not {len(given):,}")
    return given


def _nearest(width: float, step: int) -> int:
    """The nearest multiple of `step` above 0, or the next one if that is less than 0.9 times `width`."""
    found = max(step, int(width + step / 2) // step * step)
    return found + step if found < 0.9 * width else found


OF_LAYERS = BIASES | {"num_key_value_heads": None}  # blocks have key heads of their own

OPENELM_NAMES = {
    "model_dim": "hidden_size",
    "num_transformer_layers": "num_hidden_layers",
    "max_context_length": "max_position_embeddings",
    "share_input_output_layers": "tie_word_embeddings",
}

FAMILIES = (
    Family(
        "deci",
        deci,
        OF_LAYERS,
        without_effect=dict.fromkeys(
            ("naive_attention_decode_batched", "naive_attention_decode_single", "naive_attention_prefill"), ANY
        ),
        remote=True,
    ),
    Family("nemotron-nas", nemotron_nas, OF_LAYERS, remote=True),
    Family(
        "openelm",
        openelm,
        {},
        aliases=OPENELM_NAMES,
        without_effect={
            "normalization_layer_name": ("rms_norm",),
            "rope_max_length": ANY,  # the number of angles that its code computes beforehand
        },
        remote=True,
    ),
)
