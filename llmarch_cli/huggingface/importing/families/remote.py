"""Decoders that transformers has no class for: their authors publish the code with the weights.

All sizes are required. A default is one that the authors' own config class gives.
"""

from __future__ import annotations

from llmarch_cli.huggingface.importing.families.dense import QWEN, llama, qwen2
from llmarch_cli.huggingface.importing.families.family import BIASES, Family
from llmarch_cli.huggingface.importing.families.layer_norms import stablelm
from llmarch_cli.huggingface.importing.keys import ANY, Accepted, Config
from llmarch_cli.huggingface.importing.layers import Fields
from llmarch_cli.huggingface.importing.pieces import (
    biased,
    dense,
    dense_below,
    frame,
    gqa,
    head_dim,
    heads,
    layer_norm,
    mixed,
    moe,
    only_divided,
    rms,
    shared,
)

UNIT_ROWS = 125_696  # the vocabulary of Baichuan 2, by which engines, too, tell its head from that of Baichuan


def baichuan(c: Config) -> Fields:
    """Baichuan 1 and 2: the 7B models rotate and have `max_position_embeddings`, the 13B models have ALiBi and not."""
    n_heads = c.count("num_attention_heads")
    c.expect("num_key_value_heads", n_heads)
    rotated = "max_position_embeddings" in c.data
    positions: Fields = {"rope_theta": 10_000.0} if rotated else {"alibi": "unscaled"}
    normalized = c.count("vocab_size") == UNIT_ROWS
    c.notes.append(
        f"Read as {'a 7B model, which rotates' if rotated else 'a 13B model, with ALiBi'}, of"
        f" {'Baichuan 2, whose head has rows of length 1' if normalized else 'the first Baichuan'}."
    )
    return frame(
        c,
        rms(c),
        head_norm=normalized,
        attention={**heads(c, only_divided(c)), **positions},
        ffn=dense(c),
    )


def internlm(c: Config) -> Fields:
    """The first InternLM, with rotary settings of its own."""
    c.expect("num_key_value_heads", c.count("num_attention_heads"))
    rotary = c.inner("rotary", {"base": 10_000.0, "type": "origin", "scaling_factor": 1.0})
    positions: Fields = {"rope_theta": rotary.number("base")}
    factor = rotary.number("scaling_factor")
    if rotary.choice("type", {"origin": False, "dynamic": True}):
        positions["rope_scaling"] = {
            "kind": "dynamic_ntk",
            "factor": factor,
            "original_context_length": c.count("max_position_embeddings"),
        }
    rotary.finish({})
    attention = {**heads(c, only_divided(c)), **positions, **biased(c, "bias")}
    return frame(c, rms(c), attention=attention, ffn=dense(c))


def internlm2(c: Config) -> Fields:
    return frame(c, rms(c), attention=gqa(c, only_divided(c), **biased(c, "bias")), ffn=dense(c))


def pangu_embedded(c: Config) -> Fields:
    return frame(c, rms(c), attention=gqa(c, **biased(c, "bias")), ffn=dense(c))


def orion(c: Config) -> Fields:
    attention = gqa(c, only_divided(c), **biased(c))
    return frame(c, layer_norm(c, "rms_norm_eps", bias=True), attention=attention, ffn=dense(c))


def exaone(c: Config) -> Fields:
    return frame(c, rms(c), attention=gqa(c), ffn=dense(c, "activation_function"))


def minicpm(c: Config) -> Fields:
    """Outputs scaled by width and depth (arXiv 2404.06395, section 3.1); optionally experts in each layer."""
    n_layers = c.layers()
    c.expect("mup_denominator", n_layers, why="the number of layers")
    experts = c.optional(c.count, "num_experts", least=0)
    return frame(
        c,
        rms(c),
        embedding_scale=c.number("scale_emb"),
        residual_scale=c.number("scale_depth") / n_layers**0.5,
        logit_scale=c.count("dim_model_base") / c.count("hidden_size"),
        attention=gqa(c, only_divided(c), **biased(c)),
        ffn=moe(c, "num_experts", "intermediate_size") if experts else dense(c),
    )


def chatglm(c: Config) -> Fields:
    """ChatGLM 2 and 3, and GLM-4 as first published: half of each head is rotated."""
    n_heads, width = c.count("num_attention_heads"), c.count("kv_channels")
    bias = c.flag("add_bias_linear")
    attention = {
        "kind": "gqa",
        "n_heads": n_heads,
        "n_kv_heads": c.count("multi_query_group_num") if c.flag("multi_query_attention") else n_heads,
        "head_dim": width,
        "rope_theta": 10_000.0 * c.number("rope_ratio"),
        "rotary_dim": width // 2,
        "rope_interleaved": True,
        "qkv_bias": c.flag("add_qkv_bias") or bias,
        "o_bias": bias,
    }
    ffn = {"kind": "dense", "d_ff": c.count("intermediate_size"), "bias": bias}
    return frame(c, rms(c), attention=attention, ffn=ffn)


