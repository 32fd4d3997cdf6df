"""What a model is made of: parts, the kinds of attention and feed-forward, and the frame around them."""
