"""Emission shares: how the TAO of a block is divided among the subnets.

Source: subtensor `coinbase/subnet_emissions.rs`. Adding a rule means a name in `ALLOCATIONS` and its line in
`demand_weight`.
"""

from typing import NamedTuple

from dtao_gym.numerics import inlined_rule, row_sum, rule

ALLOCATIONS = {"uniform": 0, "price": 1, "price_burn": 2}
"""Rules by name. `price`: moving price over the sum of moving prices (from February 2025); `price_burn`: the
same times the part of miner incentive that is not burned (from June 2026); `uniform`: equal parts."""

UNIFORM, PRICE, PRICE_BURN = ALLOCATIONS.values()


class Rest(NamedTuple):
    """Sums over the subnets of a snapshot that are not simulated; all zero when there are none."""

    moving_price: float
    demand: float
    enabled_moving_price: float
    enabled_demand: float


@inlined_rule
def demand_weight(allocation, moving_price, miner_burned):
    """Unnormalised claim of one subnet on the block's TAO."""
    if allocation == PRICE_BURN:
        return moving_price * (1.0 - miner_burned)
    if allocation == PRICE:
        return moving_price
    return 1.0


@rule
def emission_shares(allocation, moving_price, miner_burned, emission_enabled, rest, shares):
    """Write each subnet's share of the block's TAO into `shares`; returns the share of the rest.

    Arrays have one entry per subnet: `moving_price` in TAO per alpha, `miner_burned` in [0, 1],
    `emission_enabled` 0 or 1. If no subnet has a positive claim the moving prices decide alone; then
    subnets with emission disabled get nothing and the others are scaled up. The shares and the
    returned number add to 1, or are all 0 if nobody is left.
    """
    for i in range(moving_price.size):
        shares[i] = demand_weight(allocation, moving_price[i], miner_burned[i])
    rest_enabled = rest.enabled_demand
    if not rest.demand + row_sum(shares) > 0.0:
        rest_enabled = rest.enabled_moving_price
        for i in range(moving_price.size):
            shares[i] = moving_price[i]
    for i in range(moving_price.size):
        shares[i] *= emission_enabled[i]
    total = rest_enabled + row_sum(shares)
    scale = 1.0 / total if total > 0.0 else 0.0
    for i in range(moving_price.size):
        shares[i] *= scale
    return rest_enabled * scale
