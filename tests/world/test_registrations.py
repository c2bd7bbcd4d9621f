"""Founders, newcomers, dissolutions: payments, and the state of the slot afterwards."""

import math

import numpy as np
import pytest

from dtao_gym.protocol.issuance import BLOCKS_PER_DAY
from dtao_gym.protocol.lifecycle import lock_cost
from dtao_gym.world.batch import Batch
from dtao_gym.world.config import Config
from dtao_gym.world.ledger import ALPHA_HOLDERS, tao_total
from dtao_gym.world.registrations import EMPTY, arrivals_of_day
from tests.world.toy import assert_sound, toy

EAGER = {
    "arrivals_per_slot_year": 12.0,
    "entry_value_tao": 1e6,
    "outside_initial_tao": 1e6,
    "immunity_days": 0.0,
}
"""A registration nearly every week, at any cost."""


def until_registration(batch: Batch, days: int = 2000) -> tuple[int, dict, np.ndarray]:
    """Step to the first day of a registration: the slot, and the state of the day before."""
    for _ in range(days):
        before = batch.state.copy()
        batch.step()
        if batch.state.worlds["registrations"][0] > before.worlds["registrations"][0]:
            changed = batch.state.row("registered_block")[0] != before.row("registered_block")[0]
            return int(changed.argmax()), before, changed
    raise AssertionError("nobody came")


def change(batch: Batch, before, *names: str) -> list[float]:
    """How much fields of the first world have grown."""
    return [batch.state.worlds[name][0] - before.worlds[name][0] for name in names]


def test_arrivals_are_a_poisson_number():
    random = np.random.default_rng(0)
    words = random.integers(0, 2**64, 20_000, dtype=np.uint64)
    for mean in (0.0, 0.1, 1.5):
        counts = np.array([arrivals_of_day(word, mean) for word in words])
        assert counts.mean() == pytest.approx(mean, abs=0.03)
        assert counts.var() == pytest.approx(mean, abs=0.06)
        assert (counts == 0).mean() == pytest.approx(math.exp(-mean), abs=0.01)


def test_nobody_comes_where_nobody_may_come():
    batch = Batch(Config.make(EAGER, n_subnets=6, arrivals_per_slot_year=0.0))
    batch.step(days=300)
    assert batch.state.worlds["registrations"][0] == 0


def test_a_slot_that_is_not_worth_its_cost_is_left_alone():
    batch = Batch(Config.make(EAGER, n_subnets=6, entry_value_tao=1.0, min_lock_tao=50.0))
    batch.step(days=300)
    assert batch.state.worlds["registrations"][0] == 0


def test_without_money_outside_nobody_can_register(tmp_path):
    poor = {"outside_initial_tao": 0.0, "owner_sale_fraction": 0.0, "miner_sale_fraction": 0.0}
    poor |= {"validator_sale_fraction": 0.0, "spend_rate": 0.0, "insider_holding_days": 1e9}
    batch = toy(tmp_path, config=EAGER | poor)
    batch.step(days=300)
    assert batch.state.worlds["registrations"][0] == 0


def test_the_one_with_the_lowest_moving_price_goes(tmp_path):
    batch = toy(tmp_path, config=EAGER)
    slot, before, changed = until_registration(batch)
    assert changed.sum() == 1
    # of the day's end, so one span after the last that the state before knows
    assert before.row("moving_price")[0].argmin() == slot
    assert batch.state.worlds["dissolutions"][0] == 1
    assert batch.state.row("moving_price")[0, slot] == 0.0


def test_by_share_the_one_with_the_lowest_share_goes(tmp_path):
    # the third of the toy's subnets has its emission disabled
    batch = toy(tmp_path, config=EAGER | {"prune_key": "share"})
    assert until_registration(batch)[0] == 2


