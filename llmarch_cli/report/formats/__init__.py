"""Output formats: one renderer per file."""
