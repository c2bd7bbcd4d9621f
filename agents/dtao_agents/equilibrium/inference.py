"""Inference on equilibria from payoff curves: best responses, fixed points, intervals, verdicts.

A curve holds, seed by seed, the payoff of one builder at several research shares r' while all others play one r.

**Coordinate.** Parabolas are fitted in the angle u = 2 arcsin(sqrt r'), not in the log-odds. The payoff in closed form,
w_S (1-r')^eta + w_L r'^eta, is a cosine in u at eta = 1/2, so it is symmetric about its peak, and so is every
increasing function of it. In log-odds it is skewed: with points 0.6 apart the vertex lies 0.07 too low at r = 0.1.
In the angle that bias is 0 at eta = 1/2 and at most 0.02 for eta of 0.3 to 0.8 with three points.
All points of the near grid enter one parabola by least squares. On smooth payoffs that is as precise as the best
three; where single seeds jump (a pruned subnet) its standard error is up to a third smaller. The bias is then up to
0.06 at eta 0.3 or 0.8 and r below 0.1; `NashSettings.fit = "three"` trades it for noise.

**Interval of a fixed point.** At a symmetric equilibrium the marginal payoff G(u) = dJ/du' at u' = u, all builders at
u, is 0. G is read off the parabola at the population's own u, its slope G' by one more run at a shifted population:
a secant, with G over the level of pay, which moves with the population and does not affect the choice. The root
u - G/G' then includes the reaction of the best response to the population (equal to dividing the interval of the best
response by one less its slope), and is a function of means over seeds, which are resampled by whole seeds.
Where a resample has G' >= 0 the root is at an end of the range of r, so that payoffs of noise alone give an
interval over the whole range. Without the shifted run G' is the curvature, which is right only if the best response
ignores the population. At 64 seeds with very unequal pay the 95 % interval covers 91 to 94 times of 100. Seeds whose
end dates are stratified are resampled as if independent, which widens intervals a little.
"""

from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import Literal, NamedTuple, Protocol

import numpy as np

from dtao_agents.equilibrium.game import (
    HIGHEST,
    HIGHEST_SHARE,
    LOWEST,
    LOWEST_SHARE,
    Curve,
    Payoffs,
    angle,
    log_odds,
    share_of_angle,
)
from dtao_agents.evaluation.statistics import (
    COVERAGE,
    Estimate,
    Resampled,
    bca_interval,
    resample_means,
)

FLAT_RANGE = 1e-9
"""A payoff that varies less than this, relative, does not depend on the research share."""

FLAT_LEVEL = 0.01
"""Level of the test of flatness: probability of rejecting it for a payoff that is flat but for noise."""

SMALLEST_EFFECT = 0.2
"""Smallest effect of interest, in log-odds."""

Fit = Literal["all", "three"]
Verdict = Literal["supported", "refuted", "undecided"]


class Result(Protocol):
    """Inputs of a paired difference from an equilibrium."""

    @property
    def interval(self) -> Estimate | None:
        """Reported log-odds and their bounds; None if indeterminate."""
        ...

    @property
    def settled(self) -> tuple[float, ...]:
        """Log-odds of the last iterates; empty where there are none."""
        ...

    @property
    def fixed_point(self) -> Resampled | None:
        """The fixed point over resampled seeds."""
        ...


class BestResponse(NamedTuple):
    """Log-odds of the best reply; `edge` is -1 or 1 where it may lie beyond that end of the grid."""

    log_odds: float
    edge: int


def is_constant(values: np.ndarray) -> bool:
    """Return whether the mean curve of payoffs `(seeds, k)` varies by no more than `FLAT_RANGE`."""
    means = values.mean(axis=0)
    return bool(np.ptp(means) <= FLAT_RANGE * np.abs(means).max())


def is_flat(values: np.ndarray) -> bool:
    """Return whether payoffs `(seeds, k)` carry no information on the research share.

    True if they are constant, or if no candidate's mean differs from the mean of all
    by more than paired noise would allow at `FLAT_LEVEL` (Bonferroni over the candidates).
    """
    if is_constant(values):
        return True
    contrasts = values - values.mean(axis=1, keepdims=True)
    error = contrasts.std(axis=0, ddof=1) / np.sqrt(len(values))
    critical = NormalDist().inv_cdf(1.0 - FLAT_LEVEL / (2.0 * values.shape[1]))
    return bool(np.all(np.abs(contrasts.mean(axis=0)) <= critical * error))


