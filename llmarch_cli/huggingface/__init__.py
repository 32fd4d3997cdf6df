"""Hugging Face configs and checkpoints. Only this package distinguishes model families by name."""
