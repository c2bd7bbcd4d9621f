"""Measures of persistence on panels of emission shares: autocorrelation, half-life, the top decile, lock-in or merit.

A *cohort* is the subnets that may earn emission on one date, followed for up to a year. A subnet that is dissolved meanwhile
stays in its cohort with share and value 0 from then on, since it has lost all: a newcomer in its slot is another subnet.
Shares enter in levels: they are TAO, and flow rules pay most subnets nothing, which has no logarithm. Ranks are the
robust alternative.
"""

from typing import NamedTuple

import numpy as np

SAMPLE_DAYS, YEAR_DAYS = 30, 360
STEPS_OF_YEAR = YEAR_DAYS // SAMPLE_DAYS
TOP_PART = 0.1
"""Part of the subnets that is the top decile."""
LONGEST_HALF_LIFE = 36_500.0
"""Half-life, days, that stands for no decay."""
LEAST_VARIANCE = 1e-24
"""Variance of shares below which they count as equal: differences of 1e-12 are rounding."""


class Panel(NamedTuple):
    """Monthly states of several worlds, each `(dates, worlds, subnets)`.

    Attributes
    ----------
    share : float
        Share of the block's TAO, 0 to 1.
    value : float
        Contributed value, TAO a day: short-term stock plus (1 + spillover) times knowledge.
    owner : float
        Block in which the present subnet of the slot registered; -1 where there is none.
    counted : bool
        Whether the subnet may earn emission: started, and not switched off by governance.
    top : float
        Membership of the top decile by share, 0 to 1; see `top_membership`.
    """

    share: np.ndarray
    value: np.ndarray
    owner: np.ndarray
    counted: np.ndarray
    top: np.ndarray


def make_panel(
    share: np.ndarray, value: np.ndarray, owner: np.ndarray, counted: np.ndarray
) -> Panel:
    """Return a panel with the membership of the top decile of each date."""
    top = [top_membership(*date) for date in zip(share, counted, strict=True)]
    return Panel(share, value, owner, counted, np.array(top))


class Cohort(NamedTuple):
    """Subnets of one date and their later shares and values, each `(worlds, subnets)`.

    Attributes
    ----------
    share, value : float
        At the start.
    later_share, later_value : float
        At the end; 0 for subnets that have been dissolved.
    top, later_top : float
        Membership of the top decile of all subnets of the date, 0 to 1.
    counted : bool
        Whether the subnet belongs to the cohort.
    alive : bool
        Whether the slot still has the same subnet at the end.
    """

    share: np.ndarray
    value: np.ndarray
    later_share: np.ndarray
    later_value: np.ndarray
    top: np.ndarray
    later_top: np.ndarray
    counted: np.ndarray
    alive: np.ndarray


def follow(panel: Panel, start: int, steps: int) -> Cohort:
    """Return the cohort of date `start`, `steps` dates later."""
    end = start + steps
    alive = panel.owner[end] == panel.owner[start]
    return Cohort(
        panel.share[start],
        panel.value[start],
        np.where(alive, panel.share[end], 0.0),
        np.where(alive, panel.value[end], 0.0),
        panel.top[start],
        np.where(alive, panel.top[end], 0.0),
        panel.counted[start],
        alive,
    )


def permuted(cohort: Cohort, rng: np.random.Generator) -> Cohort:
    """Return the cohort with the labels of `share` (and `top`), and of `value`, permuted independently in each world."""
    share, value, top = cohort.share.copy(), cohort.value.copy(), cohort.top.copy()
    for world, counted in enumerate(cohort.counted):
        members = np.flatnonzero(counted)
        other = rng.permutation(members)
        share[world, members], top[world, members] = share[world, other], top[world, other]
        value[world, members] = value[world, rng.permutation(members)]
    return cohort._replace(share=share, value=value, top=top)


# ------------------------------------------------------------ measures of a cohort


