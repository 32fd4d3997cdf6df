"""Sparse attention by an indexer, over latents or over blocks of keys."""

from __future__ import annotations

from typing import Any

from llmarch_cli.errors import shown
from llmarch_cli.huggingface.importing.families.family import USUAL, Family, sizes
from llmarch_cli.huggingface.importing.families.latent import LATENT, mla
from llmarch_cli.huggingface.importing.keys import ANY, Accepted, Config, one_of
from llmarch_cli.huggingface.importing.layers import Fields, axis, pattern
from llmarch_cli.huggingface.importing.pieces import (
    dense,
    frame,
    gqa,
    grouped_sigmoid_moe,
    listed_sparse,
    mixed,
    rms,
    sparse_from,
    without_prediction_blocks,
)

OWN, SHARED = "full", "shared"  # whether a layer has an indexer of its own

# --- latents --------------------------------------------------------------------------------------------------------


def deepseek_v32(c: Config) -> Fields:
    c.expect("indexer_rope_interleave", False, why="the indexer of this family rotates halves")
    return _latent(c, {**_attention(c), "indexer": _indexer(c, rope_interleaved=False)})


def glm_moe_dsa(c: Config) -> Fields:
    c.expect("indexer_rope_interleave", True, why="the indexer of this family rotates pairs")
    # Published files also have the width of the unrotated values here. The class overwrites both.
    c.expect("head_dim", c.count("qk_rope_head_dim"), c.count("qk_nope_head_dim"), why="a width of the heads")
    attention, indexer = _attention(c, repeats_head_dim=False), _indexer(c, rope_interleaved=True)
    own = {**attention, "indexer": indexer}
    kinds = _indexer_types(c)
    if SHARED not in kinds:
        return _latent(c, own)
    reused = {**attention, "indexer": {"indices_from": OWN, "top_k": indexer["top_k"]}}
    laid = {**pattern(kinds), "variants": {OWN: own, SHARED: reused}}
    return _latent(c, laid, predicts=kinds[-1] == OWN)


def _latent(c: Config, attention: Fields, predicts: bool = True) -> Fields:
    """Latent attention and grouped experts. `predicts`: a block that predicts can be built as the last layer is."""
    sparse = listed_sparse(c, sparse_from(c, c.count("first_k_dense_replace", least=0)))
    c.expect("moe_layer_freq", 1)
    name = "num_nextn_predict_layers"
    n_blocks = c.count(name, least=0) if predicts else without_prediction_blocks(c, name) * 0
    ffn = mixed(sparse, grouped_sigmoid_moe(c), dense(c))
    return frame(c, rms(c), n_mtp_blocks=n_blocks, attention=attention, ffn=ffn)


def _attention(c: Config, repeats_head_dim: bool = True) -> Fields:
    c.count("q_lora_rank")  # always compressed
    c.expect("rope_interleave", True, why="this family rotates pairs")
    return mla(c, rope_interleaved=True, repeats_head_dim=repeats_head_dim)


def _indexer(c: Config, rope_interleaved: bool) -> Fields:
    return {
        "n_heads": c.count("index_n_heads"),
        "head_dim": c.count("index_head_dim"),
        "top_k": c.count("index_topk"),
        "rope_interleaved": rope_interleaved,
    }


def _indexer_types(c: Config) -> list[str]:
    """Whether each layer has an indexer of its own, or reuses the choice of the nearest layer below that has one."""
    n_layers, listed, letters = c.layers(), "indexer_types", "index_topk_pattern"
    step, offset = c.count("index_topk_freq", least=0) or 1, c.count("index_skip_topk_offset", least=0)
    found = [SHARED if max(layer - offset + 1, 0) % step else OWN for layer in range(n_layers)]
    if c.given(letters):
        found = _from_pattern(c, letters, n_layers)
    c.read.add(letters)
    if c.given(listed):
        kinds = c.items(listed, one_of((OWN, SHARED)), f"{OWN} or {SHARED}", n_layers)
        others = [name for name in (letters, "index_topk_freq", "index_skip_topk_offset") if c.given(name)]
        if others and kinds != found:
            c.fail(others[0], f"says other layers than {listed}, which alone transformers reads")
        found = kinds
    c.read.add(listed)
    if found[0] == SHARED:
        c.fail(listed, "the first layer is shared, but no layer below it chooses tokens")
    return found


def _from_pattern(c: Config, name: str, n_layers: int) -> list[str]:
    """The kinds of all layers from a word of letters, or from a list."""
    value = c.value(name)
    if isinstance(value, str):
        meanings = {"F": OWN, "S": SHARED}
        if len(value) != n_layers or not set(value) <= set(meanings):
            c.fail(name, f"must be {n_layers:,} letters F or S, one per layer, not {shown(value)}")
        return [meanings[letter] for letter in value]
    return c.items(name, one_of((OWN, SHARED)), f"{OWN} or {SHARED}", n_layers)


