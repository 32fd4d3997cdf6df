"""Model types that cannot be read, and why: what a spec lacks for them, or what they are instead of decoders."""

from __future__ import annotations

# What a spec lacks, with the families that wait for it.
_LACKING = {
    "short convolutions beside windows": "lfm3",
    "differential attention": "diffllama",
    "gated residuals and embeddings of several tokens": "qwen4_exp qwen4_exp_text",
    "sparse attention by an indexer and gated latents": "axk2 dots3_note dots3_note_text",
    "mixtures of attention heads": "jetmoe",
    "residual streams that are scaled by depth": "beam",
    "masks that depend on the values": "doge",
    "biases of single projections": "telechat",
    "compressed convolutional attention": "zaya",
    "convolutions of keys and values, and biases by distance": "inkling_text inkling2_text",
    "experts that read what a layer's attention reads": "arctic",
    "delta attention with bounded decays, and gated latent attention": "bailing_hybrid",
    "layers that run several times": "hrm_text",
    "linear attention with forget gates, and hyper-connections": "glm5_next_text",
    "Mamba in blocks that share weights": "zamba",
    "LSTM cells": "xlstm",
    "norms that depend on the delay of the audio": "voxtral_realtime_text",
    "rotary positions by layer type that a text decoder takes from images": "cohere_compass_text",
    "latent attention with an indexer whose queries are scaled by their position": "mistral_large4_text",
    "sparse attention by an indexer and hyper-connections": "hy_v4",
}

# What a model is instead of a decoder of text, with its types.
_OTHER = {
    "an encoder": """
        bert big_bird camembert cpmant data2vec-text electra ernie megatron-bert reformer rembert roberta
        roberta-prelayernorm roc_bert roformer xlm xlm-roberta xlm-roberta-xl xmod
    """,
    "a two-stream encoder of permuted text": "xlnet",
    "half of an encoder-decoder": """
        bart bert-generation bigbird_pegasus blenderbot blenderbot-small marian mbart mvp pegasus plbart prophetnet
        trocr whisper
    """,
    "a decoder of audio codes": "moshi musicgen musicgen_melody",
    "a decoder of bytes in patches that other models encode": "blt",
    "a decoder of images' captions": "git",
    "a drafter that reads another model's hidden states": "gemma4_assistant gemma4_unified_assistant",
}

WAITING = {model_type: lacking for lacking, named in _LACKING.items() for model_type in named.split()}

OUT_OF_SCOPE = {model_type: other for other, named in _OTHER.items() for model_type in named.split()}
