"""Measures of welfare: outcomes of an arm, equal budgets, and the parts of a difference between two arms."""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from math import factorial
from typing import Any, NamedTuple

import numpy as np

from dtao_agents.probe.cells import Cell
from dtao_agents.probe.plan import Plan
from dtao_agents.probe.solutions import played
from dtao_gym.world.batch import Batch
from dtao_gym.world.config import Config

SCALE, MIX, INFLUENCE = "scale of budgets", "composition", "influence"
DESTRUCTION, ALLOCATION = "destruction by pruning", "allocation of budgets"
PARTS = (SCALE, MIX, INFLUENCE, DESTRUCTION, ALLOCATION)
"""Parts of a difference in welfare. Composition is the research share; allocation is what is left: which builders the payment
gives the same total, and when."""
MOST_ITERATES = 4
"""Most runs in search of a scale of budgets."""
CLOSE = 0.005
"""Relative gap in spending at which the search ends; the rest is interpolated."""
SLOPES = {"fee": 2.0}
"""Exponent of `income_factor` in spending at first, by payment: fees grow with the root of spending, a fixed pot does not."""
LARGEST_FACTOR = 100.0
"""Bound of `income_factor`."""


class Arm(NamedTuple):
    """A cell and its equilibrium.

    Attributes
    ----------
    cell : Cell
        The institution and its setting.
    population : `(classes, decisions)`
        Strategies.
    capitalisation : float or None
        c_bar in days; None where the cell needs none.
    """

    cell: Cell
    population: np.ndarray
    capitalisation: float | None


class Outcome(NamedTuple):
    """Results of worlds, sums over their lives, TAO.

    Attributes
    ----------
    welfare, spending : `(worlds,)`
        Value to users less costs; spending on work, research and influence.
    days : `(worlds,)`
        Lengths of life.
    income : `(worlds, slots)`
        Income of the owners of each slot.
    """

    welfare: np.ndarray
    spending: np.ndarray
    days: np.ndarray
    income: np.ndarray


class Scaled(NamedTuple):
    """An outcome at a scale of budgets.

    Attributes
    ----------
    outcome : Outcome
        Interpolated to the spending that was asked for.
    factor : float
        `income_factor` of the nearest run.
    gap : float
        Relative difference of its spending to the target.
    runs : int
        Runs of all worlds.
    """

    outcome: Outcome
    factor: float
    gap: float
    runs: int


def play(arm: Arm, plan: Plan, threads: int = 1, **changes: Any) -> Outcome:
    """Play the worlds of a plan at the equilibrium of an arm.

    Parameters
    ----------
    arm, plan
        What is played; see `dtao_agents.probe.solutions.played`.
    threads : int
        Threads that share the worlds.
    **changes
        World parameters.
    """
    batch = played(arm.cell, plan, arm.population, arm.capitalisation, threads, **changes)
    return outcome_of(batch, arm.cell.config)


def outcome_of(batch: Batch, config: Config) -> Outcome:
    """Return the outcome of finished worlds; incomes are NaN where owners consume nothing of them."""
    sums = batch.state.worlds
    consumed = 1.0 - config.reinvest_share if config.finance else 1.0
    spending = sums["work_sum"] + sums["influence_sum"]  # work has research in it
    with np.errstate(invalid="ignore"):
        income = batch.state.row("consumed") / np.float64(consumed or np.nan)
    return Outcome(sums["welfare_sum"].copy(), spending, sums["day"].astype(float), income)


# ------------------------------------------------------------ equal budgets