# --- blocks of keys -------------------------------------------------------------------------------------------------

SPARSE, FULL = "minimax_m3_sparse", "full_attention"

# Keys of the blocks' indexer, with the names that they have in a mapping of their own.
_INSIDE = {
    "index_n_heads": "sparse_num_index_heads",
    "index_head_dim": "sparse_index_dim",
    "index_block_size": "sparse_block_size",
    "index_topk_blocks": "sparse_topk_blocks",
    "index_local_blocks": "sparse_local_block",
}


def minimax_m3(c: Config) -> Fields:
    attention = _m3_attention(c)
    kinds, indexer = _block_indexer(c)
    sparse = _m3_experts(c)
    for name in ("num_mtp_modules", "num_nextn_predict_layers"):
        without_prediction_blocks(c, name)
    return frame(
        c,
        rms(c, unit_offset=True),
        attention=axis(kinds, lambda kind: {**attention, "indexer": indexer} if kind == SPARSE else attention),
        ffn=mixed(sparse, *_m3_feed_forward(c)),
    )


def _m3_attention(c: Config) -> Fields:
    c.expect("use_qk_norm", True, why="this family always normalises queries and keys")
    c.expect("qk_norm_type", "per_head")
    c.expect("use_gemma_norm", True, why="norms of this family always add 1 to their weights")
    c.expect("attention_output_gate", False)
    width = c.count("head_dim")
    attention = gqa(c, width, partial=True, qk_norm="per_head")
    if c.given("rotary_dim"):
        rotated, found = c.count("rotary_dim"), attention.get("rotary_dim", width)
        # transformers' class rotates by the share alone, and its own configs contradict it.
        if rotated != found and (c.given("partial_rotary_factor") or "rotary_dim" not in c.defaults):
            c.fail("rotary_dim", f"{rotated}, but partial_rotary_factor gives {found}")
        if rotated != found:
            c.notes.append(
                f"rotary_dim is {rotated}; read as {found}, as by transformers, which reads the share alone."
            )
    c.read.add("rotary_dim")
    return attention


def _block_indexer(c: Config) -> tuple[list[str], Fields]:
    """The sort of attention of each layer, and the indexer of the sparse ones."""
    n_layers, given = c.layers(), c.given("sparse_attention_config")
    inside = c.inner("sparse_attention_config")
    fields: list[int] = []
    for outer, inner in _INSIDE.items():
        least = 0 if outer == "index_local_blocks" else 1
        value = inside.optional(inside.count, inner, least=least)
        if value is not None and c.given(outer) and c.count(outer, least=least) != value:
            c.fail(outer, f"{c.count(outer, least=least)}, but {inside.path}{inner}, which counts, is {value}")
        c.read.add(outer)
        fields.append(c.count(outer, least=least) if value is None else value)
    inside.expect("use_sparse_attention", True, why="sparse_attention_freq decides")
    inside.expect("sparse_init_block", 0)
    inside.expect("sparse_score_type", "max")
    kinds = [FULL] * n_layers
    if inside.given("sparse_attention_freq"):
        kinds = [SPARSE if on else FULL for on in _switches(inside, "sparse_attention_freq", n_layers)]
        name = "sparse_disable_index_value"
        if inside.given(name):
            off = _switches(inside, name, n_layers)
            if not all(off[layer] for layer, kind in enumerate(kinds) if kind == SPARSE):
                inside.fail(name, "must be 1 in every sparse layer: no field expresses values of an indexer")
    if given:
        inside.finish({})
    if c.given("layer_types"):
        listed = c.items("layer_types", one_of((FULL, SPARSE)), f"{FULL} or {SPARSE}", n_layers)
        if inside.given("sparse_attention_freq") and listed != kinds:
            c.fail("layer_types", f"says other layers than {inside.path}sparse_attention_freq")
        kinds = listed
    c.read.add("layer_types")
    names = ("n_heads", "head_dim", "block", "top_k", "local")
    return kinds, dict(zip(names, fields, strict=True))


def _m3_experts(c: Config) -> list[bool]:
    """Whether each layer has experts."""
    usual = [True] * c.layers()
    if c.given("moe_layer_freq"):
        usual = _switches(c, "moe_layer_freq", c.layers())
        if c.given("mlp_layer_types") and listed_sparse(c) != usual:
            c.fail("mlp_layer_types", "says other layers than moe_layer_freq")
    sparse = listed_sparse(c, usual)
    c.expect("first_k_dense_replace", [*sparse, True].index(True), why="moe_layer_freq decides")
    return sparse


