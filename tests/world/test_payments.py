"""How builders are paid and financed: every payment by hand for a day, and where its TAO comes from."""

import numpy as np
import pytest

from dtao_gym.protocol.pool import sell
from dtao_gym.world.batch import Batch
from dtao_gym.world.config import Config
from dtao_gym.world.config_people import PREDICTABLE
from dtao_gym.world.state import State

STILL = PREDICTABLE | {
    "spans_per_day": 1, "trade_speed": 0.0, "revenue_share": 0.0, "root_claim_hazard": 0.0,
    "miner_sale_fraction": 0.0, "validator_sale_fraction": 0.0, "arrivals_per_slot_year": 0.0,
    "n_stakers": 0, "n_subnets": 6, "genesis": "drawn",
}  # fmt: skip
"""One span a day in which only owners trade."""
CUT = Config().owner_cut
EMISSION = 28.0 * 6


def live(days: int = 1, **config) -> tuple[Batch, State]:
    """A batch after so many days, and its state a day before."""
    batch = Batch(Config.make(STILL, **config))
    if days > 1:
        batch.step(days=days - 1)
    before = batch.state.copy()
    batch.step()
    assert batch.audit().ok
    return batch, before


def change(batch: Batch, before: State, name: str) -> np.ndarray:
    return (batch.state.row(name) - before.row(name))[0]


def account(batch: Batch, before: State, name: str) -> float:
    return float((batch.state.worlds[name] - before.worlds[name])[0])


def after_coinbase(**config) -> State:
    """The same day without the owners' sales."""
    return live(**{"owner_sale_fraction": 0.0, **config})[0].state


# --- alpha


@pytest.mark.parametrize("fraction", [1.0, 0.4])
def test_owners_paid_in_alpha_earn_what_its_sale_fetches(fraction):
    batch, before = live(owner_sale_fraction=fraction)
    pools, state = after_coinbase(), batch.state
    minted = 7200.0 * state.row("alpha_emission")[0]
    for i in range(6):
        out, taken, fee, tao, alpha = sell(
            pools.row("tao_reserve")[0, i], pools.row("alpha_reserve")[0, i], 0.5,
            CUT * minted[i] * fraction, batch.parameters["pool_fee"][0], 0.0,
        )  # fmt: skip
        assert taken == pytest.approx(CUT * minted[i] * fraction, rel=1e-12)
        assert fee > 0.0
        assert state.row("income")[0, i] == pytest.approx(out, rel=1e-9)
        assert state.row("tao_reserve")[0, i] == pytest.approx(tao, rel=1e-9)
        assert state.row("alpha_reserve")[0, i] == pytest.approx(alpha, rel=1e-9)
    # dividends on what the owner held, and the part of today's that was not sold
    owned = before.row("owner_alpha")[0] * (1.0 + state.row("stake_yield")[0])
    owned += CUT * minted * (1.0 - fraction)
    assert state.row("owner_alpha")[0] == pytest.approx(owned, rel=1e-12)


# --- TAO out of the injection


def test_direct_pay_is_taken_out_of_the_injection_and_the_owners_alpha_recycled():
    direct, before = live(payment="direct")
    alpha, _ = live(owner_sale_fraction=0.0)
    share = direct.state.row("emission_share")[0]
    assert share.sum() == pytest.approx(1.0)
    income = direct.state.row("income")[0]
    assert income == pytest.approx(CUT * EMISSION * share, rel=1e-9)
    # the owner's TAO does not enter the pool
    assert account(direct, before, "minted") == pytest.approx(EMISSION, rel=1e-12)
    into_pools = change(direct, before, "tao_reserve")
    assert into_pools == pytest.approx((1.0 - CUT) * EMISSION * share, rel=1e-9)
    assert change(alpha, before, "tao_reserve") == pytest.approx(EMISSION * share, rel=1e-9)
    # nor anybody's alpha
    minted = 7200.0 * direct.state.row("alpha_emission")[0]
    gain = direct.state.row("stake_yield")[0]
    owned = before.row("owner_alpha")[0] * (1.0 + gain)
    assert direct.state.row("owner_alpha")[0] == pytest.approx(owned, rel=1e-12)
    assert change(direct, before, "alpha_recycled") == pytest.approx(CUT * minted, rel=1e-9)
    less = alpha.state.row("alpha_outstanding")[0] - direct.state.row("alpha_outstanding")[0]
    bought = change(alpha, before, "protocol_alpha") - change(direct, before, "protocol_alpha")
    assert less == pytest.approx(CUT * minted + bought, rel=1e-6)


