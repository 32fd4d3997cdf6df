"""The architecture that the metadata of a GGUF file describe, read as a config of the same model.

To add an architecture: a function from its keys to a config, and its entry in `_READERS`. What a key leaves open must
follow from the declared tensors or from the architecture itself, as llama.cpp runs it, or is an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from llmarch_cli.errors import InputError, shown, shown_path
from llmarch_cli.huggingface.gguf.header import FACTORS, Header
from llmarch_cli.huggingface.gguf.names import BEYOND
from llmarch_cli.huggingface.importing import imported
from llmarch_cli.huggingface.importing.keys import ANY, Accepted, Config
from llmarch_cli.huggingface.importing.rope import FULL, SLIDING
from llmarch_cli.huggingface.importing.source import Source
from llmarch_cli.profilers.cost import Workload
from llmarch_cli.profilers.profile import profile
from llmarch_cli.specs.spec import ModelSpec

ARCHITECTURE = "general.architecture"

_Fields = dict[str, Any]

_SOFTMAX, _SIGMOID, _SOFTMAX_OF_CHOSEN = 1, 2, 3  # of `expert_gating_func`

# Keys that say nothing of the architecture beyond what the others and the tensors say.
_WITHOUT_EFFECT: Mapping[str, Accepted] = {
    "rope.scaling.finetuned": ANY,
    "tensor_data_layout": ANY,
    "attention.causal": (True,),
    "attention.clamp_kqv": (0.0,),
    "attention.max_alibi_bias": (0.0,),
    "rope.scaling.attn_factor": (1.0,),
    "rope.scaling.yarn_attn_factor": (1.0,),
    "rope.scaling.yarn_ext_factor": (1.0, -1.0),
    "use_parallel_residual": (False,),
    "expert_count": (0,),
    "expert_used_count": (0,),
}


def read_spec(header: Header) -> ModelSpec:
    """The architecture of a file.

    Raises InputError if its architecture is not known, a key is missing or unknown, or the tensors do not have as many
    values as the architecture has parameters.
    """
    path, name = header.path, header.metadata.get(ARCHITECTURE)
    if not isinstance(name, str) or name not in _READERS:
        raise InputError(
            f"{shown_path(path)}: {ARCHITECTURE}: {shown(name)} cannot be read as a spec; known: {', '.join(_READERS)}"
        )
    prefix = f"{name}."
    keys = {key.removeprefix(prefix): value for key, value in header.metadata.items() if key.startswith(prefix)}
    c = _Keys(header, keys, prefix)
    config = _READERS[name](c)
    c.require_all_read()
    title = header.metadata.get("general.name")
    source = Source(config, shown_path(path), title if isinstance(title, str) and title else path.stem)
    spec = imported(source).spec.with_id(path.stem)
    params = profile(spec, Workload(1), "closed-form").params
    if params != c.n_learned:
        raise InputError(
            f"{shown_path(path)}: its metadata describe {params:,} parameters, but its tensors have {c.n_learned:,}"
        )
    return spec


class _Keys(Config):
    """The keys of an architecture, and the tensors that a file declares."""

    def __init__(self, header: Header, keys: Mapping[str, Any], prefix: str) -> None:
        super().__init__(keys, shown_path(header.path), {}, path=prefix)
        self.tensors, self.factors = header.tensors, header.factors

    def _fail(self, called: str, why: str) -> NoReturn:
        key = f"{self.path}{called}"
        raise InputError(f"{self.origin}: {key if key.isprintable() and len(key) <= 120 else shown(key)}: {why}")

    @property
    def n_learned(self) -> int:
        """The values of all tensors that are parameters."""
        beyond = re.compile("|".join((*BEYOND.values(), r"blk\.[0-9]+\.exp_probs_b\.bias")))
        return sum(each.n_values for name, each in self.tensors.items() if not beyond.fullmatch(name))

    def rows(self, name: str) -> int:
        """The rows of a matrix outside the layers."""
        if (tensor := self.tensors.get(name)) is None:
            raise InputError(f"{self.origin}: the tensor {name} is missing")
        return tensor.shape[0]

    def require_all_read(self) -> None:
        """Raise InputError for a key that was not read and may say something of the architecture."""
        for name in self.data:
            if name not in self.read and (fault := self.fault(name, _WITHOUT_EFFECT)) is not None:
                self.fail(name, fault)


def _frame(c: _Keys) -> _Fields:
    """What all architectures have. A head that is not stored is the embedding."""
    vocab_size = c.rows("token_embd.weight")
    c.expect("vocab_size", vocab_size, why="the rows of token_embd.weight")
    return {
        "vocab_size": vocab_size,
        "hidden_size": c.count("embedding_length"),
        "num_hidden_layers": c.layers("block_count"),
        "num_attention_heads": c.count("attention.head_count"),
        "max_position_embeddings": c.count("context_length"),
        "tie_word_embeddings": "output.weight" not in c.tensors,
    }


def _dense(c: _Keys) -> _Fields:
    """Grouped-query attention with rotary positions and a dense layer, alike in all layers."""
    found = _frame(c)
    n_heads = found["num_attention_heads"]
    width = _head_dim(c, found)
    c.expect("rope.dimension_count", width, why="the architecture rotates whole heads")
    return {
        **found,
        "num_key_value_heads": c.optional(c.count, "attention.head_count_kv") or n_heads,
        "head_dim": width,
        "intermediate_size": c.count("feed_forward_length"),
        "rms_norm_eps": c.number("attention.layer_norm_rms_epsilon"),
        "rope_theta": _or(c.optional(c.number, "rope.freq_base"), 10_000.0),
        **_scaling(c),
    }


def _or(value: float | None, default: float) -> float:
    """A value, or what llama.cpp has for an absent one."""
    return default if value is None else value


def _head_dim(c: _Keys, found: _Fields) -> int:
    """The width of a head: a key, or the width of the model over the heads."""
    width = c.optional(c.count, "attention.key_length")
    if width is None:
        width, rest = divmod(found["hidden_size"], found["num_attention_heads"])
        if rest:
            c.fail("attention.head_count", "does not divide embedding_length, and attention.key_length is missing")
    c.expect("attention.value_length", width, why="the width of keys")
    return width


def _scaling(c: _Keys) -> _Fields:
    """The scaling of rotary positions. Factors of frequencies are tensors, whose data a file may lack."""
    kind = c.optional(lambda name: c.choice(name, {each: each for each in _SCALINGS}), "rope.scaling.type")
    if kind == "longrope" or any(map(FACTORS.fullmatch, c.tensors)):
        return {"rope_scaling": _factors(c)}
    if kind in (None, "none"):
        return {}
    found: _Fields = {"rope_type": kind, "factor": c.number("rope.scaling.factor")}
    if kind == "yarn":
        found["original_max_position_embeddings"] = c.count("rope.scaling.original_context_length")
        for name in ("beta_fast", "beta_slow"):
            if (value := c.optional(c.number, f"rope.scaling.yarn_{name}")) is not None:
                found[name] = value
    return {"rope_scaling": found}


_SCALINGS = ("none", "linear", "yarn", "longrope")


def _factors(c: _Keys) -> _Fields:
    """A factor of each frequency: one set for all contexts, or one for short and one for long ones."""
    whole, *both = (f"rope_{name}.weight" for name in ("freqs", "factors_short", "factors_long"))
    short, long = (whole, whole) if whole in c.tensors else both
    for name in (short, long):
        if name not in c.factors:
            c.fail("rope.scaling", f"the factors of rotary frequencies are the tensor {name}, which the file lacks")
    found: _Fields = {
        "rope_type": "longrope",
        "short_factor": c.factors[short],
        "long_factor": c.factors[long],
        "attention_factor": _or(c.optional(c.number, "rope.scaling.attn_factor"), 1.0),
    }
    if short == long:
        c.expect("rope.scaling.type", "none")
        return {**found, "factor": 1.0, "original_max_position_embeddings": c.count("context_length")}
    return {**found, "original_max_position_embeddings": c.count("rope.scaling.original_context_length")}


def _biased(c: _Keys, tensor: str) -> bool:
    return f"blk.0.{tensor}.bias" in c.tensors


def _llama(c: _Keys) -> _Fields:
    found = _dense(c)
    if n_experts := c.optional(c.count, "expert_count", least=0):
        c.expect("expert_feed_forward_length", found["intermediate_size"], why="feed_forward_length")
        experts = {"num_local_experts": n_experts, "num_experts_per_tok": c.count("expert_used_count")}
        return {"model_type": "mixtral", **found, **experts}
    biases = {"attention_bias": _biased(c, "attn_q"), "mlp_bias": _biased(c, "ffn_gate")}
    return {"model_type": "llama", **found, **biases}


def _qwen2(c: _Keys) -> _Fields:
    return {"model_type": "qwen2", **_dense(c), "use_sliding_window": False}


def _qwen3(c: _Keys) -> _Fields:
    return {"model_type": "qwen3", **_dense(c), "use_sliding_window": False, "attention_bias": _biased(c, "attn_q")}


def _qwen3moe(c: _Keys) -> _Fields:
    """The weights of the chosen experts always add up to 1; the key that says so is in newer files only."""
    c.expect("expert_weights_norm", True)
    c.expect("expert_weights_scale", 1.0, 0.0)
    c.expect("expert_gating_func", _SOFTMAX)
    return {
        **_qwen3(c),
        "model_type": "qwen3_moe",
        "num_experts": c.count("expert_count"),
        "num_experts_per_tok": c.count("expert_used_count"),
        "moe_intermediate_size": c.count("expert_feed_forward_length"),
        "norm_topk_prob": True,
    }


def _gemma(c: _Keys, divided: int) -> _Fields:
    """Gemma 2 and 3.

    The scale of the scores has no key: it is that of the width of a head, but in the largest model, which llama.cpp
    knows by its number of layers, that of the width of the model over the heads.
    """
    found = _dense(c)
    largest = found["num_hidden_layers"] == divided
    scalar = found["hidden_size"] // found["num_attention_heads"] if largest else found["head_dim"]
    return {
        **found,
        "hidden_activation": "gelu_pytorch_tanh",
        "sliding_window": c.count("attention.sliding_window"),
        "query_pre_attn_scalar": scalar,
        "final_logit_softcapping": c.optional(c.number, "final_logit_softcapping"),
    }


def _gemma2(c: _Keys) -> _Fields:
    softcap = c.number("attn_logit_softcapping")
    c.expect("attention.sliding_window_pattern", 2)
    return {"model_type": "gemma2", **_gemma(c, divided=46), "attn_logit_softcapping": softcap}


def _gemma3(c: _Keys) -> _Fields:
    found = {"model_type": "gemma3_text", **_gemma(c, divided=62)}
    found["rope_local_base_freq"] = _or(c.optional(c.number, "rope.freq_base_swa"), 10_000.0)
    name = "attention.sliding_window_pattern"
    if isinstance(c.data.get(name), list):
        local = c.items(name, _flag, "true or false", found["num_hidden_layers"])
        found["layer_types"] = [SLIDING if each else FULL for each in local]
    elif (step := c.optional(c.count, name)) is not None:
        found["sliding_window_pattern"] = step
    return found


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _gpt2(c: _Keys) -> _Fields:
    found = _frame(c)
    c.expect("attention.head_count_kv", found["num_attention_heads"], why="each head has keys of its own")
    c.expect("rope.dimension_count", 0, found["hidden_size"] // found["num_attention_heads"], why="nothing is rotated")
    if (rows := c.rows("position_embd.weight")) != found["max_position_embeddings"]:
        c.fail("context_length", f"{found['max_position_embeddings']:,}, but position_embd.weight has {rows:,} rows")
    inside = {"n_inner": c.count("feed_forward_length"), "layer_norm_epsilon": c.number("attention.layer_norm_epsilon")}
    return {"model_type": "gpt2", **found, **inside}


def _phi3(c: _Keys) -> _Fields:
    rotated = c.count("rope.dimension_count")
    found = _frame(c)
    width = _head_dim(c, found)
    original = c.optional(c.count, "rope.scaling.original_context_length") or found["max_position_embeddings"]
    return {
        "model_type": "phi3",
        **found,
        "num_key_value_heads": c.optional(c.count, "attention.head_count_kv") or found["num_attention_heads"],
        "intermediate_size": c.count("feed_forward_length"),
        "rms_norm_eps": c.number("attention.layer_norm_rms_epsilon"),
        "rope_theta": _or(c.optional(c.number, "rope.freq_base"), 10_000.0),
        "partial_rotary_factor": rotated / width,
        "sliding_window": c.optional(c.count, "attention.sliding_window"),
        "original_max_position_embeddings": original,
        **_scaling(c),
    }


def _gpt_oss(c: _Keys) -> _Fields:
    """YaRN is not rounded to whole dimensions in this architecture, which no key says."""
    found = _dense(c)
    width = c.count("expert_feed_forward_length")
    c.expect("feed_forward_length", width, why="expert_feed_forward_length")
    c.expect("expert_gating_func", _SOFTMAX_OF_CHOSEN)
    c.expect("attention.sliding_window_pattern", 2)
    if (scaling := found.get("rope_scaling")) is not None:
        found["rope_scaling"] = {"beta_fast": 32.0, "beta_slow": 1.0, **scaling, "truncate": False}
    else:
        found["rope_parameters"] = {"rope_type": "default"}
    return {
        "model_type": "gpt_oss",
        **found,
        "intermediate_size": width,
        "sliding_window": c.count("attention.sliding_window"),
        "num_local_experts": c.count("expert_count"),
        "num_experts_per_tok": c.count("expert_used_count"),
        "attention_bias": _biased(c, "attn_q"),
    }


def _deepseek2(c: _Keys) -> _Fields:
    """DeepSeek V2 and V3, told apart by the scores of experts. Older files lack the groups of experts."""
    found = _frame(c)
    rotated, latent = c.count("rope.dimension_count"), c.count("attention.kv_lora_rank")
    keys, values = c.count("attention.key_length"), c.count("attention.value_length")
    if (own := c.optional(c.count, "attention.key_length_mla")) is not None:
        if (keys, values) != (latent + rotated, latent):
            c.fail("attention.key_length", "must be that of a latent and a rotary key, with key_length_mla")
        keys, values = own, c.count("attention.value_length_mla")
        c.expect("attention.head_count_kv", 1)
    else:
        c.expect("attention.head_count_kv", found["num_attention_heads"])
    if keys <= rotated:
        c.fail("attention.key_length", f"{keys}, which is not above rope.dimension_count, {rotated}")
    scoring = c.optional(c.count, "expert_gating_func") or _SOFTMAX
    if scoring not in (_SOFTMAX, _SIGMOID):
        c.fail("expert_gating_func", f"{scoring} is not supported: must be {_SOFTMAX} or {_SIGMOID}")
    if (scoring == _SIGMOID) != any(name.endswith(".exp_probs_b.bias") for name in c.tensors):
        c.fail("expert_gating_func", "sigmoid and the tensors exp_probs_b.bias go together, but only one is there")
    n_groups = c.count("expert_group_count")
    kept = c.count("expert_group_used_count")
    limited = "group_limited_greedy" if n_groups > 1 else "greedy"
    kind = "deepseek_v3" if scoring == _SIGMOID else "deepseek_v2"
    return {
        "model_type": kind,
        **found,
        "num_key_value_heads": found["num_attention_heads"],
        "q_lora_rank": c.optional(c.count, "attention.q_lora_rank"),
        "kv_lora_rank": latent,
        "qk_rope_head_dim": rotated,
        "qk_nope_head_dim": keys - rotated,
        "v_head_dim": values,
        "attention_bias": False,
        "intermediate_size": c.count("feed_forward_length"),
        "first_k_dense_replace": c.count("leading_dense_block_count", least=0),
        "n_routed_experts": c.count("expert_count"),
        "num_experts_per_tok": c.count("expert_used_count"),
        "n_shared_experts": c.count("expert_shared_count"),
        "moe_intermediate_size": c.count("expert_feed_forward_length"),
        "routed_scaling_factor": c.optional(c.number, "expert_weights_scale") or 1.0,
        "norm_topk_prob": bool(c.optional(c.flag, "expert_weights_norm")),
        "n_group": n_groups,
        "topk_group": kept,
        "topk_method": "noaux_tc" if kind == "deepseek_v3" else limited,
        "scoring_func": "sigmoid" if kind == "deepseek_v3" else "softmax",
        "rms_norm_eps": c.number("attention.layer_norm_rms_epsilon"),
        "rope_theta": _or(c.optional(c.number, "rope.freq_base"), 10_000.0),
        **({"num_nextn_predict_layers": 0} if kind == "deepseek_v3" else {}),
        **_scaling_of_latents(c),
    }


def _scaling_of_latents(c: _Keys) -> _Fields:
    """YaRN, whose factor of the scores is stored as a tenth; the factor of the rotary values is then 1."""
    found = _scaling(c)
    if found.get("rope_scaling", {}).get("rope_type") == "yarn":
        scale = round(10 * c.number("rope.scaling.yarn_log_multiplier"), 9)
        found["rope_scaling"] |= {"mscale": scale, "mscale_all_dim": scale}
    else:
        c.expect("rope.scaling.yarn_log_multiplier", 0.0)
    return found


_READERS: Mapping[str, Callable[[_Keys], _Fields]] = {
    "llama": _llama,
    "qwen2": _qwen2,
    "qwen3": _qwen3,
    "qwen3moe": _qwen3moe,
    "gemma2": _gemma2,
    "gemma3": _gemma3,
    "gpt2": _gpt2,
    "phi3": _phi3,
    "gpt-oss": _gpt_oss,
    "deepseek2": _deepseek2,
}
