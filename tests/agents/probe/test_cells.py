"""Cells: the arms of a block, their references, and that no world is solved twice."""

import itertools
import warnings

import numpy as np
import pytest
from dtao_agents.probe.cells import (
    FEE,
    Cell,
    all_cells,
    cells_of_block,
    identity,
    ladder,
    sobol_points,
)

from tests.agents.probe.tiny import plan_of

EVERYTHING = {
    "institutions": ["price", "root_vote", "uniform", "fund_curated"],
    "payments": ["direct", "alpha"],
    "pruning": [False, True],
    "moving_prices": ["fast", "slow"],
}


def arms_of(*blocks: dict) -> list[Cell]:
    plan = plan_of(*blocks)
    return [cell for block in plan.blocks for cell in cells_of_block(plan, block)]


def differing(one: Cell, other: Cell) -> set[str]:
    """Names of the world parameters in which two cells differ."""
    mine, theirs = one.config.model_dump(), other.config.model_dump()
    return {name for name in mine if mine[name] != theirs[name]}


def test_a_block_is_the_product_of_its_lists():
    cells = arms_of(EVERYTHING)
    assert len(cells) == 4 * 2 * 2 * 2
    found = {(c.institution, c.payment, c.pruning, c.moving_price) for c in cells}
    assert len(found) == len(cells)


@pytest.mark.parametrize(
    ("institutions", "part"),
    [
        (["price", "root_vote"], "allocation"),
        (["price_burn", "price_burn_gate_rank"], "allocation"),
        (["fund_in_place", "fund_curated"], "root_dividend"),
    ],
)
def test_institutions_differ_in_one_part_alone(institutions, part):
    one, other = arms_of({"institutions": institutions, "pruning": [True]})
    assert differing(one, other) == {part}


@pytest.mark.parametrize("strategy", ["share", "thirds by price", "thirds by ability"])
def test_with_pruning_the_nearest_reference_differs_from_the_arm_in_payment_alone(strategy):
    for arm in arms_of(EVERYTHING | {"pruning": [True], "strategy": strategy}):
        nearest = ladder(arm)[-1]
        assert differing(arm, nearest) == {"payment"}
        assert (arm.estimated, nearest.estimated) == (True, True)
        assert nearest.payment == FEE


def test_without_pruning_the_nearest_reference_differs_in_payment_and_what_a_fee_ignores():
    """Nothing is displaced and users pay, so that allocation, dividends and moving price do not reach builders."""
    for arm in arms_of(EVERYTHING | {"pruning": [False]}):
        inert = {"allocation", "root_dividend", "moving_price_variant"}
        assert differing(arm, ladder(arm)[-1]) - inert == {"payment"}
        assert not ladder(arm)[-1].estimated
    (price,) = arms_of({"institutions": ["price"], "pruning": [False]})
    assert differing(price, ladder(price)[-1]) == {"payment"}


def test_the_reference_of_an_arm_with_influence_has_none():
    (arm,) = arms_of({"institutions": ["price"], "pruning": [True], "strategy": "influence"})
    nearest = ladder(arm)[-1]
    assert differing(arm, nearest) == {"payment", "influence"}
    assert nearest.strategy == "share"


def test_references_differ_from_each_other_in_one_field_each():
    for arm in arms_of(EVERYTHING | {"institutions": ["price"], "moving_prices": ["fast"]}):
        rungs = ladder(arm)
        steps = [differing(a, b) for a, b in itertools.pairwise(rungs)]
        assert steps == [{"finance"}, {"pruning"}][: 1 + arm.pruning]
        assert differing(rungs[-1], arm) == {"payment"}
        assert (rungs[0].config.finance, rungs[0].pruning) == (False, False)


def test_an_arm_without_finance_has_no_step_of_finance():
    arms = arms_of({"institutions": ["price"], "doses": [{"finance": False}]})
    assert [len(ladder(arm)) for arm in arms] == [1, 2]
    assert not any(rung.config.finance for arm in arms for rung in ladder(arm))


def test_a_reference_has_no_reference():
    (arm,) = arms_of({"institutions": ["price"], "pruning": [True]})
    assert [ladder(rung) for rung in ladder(arm)] == [(), (), ()]


def test_arms_without_pruning_share_their_references_and_pruned_ones_have_their_own():
    plan = plan_of({"institutions": ["price", "root_vote", "tao_flow"]})
    references = [c for c in all_cells(plan) if c.institution == FEE]
    assert sum(not c.pruning for c in references) == 2
    assert {c.config.allocation for c in references if c.pruning} == set(
        plan.blocks[0].institutions
    )


def test_a_world_is_solved_once_in_all_blocks():
    once = {"institutions": ["price"]}
    again = {"institutions": ["price"], "doses": [{}, {"hype": 0.0}], "references": False}
    same_value = {"institutions": ["price"], "doses": [{"arrivals_per_slot_year": 0.42}]}
    cells = all_cells(plan_of(once, again, same_value))
    assert len(cells) == len(all_cells(plan_of(once))) + 2
    assert len({identity(cell) for cell in cells}) == len(cells)


def test_doses_with_the_same_world_are_solved_once():
    plan = plan_of({"institutions": ["price"], "doses": [{}, {}], "references": False})
    assert len(arms_of({"institutions": ["price"], "doses": [{}, {}]})) == 4
    assert len(all_cells(plan)) == 2


def test_other_strategies_of_the_same_world_are_other_cells():
    blocks = [
        {"institutions": ["price"], "strategy": s, "references": False}
        for s in ("share", "thirds by price", "feedback", "influence")
    ]
    assert len(all_cells(plan_of(*blocks))) == 4 * 2


def test_channels_are_switched_off_in_all_combinations():
    cells = arms_of(
        {"institutions": ["price"], "pruning": [True], "channels": {"hype": 0.0, "finance": False}}
    )
    found = {(c.config.hype == 0.0, c.config.finance) for c in cells}
    assert found == {(False, True), (True, True), (False, False), (True, False)}


def test_names_are_unique_and_name_the_doses():
    plan = plan_of(
        EVERYTHING,
        {"institutions": ["price"], "doses": [{"hype": 0.0}, {"hype": 2.0}], "pruning": [True]},
        {"institutions": ["price"], "strategy": "thirds by price"},
    )
    names = [cell.name for cell in all_cells(plan)]
    assert len(set(names)) == len(names)
    assert "price, direct, pruning, fast, hype 2.0" in names
    assert "price, direct, pruning, fast, thirds by price" in names
    assert "fee (root_vote), finance, pruning, slow" in names


RANGES = {"hype": [0.0, 1.0], "delay_days": [30.0, 360.0], "salvage": [0.25, 0.75]}


def test_points_of_a_sobol_design_lie_in_their_ranges_and_are_always_the_same():
    block = {
        "institutions": ["price"],
        "pruning": [True],
        "sobol": {"points": 4, "ranges": RANGES},
        "references": False,
    }
    plan = plan_of(block)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        points = np.array(sobol_points(plan.blocks[0]))
    assert points.shape == (4 * (3 + 2), 3)
    low, high = np.array(list(RANGES.values())).T
    assert (points >= low).all()
    assert (points <= high).all()
    assert np.ptp(points, axis=0) == pytest.approx(high - low, rel=0.5)
    assert points.tolist() == sobol_points(plan.blocks[0])
    cells = cells_of_block(plan, plan.blocks[0])
    assert [[c.config.hype, c.config.delay_days, c.config.salvage] for c in cells] == list(
        map(list, dict.fromkeys(map(tuple, points.tolist())))
    )