def test_owners_paid_otherwise_never_sell_alpha():
    for payment in ("direct", "fee"):
        batch, _ = live(30, payment=payment)
        again, _ = live(30, payment=payment, owner_sale_fraction=0.0)
        for name in ("tao_reserve", "owner_alpha", "treasury"):
            same = batch.state.row(name) == again.state.row(name)
            assert same.all(), (payment, name)


# --- fees


def test_fees_are_paid_for_own_value_alone():
    batch, before = live(payment="fee", fee_per_value=0.7, spillover=2.0, hype=3.0,
                         influence=True, influence_share=0.3)  # fmt: skip
    state = batch.state
    value = state.row("short_stock")[0] + state.row("knowledge")[0]
    assert state.row("income")[0] == pytest.approx(0.7 * value, rel=1e-12)
    assert change(batch, before, "alpha_recycled") == pytest.approx(
        CUT * 7200.0 * state.row("alpha_emission")[0], rel=1e-9
    )
    # the pools take all of the emission
    assert change(batch, before, "tao_reserve").sum() == pytest.approx(EMISSION, rel=1e-9)


def test_fees_are_cut_to_what_is_outside():
    batch, _ = live(payment="fee", fee_per_value=100.0, outside_initial_tao=5.0, spend_rate=0.0)
    state = batch.state
    value = state.row("short_stock")[0] + state.row("knowledge")[0]
    income = state.row("income")[0]
    assert income.sum() == pytest.approx(5.0, rel=1e-12)
    assert income == pytest.approx(5.0 * value / value.sum(), rel=1e-12)
    # three tenths of it are consumed, and a thirtieth of that returns to purses
    assert state.worlds["outside"][0] == pytest.approx(1.5 * 29 / 30, rel=1e-12)


# --- treasuries


@pytest.mark.parametrize("payment", ["alpha", "direct", "fee"])
def test_a_treasury_spends_of_yesterday_and_saves_of_today(payment):
    batch, before = live(5, payment=payment, spend_rate=0.1, reinvest_share=0.6)
    state, held = batch.state, before.row("treasury")[0]
    income = state.row("income")[0]
    assert (income > 0.0).all()
    assert state.row("budget")[0] == pytest.approx(0.1 * held, rel=1e-14)
    assert state.row("treasury")[0] == pytest.approx(0.9 * held + 0.6 * income, rel=1e-12)
    assert change(batch, before, "consumed") == pytest.approx(0.4 * income, rel=1e-9)
    # what is spent and consumed goes outside, fees come from there
    into = 0.1 * held.sum() + 0.4 * income.sum() - (income.sum() if payment == "fee" else 0.0)
    outside = before.worlds["outside"][0] + into
    assert state.worlds["outside"][0] == pytest.approx(outside * 29 / 30, rel=1e-9)


@pytest.mark.parametrize("payment", ["alpha", "direct", "fee"])
def test_without_finance_treasuries_are_untouched_and_income_is_consumed_whole(payment):
    batch, before = live(
        5, payment=payment, finance=False, fixed_budget_tao=12.0, outside_initial_tao=1e5
    )
    state, income = batch.state, batch.state.row("income")[0]
    assert (state.row("treasury") == 150.0).all()
    assert (state.row("budget") == 12.0).all()
    assert (income > 0.0).all()
    assert change(batch, before, "consumed") == pytest.approx(income, rel=1e-9)
    # outside pays the budgets and gets them back
    into = income.sum() if payment != "fee" else 0.0
    outside = (before.worlds["outside"][0] + into) * 29 / 30
    assert state.worlds["outside"][0] == pytest.approx(outside, rel=1e-9)


def test_income_does_not_matter_to_stocks_without_finance():
    ends = [
        live(60, payment=payment, finance=False)[0].state for payment in ("alpha", "direct", "fee")
    ]
    for name in ("short_stock", "knowledge", "true_value"):
        assert len({end.row(name).tobytes() for end in ends}) == 1, name


# --- income factor


