"""Text decoders of multimodal models, where they differ from a family of their own.

Without an image, multimodal rotary embeddings give the angles of ordinary ones.
"""

from __future__ import annotations

from functools import partial

from llmarch_cli.huggingface.importing.families.dense import (
    IN_PHI3,
    MULTIPLIERS,
    PHI,
    QWEN,
    granite,
    llama,
    phi3,
    qwen2,
)
from llmarch_cli.huggingface.importing.families.experts import sparse_layers
from llmarch_cli.huggingface.importing.families.family import BIASES, USUAL, Family, sizes
from llmarch_cli.huggingface.importing.families.hunyuan import TURNED_OFF, XDROPE, hunyuan_dense
from llmarch_cli.huggingface.importing.families.shared_experts import NORM_MIN
from llmarch_cli.huggingface.importing.keys import ANY, Config
from llmarch_cli.huggingface.importing.layers import Fields
from llmarch_cli.huggingface.importing.pieces import (
    biased,
    dense,
    dense_below,
    frame,
    gqa,
    grouped_sigmoid_moe,
    head_dim,
    listed_sparse,
    mixed,
    moe,
    only_divided,
    rms,
    shared,
    untied,
)
from llmarch_cli.huggingface.importing.rope import MROPE, SCALINGS

IMAGE_ROWS = 8  # of the embedding of Llama 3.2 Vision, beyond its vocabulary


def qwen2_vl(c: Config) -> Fields:
    only_divided(c)
    return qwen2(c, scalings=MROPE)


def qwen3_vl(c: Config) -> Fields:
    attention = gqa(c, qk_norm="per_head", **biased(c))
    return frame(c, rms(c), attention=attention, ffn=dense(c))


def qwen3_vl_moe(c: Config) -> Fields:
    """Experts in Qwen3's layout. Qwen3-VL always renormalises their weights, Qwen3-Omni by `norm_topk_prob`."""
    attention = gqa(c, qk_norm="per_head", **biased(c))
    experts = moe(c, "num_experts", "moe_intermediate_size", renormalize=_renormalised(c))
    return frame(c, rms(c), attention=attention, ffn=mixed(sparse_layers(c), experts, dense(c)))


def _renormalised(c: Config) -> bool:
    if "norm_topk_prob" in c.defaults:
        return c.flag("norm_topk_prob")
    c.expect("norm_topk_prob", True)
    return True


def glm4v(c: Config, bias: bool = True) -> Fields:
    width = head_dim(c) if "head_dim" in c.defaults else only_divided(c)
    attention = gqa(c, width, partial=True, rope_interleaved=True, qkv_bias=bias)
    return frame(c, rms(c), norm_placement="sandwich", attention=attention, ffn=dense(c))


def glm4v_moe(c: Config) -> Fields:
    c.expect("use_qk_norm", False)
    attention = gqa(c, partial=True, qkv_bias=c.flag("attention_bias"))
    return frame(c, rms(c), attention=attention, ffn=mixed(dense_below(c), grouped_sigmoid_moe(c), dense(c)))


def ernie4_5_vl_moe(c: Config) -> Fields:
    """Ernie 4.5 VL: each layer has experts for text and experts for images, and the shared ones serve both."""
    bias, n_shared = c.flag("use_bias"), c.count("moe_num_shared_experts", least=0)
    d_model, name = c.count("hidden_size"), "moe_intermediate_size"
    widths = c.optional(c.whole_numbers, name) or c.filled_in(name, [1536, 512])
    if len(widths) != 2 or not all(widths):
        c.fail(name, "must be two widths above 0: of the experts for text and for images")
    d_ff, d_ff_of_images = widths
    n_experts = c.count("moe_num_experts")
    text = {
        **moe(c, "moe_num_experts", "hidden_size", "moe_k", selection_bias=True),
        "d_ff": d_ff,
        "shared_expert": shared(c, n_shared * d_ff, bias=bias and n_shared > 0),
    }
    sparse = listed_sparse(c)
    # A router and three matrices an expert. Their selection bias is a buffer here.
    beside = sum(sparse) * n_experts * (d_model + 3 * d_model * d_ff_of_images)
    c.leave_out(f"the experts for images in {sum(sparse)} layers", beside)
    scalings = {"default": SCALINGS["default"]}
    attention = gqa(c, scalings=scalings, rope_interleaved=True, **biased(c, "use_bias"))
    return frame(c, rms(c), attention=attention, ffn=mixed(sparse, text, dense(c, bias=bias)))


