"""Checks for CI: budgets, baselines, and changes since a git revision."""