def at_spending(
    run: Callable[[float], Outcome], target: float, first_factor: float, slope: float
) -> Scaled:
    """Find the outcome at which spending is `target`, by secants in logs.

    Parameters
    ----------
    run : callable
        Maps an `income_factor` to the outcome.
    target : float
        Mean spending over worlds and life, TAO.
    first_factor : float
        Factor of the first run.
    slope : float
        First guess of d ln(spending) / d ln(factor).

    Returns
    -------
    Scaled
        The outcome is interpolated linearly in ln(spending) between the two runs nearest to the target.

    Raises
    ------
    ValueError
        A target that is not above 0, or builders that spend nothing.
    """
    if not target > 0.0:
        raise ValueError(f"target: got {target}, allowed is above 0")
    points: list[tuple[float, float, Outcome]] = []
    place = np.log(first_factor)
    while True:
        outcome = run(float(np.exp(place)))
        mean = float(outcome.spending.mean())
        if not mean > 0.0:
            raise ValueError(f"spending: got {mean} TAO, allowed is above 0")
        points.append((float(place), float(np.log(mean / target)), outcome))
        points.sort(key=lambda point: abs(point[1]))
        gap = points[0][1]
        if abs(gap) <= CLOSE or len(points) == MOST_ITERATES:
            break
        if len(points) > 1 and points[0][0] != points[1][0]:
            measured = (points[0][1] - points[1][1]) / (points[0][0] - points[1][0])
            slope = measured if measured > 0.0 else slope
        place = min(points[0][0] - gap / slope, np.log(LARGEST_FACTOR))
    return Scaled(_interpolated(points), float(np.exp(points[0][0])), float(gap), len(points))


def _interpolated(points: Sequence[tuple[float, float, Outcome]]) -> Outcome:
    """Outcome at a gap of 0, from the two nearest runs."""
    _, gap, nearest = points[0]
    others = [point for point in points[1:] if abs(point[1] - gap) > 2.0 * abs(gap)]
    if gap == 0.0 or not others:
        return nearest
    _, other_gap, other = others[0]
    weight = gap / (gap - other_gap)
    return Outcome(*(a + weight * (b - a) for a, b in zip(nearest, other, strict=True)))


def equalised(arm: Arm, plan: Plan, target: float, threads: int = 1) -> Scaled:
    """Return the outcome of an arm whose incomes are scaled so that mean spending is `target`, TAO a life.

    Without finance budgets are fixed and equal as they are.
    """
    config = arm.cell.config

    def run(factor: float) -> Outcome:
        return play(arm, plan, threads, income_factor=factor)

    if not config.finance:
        return Scaled(run(config.income_factor), config.income_factor, 0.0, 1)
    return at_spending(run, target, config.income_factor, SLOPES.get(config.payment, 1.0))


# ------------------------------------------------------------ parts of the difference


class Split(NamedTuple):
    """Parts of the difference in welfare between an arm and its reference.

    Attributes
    ----------
    own, reference : Outcome
        Outcomes of the two arms.
    equal : `(worlds,)`
        Welfare of the arm at the mean spending of the reference.
    parts : dict of str to `(worlds,)`
        By `PARTS`, TAO over life; their sum is the difference. 0 for what does not differ.
    gap : float
        Largest relative gap in spending of a mixed world before interpolation.
    runs : int
        Runs of all worlds.
    """

    own: Outcome
    reference: Outcome
    equal: np.ndarray
    parts: dict[str, np.ndarray]
    gap: float
    runs: int


def differing(arm: Arm, reference: Arm) -> tuple[str, ...]:
    """Return the parts in which two arms differ, in the order of `PARTS`; the scale of budgets is always one."""
    one, other = arm.cell.config, reference.cell.config
    same_influence = one.influence == other.influence and (
        not one.influence or np.array_equal(arm.population[:, 1], reference.population[:, 1])
    )
    alike = {"pruning": one.pruning, "influence": one.influence}
    differs = {
        SCALE: True,
        MIX: not np.array_equal(arm.population[:, :1], reference.population[:, :1]),
        INFLUENCE: not same_influence,
        DESTRUCTION: one.pruning != other.pruning,
        ALLOCATION: Config.make(other, **alike) != one,
    }
    return tuple(part for part in PARTS if differs[part])


