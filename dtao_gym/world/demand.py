"""Beliefs of stakers and voters, and the price that stakers trade towards.

Stakers and voters that do not know the stocks read the public signal, average it over time, and add news and an error of
opinion. A newcomer is credited with the value that its seed price implies until the signal has shown more.
"""

import numpy as np

from dtao_gym.compiling import inlined_rule, rule, stage
from dtao_gym.economy.news import (
    LARGEST_CHANCE,
    LARGEST_SD,
    faded,
    jump,
    next_log_volatility,
    next_news,
    next_variance,
    scale_of_news,
)
from dtao_gym.economy.valuation import (
    fair_prior,
    market_target,
    next_belief,
    next_demand,
    scarce_target,
    trend,
    uninformed_tilt,
)
from dtao_gym.numerics import exp, row_sum
from dtao_gym.world.parameters import DAYS_PER_YEAR, parameters_of
from dtao_gym.world.scratch import news_draws
from dtao_gym.world.shocks import (
    NEWS,
    normal,
    open_uniform,
    philox,
    to_normals,
    triangular,
    uniform,
)
from dtao_gym.world.state import subnet_rows

UNKNOWN = -1.0
"""Prior of a newcomer whose seed price has not been observed yet."""
_COMMON, _FIRST_OWNER = 1, 2  # counters of keys: 0 is a subnet's own day


@stage
def read_signal(s, signal, p):
    """Move beliefs towards the signal that is read today."""
    for i in range(s.belief.size):
        s.belief[i] = next_belief(s.belief[i], p.signal_gain, signal[i])


@rule
def population_wealth(fields, world):
    """(informed, uninformed): purse, root and holdings at spot, TAO."""
    s = subnet_rows(fields)
    informed = world.purse_informed + world.root_informed
    uninformed = world.purse_uninformed + world.root_uninformed
    for i in range(s.spot_price.size):
        informed += s.spot_price[i] * s.informed_alpha[i]
        uninformed += s.spot_price[i] * s.uninformed_alpha[i]
    return informed, uninformed


@rule
def follow_money(fields, world, parameters):
    """Move the level of valuations with stakers' money and with the supply of alpha."""
    p = parameters_of(parameters)
    s = subnet_rows(fields)
    held, everything = 0.0, 0.0
    for i in range(s.spot_price.size):
        held += s.spot_price[i] * (s.informed_alpha[i] + s.uninformed_alpha[i])
        everything += s.spot_price[i] * s.alpha_outstanding[i]
    liquid = world.purse_informed + world.root_informed
    liquid += world.purse_uninformed + world.root_uninformed
    wanted_by_wealth = world.alpha_part_of_wealth * (liquid + held)
    wanted_by_supply = p.staker_share_of_alpha_out * everything
    world.demand_level = next_demand(
        world.demand_level, p.portfolio_rate, held, wanted_by_wealth, wanted_by_supply
    )


@inlined_rule
def _dilution(s, p, i):
    """Issuance of alpha over that of genesis, both no less than `settled_alpha`; 1 where dilution is off."""
    issuance = s.alpha_reserve[i] + s.alpha_outstanding[i]
    diluted = max(issuance, p.settled_alpha) / max(s.dilution_alpha[i], p.settled_alpha)
    return diluted if p.dilution and issuance > 0.0 else 1.0


@inlined_rule
def _with_scarcity(s, p, i, valuation):
    """Target price for a valuation, by the part of the alpha that stakers hold."""
    if p.scarcity_elasticity == 0.0:
        return valuation
    return scarce_target(
        valuation,
        s.spot_price[i],
        s.informed_alpha[i] + s.uninformed_alpha[i],
        s.alpha_outstanding[i],
        s.alpha_reserve[i] * s.pool_tao_weight[i],
        p.staker_share_of_alpha_out,
        p.scarcity_elasticity,
    )


@stage
def _trends(s, past_price, t):
    for i in range(t.trend.size):
        t.trend[i] = trend(s.spot_price[i], past_price[i])


@inlined_rule
def _tilt(s, t, p, i, mean_yield):
    """Factor of opinion, news, trend and yield on the belief of the uninformed."""
    excess_yield = s.stake_yield[i] * DAYS_PER_YEAR - mean_yield
    heard = s.opinion[i] + s.news[i] - p.opinion_bias
    return uninformed_tilt(heard, t.trend[i], p.momentum, excess_yield, p.yield_sensitivity)


@rule
def _see_newcomers(s, t, p, informed, mean_yield):
    """Credit newcomers with the value that their seed price implies, on the day it is first observed."""
    for i in range(s.prior.size):
        if s.prior[i] < 0.0 and s.started[i] > 0.0:
            first = fair_prior(
                s.spot_price[i] * _dilution(s, p, i) / p.price_of_capital,
                informed,
                s.informed_value[i],
                p.pooled_capitalisation * _tilt(s, t, p, i, mean_yield),
                s.belief[i],
            )
            # a day is taken off at once; a prior that is not kept at all is nothing
            s.prior[i] = first / p.prior_kept if p.prior_kept > 0.0 else 0.0


