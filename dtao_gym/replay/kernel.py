"""The compiled day of a replay: the staker trades at a close, then the market moves to the next one.

1. The staker's orders are executed at the close it has observed.
2. The next close of the path is written into the state. With recovering impact pools are those of the path; with
   permanent impact the alpha that the staker has bought stays out of the pool, at the path's liquidity.
3. The staker's alpha of a subnet whose price path has ended is paid out at the last price. A subnet whose path begins
   or resumes can be traded from this close on.
4. Root stake and alpha earn the yields of the day, and the position is valued at its liquidation value.
"""

from typing import NamedTuple

import numpy as np

from dtao_gym.compiling import inlined_rule, kernel, rule
from dtao_gym.views import row_reader
from dtao_gym.world.day import value_stakers
from dtao_gym.world.state import alpha_row, price_row, subnet_rows
from dtao_gym.world.table import arrays_of
from dtao_gym.world.trades import staker_trades

MIN_ALPHA_LEFT = 0.01
"""Minimum fraction of the path's alpha reserve that permanent impact leaves in a pool."""


class DayRows(NamedTuple):
    """Quantities of a close per subnet, `(SLOTS,)` each; 0 where a subnet has no market.

    Prices are TAO per alpha, reserves TAO and alpha, emission alpha per block.
    """

    price: np.ndarray
    moving_price: np.ndarray
    tao_reserve: np.ndarray
    alpha_reserve: np.ndarray
    alpha_outstanding: np.ndarray
    emission_share: np.ndarray
    alpha_emission: np.ndarray
    """Alpha per block."""
    stake_yield: np.ndarray
    """Alpha dividends per staked alpha, for the day that closes."""
    registered_block: np.ndarray


class DayNumbers(NamedTuple):
    """Quantities of a close that all subnets share."""

    block: np.ndarray
    root_yield: np.ndarray
    """Root dividends per TAO staked on root, for the day that closes."""
    moving_price_sum: np.ndarray
    root_stake: np.ndarray


day_rows = row_reader(DayRows)


@inlined_rule
def _close_subnet(s, i):
    """Clear a slot without a market; its last price is kept for the observation."""
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
def _write_subnet(s, i, close, c, displaced):
    """Write column `c` of a close into slot `i`, less `displaced` alpha that the staker has bought."""
    tao, alpha = close.tao_reserve[c], close.alpha_reserve[c]
    price = close.price[c]
    if displaced != 0.0:
        left = max(alpha - displaced, MIN_ALPHA_LEFT * alpha)
        displaced = alpha - left
        tao, alpha = tao * (alpha / left), left
        price = tao / alpha
    s.started[i] = 1.0
    s.tao_reserve[i], s.alpha_reserve[i], s.spot_price[i] = tao, alpha, price
    s.alpha_outstanding[i] = close.alpha_outstanding[c] + displaced
    s.moving_price[i] = close.moving_price[c]
    s.emission_share[i] = close.emission_share[c]
    s.alpha_emission[i] = close.alpha_emission[c]
    s.stake_yield[i] = close.stake_yield[c]
    s.registered_block[i] = close.registered_block[c]


@inlined_rule
def write_close(a, w, rows, numbers, at, columns, permanent):
    """Write close `at` into world `w`, pay out positions in ended subnets, and pay yields on alpha."""
    world, staker, s = a.worlds[w], a.stakers[w, 0], subnet_rows(a.fields[w])
    alpha = alpha_row(a.fields[w], a.at.staker_alpha)
    close, previous = day_rows(rows[at]), day_rows(rows[at - 1])
    price_sum, hhi = 0.0, 0.0
    for i in range(columns.size):
        c = columns[i]
        was_started = s.started[i] > 0.0
        if not close.price[c] > 0.0:
            if was_started:
                staker.root += alpha[i] * s.spot_price[i]
                staker.traded += alpha[i] * s.spot_price[i]
                alpha[i] = 0.0
                _close_subnet(s, i)
            continue
        displaced = 0.0
        if permanent and was_started:
            displaced = s.alpha_outstanding[i] - previous.alpha_outstanding[c]
        _write_subnet(s, i, close, c, displaced)
        alpha[i] *= 1.0 + s.stake_yield[i]
        price_sum += s.spot_price[i]
        hhi += s.emission_share[i] * s.emission_share[i]
    world.block, world.root_yield = numbers[at, 0], numbers[at, 1]
    world.moving_price_sum, world.root_validators = numbers[at, 2], numbers[at, 3]
    world.price_sum, world.emission_hhi = price_sum, hhi


@rule
def replay_day(a, w, k, rows, numbers, columns, first, permanent):
    """Advance world `w` by one day; orders are executed if `k` is 0."""
    world, staker, fields = a.worlds[w], a.stakers[w, 0], a.fields[w]
    alpha = alpha_row(fields, a.at.staker_alpha)
    s = subnet_rows(fields)
    past = price_row(fields, a.at.price_history + world.day % a.at.price_days)
    for i in range(s.spot_price.size):
        past[i] = s.spot_price[i] if s.started[i] > 0.0 else 0.0
    if k == 0:
        staker_trades(fields, alpha, world, staker, a.orders[w, 0], 1.0, a.parameters[w])
    at = first + world.day
    # root dividends are paid on the stake after trading; payouts of ended subnets come later, at the close
    staker.root += staker.root * numbers[at + 1, 1]
    write_close(a, w, rows, numbers, at + 1, columns, permanent)
    value_stakers(fields, a.scratch, a.at, a.stakers[w], a.parameters[w], None)
    world.day += 1


@kernel
def advance_replay(table, rows, numbers, columns, firsts, lasts, permanent, days, first, last):
    """Advance worlds `first` to `last - 1` by some days of a replay; orders are executed on the first day.

    Parameters
    ----------
    table : int
        Address of the batch's table.
    rows, numbers : `(closes, len(DayRows), SLOTS)`, `(closes, len(DayNumbers))` float64
        Closes of all markets, one market after the other.
    columns : `(n_worlds, n_subnets)` int64
        Columns of `rows` that the slots of each world show.
    firsts, lasts : `(n_worlds,)` int64
        Rows of the first and last close of each world; a world stays at its last close.
    permanent : bool
        Whether price impact is permanent.
    days : int
        Number of days.
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
    """Put world `w` at its first close: a staker with all its wealth on root, and the price history.

    Arrays are those of `advance_replay`; `wealth` is TAO.
    """
    a = arrays_of(table)
    staker, fields = a.stakers[w, 0], a.fields[w]
    s, at = subnet_rows(fields), firsts[w]
    staker.root, staker.first_wealth = wealth, wealth
    for i in range(s.spot_price.size):
        s.pool_tao_weight[i], s.dilution_alpha[i] = 0.5, 1.0
    write_close(a, w, rows, numbers, at, columns[w], False)
    for back in range(1, a.at.price_days + 1):
        past = price_row(fields, a.at.price_history + (a.at.price_days - back) % a.at.price_days)
        then = day_rows(rows[max(at - back, 0)])
        for i in range(s.spot_price.size):
            past[i] = then.price[columns[w, i]] if at >= back else 0.0
    value_stakers(fields, a.scratch, a.at, a.stakers[w], a.parameters[w], None)
    return 0


def contiguous(array: np.ndarray) -> np.ndarray:
    """Return the array as kernels take it: writable float64, in C order."""
    return np.require(array, np.float64, ["C", "W", "A"])