def _parabola(candidates: np.ndarray, centre: float) -> np.ndarray:
    """`(k, 3)` matrix that takes payoffs to level, slope and half the curvature in the angle at `centre`."""
    offsets = angle(candidates) - angle(centre)
    return np.linalg.pinv(np.vander(offsets, 3, increasing=True)).T


def _peak(places: np.ndarray, heights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Place and height `(...)` of the peak of the parabola through the best three of heights `(..., k)`.

    The peak stays within the three; where they are not concave it is the best of all.
    """
    best = heights.argmax(axis=-1)
    middle = np.clip(best, 1, len(places) - 2)[..., None]
    x0, x1, x2 = (places[middle[..., 0] + step] for step in (-1, 0, 1))
    y0, y1, y2 = (np.take_along_axis(heights, middle + s, -1)[..., 0] for s in (-1, 0, 1))
    left, right = (y1 - y0) / (x1 - x0), (y2 - y1) / (x2 - x1)
    bend = (right - left) / (x2 - x0)
    slope = left + bend * (x1 - x0)
    concave = bend < 0.0
    step = -0.5 * slope / np.where(concave, bend, -1.0)
    place = np.where(concave, np.clip(x1 + step, x0, x2), places[best])
    top = y1 + (place - x1) * (slope + bend * (place - x1))
    return place, np.maximum(top, heights.max(axis=-1))


def best_response(candidates: np.ndarray, means: np.ndarray, fit: Fit = "all") -> BestResponse:
    """Return the peak of the parabola through mean payoffs `(k,)` at increasing shares.

    It is fitted to all of them, or to the best three.

    `all` falls back on the best three where its parabola is not concave.
    """
    places = angle(candidates)
    if fit == "all":
        _, slope, bend = means @ _parabola(candidates, candidates[0])
        if bend < 0.0:
            peak = places[0] - 0.5 * slope / bend
            edge = int(peak > places[-1]) - int(peak < places[0])
            inside = np.clip(peak, places[0], places[-1])
            return BestResponse(float(log_odds(share_of_angle(inside))), edge)
    peak = float(_peak(places, means)[0])
    edge = int(peak >= places[-1]) - int(peak <= places[0])
    return BestResponse(float(log_odds(share_of_angle(peak))), edge)


def curvature(curve: Curve) -> float:
    """Return -J''/J at the population, per squared log-odds.

    eta (1-eta) r (1-r) for the payoff in closed form.
    """
    level, _, bend = curve.values.mean(axis=0) @ _parabola(curve.candidates, curve.population)
    return float(-2.0 * bend / level * curve.population * (1.0 - curve.population))


def falling_root(place, value, slope, lowest, highest):
    """Return the root within bounds of a falling line; of other lines, the end that `value` points to."""
    falls = slope < 0.0
    end = np.where(value > 0.0, highest, lowest)
    root = np.where(falls, place - value / np.where(falls, slope, -1.0), end)
    return np.clip(root, lowest, highest)


def _scale(level):
    """A level of payoffs to divide by: itself, or 1 where it is not positive."""
    return np.where(level > 0.0, level, 1.0)


def _relative(parabola: np.ndarray) -> np.ndarray:
    """Marginal payoff of a parabola `(..., 3)` over its level."""
    return parabola[..., 1] / _scale(parabola[..., 0])


def _root(curve: Curve, shifted: Curve | None) -> Callable[[np.ndarray], np.ndarray]:
    """Log-odds of the fixed point as a function of column means, of `curve` and then of `shifted`."""
    k = len(curve.candidates)
    here = _parabola(curve.candidates, curve.population)
    start, ends = angle(curve.population), angle(np.array([LOWEST_SHARE, HIGHEST_SHARE]))
    if shifted is not None:
        shared = np.flatnonzero(np.isin(curve.candidates, shifted.candidates))
        same = _parabola(shifted.candidates, curve.population)
        there = _parabola(shifted.candidates, shifted.population)
        distance = angle(shifted.population) - start

    def root(means: np.ndarray) -> np.ndarray:
        level, marginal, bend = np.moveaxis(means[..., :k] @ here, -1, 0)
        if shifted is None:
            slope = 2.0 * bend
        else:
            # the same candidates on both sides: what a parabola misses cancels
            before, after = means[..., shared] @ same, means[..., k:] @ there
            slope = (_relative(after) - _relative(before)) / distance * _scale(level)
        return log_odds(share_of_angle(falling_root(start, marginal, slope, *ends)))

    return root


def root_of_pairs(
    pairs: tuple[np.ndarray, np.ndarray], place: float, other: float, resamples: int
) -> Resampled | None:
    """Return the log-odds of the population at which upper less lower payoff, over their mean, is 0.

    Parameters
    ----------
    pairs : two of `(seeds, 2)`
        Lower and upper payoffs with the population at `place` and at `other`.
    place, other : float
        Log-odds.
    resamples : int
        Bootstrap samples.

    Returns
    -------
    Resampled or None
        None if payoffs are constant, or if more than 2.5 % of the resampled lines do not fall: noise has no root.
    """
    if all(is_constant(pair) for pair in pairs):
        return None

    def gain(pair: np.ndarray) -> np.ndarray:
        return (pair[..., 1] - pair[..., 0]) / _scale(pair.mean(axis=-1))

    def slope(means: np.ndarray) -> np.ndarray:
        return (gain(means[..., 2:]) - gain(means[..., :2])) / (other - place)

    def root(means: np.ndarray) -> np.ndarray:
        return falling_root(place, gain(means[..., :2]), slope(means), LOWEST, HIGHEST)

    values = np.hstack(pairs)
    rising = resample_means(values, slope, resamples).draws >= 0.0
    if rising.mean() > 0.5 * (1.0 - COVERAGE):
        return None
    return resample_means(values, root, resamples)


def fixed_point(curve: Curve, shifted: Curve | None, resamples: int) -> Resampled:
    """Return the log-odds of the fixed point near `curve.population`, resampled over seeds.

    `shifted` has some of the candidates of `curve`, at least three, at another population.
    """
    values = curve.values if shifted is None else np.hstack([curve.values, shifted.values])
    return resample_means(values, _root(curve, shifted), resamples)


def response_slope(curve: Curve, shifted: Curve) -> float:
    """Return the slope of the best response in the population's r, both as angles: 1 - G'/(own curvature)."""
    same = _parabola(shifted.candidates, curve.population)
    there = _parabola(shifted.candidates, shifted.population)
    shared = np.isin(curve.candidates, shifted.candidates)
    here = curve.values.mean(axis=0)[shared] @ same
    moved = shifted.values.mean(axis=0) @ there
    distance = angle(shifted.population) - angle(curve.population)
    total = (_relative(moved) - _relative(here)) / distance
    return float(1.0 - total / (2.0 * here[2] / _scale(here[0])))


def best_deviation(
    payoffs: Payoffs, candidates: np.ndarray, research_share: float, resamples: int = 2_000
) -> Estimate:
    """Return epsilon, the profit of the best deviation from a research share relative to the payoff there.

    The best is the peak of the parabola through the best three candidates (increasing shares), at least the best of
    them. The search is repeated in each resample, so the percentile interval is biased upwards: never in favour of a
    claim.

    Raises
    ------
    ValueError
        The share is not a candidate or earns nothing.
    """
    candidates = np.asarray(candidates, float)
    own = int(np.abs(candidates - research_share).argmin())
    if abs(candidates[own] - research_share) > 1e-9:
        raise ValueError(
            f"research_share: got {research_share}, allowed is one of {candidates.tolist()}"
        )
    if payoffs.values[:, own].mean() <= 0.0:
        raise ValueError("payoffs: got none at the research share, allowed is a positive mean")

    def profit(means: np.ndarray) -> np.ndarray:
        top = _peak(angle(candidates), means)[1]
        return top / means[..., own] - 1.0

    resampled = resample_means(payoffs.values, profit, resamples)
    tail = (1.0 - COVERAGE) / 2.0
    low, high = np.quantile(resampled.draws, [tail, 1.0 - tail])
    return Estimate(resampled.value, float(low), float(high))


def identified_set(
    research_share: float, epsilon: float, curvature: float | None = None, eta: float = 0.5
) -> tuple[float, float]:
    """Return the range of research shares whose payoff is within a relative `epsilon` of the best.

    Without a curvature the loss in closed form is inverted, exactly: to second order
    |d| <= sqrt(2 epsilon / (eta (1-eta) r (1-r))) in log-odds. With one the same bound is used in the angle, where
    payoffs are nearly symmetric.

    Parameters
    ----------
    research_share : float
        The best share r, between 0 and 1.
    epsilon : float
        Relative loss, from 0.
    curvature : float, optional
        -J''/J per squared log-odds, from `curvature`.
    eta : float
        Exponent of spending in stocks, between 0 and 1.

    Returns
    -------
    (float, float)

    Raises
    ------
    ValueError
        Arguments out of range.
    """
    r = research_share
    if not (0.0 < r < 1.0 and epsilon >= 0.0 and 0.0 < eta < 1.0):
        raise ValueError(
            f"research_share, epsilon, eta: got {r}, {epsilon}, {eta}, allowed are 0 < r < 1, epsilon >= 0, 0 < eta < 1"
        )
    if curvature is not None:
        if not curvature > 0.0:
            raise ValueError(f"curvature: got {curvature}, allowed are positive numbers")
        reach = np.sqrt(2.0 * epsilon * r * (1.0 - r) / curvature)
        low, high = np.clip(angle(r) + np.array([-reach, reach]), 0.0, np.pi)
        return float(np.sin(0.5 * low) ** 2), float(np.sin(0.5 * high) ** 2)

    def loss(other: float) -> float:
        return 1.0 - (1.0 - r) ** (1.0 - eta) * (1.0 - other) ** eta - r ** (1.0 - eta) * other**eta

    ends = []
    for bound in (0.0, 1.0):
        inside, outside = r, bound
        if loss(bound) <= epsilon:
            inside = bound
        for _ in range(60):
            half = 0.5 * (inside + outside)
            inside, outside = (half, outside) if loss(half) <= epsilon else (inside, half)
        ends.append(inside)
    return ends[0], ends[1]


def widened(value: float, bounds: Estimate, settled: Sequence[float] | np.ndarray) -> Estimate:
    """Return bounds about a reported value, widened to cover each last iterate and the resampled value."""
    values = (*settled, value, bounds.value)
    low, high = min(values), max(values)
    return Estimate(
        value, float(low - (bounds.value - bounds.low)), float(high + (bounds.high - bounds.value))
    )


def paired_difference(one: Result, other: Result) -> Estimate:
    """Return the log-odds of `one` less those of `other` with a 95 % BCa interval.

    Both are resampled over the same seeds. Lambda of an institution is the fee arm less the institution. The interval is widened by the differences of the last
    iterates, as that of an equilibrium is by the iterates: the same run twice gives 0 without width.

    Raises
    ------
    ValueError
        One is indeterminate, or seeds or resamples differ in number.
    """
    if one.interval is None or other.interval is None:
        raise ValueError("equilibrium: got an indeterminate one, allowed are those with a number")
    assert one.fixed_point is not None
    assert other.fixed_point is not None
    bounds = bca_interval(one.fixed_point.minus(other.fixed_point))
    count = min(len(one.settled), len(other.settled))
    pairs = zip(one.settled[-count:], other.settled[-count:], strict=True) if count else ()
    return widened(one.interval.value - other.interval.value, bounds, [a - b for a, b in pairs])


def judge(interval: Estimate, smallest_effect: float = SMALLEST_EFFECT) -> Verdict:
    """Return the verdict on "the effect exceeds the smallest of interest", from its 95 % interval."""
    if interval.low > smallest_effect:
        return "supported"
    return "refuted" if interval.high < smallest_effect else "undecided"


def judge_no_effect(interval: Estimate, smallest_effect: float = SMALLEST_EFFECT) -> Verdict:
    """Return the verdict on "no effect", by two one-sided tests.

    Supported if the interval is within +-smallest_effect; refuted if it is wholly outside. With a 95 % interval each of the two tests has a level of 2.5 %.
    """
    if -smallest_effect < interval.low and interval.high < smallest_effect:
        return "supported"
    outside = interval.low > smallest_effect or interval.high < -smallest_effect
    return "refuted" if outside else "undecided"
