"""Mechanisms in a sentence or two, by tag: those that a concept page does not begin with.

To describe one: a line below. A test names those that bundled models have and nothing describes.
"""

from __future__ import annotations

SAID = {
    # How tokens meet.
    "hybrid": "Some layers attend to earlier tokens; others keep a state of fixed size, whatever the context.",
    "parallel": "Several components, each with its own weights and cache, read one input; their outputs are added.",
    "chunked": "A token sees the earlier tokens of its own chunk. The cache of such a layer ends at one chunk.",
    "window": "A token sees the last tokens only. The cache of such a layer stops growing at the window's length.",
    "block_sparse": "An indexer scores blocks of earlier tokens, and attention sees the best of them only.",
    "indexer": "Small heads score all earlier tokens to choose those that attention sees. Each token keeps an index key"
    " beside its row in the cache.",
    "shared_indices": "A layer attends to the tokens that the indexer of a layer below has chosen.",
    "mqa": "All query heads share one key head and one value head (arXiv 1911.02150). The cache is the"
    " smallest that shared heads can have.",
    "rwkv4": "A mean of values for each channel, with weights that decay with distance (arXiv 2305.13048).",
    "rg_lru": "A recurrence with one value a channel, which decays by a gate of the input (arXiv 2402.19427).",
    "shared_block": "A transformer block stands before the mixers of several layers, which share its weights.",
    # Experts.
    "shared_expert": "Beside the chosen experts, one that every token runs through (arXiv 2401.06066).",
    "latent_experts": "Experts read and write a narrower vector. Two matrices, which they share, lead there and back.",
    "zero_experts": "Some of the experts that a token may choose return it unchanged, so that easy tokens cost less.",
    "hash_routing": "A table fixes the experts of each token id; the router's scores only weigh them.",
    "group_routing": "Experts are in groups. A token chooses among those of its best groups, so that it is sent to few"
    " devices.",
    "sparsemixer": "Experts are picked one after another, each weighted by a softmax over those within reach of it"
    " (arXiv 2409.12136).",
    "shortcut": "A layer leaves a second output that a later layer adds, so that experts compute beside the layers in"
    " between (arXiv 2404.05019).",
    # What layers share, and the residual stream.
    "per_layer_embedding": "Each layer reads a vector of the token from its own table, beside the residual stream.",
    "laurel": "A product of two narrow matrices of the stream is added beside attention (arXiv 2411.07501).",
    "skipped_attention": "Some layers have no attention: a feed-forward layer stands there alone.",
    "varied_widths": "Feed-forward layers of one sort have different widths, chosen layer by layer.",
    "single_sublayers": "Each layer is either a token mixer or a feed-forward layer, not both.",
    "parallel_sublayers": "Attention and the feed-forward layer read the same input, and both outputs are added.",
    "layer_scale": "A stored number multiplies the stream behind each block.",
    "tied": "The head's matrix is that of the input embedding, and counts once.",
    "mtp": "Further blocks predict the tokens after the next one. They are not in the model's totals.",
    # Attention in detail.
    "output_gate": "A gate computed from the layer's input multiplies the output of attention.",
    "qk_norm": "Queries and keys are normalised before their product, which keeps scores in range.",
    "qkv_bias": "The projections of queries, keys and values add a learned bias.",
    "values_from_keys": "Values are the projected keys, before their norm and rotation: no matrix projects values.",
    "temperature": "Scores grow with the logarithm of the query's position, so that attention stays sharp in long"
    " contexts (arXiv 2501.19399).",
    "softcap": "A scaled tanh keeps attention scores below a cap.",
    "clip_qkv": "Values of queries, keys and values beyond a limit are cut to it.",
    # Positions.
    "nope": "Some layers have no position encoding: they see the order of tokens through the causal mask alone"
    " (arXiv 2305.19466).",
    "partial_rope": "Rotary embedding turns a part of each head's values and leaves the others as they are.",
    "alibi": "Each head subtracts a multiple of the distance from its scores, instead of an encoding of positions"
    " (arXiv 2108.12409).",
    "learned_positions": "A learned vector for each position is added to the token's embedding.",
    "sinusoidal_positions": "Fixed sines and cosines of the position are added to the token's embedding.",
    # Feed-forward layers.
    "dense": "Every token runs through all of the layer: no experts are chosen.",
    "ungated": "Two matrices with an activation between them, without a third one that gates the hidden values.",
    "squared_relu": "The activation is the square of a ReLU (arXiv 2109.08668).",
    "activation_sparsity": "Of the hidden values only the largest are kept; the others are cut off.",
    # Norms and the head.
    "layer_norm": "LayerNorm (arXiv 1607.06450) subtracts a vector's mean and divides it by its standard deviation.",
    "weightless_norm": "Norms multiply by no learned weights.",
    "post_norm": "A norm stands behind each sublayer, before its output is added to the stream.",
    "sandwich_norm": "Norms stand before and behind each sublayer.",
    "shared_norm": "One norm before both sublayers, which run in parallel.",
    "post_residual_norm": "A norm stands in the stream itself, behind the sum with a sublayer's output.",
    "sub_norm": "A norm stands inside each sublayer, before its last matrix (arXiv 2210.06423).",
    "embedding_norm": "The embedding is normalised before the first layer.",
    "head_norm": "Each row of the head's matrix is divided by its length (arXiv 2309.10305).",
    "logit_softcap": "A scaled tanh keeps the logits below a cap.",
}
