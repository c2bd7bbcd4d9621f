"""Reserves inferred from prices, compared with simulated pools, captured pools and the rule by hand."""

import numpy as np
import pytest

from dtao_gym.replay.market import derive_market, packaged_market
from dtao_gym.replay.prices import SLOTS, Prices
from dtao_gym.replay.reserves import (
    LAUNCH,
    block_of_time,
    infer_from_captures,
    infer_from_launch,
    time_of_block,
)
from dtao_gym.world.batch import Batch
from dtao_gym.world.config import Config, ConfigError
from dtao_gym.world.config_people import PREDICTABLE
from dtao_gym.world.snapshot import Snapshot


def daily(price: np.ndarray, first: np.datetime64) -> Prices:
    table = np.full((len(price), SLOTS), np.nan)
    table[:, : price.shape[1]] = price
    times = first + np.arange(len(price)) * np.timedelta64(24, "h")
    return Prices(times, table, 24, {})


def test_liquidity_of_a_simulated_market_is_recovered():
    """Prices of the launch era alone give its pools: within 5 % from the second day, 1 % after two months."""
    launch = {"genesis": "mainnet-2025-02-13", "era": "launch", "n_subnets": 64}
    batch = Batch(Config.make(PREDICTABLE, **launch, arrivals_per_slot_year=0.0))
    batch.step(days=3)
    recorded = []
    for _ in range(61):
        names = ("spot_price", "tao_reserve", "alpha_reserve", "alpha_outstanding")
        recorded.append([batch.state.row(name)[0].copy() for name in names])
        batch.step()
    price, tao, alpha, outstanding = np.moveaxis(np.array(recorded), 1, 0)
    n = price.shape[1]
    inferred = infer_from_launch(daily(price, LAUNCH + np.timedelta64(72, "h")))
    error = inferred.liquidity[:, :n] / np.sqrt(tao * alpha) - 1.0
    assert np.abs(error[1:]).max() < 0.05
    assert np.abs(error[60]).max() < 0.01
    issued = inferred.alpha_issuance[:, :n] / (alpha + outstanding) - 1.0
    assert np.abs(issued).max() < 0.04


def test_liquidity_grows_by_what_is_injected():
    """One subnet that gets all of the emission at a price below 1: a block injects 1 TAO and one alpha."""
    inferred = infer_from_launch(daily(np.full((5, 1), 0.25), LAUNCH + np.timedelta64(24, "h")))
    growth = np.diff(inferred.liquidity[:, 0])
    np.testing.assert_allclose(growth, 7200 * (1.0 + 0.25) / (2.0 * 0.5))
    np.testing.assert_allclose(inferred.tao_emission[1:, 0], 7200.0)


def test_liquidity_grows_by_the_rule_of_the_pools_price_where_prices_sum_to_more_than_one():
    price = np.tile([0.8, 0.4], (5, 1))
    inferred = infer_from_launch(daily(price, LAUNCH + np.timedelta64(24, "h")))
    share = np.array([2.0, 1.0]) / 3.0
    np.testing.assert_allclose(
        np.diff(inferred.liquidity[:, :2], axis=0),
        np.tile(7200 * share / np.sqrt(price[0]), (4, 1)),
    )


def test_liquidity_of_august_2025_fits_the_capture_of_april_2026():
    """L grows by seven months of injection, and subnets keep their order."""
    market, capture = packaged_market("mainnet-2025"), Snapshot.named("mainnet-2026-04-11")
    old = capture.registered_block < 6.0e6
    columns = capture.netuid[old] - 1
    then = np.sqrt(market.row("tao_reserve")[-1] * market.row("alpha_reserve")[-1])[columns]
    now = np.sqrt(capture.tao_reserve * capture.alpha_reserve)[old]
    both = then > 0.0
    ratio = now[both] / then[both]
    assert both.sum() > 80
    # 1.41 for October 2025 (quartiles 1.29 and 1.62): two months of 1 TAO a block less
    assert 1.6 < np.median(ratio) < 2.1
    assert (np.quantile(ratio, [0.25, 0.75]) > [1.5, 1.9]).all()
    assert np.corrcoef(np.log(then[both]), np.log(now[both]))[0, 1] > 0.8


