"""Builders' day: spending, production, and their pay from users and the chain.

Budgets leave the treasuries in the morning (`spend`), out of income up to yesterday; stocks move in the evening, all from
their old values (`produce`); then users pay, and an owner's income of the day is divided between saving and consumption
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
from dtao_gym.world.scratch import payment_rows, production_rows, span_scratch
from dtao_gym.world.shocks import ECONOMY, open_uniform, philox, to_normals, uniform
from dtao_gym.world.state import pipeline_row, signal_row, subnet_rows


@rule
def spend(fields, world, parameters):
    """Set the budgets of the day: a part of each treasury, or a fixed budget paid by `outside`."""
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
def _stocks_stage(s, today, p):
    """Move the short-term stock and influence; `today.passing_on` is the output of the day's research."""
    for i in range(s.budget.size):
        left = s.budget[i] * (1.0 - s.influence_share[i] * p.influence)
        influence = s.budget[i] - left
        research = left * s.research_share[i]
        work = left - research
        made = output(s.ability[i], p.short_productivity, work, p.curvature)
        s.short_stock[i] = next_stock(s.short_stock[i], p.short_decay, made)
        made = output(1.0, p.influence_productivity, influence, p.curvature)
        s.influence_stock[i] = next_stock(s.influence_stock[i], p.influence_decay, made)
        today.passing_on[i] = output(s.ability[i], p.research_productivity, research, p.curvature)
        today.research[i] = research


@rule
def _pipeline(fields, scratch, at, parameters):
    """Move all stages at once; `today.passing_on` becomes the knowledge that arrives."""
    p = parameters_of(parameters)
    today = production_rows(scratch)
    for k in range(at.pipeline_stages):
        row = pipeline_row(fields, at.pipeline + k)
        for i in range(row.size):
            leaving = p.stage_rate * row[i]
            row[i] += today.passing_on[i] - leaving
            today.passing_on[i] = leaving


@stage
def _arrival_stage(s, today, signal, p):
    for i in range(s.budget.size):
        arrived = today.passing_on[i] * luck(p.research_luck_sd, today.luck[i]) * today.success[i]
        s.knowledge[i] = next_stock(s.knowledge[i], p.knowledge_decay, arrived)
        s.grant_due[i] = p.milestone_grant_tao * arrived
        s.knowledge_disclosed[i] = s.knowledge[i] * p.knowledge_disclosed
        s.opinion[i] = next_opinion(
            s.opinion[i], p.opinion_persistence, p.opinion_innovation_sd, today.opinion_shock[i]
        )
        signal[i] = public_signal(
            s.short_stock[i],
            s.knowledge[i],
            s.influence_stock[i],
            p.hype,
            p.signal_noise_sd,
            today.signal_noise[i],
        )


@rule
def note_values(fields, at, parameters):
    """Write `informed_value`, the capital value of the stocks, and `true_value`, the value to users."""
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
    """Pay grants for yesterday's arrivals of knowledge, out of today's emission."""
    s = subnet_rows(fields)
    due = row_sum(s.grant_due)
    for i in range(s.income.size):
        s.income[i] += world.granted * s.grant_due[i] / due if due > 0.0 else 0.0


