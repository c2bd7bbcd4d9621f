"""Emission shares: how the TAO of a block is divided among the subnets.

Source: subtensor `coinbase/subnet_emissions.rs` (price and flow rules), `coinbase/root.rs` before February 2025
(votes, counted in `root_vote.py`). Everything that depends on the rule is in this module. A new rule of the chain is
a row of `CHAIN_RULES`, its id, and a branch in `emission_shares` or, if its shares are weights over their sum, in
`demand_weight` and `total_demand`. The gate is in `gate.py`, averages of flows in `flows.py`. A rule of a user is a function that `plugins.py` compiles.
"""

from typing import NamedTuple

import numpy as np

from dtao_gym.compiling import inlined_rule
from dtao_gym.numerics import LEAST_DIVISOR, power, row_sum
from dtao_gym.protocol.flows import flow_weights, net_flow, net_flow_factor
from dtao_gym.protocol.gate import bar_of_mass, bar_of_rank, pass_gate


class ChainRule(NamedTuple):
    """An emission rule of the chain. Its id is its position in `CHAIN_RULES`."""

    name: str
    description: str
    columns: tuple[str, ...]
    """Columns of `Market` that it reads, besides `emission_enabled`, which every rule reads."""


SUM_RULES = (
    ChainRule("uniform", "Equal shares.", ()),
    ChainRule(
        "price",
        "Moving price over the sum of moving prices (from February 2025).",
        ("moving_price",),
    ),
    ChainRule(
        "price_burn",
        "`price` times the part of the miners' incentive that is not burned (July 2026).",
        ("moving_price", "miner_burned"),
    ),
    ChainRule(
        "price_rootprop",
        "`price_burn` times the root proportion (June and July 2026).",
        ("moving_price", "miner_burned", "root_proportion"),
    ),
)
"""Rules whose shares are demand weights over their sum, in which the subnets that are not simulated take part."""

CHAIN_RULES = (
    *SUM_RULES,
    ChainRule(
        "price_burn_gate",
        "`price_burn` through a Hill gate, its bar where a part of demand is reached (July 2026).",
        ("moving_price", "miner_burned"),
    ),
    ChainRule(
        "price_burn_gate_rank",
        "`price_burn` through a Hill gate, its bar the demand of the 32nd subnet (from August 2026).",
        ("moving_price", "miner_burned"),
    ),
    ChainRule(
        "tao_flow",
        "Moving average of the TAO that stakers bring less what they take (from November 2025).",
        ("user_flow_ema",),
    ),
    ChainRule(
        "net_flow",
        "`tao_flow` less the normalised TAO that the protocol put in (from May 2026).",
        ("user_flow_ema", "protocol_flow_ema"),
    ),
    ChainRule(
        "root_vote", "Share of the vote of the root validators (before February 2025).", ("votes",)
    ),
)

ALLOCATIONS = {chain_rule.name: number for number, chain_rule in enumerate(CHAIN_RULES)}
"""Ids of the chain's rules by name."""

(
    UNIFORM,
    PRICE,
    PRICE_BURN,
    PRICE_ROOTPROP,
    PRICE_BURN_GATE,
    PRICE_BURN_GATE_RANK,
    TAO_FLOW,
    NET_FLOW,
    ROOT_VOTE,
) = ALLOCATIONS.values()
USER_RULE = len(ALLOCATIONS)
"""Id shared by all rules that users wrote."""


def rules_reading(column: str) -> tuple[int, ...]:
    """Ids of the chain's rules that read a column of `Market`."""
    return tuple(ALLOCATIONS[rule.name] for rule in CHAIN_RULES if column in rule.columns)


_N_SUM_RULES = len(SUM_RULES)
GATED_RULES = (PRICE_BURN_GATE, PRICE_BURN_GATE_RANK)  # which compare demand with a bar


class Market(NamedTuple):
    """Inputs of an emission rule: public arrays with one float64 entry per subnet.

    A new column is a field here and its value in `_market` of `dtao_gym/world/spans.py`.
    """

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
    """Parameters of the chain's rules."""

    share_exponent: float
    """Exponent of the moving price in the price rules; 1 on the chain."""
    gate_bar: float
    """Demand share at which the gate lets half through; 0: no gate."""
    gate_exponent: float
    """Steepness of the gate; 3 on the chain."""
    flow_cutoff: float
    """Flow at or below which a subnet gets nothing, TAO per block; 0 on the chain."""
    norm_exponent: float
    """Exponent of the flow above the cutoff; 1 on the chain."""


