"""Plots: exact values in `data`, drawn to a file by `file` and on a terminal by `terminal`."""
