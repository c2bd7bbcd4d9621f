"""Merit of pay and responses of income: closed forms, institutions that pay nothing for anything, and what readers know."""

from typing import Any

import numpy as np
import pytest
from dtao_agents.claims.merit import influence_findings, merit_findings, response_findings
from dtao_agents.claims.merit_measures import (
    HORIZONS,
    IMPULSE_DAY,
    USES,
    Responses,
    influence_for_product,
    merit_of,
    rank_correlation_of,
    responses_of,
)
from dtao_agents.equilibrium.game import angle
from dtao_agents.probe.cells import Cell, cells_of_block, ladder
from dtao_agents.probe.plan import Plan, make_plan
from dtao_agents.probe.solutions import played
from scipy import stats

PRODUCT, RESEARCH, INFLUENCE = range(len(USES))
POPULATION = np.array([[float(angle(0.4))]])
C_BAR = 400.0


def plan_of(block: dict[str, Any] | None = None, **world: Any) -> Plan:
    """A plan of one block."""
    block = {"name": "A", "institutions": ["price"], "pruning": [False]} | (block or {})
    return make_plan(
        {"world": {"spans_per_day": 1} | world, "blocks": [block], "outcome_worlds": 16}
    )


def cell_of(plan: Plan) -> Cell:
    return cells_of_block(plan, plan.blocks[0])[0]


def responses_in(cell: Cell, plan: Plan, **sizes: Any) -> Responses:
    return responses_of(cell, plan, POPULATION, C_BAR, **({"blocks": 2} | sizes))


def per_tao(responses: Responses, use: int, horizon: int) -> float:
    """Mean income by one TAO."""
    return float(responses.income[:, :, use, horizon].sum() / responses.tao[:, :, use].sum())


# ------------------------------------------------------------ rank correlations


def test_rank_correlation_agrees_with_scipy_where_values_tie_and_some_do_not_count():
    rng = np.random.default_rng(0)
    pay, value = rng.integers(0, 4, (2, 20, 8)).astype(float)
    counted = rng.random((20, 8)) < 0.8
    found = rank_correlation_of(pay, value, counted)
    for world in range(20):
        chosen = counted[world]
        expected, _ = stats.spearmanr(pay[world, chosen], value[world, chosen])
        assert found[world] == pytest.approx(expected)


def test_equal_pay_follows_nothing_and_two_subnets_have_no_correlation():
    value = np.arange(8.0)[None]
    everybody = np.ones((1, 8), bool)
    assert rank_correlation_of(np.full((1, 8), 0.1), value, everybody) == 0.0
    assert np.isnan(rank_correlation_of(value, value, value < 2.0)).all()


def test_fees_for_own_value_follow_value_and_equal_shares_do_not():
    plan = plan_of({"institutions": ["uniform"]})
    cell = cell_of(plan)
    assert (merit_of(cell, plan, POPULATION, C_BAR, years=3).incomes == 0.0).all()
    fees = merit_of(ladder(cell)[0], plan, POPULATION, None, years=3)
    assert fees.incomes.shape == (16, 3)
    assert fees.incomes[:, -1].mean() > 0.95


def test_values_of_other_worlds_do_not_correlate_with_pay():
    """Slots are in no order, which would look like merit."""
    plan = plan_of().model_copy(update={"outcome_worlds": 128})
    state = played(cell_of(plan), plan, POPULATION, C_BAR, 1, horizon_cap_days=400).state
    value = state.row("short_stock") + 1.5 * state.row("knowledge")
    counted = np.ones(value.shape, bool)
    own = rank_correlation_of(state.row("income"), value, counted).mean()
    others = rank_correlation_of(state.row("income"), np.roll(value, 1, axis=0), counted).mean()
    assert own > 0.6
    assert abs(others) < 0.12  # four standard errors


def test_merit_findings_judge_income_with_budgets_free_and_fixed():
    plan = plan_of()
    found = merit_findings(cell_of(plan), plan, POPULATION, C_BAR)
    judged = {f.measure: f.estimate.value for f in found if f.hypothesis is not None}
    free, fixed = judged.values()
    assert free > fixed + 0.05  # pay creates value that it then follows


# ------------------------------------------------------------ impulse responses


def received(stock: np.ndarray, half_life: float, days: int) -> np.ndarray:
    """Sum over days of what is left of an addition to a stock, the first day in full."""
    kept = 2.0 ** (-1.0 / half_life)
    return stock * (1.0 - kept**days) / (1.0 - kept)


def research_received(half_life: float, delay: float, days: int) -> float:
    """Sum over days of the knowledge that comes from 1 in the first of three stages."""
    stages, knowledge, total = np.array([1.0, 0.0, 0.0]), 0.0, 0.0
    for _ in range(days):
        leaving = 3.0 / delay * stages
        stages += np.append(0.0, leaving[:-1]) - leaving
        knowledge = 2.0 ** (-1.0 / half_life) * knowledge + leaving[-1]
        total += knowledge
    return total


def test_responses_under_fees_are_closed_forms():
    plan = plan_of(research_luck_sd=0.0)
    cell = ladder(cell_of(plan))[0]
    found = responses_in(cell, plan, blocks=1)
    fee, config = cell.config.fee_per_value, cell.config
    for h, days in enumerate(HORIZONS):
        product = fee * received(found.stock[..., PRODUCT], config.short_half_life_days, days)
        assert found.income[:, :, PRODUCT, h] == pytest.approx(product, rel=1e-6)
        one = research_received(config.knowledge_half_life_days, config.delay_days, days)
        research = fee * one * found.stock[..., RESEARCH]
        assert found.income[:, :, RESEARCH, h] == pytest.approx(research, rel=1e-6)
    assert (found.income[:, :, INFLUENCE] == 0.0).all()


