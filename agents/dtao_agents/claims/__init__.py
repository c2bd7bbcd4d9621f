"""Measurements of the claims of the debate that need no equilibrium: control, merit, lock-in, safety, caps."""
