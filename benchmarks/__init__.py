"""Time and memory of the commands, as ratios to `import torch` or to a peer in the same run: `make bench`."""
