"""Observation of a builder: the features by name, and the compiled function that computes them.

Adding a feature: add a name to one of the tuples and the line that computes it to the function that writes that
part; sizes of spaces follow.
"""

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
from dtao_gym.numerics import log, row_sum, tanh
from dtao_gym.protocol.issuance import BLOCKS_PER_DAY
from dtao_gym.views import array_of, row_reader
from dtao_gym.world.parameters import DAYS_PER_YEAR, parameters_of
from dtao_gym.world.registrations import PRUNE_BY_SHARE, registration_cost
from dtao_gym.world.state import price_row, signal_row, subnet_rows
from dtao_gym.world.table import arrays_of

RIVAL_FEATURES = (
    "price",  # tanh(ln(spot price / own spot price) / 2)
    "signal",  # tanh(ln(lagged public signal / that of the own subnet))
    "momentum_long",  # tanh(4 ln(spot price / spot price `momentum_lag_days` ago))
    "emission_share",  # tanh(share of emission / mean share of the simulated subnets - 1)
    "prune_margin",  # tanh(ln(pruning key / own pruning key) / 2)
    "immunity",  # remaining part of the immunity period: 2 x - 1
)
"""Names of the features of each other slot, in the order of the observation."""
OWN_FEATURES = (
    "short_stock",  # tanh(stock / 50): nearly linear, as the value of stocks is
    "short_stock_log",  # ln(stock / 10)
    "knowledge",  # tanh(stock / 100)
    "knowledge_log",  # ln(stock / 15)
    "pipeline_early",  # tanh(research in the pipeline / 10), by thirds of the stages
    "pipeline_middle",
    "pipeline_late",
    "pipeline_log",  # ln(all research in the pipeline / 3)
    "influence_stock",  # tanh(stock / 10)
    "ability",  # factor on the output of own spending, / 5, cut at 1
    "treasury",  # tanh(TAO / 1000)
    "treasury_log",  # ln(TAO / 150)
    "budget",  # ln(yesterday's budget / 10 TAO)
    "income",  # ln(yesterday's income / 10 TAO)
    "price",  # tanh((ln spot price - mean ln spot price of the world) / 2)
    "momentum_long",
    "momentum_short",  # tanh(10 ln(spot price / moving price))
    "signal",  # tanh(ln lagged public signal - mean of the world)
    "emission_share",
    "prune_rank",  # part of the others with a lower pruning key: 2 x - 1
    "prune_margin",  # tanh(ln(pruning key / lowest key of the others that may be dissolved) / 2)
    "immunity",
    "issuance",  # ln(alpha issuance / 2 million)
    "dilution",  # tanh(yearly growth of alpha issuance)
    "depth",  # ln(TAO in the pool / 7,658)
    "owner_alpha",  # ln(value of the owner's alpha at spot / 1,000 TAO)
)
"""Names of the features of the own subnet. A bare ln(x) stands for tanh(k ln x), k = 1/2 or 1/4."""
MARKET_FEATURES = (
    "moving_price_sum",  # tanh(2 (sum of moving prices - 1))
    "mean_price",  # tanh((mean ln spot price - ln 0.0058 TAO) / 2)
    "mean_momentum",  # tanh(4 x mean of the logarithm in momentum_long)
    "mean_signal_value",  # tanh(mean ln(price implied by the signal / spot price))
    "lock_cost",  # ln(cost of a registration / 500 TAO)
    "immune_share",  # part of the subnets that are immune: 2 x - 1
)
"""Names of the features of the market, at the end of an observation."""
RIVAL = named_indices("Rival", RIVAL_FEATURES)
OWN = named_indices("Own", OWN_FEATURES)
MARKET = named_indices("MarketFeature", MARKET_FEATURES)
N_RIVAL, N_OWN, N_MARKET = len(RIVAL_FEATURES), len(OWN_FEATURES), len(MARKET_FEATURES)
_LEAST = 1e-6
"""Stocks and amounts below this look the same."""
Row = np.ndarray


class PublicRows(NamedTuple):
    """Working rows: public logarithms of each subnet, before any tanh."""

    momentum: Row
    """ln(spot price / spot price `momentum_lag_days` ago)."""
    log_signal: Row
    immunity: Row
    """Remaining part of the immunity period, 0 to 1."""
    signal_value: Row
    """ln(price implied by the lagged public signal / spot price)."""
    log_prune_key: Row
    """ln of the number that pruning goes by: moving price or emission share."""


