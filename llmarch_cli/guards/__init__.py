"""What CI jobs hold a spec's figures to: budgets, committed baselines, and what they were at another revision."""
