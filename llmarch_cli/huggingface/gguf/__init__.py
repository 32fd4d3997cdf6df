"""GGUF files, which llama.cpp reads: the header of a file, and the architecture that its metadata describe."""
