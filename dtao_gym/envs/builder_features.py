"""What a builder observes: the names of its features, and the compiled function that fills them in."""

import numpy as np

from dtao_gym.compiling import inlined_rule, kernel, rule
from dtao_gym.envs.features import immunity_left, log_ratio
from dtao_gym.numerics import log, row_sum, tanh
from dtao_gym.protocol.issuance import BLOCKS_PER_DAY
from dtao_gym.views import array_of
from dtao_gym.world.parameters import DAYS_PER_YEAR, parameters_of
from dtao_gym.world.registrations import PRUNE_BY_SHARE, registration_cost
from dtao_gym.world.state import price_row, signal_row, subnet_rows
from dtao_gym.world.table import arrays_of

RIVAL_FEATURES = (
    "price",  # ln spot price over the own one
    "signal",  # ln lagged public signal over that of the own subnet
    "momentum_long",  # ln spot price over that of `momentum_lag_days` ago
    "emission_share",  # share of emission over the mean share of the simulated subnets
    "prune_margin",  # ln of what pruning goes by, over the own
    "immunity",  # part of the immunity period that is left, 2 x - 1
)
OWN_FEATURES = (
    "short_stock",  # tanh(stock / 50): nearly linear, as what stocks are worth is
    "short_stock_log",  # ln stock / 10
    "knowledge",  # tanh(stock / 100)
    "knowledge_log",  # ln stock / 15
    "pipeline_early",  # research under way, in thirds of the stages: tanh(stock / 10)
    "pipeline_middle",
    "pipeline_late",
    "pipeline_log",  # ln of all research under way / 3
    "influence_stock",  # tanh(stock / 10)
    "ability",  # factor on what own spending makes, / 5, cut at 1
    "treasury",  # tanh(TAO / 1000)
    "treasury_log",  # ln TAO / 150
    "budget",  # ln of yesterday's budget / 10 TAO
    "income",  # ln of yesterday's income / 10 TAO
    "price",  # ln spot price over the mean ln spot price of the world
    "momentum_long",
    "momentum_short",  # ln spot price over moving price
    "signal",  # ln lagged public signal over the mean signal of the world
    "emission_share",
    "prune_rank",  # part of the others that stand below in what pruning goes by, 2 x - 1
    "prune_margin",  # ln of what pruning goes by, over the lowest of the others that may be dissolved
    "immunity",
    "issuance",  # ln alpha issuance / 2 million
    "dilution",  # yearly growth of alpha issuance
    "depth",  # ln TAO in the pool / 7,658
    "owner_alpha",  # ln value of the owner's alpha at spot / 1,000 TAO
)
MARKET_FEATURES = (
    "moving_price_sum",  # sum of moving prices less 1
    "mean_price",  # mean ln spot price, over 0.0058 TAO
    "mean_momentum",  # mean of momentum_long
    "mean_signal_value",  # mean ln of the price that signals stand for, over the spot price
    "lock_cost",  # ln of what a registration costs / 500 TAO
    "immune_share",  # part of the subnets that are immune, 2 x - 1
)
N_RIVAL, N_OWN = len(RIVAL_FEATURES), len(OWN_FEATURES)
N_RAW = 5
_LEAST = 1e-6
"""Stocks and amounts below this look the same."""


@inlined_rule
def _scaled_log(x, scale, typical):
    return tanh(scale * log(max(x, _LEAST) / typical))


@inlined_rule
def _public_rows(s, raw, past_price, signal, weak, block, p):
    """Momentum, ln signal, immunity, what signals say of price, what pruning goes by; rows of `raw`."""
    for i in range(s.spot_price.size):
        price = s.spot_price[i]
        issuance = s.alpha_reserve[i] + s.alpha_outstanding[i]
        diluted = issuance / s.dilution_alpha[i] if p.dilution and issuance > 0.0 else 1.0
        worth = p.price_of_capital * p.pooled_capitalisation * signal[i] / diluted
        raw[0, i] = log_ratio(price, past_price[i])
        raw[1, i] = log(max(signal[i], _LEAST))
        raw[2, i] = immunity_left(block, s.registered_block[i], p.immunity_blocks)
        raw[3, i] = log_ratio(worth, price)
        raw[4, i] = log(max(weak[i], 1e-12))


@inlined_rule
def _stock_features(s, fields, at, me, own):
    """Own stocks; `own` is the part of the observation that starts with `OWN_FEATURES`."""
    own[0] = tanh(s.short_stock[me] / 50.0)
    own[1] = _scaled_log(s.short_stock[me], 0.5, 10.0)
    own[2] = tanh(s.knowledge[me] / 100.0)
    own[3] = _scaled_log(s.knowledge[me], 0.5, 15.0)
    own[4], own[5], own[6] = 0.0, 0.0, 0.0
    under_way = 0.0
    for third in range(3):
        stock = 0.0
        for k in range(at.pipeline_stages):
            if 3 * k // at.pipeline_stages == third:
                stock += fields[at.pipeline + k, me]
        own[4 + third] = tanh(stock / 10.0)
        under_way += stock
    own[7] = _scaled_log(under_way, 0.5, 3.0)
    own[8] = tanh(s.influence_stock[me] / 10.0)
    own[9] = min(s.ability[me] / 5.0, 1.0)


