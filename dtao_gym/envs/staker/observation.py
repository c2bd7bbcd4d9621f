"""Observation of a staker: the features by name, and the compiled function that computes them.

Adding a feature: add a row to `SubnetFeatures` (or a name to `GLOBAL_FEATURES`) and the lines that compute it in
`_market_features`, `_own_features` or `_write_globals`; sizes of spaces follow.
"""

from collections import namedtuple
from typing import NamedTuple

import numpy as np

from dtao_gym.compiling import inlined_rule, kernel, rule
from dtao_gym.envs.features import (
    immunity_left,
    implied_price,
    log_price,
    log_ratio,
    named_indices,
)
from dtao_gym.numerics import row_sum, tanh
from dtao_gym.protocol.issuance import BLOCKS_PER_DAY
from dtao_gym.protocol.pool import tao_for_alpha
from dtao_gym.views import row_reader
from dtao_gym.world.funds import all_root
from dtao_gym.world.parameters import DAYS_PER_YEAR, parameters_of
from dtao_gym.world.state import alpha_row, owed_row, price_row, signal_row, subnet_rows
from dtao_gym.world.table import arrays_of

Row = np.ndarray


class SubnetFeatures(NamedTuple):
    """Features of one subnet, in the order of the observation; each within [-1, 1]."""

    own_weight: Row
    """Part of liquidation wealth held in the subnet: 2 w - 1."""
    signal_value: Row
    """tanh(2 ln(price implied by the lagged public signal / spot price))."""
    momentum_long: Row
    """tanh(4 ln(spot price / spot price `momentum_lag_days` ago))."""
    momentum_short: Row
    """tanh(10 ln(spot price / moving price))."""
    stake_yield: Row
    """tanh(yearly alpha dividends per staked alpha)."""
    dilution: Row
    """tanh(yearly growth of alpha issuance)."""
    emission_share: Row
    """tanh(share of emission / mean share of the simulated subnets - 1)."""
    price: Row
    """tanh((ln spot price - mean ln spot price of the world) / 2)."""
    depth: Row
    """tanh(ln(TAO in the pool / own wealth) / 4)."""
    root_proportion: Row
    """Part of validators' dividends that root takes: 2 x - 1."""
    immunity: Row
    """Remaining part of the immunity period: 2 x - 1."""
    prune_margin: Row
    """tanh(ln(moving price / lowest moving price of the subnets that may be dissolved) / 2)."""


SUBNET_FEATURES = SubnetFeatures._fields
"""Names of the features of each subnet, in the order of the observation."""
GLOBAL_FEATURES = (
    "root_weight",  # part of liquidation wealth in root: 2 w - 1
    "wealth",  # tanh(ln(liquidation wealth / wealth at the start))
    "claimable",  # tanh(100 x unclaimed root dividends, of claims or funds, / liquidation wealth)
    "fund_value",  # tanh(ln(value of a share of the root funds, TAO)), 0 without funds
    "moving_price_sum",  # tanh(2 (sum of moving prices - 1)): root is paid while positive
    "root_yield",  # tanh(5 x yearly root dividends per TAO)
    "mean_signal_value",  # tanh(2 x mean of the logarithm in signal_value)
)
"""Names of the features that an observation holds once, at its end."""
GLOBAL = named_indices("Global", GLOBAL_FEATURES)
N_SUBNET, N_GLOBAL = len(SUBNET_FEATURES), len(GLOBAL_FEATURES)
FeatureRows = namedtuple("FeatureRows", (*SUBNET_FEATURES, "claimable_tao"))
"""Working rows: the features, and the value of unclaimed dividends, of which only the sum is observed."""
N_SCRATCH_ROWS = len(FeatureRows._fields)
_feature_rows = row_reader(FeatureRows)


def observation_size(n_subnets: int) -> int:
    """Length of an observation."""
    return n_subnets * N_SUBNET + N_GLOBAL


@inlined_rule
def _market_features(s, f, past_price, signal, root_weighted_tao, p):
    """Compute the features of the subnets' market, the same for all stakers, but for `immunity` and `prune_margin`.

    Returns the mean over the subnets of ln(implied price / spot price).
    """
    n = s.spot_price.size
    mean_share = row_sum(s.emission_share) / n
    for i in range(n):
        f.signal_value[i] = log_ratio(implied_price(s, p, signal, i), s.spot_price[i])
        f.price[i] = log_price(s.spot_price[i])
    mean_signal_value, mean_price = row_sum(f.signal_value) / n, row_sum(f.price) / n
    for i in range(n):
        price = s.spot_price[i]
        issuance = s.alpha_reserve[i] + s.alpha_outstanding[i]
        minted_a_year = s.alpha_emission[i] * (BLOCKS_PER_DAY * DAYS_PER_YEAR)
        share = s.emission_share[i] / mean_share if mean_share > 0.0 else 1.0
        root_part = root_weighted_tao / max(root_weighted_tao + issuance, 1.0)
        f.signal_value[i] = tanh(2.0 * f.signal_value[i])
        f.momentum_long[i] = tanh(4.0 * log_ratio(price, past_price[i]))
        f.momentum_short[i] = tanh(10.0 * log_ratio(price, s.moving_price[i]))
        f.stake_yield[i] = tanh(s.stake_yield[i] * DAYS_PER_YEAR)
        f.dilution[i] = tanh(minted_a_year / max(issuance, 1.0))
        f.emission_share[i] = tanh(share - 1.0)
        f.price[i] = tanh(0.5 * (f.price[i] - mean_price))
        f.root_proportion[i] = 2.0 * root_part - 1.0
    return mean_signal_value