@rule
def produce(fields, scratch, at, world, parameters):
    """Move stocks, opinions and the public signal by one day, and add the day to the sums of the run."""
    p = parameters_of(parameters)
    s, today = subnet_rows(fields), production_rows(scratch)
    key, episode, day = world.world_key, world.episode, world.day
    for i in range(s.budget.size):
        a, b, c, d = philox(key, episode, 0, day, np.uint64(s.stream_id[i]), ECONOMY)
        today.luck[i], today.opinion_shock[i] = open_uniform(a), open_uniform(b)
        today.signal_noise[i] = open_uniform(c)
        succeeded = uniform(d) < p.success_probability
        today.success[i] = 1.0 / p.success_probability if succeeded else 0.0
    to_normals(today.luck)
    to_normals(today.opinion_shock)
    to_normals(today.signal_noise)
    _stocks_stage(s, today, p)
    research = row_sum(today.research)
    _pipeline(fields, scratch, at, parameters)
    signal = signal_row(fields, at.signal_history + day % at.signal_days)
    _arrival_stage(s, today, signal, p)
    note_values(fields, at, parameters)

    budget = row_sum(s.budget)
    for i in range(s.budget.size):
        today.influence[i] = s.budget[i] * s.influence_share[i] * p.influence
    influence = row_sum(today.influence)
    cost = budget - influence + p.influence_dissipation * influence
    world.welfare = row_sum(s.true_value) - p.cost_weight * cost
    weight = exp(p.welfare_log_discount * day)
    world.welfare_sum += weight * world.welfare
    world.research_sum += weight * research
    world.work_sum += weight * (budget - influence)
    world.influence_sum += weight * influence
    world.informed_value_sum += row_sum(s.informed_value)
    world.plain_value_sum += row_sum(s.short_stock) + row_sum(s.knowledge)


@rule
def _ration(due, account):
    """Cut a row of payments to what an account holds; returns the part that is paid."""
    total = row_sum(due)
    part = max(min(account / total, 1.0), 0.0) if total > 0.0 else 0.0
    for i in range(due.size):
        due[i] *= part
    return part


@rule
def users_pay(fields, scratch, world, parameters, weighted):
    """Let users pay, from `outside`, for a part of the value they get.

    They buy alpha, which is recycled; where there are no pools they pay the owner.
    """
    s, t = subnet_rows(fields), span_scratch(scratch)
    p = parameters_of(parameters)
    for i in range(t.spent.size):
        t.spent[i] = p.revenue_share * s.true_value[i] * s.started[i]
    due = row_sum(t.spent)
    part = _ration(t.spent, world.outside)
    if p.injection == DIRECT:
        for i in range(t.spent.size):
            s.income[i] += t.spent[i]
            t.fee[i] = 0.0
    else:
        trades.buy_rows(s, t, weighted, p.pool_fee, trades.reserve_limits(p))
        for i in range(t.bought.size):
            s.alpha_recycled[i] += t.bought[i]
    world.revenue_paid = row_sum(t.spent)
    world.revenue_rationed = due * (1.0 - part)
    world.outside -= world.revenue_paid
    world.authors += row_sum(t.fee)


@stage
def _consume_stage(s, pay, kept, weight):
    """Divide income between treasury and consumption."""
    for i in range(s.income.size):
        saved = kept * s.income[i]
        s.treasury[i] += saved
        pay.consumed[i] = s.income[i] - saved
        s.consumed[i] += pay.consumed[i]
        first = 1.0 if s.owner_number[i] == 0.0 else 0.0
        s.first_owner_payoff[i] += first * weight * pay.consumed[i]


@rule
def settle(fields, scratch, world, parameters):
    """Pay fees; owners save a part of their income (none without finance) and consume the rest."""
    p = parameters_of(parameters)
    s, pay = subnet_rows(fields), payment_rows(scratch)
    if p.payment == FEE_PAY:
        for i in range(s.income.size):
            pay.fees[i] = p.fee_per_value * (s.short_stock[i] + s.knowledge[i])
        due = row_sum(pay.fees)
        world.revenue_rationed += due * (1.0 - _ration(pay.fees, world.outside))
        for i in range(s.income.size):
            s.income[i] += pay.fees[i]
        world.outside -= row_sum(pay.fees)
    if p.income_factor != 1.0:
        earned = row_sum(s.income)
        factor = p.income_factor
        if earned > 0.0:
            factor = min(factor, 1.0 + max(world.outside, 0.0) / earned)
        world.outside -= (factor - 1.0) * earned
        for i in range(s.income.size):
            s.income[i] *= factor
    kept = p.reinvest_share if p.finance else 0.0
    _consume_stage(s, pay, kept, exp(p.payoff_log_discount * world.day))
    world.outside += row_sum(pay.consumed)
