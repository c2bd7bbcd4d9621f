"""Claim C7: the welfare that an institution gives, against that of builders whom users pay for exactly their own value.

Welfare is the value to users less what builders spend and influence wastes, over the days of life. Two properties of the model
could be mistaken for results:

* The level of budgets is a parameter of each payment: users' fees are a fixed part of value, emission is a fixed pot. Raw
  differences are context; the verdict is on equal budgets, to which the incomes of the institution are scaled
  (`income_factor`).
* A difference may come from any part of the equilibrium. The parts are exchanged one at a time on the same worlds, averaged
  over all orders (Shapley 1953), so that they add up to the difference exactly.

Strategies are those of the two equilibria: nobody responds to another scale of budgets or to an exchanged part.
"""

import numpy as np

from dtao_agents.claims.estimates import estimate
from dtao_agents.claims.finding import Finding, Hypothesis
from dtao_agents.claims.welfare_measures import Arm, differing, moved_tao, play, split_of
from dtao_agents.probe.plan import Plan

CLAIM = "C7"


def welfare_findings(arm: Arm, reference: Arm, plan: Plan, threads: int = 1) -> list[Finding]:
    """Return the welfare of an arm, its difference to the reference, raw and at equal budgets, and the parts of it.

    Parameters
    ----------
    arm, reference : Arm
        The institution; builders whom users pay, ``ladder(arm.cell)[-1]``, or a rung without pruning so that the
        destruction by pruning is a part.
    plan : Plan
        Seeds and number of worlds.
    threads : int
        Threads that share the worlds.

    Raises
    ------
    ValueError
        Arms that differ in finance.
    """
    split = split_of(arm, reference, plan, threads)
    own, theirs, equal = split.own, split.reference, split.equal
    more = Hypothesis(
        "at equal budgets welfare exceeds that of builders whom users pay for their own value",
        "above",
        0.0,
    )
    where = f"against {reference.cell.name}"
    rows: list[tuple[str, np.ndarray, Hypothesis | None]] = [
        ("welfare", own.welfare, None),
        ("welfare of the reference", theirs.welfare, None),
        ("spending of builders", own.spending, None),
        ("spending of builders of the reference", theirs.spending, None),
        ("difference in welfare", own.welfare - theirs.welfare, None),
        ("difference in welfare at equal budgets", equal - theirs.welfare, more),
    ]
    rows += [
        (f"part of the difference in welfare by {part}", split.parts[part], None)
        for part in differing(arm, reference)
    ]
    found = [
        _finding(arm, measure, where, np.stack([values, theirs.days], axis=1), "TAO a day", h)
        for measure, values, h in rows
    ]
    percent = np.stack([100.0 * (equal - theirs.welfare), theirs.welfare], axis=1)
    measure = "difference in welfare at equal budgets, of that of the reference"
    return [*found, _finding(arm, measure, where, percent, "percent", None)]


def remedy_findings(arm: Arm, remedy: Arm, plan: Plan, threads: int = 1) -> list[Finding]:
    """Return what a remedy moves and adds to welfare, and its gain per TAO moved; the last only where TAO are moved.

    Parameters
    ----------
    arm, remedy : Arm
        The institution without and with the remedy, each in its own equilibrium.
    plan : Plan
        Seeds and number of worlds.
    threads : int
        Threads that share the worlds.
    """
    without, with_remedy = play(arm, plan, threads), play(remedy, plan, threads)
    gain, moved = with_remedy.welfare - without.welfare, moved_tao(without, with_remedy)
    where = f"against {arm.cell.setting}"
    per_day = [np.stack([values, without.days], axis=1) for values in (gain, moved)]
    found = [
        _finding(remedy, "gain in welfare by a remedy", where, per_day[0], "TAO a day", None),
        _finding(remedy, "TAO moved by a remedy", where, per_day[1], "TAO a day", None),
    ]
    if moved.sum() > 0.0:
        helps = Hypothesis("the remedy adds to welfare", "above", 0.0)
        rows = np.stack([gain, moved], axis=1)
        measure = "gain in welfare per TAO moved by a remedy"
        found.append(_finding(remedy, measure, where, rows, "TAO per TAO", helps))
    return found


def _finding(
    arm: Arm,
    measure: str,
    where: str,
    rows: np.ndarray,
    unit: str,
    hypothesis: Hypothesis | None,
) -> Finding:
    """Finding of a ratio of means over worlds; `rows` `(worlds, 2)` has numerator and denominator."""
    value = estimate(rows, lambda means: means[..., 0] / means[..., 1])
    setting = f"{arm.cell.setting}, {where}"
    return Finding(
        CLAIM, measure, arm.cell.institution, setting, unit, value, len(rows), hypothesis
    )