def test_the_lottery_makes_others_go_too(tmp_path):
    batch = toy(tmp_path, 40, config=EAGER | {"prune_lottery_sd": 2.0})
    batch.step(days=60)
    gone = batch.state.row("registered_block") >= batch.state.worlds["genesis_block"][:, None]
    assert gone.any(axis=0).all()


def test_the_immune_are_passed_over_and_if_all_are_nobody_goes(tmp_path):
    registered = (2_990_000, 2_990_000, 2_000_000, 2_990_000)
    batch = toy(tmp_path, config=EAGER | {"immunity_days": 120.0}, registered_block=registered)
    slot, _, _ = until_registration(batch)
    assert slot == 2
    assert batch.state.worlds["registrations"][0] == 1
    batch.step(days=50)
    assert batch.state.worlds["registrations"][0] == 1


def test_without_pruning_a_full_market_stays_as_it_is(tmp_path):
    batch = toy(tmp_path, config=EAGER | {"pruning": False})
    batch.step(days=200)
    assert batch.state.worlds["registrations"][0] == 0


@pytest.mark.parametrize("seeding", ["minimum", "median_price"])
def test_a_newcomer_starts_with_what_it_paid(tmp_path, seeding):
    batch = toy(tmp_path, config=EAGER | {"seeding": seeding, "min_lock_tao": 20.0})
    slot, before, _ = until_registration(batch)
    state, world = batch.state, batch.state.worlds[0]
    interval = batch.parameters["lock_interval_blocks"][0] * world["block_emission"]
    cost = lock_cost(before.worlds["last_lock"][0], 20.0, before.worlds["last_lock_block"][0],
                     world["block"], interval)  # fmt: skip
    assert world["last_lock"] == state.row("lock_tao")[0, slot] == pytest.approx(cost, rel=1e-12)
    assert world["last_lock_block"] == world["block"]
    tao, alpha = state.row("tao_reserve")[0, slot], state.row("alpha_reserve")[0, slot]
    if seeding == "minimum":
        assert tao == alpha == 20.0
        assert world["burned"] == pytest.approx(cost - 20.0)
    else:
        assert tao == pytest.approx(cost)
        others = np.delete(state.row("spot_price")[0], slot)
        # the median of the day's prices, the one that went included
        assert others.min() < tao / alpha < others.max()
        assert world["burned"] == 0.0
    issued, minted, recycled, burned = change(
        batch, before, "chain_issuance", "minted", "recycled", "burned"
    )
    assert issued == pytest.approx(minted - recycled - burned, abs=1e-6)
    for name in (*ALPHA_HOLDERS, "alpha_outstanding", "moving_price", "emission_share", "opinion"):
        assert state.row(name)[0, slot] == 0.0, name
    assert state.row("stream_id")[0, slot] == before.row("stream_id")[0, slot]
    assert (state.section("price_history")[0, :, slot] == tao / alpha).all()
    assert_sound(batch)


def test_who_held_alpha_is_paid_in_proportion_and_the_rest_is_recycled(tmp_path):
    batch = toy(tmp_path, config=EAGER | {"n_stakers": 2, "wealth_tao": 500.0})
    orders = np.zeros((1, 2, 4))
    orders[0, 0, 3], orders[0, 1, 3] = 30.0, 10.0
    batch.step(orders)
    stakers = batch.state.stakers["root"][0].copy()
    held = batch.state.section("staker_alpha")[0, :, 3].copy()
    slot, before, _ = until_registration(batch)
    assert slot == 3
    paid = batch.state.stakers["root"][0] - before.stakers["root"][0]
    assert (held > 0.0).all()
    assert (stakers < 500.0).all()
    # dividends of the last day compound both holdings alike
    assert paid[0] / paid[1] == pytest.approx(held[0] / held[1], rel=1e-3)
    pot = before.row("tao_reserve")[0, 3]
    assert 0.0 < paid.sum() < pot
    world, earlier = batch.state.worlds[0], before.worlds[0]
    assert world["recycled"] >= earlier["recycled"]
    assert not batch.state.section("staker_alpha")[0, :, 3].any()
    assert not batch.state.section("staker_claimable")[0, :, 3].any()
    assert_sound(batch)


