"""Plots: what is drawn as exact figures (`data`), and one file for each way to draw it."""
