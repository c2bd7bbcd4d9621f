"""Builders: what they spend, what comes of it, what users and the chain pay them.

Treasuries are opened in the morning (`spend`), for what was earned until yesterday; stocks move in the evening,
all from their old values (`produce`); then users pay, and what an owner earned in the day is split
(`settle`). Written like `spans.py`: short loops over subnets that call the rules of `economy/`.
"""

import numpy as np

from dtao_gym.compiling import rule, stage
from dtao_gym.economy.technology import (
    luck,
    next_stock,
    output,
    public_signal,
    true_value,
)
from dtao_gym.economy.valuation import next_opinion, value_of_stocks
from dtao_gym.numerics import exp, row_sum
from dtao_gym.protocol.coinbase import DIRECT
from dtao_gym.world import trades
from dtao_gym.world.parameters import FEE_PAY, parameters_of
from dtao_gym.world.shocks import ECONOMY, open_uniform, philox, to_normals, uniform
from dtao_gym.world.state import pipeline_row, scratch_rows, signal_row, subnet_rows


@rule
def spend(fields, world, parameters):
    """Budgets of the day: a part of each treasury, or a fixed one that `outside` pays and gets back."""
    p = parameters_of(parameters)
    s = subnet_rows(fields)
    for i in range(s.budget.size):
        taken = 1.0 if s.registered_block[i] >= 0.0 else 0.0
        s.income[i] = 0.0
        s.budget[i] = s.treasury[i] * s.spend_rate[i] if p.finance else p.fixed_budget_tao * taken
    if p.finance:
        before = row_sum(s.treasury)
        for i in range(s.budget.size):
            s.treasury[i] -= s.budget[i]
        world.outside += before - row_sum(s.treasury)
    world.granted = 0.0


@stage
def _stocks_stage(s, t, p):
    """Short-term stock and influence; `t.spent` becomes what the day's research adds to the pipeline."""
    for i in range(s.budget.size):
        left = s.budget[i] * (1.0 - s.influence_share[i] * p.influence)
        courted = s.budget[i] - left
        research = left * s.research_share[i]
        work = left - research
        made = output(s.ability[i], p.short_productivity, work, p.curvature)
        s.short_stock[i] = next_stock(s.short_stock[i], p.short_decay, made)
        made = output(1.0, p.influence_productivity, courted, p.curvature)
        s.influence_stock[i] = next_stock(s.influence_stock[i], p.influence_decay, made)
        t.spent[i] = output(s.ability[i], p.research_productivity, research, p.curvature)
        t.proceeds[i] = research


@rule
def _pipeline(fields, scratch, at, parameters):
    """All stages move at once; `t.spent` becomes the knowledge that arrives."""
    p = parameters_of(parameters)
    t = scratch_rows(scratch)
    for k in range(at.pipeline_stages):
        row = pipeline_row(fields, at.pipeline + k)
        for i in range(row.size):
            leaving = p.stage_rate * row[i]
            row[i] += t.spent[i] - leaving
            t.spent[i] = leaving


@stage
def _arrival_stage(s, t, signal, p):
    for i in range(s.budget.size):
        arrived = t.spent[i] * luck(p.research_luck_sd, t.gain[i]) * t.claimed[i]
        s.knowledge[i] = next_stock(s.knowledge[i], p.knowledge_decay, arrived)
        s.grant_due[i] = p.milestone_grant_tao * arrived
        s.knowledge_disclosed[i] = s.knowledge[i] * p.knowledge_disclosed
        s.opinion[i] = next_opinion(
            s.opinion[i], p.opinion_persistence, p.opinion_innovation_sd, t.take[i]
        )
        signal[i] = public_signal(
            s.short_stock[i],
            s.knowledge[i],
            s.influence_stock[i],
            p.hype,
            p.signal_noise_sd,
            t.sold[i],
        )


@rule
def note_values(fields, at, parameters):
    """What the informed think the stocks of each subnet are worth, and what users get of it."""
    p = parameters_of(parameters)
    s = subnet_rows(fields)
    for i in range(s.informed_value.size):
        s.informed_value[i] = 0.0
    if p.pipeline_visible == 1:
        for k in range(at.pipeline_stages):
            row = pipeline_row(fields, at.pipeline + k)
            for i in range(row.size):
                s.informed_value[i] = (s.informed_value[i] + row[i]) * p.stage_discount
    for i in range(s.informed_value.size):
        s.informed_value[i] = value_of_stocks(
            s.short_stock[i],
            s.knowledge[i],
            s.informed_value[i],
            p.worth_of_short,
            p.worth_of_knowledge,
        )
    count = 0.0
    for i in range(s.registered_block.size):
        count += 1.0 if s.registered_block[i] >= 0.0 else 0.0
    knowledge = row_sum(s.knowledge)
    for i in range(s.true_value.size):
        value = true_value(s.short_stock[i], s.knowledge[i], knowledge, count, p.spillover)
        s.true_value[i] = value if s.registered_block[i] >= 0.0 else 0.0