def test_a_legacy_owner_gets_back_what_the_cut_has_not_repaid(tmp_path):
    batch = toy(tmp_path, config=EAGER)
    state = batch.state
    state.row("lock_tao")[0, 3] = 400.0
    state.worlds["burned"] += 1000.0
    state.worlds["tao_genesis"] = tao_total(state)
    assert state.row("legacy")[0].all()  # registered long before September 2025
    _, before, _ = until_registration(batch)
    issued, minted, recycled, burned = change(
        batch, before, "chain_issuance", "minted", "recycled", "burned"
    )
    assert burned < 0.0
    # a refund is paid out of what no longer counts, and does not count again
    assert issued == pytest.approx(minted - recycled, abs=1e-6)
    assert_sound(batch)


def test_a_newcomer_waits_for_its_start_call():
    config = Config.make(EAGER, n_subnets=4, empty_slots=1, start_delay_days=5, pruning=False)
    batch = Batch(config)
    slot, _, _ = until_registration(batch)
    state = batch.state
    assert state.row("start_block")[0, slot] == state.worlds["block"][0] + 5 * BLOCKS_PER_DAY
    orders = np.zeros((1, 1, 5))
    orders[0, 0, slot] = 10.0
    reserve = state.row("tao_reserve")[0, slot]
    for _ in range(5):
        batch.step(orders)
        assert state.row("tao_reserve")[0, slot] == reserve
        for name in ("started", "emission_share", "moving_price", "alpha_minted"):
            assert state.row(name)[0, slot] == 0.0, name
    batch.step(orders)
    assert state.section("staker_alpha")[0, 0, slot] > 0.0
    assert state.row("alpha_minted")[0, slot] > 0.0
    assert state.row("moving_price")[0, slot] > 0.0
    assert_sound(batch)


@pytest.mark.parametrize("enabled", [True, False])
def test_governance_enables_emission_after_a_while(enabled):
    config = Config.make(EAGER, n_subnets=4, empty_slots=1, pruning=False, start_delay_days=0,
                         entrants_enabled=enabled, governance_days=10.0)  # fmt: skip
    batch = Batch(config)
    slot, _, _ = until_registration(batch)
    batch.step(days=9)
    assert batch.state.row("emission_enabled")[0, slot] == enabled
    assert (batch.state.row("emission_share")[0, slot] > 0.0) == enabled
    assert batch.state.row("alpha_minted")[0, slot] > 0.0  # participants are paid all the same
    batch.step(days=3)
    assert batch.state.row("emission_enabled")[0, slot] == 1.0
    assert batch.state.row("emission_share")[0, slot] > 0.0


def test_emission_that_was_disabled_at_genesis_stays_disabled(tmp_path):
    batch = toy(tmp_path, config={"arrivals_per_slot_year": 0.0, "governance_days": 1.0})
    batch.step(days=20)
    assert batch.state.row("emission_enabled")[0].tolist() == [1.0, 1.0, 0.0, 1.0]


def test_arrivals_do_not_depend_on_the_institution():
    kept = EAGER | {"n_subnets": 4, "empty_slots": 8, "pruning": False}
    eras = ("price_burn", "launch", "tao_flow")
    batch = Batch([Config.make(kept, era=era, start_delay_days=0) for era in eras], seeds=[5] * 3)
    batch.step(days=60)
    values = batch.state.row("ability")
    assert len(set(values[0, 4:])) == 8
    assert batch.state.worlds["registrations"][0] >= 8
    assert (batch.state.row("registered_block")[:, 4:] != EMPTY).all()
    np.testing.assert_array_equal(values[0, 4:], values[1, 4:])
    np.testing.assert_array_equal(values[0, 4:], values[2, 4:])