def qwen(c: Config) -> Fields:
    """The first Qwen. Its `intermediate_size` is that of the gate and the up projection together."""
    n_heads, width = c.count("num_attention_heads"), c.count("kv_channels")
    bias, d_ff = not c.flag("no_bias"), c.count("intermediate_size")
    if d_ff % 2:
        c.fail("intermediate_size", f"must be even, not {d_ff}: it is twice the width of a feed-forward layer")
    rotated = int(width * c.number("rotary_pct"))
    attention = {
        "kind": "gqa",
        "n_heads": n_heads,
        "n_kv_heads": n_heads,
        "head_dim": width,
        "rope_theta": c.number("rotary_emb_base"),
        "rotary_dim": None if rotated == width else rotated,
        "qkv_bias": True,
        "o_bias": bias,
        **_beyond_training(c),
    }
    ffn = {"kind": "dense", "d_ff": d_ff // 2, "bias": bias}
    return frame(c, rms(c), attention=attention, ffn=ffn)


def _beyond_training(c: Config) -> Fields:
    """What changes beyond the length of training: larger angles in steps, and sharper scores."""
    length = c.count("seq_length")
    steps, log_n = c.flag("use_dynamic_ntk"), c.flag("use_logn_attn")
    return {
        "rope_scaling": {"kind": "stepped_ntk", "original_context_length": length} if steps else None,
        "temperature": {"kind": "log_ratio", "length": length, "offset": 1} if log_n else None,
    }


def mimo(c: Config) -> Fields:
    """Qwen 2 with multi-token-prediction blocks, whose projection has the halves of its input in the other order."""
    return {**qwen2(c), "n_mtp_blocks": c.count("num_nextn_predict_layers", least=0)}


def deepseek(c: Config) -> Fields:
    """DeepSeek-MoE: experts as in its successors, attention with all heads."""
    c.expect("scoring_func", "softmax")
    top_k = c.count("num_experts_per_tok")
    experts = moe(
        c,
        "n_routed_experts",
        "moe_intermediate_size",
        renormalize=c.flag("norm_topk_prob") and top_k > 1,
        shared_expert=shared(c, (c.optional(c.count, "n_shared_experts") or 0) * c.count("moe_intermediate_size")),
    )
    attention = gqa(c, only_divided(c), **biased(c))
    return frame(c, rms(c), attention=attention, ffn=mixed(dense_below(c), experts, dense(c)))


def bailing_moe(c: Config) -> Fields:
    """Ling and Ring: softmax routing in the first generation, DeepSeek-V3's in the second."""
    width, d_ff = head_dim(c), c.count("moe_intermediate_size")
    attention = gqa(c, width, partial=True, qkv_bias=c.flag("use_qkv_bias"))
    attention["qk_norm"] = "per_head" if c.flag("use_qk_norm") else None
    c.expect("rotary_dim", attention.get("rotary_dim", width), why="the head width times partial_rotary_factor")
    c.expect("moe_shared_expert_intermediate_size", d_ff, why="equal to moe_intermediate_size")
    experts = moe(
        c,
        "num_experts",
        "moe_intermediate_size",
        renormalize=c.flag("norm_topk_prob") and c.count("num_experts_per_tok") > 1,
        shared_expert=shared(c, (c.optional(c.count, "num_shared_experts", least=0) or 0) * d_ff),
        **(_grouped(c) if c.choice("score_function", {"softmax": False, "sigmoid": True}) else {}),
    )
    return frame(
        c,
        rms(c),
        n_mtp_blocks=c.count("num_nextn_predict_layers", least=0),
        attention=attention,
        ffn=mixed(dense_below(c), experts, dense(c)),
    )


def _grouped(c: Config) -> Fields:
    """The routing of the second generation, which always renormalises."""
    c.expect("norm_topk_prob", True)
    n_groups, kept = c.count("n_group"), c.count("topk_group")
    return {
        "scoring": "sigmoid",
        "selection_bias": c.flag("moe_router_enable_expert_bias"),
        "routed_scale": c.number("routed_scaling_factor"),
        "n_groups": n_groups if n_groups > 1 else None,
        "top_k_groups": kept if n_groups > 1 else None,
    }


# The names of sizes in families that do not use the usual ones.
GLM_NAMES = {
    "seq_length": "max_position_embeddings",
    "num_layers": "num_hidden_layers",
    "padded_vocab_size": "vocab_size",
    "ffn_hidden_size": "intermediate_size",
    "layernorm_epsilon": "rms_norm_eps",
}

# The classes of some authors give each head keys of its own if a file does not say otherwise.
OWN_KEYS = {"num_key_value_heads": None}

# transformers ties what a file says nothing of; classes with another default write it into their files.
TIED = {"tie_word_embeddings": True}

ROTATED_AS_USUAL: dict[str, Accepted] = {"rope_theta": (10_000,), "rope_scaling": (None,)}

FAMILIES = (
    Family(
        "baichuan",
        baichuan,
        OWN_KEYS,
        aliases={"model_max_length": "max_position_embeddings"},
        without_effect=ROTATED_AS_USUAL | {"_from_model_config": ANY, "z_loss_weight": ANY},
        remote=True,
    ),
    Family("Yi", llama, BIASES, remote=True),
    *(Family(name, llama, BIASES | OWN_KEYS, remote=True) for name in ("aquila", "skywork")),
    Family(
        "xverse",
        llama,
        BIASES | OWN_KEYS | {"rope_theta": 10_000.0},
        without_effect=dict.fromkeys(("max_tokenizer_truncation", "initializer_weight"), ANY)
        | {"quantization_bit": (0, None)},
        remote=True,
    ),
    Family("internlm", internlm, OWN_KEYS, without_effect=ROTATED_AS_USUAL, remote=True),
    Family("internlm2", internlm2, OWN_KEYS, remote=True),
    Family("PanguEmbedded", pangu_embedded, {}, remote=True),
    Family("orion", orion, {"attention_bias": False}, remote=True),
    Family(
        "exaone",
        exaone,
        TIED | OWN_KEYS,
        aliases={"num_layers": "num_hidden_layers", "layer_norm_epsilon": "rms_norm_eps"},
        remote=True,
    ),
    Family(
        "stablelm_epoch",
        stablelm,
        {"qk_layernorm": False, "use_parallel_residual": False},
        aliases={"rope_pct": "partial_rotary_factor", "norm_eps": "layer_norm_eps"},
        without_effect={"rotary_scaling_factor": (1.0,)},
        remote=True,
    ),
    Family(
        "minicpm",
        minicpm,
        TIED | OWN_KEYS | {"attention_bias": False, "rope_theta": 10_000.0},
        without_effect={"sparse_config": (None,)},
        remote=True,
    ),
    Family(
        "chatglm",
        chatglm,
        {"rope_ratio": 1.0},
        aliases=GLM_NAMES,
        without_effect={
            **dict.fromkeys(("rmsnorm", "post_layer_norm", "original_rope"), (True,)),
            # Scores are divided by the number of the layer, and multiplied by it before their softmax.
            "apply_query_key_layer_scaling": ANY,
            **dict.fromkeys(("fp32_residual_connection", "quantization_bit"), ANY),
            "apply_residual_connection_post_layernorm": (False,),
            "pre_seq_len": (None,),
            "prefix_projection": ANY,
        },
        remote=True,
    ),
    Family(
        "qwen",
        qwen,
        {},
        aliases={"layer_norm_epsilon": "rms_norm_eps"},
        without_effect={
            **dict.fromkeys(("attn_dropout_prob", "emb_dropout_prob", "bf16", "fp16", "fp32", "onnx_safe"), ANY),
            **dict.fromkeys(("softmax_in_fp32", "use_cache_kernel", "use_cache_quantization"), ANY),
            "scale_attn_weights": (True,),
        },
        remote=True,
    ),
    Family(
        "mimo",
        mimo,
        QWEN,
        without_effect={"attention_bias": (True,), "use_mrope": (False,)},
        remote=True,
    ),
    Family("deepseek", deepseek, {"attention_bias": False}, remote=True),
    Family(
        "bailing_moe",
        bailing_moe,
        {
            "use_qk_norm": False,
            "partial_rotary_factor": 1.0,
            "score_function": "softmax",
            "num_nextn_predict_layers": 0,
        },
        without_effect={
            **dict.fromkeys(("mtp_loss_scaling_factor", "output_dropout", "router_dtype"), ANY),
            **dict.fromkeys(("use_bias", "norm_head", "norm_softmax"), (False,)),
            "sliding_window": ANY,  # turned off
            "use_rmsnorm": (True,),
        },
        remote=True,
    ),
)