N_SCRATCH_ROWS = len(PublicRows._fields)
_public_rows = row_reader(PublicRows)


class Means(NamedTuple):
    """Means over the subnets of a world."""

    log_price: float
    log_signal: float
    emission_share: float


def observation_size(n_subnets: int) -> int:
    """Length of an observation."""
    return (n_subnets - 1) * N_RIVAL + N_OWN + N_MARKET


@inlined_rule
def _scaled_log(x, scale, typical):
    """tanh(scale ln(x / typical)), with x bounded below."""
    return tanh(scale * log(max(x, _LEAST) / typical))


@inlined_rule
def _relative_share(s, means, i):
    """Share of emission over the mean share."""
    return s.emission_share[i] / means.emission_share if means.emission_share > 0.0 else 1.0


@inlined_rule
def _write_public_rows(s, r, past_price, signal, prune_key, block, p):
    for i in range(s.spot_price.size):
        price = s.spot_price[i]
        r.momentum[i] = log_ratio(price, past_price[i])
        r.log_signal[i] = log(max(signal[i], _LEAST))
        r.immunity[i] = immunity_left(block, s.registered_block[i], p.immunity_blocks)
        r.signal_value[i] = log_ratio(implied_price(s, p, signal, i), price)
        r.log_prune_key[i] = log(max(prune_key[i], 1e-12))


@inlined_rule
def _write_stocks(s, fields, at, me, own):
    """Write the features of the own stocks."""
    own[OWN.short_stock] = tanh(s.short_stock[me] / 50.0)
    own[OWN.short_stock_log] = _scaled_log(s.short_stock[me], 0.5, 10.0)
    own[OWN.knowledge] = tanh(s.knowledge[me] / 100.0)
    own[OWN.knowledge_log] = _scaled_log(s.knowledge[me], 0.5, 15.0)
    in_pipeline = 0.0
    for third in range(3):
        stock = 0.0
        for k in range(at.pipeline_stages):
            if 3 * k // at.pipeline_stages == third:
                stock += fields[at.pipeline + k, me]
        own[OWN.pipeline_early + third] = tanh(stock / 10.0)
        in_pipeline += stock
    own[OWN.pipeline_log] = _scaled_log(in_pipeline, 0.5, 3.0)
    own[OWN.influence_stock] = tanh(s.influence_stock[me] / 10.0)
    own[OWN.ability] = min(s.ability[me] / 5.0, 1.0)


@inlined_rule
def _write_purse(s, me, own):
    """Write the features of the own money and alpha."""
    own[OWN.treasury] = tanh(s.treasury[me] / 1000.0)
    own[OWN.treasury_log] = _scaled_log(s.treasury[me], 0.5, 150.0)
    own[OWN.budget] = _scaled_log(s.budget[me], 0.5, 10.0)
    own[OWN.income] = _scaled_log(s.income[me], 0.5, 10.0)
    own[OWN.owner_alpha] = _scaled_log(s.owner_alpha[me] * s.spot_price[me], 0.25, 1000.0)


@inlined_rule
def _write_position(s, r, me, means, own):
    """Write the features that compare the own subnet with the others."""
    issuance = s.alpha_reserve[me] + s.alpha_outstanding[me]
    minted_a_year = s.alpha_emission[me] * (BLOCKS_PER_DAY * DAYS_PER_YEAR)
    others, below, lowest = 0.0, 0.0, np.inf
    for i in range(s.spot_price.size):
        if i != me and s.registered_block[i] >= 0.0:
            others += 1.0
            below += 1.0 if r.log_prune_key[i] < r.log_prune_key[me] else 0.0
            if not r.immunity[i] > 0.0:
                lowest = min(lowest, r.log_prune_key[i])
    margin = r.log_prune_key[me] - lowest if lowest < np.inf else 0.0
    own[OWN.price] = tanh(0.5 * (log_price(s.spot_price[me]) - means.log_price))
    own[OWN.momentum_long] = tanh(4.0 * r.momentum[me])
    own[OWN.momentum_short] = tanh(10.0 * log_ratio(s.spot_price[me], s.moving_price[me]))
    own[OWN.signal] = tanh(r.log_signal[me] - means.log_signal)
    own[OWN.emission_share] = tanh(_relative_share(s, means, me) - 1.0)
    own[OWN.prune_rank] = 2.0 * below / others - 1.0 if others > 0.0 else 1.0
    own[OWN.prune_margin] = tanh(0.5 * margin)
    own[OWN.immunity] = 2.0 * r.immunity[me] - 1.0
    own[OWN.issuance] = _scaled_log(issuance, 0.5, 2e6)
    own[OWN.dilution] = tanh(minted_a_year / max(issuance, 1.0))
    own[OWN.depth] = _scaled_log(s.tao_reserve[me], 0.25, 7658.0)


