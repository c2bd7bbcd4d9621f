"""Markets on which a user's rule is tried when it is registered."""

from typing import Any

import numpy as np

from dtao_gym.protocol.allocation import Market


def _drawn_market(n: int, seed: int, **changed: Any) -> Market:
    """A drawn market of n subnets, some columns replaced."""
    random = np.random.default_rng([seed, n])
    columns = {
        "moving_price": np.minimum(random.lognormal(-4.5, 1.2, n), 1.0),
        "spot_price": random.lognormal(-4.5, 1.2, n),
        "miner_burned": random.random(n) * (random.random(n) < 0.5),
        "emission_enabled": (random.random(n) < 0.9).astype(float),
        "user_flow_ema": random.normal(0.0, 0.01, n),
        "protocol_flow_ema": random.normal(0.004, 0.01, n),
        "root_proportion": random.uniform(0.1, 1.0, n),
        "signal": random.lognormal(3.0, 1.0, n),
        "votes": random.dirichlet(np.ones(n + 1))[:n],
        "age_days": random.uniform(0.0, 900.0, n),
        "knowledge_disclosed": random.exponential(1.0, n),
    }
    for name in Market._fields:
        if name not in columns:
            columns[name] = random.random(n)
    return Market(**columns | {name: np.full(n, value) for name, value in changed.items()})


def trial_markets() -> list[tuple[str, Market]]:
    """Markets on which every rule must return valid shares, each with a description."""
    free = {"moving_price": 0.0, "spot_price": 0.0}
    unknown = dict.fromkeys(Market._fields, 0.0) | {"emission_enabled": 1.0}
    return [
        ("a drawn market of one subnet", _drawn_market(1, 0)),
        *((f"a drawn market of {n} subnets", _drawn_market(n, 0)) for n in (3, 64, 128)),
        *((f"another drawn market of {n} subnets", _drawn_market(n, 1)) for n in (3, 64)),
        ("a market of 3 subnets whose prices are all 0", _drawn_market(3, 2, **free)),
        ("a market of one subnet whose price is 0", _drawn_market(1, 2, **free)),
        ("a market of 64 subnets whose prices are all 1", _drawn_market(64, 2, moving_price=1.0)),
        ("a market of 3 subnets with emission disabled", _drawn_market(3, 3, emission_enabled=0.0)),
        (
            "a market of 3 subnets whose miners burn everything",
            _drawn_market(3, 4, miner_burned=1.0),
        ),
        (
            "a market of 64 subnets that stakers leave",
            _drawn_market(64, 5, user_flow_ema=-0.01, protocol_flow_ema=-0.01),
        ),
        ("a market of 3 subnets not started yet", _drawn_market(3, 6, age_days=-1.0)),
        ("a market of 64 subnets about which nothing is known", _drawn_market(64, 7, **unknown)),
    ]