@pytest.mark.parametrize("factor", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("payment", ["alpha", "direct"])
def test_incomes_are_scaled_and_outside_makes_up_the_difference(payment, factor):
    plain, _ = live(payment=payment)
    scaled, before = live(payment=payment, income_factor=factor)
    earned = plain.state.row("income")[0]
    assert scaled.state.row("income")[0] == pytest.approx(factor * earned, rel=1e-12)
    treasury = before.row("treasury")[0] * 29 / 30 + 0.7 * factor * earned
    assert scaled.state.row("treasury")[0] == pytest.approx(treasury, rel=1e-12)
    gap = plain.state.worlds["outside"][0] - scaled.state.worlds["outside"][0]
    # less what of it is consumed, which comes back at once; then a thirtieth returns
    paid = (factor - 1.0) * earned.sum()
    assert gap * 30 / 29 == pytest.approx(0.7 * paid, rel=1e-9)
    same = scaled.state.row("tao_reserve") == plain.state.row("tao_reserve")
    assert same.all()


def test_incomes_are_raised_no_further_than_outside_can_pay():
    batch, _ = live(payment="direct", income_factor=100.0, outside_initial_tao=10.0, spend_rate=0.0)
    plain, _ = live(payment="direct", outside_initial_tao=10.0, spend_rate=0.0)
    income, earned = batch.state.row("income")[0], plain.state.row("income")[0]
    assert income.sum() == pytest.approx(earned.sum() + 10.0, rel=1e-12)
    assert income / income.sum() == pytest.approx(earned / earned.sum(), rel=1e-12)


# --- grants


def test_a_grant_comes_off_the_top_of_emission_the_day_after():
    grant = {"milestone_grant_tao": 50.0, "payment": "direct", "spend_rate": 0.0}
    batch, before = live(3, **grant)
    plain, _ = live(3, **grant | {"milestone_grant_tao": 0.0})
    state, due = batch.state, before.row("grant_due")[0]
    assert 0.0 < due.sum() < 0.5 * EMISSION
    world = state.worlds[0]
    assert world["granted"] == pytest.approx(due.sum(), rel=1e-12)
    assert account(batch, before, "minted") == pytest.approx(EMISSION, rel=1e-12)
    left = EMISSION - due.sum()
    income = due + CUT * left * state.row("emission_share")[0]
    assert state.row("income")[0] == pytest.approx(income, rel=1e-9)
    assert change(batch, before, "tao_reserve").sum() == pytest.approx((1 - CUT) * left, rel=1e-9)
    assert plain.state.worlds["granted"][0] == 0.0
    assert not plain.state.row("grant_due").any()
    # alpha is minted as ever
    assert (state.row("alpha_emission") == plain.state.row("alpha_emission")).all()


def test_a_grant_is_due_for_knowledge_on_its_arrival():
    batch, before = live(3, milestone_grant_tao=50.0)
    decay = batch.parameters["knowledge_decay"][0]
    arrived = batch.state.row("knowledge") - (1.0 - decay) * before.row("knowledge")
    assert batch.state.row("grant_due") == pytest.approx(50.0 * arrived, rel=1e-9)


@pytest.mark.parametrize("spans", [1, 24])
def test_grants_are_cut_to_the_emission_in_proportion(spans):
    batch, before = live(3, milestone_grant_tao=1e5, owner_sale_fraction=0.0, spans_per_day=spans)
    due = before.row("grant_due")[0]
    assert due.sum() > EMISSION
    income = batch.state.row("income")[0]
    assert income == pytest.approx(EMISSION * due / due.sum(), rel=1e-9)
    assert change(batch, before, "tao_reserve") == pytest.approx(0.0, abs=1e-9)


def test_a_grant_on_the_whole_chain_leaves_less_to_the_frozen_subnets():
    config = {"genesis": "mainnet-2026-06-14", "n_subnets": 5, "milestone_grant_tao": 50.0}
    batch, before = live(3, **config)
    due = before.row("grant_due")[0].sum()
    world = batch.state.worlds[0]
    assert account(batch, before, "minted") == pytest.approx(3600.0, rel=1e-12)
    assert world["granted"] == pytest.approx(due, rel=1e-12)
    rest = 1.0 - batch.state.row("emission_share").sum()
    root = world["rest_root_income"] * 7200.0 * (1.0 - batch.parameters["validator_take"][0])
    grown = account(batch, before, "aggregate") + root
    assert grown == pytest.approx((3600.0 - due) * rest, rel=1e-6)
