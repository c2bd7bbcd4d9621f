"""Emission rules written as a user writes them, and a market to call them with."""

import numpy as np

from dtao_gym.protocol.allocation import Market


def market_of(n: int = 5, **changed) -> Market:
    """A market whose columns are all different."""
    random = np.random.default_rng(n)
    columns = {name: random.uniform(0.1, 0.9, n) for name in Market._fields}
    columns["emission_enabled"] = np.ones(n)
    return Market(**columns | {k: np.broadcast_to(float(v), n) for k, v in changed.items()})


def square_root(market):
    """Pays by the square root of the price."""
    weight = np.sqrt(market.moving_price)
    total = weight.sum()
    return weight / total if total > 0.0 else weight


def pays_nothing(market):
    return np.zeros(market.votes.size)