@rule
def set_targets(s, past_price, t, p, informed, level):
    """Target price of each subnet, TAO per alpha; `t` is a `TargetScratch`.

    `informed` is the weight of the stakers that know the stocks, `level` a factor on all valuations.
    """
    mean_yield = 0.0
    if p.yield_sensitivity > 0.0:
        mean_yield = DAYS_PER_YEAR / s.stake_yield.size * row_sum(s.stake_yield)
    if p.momentum > 0.0:
        _trends(s, past_price, t)
    else:
        for i in range(t.trend.size):
            t.trend[i] = 0.0
    unseen = 0.0
    for i in range(s.prior.size):
        unseen = min(unseen, s.prior[i])
    if unseen < 0.0:
        _see_newcomers(s, t, p, informed, mean_yield)
    _target_stage(s, t, p, informed, level, mean_yield)


@stage
def _target_stage(s, t, p, informed, level, mean_yield):
    for i in range(s.tao_reserve.size):
        started = s.started[i] > 0.0
        prior = max(s.prior[i], 0.0) * p.prior_kept
        s.prior[i] = prior if started else s.prior[i]
        seen = p.pooled_capitalisation * (s.belief[i] + prior) * _tilt(s, t, p, i, mean_yield)
        dilution = _dilution(s, p, i)
        target = market_target(p.price_of_capital, informed, s.informed_value[i], seen, dilution)
        target *= level
        s.valuation[i] = target
        traded = started and s.alpha_reserve[i] + s.alpha_outstanding[i] > 0.0
        s.target_price[i] = _with_scarcity(s, p, i, target) if traded else 0.0


@rule
def excess_of_news(s, p, informed, common_news):
    """Sum of the target prices over the sum that they would have without news of single subnets.

    The frozen subnets are many: their news averages out, except for the common part.
    """
    total, calm_total = 0.0, 0.0
    for i in range(s.tao_reserve.size):
        if s.target_price[i] > 0.0 and s.valuation[i] > 0.0:
            # parts of the valuation, both times the price of capital and the level of demand
            known = informed * s.informed_value[i]
            seen = p.pooled_capitalisation * (s.belief[i] + max(s.prior[i], 0.0))
            seen *= (1.0 - informed) * exp(s.opinion[i] - p.opinion_bias)
            with_news = known + seen * exp(s.news[i])
            calm = s.valuation[i] * (known + seen * exp(common_news)) / with_news
            total += s.target_price[i]
            calm_total += _with_scarcity(s, p, i, calm)
    return total / calm_total if calm_total > 0.0 else 1.0


@rule
def start_news(fields, world, parameters, slot):
    """Draw size and initial volatility of the news of a slot's owner by key; its level starts at 0."""
    p = parameters_of(parameters)
    s = subnet_rows(fields)
    counter = _FIRST_OWNER + np.int64(s.owner_number[slot])
    stream = np.uint64(s.stream_id[slot])
    a, b, _, _ = philox(world.world_key, world.episode, counter, 0, stream, NEWS)
    s.news_character[slot] = exp(p.news_spread * normal(a))
    s.news_volatility[slot] = p.news_volatility_sd * normal(b)
    s.news[slot] = s.news_variance[slot] = 0.0


@rule
def bring_news(fields, scratch, world, parameters):
    """Move the level of news by one day; nothing where `news_sd` is 0."""
    p = parameters_of(parameters)
    if p.news_sd == 0.0:
        return
    s, draws = subnet_rows(fields), news_draws(scratch)
    key, episode, day = world.world_key, world.episode, world.day
    common_sd = p.market_sd * world.news_factor
    shared = philox(key, episode, _COMMON, day, 0, NEWS)
    common = common_sd * normal(shared[0]) - 0.5 * common_sd * common_sd
    world.common_news = faded(world.common_news, world.common_variance, p.news_kept) + common
    world.common_variance = next_variance(
        world.common_variance, p.news_kept, common_sd, 0.0, 0.0, 0.0
    )
    for i in range(s.news.size):
        a, b, c, d = philox(key, episode, 0, day, np.uint64(s.stream_id[i]), NEWS)
        draws.volatility_shock[i], draws.step[i] = triangular(a), open_uniform(b)
        draws.jump[i], draws.jump_size[i] = uniform(c), uniform(d)
    to_normals(draws.step)
    _news_stage(s, draws, p, common, common_sd, world.news_factor)


@stage
def _news_stage(s, draws, p, common, common_sd, factor):
    steady = 0.5 * p.news_volatility_sd * p.news_volatility_sd
    for i in range(s.news.size):
        volatility = next_log_volatility(
            s.news_volatility[i],
            p.news_volatility_kept,
            p.news_volatility_sd,
            draws.volatility_shock[i],
        )
        scale = scale_of_news(s.news_character[i], s.tao_reserve[i], p.news_size_exponent)
        sd = min(p.news_sd * factor * scale * exp(volatility - steady), LARGEST_SD)
        chance = min(p.jump_chance * scale, LARGEST_CHANCE)
        which, size = draws.jump[i], draws.jump_size[i]
        jumped = jump(which, size, chance, p.jump_up_share, p.jump_up, p.jump_down)
        s.news_volatility[i] = volatility
        level = faded(s.news[i], s.news_variance[i], p.news_kept)
        s.news[i] = next_news(level, common, sd, draws.step[i], jumped, chance, p.jump_mean)
        s.news_variance[i] = next_variance(
            s.news_variance[i], p.news_kept, common_sd, sd, chance, p.jump_square
        )
