"""Mistral's own format, a `params.json` beside or instead of a config.json. It has no `model_type`.

Keys and their meanings are those that vLLM and mistral-inference read.
"""

from __future__ import annotations

from llmarch_cli.huggingface.importing.families.family import USUAL, Family
from llmarch_cli.huggingface.importing.families.latent import mla
from llmarch_cli.huggingface.importing.keys import ANY, Config
from llmarch_cli.huggingface.importing.layers import Fields
from llmarch_cli.huggingface.importing.pieces import dense, frame, heads, mixed, rms, shared, sparse_from

OTHER_PARTS = ("vision_encoder", "audio_encoder")


def mistral_params(c: Config) -> Fields:
    left_out = [name for name in OTHER_PARTS if c.given(name)]
    c.read.update(OTHER_PARTS)
    if left_out:
        c.notes.append(f"Text decoder only; left out: {' and '.join(left_out)}.")
    attention = _latent(c) if c.given("kv_lora_rank") else _grouped(c)
    return frame(c, rms(c), attention={**attention, "temperature": _temperature(c)}, ffn=_feed_forward(c))


def _grouped(c: Config) -> Fields:
    width = c.count("head_dim")
    return {**heads(c, width), **_rotary(c), "window": c.optional(c.count, "sliding_window")}


def _latent(c: Config) -> Fields:
    n_heads = c.count("num_attention_heads")
    c.expect("n_kv_heads", n_heads, why="latent attention has no groups of heads")
    c.expect("head_dim", c.count("qk_nope_head_dim") + c.count("qk_rope_head_dim"), why="the width of queries")
    return mla(c, rope_interleaved=True, repeats_head_dim=False, rotary=_rotary(c))


def _rotary(c: Config) -> Fields:
    """A base, and YaRN by parts without its factor of the scores."""
    found: Fields = {"rope_theta": c.number("rope_theta"), "rope_scaling": None}
    yarn = c.inner("yarn")
    if yarn.data:
        if yarn.data.get("apply_scale") is not False:
            yarn.fail("apply_scale", "must be false: how else scores are scaled is not said")
        yarn.read.add("apply_scale")
        found["rope_scaling"] = {
            "kind": "yarn",
            "factor": yarn.number("factor"),
            "original_context_length": yarn.count("original_max_position_embeddings"),
            "beta_fast": yarn.number("beta"),
            "beta_slow": yarn.number("alpha"),
            "attention_factor": 1.0,
        }
        yarn.finish({})
    return found


def _temperature(c: Config) -> Fields | None:
    """The factor of queries by their position."""
    said = c.inner("llama_4_scaling")
    if not said.data:
        return None
    floor, scale = said.count("original_max_position_embeddings"), said.number("beta")
    said.finish({})
    return {"kind": "log_floor", "floor_scale": floor, "attn_scale": scale, "offset": 0} if scale else None


def _feed_forward(c: Config) -> Fields:
    said = c.inner("moe", INSIDE)
    if not said.data:
        return dense(c)
    said.expect("route_every_n", 1)
    n_groups, kept = said.count("num_expert_groups"), said.count("num_expert_groups_per_tok")
    if n_groups != 1 or kept != 1:
        said.fail("num_expert_groups", f"{n_groups}, of which {kept} are kept; must be 1: how groups score is not said")
    width = said.optional(said.count, "expert_hidden_dim") or c.count("intermediate_size")
    sparse = sparse_from(c, said.count("first_k_dense_replace", least=0))
    experts = {
        "kind": "moe",
        "n_experts": said.count("num_experts"),
        "top_k": said.count("num_experts_per_tok"),
        "d_ff": width,
        "routed_scale": said.number("routed_scale"),
        "shared_expert": shared(c, said.count("num_shared_experts", least=0) * width),
    }
    said.finish({"expert_parallel": ANY, "expert_model_parallel": ANY})
    return mixed(sparse, experts, dense(c))


# Of experts. Their weights are softmax scores over the sum of those chosen.
INSIDE = {
    "expert_hidden_dim": None,
    "num_shared_experts": 0,
    "first_k_dense_replace": 0,
    "routed_scale": 1.0,
    "num_expert_groups": 1,
    "num_expert_groups_per_tok": 1,
}

FAMILIES = (
    Family(
        "mistral-params",
        mistral_params,
        {"hidden_act": USUAL["hidden_act"], "tie_word_embeddings": False, "attention_bias": False},
        aliases={
            "dim": "hidden_size",
            "n_layers": "num_hidden_layers",
            "n_heads": "num_attention_heads",
            "n_kv_heads": "num_key_value_heads",
            "hidden_dim": "intermediate_size",
            "norm_eps": "rms_norm_eps",
            "tied_embeddings": "tie_word_embeddings",
        },
        without_effect={
            **dict.fromkeys(("model_parallel", "max_batch_size", "max_seq_len", "quantization"), ANY),
            **dict.fromkeys(("attn_bias", "ffn_bias", "use_biases"), (False,)),
            "causal": (True,),
        },
        remote=True,
    ),
)
