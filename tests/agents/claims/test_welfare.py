"""Welfare: equal budgets, parts that add up, and what a remedy moves."""

from itertools import permutations
from typing import Any

import numpy as np
import pytest
from dtao_agents.claims.welfare import remedy_findings, welfare_findings
from dtao_agents.claims.welfare_measures import (
    ALLOCATION,
    CLOSE,
    DESTRUCTION,
    INFLUENCE,
    MIX,
    MOST_ITERATES,
    PARTS,
    SCALE,
    Arm,
    Outcome,
    at_spending,
    differing,
    equalised,
    mixed_arm,
    moved_tao,
    play,
    shapley_values,
    split_of,
)
from dtao_agents.equilibrium.game import angle
from dtao_agents.probe.cells import cells_of_block, ladder
from dtao_agents.probe.plan import Plan, make_plan
from dtao_agents.probe.solutions import played

from dtao_gym.world.config import Config

C_BAR = 400.0
SUBNETS = 8


def plan_of(block: dict[str, Any] | None = None, **world: Any) -> Plan:
    """A plan of one block, of 16 short worlds."""
    block = {"name": "A", "institutions": ["price"], "pruning": [False]} | (block or {})
    world = {"spans_per_day": 1, "horizon_cap_days": 900} | world
    return make_plan({"world": world, "blocks": [block], "outcome_worlds": 16})


def arm_of(plan: Plan, *shares: float) -> Arm:
    """The first cell of a plan, with shares of research and influence."""
    cell = cells_of_block(plan, plan.blocks[0])[0]
    return Arm(cell, np.array([[float(angle(share)) for share in shares]]), C_BAR)


def reference_of(arm: Arm, share: float = 0.5, rung: int = -1) -> Arm:
    cell = ladder(arm.cell)[rung]
    capitalisation = C_BAR if cell.estimated else None
    return Arm(cell, np.array([[float(angle(share))]]), capitalisation)


def spending_of(value: float) -> Outcome:
    """An outcome whose welfare is the root of its spending."""
    spending = np.full(4, value)
    return Outcome(np.sqrt(spending), spending, np.ones(4), np.ones((4, 2)))


# ------------------------------------------------------------ outcomes


def test_spending_counts_research_once_and_influence_too():
    plan = plan_of({"strategy": "influence"}, finance=False, fixed_budget_tao=5.0)
    outcome = play(arm_of(plan, 0.4, 0.2), plan)
    assert outcome.spending == pytest.approx(5.0 * SUBNETS * outcome.days)


def test_incomes_account_for_treasuries():
    plan = plan_of()
    arm = arm_of(plan, 0.4)
    outcome = play(arm, plan)
    batch = played(arm.cell, plan, arm.population, C_BAR, 1)
    config = arm.cell.config
    saved = config.reinvest_share * outcome.income.sum(axis=1)
    expected = SUBNETS * config.initial_treasury_tao + saved - outcome.spending
    assert batch.state.row("treasury").sum(axis=1) == pytest.approx(expected)


def test_incomes_are_unknown_where_nothing_is_consumed():
    plan = plan_of(reinvest_share=1.0)
    assert np.isnan(play(arm_of(plan, 0.4), plan).income).all()


# ------------------------------------------------------------ equal budgets


@pytest.mark.parametrize("power", [0.7, 1.0, 2.0])
def test_secants_reach_a_spending_that_is_a_power_of_the_factor(power: float):
    found = at_spending(lambda factor: spending_of(factor**power), 9.0, 1.0, 1.0)
    assert found.outcome.spending == pytest.approx(9.0, rel=CLOSE)
    assert found.outcome.welfare == pytest.approx(3.0, rel=CLOSE)
    assert found.factor == pytest.approx(9.0 ** (1.0 / power), rel=2 * CLOSE)
    assert found.runs <= 3


def test_what_is_left_to_the_target_is_interpolated():
    found = at_spending(spending_of, 1.02, 1.0, 1.3)
    assert found.runs == 2
    assert 0.001 < abs(found.gap) < CLOSE
    assert found.outcome.spending == pytest.approx(1.02, rel=1e-4)