@inlined_rule
def _write_rivals(s, r, me, means, obs):
    """Write `RIVAL_FEATURES` of each other slot."""
    first = 0
    for i in range(s.spot_price.size):
        if i == me:
            continue
        rival = obs[first:]
        rival[RIVAL.price] = tanh(0.5 * log_ratio(s.spot_price[i], s.spot_price[me]))
        rival[RIVAL.signal] = tanh(r.log_signal[i] - r.log_signal[me])
        rival[RIVAL.momentum_long] = tanh(4.0 * r.momentum[i])
        rival[RIVAL.emission_share] = tanh(_relative_share(s, means, i) - 1.0)
        rival[RIVAL.prune_margin] = tanh(0.5 * (r.log_prune_key[i] - r.log_prune_key[me]))
        rival[RIVAL.immunity] = 2.0 * r.immunity[i] - 1.0
        first += N_RIVAL


@inlined_rule
def _write_market_features(s, r, world, parameters, means, market):
    """Write `MARKET_FEATURES`, the same for all builders."""
    n = s.spot_price.size
    immune = 0.0
    for i in range(n):
        immune += (1.0 if r.immunity[i] > 0.0 else 0.0) / n
    market[MARKET.moving_price_sum] = tanh(2.0 * (world.moving_price_sum - 1.0))
    market[MARKET.mean_price] = tanh(0.5 * (means.log_price - log(0.0058)))
    market[MARKET.mean_momentum] = tanh(4.0 * row_sum(r.momentum) / n)
    market[MARKET.mean_signal_value] = tanh(row_sum(r.signal_value) / n)
    market[MARKET.lock_cost] = _scaled_log(registration_cost(world, parameters), 0.5, 500.0)
    market[MARKET.immune_share] = 2.0 * immune - 1.0


@rule
def observe_builders(fields, world, slots, parameters, at, scratch, obs):
    """Write the observations of the owners of some slots; what they share is computed once.

    `scratch` is `(N_SCRATCH_ROWS, n_subnets)` float64, `obs` `(n_slots, observation_size)` float32.
    """
    s, r = subnet_rows(fields), _public_rows(scratch)
    p = parameters_of(parameters)
    n = s.spot_price.size
    # the rows that everybody reads at the next decision
    past_price = price_row(fields, at.price_history + world.day % at.price_days)
    signal = signal_row(fields, at.signal_history + world.day % at.signal_days)
    prune_key = array_of(s.moving_price)
    if p.prune_key == PRUNE_BY_SHARE:
        prune_key = array_of(s.emission_share)
    _write_public_rows(s, r, past_price, signal, prune_key, world.block, p)
    mean_price = 0.0
    for i in range(n):
        mean_price += log_price(s.spot_price[i]) / n
    means = Means(mean_price, row_sum(r.log_signal) / n, row_sum(s.emission_share) / n)
    first_own = N_RIVAL * (n - 1)
    for k in range(slots.size):
        me, row = slots[k], obs[k]
        own = row[first_own:]
        _write_rivals(s, r, me, means, row)
        _write_stocks(s, fields, at, me, own)
        _write_purse(s, me, own)
        _write_position(s, r, me, means, own)
        if k == 0:
            _write_market_features(s, r, world, parameters, means, own[N_OWN:])
        else:
            for j in range(N_MARKET):
                own[N_OWN + j] = obs[0, first_own + N_OWN + j]


@kernel
def observe_kernel(table, scratch, slots, obs, first, last):
    """Observations of builders: `obs[world, k]` of slot `slots[k]`, worlds first to last - 1."""
    a = arrays_of(table)
    for w in range(first, last):
        observe_builders(a.fields[w], a.worlds[w], slots, a.parameters[w], a.at, scratch, obs[w])
