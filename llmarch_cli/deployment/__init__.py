"""Deployment: accelerators as data, how a model is divided over them, and the bounds that follow."""