def test_a_search_without_success_ends_and_says_how_far_it_is():
    found = at_spending(lambda factor: spending_of(4.0), 8.0, 1.0, 1.0)
    assert found.runs == MOST_ITERATES
    assert found.gap == pytest.approx(np.log(0.5))


@pytest.mark.parametrize(("spending", "target"), [(0.0, 1.0), (1.0, 0.0)])
def test_no_spending_is_refused(spending: float, target: float):
    with pytest.raises(ValueError, match=r"got 0.0.*allowed is above 0"):
        at_spending(lambda factor: spending_of(spending), target, 1.0, 1.0)


@pytest.mark.parametrize("payment", ["direct", "alpha"])
def test_budgets_of_an_arm_are_equalised(payment: str):
    plan = plan_of({"payments": [payment]})
    arm = arm_of(plan, 0.4)
    target = 0.7 * float(play(arm, plan).spending.mean())
    found = equalised(arm, plan, target)
    assert found.outcome.spending.mean() == pytest.approx(target, rel=CLOSE)
    assert abs(found.gap) < 0.02
    assert found.factor < 0.8


def test_fixed_budgets_stay_as_they_are():
    plan = plan_of(finance=False)
    arm = arm_of(plan, 0.4)
    found = equalised(arm, plan, 1.0)
    assert found.runs == 1
    assert (found.outcome.welfare == play(arm, plan).welfare).all()


# ------------------------------------------------------------ parts


def test_shapley_values_are_means_over_orders():
    rng = np.random.default_rng(0)
    players = ("a", "b", "c")
    values = {
        frozenset(p for k, p in enumerate(players) if bits >> k & 1): rng.normal(size=5)
        for bits in range(8)
    }
    expected = {player: np.zeros(5) for player in players}
    for order in permutations(players):
        for place, player in enumerate(order):
            before = frozenset(order[:place])
            expected[player] += (values[before | {player}] - values[before]) / 6
    found = shapley_values(values, players)
    for player in players:
        assert found[player] == pytest.approx(expected[player])


def test_an_arm_against_itself_differs_in_nothing():
    plan = plan_of()
    arm = arm_of(plan, 0.4)
    assert differing(arm, arm) == (SCALE,)
    split = split_of(arm, arm, plan)
    assert all((part == 0.0).all() for part in split.parts.values())
    assert (split.equal == split.own.welfare).all()


def test_all_parts_add_up_to_the_difference_in_every_world():
    plan = plan_of({"pruning": [True], "strategy": "influence"}, arrivals_per_slot_year=2.0)
    arm = arm_of(plan, 0.3, 0.1)
    reference = reference_of(arm, rung=1)  # without pruning
    assert differing(arm, reference) == PARTS
    split = split_of(arm, reference, plan)
    assert sum(split.parts.values()) == pytest.approx(split.own.welfare - split.reference.welfare)
    assert split.parts[INFLUENCE].mean() < 0.0
    assert all((split.parts[part] != 0.0).any() for part in PARTS)
    assert split.gap < 0.05


def test_what_does_not_differ_has_no_part():
    plan = plan_of({"pruning": [True]})
    arm = arm_of(plan, 0.4)
    split = split_of(arm, reference_of(arm, 0.4), plan)
    assert all((split.parts[part] == 0.0).all() for part in (MIX, INFLUENCE, DESTRUCTION))
    assert (split.parts[ALLOCATION] != 0.0).any()


def with_changes(arm: Arm, **changes: Any) -> Arm:
    return arm._replace(cell=arm.cell._replace(config=Config.make(arm.cell.config, **changes)))