def paddleocr_vl(c: Config) -> Fields:
    attention = gqa(c, **biased(c, "use_bias"))
    return frame(c, rms(c), attention=attention, ffn=dense(c, bias=c.flag("use_bias")))


def mllama(c: Config) -> Fields:
    """Llama 3.2 Vision: some layers attend to the image instead of the text. Without one, they are skipped."""
    untied(c)
    listed = c.optional(c.whole_numbers, "cross_attention_layers")
    crossed = set(c.filled_in("cross_attention_layers", range(3, 40, 5)) if listed is None else listed)
    n_layers, d_model, width = c.layers(), c.count("hidden_size"), only_divided(c)
    crossed &= set(range(n_layers))
    if len(crossed) == n_layers:
        c.fail("cross_attention_layers", "names all layers")
    found = frame(c, rms(c), attention=gqa(c, width), ffn=dense(c))
    queries, keys = (width * found["attention"][name] for name in ("n_heads", "n_kv_heads"))
    # Four projections, norms of queries and keys, a feed-forward layer, two norms and two gates.
    layer = 2 * d_model * (queries + keys) + 2 * width + 3 * d_model * found["ffn"]["d_ff"] + 2 * d_model + 2
    c.leave_out(f"{len(crossed)} layers of cross-attention", len(crossed) * layer)
    c.leave_out(f"{IMAGE_ROWS} rows of the embedding for images", IMAGE_ROWS * d_model)
    return {**found, "n_layers": n_layers - len(crossed)}


GRANITE = USUAL | BIASES | MULTIPLIERS
QWEN2_VL = (
    USUAL
    | QWEN
    | {"max_window_layers": 80, "rms_norm_eps": 1e-5, "rope_theta": 1_000_000.0}
    | sizes(152_064, 8192, 29_568, 80, 64, 8, 32_768)
)