def test_reserves_of_april_2026_are_those_of_the_capture():
    market, capture = packaged_market("mainnet-2026"), Snapshot.named("mainnet-2026-04-11")
    row = int(np.flatnonzero(market.dates == np.datetime64("2026-04-11"))[0])
    live = market.row("price")[row] > 0.0
    known = np.zeros(SLOTS, bool)
    known[capture.netuid - 1] = True
    assert not (live & ~known).any()
    columns = np.flatnonzero(live)
    row_of = {int(netuid) - 1: k for k, netuid in enumerate(capture.netuid)}
    rows = [row_of[int(column)] for column in columns]
    liquidity = np.sqrt(market.row("tao_reserve")[row] * market.row("alpha_reserve")[row])[columns]
    captured = np.sqrt(capture.tao_reserve * capture.alpha_reserve)[rows]
    np.testing.assert_allclose(liquidity, captured, rtol=0.06)
    # closes are a day apart, and the hour of the capture is unknown
    ratio = market.row("moving_price")[row][columns] / capture.moving_price[rows]
    assert np.median(np.abs(ratio - 1.0)) < 0.03


def test_inferred_quantities_of_a_day_depend_on_no_later_price():
    rng = np.random.default_rng(0)
    capture = Snapshot.named("mainnet-2026-04-11")
    price = 0.02 * np.exp(0.1 * rng.standard_normal((40, 20)))
    changed = price.copy()
    changed[15:] *= 1.7
    before, after = np.datetime64("2026-03-20T00", "h"), LAUNCH + np.timedelta64(60, "h")
    for infer, first in (
        (lambda p: infer_from_captures(p, [capture]), before),
        (infer_from_launch, after),
    ):
        one, two = infer(daily(price, first)), infer(daily(changed, first))
        for name, values in vars(one).items():
            np.testing.assert_array_equal(values[:15], vars(two)[name][:15], err_msg=name)


def test_a_capture_without_the_prices_subnets_is_refused():
    capture = Snapshot.named("mainnet-2026-04-11")
    table = np.full((5, SLOTS), np.nan)
    missing = np.setdiff1d(np.arange(1, SLOTS + 1), capture.netuid)
    if missing.size:
        table[:, missing[0] - 1] = 0.1
    times = np.datetime64("2026-04-01T00", "h") + np.arange(5) * np.timedelta64(24, "h")
    with pytest.raises(ConfigError, match="reserves: got a capture without any subnet"):
        infer_from_captures(Prices(times, table, 24, {}), [capture])


def test_blocks_and_hours_agree():
    for block in (4_919_910, 6_000_000, 8_404_076):
        assert block_of_time(time_of_block(block)) == pytest.approx(block, abs=300)


@pytest.mark.parametrize("name", ["mainnet-2025", "mainnet-2026"])
def test_packaged_markets_are_plausible(name):
    market = packaged_market(name)
    assert np.isfinite(market.rows).all()
    assert np.isfinite(market.numbers).all()
    live = market.row("price") > 0.0
    np.testing.assert_allclose(
        (market.row("tao_reserve") / np.where(live, market.row("alpha_reserve"), 1.0))[live],
        market.row("price")[live],
    )
    late = live & (np.arange(len(live)) > 30)[:, None]
    share = market.row("alpha_reserve") / np.where(
        live, market.row("alpha_reserve") + market.row("alpha_outstanding"), 1.0
    )
    assert 0.3 < np.median(share[late]) < 0.6  # 0.38 in June 2026
    assert 0.2 < 365 * np.median(market.row("stake_yield")[late]) < 1.5
    assert (365 * market.number("root_yield")[30:] < 0.25).all()
    np.testing.assert_allclose(market.row("emission_share").sum(axis=1), 1.0)


def test_a_market_without_prices_has_zeros_and_no_nan():
    n = 4
    empty = np.full((n, SLOTS), np.nan)
    arrays = {
        "dates": np.datetime64("2025-03-01") + np.arange(n),
        "registered_block": np.zeros(SLOTS),
        **dict.fromkeys(("price", "moving_price", "liquidity", "alpha_issuance"), empty),
    }
    market = derive_market("empty", arrays, 1.0, {})
    assert not market.rows.any()
    assert not market.number("root_yield").any()


def test_hourly_samples_and_their_daily_closes_give_similar_liquidity():
    """Daily closes lose little of the liquidity, even at a volatility above every real one."""
    hourly = 0.3 * np.exp(
        np.cumsum(0.03 * np.random.default_rng(0).standard_normal((24 * 30 + 1, 3)), axis=0)
    ).clip(max=2.5)
    first = LAUNCH + np.timedelta64(52, "h")
    table = np.full((len(hourly), SLOTS), np.nan)
    table[:, :3] = hourly
    times = first + np.arange(len(hourly)) * np.timedelta64(1, "h")
    every_hour = infer_from_launch(Prices(times, table, 1, {}))
    every_day = infer_from_launch(daily(hourly[::24], first))
    ratio = every_day.liquidity[-1, :3] / every_hour.liquidity[-1, :3]
    np.testing.assert_allclose(ratio, 1.0, atol=0.05)
