"""Oracles: numbers that the model must reproduce, computed in closed form, simulated and learned."""
