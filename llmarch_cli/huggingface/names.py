"""Rules from the tensor names of published checkpoints to ours, as data.

Families share most names. A name with several meanings has a rule for each, and the first rule with all its targets in
the model applies: `post_attention_layernorm` is the norm before the feed-forward layer in most families, and after
attention in some. To add a family, add rules for the names that only it uses.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rule:
    """The contents of a published tensor.

    Attributes:
        name: a regular expression for the published name.
        ours: our tensors that it holds, concatenated along `dim`.
        dim: counted from the end, so that it is the same for one expert and for a stack.
        interleaved: ours alternate along `dim` instead, e.g. in even and odd rows.
        transposed: the last two dimensions of ours are swapped in it; `dim` is that of the published tensor.
        beside: another of our tensors that the model must have for this rule to apply.
    """

    name: str
    ours: tuple[str, ...]
    dim: int = -1
    interleaved: bool = False
    transposed: bool = False
    beside: str | None = None


def _same(published: str, ours: str) -> tuple[Rule, ...]:
    """The weight and bias of a matrix or a norm, unchanged."""
    return tuple(Rule(rf"{published}\.{kind}", (f"{ours}.{kind}",)) for kind in ("weight", "bias"))


def _fused(published: str, parts: tuple[str, ...]) -> tuple[Rule, ...]:
    """Several matrices and their biases, concatenated by rows."""
    return tuple(
        Rule(rf"{published}\.{kind}", tuple(f"{part}.{kind}" for part in parts), dim)
        for kind, dim in (("weight", -2), ("bias", -1))
    )


def _transposed(published: str, *parts: str) -> tuple[Rule, ...]:
    """One or several matrices, transposed and concatenated by columns, and their biases."""
    return (
        Rule(rf"{published}\.weight", tuple(f"{part}.weight" for part in parts), transposed=True),
        Rule(rf"{published}\.bias", tuple(f"{part}.bias" for part in parts)),
    )


def _gate_and_up(ours: str, kind: str = "weight") -> tuple[str, ...]:
    return f"{ours}.gate_proj.{kind}", f"{ours}.up_proj.{kind}"


def _gated(published: str, ours: str) -> tuple[Rule, ...]:
    """The three matrices of a gated feed-forward layer, separate or with gate and up fused."""
    parts = ("gate_proj", "up_proj", "down_proj")
    apart = (rule for part in parts for rule in _same(rf"{published}\.{part}", f"{ours}.{part}"))
    return (*apart, *_fused(rf"{published}\.gate_up_proj", (f"{ours}.gate_proj", f"{ours}.up_proj")))


_NUMBER = "0|[1-9][0-9]{0,5}"

# The index of an expert in a published name is replaced by EXPERT before matching.
EXPERT_NUMBER = rf"(?<=\bexperts\.)(?P<expert>{_NUMBER})(?=\.)"
EXPERT = "{expert}"
_EXPERT = r"experts\.\{expert\}"

_QKV = ("attention.q_proj", "attention.k_proj", "attention.v_proj")

_ATTENTION = (
    *(rule for part in "qkvo" for rule in _same(rf"self_attn\.{part}_proj", f"attention.{part}_proj")),
    *_fused(r"self_attn\.qkv_proj", _QKV),
    *_same(r"self_attn\.q_proj", "attention.q_b_proj"),  # latent attention without query compression
    *_same(r"self_attn\.q_norm", "attention.q_norm"),
    *_same(r"self_attn\.k_norm", "attention.k_norm"),
    *_same(r"self_attn\.query_layernorm", "attention.q_norm"),
    *_same(r"self_attn\.key_layernorm", "attention.k_norm"),
    Rule(r"self_attn\.(?:sinks|attention_sink_bias|softmax_offset)", ("attention.sinks",)),
    *_same(r"self_attn\.(?:g|gate)_proj", "attention.gate_proj"),
    *_same(r"self_attn\.attn_sub_norm", "attention.sub_norm"),
    *_same(r"self_attn\.q_a_proj", "attention.q_a_proj"),
    *_same(r"self_attn\.q_a_layernorm", "attention.q_a_norm"),
    *_same(r"self_attn\.q_b_proj", "attention.q_b_proj"),
    *_same(r"self_attn\.kv_a_proj_with_mqa", "attention.kv_a_proj"),
    *_same(r"self_attn\.kv_a_layernorm", "attention.kv_a_norm"),
    *_same(r"self_attn\.kv_b_proj", "attention.kv_b_proj"),
    *_same(r"self_attn\.indexer\.wq_b", "attention.index_q_proj"),
    *_same(r"self_attn\.indexer\.wk", "attention.index_k_proj"),
    *_same(r"self_attn\.indexer\.weights_proj", "attention.index_weights_proj"),
    *(
        rule
        for part in ("q_proj", "k_proj", "q_norm", "k_norm")
        for rule in _same(rf"self_attn\.(?:indexer\.|index_){part}", f"attention.index_{part}")
    ),
)

_NORMS = (
    *_same("(?:input|attention)_layernorm", "norms.attention_pre"),
    *_same("input_layernorm", "norms.shared_pre"),
    *_same("feedforward_layernorm", "norms.ffn_pre"),
    *_same("post_attention_layernorm", "norms.attention_post"),
    *_same("post_attention_layernorm", "norms.ffn_pre"),
    *_same("pre_feedforward_layernorm", "norms.ffn_pre"),
    *_same("post_feedforward_layernorm", "norms.ffn_post"),
    *_same("pre_mlp_layernorm", "norms.ffn_pre"),
    *_same("post_mlp_layernorm", "norms.ffn_post"),
)

_FEED_FORWARD = (
    *_gated("mlp", "ffn"),
    *_same(r"mlp\.(?:gate|router|gate\.wg|router\.gate)", "ffn.router"),
    Rule(r"mlp\.(?:(?:(?:gate|experts)\.)?e_score_correction|expert)_bias", ("ffn.selection_bias",)),
    *_same(r"mlp\.ffn_sub_norm", "ffn.sub_norm"),
    *_gated(rf"mlp\.{_EXPERT}", "ffn"),
    *_gated(r"mlp\.shared_(?:experts?|mlp)", "ffn.shared_expert"),
    *_same(r"mlp\.shared_expert_gate", "ffn.shared_expert_gate"),
    *_same("post_mlp_layernorm", "ffn.output_norm"),
    Rule(r"mlp\.act_fn\.alpha_p", ("ffn.alpha_p",)),
    Rule(r"mlp\.act_fn\.alpha_n", ("ffn.alpha_n",)),
)

# gpt-oss, recognised by the biases of its experts: stacked and transposed, with gate and up in alternating columns, or
# in alternating rows if stored in MXFP4 (`dequantise` unpacks it).
_BIASED = "ffn.down_proj.bias"
_GPT_OSS = (
    Rule(
        r"mlp\.experts\.gate_up_proj",
        _gate_and_up("ffn"),
        interleaved=True,
        transposed=True,
        beside=_BIASED,
    ),
    Rule(r"mlp\.experts\.gate_up_proj_blocks", _gate_and_up("ffn"), dim=-2, interleaved=True, beside=_BIASED),
    Rule(r"mlp\.experts\.gate_up_proj_bias", _gate_and_up("ffn", "bias"), interleaved=True),
    Rule(r"mlp\.experts\.down_proj", ("ffn.down_proj.weight",), transposed=True, beside=_BIASED),
    Rule(r"mlp\.experts\.down_proj_blocks", ("ffn.down_proj.weight",), beside=_BIASED),
    Rule(r"mlp\.experts\.down_proj_bias", (_BIASED,)),
)

# Stacked experts in all other families, as transformers holds them in memory.
_STACKED = (
    Rule(r"mlp\.experts\.gate_up_proj", _gate_and_up("ffn"), dim=-2),
    Rule(r"mlp\.experts\.down_proj", ("ffn.down_proj.weight",)),
)


def _mixtral(ours: str) -> tuple[Rule, ...]:
    names = (("w1", "gate_proj"), ("w3", "up_proj"), ("w2", "down_proj"))
    experts = (rule for w, part in names for rule in _same(rf"block_sparse_moe\.{_EXPERT}\.{w}", f"{ours}.{part}"))
    bias = Rule(r"block_sparse_moe\.e_score_correction_bias", (f"{ours}.selection_bias",))
    return (*_same(r"block_sparse_moe\.gate", f"{ours}.router"), bias, *experts)


_MIXTRAL = _mixtral("ffn")

# Granite: stacked experts, gate and up concatenated.
_GRANITE = (
    Rule(r"block_sparse_moe\.router(?:\.layer)?\.weight", ("ffn.router.weight",)),
    Rule(r"block_sparse_moe\.(?:input_linear\.weight|experts\.gate_up_proj)", _gate_and_up("ffn"), dim=-2),
    Rule(r"block_sparse_moe\.(?:output_linear\.weight|experts\.down_proj)", ("ffn.down_proj.weight",)),
    Rule(r"shared_mlp\.input_linear\.weight", _gate_and_up("ffn.shared_expert"), dim=-2),
    Rule(r"shared_mlp\.output_linear\.weight", ("ffn.shared_expert.down_proj.weight",)),
)

# Aria: stacked experts, transposed, gate and up concatenated.
_ARIA = (
    Rule(r"mlp\.experts\.fc1\.weight", _gate_and_up("ffn"), transposed=True),
    Rule(r"mlp\.experts\.fc2\.weight", ("ffn.down_proj.weight",), transposed=True),
)

# Cohere 2: the average of the routed and the shared experts.
_AVERAGED = (
    *_same(r"mlp\.gate", "ffn.moe_branch.router"),
    *_gated(rf"mlp\.{_EXPERT}", "ffn.moe_branch"),
    *_gated(r"mlp\.shared_experts", "ffn.shared_branch"),
)

# Grok: Mixtral's experts and a parallel dense layer.
_GROK = (
    *_same("pre_attn_norm", "norms.attention_pre"),
    *_same("post_attn_norm", "norms.attention_post"),
    *_same("pre_moe_norm", "norms.ffn_pre"),
    *_same("post_moe_norm", "norms.ffn_post"),
    *_gated("mlp", "ffn.dense_branch"),
    *_mixtral("ffn.moe_branch"),
)

# Llama 4: experts stacked and transposed, gate and up concatenated.
_LLAMA4 = (
    *_gated("feed_forward", "ffn"),
    *_same(r"feed_forward\.router", "ffn.router"),
    *_gated(r"feed_forward\.shared_expert", "ffn.shared_expert"),
    Rule(r"feed_forward\.experts\.gate_up_proj", _gate_and_up("ffn"), transposed=True),
    Rule(r"feed_forward\.experts\.down_proj", ("ffn.down_proj.weight",), transposed=True),
)

# StarCoder2: GPT-2's names for its MLP, not transposed. A square matrix fits either way, so the layer's prefix decides.
_STARCODER2 = (*_same(r"mlp\.c_fc", "ffn.up_proj"), *_same(r"mlp\.c_proj", "ffn.down_proj"))

# OPT, and Phi: fairseq's names.
_FAIRSEQ = (
    *_same(r"self_attn\.(?:out_proj|dense)", "attention.o_proj"),
    *_same(r"self_attn\.q_layernorm", "attention.q_norm"),
    *_same(r"self_attn\.k_layernorm", "attention.k_norm"),
    *_same("self_attn_layer_norm", "norms.attention_pre"),
    *_same("self_attn_layer_norm", "norms.attention_post"),
    *_same("final_layer_norm", "norms.ffn_pre"),
    *_same("final_layer_norm", "norms.ffn_post"),
    *_same(r"(?:mlp\.)?fc1", "ffn.up_proj"),
    *_same(r"(?:mlp\.)?fc2", "ffn.down_proj"),
)

# ModernBERT's decoders.
_MODERNBERT = (
    *(rule for part in "qkv" for rule in _same(rf"attn\.{part}_proj", f"attention.{part}_proj")),
    *_same(r"attn\.Wo", "attention.o_proj"),
    *_same("attn_norm", "norms.attention_pre"),
    *_same("mlp_norm", "norms.ffn_pre"),
    *_fused(r"mlp\.Wi", ("ffn.gate_proj", "ffn.up_proj")),
    *_same(r"mlp\.Wo", "ffn.down_proj"),
)

# GPT-2: fused queries, keys and values, and all matrices transposed. GPT-J: none of it.
IN_A_GPT2_LAYER = (
    *_same("ln_1", "norms.attention_pre"),
    *_same("ln_2", "norms.ffn_pre"),
    *_same("ln_1", "norms.attention_post"),
    *_same("ln_2", "norms.ffn_post"),
    *_same("ln_1", "norms.shared_pre"),
    *(rule for part in "qkv" for rule in _same(rf"attn\.{part}_proj", f"attention.{part}_proj")),
    *_same(r"attn\.out_proj", "attention.o_proj"),
    *_same(r"mlp\.fc_in", "ffn.up_proj"),
    *_same(r"mlp\.fc_out", "ffn.down_proj"),
    *_transposed(r"attn\.c_attn", *_QKV),
    *_transposed(r"attn\.c_proj", "attention.o_proj"),
    *_transposed(r"mlp\.c_fc", "ffn.up_proj"),
    *_transposed(r"mlp\.c_proj", "ffn.down_proj"),
)

# Optional prefixes of all names.
PREFIX = (
    r"(?:language_model\.model\.|model\.language_model\.|model\.text_model\.|language_model\.|model\.decoder\."
    r"|model\.|biogpt\.|transformer\.)?"
)

# `layers.7.` or, in GPT-2, `h.7.` before a name inside a layer.
LAYER = rf"(?P<stack>layers|h)\.(?P<layer>{_NUMBER})\."

IN_A_LAYER = (
    *_ATTENTION,
    *_NORMS,
    *_FEED_FORWARD,
    *_MIXTRAL,
    *_GRANITE,
    *_ARIA,
    *_AVERAGED,
    *_GROK,
    *_LLAMA4,
    *_GPT_OSS,
    *_STACKED,
    *_STARCODER2,
    *_FAIRSEQ,
    *_MODERNBERT,
)

# In multi-token-prediction blocks, which are stored as layers after the last.
IN_A_PREDICTION_BLOCK = (
    *_same("enorm", "junction.embedding_norm"),
    *_same("hnorm", "junction.hidden_norm"),
    *_same("eh_proj", "junction.proj"),
    *_same(r"(?:shared_head\.norm|final_layernorm)", "junction.final_norm"),
)

AROUND_LAYERS = (
    Rule(r"(?:embed_tokens|wte|tokens_embed|embeddings\.tok_embeddings)\.weight", ("embedding.tokens.weight",)),
    Rule(r"(?:wpe|embed_positions|positions_embed)\.weight", ("position_embedding.positions.weight",)),
    *_same(r"embeddings\.norm", "embedding_norm.norm"),
    *_same("(?:norm|ln_f|layer_norm|final_layer_?norm|final_norm)", "final_norm.norm"),
    *_same("(?:lm_head|output_projection|decoder)", "head.lm_head"),
    *_same(r"lm_head\.dense", "head.dense"),
    *_same(r"lm_head\.norm", "head.norm"),
)

# Matrices of the head; of a tied one, copies of the embedding.
HEADS = ("lm_head.weight", "output_projection.weight", "decoder.weight")

# Copies of the embedding and the head in a prediction block, and our tensor that each must equal.
COPIES_IN_A_PREDICTION_BLOCK = {
    "embed_tokens.weight": "embedding.tokens.weight",
    "shared_head.head.weight": "head.lm_head.weight",
}

CACHE_SCALES = "scales of the KV cache"

VISION = (
    "vision_tower|vision_model|vision_encoder|visual|image_tower|video_tower"
    "|multi_modal_projector|mm_projector|vision_projection|connector|aligner"
)

# Tensors outside the model, by class in a reconciliation. The patterns match whole names.
BEYOND = {
    CACHE_SCALES: rf".*\.(?:layers|h)\.(?:{_NUMBER})\.self_attn\.(?:[kv]_proj\.)?[qkv]_(?:scale|bias)",
    "vision tower and projector": rf"(?:model\.)?(?:{VISION}|image_newline)(?:\..*)?",
    "audio tower": r"(?:model\.)?audio_tower\..*",
    "constants of xIELU": r".*\.mlp\.act_fn\.(?:beta|eps)",
    "rotary frequencies": r".*\.rotary_emb\.inv_freq",
    "causal masks": rf"(?:transformer\.)?h\.(?:{_NUMBER})\.attn\.(?:bias|masked_bias)",
}
