"""Rules from the tensor names of GGUF files to ours. llama.cpp has one set of names for most architectures."""

from __future__ import annotations

from collections.abc import Iterator

from llmarch_cli.huggingface.names import Rule

# The architectures whose tensors have the names below, by `general.architecture`.
ARCHITECTURES = (
    "llama",
    "qwen2",
    "qwen3",
    "qwen3moe",
    "gemma2",
    "gemma3",
    "gpt2",
    "phi3",
    "gpt-oss",
    "deepseek2",
)

_KINDS = ("weight", "bias")
_PARTS = ("gate", "up", "down")


def _same(ours: dict[str, str]) -> Iterator[Rule]:
    """The weights and biases of matrices and norms, unchanged."""
    for name, part in ours.items():
        for kind in _KINDS:
            yield Rule(rf"{name}\.{kind}", (f"{part}.{kind}",))


def _fused(name: str, parts: tuple[str, ...], unless: tuple[str, ...] = ()) -> Iterator[Rule]:
    """Several matrices and their biases, concatenated by rows."""
    for kind, dim in zip(_KINDS, (-2, -1), strict=True):
        yield Rule(rf"{name}\.{kind}", tuple(f"{part}.{kind}" for part in parts), dim, unless=unless)


IN_A_LAYER = (
    *_same(
        {
            "attn_norm": "norms.attention_pre",
            "attn_q": "attention.q_proj",
            "attn_k": "attention.k_proj",
            "attn_v": "attention.v_proj",
            "attn_output": "attention.o_proj",
            "attn_q_norm": "attention.q_norm",
            "attn_k_norm": "attention.k_norm",
            "attn_q_a": "attention.q_a_proj",
            "attn_q_a_norm": "attention.q_a_norm",
            "attn_q_b": "attention.q_b_proj",
            "attn_kv_a_mqa": "attention.kv_a_proj",
            "attn_kv_a_norm": "attention.kv_a_norm",
            "attn_kv_b": "attention.kv_b_proj",
            "ffn_norm": "norms.ffn_pre",
            "ffn_gate_inp": "ffn.router",
            "post_ffw_norm": "norms.ffn_post",
        }
    ),
    *_same({"attn_q": "attention.q_b_proj"}),  # latent attention without query compression
    *_same({"post_attention_norm": "norms.attention_post"}),
    *_same({"post_attention_norm": "norms.ffn_pre"}),  # where nothing is normalised behind attention
    Rule(r"attn_sinks\.weight", ("attention.sinks",)),
    Rule(r"exp_probs_b\.bias", ("ffn.selection_bias",)),
    *_fused("attn_qkv", tuple(f"attention.{part}_proj" for part in "qkv")),
    *_fused("ffn_up", ("ffn.gate_proj", "ffn.up_proj"), unless=("ffn_gate.weight",)),
    *_fused("ffn_gate_up_exps", ("ffn.gate_proj", "ffn.up_proj")),
    *_same({f"ffn_{part}{ending}": f"ffn.{part}_proj" for part in _PARTS for ending in ("", "_exps")}),
    *_same({f"ffn_{part}_shexp": f"ffn.shared_expert.{part}_proj" for part in _PARTS}),
    # The two halves of one matrix, each a stack with a matrix of each head. That of the keys is transposed.
    *(
        Rule(
            rf"attn_{letter}_b\.weight",
            ("attention.kv_b_proj.weight",),
            transposed=letter == "k",
            heads=("qk_nope_head_dim", "v_head_dim"),
            block=block,
        )
        for block, letter in enumerate("kv")
    ),
)

AROUND_LAYERS = (
    Rule(r"token_embd\.weight", ("embedding.tokens.weight",)),
    Rule(r"position_embd\.weight", ("position_embedding.positions.weight",)),
    *_same({"output_norm": "final_norm.norm", "output": "head.lm_head"}),
)

# The head; of a tied one, a copy of the embedding.
HEAD = "output.weight"

FACTORS = r"(?:blk\.[0-9]+\.)?(?:rope_freqs|rope_factors_(?:long|short)|attn_rot_embd)\.weight"
SCALES = r"(?:blk\.[0-9]+\.\w+|output)\.(?:input_)?scale"  # one of each matrix in NVFP4

# Tensors outside the model, by class in a reconciliation.
BEYOND = {"factors of rotary frequencies": FACTORS, "scales of NVFP4": SCALES}
