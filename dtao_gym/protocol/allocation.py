"""Emission shares: how the TAO of a block is divided among the subnets.

Source: subtensor `coinbase/subnet_emissions.rs` (price and flow rules), `coinbase/root.rs` before February 2025
(votes, counted in `root_vote.py`). Every rule of the chain is here. A new one of the chain's is a name in
`ALLOCATIONS` and its lines in `demand_weight` or `emission_shares`; a user's own is a function that
`plugins.py` compiles.
"""

from typing import NamedTuple

import numpy as np

from dtao_gym.compiling import inlined_rule, rule
from dtao_gym.numerics import exp, log1p, power, row_sum

ALLOCATIONS = {
    "uniform": 0,
    "price": 1,
    "price_burn": 2,
    "price_rootprop": 3,
    "price_burn_gate": 4,
    "tao_flow": 5,
    "net_flow": 6,
    "root_vote": 7,
}
"""Rules by name.

* `uniform`: equal parts.
* `price`: moving price over the sum of moving prices (from February 2025).
* `price_burn`: the same times the part of the miners' incentive that is not burned (from June 2026).
* `price_rootprop`: that times the root proportion (June 2026, for a week).
* `price_burn_gate`: `price_burn` times a Hill gate around a bar (from July 2026; inferred from storage).
* `tao_flow`: moving average of the TAO that stakers bring less what they take (from November 2025).
* `net_flow`: the same less the normalised TAO that the protocol put in (from May 2026).
* `root_vote`: share of the vote of the root validators (before February 2025).
"""

UNIFORM, PRICE, PRICE_BURN, PRICE_ROOTPROP, PRICE_BURN_GATE, TAO_FLOW, NET_FLOW, ROOT_VOTE = (
    ALLOCATIONS.values()
)
USER_RULE = len(ALLOCATIONS)
"""Id of every rule that a user wrote."""

FLOW_EMA_BASE = 29_597_889_189_277 / (2**63 - 1)
"""Weight of one block in the flow averages: a half-life of 216,000 blocks, 30 days."""


class Market(NamedTuple):
    """What a rule may read: public arrays with one float64 entry per subnet."""

    moving_price: np.ndarray
    """TAO per alpha, at most 1."""
    spot_price: np.ndarray
    """TAO per alpha."""
    miner_burned: np.ndarray
    """Part of the miners' incentive that is burned, 0 to 1."""
    emission_enabled: np.ndarray
    """0 or 1."""
    user_flow_ema: np.ndarray
    """Average net TAO that stakers bring, TAO per block."""
    protocol_flow_ema: np.ndarray
    """Average net TAO that the protocol puts in, TAO per block."""
    root_proportion: np.ndarray
    """Root's weight against the subnet's alpha, 0 to 1."""
    signal: np.ndarray
    """Public signal of the value of the subnet to users, TAO a day."""
    votes: np.ndarray
    """Share of the root validators' vote, 0 to 1."""
    age_days: np.ndarray
    """Days since the subnet was started, negative before."""
    knowledge_disclosed: np.ndarray
    """Knowledge that the subnet has made public; 0 where nothing is disclosed."""


class RuleSettings(NamedTuple):
    """Numbers that some rules need."""

    share_exponent: float
    """Exponent of the moving price in the price rules; 1 on the chain."""
    gate_bar: float
    """Demand share at which the gate lets half through."""
    flow_cutoff: float
    """Flow below which a subnet gets nothing, TAO per block; 0 on the chain."""
    norm_exponent: float
    """Exponent of the flow above the cutoff; 1 on the chain."""


class Rest(NamedTuple):
    """Sums over the subnets of a snapshot that are not simulated; all zero when there are none."""

    demand: float
    """Sum of their demand weights, for rules whose shares are weights over a sum."""
    enabled_demand: float
    """The same over those with emission enabled."""
    moving_price: float
    enabled_moving_price: float
    share: float
    """Their share under all other rules."""


NO_REST = Rest(0.0, 0.0, 0.0, 0.0, 0.0)


@inlined_rule
def demand_weight(allocation, moving_price, miner_burned, root_proportion):
    """Unnormalised claim of one subnet on the block's TAO, for rules that need one subnet's numbers alone."""
    if allocation == UNIFORM:
        return 1.0
    if allocation == PRICE:
        return moving_price
    kept = moving_price * (1.0 - miner_burned)
    return kept * root_proportion if allocation == PRICE_ROOTPROP else kept


@inlined_rule
def hill_gate(demand_share, bar):
    """Part of a demand share that the gate lets through: x**3 / (x**3 + bar**3)."""
    cube = demand_share * demand_share * demand_share
    total = cube + bar * bar * bar
    return cube / total if total > 0.0 else 1.0


@rule
def mass_quantile_bar(demand_shares, quantile, left):
    """Demand share of the subnet at which the cumulated share, largest first, passes `quantile` of the whole.

    `left` is working space of the same length.
    """
    for i in range(left.size):
        left[i] = demand_shares[i]
    wanted = quantile * row_sum(demand_shares)
    passed, bar = 0.0, 0.0
    for _ in range(left.size):
        largest = 0
        for i in range(left.size):
            if left[i] > left[largest]:
                largest = i
        bar = left[largest]
        passed += bar
        left[largest] = -1.0
        if passed >= wanted:
            break
    return bar