def _switches(c: Config, name: str, n_layers: int) -> list[bool]:
    """A list of 0 and 1, one per layer."""
    found = c.items(name, lambda value: int(value) if value in (0, 1) else None, "0 or 1", n_layers)
    return [value == 1 for value in found]


def _m3_feed_forward(c: Config) -> tuple[Fields, Fields]:
    """The experts, with a shared one, and the dense layer."""
    c.expect("hidden_act", "silu", "swigluoai", why="the gate is swigluoai whatever it says")
    c.expect("swiglu_alpha", 1.702)
    c.expect("scoring_func", "sigmoid")
    c.expect("use_routing_bias", True)
    width = c.count("intermediate_size")
    c.expect("moe_intermediate_size", width, why="intermediate_size is the width of an expert")
    c.expect("n_shared_experts", 1, why="shared_intermediate_size is the width of the only one")
    gate: Fields = {"activation": "quick_gelu", "clamp": c.number("swiglu_limit"), "up_offset": 1.0}
    plain: Fields = {"kind": "dense", "d_ff": c.count("dense_intermediate_size"), **gate}
    experts: Fields = {
        "kind": "moe",
        "n_experts": c.count("num_local_experts"),
        "top_k": c.count("num_experts_per_tok"),
        "d_ff": width,
        "scoring": "sigmoid",
        "selection_bias": True,
        "routed_scale": c.number("routed_scaling_factor"),
        **gate,
        "shared_expert": {**plain, "d_ff": c.count("shared_intermediate_size")},
    }
    return experts, plain


INDEXED: dict[str, Accepted] = {
    "index_share_for_mtp_iteration": ANY,  # how blocks that predict run
    # The second is the older name of the first.
    "layer_types": lambda value: (
        isinstance(value, list) and set(map(str, value)) <= {"indexed_attention", "deepseek_sparse_attention"}
    ),
}

EXPERTS: dict[str, Any] = {
    "moe_intermediate_size": 2048,
    "n_shared_experts": 1,
    "n_routed_experts": 256,
    "routed_scaling_factor": 2.5,
    "num_experts_per_tok": 8,
    "norm_topk_prob": True,
    "first_k_dense_replace": 3,
    "mlp_layer_types": None,
    "num_nextn_predict_layers": 0,
}

M3: dict[str, Any] = (
    USUAL
    | {"rope_theta": 5_000_000.0, "head_dim": 128, "rotary_dim": 64, "partial_rotary_factor": None}
    | {"dense_intermediate_size": 12_288, "shared_intermediate_size": 3072, "swiglu_limit": 7.0}
    | {"num_experts_per_tok": 4, "num_local_experts": 128, "routed_scaling_factor": 2.0, "mlp_layer_types": None}
    | {"index_n_heads": 4, "index_head_dim": 128, "index_block_size": 128}
    | {"index_topk_blocks": 16, "index_local_blocks": 1}
    | sizes(200_064, 6144, 3072, 60, 64, 4, 524_288)
)

FAMILIES = (
    Family(
        "deepseek_v32",
        deepseek_v32,
        USUAL
        | LATENT
        | EXPERTS
        | {"n_group": 8, "topk_group": 4, "index_n_heads": 64, "index_head_dim": 128, "index_topk": 2048}
        | sizes(129_280, 7168, 18_432, 61, 128, 128, 163_840),
        aliases={"num_local_experts": "n_routed_experts", "num_experts": "n_routed_experts"},
        without_effect=INDEXED,
    ),
    Family(
        "glm_moe_dsa",
        glm_moe_dsa,
        USUAL
        | LATENT
        | EXPERTS
        | {"q_lora_rank": 2048, "qk_nope_head_dim": 192, "v_head_dim": 256, "rms_norm_eps": 1e-5}
        | {"n_group": 1, "topk_group": 1, "index_n_heads": 32, "index_head_dim": 128, "index_topk": 2048}
        | {"index_topk_freq": 1, "index_skip_topk_offset": 2}
        | sizes(154_880, 6144, 12_288, 78, 64, 64, 202_752),
        aliases={"num_local_experts": "n_routed_experts", "num_experts": "n_routed_experts"},
        without_effect=INDEXED,
    ),
    Family("minimax_m3_vl_text", minimax_m3, M3, {"num_experts": "num_local_experts"}),
    Family(
        "minimax_m3",
        minimax_m3,
        {name: value for name, value in M3.items() if name != "rotary_dim"},
        {"num_experts": "num_local_experts"},
        remote=True,
    ),
)