def correlation(x: np.ndarray, y: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """Return Pearson correlations over the counted subnets `(..., subnets)`, `(...)`.

    The result is 0 where `x` or `y` does not vary: equal shares have no difference that could persist.
    """
    weight = counted / np.maximum(counted.sum(axis=-1, keepdims=True), 1)
    x = x - (weight * x).sum(axis=-1, keepdims=True)
    y = y - (weight * y).sum(axis=-1, keepdims=True)
    spread_x, spread_y = (weight * x * x).sum(axis=-1), (weight * y * y).sum(axis=-1)
    varies = (spread_x > LEAST_VARIANCE) & (spread_y > LEAST_VARIANCE)
    scale = np.sqrt(np.where(varies, spread_x * spread_y, 1.0))
    return np.where(varies, (weight * x * y).sum(axis=-1) / scale, 0.0)


def ranks(x: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """Return ranks among the counted subnets `(worlds, subnets)`, ties at their mean; their correlation is Spearman's."""
    x = np.round(x, 12)
    below = (x[..., None, :] < x[..., :, None]) & counted[..., None, :]
    equal = (x[..., None, :] == x[..., :, None]) & counted[..., None, :]
    return below.sum(axis=-1) + 0.5 * equal.sum(axis=-1)


def explained(
    outcome: np.ndarray, first: np.ndarray, second: np.ndarray, counted: np.ndarray
) -> np.ndarray:
    """Return the parts of an outcome's variance that two regressors explain, `(worlds, 2)`.

    The parts are each regressor's gain in R2 averaged over both orders of entry (Shapley; Lindeman, Merenda and Gold 1980),
    so that they add up to the R2 of the regression on both.

    Parameters
    ----------
    outcome, first, second : `(worlds, subnets)`
    counted : `(worlds, subnets)` bool
        Subnets in the regression.
    """
    a, b = correlation(first, outcome, counted), correlation(second, outcome, counted)
    between = correlation(first, second, counted)
    free = 1.0 - between**2
    collinear = free < 1e-9
    both = (a * a + b * b - 2.0 * a * b * between) / np.where(collinear, 1.0, free)
    both = np.where(collinear, np.maximum(a * a, b * b), both)
    return np.stack([0.5 * (a * a + both - b * b), 0.5 * (b * b + both - a * a)], axis=-1)


def top_membership(share: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """Return each subnet's membership of the top decile of the counted ones, `(worlds, subnets)` from 0 to 1.

    Memberships add up to a tenth of the counted subnets, rounded, at least 1. Equal shares at the boundary divide the places
    left, so that under equal shares everybody's membership is the chance of a draw, not the order of the slots.
    """
    places = np.maximum(np.rint(TOP_PART * counted.sum(axis=-1)), 1.0)[..., None]
    x = np.where(counted, np.round(share, 12), -1.0)
    above = (x[..., None, :] > x[..., :, None]).sum(axis=-1)
    equal = (x[..., None, :] == x[..., :, None]).sum(axis=-1)
    return np.where(counted, np.clip((places - above) / equal, 0.0, 1.0), 0.0)


def half_life(correlations: np.ndarray) -> np.ndarray:
    """Return the days until an autocorrelation has fallen to a half, `(...)`.

    Log-linear between the points; beyond the last one the mean rate of decay up to there goes on.

    Parameters
    ----------
    correlations : `(..., k)`
        Autocorrelations at `SAMPLE_DAYS`, twice that, and so on.
    """
    logs = np.log(np.clip(correlations, 1e-6, 1.0 - 1e-9))
    k, half = logs.shape[-1], np.log(0.5)
    logs = np.concatenate([np.zeros((*logs.shape[:-1], 1)), logs], axis=-1)
    passed = logs <= half
    after = np.where(passed.any(axis=-1), passed.argmax(axis=-1), k)[..., None]
    upper = np.take_along_axis(logs, after, -1)[..., 0]
    lower = np.take_along_axis(logs, after - 1, -1)[..., 0]
    crossed = passed.any(axis=-1)
    drop = np.where(crossed, upper - lower, -1.0)
    inside = (after[..., 0] - 1 + (half - lower) / drop) * SAMPLE_DAYS
    beyond = k * SAMPLE_DAYS * half / logs[..., -1]
    return np.minimum(np.where(crossed, inside, beyond), LONGEST_HALF_LIFE)


def top_value_part(cohort: Cohort) -> np.ndarray:
    """Return the part of contributed value that the tenth of the subnets with the most of it makes, `(worlds,)`."""
    member = top_membership(cohort.value, cohort.counted)
    total = (cohort.value * cohort.counted).sum(axis=-1)
    return (cohort.value * member).sum(axis=-1) / np.maximum(total, 1e-12)


# ------------------------------------------------------------ measures of a cell


class Measures(NamedTuple):
    """Measures of the worlds of a cell, means over its cohorts; `(worlds,)` unless noted.

    Attributes
    ----------
    curve : `(worlds, 12)`
        Autocorrelation of shares after one to twelve months.
    rank_correlation : float
        Autocorrelation of ranks after a year.
    growth : float
        Growth of the largest share in a year, share points.
    stays, chance : float
        Part of the top decile that is in the top decile a year later, and its expectation without any link.
    by_share, by_value : float
        Parts of the variance of shares that share and contributed value of a year ago explain.
    by_share_now, by_value_now : float
        The same with the contributed value of today in the place of the former one.
    share_adds : float
        Gain in R2 of today's contributed value by the share of a year ago, over its own past.
    top_value : float
        Part of contributed value that its top decile makes.
    dissolved : float
        Part of the subnets that is dissolved within a year.
    """

    curve: np.ndarray
    rank_correlation: np.ndarray
    growth: np.ndarray
    stays: np.ndarray
    chance: np.ndarray
    by_share: np.ndarray
    by_value: np.ndarray
    by_share_now: np.ndarray
    by_value_now: np.ndarray
    share_adds: np.ndarray
    top_value: np.ndarray
    dissolved: np.ndarray


def panel_measures(panel: Panel, rng: np.random.Generator | None = None) -> Measures:
    """Return the measures of a panel of two years; with `rng`, those after a permutation of the labels."""
    parts = []
    for start in range(STEPS_OF_YEAR + 1):
        cohorts = [follow(panel, start, 1 + step) for step in range(STEPS_OF_YEAR)]
        if rng is not None:
            cohorts = [permuted(cohort, rng) for cohort in cohorts]
        curve = [correlation(c.share, c.later_share, c.counted) for c in cohorts]
        parts.append((np.stack(curve, axis=-1), *_year_measures(cohorts[-1])))
    # the largest share is the same under every permutation of labels
    largest = panel.share.max(axis=-1)
    growth = 100.0 * (largest[STEPS_OF_YEAR:] - largest[: STEPS_OF_YEAR + 1]).mean(axis=0)
    curve, rank, *others = (np.mean(part, axis=0) for part in zip(*parts, strict=True))
    return Measures(curve, rank, growth, *others)


def _year_measures(year: Cohort) -> tuple[np.ndarray, ...]:
    """Measures of a cohort after a year, in the order of `Measures` without `curve` and `growth`."""
    counted = year.counted
    rank = correlation(ranks(year.share, counted), ranks(year.later_share, counted), counted)
    before = explained(year.later_share, year.share, year.value, counted)
    now = explained(year.later_share, year.share, year.later_value, counted)
    parts = explained(year.later_value, year.share, year.value, counted)
    alone = correlation(year.value, year.later_value, counted) ** 2
    return (
        rank,
        (year.top * year.later_top).sum(axis=-1) / np.maximum(year.top.sum(axis=-1), 1.0),
        (year.later_top * counted).sum(axis=-1) / np.maximum(counted.sum(axis=-1), 1),
        before[:, 0],
        before[:, 1],
        now[:, 0],
        now[:, 1],
        parts.sum(axis=-1) - alone,
        top_value_part(year),
        (counted & ~year.alive).sum(axis=-1) / np.maximum(counted.sum(axis=-1), 1),
    )