def test_research_without_delay_enters_knowledge():
    plan = plan_of(research_luck_sd=0.0, delay_days=0.0)
    cell = ladder(cell_of(plan))[0]
    found = responses_in(cell, plan, blocks=1)
    kept = 2.0 ** (-1.0 / cell.config.knowledge_half_life_days)
    days = HORIZONS[-1]
    expected = kept * received(
        found.stock[..., RESEARCH], cell.config.knowledge_half_life_days, days
    )
    expected = cell.config.fee_per_value * expected
    assert found.income[:, :, RESEARCH, -1] == pytest.approx(expected, rel=1e-6)


def test_nothing_earns_more_where_shares_are_equal():
    plan = plan_of({"institutions": ["uniform"]})
    found = responses_in(cell_of(plan), plan, blocks=1)
    assert (found.stock > 0.0).all()
    assert np.abs(found.income).max() < 1e-9


def test_uninformed_stakers_pay_for_influence_as_for_hyped_product():
    plan = plan_of(informed_share_stakers=0.0, revenue_share=1e-6)
    found = responses_in(cell_of(plan), plan, blocks=4)
    by_unit = found.income[..., 0] / found.stock
    quotients = by_unit[..., INFLUENCE] / by_unit[..., PRODUCT]
    # the median, since the impulses of rivals add noise
    assert np.median(quotients) == pytest.approx(1.0 / 1.5, rel=0.01)


def test_influence_is_exchanged_for_product_unit_by_unit():
    income = np.zeros((1, 2, 3, 1))
    income[0, :, PRODUCT, 0], income[0, :, INFLUENCE, 0] = (8.0, 3.0), (1.0, 1.0)
    stock = np.ones((1, 2, 3))
    stock[0, :, PRODUCT] = 4.0, 3.0  # each unit of product earns 2 and 1, of influence 1 and 1
    responses = Responses(income, stock, stock, np.ones((1, 2)))
    assert influence_for_product(responses, 0).tolist() == [[7.0, 11.0]]


def test_informed_stakers_pay_nothing_for_influence():
    plan = plan_of(informed_share_stakers=1.0)
    found = responses_in(cell_of(plan), plan, blocks=1)
    assert per_tao(found, PRODUCT, 1) > 0.0
    assert np.abs(found.income[:, :, INFLUENCE]).max() < 1e-9


def test_responses_are_linear_in_the_size_of_impulses():
    plan = plan_of()
    small, large = (responses_in(cell_of(plan), plan, size=size) for size in (5.0, 20.0))
    for use in range(3):
        assert per_tao(large, use, 0) == pytest.approx(per_tao(small, use, 0), rel=0.02)


def test_only_builders_of_genesis_get_impulses():
    plan = plan_of({"pruning": [True]}, arrivals_per_slot_year=1.0)
    cell = cell_of(plan)
    found = responses_in(cell, plan, blocks=2)
    last = {"horizon_cap_days": IMPULSE_DAY, "social_discount_per_year": 0.001}
    state = played(cell, plan, POPULATION, C_BAR, 1, **last).state
    assert (state.worlds["day"] == IMPULSE_DAY).all()
    replaced = state.row("owner_number") > 0.0
    assert 0 < replaced.sum() < replaced.size
    assert ((found.tao[..., PRODUCT] == 0.0) == replaced).all()
    assert (found.income[replaced] == 0.0).all()
    assert (found.stock[replaced] == 0.0).all()


def test_the_next_tao_of_influence_is_worth_most_where_there_is_none():
    plan = plan_of({"strategy": "influence"})
    cell = cell_of(plan)
    none, some = (np.array([[float(angle(0.4)), z]]) for z in (0.0, float(angle(0.3))))
    without = responses_of(cell, plan, none, C_BAR, blocks=1).next_influence
    with_influence = responses_of(cell, plan, some, C_BAR, blocks=1).next_influence
    assert (without > 1.2).all()
    # a share of .3, and of work .7 x .6: the root rises by less from the larger spending
    assert (with_influence > 1.0).all()
    assert (with_influence < 1.2).all()


def test_builders_that_save_everything_are_refused():
    plan = plan_of(reinvest_share=1.0)
    with pytest.raises(ValueError, match=r"reinvest_share: got 1.0, allowed is below 1"):
        responses_in(cell_of(plan), plan)


def test_response_findings_are_per_tao_and_repeat_themselves():
    plan = plan_of()
    cell = cell_of(plan)
    found = response_findings(cell, plan, POPULATION, C_BAR, blocks=2)
    assert found == response_findings(cell, plan, POPULATION, C_BAR, blocks=2)
    by_name = {f.measure: f.estimate.value for f in found}
    responses = responses_in(cell, plan)
    product = by_name["income over 720 days by one TAO of product"]
    influence = by_name[
        "income over 720 days by one TAO of influence at the spending level of product"
    ]
    assert product == pytest.approx(per_tao(responses, PRODUCT, 2))
    less = "income over 720 days by one TAO of product less that of influence, at the same spending"
    assert by_name[less] == pytest.approx(product - influence)


# ------------------------------------------------------------ influence in equilibrium


def test_influence_and_its_waste_are_parts_of_budgets():
    plan = plan_of({"strategy": "influence"})
    population = np.array([[float(angle(0.4)), float(angle(0.2))]])
    share, year, percent = influence_findings(cell_of(plan), plan, population, C_BAR)
    assert share.estimate.value == pytest.approx(0.2)
    assert share.verdict == "refuted"
    assert percent.estimate.value == pytest.approx(10.0)  # half of it is dissipated
    assert year.estimate.value > 0.0


def test_there_are_no_findings_on_influence_without_it():
    plan = plan_of()
    assert influence_findings(cell_of(plan), plan, POPULATION, C_BAR) == []
