"""Claim C2, "builders must deliver value instead of courting those in power": merit of pay, and what influence earns.

All measures start from the equilibrium of a cell. Four properties of the model could be mistaken for results:

* Stocks at genesis are those that prices imply, so that pay and value agree then. Rank correlations are judged from the third
  year on, in worlds that all run for five years.
* Pay finances the work that makes the next value, so that the two agree whatever readers know. They are also compared with
  budgets fixed, where pay cannot create the value that it follows.
* The first TAO of influence has the largest product of all (output is concave), and in an equilibrium with influence the last
  TAO of every use earns the same. Neither says anything of the institution: uses are compared at equal spending, and per unit
  of stock, which leaves technology out.
* What influence earns depends on readers as well. One who takes the signal at its face value pays 1 / (1 + hype) for a unit
  of influence against a unit of product, one who knows the stocks pays 0. Readers are the same in all institutions: only
  differences between institutions are theirs.
"""

from collections.abc import Callable

import numpy as np
from scipy.special import expit

from dtao_agents.claims.estimates import estimate, first_mean
from dtao_agents.claims.finding import Finding, Hypothesis
from dtao_agents.claims.merit_measures import (
    BLOCKS,
    HORIZONS,
    USES,
    YEARS,
    Responses,
    influence_for_product,
    merit_of,
    responses_of,
)
from dtao_agents.equilibrium.slot_records import Parameter
from dtao_agents.evaluation.statistics import Estimate
from dtao_agents.probe.cells import Cell
from dtao_agents.probe.plan import Plan
from dtao_agents.probe.solutions import played

CLAIM = "C2"
SETTLED_YEARS = 2
"""Years that do not count for the verdict: the market has not yet forgotten the state of genesis."""

EXCHANGE_DAYS = 180
"""Days over which units of influence and of product are compared: six half-lives, after which little of either is left."""


def merit_findings(
    cell: Cell, plan: Plan, population: np.ndarray, capitalisation: float | None, threads: int = 1
) -> list[Finding]:
    """Return the rank correlations of pay and contributed value, by year and from the third year on.

    Parameters
    ----------
    cell, plan, population, capitalisation
        As in `dtao_agents.probe.solutions.played`.
    threads : int
        Threads that share the worlds.
    """
    merit = merit_of(cell, plan, population, capitalisation, threads=threads)
    years = f"years {SETTLED_YEARS + 1} to {YEARS}"
    text = "rank correlation of emission share and contributed value"
    found = _finding(cell, f"{text}, {years}", merit.shares[:, SETTLED_YEARS:].mean(axis=1))
    for year in range(YEARS):
        found += _finding(cell, f"{text}, year {year + 1}", merit.shares[:, year])
    follows = Hypothesis("pay follows value: the rank correlation exceeds 0.5", "above", 0.5)
    text = f"rank correlation of owner's income and contributed value, {years}"
    found += _finding(cell, text, merit.incomes[:, SETTLED_YEARS:].mean(axis=1), follows)
    fixed = merit_of(cell, plan, population, capitalisation, threads=threads, finance=False)
    follows = Hypothesis(
        "pay follows value that it has not paid for: the rank correlation exceeds 0.5", "above", 0.5
    )
    text = f"{text}, budgets fixed"
    return found + _finding(cell, text, fixed.incomes[:, SETTLED_YEARS:].mean(axis=1), follows)