def split_of(arm: Arm, reference: Arm, plan: Plan, threads: int = 1) -> Split:
    """Split the difference in welfare of an arm and its reference into parts, averaged over all orders of exchange.

    Mixed worlds have the budgets, the mix, the influence, the pruning and the payment of the arm or of the reference each.
    Readers' c_bar goes with the payment.

    Raises
    ------
    ValueError
        Arms that differ in finance, since their costs of spending would differ too.
    """
    if arm.cell.config.finance != reference.cell.config.finance:
        raise ValueError(
            f"finance: got {arm.cell.config.finance} and {reference.cell.config.finance}, allowed is the same"
        )
    active = differing(arm, reference)
    own, theirs = play(arm, plan, threads), play(reference, plan, threads)
    welfare = {frozenset(active): own.welfare, frozenset(): theirs.welfare}
    gap, runs = 0.0, 2
    rest = [part for part in active if part != SCALE]
    for mixture in _subsets(rest):
        mixed = mixed_arm(arm, reference, mixture)
        for taken, target in ((mixture, theirs), (mixture | {SCALE}, own)):
            if taken not in welfare:
                scaled = equalised(mixed, plan, float(target.spending.mean()), threads)
                welfare[taken] = scaled.outcome.welfare
                gap, runs = max(gap, abs(scaled.gap)), runs + scaled.runs
    parts = dict.fromkeys(PARTS, np.zeros(own.welfare.shape)) | shapley_values(welfare, active)
    return Split(own, theirs, welfare[frozenset(rest)], parts, gap, runs)


def shapley_values(
    values: Mapping[frozenset[str], np.ndarray], players: Sequence[str]
) -> dict[str, np.ndarray]:
    """Return the mean contribution of each player over all orders; `values` has every subset of the players."""
    found = {}
    for player in players:
        others = [other for other in players if other != player]
        found[player] = np.zeros(np.shape(values[frozenset()]))
        for taken in _subsets(others):
            orders = factorial(len(taken)) * factorial(len(others) - len(taken))
            change = values[taken | {player}] - values[taken]
            found[player] = found[player] + orders / factorial(len(players)) * change
    return found


def _subsets(items: Sequence[str]) -> list[frozenset[str]]:
    return [frozenset(c) for n in range(len(items) + 1) for c in combinations(items, n)]


def mixed_arm(arm: Arm, reference: Arm, taken: frozenset[str]) -> Arm:
    """Return an arm with the parts `taken` from `arm` and the others from `reference`, at the budgets that result."""

    def source(part: str) -> Arm:
        return arm if part in taken else reference

    payer, mix, courting = source(ALLOCATION), source(MIX), source(INFLUENCE)
    config = payer.cell.config
    if config.payment == "fee":  # the rules that prune are those of the arm
        config = Config.make(arm.cell.config, payment="fee", income_factor=config.income_factor)
    influence = courting.cell.config.influence
    config = Config.make(
        config, influence=influence, pruning=source(DESTRUCTION).cell.config.pruning
    )
    population, strategy = mix.population[:, :1], mix.cell.strategy
    if influence:
        column = np.broadcast_to(courting.population[:1, 1:2], population.shape)
        population, strategy = np.hstack([population, column]), courting.cell.strategy
    elif strategy == "influence":
        strategy = "share"
    capitalisation = payer.capitalisation
    if capitalisation is None:
        capitalisation = arm.capitalisation
    return Arm(arm.cell._replace(config=config, strategy=strategy), population, capitalisation)


def moved_tao(without: Outcome, with_remedy: Outcome) -> np.ndarray:
    """Return the TAO that a remedy moves in the life of each world, `(worlds,)`.

    The larger of what slots gain and what slots lose in income: a transfer counts once, and an addition in full.
    """
    change = with_remedy.income - without.income
    gains = np.maximum(change, 0.0).sum(axis=1)
    losses = np.maximum(-change, 0.0).sum(axis=1)
    return np.maximum(gains, losses)