@inlined_rule
def flow_ema_decay(base, blocks):
    """What is left of a flow average after `blocks` blocks."""
    return exp(blocks * log1p(-base))


@inlined_rule
def next_flow_ema(flow_ema, flow_per_block, decay):
    """Flow average after a span in which the same amount flowed in every block."""
    return flow_per_block + (flow_ema - flow_per_block) * decay


@rule
def net_flow_factor(user_flow_ema, protocol_flow_ema):
    """Normalisation of the protocol's flow: positive user flow over positive protocol flow, at most 1."""
    users = protocol = 0.0
    for i in range(user_flow_ema.size):
        users += max(user_flow_ema[i], 0.0)
        protocol += max(protocol_flow_ema[i], 0.0)
    return min(users / protocol, 1.0) if protocol > 0.0 else 0.0


@inlined_rule
def net_flow(user_flow_ema, protocol_flow_ema, factor):
    """User flow less the protocol's; only a positive protocol flow is scaled by the factor."""
    protocol = protocol_flow_ema * factor if protocol_flow_ema > 0.0 else protocol_flow_ema
    return user_flow_ema - protocol


@rule
def flow_weights(flows, cutoff, exponent):
    """Replace flows by weights: what exceeds max(cutoff, the worst flow if negative), to a power."""
    worst = largest = 0.0
    for i in range(flows.size):
        worst = min(worst, flows[i])
        largest = max(largest, flows[i])
    floor = max(cutoff, worst)
    gap = largest - floor
    scale = 1.0 / gap if gap > 1e-300 else 0.0  # the inverse of less than that is no number
    for i in range(flows.size):
        flows[i] = power(max(flows[i] - floor, 0.0) * scale, exponent)


@inlined_rule
def _sum_rule_shares(allocation, market, settings, rest, shares):
    """Rules whose shares are demand weights over their sum; the rest takes part in the sum."""
    n = shares.size
    for i in range(n):
        shares[i] = market.moving_price[i]
    if settings.share_exponent != 1.0:
        for i in range(n):
            shares[i] = power(shares[i], settings.share_exponent)
    for i in range(n):
        shares[i] = demand_weight(
            allocation, shares[i], market.miner_burned[i], market.root_proportion[i]
        )
    rest_enabled = rest.enabled_demand
    if not rest.demand + row_sum(shares) > 0.0:
        rest_enabled = rest.enabled_moving_price
        for i in range(n):
            shares[i] = power(market.moving_price[i], settings.share_exponent)
    for i in range(n):
        shares[i] *= market.emission_enabled[i]
    total = rest_enabled + row_sum(shares)
    scale = 1.0 / total if total > 0.0 else 0.0
    for i in range(n):
        shares[i] *= scale
    return rest_enabled * scale


@inlined_rule
def demand_shares(market, settings, rest, shares):
    """Shares of `price_burn` before emission is switched off anywhere: what the gate looks at."""
    for i in range(shares.size):
        price = power(market.moving_price[i], settings.share_exponent)
        shares[i] = demand_weight(PRICE_BURN, price, market.miner_burned[i], 1.0)
    total = rest.demand + row_sum(shares)
    if not total > 0.0:
        total = rest.moving_price
        for i in range(shares.size):
            shares[i] = power(market.moving_price[i], settings.share_exponent)
        total += row_sum(shares)
    for i in range(shares.size):
        shares[i] = shares[i] / total if total > 0.0 else 0.0


@inlined_rule
def emission_shares(allocation, market, settings, rest, shares):
    """Write each subnet's share of the block's TAO into `shares`; returns the share of the rest.

    `allocation` is an id of `ALLOCATIONS`. The price rules fall back to moving prices alone where every claim
    is 0; a flow rule then pays nobody. Last, subnets with emission disabled get nothing and the others are
    scaled up. Shares and rest add to 1 if anybody has a claim; not so under `root_vote`, where votes for root
    or for a disabled subnet are lost.
    """
    n = shares.size
    if allocation <= PRICE_ROOTPROP:
        return _sum_rule_shares(allocation, market, settings, rest, shares)
    if allocation == PRICE_BURN_GATE:
        demand_shares(market, settings, rest, shares)
        for i in range(n):
            shares[i] *= hill_gate(shares[i], settings.gate_bar)
    elif allocation == ROOT_VOTE:
        for i in range(n):
            shares[i] = market.votes[i]
    else:
        factor = 0.0
        if allocation == NET_FLOW:
            factor = net_flow_factor(market.user_flow_ema, market.protocol_flow_ema)
        for i in range(n):
            shares[i] = market.user_flow_ema[i]
            if allocation == NET_FLOW:
                shares[i] = net_flow(shares[i], market.protocol_flow_ema[i], factor)
        flow_weights(shares, settings.flow_cutoff, settings.norm_exponent)
    for i in range(n):
        shares[i] *= market.emission_enabled[i]
    total = row_sum(shares)
    scale = (1.0 - rest.share) / total if total > 0.0 else 0.0
    if allocation == ROOT_VOTE:
        scale = 1.0 - rest.share  # what the validators gave to root itself is nobody's
    for i in range(n):
        shares[i] *= scale
    return rest.share
