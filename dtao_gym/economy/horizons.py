"""Spending weights without a constant discount: windows, dilution of an owner's pay, late starts.

The response of each stock to a unit of input, day by day, is summed with one number per day (the "day weights").
"""

import math
from functools import lru_cache

import numpy as np

from dtao_gym.economy.builder_theory import Stocks, Technology, Uses, next_stocks, no_stocks


def _in_a_row(stocks: Stocks) -> np.ndarray:
    return np.array([stocks.short, stocks.knowledge, stocks.influence, *stocks.pipeline])


@lru_cache(maxsize=16)
def impulse_responses(technology: Technology, days: int) -> np.ndarray:
    """Stocks on each day if the output of each use is one unit on day 0 and nothing later.

    Returns
    -------
    np.ndarray
        `(3 + stages, days)`, read-only: short, knowledge, influence, then the stages in the order of the pipeline.
    """
    unit = technology._replace(
        short_productivity=1.0, research_productivity=1.0, influence_productivity=1.0
    )
    nothing = Uses(0.0, 0.0, 0.0)
    path = _in_a_row(next_stocks(unit, no_stocks(unit), Uses(1.0, 1.0, 1.0)))[:, None]
    step = np.empty((len(path), len(path)))
    for i, (short, knowledge, influence, *pipeline) in enumerate(np.eye(len(path))):
        stocks = Stocks(short, knowledge, tuple(pipeline), influence)
        step[:, i] = _in_a_row(next_stocks(unit, stocks, nothing))
    while path.shape[1] < days:  # `path` has n days, and `step` advances by n days
        path = np.hstack([path, step @ path])
        step = step @ step
    responses = path[:, :days].copy()
    responses.flags.writeable = False
    return responses


def spending_weights_over(technology: Technology, values: Stocks, day_weights: np.ndarray) -> Uses:
    """`spending_weights` of pay that counts `day_weights[n]` n days after the input, and 0 later."""
    short, knowledge, influence, *pipeline = impulse_responses(technology, len(day_weights))
    research = values.knowledge * (day_weights @ knowledge)
    for value, stage in zip(values.pipeline, pipeline):
        research += value * (day_weights @ stage)
    return Uses(
        float(technology.short_productivity * values.short * (day_weights @ short)),
        float(technology.research_productivity * research),
        float(technology.influence_productivity * values.influence * (day_weights @ influence)),
    )


def discounted_days(discount: float, days: int | None = None) -> np.ndarray:
    """Powers of the discount, `(days,)`; by default so many that the rest is below 1e-12 of their sum."""
    if days is None:
        days = math.ceil(math.log(1e-12) / math.log(discount))
    return discount ** np.arange(days)


def diluted(day_weights: np.ndarray, rate_per_day: float) -> np.ndarray:
    """Day weights of pay in a token whose supply grows by `rate_per_day` of that of day 0 a day."""
    return day_weights / (1.0 + rate_per_day * np.arange(len(day_weights)))


def dilution_rate_after(rate_per_day: float, days: float) -> float:
    """Dilution rate of one who invests `days` later, when the supply is larger."""
    return rate_per_day / (1.0 + rate_per_day * days)


def for_constant_policy(day_weights: np.ndarray) -> np.ndarray:
    """Day weights for shares kept from day 0 on, without initial stocks."""
    return np.cumsum(day_weights[::-1])[::-1]