@pytest.mark.parametrize("part", [MIX, INFLUENCE, DESTRUCTION, ALLOCATION])
def test_with_fixed_budgets_the_only_difference_is_the_whole_one(part: str):
    plan = plan_of(
        {"pruning": [True], "strategy": "influence"}, finance=False, arrivals_per_slot_year=2.0
    )
    arm = arm_of(plan, 0.4, 0.1)
    other = {
        MIX: arm_of(plan, 0.2, 0.1),
        INFLUENCE: arm_of(plan, 0.4, 0.3),
        DESTRUCTION: with_changes(arm, pruning=False),
        ALLOCATION: with_changes(arm, allocation="root_vote"),
    }[part]
    assert differing(arm, other) == tuple(p for p in PARTS if p in (SCALE, part))
    split = split_of(arm, other, plan)
    difference = split.own.welfare - split.reference.welfare
    assert (difference != 0.0).any()
    assert split.parts[part] == pytest.approx(difference)
    assert split.parts[SCALE] == pytest.approx(0.0)


def test_mixed_arms_are_made_of_both():
    plan = plan_of({"institutions": ["tao_flow"], "pruning": [True], "strategy": "influence"})
    arm = arm_of(plan, 0.3, 0.1)
    reference = reference_of(arm, rung=1)
    whole = mixed_arm(arm, reference, frozenset(PARTS))
    assert whole.cell == arm.cell
    assert (whole.population == arm.population).all()
    pruned = mixed_arm(arm, reference, frozenset({DESTRUCTION}))
    assert pruned.cell.config == Config.make(arm.cell.config, payment="fee", influence=False)
    assert (pruned.population == reference.population).all()
    courted = mixed_arm(arm, reference, frozenset({INFLUENCE}))
    assert courted.cell.config.influence
    assert courted.population.tolist() == [[reference.population[0, 0], arm.population[0, 1]]]


def test_arms_with_other_costs_are_refused():
    arm = arm_of(plan := plan_of(), 0.4)
    with pytest.raises(ValueError, match=r"finance: got True and False, allowed is the same"):
        split_of(arm, reference_of(arm, rung=0), plan)


def test_welfare_findings_agree_with_each_other():
    plan = plan_of()
    arm = arm_of(plan, 0.3)
    found = welfare_findings(arm, reference_of(arm), plan)
    value = {f.measure: f.estimate.value for f in found}
    raw = value["welfare"] - value["welfare of the reference"]
    assert value["difference in welfare"] == pytest.approx(raw)
    parts = [v for name, v in value.items() if name.startswith("part of")]
    assert len(parts) == 3
    assert sum(parts) == pytest.approx(raw)
    equal = value["difference in welfare at equal budgets"]
    percent = value["difference in welfare at equal budgets, of that of the reference"]
    assert percent == pytest.approx(100.0 * equal / value["welfare of the reference"])
    assert [f.measure for f in found if f.hypothesis] == ["difference in welfare at equal budgets"]


# ------------------------------------------------------------ remedies


def incomes(*rows: list[float]) -> Outcome:
    income = np.array(rows)
    return spending_of(1.0)._replace(income=income)


def test_a_transfer_counts_once_and_an_addition_in_full():
    before = incomes([5.0, 5.0, 5.0], [5.0, 5.0, 5.0])
    after = incomes([8.0, 2.0, 5.0], [8.0, 6.0, 5.0])
    assert moved_tao(before, after).tolist() == [3.0, 4.0]


def test_a_remedy_that_changes_nothing_moves_and_gains_nothing():
    plan = plan_of()
    arm = arm_of(plan, 0.4)
    found = remedy_findings(arm, arm, plan)
    assert [f.estimate for f in found] == [(0.0, 0.0, 0.0)] * 2


def test_the_gain_of_a_remedy_is_per_tao_moved():
    plan = plan_of({"doses": [{}, {"share_exponent": 0.5}]})
    plain, roots = (
        Arm(cell, np.array([[float(angle(0.4))]]), C_BAR)
        for cell in cells_of_block(plan, plan.blocks[0])
    )
    gain, moved, ratio = remedy_findings(plain, roots, plan)
    assert moved.estimate.low > 0.0
    assert ratio.estimate.value == pytest.approx(gain.estimate.value / moved.estimate.value)
    assert ratio.verdict is not None
