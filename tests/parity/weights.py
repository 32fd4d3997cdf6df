"""How a transformers model names its weights: our parameter's name, and where its values stand in theirs.

To add a family: lay its own names over the ones that it shares with others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from configs import Config
from torch import Tensor, nn

Change = Callable[[Tensor], Tensor]


class Source:
    """A tensor of theirs, and what makes it ours."""

    def __init__(self, name: str, change: Change = lambda values: values) -> None:
        self.name, self.change = name, change


def share(index: int, of: int, dim: int) -> Change:
    """One of `of` equal blocks along `dim`."""
    return lambda values: values.chunk(of, dim=dim)[index]


def transposed(values: Tensor) -> Tensor:
    return values.transpose(-1, -2)


def after(*changes: Change) -> Change:
    """The changes one after another."""

    def change(values: Tensor) -> Tensor:
        for each in changes:
            values = each(values)
        return values

    return change


def every_second(start: int, values: Tensor) -> Tensor:
    return values[..., start::2]


Names = dict[str, str | Source | tuple[str | Source, ...]]  # several: the first one that the model has


def linear(ours: str, theirs: str) -> Names:
    return {f"{ours}.{kind}": f"{theirs}.{kind}" for kind in ("weight", "bias")}


FRAME: Names = {
    "embedding.tokens.weight": "model.embed_tokens.weight",
    **linear("final_norm.norm", "model.norm"),
    "head.lm_head.weight": ("lm_head.weight", "model.embed_tokens.weight"),
}


def of_layer(names: Mapping[str, str | Source | tuple[str | Source, ...]], layers: str = "model.layers") -> Names:
    """Names inside a layer with the layer in front, which stands as `{}`."""

    def theirs(source: str | Source) -> str | Source:
        if isinstance(source, Source):
            return Source(f"{layers}.{{}}.{source.name}", source.change)
        return f"{layers}.{{}}.{source}"

    return {
        f"layers.{{}}.{ours}": tuple(map(theirs, found)) if isinstance(found, tuple) else theirs(found)
        for ours, found in names.items()
    }


PRE_NORMS: Names = {
    **linear("norms.attention_pre", "input_layernorm"),
    **linear("norms.ffn_pre", "post_attention_layernorm"),
    **linear("norms.shared_pre", "input_layernorm"),
}
GQA: Names = {
    **linear("attention.q_proj", "self_attn.q_proj"),
    **linear("attention.k_proj", "self_attn.k_proj"),
    **linear("attention.v_proj", "self_attn.v_proj"),
    **linear("attention.o_proj", "self_attn.o_proj"),
    "attention.q_norm.weight": "self_attn.q_norm.weight",
    "attention.k_norm.weight": "self_attn.k_norm.weight",
    "attention.sinks": "self_attn.sinks",
}
MLA: Names = {
    **linear("attention.q_a_proj", "self_attn.q_a_proj"),
    "attention.q_a_norm.weight": "self_attn.q_a_layernorm.weight",
    "attention.q_b_proj.weight": ("self_attn.q_b_proj.weight", "self_attn.q_proj.weight"),
    **linear("attention.kv_a_proj", "self_attn.kv_a_proj_with_mqa"),
    "attention.kv_a_norm.weight": "self_attn.kv_a_layernorm.weight",
    "attention.kv_b_proj.weight": "self_attn.kv_b_proj.weight",
    **linear("attention.o_proj", "self_attn.o_proj"),
}
DENSE: Names = {
    **linear("ffn.gate_proj", "mlp.gate_proj"),
    **linear("ffn.up_proj", "mlp.up_proj"),
    **linear("ffn.down_proj", "mlp.down_proj"),
}
MOE: Names = {
    "ffn.router.weight": "mlp.gate.weight",
    "ffn.selection_bias": "mlp.gate.e_score_correction_bias",
    "ffn.gate_proj.weight": ("mlp.gate_proj.weight", Source("mlp.experts.gate_up_proj", share(0, 2, 1))),
    "ffn.up_proj.weight": ("mlp.up_proj.weight", Source("mlp.experts.gate_up_proj", share(1, 2, 1))),
    "ffn.down_proj.weight": ("mlp.down_proj.weight", "mlp.experts.down_proj"),
    **linear("ffn.shared_expert.gate_proj", "mlp.shared_experts.gate_proj"),
    **linear("ffn.shared_expert.up_proj", "mlp.shared_experts.up_proj"),
    **linear("ffn.shared_expert.down_proj", "mlp.shared_experts.down_proj"),
}

PLAIN: Names = {**FRAME, **of_layer({**PRE_NORMS, **GQA, **DENSE})}
MIXTURE: Names = {**PLAIN, **of_layer(MOE)}
LATENT: Names = {**MIXTURE, **of_layer(MLA)}


def gpt2() -> Names:
    """Fused projections, stored transposed."""
    names: Names = {
        **linear("norms.attention_pre", "ln_1"),
        **linear("norms.ffn_pre", "ln_2"),
        "attention.o_proj.weight": Source("attn.c_proj.weight", transposed),
        "attention.o_proj.bias": "attn.c_proj.bias",
        "ffn.up_proj.weight": Source("mlp.c_fc.weight", transposed),
        "ffn.up_proj.bias": "mlp.c_fc.bias",
        "ffn.down_proj.weight": Source("mlp.c_proj.weight", transposed),
        "ffn.down_proj.bias": "mlp.c_proj.bias",
    }
    for index, projection in enumerate(("q_proj", "k_proj", "v_proj")):
        block = share(index, 3, -1)
        names[f"attention.{projection}.weight"] = Source("attn.c_attn.weight", after(block, transposed))
        names[f"attention.{projection}.bias"] = Source("attn.c_attn.bias", block)
    return {
        "embedding.tokens.weight": "transformer.wte.weight",
        "position_embedding.positions.weight": "transformer.wpe.weight",
        **linear("final_norm.norm", "transformer.ln_f"),
        "head.lm_head.weight": ("lm_head.weight", "transformer.wte.weight"),
        **of_layer(names, "transformer.h"),
    }


def llama4() -> Names:
    """Experts stored transposed; `feed_forward` instead of `mlp`."""
    fused = "feed_forward.experts.gate_up_proj"
    names: Names = {
        "ffn.router.weight": "feed_forward.router.weight",
        "ffn.gate_proj.weight": ("feed_forward.gate_proj.weight", Source(fused, after(share(0, 2, -1), transposed))),
        "ffn.up_proj.weight": ("feed_forward.up_proj.weight", Source(fused, after(share(1, 2, -1), transposed))),
        "ffn.down_proj.weight": (
            "feed_forward.down_proj.weight",
            Source("feed_forward.experts.down_proj", transposed),
        ),
        **linear("ffn.shared_expert.gate_proj", "feed_forward.shared_expert.gate_proj"),
        **linear("ffn.shared_expert.up_proj", "feed_forward.shared_expert.up_proj"),
        **linear("ffn.shared_expert.down_proj", "feed_forward.shared_expert.down_proj"),
    }
    return {**PLAIN, **of_layer(names)}


def gpt_oss() -> Names:
    """Experts stored transposed, gate and up side by side."""
    names: Names = {
        **linear("ffn.router", "mlp.router"),
        "ffn.down_proj.weight": Source("mlp.experts.down_proj", transposed),
        "ffn.down_proj.bias": "mlp.experts.down_proj_bias",
    }
    for start, projection in enumerate(("gate_proj", "up_proj")):
        every = partial(every_second, start)
        names[f"ffn.{projection}.weight"] = Source("mlp.experts.gate_up_proj", after(every, transposed))
        names[f"ffn.{projection}.bias"] = Source("mlp.experts.gate_up_proj_bias", every)
    return {**PLAIN, **of_layer(names)}


POST_NORMS: Names = {
    "norms.attention_post.weight": "post_attention_layernorm.weight",
    "norms.ffn_post.weight": "post_feedforward_layernorm.weight",
}

GROK: Names = {
    "norms.attention_pre.weight": "pre_attn_norm.weight",
    "norms.attention_post.weight": "post_attn_norm.weight",
    "norms.ffn_pre.weight": "pre_moe_norm.weight",
    "norms.ffn_post.weight": "post_moe_norm.weight",
    **linear("ffn.dense_branch.gate_proj", "mlp.gate_proj"),
    **linear("ffn.dense_branch.up_proj", "mlp.up_proj"),
    **linear("ffn.dense_branch.down_proj", "mlp.down_proj"),
    "ffn.moe_branch.router.weight": "block_sparse_moe.gate.weight",
    "ffn.moe_branch.gate_proj.weight": "block_sparse_moe.experts.w1",
    "ffn.moe_branch.up_proj.weight": "block_sparse_moe.experts.w3",
    "ffn.moe_branch.down_proj.weight": "block_sparse_moe.experts.w2",
}

# --- families beyond the catalogue ------------------------------------------------------------------------------------


def renamed(parts: Mapping[str, str]) -> Names:
    """Weights and biases of a layer under other names."""
    return {ours: found for part, theirs in parts.items() for ours, found in linear(part, theirs).items()}


def qkv_by_group(n_kv_heads: int, head_dim: int, name: str) -> Names:
    """A fused projection that lays out, for each key head, its query heads, the key and the value."""

    def rows(heads: slice) -> Change:
        return lambda values: values.unflatten(0, (n_kv_heads, -1, head_dim))[:, heads].flatten(0, 2)

    heads = {"q_proj": slice(None, -2), "k_proj": slice(-2, -1), "v_proj": slice(-1, None)}
    return {
        f"attention.{projection}.{kind}": Source(f"{name}.{kind}", rows(of))
        for projection, of in heads.items()
        for kind in ("weight", "bias")
    }


def falcon(c: Config) -> Names:
    n_kv_heads = 1 if c.multi_query and not c.new_decoder_architecture else c.num_kv_heads
    names = qkv_by_group(n_kv_heads, c.head_dim, "self_attention.query_key_value")
    names |= renamed(
        {
            "attention.o_proj": "self_attention.dense",
            "ffn.up_proj": "mlp.dense_h_to_4h",
            "ffn.down_proj": "mlp.dense_4h_to_h",
        }
    )
    for ours, theirs in (("attention_pre", ("ln_attn", "input_layernorm")), ("ffn_pre", ("ln_mlp", AFTER_ATTENTION))):
        names |= {f"norms.{ours}.{kind}": tuple(f"{name}.{kind}" for name in theirs) for kind in ("weight", "bias")}
    return {
        "embedding.tokens.weight": "transformer.word_embeddings.weight",
        **linear("final_norm.norm", "transformer.ln_f"),
        "head.lm_head.weight": ("lm_head.weight", "transformer.word_embeddings.weight"),
        **of_layer({**names, **linear("norms.shared_pre", "input_layernorm")}, "transformer.h"),
    }


def gpt_neox(c: Config) -> Names:
    head_dim = c.hidden_size // c.num_attention_heads
    names = {
        **PRE_NORMS,
        **qkv_by_group(c.num_attention_heads, head_dim, "attention.query_key_value"),
        **renamed(
            {
                "attention.o_proj": "attention.dense",
                "ffn.up_proj": "mlp.dense_h_to_4h",
                "ffn.down_proj": "mlp.dense_4h_to_h",
            }
        ),
    }
    return {
        "embedding.tokens.weight": "gpt_neox.embed_in.weight",
        **linear("final_norm.norm", "gpt_neox.final_layer_norm"),
        "head.lm_head.weight": ("embed_out.weight", "lm_head.weight", "gpt_neox.embed_in.weight"),
        **of_layer(names, "gpt_neox.layers"),
    }


def phi3(c: Config) -> Names:
    head_dim = c.hidden_size // c.num_attention_heads
    n_rows = [heads * head_dim for heads in (c.num_attention_heads, *[c.num_key_value_heads] * 2)]

    def block(index: int) -> Change:
        return lambda values: values.split(n_rows)[index]

    names: Names = {
        f"attention.{projection}.weight": Source("self_attn.qkv_proj.weight", block(index))
        for index, projection in enumerate(("q_proj", "k_proj", "v_proj"))
    }
    return {**PLAIN, **of_layer({**names, **GATE_AND_UP})}


AFTER_ATTENTION = "post_attention_layernorm"
GATE_AND_UP: Names = {
    "ffn.gate_proj.weight": Source("mlp.gate_up_proj.weight", share(0, 2, 0)),
    "ffn.up_proj.weight": Source("mlp.gate_up_proj.weight", share(1, 2, 0)),
}
GRANITE_MOE: Names = {
    "ffn.router.weight": "block_sparse_moe.router.weight",
    "ffn.gate_proj.weight": Source("block_sparse_moe.experts.gate_up_proj", share(0, 2, 1)),
    "ffn.up_proj.weight": Source("block_sparse_moe.experts.gate_up_proj", share(1, 2, 1)),
    "ffn.down_proj.weight": "block_sparse_moe.experts.down_proj",
}
SHARED_EXPERT = {
    f"ffn.shared_expert.{part}": f"mlp.shared_expert.{part}" for part in ("gate_proj", "up_proj", "down_proj")
}
SHARED_MLP = {ours: theirs.replace("shared_expert", "shared_mlp") for ours, theirs in SHARED_EXPERT.items()}
STABLELM: Names = {
    "attention.q_norm.weight": "self_attn.q_layernorm.norms.*.weight",
    "attention.k_norm.weight": "self_attn.k_layernorm.norms.*.weight",
}
APERTUS: Names = {
    **renamed({"norms.attention_pre": "attention_layernorm", "norms.ffn_pre": "feedforward_layernorm"}),
    "ffn.alpha_p": "mlp.act_fn.alpha_p",
    "ffn.alpha_n": "mlp.act_fn.alpha_n",
}
GLM4 = {"norms.attention_post": "post_self_attn_layernorm", "norms.ffn_post": "post_mlp_layernorm"}
HUNYUAN = {"attention.q_norm": "self_attn.query_layernorm", "attention.k_norm": "self_attn.key_layernorm"}
ERNIE_BIAS = Source("mlp.gate.moe_statics.e_score_correction_bias", Tensor.flatten)

NAMES: dict[str, Names] = {
    **dict.fromkeys(("gpt2", "gpt-sw3"), gpt2()),
    "llama": PLAIN,
    "mistral": PLAIN,
    "mixtral": MIXTURE,
    "deepseek_v2": LATENT,
    "deepseek_v3": LATENT,
    "olmo2": {**PLAIN, **of_layer(POST_NORMS)},
    "olmo3": {**PLAIN, **of_layer(POST_NORMS)},
    "gemma3_text": {
        **PLAIN,
        **of_layer({**POST_NORMS, "norms.ffn_pre.weight": "pre_feedforward_layernorm.weight"}),
    },
    "llama4_text": llama4(),
    "qwen3": PLAIN,
    "qwen3_moe": MIXTURE,
    "smollm3": PLAIN,
    "gpt_oss": gpt_oss(),
    "glm4_moe": MIXTURE,
    "grok": {**PLAIN, **of_layer(GROK)},
    **dict.fromkeys(("olmo", "cohere", "cohere2", "granite", "qwen2", "nemotron", "gemma"), PLAIN),
    **dict.fromkeys(("ernie4_5", "arcee", "seed_oss", "internlm3", "iquestcoder"), PLAIN),
    **dict.fromkeys(("cwm", "ministral", "ministral3", "helium"), PLAIN),
    "glm": {**PLAIN, **of_layer(GATE_AND_UP)},
    **dict.fromkeys(("olmoe", "dots1"), MIXTURE),
    "exaone4": {**PLAIN, **of_layer(POST_NORMS)},
    "granitemoe": {**PLAIN, **of_layer(GRANITE_MOE)},
    "stablelm": {**PLAIN, **of_layer(STABLELM)},
    "qwen2_moe": {
        **MIXTURE,
        **of_layer(renamed({**SHARED_EXPERT, "ffn.shared_expert_gate": "mlp.shared_expert_gate"})),
    },
    "apertus": {**PLAIN, **of_layer(APERTUS)},
    "hunyuan_v1_dense": {**PLAIN, **of_layer(renamed(HUNYUAN))},
    "hunyuan_v1_moe": {
        **MIXTURE,
        **of_layer(renamed({**HUNYUAN, **SHARED_MLP, "ffn.router": "mlp.gate.wg"})),
    },
    "gemma2": {
        **PLAIN,
        **of_layer({**POST_NORMS, "norms.ffn_pre.weight": "pre_feedforward_layernorm.weight"}),
    },
    "starcoder2": {**PLAIN, **of_layer(renamed({"ffn.up_proj": "mlp.c_fc", "ffn.down_proj": "mlp.c_proj"}))},
    "minimax_m2": {**MIXTURE, **of_layer({"ffn.selection_bias": "mlp.e_score_correction_bias"})},
    "ernie4_5_moe": {
        **MIXTURE,
        "head.lm_head.bias": "lm_head.bias",
        **of_layer({"ffn.selection_bias": ERNIE_BIAS}),
    },
    "glm4": {**PLAIN, **of_layer({**renamed(GLM4), **GATE_AND_UP})},
}

# Families whose checkpoints cannot be loaded: heads are fused by group, or names mean something else in other families.
UNNAMED = {"falcon", "gpt_neox", "ernie4_5_moe", "glm4"}

# Where what is fused can be told apart only by the config.
NAMES_BY_CONFIG: dict[str, Callable[[Config], Names]] = {"falcon": falcon, "gpt_neox": gpt_neox, "phi3": phi3}

# The names of further families, in `weights_<module>.py`.
for _path in sorted(Path(__file__).parent.glob("weights_*.py")):
    _module = import_module(_path.stem)
    NAMES.update(_module.NAMES)
    NAMES_BY_CONFIG.update(_module.NAMES_BY_CONFIG)
    UNNAMED |= set(_module.UNNAMED)


def names_of(family: str, config: Config) -> Names:
    """The names of a family's weights."""
    return NAMES_BY_CONFIG[family](config) if family in NAMES_BY_CONFIG else NAMES[family]


