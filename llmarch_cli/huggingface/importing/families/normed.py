"""Dense decoders that differ from Llama, Granite and Gemma 2 in their norms."""

from __future__ import annotations

from llmarch_cli.huggingface.importing.families.dense import BIASES, MULTIPLIERS
from llmarch_cli.huggingface.importing.families.family import USUAL, Family, sizes
from llmarch_cli.huggingface.importing.families.windows import GEMMA_2, TANH, gemma2
from llmarch_cli.huggingface.importing.keys import Config
from llmarch_cli.huggingface.importing.layers import Fields
from llmarch_cli.huggingface.importing.pieces import biased, dense, frame, gqa, head_dim, only_divided, rms


def bitnet(c: Config) -> Fields:
    width = only_divided(c)
    if width * c.count("num_attention_heads") != c.count("hidden_size"):
        c.fail(
            "hidden_size", "must be a multiple of num_attention_heads: the norm before the output projection spans it"
        )
    attention = gqa(c, width, sub_norm=True, **biased(c))
    return frame(c, rms(c), attention=attention, ffn=dense(c, sub_norm=True))


def nanochat(c: Config) -> Fields:
    attention = gqa(c, qk_norm="weightless", qk_norm_after_rope=True, rope_reversed=True, **biased(c))
    return frame(
        c,
        rms(c, weight=False),
        embedding_norm=True,
        logit_softcap=c.optional(c.number, "final_logit_softcapping"),
        attention=attention,
        ffn=dense(c, gated=False),
    )


def vaultgemma(c: Config) -> Fields:
    return {**gemma2(c), "norm_placement": "pre"}


def hyperclovax(c: Config) -> Fields:
    width, scale = head_dim(c), c.optional(c.number, "attention_multiplier")
    attention = gqa(c, width, score_scale=None if scale == width**-0.5 else scale, **biased(c))
    return frame(
        c,
        rms(c),
        norm_placement="sandwich" if c.flag("use_post_norm") else "pre",
        embedding_scale=c.number("embedding_multiplier"),
        residual_scale=c.number("residual_multiplier"),
        logit_scale=c.number("logits_scaling"),
        attention=attention,
        ffn=dense(c, bias=c.flag("mlp_bias")),
    )


FAMILIES = (
    Family(
        "bitnet",
        bitnet,
        USUAL
        | {"hidden_act": "relu2", "rms_norm_eps": 1e-5, "rope_theta": 500_000.0, "attention_bias": False}
        | sizes(128_256, 2560, 6912, 30, 20, 5, 2048),
    ),
    Family(
        "nanochat",
        nanochat,
        USUAL
        | {"hidden_act": "relu2", "attention_bias": False, "final_logit_softcapping": 15.0}
        | sizes(50_304, 768, 8192, 12, 6, None, 2048),
    ),
    Family(
        "vaultgemma",
        vaultgemma,
        USUAL
        | GEMMA_2
        | {"final_logit_softcapping": 30.0, "attn_logit_softcapping": 50.0}
        | sizes(256_000, 2304, 9216, 26, 8, 4, 8192),
        without_effect={"hidden_act": TANH, "use_bidirectional_attention": (None, False)},
    ),
    Family(
        "hyperclovax",
        hyperclovax,
        USUAL
        | BIASES
        | MULTIPLIERS
        | {"attention_multiplier": None, "head_dim": None, "use_post_norm": True}
        | sizes(32_000, 4096, 11_008, 32, 32, None, 2048),
    ),
)
