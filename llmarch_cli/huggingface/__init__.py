"""Hugging Face's formats: the only place where families of models are told apart by name."""
