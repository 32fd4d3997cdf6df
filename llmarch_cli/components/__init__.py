"""The components of a model: parts, attention and feed-forward kinds, and the frame around the layers."""
