"""The compiled day of a replay: the learner trades at a close, then the market moves to the next one.

1. The learner's orders are executed at the close that it has seen.
2. The next close of the path is written into the state. With recovering impact pools are those of the path; with
   permanent impact the alpha that the learner has taken out of a pool stays out of it, at the path's liquidity.
3. A subnet without a price any more is paid out at its last price. One that has a price again, or for the first time,
   can be traded from now on.
4. Root and alpha earn the yields of the day, and the position is valued at what a sale would fetch.
"""

from typing import NamedTuple

import numpy as np

from dtao_gym.compiling import inlined_rule, kernel, rule
from dtao_gym.views import row_reader
from dtao_gym.world.day import value_stakers
from dtao_gym.world.state import alpha_row, price_row, subnet_rows
from dtao_gym.world.table import arrays_of
from dtao_gym.world.trades import staker_trades

LEAST_POOL = 0.01
"""Part of the path's alpha reserve that permanent impact always leaves in a pool."""


class DayRows(NamedTuple):
    """Rows of a day, each `(SLOTS,)`; 0 where a subnet has no market."""

    price: np.ndarray
    moving_price: np.ndarray
    tao_reserve: np.ndarray
    alpha_reserve: np.ndarray
    alpha_outstanding: np.ndarray
    emission_share: np.ndarray
    alpha_emission: np.ndarray
    """Alpha a block."""
    stake_yield: np.ndarray
    """Alpha dividends per staked alpha of the day that closes."""
    registered_block: np.ndarray


class DayNumbers(NamedTuple):
    """Numbers of a day."""

    block: np.ndarray
    root_yield: np.ndarray
    """Root dividends per TAO of the day that closes."""
    moving_price_sum: np.ndarray
    root_stake: np.ndarray


day_rows = row_reader(DayRows)


@inlined_rule
def _close_subnet(s, i):
    """A slot without a market; its last price is kept for the observation."""
    s.started[i] = 0.0
    s.tao_reserve[i] = 0.0
    s.alpha_reserve[i] = 0.0
    s.alpha_outstanding[i] = 0.0
    s.moving_price[i] = 0.0
    s.emission_share[i] = 0.0
    s.alpha_emission[i] = 0.0
    s.stake_yield[i] = 0.0
    s.registered_block[i] = -1.0


@inlined_rule
def _write_subnet(s, i, of, c, displaced):
    """A close of the path, with `displaced` alpha of the pool in the learner's hands."""
    tao, alpha = of.tao_reserve[c], of.alpha_reserve[c]
    price = of.price[c]
    if displaced != 0.0:
        left = max(alpha - displaced, LEAST_POOL * alpha)
        displaced = alpha - left
        tao, alpha = tao * (alpha / left), left
        price = tao / alpha
    s.started[i] = 1.0
    s.tao_reserve[i], s.alpha_reserve[i], s.spot_price[i] = tao, alpha, price
    s.alpha_outstanding[i] = of.alpha_outstanding[c] + displaced
    s.moving_price[i] = of.moving_price[c]
    s.emission_share[i] = of.emission_share[c]
    s.alpha_emission[i] = of.alpha_emission[c]
    s.stake_yield[i] = of.stake_yield[c]
    s.registered_block[i] = of.registered_block[c]


@inlined_rule
def write_close(fields, alpha, me, world, today, before, numbers, columns, permanent):
    """Write a close into the state, pay out what has ended, pay yields; `before` is the close before."""
    s, of, old = subnet_rows(fields), day_rows(today), day_rows(before)
    price_sum, hhi = 0.0, 0.0
    for i in range(columns.size):
        c = columns[i]
        was = s.started[i] > 0.0
        if not of.price[c] > 0.0:
            if was:
                me.root += alpha[i] * s.spot_price[i]
                me.traded += alpha[i] * s.spot_price[i]
                alpha[i] = 0.0
                _close_subnet(s, i)
            continue
        displaced = s.alpha_outstanding[i] - old.alpha_outstanding[c] if permanent and was else 0.0
        _write_subnet(s, i, of, c, displaced)
        alpha[i] *= 1.0 + s.stake_yield[i]
        price_sum += s.spot_price[i]
        hhi += s.emission_share[i] * s.emission_share[i]
    world.block, world.root_yield, world.moving_price_sum = numbers[0], numbers[1], numbers[2]
    world.root_validators = numbers[3]
    world.price_sum, world.emission_hhi = price_sum, hhi


@rule
def replay_day(a, w, k, rows, numbers, columns, first, permanent):
    """One day of world `w`; orders are executed if `k` is 0."""
    world, me, fields = a.worlds[w], a.stakers[w, 0], a.fields[w]
    alpha = alpha_row(fields, a.at.staker_alpha)
    s = subnet_rows(fields)
    past = price_row(fields, a.at.price_history + world.day % a.at.price_days)
    for i in range(s.spot_price.size):
        past[i] = s.spot_price[i] if s.started[i] > 0.0 else 0.0
    if k == 0:
        staker_trades(fields, alpha, world, me, a.orders[w, 0], 1.0, a.parameters[w])
    at = first + world.day
    # dividends go to what is left on root after trading; a payout comes at the end of the day
    me.root += me.root * numbers[at + 1, 1]
    write_close(
        fields, alpha, me, world, rows[at + 1], rows[at], numbers[at + 1], columns, permanent
    )
    value_stakers(fields, a.scratch, a.at, a.stakers[w], a.parameters[w], None)
    world.day += 1


@kernel
def advance_replay(table, rows, numbers, columns, firsts, lasts, permanent, days, first, last):
    """The day of a replay: advance the worlds first to last - 1 by some days, orders on the first.

    Args:
        rows: `(closes, DayRows, slots)`, `numbers`: `(closes, DayNumbers)`, of all markets one after the other.
        columns: `(n_worlds, n_subnets)` slots.
        firsts, lasts: `(n_worlds,)` rows of the first and the last close; a world stands still at its last.
    """
    a = arrays_of(table)
    for w in range(first, last):
        a.stakers[w, 0].traded = 0.0
        for k in range(days):
            if firsts[w] + a.worlds[w].day >= lasts[w]:
                break
            replay_day(a, w, k, rows, numbers, columns[w], firsts[w], permanent)
    return 0


@kernel
def begin_replay(table, rows, numbers, columns, firsts, wealth, w):
    """The first close of a replay: a learner with all its TAO on root, and past prices."""
    a = arrays_of(table)
    world, me, fields = a.worlds[w], a.stakers[w, 0], a.fields[w]
    alpha, s, at = alpha_row(fields, a.at.staker_alpha), subnet_rows(fields), firsts[w]
    me.root, me.first_wealth = wealth, wealth
    for i in range(s.spot_price.size):
        s.pool_tao_weight[i], s.dilution_alpha[i] = 0.5, 1.0
    write_close(fields, alpha, me, world, rows[at], rows[at], numbers[at], columns[w], False)
    for back in range(1, a.at.price_days + 1):
        past = price_row(fields, a.at.price_history + (a.at.price_days - back) % a.at.price_days)
        then = day_rows(rows[max(at - back, 0)])
        for i in range(s.spot_price.size):
            past[i] = then.price[columns[w, i]] if at >= back else 0.0
    value_stakers(fields, a.scratch, a.at, a.stakers[w], a.parameters[w], None)
    return 0


def contiguous(array: np.ndarray) -> np.ndarray:
    """The array as kernels know it: writable float64, in C order."""
    return np.require(array, np.float64, ["C", "W", "A"])