# What a model keeps with its weights and never learns: those of xIELU and of lightning attention.
CONSTANTS = (".act_fn.beta", ".act_fn.eps", ".slope_rate", ".query_decay", ".key_decay", ".diagonal_decay")


def found_in(theirs: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """The tensor of that name; several, in their order, where a `*` in it stands for numbers."""
    if "*" not in name:
        return {name: theirs[name]} if name in theirs else {}
    numbered = (name.replace("*", str(number)) for number in range(len(theirs)))
    return {each: theirs[each] for each in numbered if each in theirs}


@torch.no_grad()
def carry(names: Names, theirs: Mapping[str, Tensor], ours: nn.Module) -> None:
    """Fill every parameter and buffer of `ours`, and leave none of `theirs` unread."""
    unread = {name for name in theirs if not name.endswith(CONSTANTS)}
    taken: set[int] = set()  # where the tensors stand that were read: what layers share has several names
    for name, target in ours.state_dict().items():
        layers = re.findall(r"\d+", name)
        found = names[name if name in names else re.sub(r"\d+", "{}", name)]  # some name one layer
        candidates = [
            each if isinstance(each, Source) else Source(each)
            for each in (found if isinstance(found, tuple) else (found,))
        ]
        source = next(each for each in candidates if found_in(theirs, each.name.format(*layers)))
        read = found_in(theirs, source.name.format(*layers))
        values = source.change(torch.stack(tuple(read.values())) if "*" in source.name else next(iter(read.values())))
        assert values.shape == target.shape, (name, values.shape, target.shape)
        target.copy_(values)
        unread -= read.keys()
        taken |= {values.data_ptr() for values in read.values()}
    unread = {name for name in unread if theirs[name].data_ptr() not in taken}
    assert not unread, f"weights of theirs that none of ours reads: {sorted(unread)}"


def randomize(model: Any, seed: int) -> None:
    """Random values for everything that a checkpoint holds: default initialisation hides mistakes."""
    generator = torch.Generator().manual_seed(seed)
    for name, values in sorted(model.state_dict().items()):
        if name.endswith(CONSTANTS):
            continue
        if not values.is_floating_point():  # numbers of experts
            values.copy_(torch.randint(3, values.shape, generator=generator))
            continue
        fresh = torch.randn(values.shape, generator=generator)
        if values.dim() == 1:
            # Norms and factors of the stream are near 1: the reference's own rounding errors grow where one is near 0.
            fresh = 1 + 0.3 * fresh if name.endswith(("weight", "layer_scalar")) else 0.5 * fresh
        elif "embed" not in name and "wte" not in name:
            fresh = fresh * values.shape[-1] ** -0.5
        values.copy_(fresh)