@rule
def pay_grants(fields, world):
    """Grants for the knowledge that arrived yesterday, out of what was taken off the day's emission for them."""
    s = subnet_rows(fields)
    due = row_sum(s.grant_due)
    for i in range(s.income.size):
        s.income[i] += world.granted * s.grant_due[i] / due if due > 0.0 else 0.0


@rule
def produce(fields, scratch, at, world, parameters):
    """Stocks, opinions and the public signal move by one day; sums of the run are kept."""
    p = parameters_of(parameters)
    s, t = subnet_rows(fields), scratch_rows(scratch)
    key, episode, day = world.world_key, world.episode, world.day
    for i in range(s.budget.size):
        a, b, c, d = philox(key, episode, 0, day, np.uint64(s.stream_id[i]), ECONOMY)
        t.gain[i], t.take[i], t.sold[i] = open_uniform(a), open_uniform(b), open_uniform(c)
        t.claimed[i] = 1.0 / p.success_probability if uniform(d) < p.success_probability else 0.0
    to_normals(t.gain)
    to_normals(t.take)
    to_normals(t.sold)
    _stocks_stage(s, t, p)
    spent_on_research = row_sum(t.proceeds)
    _pipeline(fields, scratch, at, parameters)
    signal = signal_row(fields, at.signal_history + day % at.signal_days)
    _arrival_stage(s, t, signal, p)
    note_values(fields, at, parameters)

    budget = row_sum(s.budget)
    for i in range(s.budget.size):
        t.spent[i] = s.budget[i] * s.influence_share[i] * p.influence
    courted = row_sum(t.spent)
    wasted = budget - courted + p.influence_dissipation * courted
    world.welfare = row_sum(s.true_value) - p.cost_weight * wasted
    weight = exp(p.welfare_log_discount * day)
    world.welfare_sum += weight * world.welfare
    world.research_sum += weight * spent_on_research
    world.work_sum += weight * (budget - courted)
    world.influence_sum += weight * courted
    world.informed_value_sum += row_sum(s.informed_value)
    world.plain_value_sum += row_sum(s.short_stock) + row_sum(s.knowledge)


@rule
def _rationed(t, account):
    """Cut `t.spent` to what an account holds; returns the part that is paid."""
    due = row_sum(t.spent)
    part = max(min(account / due, 1.0), 0.0) if due > 0.0 else 0.0
    for i in range(t.spent.size):
        t.spent[i] *= part
    return part


@rule
def users_pay(fields, scratch, world, parameters, weights):
    """Users pay for a part of the value they get, from `outside`.

    They buy alpha, which is recycled; where there are no pools they pay the owner.
    """
    s, t = subnet_rows(fields), scratch_rows(scratch)
    p = parameters_of(parameters)
    for i in range(t.spent.size):
        t.spent[i] = p.revenue_share * s.true_value[i] * s.started[i]
    due = row_sum(t.spent)
    part = _rationed(t, world.outside)
    if p.injection == DIRECT:
        for i in range(t.spent.size):
            s.income[i] += t.spent[i]
            t.fee[i] = 0.0
    else:
        trades.buy_rows(s, t, weights, p.pool_fee, p.min_reserve)
        for i in range(t.bought.size):
            s.alpha_recycled[i] += t.bought[i]
    world.revenue_paid = row_sum(t.spent)
    world.revenue_rationed = due * (1.0 - part)
    world.outside -= world.revenue_paid
    world.authors += row_sum(t.fee)


@stage
def _consume_stage(s, t, kept, weight):
    """Divide income between treasury and consumption; `t.spent` becomes what is consumed."""
    for i in range(s.income.size):
        saved = kept * s.income[i]
        s.treasury[i] += saved
        t.spent[i] = s.income[i] - saved
        s.consumed[i] += t.spent[i]
        first = 1.0 if s.owner_number[i] == 0.0 else 0.0
        s.first_owner_payoff[i] += first * weight * t.spent[i]


@rule
def settle(fields, scratch, world, parameters):
    """Fees are paid; a part of what owners earned enters their treasuries, without finance nothing; the rest is consumed."""
    p = parameters_of(parameters)
    s, t = subnet_rows(fields), scratch_rows(scratch)
    if p.payment == FEE_PAY:
        for i in range(s.income.size):
            t.spent[i] = p.fee_per_value * (s.short_stock[i] + s.knowledge[i])
        due = row_sum(t.spent)
        world.revenue_rationed += due * (1.0 - _rationed(t, world.outside))
        for i in range(s.income.size):
            s.income[i] += t.spent[i]
        world.outside -= row_sum(t.spent)
    if p.income_factor != 1.0:
        earned = row_sum(s.income)
        factor = p.income_factor
        if earned > 0.0:
            factor = min(factor, 1.0 + max(world.outside, 0.0) / earned)
        world.outside -= (factor - 1.0) * earned
        for i in range(s.income.size):
            s.income[i] *= factor
    kept = p.reinvest_share if p.finance else 0.0
    _consume_stage(s, t, kept, exp(p.payoff_log_discount * world.day))
    world.outside += row_sum(t.spent)