FAMILIES = (
    *(
        # Queries, keys and values have a bias, and the output has none, whatever the config says.
        Family(name, qwen2_vl, QWEN2_VL, without_effect={"attention_bias": (True, False)})
        for name in ("qwen2_vl_text", "qwen2_5_vl_text")
    ),
    Family(
        "qwen2_5_omni_text",
        qwen2,
        USUAL
        | QWEN
        | {"sliding_window": 32_768, "rope_theta": 1_000_000.0, "tie_word_embeddings": True}
        | sizes(152_064, 3584, 18_944, 28, 28, 4, 32_768),
    ),
    Family(
        "qwen3_vl_text",
        qwen3_vl,
        USUAL
        | {"attention_bias": False, "head_dim": 128, "rope_theta": 500_000.0}
        | sizes(151_936, 4096, 22_016, 32, 32, 32, 128_000),
    ),
    Family(
        "qwen3_vl_moe_text",
        qwen3_vl_moe,
        USUAL
        | {"attention_bias": False, "head_dim": None, "rope_theta": 500_000.0, "tie_word_embeddings": True}
        | {"decoder_sparse_step": 1, "mlp_only_layers": None, "moe_intermediate_size": 1408}
        | {"num_experts_per_tok": 4, "num_experts": 60}
        | sizes(151_936, 2048, 5632, 24, 16, 16, 128_000),
        aliases={"num_local_experts": "num_experts"},
    ),
    Family(
        "qwen3_omni_moe_text",
        qwen3_vl_moe,
        USUAL
        | {"attention_bias": False, "rope_theta": 1_000_000.0}
        | {"decoder_sparse_step": 1, "mlp_only_layers": None, "moe_intermediate_size": 768}
        | {"num_experts_per_tok": 8, "num_experts": 128, "norm_topk_prob": True}
        | sizes(3584, 2048, 18_944, 28, 28, 4, 32_768),
        without_effect={"shared_expert_intermediate_size": (0,), "use_qk_norm": (True,)},
    ),
    Family(
        "glm4v_text",
        glm4v,
        USUAL | {"rms_norm_eps": 1e-5} | sizes(151_552, 4096, 13_696, 40, 32, 2, 32_768),
        without_effect={"attention_bias": (True,)},
    ),
    Family(
        "glm4v_moe_text",
        glm4v_moe,
        USUAL
        | {"rms_norm_eps": 1e-5, "attention_bias": True, "partial_rotary_factor": 0.5}
        | {"moe_intermediate_size": 1408, "num_experts_per_tok": 8, "n_shared_experts": 1}
        | {"n_routed_experts": 128, "routed_scaling_factor": 1.0, "n_group": 1, "topk_group": 1}
        | {"first_k_dense_replace": 1, "norm_topk_prob": True}
        | sizes(151_424, 4096, 10_944, 46, 96, 8, 65_536),
        aliases={"num_local_experts": "n_routed_experts"},
    ),
    Family(
        "ernie4_5_vl_moe_text",
        ernie4_5_vl_moe,
        USUAL
        | {"rms_norm_eps": 1e-5, "rope_theta": 500_000.0, "tie_word_embeddings": True, "use_bias": False}
        | {"moe_intermediate_size": None, "moe_k": 6, "moe_num_experts": 64, "moe_num_shared_experts": 2}
        | {"mlp_layer_types": None}
        | sizes(103_424, 2560, 12_288, 28, 20, 4, 131_072),
        aliases={"num_experts": "moe_num_experts", "num_experts_per_tok": "moe_k"},
        without_effect=NORM_MIN,
    ),
    Family(
        "mllama_text_model",
        mllama,
        USUAL
        | {"rms_norm_eps": 1e-5, "rope_theta": 500_000.0}
        | {"cross_attention_layers": None}
        | sizes(128_256, 4096, 14_336, 40, 32, 8, 131_072),
        without_effect={"dropout": ANY},
    ),
    Family(
        "emu3_text_model",
        llama,
        USUAL
        | BIASES
        | {"rms_norm_eps": 1e-5, "rope_theta": 1_000_000.0}
        | sizes(184_622, 4096, 14_336, 32, 32, 8, 9216),
    ),
    Family(
        "glm_ocr_text",
        partial(glm4v, bias=False),
        USUAL | {"rms_norm_eps": 1e-5, "head_dim": None} | sizes(59_392, 1024, 4096, 16, 16, 8, 131_072),
    ),
    Family(
        "paddleocr_vl_text",
        paddleocr_vl,
        USUAL
        | {"rms_norm_eps": 1e-5, "rope_theta": 500_000.0, "tie_word_embeddings": True}
        | {"use_bias": False, "head_dim": 128}
        | sizes(103_424, 1024, 3072, 18, 16, 2, 131_072),
        without_effect={
            **dict.fromkeys(("ignored_index", "weight_share_add_bias"), ANY),
            **dict.fromkeys(("rope_is_neox_style", "use_3d_rope"), (True,)),
            "compression_ratio": (1.0,),
        },
    ),
    Family(
        "hunyuan_vl_text",
        partial(hunyuan_dense, scalings=XDROPE),
        USUAL
        | {"attention_bias": False, "head_dim": None, "rms_norm_eps": 1e-5, "tie_word_embeddings": True}
        | sizes(290_943, 4096, 11_008, 32, 32, None, 2048),
        without_effect=TURNED_OFF,
    ),
    Family("granite4_vision_text", granite, GRANITE | sizes(32_000, 4096, 11_008, 32, 32, None, 2048)),
    Family(
        "granite_docling_text",
        granite,
        GRANITE
        | {"rms_norm_eps": 1e-5, "tie_word_embeddings": True}
        | {"embedding_multiplier": 12.0, "logits_scaling": 4.0}
        | {"residual_multiplier": 0.263, "attention_multiplier": 0.015625}
        | sizes(133_800, 1024, 2048, 28, 16, 4, 32_768),
    ),
    Family(
        "phi4_multimodal",
        phi3,
        PHI | sizes(200_064, 3072, 8192, 32, 32, 8, 131_072),
        without_effect=IN_PHI3,
    ),
)
