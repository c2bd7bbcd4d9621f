"""Working rows of a world's day, by name; stages that follow each other share the same memory.

Each NamedTuple below names the first rows of one array `(N_SCRATCH, n_subnets)` float64. A view is valid for the stage
that its docstring names: a later stage may write over it through another view. Only `SpanScratch` outlives its stage, up
to the end of the last span.

Row k of every view is one row of one memory and therefore one type in the compiler's alias analysis: the readers get
the name of the memory (`row_reader` in `dtao_gym/views.py`), so that the compiler never moves a write through one view
across a read through another. Rows of different numbers never overlap.
"""

from typing import NamedTuple

import numpy as np

from dtao_gym.views import row_reader

Row = np.ndarray


class SpanScratch(NamedTuple):
    """Coinbase and trades of a span."""

    open_tao: Row
    """Reserve before the span's coinbase."""
    open_alpha: Row
    held_tao: Row
    """Part of the coinbase's change that root's sale does not meet yet."""
    held_alpha: Row
    injected: Row
    """Alpha put into the pool."""
    root_alpha: Row
    """Root's part of the alpha minted; read until the end of the day."""
    root_sold: Row
    """Part of root's alpha that is for sale now."""
    alpha_bought: Row
    """Alpha bought by the chain."""
    unused_tao: Row
    """TAO that the pool could not take."""
    root_share: Row
    """Root proportion before the span."""
    age_days: Row
    paid: Row
    """1 where TAO emission is enabled and the subnet is started."""
    bar_shares: Row
    """Demand shares, of which the search for the gate's bar deletes the largest."""
    dividend: Row
    """Alpha dividends per staked alpha."""
    take: Row
    """Alpha that validators keep of the dividends; read by the insiders' sales."""
    alpha_of_stakers: Row
    """Alpha of all stakers with an account of their own."""
    sold: Row
    """Alpha offered to each pool, and after the sale the alpha taken."""
    proceeds: Row
    """TAO paid for it."""
    spent: Row
    """TAO offered to each pool, and after the purchase the TAO taken."""
    bought: Row
    """Alpha paid for it."""
    fee: Row
    """Fees in TAO."""
    credit: Row
    """Root's alpha for one fund."""
    value: Row
    """TAO that the fund's holding would fetch."""
    gain: Row
    """TAO by which the credit raises it."""


class DirectPay(NamedTuple):
    """TAO payments of a span without pools."""

    miners: Row
    validators: Row


class Claims(NamedTuple):
    """Claims of root dividends; written while the sale's rows of `SpanScratch` are read."""

    claimed_part: Row
    """Part of what is owed that is claimed; 0 where the pool refuses the sale."""
    tao_per_alpha: Row
    """TAO received per alpha claimed."""
    received: Row
    """TAO that one class of holders receives."""


class PopulationTrade(NamedTuple):
    """Division of the scripted stakers' trades; written while the trade's rows of `SpanScratch` are read."""

    informed_gain: Row
    """TAO that the informed gain."""


class TargetScratch(NamedTuple):
    """Target prices of the morning."""

    trend: Row
    """Clipped log change of the price."""


class Ballot(NamedTuple):
    """Scores of a root epoch."""

    contributed: Row
    """Value that the subnet gives to all users, as informed voters score it."""
    believed: Row
    """Value that the others read in signal, news and opinion."""
    ticket: Row
    """Random number by which favourites are drawn."""


class Production(NamedTuple):
    """Shocks and flows of the evening's production."""

    luck: Row
    """Standard normal: luck of the knowledge that arrives."""
    opinion_shock: Row
    """Standard normal: innovation of the error of opinion."""
    signal_noise: Row
    """Standard normal: noise of the public signal."""
    success: Row
    """Factor of mean one on the knowledge that arrives: 0 where the research fails."""
    research: Row
    """TAO spent on research."""
    influence: Row
    """TAO spent on influence."""
    passing_on: Row
    """Knowledge that enters the next stage of the pipeline, and in the end the knowledge that arrives."""


class News(NamedTuple):
    """Draws of the day's news."""

    volatility_shock: Row
    """Sum of two uniforms, mean 0 and standard deviation 1."""
    step: Row
    """Standard normal."""
    jump: Row
    """Uniform: whether there is a jump, and in which direction."""
    jump_size: Row
    """Uniform."""


class Payments(NamedTuple):
    """Fees and consumption of the evening, TAO."""

    fees: Row
    consumed: Row


class Candidates(NamedTuple):
    """Subnets that may be pruned for a newcomer."""

    pruning_key: Row
    """The lowest is dissolved."""
    immune: Row
    """1 or 0."""


class Quotes(NamedTuple):
    """Valuation of one staker's position."""

    proceeds: Row
    """TAO that a sale of the whole holding in a subnet would bring."""
    value: Row
    """TAO that the holding of a root fund would fetch."""


VIEWS = (
    SpanScratch,
    DirectPay,
    Claims,
    PopulationTrade,
    TargetScratch,
    Ballot,
    Production,
    News,
    Payments,
    Candidates,
    Quotes,
)
N_SCRATCH = max(len(view._fields) for view in VIEWS)
_MEMORY = "scratch"

span_scratch = row_reader(SpanScratch, _MEMORY)
direct_pay = row_reader(DirectPay, _MEMORY)
claims_of = row_reader(Claims, _MEMORY)
population_trade = row_reader(PopulationTrade, _MEMORY)
target_scratch = row_reader(TargetScratch, _MEMORY)
ballot_scores = row_reader(Ballot, _MEMORY)
production_rows = row_reader(Production, _MEMORY)
news_draws = row_reader(News, _MEMORY)
payment_rows = row_reader(Payments, _MEMORY)
candidate_rows = row_reader(Candidates, _MEMORY)
quote_rows = row_reader(Quotes, _MEMORY)
