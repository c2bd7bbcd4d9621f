"""Worlds at the limits: halvings, nothing left to mint, no claims, no price, tiny pools."""

import numpy as np
import pytest

from dtao_gym.protocol.allocation import ALLOCATIONS
from dtao_gym.protocol.institutions import ERAS
from dtao_gym.protocol.issuance import SUPPLY_CAP
from dtao_gym.world.batch import Batch
from dtao_gym.world.config import Config
from dtao_gym.world.ledger import tao_total
from tests.world.toy import CHAIN, COLUMNS, assert_sound, random_orders, toy

WITH_POOLS = sorted(set(ERAS) - {"pre_dtao"})


@pytest.mark.parametrize("era", WITH_POOLS)
@pytest.mark.parametrize("spans_per_day", [1, 4, 24])
def test_a_halving_in_the_middle_of_a_span(tmp_path, era, spans_per_day):
    half = SUPPLY_CAP / 2
    batch = toy(
        tmp_path,
        config={
            "era": era,
            "spans_per_day": spans_per_day,
            "revenue_share": 0.0,
            # flows are 0 at first, and destroyed alpha would put the halving off
            "allocation": "price",
            "chain_bought": "protocol",
        },
        chain_issuance_tao=half - 1000.0,
        alpha_reserve=(100_000.0, 60_000.0, 30_000.0, 20_000.0),
        alpha_outstanding=tuple(half - 1000.0 - a for a in (1e5, 6e4, 3e4, 2e4)),
    )
    assert batch.state.worlds["block_emission"][0] == 1.0
    assert (batch.state.row("alpha_emission") == 1.0).all()
    batch.step(days=3)
    assert batch.state.worlds["block_emission"][0] == 0.5
    assert (batch.state.row("alpha_emission") == 0.5).all()
    # no more than one span at the old rate too many
    late = 7200 / spans_per_day * 0.5
    assert batch.state.worlds["minted"][0] <= 1000.0 + (3 * 7200 - 1000.0) * 0.5 + late
    assert_sound(batch)


def test_supply_that_is_used_up_mints_nothing(tmp_path):
    reserves = (5000.0, 1200.0, 300.0, 80.0)
    batch = toy(
        tmp_path,
        config={"revenue_share": 0.0},
        chain_issuance_tao=SUPPLY_CAP,
        alpha_outstanding=tuple(SUPPLY_CAP - a for a in (100_000.0, 60_000.0, 30_000.0, 20_000.0)),
    )
    assert batch.state.row("tao_reserve")[0].tolist() == list(reserves)
    batch.step(days=3)
    assert batch.state.worlds["minted"][0] == 0.0
    assert batch.state.row("alpha_minted").max() < 1e-9  # where rounding leaves the last token open
    assert_sound(batch)


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("allocation", ALLOCATIONS)
def test_where_nobody_may_be_paid_all_emission_is_recycled(tmp_path, era, allocation):
    batch = toy(tmp_path, config={"era": era, "allocation": allocation}, emission_enabled=False)
    batch.step(days=3)
    world = batch.state.worlds[0]
    assert not batch.state.row("emission_share").any()
    assert world["recycled"] == world["minted"] == 3 * 7200 * 0.5
    assert world["chain_issuance"] == CHAIN["chain_issuance_tao"]
    if era != "pre_dtao":
        assert (batch.state.row("alpha_minted") > 0.0).all()  # participants are still paid
    assert_sound(batch)


@pytest.mark.parametrize("era", WITH_POOLS)
def test_moving_prices_of_zero(tmp_path, era):
    rules = {"era": era} | ({"allocation": "price"} if "flow" in era else {})
    batch = toy(tmp_path, config=rules, moving_price=0.0)
    batch.step()
    world = batch.state.worlds[0]
    # nobody has a claim in the first span; then spot prices have moved the averages
    assert world["recycled"] == pytest.approx(1800 * 0.5)
    assert (batch.state.row("moving_price") > 0.0).all()
    assert_sound(batch)


@pytest.mark.parametrize("era", WITH_POOLS)
@pytest.mark.parametrize("reserve", ["tao_reserve", "alpha_reserve"])
def test_a_pool_without_a_price(tmp_path, era, reserve):
    batch = toy(tmp_path, 2, {"era": era, "wealth_tao": 10_000.0})
    state = batch.state
    gone = state.row(reserve)[:, 1].copy()
    state.row(reserve)[:, 1] = 0.0
    if reserve == "tao_reserve":
        state.worlds["tao_genesis"] -= gone
    else:
        state.row("alpha_genesis")[:, 1] -= gone
    random = np.random.default_rng(0)
    for _ in range(5):
        batch.step(random_orders(batch, random, scale=0.0))
        assert_sound(batch)


@pytest.mark.parametrize("era", WITH_POOLS)
def test_pools_of_one_tao_as_at_the_launch(tmp_path, era):
    batch = toy(
        tmp_path,
        2,
        {"era": era, "spans_per_day": 240, "wealth_tao": 1000.0},
        tao_reserve=1.0,
        alpha_reserve=1.0,
        alpha_outstanding=0.0,
        spot_price=1.0,
    )
    random = np.random.default_rng(0)
    for _ in range(10):
        batch.step(random_orders(batch, random, scale=0.0))
        assert_sound(batch)
        assert (batch.state.row("spot_price") > 0.0).all()


def test_a_world_without_scripted_stakers_and_stakers(tmp_path):
    batch = toy(tmp_path, config={"n_stakers": 0}, alpha_outstanding=0.0, root_stake_tao=0.0)
    assert batch.state.worlds["root_informed"][0] == 0.0
    batch.step(days=5)
    assert_sound(batch)
    assert tao_total(batch.state)[0] > 0.0


@pytest.mark.parametrize("spans_per_day", [1, 4])
def test_the_subsidy_ends_with_the_alpha_emission(tmp_path, spans_per_day):
    """The chain's rule of August 2025 set no bound to the alpha that enters with the block's TAO."""
    batch = toy(
        tmp_path,
        config={
            "era": "subsidy",
            "spans_per_day": spans_per_day,
            "revenue_share": 0.0,
            "chain_bought": "protocol",  # destroyed alpha would make room
        },
        alpha_outstanding=tuple(SUPPLY_CAP - 3000.0 - a for a in COLUMNS["alpha_reserve"]),
        emission_enabled=True,
    )
    batch.step(days=30)
    supply = batch.state.row("alpha_reserve") + batch.state.row("alpha_outstanding")
    assert (batch.state.row("alpha_minted") > 0.0).all()
    assert supply.max() <= SUPPLY_CAP
    assert_sound(batch)


@pytest.mark.parametrize("purse_share", [0.1, 0.3, 0.5])
def test_a_population_without_money_never_owes_any(purse_share):
    """What is lost by rounding would be a debt, and debts would grow with the dividends."""
    batch = Batch(
        Config.make(
            n_subnets=6,
            informed_share_stakers=1.0,
            purse_share=purse_share,
            purse_rebalance=1.0,
        ),
        4,
    )
    for _ in range(50):
        batch.step(days=7)
        world = batch.state.worlds
        for name in ("purse_informed", "root_informed", "purse_uninformed", "root_uninformed"):
            assert (world[name] >= 0.0).all(), name
        assert (batch.state.row("uninformed_alpha") >= 0.0).all()
    assert_sound(batch)