def response_findings(
    cell: Cell,
    plan: Plan,
    population: np.ndarray,
    capitalisation: float | None,
    blocks: int = BLOCKS,
    threads: int = 1,
) -> list[Finding]:
    """Return what a TAO of each use adds to a builder's income, and what influence earns against product.

    Parameters
    ----------
    cell, plan, population, capitalisation
        As in `dtao_agents.probe.solutions.played`.
    blocks, threads : int
        See `responses_of`.

    Raises
    ------
    ValueError
        Builders that consume nothing, so that their income leaves no trace.
    """
    responses = responses_of(cell, plan, population, capitalisation, blocks, threads=threads)
    product, influence = USES.index("product"), USES.index("influence")
    found = []
    for use, name in enumerate(USES):
        where = " at the spending level of product" if use == influence else ""
        for h, days in enumerate(HORIZONS):
            text = f"income over {days} days by one TAO of {name}{where}"
            found += _finding(cell, text, _per(responses.tao, responses, use, h), unit="TAO")
    last, days = len(HORIZONS) - 1, HORIZONS[-1]
    rows = _per(responses.tao, responses, influence, last)
    rows[:, 0] = (responses.income[:, :, influence, last] * responses.next_influence).sum(axis=1)
    text = f"income over {days} days by the next TAO of influence"
    found += _finding(cell, text, rows, unit="TAO")
    both = np.hstack([_per(responses.tao, responses, use, last) for use in (product, influence)])
    more = Hypothesis(
        "one TAO of product earns more than one of influence at the same spending", "above", 0.0
    )
    text = f"income over {days} days by one TAO of product less that of influence, at the same spending"
    found += _finding(cell, text, both, more, unit="TAO", statistic=_difference)
    exchanged = influence_for_product(responses, HORIZONS.index(EXCHANGE_DAYS))
    if estimate(exchanged[:, 1]).low > 0.0:  # a quotient has an interval
        less = Hypothesis(
            "a unit of influence earns less than half of what a unit of product earns", "below", 0.5
        )
        text = f"income over {EXCHANGE_DAYS} days by units of influence, over that by as many of product"
        found += _finding(cell, text, exchanged, less)
    return found


def influence_findings(
    cell: Cell,
    plan: Plan,
    population: np.ndarray,
    capitalisation: float | None,
    parameter: Parameter | None = None,
    threads: int = 1,
) -> list[Finding]:
    """Return what builders spend on influence in equilibrium and what it wastes; none where they have no influence.

    Parameters
    ----------
    cell, plan, population, capitalisation
        As in `dtao_agents.probe.solutions.played`.
    parameter : Parameter, optional
        The estimated influence share, for its interval; without it the interval has no width, since all builders of all worlds
        play the share of the population.
    threads : int
        Threads that share the worlds.
    """
    if not cell.config.influence:
        return []
    batch = played(cell, plan, population, capitalisation, threads)
    sums = batch.state.worlds
    spent = sums["influence_sum"]
    budget = sums["work_sum"] + spent
    rows = np.stack([spent, budget], axis=1)
    share = estimate(rows, _ratio)
    if parameter is not None:
        share = Estimate(*(float(expit(bound)) for bound in parameter.estimate))
    little = Hypothesis(
        "builders spend less than a tenth of their budgets on influence", "below", 0.1
    )
    text = "influence in the budgets of builders"
    found = [Finding(CLAIM, text, cell.institution, cell.setting, "", share, len(rows), little)]
    dissipated = cell.config.influence_dissipation
    wasted = np.stack([365.0 * dissipated * spent, sums["day"].astype(float)], axis=1)
    found += _finding(cell, "waste by influence, all subnets", wasted, unit="TAO a year")
    percent = np.stack([100.0 * dissipated * spent, budget], axis=1)
    found += _finding(cell, "waste by influence", percent, unit="percent of budgets")
    return found


def _per(sizes: np.ndarray, responses: Responses, use: int, horizon: int) -> np.ndarray:
    """Sums over the builders of a world: income, and the sizes by which it is divided; `(worlds, 2)`."""
    income = responses.income[:, :, use, horizon].sum(axis=1)
    return np.stack([income, sizes[:, :, use].sum(axis=1)], axis=1)


def _ratio(means: np.ndarray) -> np.ndarray:
    return means[..., 0] / means[..., 1]


def _difference(means: np.ndarray) -> np.ndarray:
    return _ratio(means[..., :2]) - _ratio(means[..., 2:])


def _finding(
    cell: Cell,
    measure: str,
    rows: np.ndarray,
    hypothesis: Hypothesis | None = None,
    unit: str = "",
    statistic: Callable[[np.ndarray], np.ndarray] | None = None,
) -> list[Finding]:
    """Finding of the worlds that have a number, `(worlds,)` or income and sizes in columns; none with fewer than two."""
    rows = rows.reshape(len(rows), -1)
    rows = rows[np.isfinite(rows).all(axis=1)]
    if len(rows) < 2:
        return []
    statistic = statistic or (_ratio if rows.shape[1] > 1 else first_mean)
    value = estimate(rows, statistic)
    setting = cell.setting
    return [Finding(CLAIM, measure, cell.institution, setting, unit, value, len(rows), hypothesis)]
