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
        unless: published names of the same layer; the rule does not apply if one of them is stored too.
        groups: a field of the layer's attention that counts groups: ours alternate along `dim` group by group.
        ones: the places of dimensions of size 1 that only the published tensor has.
        merged: the first two dimensions of ours are one in it.
        blocks: it holds only some rows of ours, a block: these matrices of ours have as many rows as each block.
        block: the number of that block.
        heads: fields of the layer's attention: the rows of each head of ours are blocks of these widths, and it holds
            one of them, as a stack with a matrix of each head.
    """

    name: str
    ours: tuple[str, ...]
    dim: int = -1
    interleaved: bool = False
    transposed: bool = False
    beside: str | None = None
    unless: tuple[str, ...] = ()
    groups: str | None = None
    ones: tuple[int, ...] = ()
    merged: bool = False
    blocks: tuple[str, ...] = ()
    block: int = 0
    heads: tuple[str, ...] = ()


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


def _convolution(published: str, ours: str) -> tuple[Rule, ...]:
    """A filter for each channel, which torch keeps with a dimension of size 1."""
    return (
        Rule(rf"{published}\.weight", (f"{ours}.weight",), ones=(1,)),
        Rule(rf"{published}\.bias", (f"{ours}.bias",)),
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

# Queries beside their gates, head by head: Qwen3-Next. In other families the gates are a matrix of their own.
_GATED_QUERIES = (
    Rule(
        r"self_attn\.q_proj\.weight",
        ("attention.q_proj.weight", "attention.gate_proj.weight"),
        dim=-2,
        groups="n_heads",
        unless=("self_attn.g_proj.weight", "self_attn.gate_proj.weight", "self_attn.output_gate.weight"),
    ),
)

# Lightning attention: heads beside each other.
_LIGHTNING = (
    Rule(
        r"self_attn\.qkv_proj\.weight",
        tuple(f"{part}.weight" for part in _QKV),
        dim=-2,
        groups="n_heads",
        beside="attention.norm.weight",
    ),
    *_same(r"self_attn\.norm", "attention.norm"),
    *_same(r"self_attn\.output_gate", "attention.gate_proj"),
)

_ATTENTION = (
    *_GATED_QUERIES,
    *_LIGHTNING,
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

_DELTA_IN = ("q_proj", "k_proj", "v_proj", "gate_proj")

# The gated delta rule, by head (Qwen3-Next, Qwen3.5, OLMo Hybrid) and by channel (Kimi Linear).
_DELTA = (
    *(
        Rule(
            rf"linear_attn\.in_proj_{name}\.weight",
            tuple(f"attention.{part}.weight" for part in parts),
            dim=-2,
            groups=groups,
        )
        for name, parts, groups in (
            ("qkvz", _DELTA_IN, "n_k_heads"),
            ("ba", ("beta_proj", "decay_proj"), "n_k_heads"),
            ("qkv", _DELTA_IN[:3], None),
        )
    ),
    *(rule for part in "qkvo" for rule in _same(rf"linear_attn\.{part}_proj", f"attention.{part}_proj")),
    *_same(r"linear_attn\.out_proj", "attention.o_proj"),
    *_same(r"linear_attn\.(?:in_proj_z|g_proj)", "attention.gate_proj"),
    *_same(r"linear_attn\.(?:in_proj_b|b_proj)", "attention.beta_proj"),
    *_same(r"linear_attn\.(?:in_proj_a|a_proj)", "attention.decay_proj"),
    *_convolution(r"linear_attn\.conv1d", "attention.conv"),
    *_same(r"linear_attn\.(?:norm|o_norm)", "attention.head_norm"),
    Rule(r"(?:linear|self)_attn\.dt_bias", ("attention.decay_bias",)),
    Rule(r"linear_attn\.A_log", ("attention.log_rate",)),
    Rule(r"self_attn\.A_log", ("attention.log_rate",), ones=(0, 1, 3)),
    *(
        Rule(
            rf"(?:linear|self)_attn\.{part}_conv1d\.weight",
            ("attention.conv.weight",),
            ones=(1,),
            blocks=tuple(f"{each}.weight" for each in _QKV),
            block=index,
        )
        for index, part in enumerate("qkv")
    ),
    *_same(r"self_attn\.o_norm", "attention.head_norm"),
    *_same(r"self_attn\.b_proj", "attention.beta_proj"),
    *(
        rule
        for letter, part in (("f", "decay"), ("g", "gate"))
        for step in "ab"
        for rule in _same(rf"self_attn\.{letter}_{step}_proj", f"attention.{part}_{step}_proj")
    ),
)


def _mamba(published: str, ours: str) -> tuple[Rule, ...]:
    """Mamba and Mamba-2, whose first matrix is fused."""
    return (
        *_fused(rf"{published}\.in_proj", tuple(f"{ours}.{part}_proj" for part in _MAMBA2_IN)),
        *_fused(rf"{published}\.in_proj", (f"{ours}.x_proj", f"{ours}.gate_proj")),
        *_fused(rf"{published}\.x_proj", tuple(f"{ours}.{part}_proj" for part in ("step_a", "write", "read"))),
        *_same(rf"{published}\.dt_proj", f"{ours}.step_b_proj"),
        *_convolution(rf"{published}\.conv1d", f"{ours}.conv"),
        *_same(rf"{published}\.dt_layernorm", f"{ours}.step_norm"),
        *_same(rf"{published}\.b_layernorm", f"{ours}.write_norm"),
        *_same(rf"{published}\.c_layernorm", f"{ours}.read_norm"),
        *_same(rf"{published}\.norm", f"{ours}.norm"),
        *_same(rf"{published}\.out_proj", f"{ours}.o_proj"),
        Rule(rf"{published}\.dt_bias", (f"{ours}.step_bias",)),
        Rule(rf"{published}\.A_log", (f"{ours}.log_rate",)),
        Rule(rf"{published}\.D", (f"{ours}.skip",)),
    )


_MAMBA2_IN = ("gate", "x", "write", "read", "step")

# Falcon-H1 has both of two branches.
_STATE_SPACES = (
    *_mamba("(?:mixer|mamba)", "attention"),
    *_mamba("mamba", "attention.mamba_branch"),
    *(rule for part in "qkvo" for rule in _same(rf"self_attn\.{part}_proj", f"attention.attention_branch.{part}_proj")),
)

# Nemotron-H: every layer is one norm and one sublayer, the `mixer`.
_NEMOTRON_H = (
    *_same("norm", "norms.attention_pre"),
    *_same("norm", "norms.ffn_pre"),
    *(rule for part in "qkvo" for rule in _same(rf"mixer\.{part}_proj", f"attention.{part}_proj")),
    *_gated("mixer", "ffn"),
    *_same(r"mixer\.gate", "ffn.router"),
    Rule(r"mixer\.gate\.e_score_correction_bias", ("ffn.selection_bias",)),
    *_gated(rf"mixer\.{_EXPERT}", "ffn"),
    *_gated(r"mixer\.shared_experts", "ffn.shared_expert"),
    *_same(r"mixer\.fc1_latent_proj", "ffn.latent_down_proj"),
    *_same(r"mixer\.fc2_latent_proj", "ffn.latent_up_proj"),
)


def _by_number(published: str, ours: str) -> tuple[Rule, ...]:
    """A gated layer whose matrices have numbers."""
    names = (("w1", "gate_proj"), ("w3", "up_proj"), ("w2", "down_proj"))
    return tuple(rule for w, part in names for rule in _same(rf"{published}\.{w}", f"{ours}.{part}"))


_LFM2 = (
    *_fused(r"conv\.in_proj", tuple(f"attention.{part}_proj" for part in ("in_gate", "out_gate", "x"))),
    *_convolution(r"conv\.conv", "attention.conv"),
    *_same(r"conv\.out_proj", "attention.o_proj"),
    *_same("operator_norm", "norms.attention_pre"),
    *_same("ffn_norm", "norms.ffn_pre"),
    *_by_number("feed_forward", "ffn"),
    *_by_number(rf"feed_forward\.{_EXPERT}", "ffn"),
    *_same(r"feed_forward\.gate", "ffn.router"),
    Rule(r"feed_forward\.expert_bias", ("ffn.selection_bias",)),
)

# Jamba and Bamba.
_JAMBA = (*_same("pre_ff_layernorm", "norms.ffn_pre"), *_gated(rf"feed_forward\.{_EXPERT}", "ffn"))

_RECURRENT_GEMMA = (
    *_same("temporal_pre_norm", "norms.attention_pre"),
    *_same("channel_pre_norm", "norms.ffn_pre"),
    *(rule for part in "qkvo" for rule in _same(rf"temporal_block\.{part}_proj", f"attention.{part}_proj")),
    *_same(r"temporal_block\.linear_y", "attention.gate_proj"),
    *_same(r"temporal_block\.linear_x", "attention.x_proj"),
    *_same(r"temporal_block\.linear_out", "attention.o_proj"),
    *_convolution(r"temporal_block\.conv_1d", "attention.conv"),
    Rule(r"temporal_block\.rg_lru\.recurrent_param", ("attention.decay",)),
    *(
        rule
        for theirs, ours in (("input", "attention.input_gate"), ("recurrent", "attention.decay_gate"))
        for rule in (
            Rule(rf"temporal_block\.rg_lru\.{theirs}_gate_weight", (f"{ours}.weight",), transposed=True),
            Rule(rf"temporal_block\.rg_lru\.{theirs}_gate_bias", (f"{ours}.bias",)),
        )
    ),
    *_gated("mlp_block", "ffn"),
)

_RWKV = (
    *_same("ln1", "norms.attention_pre"),
    *_same("ln2", "norms.ffn_pre"),
    *_same(r"attention\.key", "attention.k_proj"),
    *_same(r"attention\.value", "attention.v_proj"),
    *_same(r"attention\.receptance", "attention.gate_proj"),
    *_same(r"attention\.output", "attention.o_proj"),
    Rule(r"attention\.time_decay", ("attention.decay",)),
    Rule(r"attention\.time_first", ("attention.bonus",)),
    *_same(r"feed_forward\.key", "ffn.up_proj"),
    *_same(r"feed_forward\.value", "ffn.down_proj"),
    *_same(r"feed_forward\.receptance", "ffn.gate_proj"),
    *(
        Rule(rf"{theirs}\.time_mix_{name}", (ours,), ones=(0, 1))
        for theirs, name, ours in (
            ("attention", "key", "attention.k_mix"),
            ("attention", "value", "attention.v_mix"),
            ("attention", "receptance", "attention.gate_mix"),
            ("feed_forward", "key", "ffn.up_mix"),
            ("feed_forward", "receptance", "ffn.gate_mix"),
        )
    ),
)

# Gemma 4: a layer's own input, and experts beside a dense layer with norms of their own.
_GEMMA4 = (
    *_same("per_layer_input_gate", "layer_input.gate_proj"),
    *_same("per_layer_projection", "layer_input.proj"),
    *_same("post_per_layer_input_norm", "layer_input.norm"),
    Rule("layer_scalar", ("layer_scale.scale",)),
    *_same("pre_feedforward_layernorm", "ffn.dense_branch.input_norm"),
    *_same("post_feedforward_layernorm_1", "ffn.dense_branch.output_norm"),
    *_same("pre_feedforward_layernorm_2", "ffn.moe_branch.input_norm"),
    *_same("post_feedforward_layernorm_2", "ffn.moe_branch.output_norm"),
    *_same("post_feedforward_layernorm", "ffn.output_norm"),
    *_same(r"router\.proj", "ffn.moe_branch.router"),
    Rule(r"router\.scale", ("ffn.moe_branch.router_scale",)),
    Rule(r"router\.per_expert_scale", ("ffn.moe_branch.expert_scales",)),
    Rule(r"experts\.gate_up_proj", _gate_and_up("ffn.moe_branch"), dim=-2),
    Rule(r"experts\.down_proj", ("ffn.moe_branch.down_proj.weight",)),
    *_gated(_EXPERT, "ffn.moe_branch"),
)


def _compressor(published: str, ours: str) -> tuple[Rule, ...]:
    return (
        Rule(rf"{published}\.ape", (f"{ours}.place_biases",)),
        *_same(rf"{published}\.wkv", f"{ours}.value_proj"),
        *_same(rf"{published}\.wgate", f"{ours}.gate_proj"),
        *_same(rf"{published}\.norm", f"{ours}.norm"),
    )


_DEEPSEEK_V4 = (
    *_same("attn_norm", "norms.attention_pre"),
    *_same("ffn_norm", "norms.ffn_pre"),
    *_same(r"attn\.wq_a", "attention.q_a_proj"),
    *_same(r"attn\.q_norm", "attention.q_a_norm"),
    *_same(r"attn\.wq_b", "attention.q_b_proj"),
    *_same(r"attn\.wkv", "attention.kv_proj"),
    *_same(r"attn\.norm", "attention.kv_norm"),
    Rule(r"attn\.wo_a\.weight", ("attention.o_a_proj.weight",), merged=True),
    *_same(r"attn\.wo_b", "attention.o_b_proj"),
    Rule(r"attn\.attn_sink", ("attention.sinks",)),
    *_compressor(r"attn\.compressor", "attention.compressor"),
    *_compressor(r"attn\.indexer\.compressor", "attention.index_compressor"),
    *_same(r"attn\.indexer\.wq_b", "attention.index_q_proj"),
    *_same(r"attn\.indexer\.weights_proj", "attention.index_weights_proj"),
    Rule(r"ffn\.gate\.weight", ("ffn.router.weight",)),
    Rule(r"ffn\.gate\.bias", ("ffn.selection_bias",)),
    Rule(r"ffn\.gate\.tid2eid", ("ffn.token_experts",)),
    *_by_number(rf"ffn\.{_EXPERT}", "ffn"),
    *_by_number(r"ffn\.shared_experts", "ffn.shared_expert"),
    *(
        Rule(f"hc_{theirs}_{name}", (f"connections.{ours}.{part}",))
        for theirs, ours in (("attn", "attention"), ("ffn", "ffn"))
        for name, part in (("fn", "proj.weight"), ("base", "biases"), ("scale", "scales"))
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
    *_same("attention_layer_norm", "norms.attention_pre"),
    *_same("feedforward_layer_norm", "norms.ffn_pre"),
    *_same("feedforward_layer_norm", "norms.attention_post"),  # as transformers saves OLMo Hybrid
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
    bias = Rule(r"block_sparse_moe\.(?:gate\.)?e_score_correction_bias", (f"{ours}.selection_bias",))
    return (*_same(r"block_sparse_moe\.gate", f"{ours}.router"), bias, *experts)


_MIXTRAL = (
    *_mixtral("ffn"),
    *_gated("block_sparse_moe", "ffn"),
    *_gated(r"block_sparse_moe\.shared_experts", "ffn.shared_expert"),
)

# Granite: stacked experts, gate and up concatenated.
_GRANITE = (
    Rule(r"block_sparse_moe\.router(?:\.layer)?\.weight", ("ffn.router.weight",)),
    Rule(r"block_sparse_moe\.(?:input_linear\.weight|experts\.gate_up_proj)", _gate_and_up("ffn"), dim=-2),
    Rule(r"block_sparse_moe\.(?:output_linear\.weight|experts\.down_proj)", ("ffn.down_proj.weight",)),
    Rule(r"shared_mlp\.input_linear\.weight", _gate_and_up("ffn.shared_expert"), dim=-2),
    Rule(r"shared_mlp\.output_linear\.weight", ("ffn.shared_expert.down_proj.weight",)),
    Rule(r"shared_mlp\.input_linear\.weight", _gate_and_up("ffn"), dim=-2),  # without experts
    Rule(r"shared_mlp\.output_linear\.weight", ("ffn.down_proj.weight",)),
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
    r"|model\.|biogpt\.|transformer\.|backbone\.|rwkv\.)?"
)

# `layers.7.` or, in GPT-2, `h.7.`, in RWKV `blocks.7.`, in GGUF `blk.7.`, before a name inside a layer.
LAYER = rf"(?P<stack>layers|h|blocks|blk)\.(?P<layer>{_NUMBER})\."

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
    *_DELTA,
    *_STATE_SPACES,
    *_NEMOTRON_H,
    *_LFM2,
    *_JAMBA,
    *_RECURRENT_GEMMA,
    *_RWKV,
    *_GEMMA4,
    *_DEEPSEEK_V4,
)

# The norm behind a layer whose output is normalised, by the name of the first norm of the layer above, or of the last
# norm: MiniMax.
BEHIND_A_LAYER = _same("(?:input_layernorm|norm)", "norms.ffn_post")

# In multi-token-prediction blocks, which are stored as layers after the last.
IN_A_PREDICTION_BLOCK = (
    *_same("enorm", "junction.embedding_norm"),
    *_same("hnorm", "junction.hidden_norm"),
    *_same("eh_proj", "junction.proj"),
    *_same(r"(?:shared_head\.norm|final_layernorm)", "junction.final_norm"),
)

# The same of Qwen3-Next and Qwen3.5, which have one block, with layers of its own: `mtp.layers.0.`
PREDICTION_LAYER = rf"mtp\.layers\.(?P<layer>{_NUMBER})\.(?P<rest>.*)"
AROUND_A_PREDICTION_BLOCK = (
    *_same(r"mtp\.pre_fc_norm_embedding", "junction.embedding_norm"),
    *_same(r"mtp\.pre_fc_norm_hidden", "junction.hidden_norm"),
    *_same(r"mtp\.fc", "junction.proj"),
    *_same(r"mtp\.norm", "junction.final_norm"),
)

AROUND_LAYERS = (
    Rule(
        r"(?:embed_tokens|wte|tokens_embed|embeddings|embeddings\.tok_embeddings)\.weight",
        ("embedding.tokens.weight",),
    ),
    Rule(r"embed_tokens_per_layer\.weight", ("layer_embedding.tokens.weight",)),
    *_same("per_layer_model_projection", "layer_projection.proj"),
    *_same("per_layer_projection_norm", "layer_projection.norm"),
    Rule(r"(?:wpe|embed_positions|positions_embed)\.weight", ("position_embedding.positions.weight",)),
    *_same(r"embeddings\.norm", "embedding_norm.norm"),
    *_same(r"(?:layers\.0\.input_layernorm|blocks\.0\.pre_ln)", "embedding_norm.norm"),
    *_same("(?:norm|norm_f|ln_f|ln_out|layer_norm|final_layer_?norm|final_norm|embedding_norm)", "final_norm.norm"),
    *_same("(?:lm_head|output_projection|decoder|head)", "head.lm_head"),
    Rule(r"hc_head\.hc_fn", ("closing.proj.weight",)),
    Rule(r"hc_head\.hc_base", ("closing.biases",)),
    Rule(r"hc_head\.hc_scale", ("closing.scale",)),
    *_same(r"lm_head\.dense", "head.dense"),
    *_same(r"lm_head\.norm", "head.norm"),
)

# Matrices of the head; of a tied one, copies of the embedding.
HEADS = ("lm_head.weight", "output_projection.weight", "decoder.weight", "head.weight")

# Copies of the embedding and the head in a prediction block, and our tensor that each must equal.
COPIES_IN_A_PREDICTION_BLOCK = {
    "embed_tokens.weight": "embedding.tokens.weight",
    "shared_head.head.weight": "head.lm_head.weight",
}

# Of a layer that reads the keys and values of another one, some checkpoints hold what it never uses.
OWN_KEYS = r"self_attn\.(?:[kv]_proj|[kv]_norm)\.weight"

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
    "constants of lightning attention": r".*\.self_attn\.(?:slope_rate|(?:query|key|diagonal)_decay)",
    "constants of xIELU": r".*\.mlp\.act_fn\.(?:beta|eps)",
    "rotary frequencies": r".*\.rotary_emb\.inv_freq",
    "causal masks": rf"(?:transformer\.)?h\.(?:{_NUMBER})\.attn\.(?:bias|masked_bias)",
}