class DemandSums(NamedTuple):
    """Sums over several subnets of the demand weights under each of `SUM_RULES`."""

    count: float
    """Under `uniform`."""
    moving_price: float
    """Under `price`; moving prices to the power `share_exponent`."""
    burn_weighted: float
    """Under `price_burn`."""
    root_weighted: float
    """Under `price_rootprop`."""


class Rest(NamedTuple):
    """Subnets of a snapshot that are not simulated; all zero and empty when there are none."""

    demand: float
    """Sum of their demand weights, for rules whose shares are weights over a sum, gated ones included."""
    enabled_demand: float
    """The same over those with emission enabled."""
    moving_price: float
    enabled_moving_price: float
    share: float
    """Their share under all other rules, and where they are given a share under every rule."""
    demands: np.ndarray
    """`(k,)` demand of each as part of their sum, in descending order; gated rules read it."""
    enabled: np.ndarray
    """`(k,)` 1 or 0, in the same order."""
    passed: np.ndarray
    """`(k,)` Working space."""


NO_REST = Rest(0.0, 0.0, 0.0, 0.0, 0.0, np.empty(0), np.empty(0), np.empty(0))
"""`Rest` of a market in which all subnets are simulated, for calls from Python."""


@inlined_rule
def no_rest(work):
    """`NO_REST` in compiled code, which cannot hold an array; `work` is any float64 array of one dimension."""
    return Rest(0.0, 0.0, 0.0, 0.0, 0.0, work[:0], work[:0], work[:0])


@inlined_rule
def is_sum_rule(allocation):
    """Whether an id is that of one of `SUM_RULES`."""
    return 0 <= allocation < _N_SUM_RULES


@inlined_rule
def demand_weight(allocation, moving_price, miner_burned, root_proportion):
    """Unnormalised claim of a subnet on the block's TAO under one of `SUM_RULES`; NaN under any other id."""
    if allocation == UNIFORM:
        return 1.0
    if allocation == PRICE:
        return moving_price
    kept = moving_price * (1.0 - miner_burned)
    if allocation == PRICE_BURN:
        return kept
    return kept * root_proportion if allocation == PRICE_ROOTPROP else np.nan


@inlined_rule
def total_demand(allocation, sums):
    """Sum of demand weights that a rule adds to those of simulated subnets, from `DemandSums`.

    The gate measures demand as `price_burn` does. Rules that add none get 0.
    """
    if allocation == UNIFORM:
        return sums.count
    if allocation == PRICE:
        return sums.moving_price
    if allocation == PRICE_BURN or allocation in GATED_RULES:
        return sums.burn_weighted
    return sums.root_weighted if allocation == PRICE_ROOTPROP else 0.0


@inlined_rule
def _raised_prices(market, settings, shares):
    """Write moving prices to the power `share_exponent`; powers in a loop of their own, which is slower."""
    for i in range(shares.size):
        shares[i] = market.moving_price[i]
    if settings.share_exponent != 1.0:
        for i in range(shares.size):
            shares[i] = power(shares[i], settings.share_exponent)


@inlined_rule
def _sum_rule_shares(allocation, market, settings, rest, shares):
    """`emission_shares` under `SUM_RULES`; the demand of the rest is part of the sum."""
    n = shares.size
    _raised_prices(market, settings, shares)
    for i in range(n):
        shares[i] = demand_weight(
            allocation, shares[i], market.miner_burned[i], market.root_proportion[i]
        )
    rest_enabled = rest.enabled_demand
    if not rest.demand + row_sum(shares) > LEAST_DIVISOR:
        rest_enabled = rest.enabled_moving_price
        _raised_prices(market, settings, shares)
    for i in range(n):
        shares[i] *= market.emission_enabled[i]
    total = rest_enabled + row_sum(shares)
    scale = 1.0 / total if total > LEAST_DIVISOR else 0.0
    for i in range(n):
        shares[i] *= scale
    return rest_enabled * scale


@inlined_rule
def demand_shares(market, settings, rest, shares):
    """Write shares of demand, with emission enabled everywhere; return the part of the rest.

    Demand is measured as under `price_burn`, by moving prices alone where every claim is 0. Where the rest has a `share`
    and no `demand`, that is its part of all demand.
    """
    _raised_prices(market, settings, shares)
    for i in range(shares.size):
        shares[i] = demand_weight(PRICE_BURN, shares[i], market.miner_burned[i], 1.0)
    others = rest.demand
    if not others + row_sum(shares) > LEAST_DIVISOR:
        others = rest.moving_price
        _raised_prices(market, settings, shares)
    total = others + row_sum(shares)
    scale = (1.0 - rest.share) / total if total > LEAST_DIVISOR else 0.0
    for i in range(shares.size):
        shares[i] *= scale
    return others * scale + rest.share