@inlined_rule
def _purse_features(s, me, own):
    own[10] = tanh(s.treasury[me] / 1000.0)
    own[11] = _scaled_log(s.treasury[me], 0.5, 150.0)
    own[12] = _scaled_log(s.budget[me], 0.5, 10.0)
    own[13] = _scaled_log(s.income[me], 0.5, 10.0)
    own[25] = _scaled_log(s.owner_alpha[me] * s.spot_price[me], 0.25, 1000.0)


@inlined_rule
def _standing_features(s, raw, me, mean_price, mean_signal, mean_share, own):
    """How the own subnet stands among the others."""
    n = s.spot_price.size
    issuance = s.alpha_reserve[me] + s.alpha_outstanding[me]
    share = s.emission_share[me] / mean_share if mean_share > 0.0 else 1.0
    others, below, lowest = 0.0, 0.0, np.inf
    for i in range(n):
        if i != me and s.registered_block[i] >= 0.0:
            others += 1.0
            below += 1.0 if raw[4, i] < raw[4, me] else 0.0
            if not raw[2, i] > 0.0:
                lowest = min(lowest, raw[4, i])
    own[14] = tanh(0.5 * (log(max(s.spot_price[me], 1e-12)) - mean_price))
    own[15] = tanh(4.0 * raw[0, me])
    own[16] = tanh(10.0 * log_ratio(s.spot_price[me], s.moving_price[me]))
    own[17] = tanh(raw[1, me] - mean_signal)
    own[18] = tanh(share - 1.0)
    own[19] = 2.0 * below / others - 1.0 if others > 0.0 else 1.0
    own[20] = tanh(0.5 * (raw[4, me] - lowest)) if lowest < np.inf else 0.0
    own[21] = 2.0 * raw[2, me] - 1.0
    own[22] = _scaled_log(issuance, 0.5, 2e6)
    own[23] = tanh(s.alpha_emission[me] * (BLOCKS_PER_DAY * DAYS_PER_YEAR) / max(issuance, 1.0))
    own[24] = _scaled_log(s.tao_reserve[me], 0.25, 7658.0)


@inlined_rule
def _rival_features(s, raw, me, mean_share, obs):
    first = 0
    for i in range(s.spot_price.size):
        if i == me:
            continue
        share = s.emission_share[i] / mean_share if mean_share > 0.0 else 1.0
        obs[first] = tanh(0.5 * log_ratio(s.spot_price[i], s.spot_price[me]))
        obs[first + 1] = tanh(raw[1, i] - raw[1, me])
        obs[first + 2] = tanh(4.0 * raw[0, i])
        obs[first + 3] = tanh(share - 1.0)
        obs[first + 4] = tanh(0.5 * (raw[4, i] - raw[4, me]))
        obs[first + 5] = 2.0 * raw[2, i] - 1.0
        first += N_RIVAL


@rule
def observe_builders(fields, world, slots, parameters, at, raw, obs):
    """Rows of `obs` for the owners of some slots; what all of them see is reckoned once."""
    s = subnet_rows(fields)
    p = parameters_of(parameters)
    n = s.spot_price.size
    # what everybody will read at the next decision, no younger
    past_price = price_row(fields, at.price_history + world.day % at.price_days)
    signal = signal_row(fields, at.signal_history + world.day % at.signal_days)
    weak = array_of(s.moving_price)
    if p.prune_key == PRUNE_BY_SHARE:
        weak = array_of(s.emission_share)
    _public_rows(s, raw, past_price, signal, weak, world.block, p)
    mean_price, immune = 0.0, 0.0
    for i in range(n):
        mean_price += log(max(s.spot_price[i], 1e-12)) / n
        immune += (1.0 if raw[2, i] > 0.0 else 0.0) / n
    mean_share = row_sum(s.emission_share) / n
    mean_signal = row_sum(raw[1]) / n
    price_sum = tanh(2.0 * (world.moving_price_sum - 1.0))
    mean_price_seen = tanh(0.5 * (mean_price - log(0.0058)))
    momentum = tanh(4.0 * row_sum(raw[0]) / n)
    signal_value = tanh(row_sum(raw[3]) / n)
    cost = _scaled_log(registration_cost(world, parameters), 0.5, 500.0)
    for k in range(slots.size):
        me, row = slots[k], obs[k]
        own = row[N_RIVAL * (n - 1) :]
        _rival_features(s, raw, me, mean_share, row)
        _stock_features(s, fields, at, me, own)
        _purse_features(s, me, own)
        _standing_features(s, raw, me, mean_price, mean_signal, mean_share, own)
        own[N_OWN] = price_sum
        own[N_OWN + 1] = mean_price_seen
        own[N_OWN + 2] = momentum
        own[N_OWN + 3] = signal_value
        own[N_OWN + 4] = cost
        own[N_OWN + 5] = 2.0 * immune - 1.0


@kernel
def observe_kernel(table, raw, slots, obs, first, last):
    """Observations of builders: `obs[world, k]` of slot `slots[k]`, worlds first to last - 1; `raw` is working space."""
    a = arrays_of(table)
    for w in range(first, last):
        observe_builders(a.fields[w], a.worlds[w], slots, a.parameters[w], a.at, raw, obs[w])
