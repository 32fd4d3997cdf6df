"""A spec as PyTorch modules: what needs torch to run a model."""