@inlined_rule
def scale_enabled(shares, emission_enabled, whole):
    """Set shares of disabled subnets to 0, and scale the others to the sum `whole` if any is positive."""
    for i in range(shares.size):
        shares[i] *= emission_enabled[i]
    total = row_sum(shares)
    scale = whole / total if total > LEAST_DIVISOR else 0.0
    for i in range(shares.size):
        shares[i] *= scale


@inlined_rule
def with_measured_bar(allocation, market, settings, rest, rank, quantile, shares, work):
    """Settings with the gate's bar measured on demand; unchanged under rules without a gate and where nobody has demand.

    Parameters
    ----------
    allocation : int
        Id of a rule.
    market, settings, rest
        As for `emission_shares`.
    rank : int
        Rank of the bar under `price_burn_gate_rank`; with fewer subnets in demand, it is the smallest demand share.
    quantile : float
        Part of all demand at or above the bar under `price_burn_gate`, above 0, at most 1.
    shares, work : (n,) float64
        Overwritten.
    """
    if allocation not in GATED_RULES:
        return settings
    part = demand_shares(market, settings, rest, shares)
    bar = 0.0
    if allocation == PRICE_BURN_GATE_RANK:
        bar = bar_of_rank(shares, rest.demands, part, rank, settings.gate_bar, work)
    else:
        bar = bar_of_mass(shares, rest.demands, part, quantile, work)
    return RuleSettings(
        settings.share_exponent,
        bar if bar > 0.0 else settings.gate_bar,
        settings.gate_exponent,
        settings.flow_cutoff,
        settings.norm_exponent,
    )


@inlined_rule
def _gated_shares(market, settings, rest, shares):
    """`emission_shares` under `GATED_RULES`: subnets that are disabled take part in demand, and are zeroed last."""
    part = demand_shares(market, settings, rest, shares)
    pass_gate(shares, settings.gate_bar, settings.gate_exponent)
    for i in range(shares.size):
        shares[i] *= market.emission_enabled[i]
    others = 0.0
    if not rest.share > 0.0:
        for j in range(rest.demands.size):
            rest.passed[j] = part * rest.demands[j]
        pass_gate(rest.passed, settings.gate_bar, settings.gate_exponent)
        for j in range(rest.demands.size):
            rest.passed[j] *= rest.enabled[j]
        others = row_sum(rest.passed)
    total = others + row_sum(shares)
    scale = (1.0 - rest.share) / total if total > LEAST_DIVISOR else 0.0
    for i in range(shares.size):
        shares[i] *= scale
    return others * scale + rest.share


@inlined_rule
def emission_shares(allocation, market, settings, rest, shares):
    """Write each subnet's share of the block's TAO; return the share of the rest.

    The price rules fall back to moving prices alone where every claim is 0; a flow rule then pays nobody. Subnets
    with emission disabled get nothing, and the others are scaled up. Shares and rest add up to 1 if anybody has a
    claim, except under `root_vote`, where votes for root or for a disabled subnet are lost.

    Parameters
    ----------
    allocation : int
        Id of one of `ALLOCATIONS`.
    market : Market
    settings : RuleSettings
    rest : Rest
        Subnets that are not simulated.
    shares : (n,) float64
        Overwritten with the shares.

    Returns
    -------
    float
        Share of the rest. NaN, as all shares, for any other id: compiled code raises no errors.
    """
    n = shares.size
    if is_sum_rule(allocation):
        return _sum_rule_shares(allocation, market, settings, rest, shares)
    if allocation in GATED_RULES:
        return _gated_shares(market, settings, rest, shares)
    if allocation == TAO_FLOW:
        for i in range(n):
            shares[i] = market.user_flow_ema[i]
        flow_weights(shares, settings.flow_cutoff, settings.norm_exponent)
    elif allocation == NET_FLOW:
        factor = net_flow_factor(market.user_flow_ema, market.protocol_flow_ema)
        for i in range(n):
            shares[i] = net_flow(market.user_flow_ema[i], market.protocol_flow_ema[i], factor)
        flow_weights(shares, settings.flow_cutoff, settings.norm_exponent)
    elif allocation == ROOT_VOTE:
        for i in range(n):  # the part of the vote for root itself is not issued
            shares[i] = market.votes[i] * market.emission_enabled[i] * (1.0 - rest.share)
        return rest.share
    else:
        for i in range(n):
            shares[i] = np.nan
        return np.nan
    scale_enabled(shares, market.emission_enabled, 1.0 - rest.share)
    return rest.share