@inlined_rule
def _pruning_features(s, f, block, immunity_blocks):
    """Compute `immunity` and `prune_margin`."""
    lowest = np.inf
    for i in range(s.spot_price.size):
        left = immunity_left(block, s.registered_block[i], immunity_blocks)
        if s.registered_block[i] >= 0.0 and not left > 0.0:
            lowest = min(lowest, s.moving_price[i])
        f.immunity[i] = 2.0 * left - 1.0
    for i in range(s.spot_price.size):
        margin = log_ratio(s.moving_price[i], lowest) if lowest < np.inf else 0.0
        f.prune_margin[i] = tanh(0.5 * margin)


@inlined_rule
def _own_features(s, f, alpha, owed, wealth, p):
    """Compute `own_weight`, `depth` and the value of claims of one staker."""
    for i in range(s.spot_price.size):
        net = alpha[i] * (1.0 - p.pool_fee)
        held = tao_for_alpha(s.tao_reserve[i], s.alpha_reserve[i], s.pool_tao_weight[i], net)
        f.own_weight[i] = 2.0 * min(held / wealth, 1.0) - 1.0
        f.depth[i] = tanh(0.25 * log_ratio(s.tao_reserve[i], wealth))
        f.claimable_tao[i] = owed[i] * s.spot_price[i]


@inlined_rule
def _write_globals(world, me, wealth, claimable_tao, share_value, mean_signal_value, out):
    """Write `GLOBAL_FEATURES` of one staker into `out`, the end of its observation."""
    out[GLOBAL.root_weight] = 2.0 * min(me.root / wealth, 1.0) - 1.0
    out[GLOBAL.wealth] = tanh(log_ratio(wealth, me.first_wealth))
    out[GLOBAL.claimable] = tanh(100.0 * (claimable_tao + me.fund_claim) / wealth)
    out[GLOBAL.fund_value] = tanh(log_ratio(share_value, 1.0))
    out[GLOBAL.moving_price_sum] = tanh(2.0 * (world.moving_price_sum - 1.0))
    out[GLOBAL.root_yield] = tanh(5.0 * world.root_yield * DAYS_PER_YEAR)
    out[GLOBAL.mean_signal_value] = tanh(2.0 * mean_signal_value)


@inlined_rule
def _value_of_shares(funds):
    """Value of a share of the root funds, TAO; 0 without funds."""
    value, shares = 0.0, 0.0
    for k in range(funds.size):
        value += funds[k].value
        shares += funds[k].shares
    return value / shares if shares > 0.0 else 0.0


@rule
def observe_stakers(a, w, scratch, obs):
    """Write the observations of all stakers of world `w`; features that they share are computed once.

    `a` is an `Arrays`, `scratch` `(N_SCRATCH_ROWS, n_subnets)` float64, `obs` `(n_stakers, observation_size)` float32.
    """
    fields, world, stakers, at = a.fields[w], a.worlds[w], a.stakers[w], a.at
    s, f = subnet_rows(fields), _feature_rows(scratch)
    p = parameters_of(a.parameters[w])
    n = s.spot_price.size
    # the rows that scripted stakers read at the next decision; with `readers_ahead` they have read it already
    past_price = price_row(fields, at.price_history + world.day % at.price_days)
    signal = signal_row(fields, at.signal_history + world.day % at.signal_days)
    root_weighted_tao = p.tao_weight * all_root(world, stakers, a.funds[w])
    mean_signal_value = _market_features(s, f, past_price, signal, root_weighted_tao, p)
    _pruning_features(s, f, world.block, p.immunity_blocks)
    share_value = _value_of_shares(a.funds[w])
    for staker in range(stakers.size):
        me, mine = stakers[staker], obs[staker]
        alpha = alpha_row(fields, at.staker_alpha + staker)
        owed = owed_row(fields, at.staker_claimable + staker)
        wealth = max(me.wealth, 1e-9)
        _own_features(s, f, alpha, owed, wealth, p)
        for i in range(n):
            for k in range(N_SUBNET):
                mine[i * N_SUBNET + k] = scratch[k, i]
        claimable_tao, last = row_sum(f.claimable_tao), mine[n * N_SUBNET :]
        _write_globals(world, me, wealth, claimable_tao, share_value, mean_signal_value, last)


@kernel
def observe_kernel(table, scratch, obs, first, last):
    """Observations of stakers: `obs[world, staker]` of the worlds first to last - 1."""
    a = arrays_of(table)
    for w in range(first, last):
        observe_stakers(a, w, scratch, obs[w])
