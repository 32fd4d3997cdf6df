"""PyTorch modules and KV cache of a spec: the code that needs torch to run a model."""
