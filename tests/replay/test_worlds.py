"""Replays: the staker's ledger, yields, impact, ends and starts of subnets, windows, no look-ahead."""

import copy
import pickle

import numpy as np
import pytest

from dtao_gym.envs.staker.replay import ReplayStaker
from dtao_gym.envs.staker.role import target_action
from dtao_gym.replay.config import ReplayConfig
from dtao_gym.replay.windows import Window, WindowSampler
from dtao_gym.replay.worlds import ReplayBatch
from dtao_gym.world.config import ConfigError
from tests.replay.paths import prices, write_wide

N = 4


def batch_of(path, n_worlds: int = 1, **changes) -> ReplayBatch:
    fields = {"prices": str(path), "n_subnets": N, "horizon_days": 10} | changes
    return ReplayBatch(ReplayConfig.make(fields), n_worlds)


def buy(batch: ReplayBatch, tao: float) -> np.ndarray:
    return np.full((batch.n_worlds, 1, batch.layout.n_subnets), tao)


def no_orders(batch: ReplayBatch) -> np.ndarray:
    return buy(batch, 0.0)


def alpha_of(batch: ReplayBatch) -> np.ndarray:
    return batch.state.section("staker_alpha")[0, 0]


@pytest.fixture
def path(tmp_path):
    return write_wide(tmp_path / "prices.csv", prices(60, N))


def market_at(batch: ReplayBatch, world: int = 0):
    """Market of a world and row of its present close."""
    window = batch.windows[world]
    day = int(batch.state.worlds["day"][world])
    return batch.markets[window.market], window.first + day


# --- yields, in closed form


def test_root_earns_the_root_yield_exactly(path):
    batch = batch_of(path)
    market, first = market_at(batch)
    for _ in range(10):
        batch.advance(no_orders(batch), 1)
    expected = 1000.0
    for rate in market.number("root_yield")[first + 1 : first + 11]:
        expected += expected * rate
    assert batch.state.stakers["wealth"][0, 0] == expected
    assert batch.state.stakers["root"][0, 0] == expected


@pytest.mark.parametrize("impact", ["recovering", "permanent"])
def test_buy_and_hold_is_its_closed_form(path, impact):
    """Purchases move along the pool's curve, alpha compounds at its yield, wealth is a sale at the last close."""
    batch = batch_of(path, impact=impact, min_order_tao=0.0)
    market, first = market_at(batch)
    columns, fee, spent = batch.columns[0], batch.config.pool_fee, 100.0
    tao, alpha = (market.row(name)[first, columns] for name in ("tao_reserve", "alpha_reserve"))
    net = spent * (1.0 - fee)
    bought = alpha * net / (tao + net)
    batch.advance(buy(batch, spent), 10)
    rates = slice(first + 1, first + 11)
    held = bought * np.prod(1.0 + market.row("stake_yield")[rates, columns], axis=0)
    np.testing.assert_allclose(alpha_of(batch), held, rtol=1e-12)
    tao, alpha = (
        market.row(name)[first + 10, columns] for name in ("tao_reserve", "alpha_reserve")
    )
    if impact == "permanent":  # the alpha is missing in the pool, at the path's liquidity
        tao, alpha = tao * alpha / (alpha - bought), alpha - bought
    worth = tao * held * (1.0 - fee) / (alpha + held * (1.0 - fee))
    root = (1000.0 - N * spent) * np.prod(1.0 + market.number("root_yield")[rates])
    assert batch.state.stakers["wealth"][0, 0] == pytest.approx(root + worth.sum(), rel=1e-12)


def test_a_round_trip_costs_only_fees_where_impact_is_permanent(path):
    """Buy and sell at the same point of the curve, at constant prices."""
    price = np.full((60, N), 0.3)
    flat = write_wide(path.with_name("flat.csv"), price)
    cost = {}
    for impact in ("recovering", "permanent"):
        batch = batch_of(flat, impact=impact, min_order_tao=0.0)
        market, first = market_at(batch)
        batch.advance(buy(batch, 200.0), 1)
        alpha = alpha_of(batch) / (1.0 + market.row("stake_yield")[first + 1, batch.columns[0]])
        batch.advance(-alpha[None, None], 1)
        rest = alpha_of(batch).copy()
        root = batch.state.stakers["root"][0, 0]
        cost[impact] = 1000.0 - root
        assert (rest < 0.01 * alpha).all()
    assert cost["recovering"] > cost["permanent"] + 1.0
    assert cost["permanent"] < 1000.0 * 2.5 * batch.config.pool_fee + 1.0


# --- the ledger


def test_the_stakers_tao_goes_to_pools_and_fees_only(path):
    """TAO that leaves root enters pools or pays fees; proceeds of sales leave pools."""
    batch = batch_of(path, min_order_tao=0.0)
    rng = np.random.default_rng(1)
    for _ in range(8):
        market, row = market_at(batch)
        columns = batch.columns[0]
        root, alpha = batch.state.stakers["root"][0, 0], alpha_of(batch).copy()
        authors = batch.state.worlds["authors"][0]
        orders = rng.normal(0.0, 100.0, (1, 1, N))
        orders[orders < 0] *= 2.0
        batch.advance(orders, 1)
        _, now = market_at(batch)
        fees = batch.state.worlds["authors"][0] - authors
        root_after = batch.state.stakers["root"][0, 0] / (1.0 + market.number("root_yield")[now])
        after = alpha_of(batch) / (1.0 + market.row("stake_yield")[now, columns])
        tao, pool = (market.row(name)[row, columns] for name in ("tao_reserve", "alpha_reserve"))
        moved = tao * pool / (pool - (after - alpha)) - tao
        assert root - root_after == pytest.approx(moved.sum() + fees, rel=1e-9, abs=1e-9)
        assert (alpha_of(batch) >= 0.0).all()
        assert batch.state.stakers["root"][0, 0] >= 0.0


def test_recovering_impact_is_gone_at_the_next_close(path):
    traded, idle = batch_of(path), batch_of(path)
    traded.advance(buy(traded, 200.0), 1)
    idle.advance(no_orders(idle), 1)
    for name in ("spot_price", "tao_reserve", "alpha_reserve", "alpha_outstanding"):
        np.testing.assert_array_equal(traded.state.row(name), idle.state.row(name))


def test_permanent_impact_stays_and_keeps_liquidity(path):
    traded = batch_of(path, impact="permanent")
    market, first = market_at(traded)
    traded.advance(buy(traded, 200.0), 1)
    for day in range(1, 6):
        columns = traded.columns[0]
        product = (traded.state.row("tao_reserve") * traded.state.row("alpha_reserve"))[0]
        path_product = (market.row("tao_reserve") * market.row("alpha_reserve"))[first + day]
        np.testing.assert_allclose(product, path_product[columns], rtol=1e-12)
        assert (traded.state.row("spot_price")[0] > market.row("price")[first + day, columns]).all()
        traded.advance(no_orders(traded), 1)


# --- subnets that end and start


def ending(tmp_path, missing: slice, column: int = 1):
    price = prices(60, N)
    price[missing, column] = np.nan
    return write_wide(tmp_path / "ending.csv", price), price


def placed(path, first: int, days: int, **changes) -> ReplayBatch:
    fields = {"prices": str(path), "n_subnets": N, "min_order_tao": 0.0} | changes
    window = Window(0, first, np.arange(N))
    return ReplayBatch(ReplayConfig.make(fields), windows=[(window, days)])


def test_a_subnet_that_ends_is_paid_out_at_its_last_price(tmp_path):
    path, price = ending(tmp_path, slice(30, None))
    batch = placed(path, 25, 20)
    batch.advance(buy(batch, 100.0), 1)
    batch.advance(no_orders(batch), 4)  # the first missing sample is filled
    assert batch.state.row("started")[0].tolist() == [1.0, 1.0, 1.0, 1.0]
    alpha, root = alpha_of(batch).copy(), batch.state.stakers["root"][0, 0]
    batch.advance(no_orders(batch), 1)
    assert batch.state.row("started")[0].tolist() == [1.0, 0.0, 1.0, 1.0]
    assert alpha_of(batch)[1] == 0.0
    market, row = market_at(batch)
    grown = root * (1.0 + market.number("root_yield")[row])
    paid = batch.state.stakers["root"][0, 0] - grown
    assert paid == pytest.approx(alpha[1] * price[29, 1], rel=1e-12)
    batch.advance(buy(batch, 10.0), 1)  # the order is ignored
    assert alpha_of(batch)[1] == 0.0
    assert np.isfinite(ReplayStaker(batch).observe(batch)).all()


def test_a_subnet_that_starts_later_cannot_be_traded_before(tmp_path):
    path, _ = ending(tmp_path, slice(0, 30))
    batch = placed(path, 25, 20)
    median = np.median(np.delete(batch.state.row("spot_price")[0], 1))
    assert batch.state.row("spot_price")[0, 1] == median
    for day in range(26, 33):
        batch.advance(buy(batch, 1.0), 1)
        assert (alpha_of(batch)[1] > 0.0) == (day > 30)
        assert np.isfinite(ReplayStaker(batch).observe(batch)).all()


# --- windows


def test_windows_are_within_their_dates(path):
    config = ReplayConfig.make(
        prices=str(path),
        n_subnets=2,
        horizon_days=7,
        first_date="2025-03-10",
        last_date="2025-04-05",
    )
    starts = WindowSampler(config, config.markets())
    dates = starts.markets[0].dates
    assert str(dates[starts.starts[0][1]]) == "2025-03-10"
    assert str(dates[starts.starts[-1][1] + 7]) == "2025-04-05"
    drawn = {starts.draw(seed, 0).first for seed in range(300)}
    assert drawn == {first for _, first in starts.starts}


def test_splits_share_no_window_and_with_a_date_no_day(path):
    fields = {"prices": str(path), "n_subnets": 2, "horizon_days": 7, "selection": "sample"}

    def windows(**changes):
        config = ReplayConfig.make(fields | changes)
        starts = WindowSampler(config, config.markets())
        return [starts.draw(seed, 0) for seed in range(200)], starts.markets[0].dates

    train, _ = windows(split="train")
    evaluation, _ = windows(split="evaluation")
    assert [w.first for w in train] != [w.first for w in evaluation]
    day = "2025-03-20"
    train, dates = windows(split="train", split_date=day)
    evaluation, _ = windows(split="evaluation", split_date=day)
    assert max(dates[w.first + 7] for w in train) <= np.datetime64(day)
    assert min(dates[w.first + 1] for w in evaluation) > np.datetime64(day)


def test_subnets_are_the_largest_or_drawn_by_key(path):
    config = ReplayConfig.make(prices=str(path), n_subnets=2, horizon_days=7)
    starts = WindowSampler(config, config.markets())
    window = starts.draw(3, 0)
    tao = starts.markets[0].row("tao_reserve")[window.first]
    assert set(window.columns) == set(np.argsort(-tao)[:2])
    config = ReplayConfig.make(config, selection="sample")
    drawn = {
        tuple(WindowSampler(config, config.markets()).draw(seed, 0).columns) for seed in range(60)
    }
    assert len(drawn) == 6


def test_a_world_is_the_same_alone_in_any_batch_and_on_any_number_of_threads():
    config = ReplayConfig.make(selection="sample", n_subnets=5, horizon_days=6)
    rng = np.random.default_rng(0)
    actions = rng.uniform(-1, 1, (6, 20, 7)).astype(np.float32)

    def play(worlds, threads):
        batch = ReplayBatch(config, len(worlds), seeds=worlds, threads=threads)
        role = ReplayStaker(batch)
        observations = []
        for step in range(6):
            batch.advance(role.apply(batch, actions[step, worlds]), 1)
            observations.append(role.observe(batch))
        return np.stack(observations, axis=1), batch.state.fields.copy()

    whole, fields = play(list(range(20)), 1)
    again, same_fields = play(list(range(20)), 3)
    np.testing.assert_array_equal(whole, again)
    np.testing.assert_array_equal(fields, same_fields)
    for world in (0, 7, 19):
        alone, alone_fields = play([world], 1)
        np.testing.assert_array_equal(alone[0], whole[world])
        np.testing.assert_array_equal(alone_fields[0], fields[world])


def test_copies_and_pickles_are_independent(path):
    batch = batch_of(path, 2)
    batch.advance(buy(batch, 10.0), 1)
    for twin in (copy.deepcopy(batch), pickle.loads(pickle.dumps(batch))):
        twin.advance(no_orders(twin), 2)
        other = copy.deepcopy(batch)
        other.advance(no_orders(other), 2)
        np.testing.assert_array_equal(twin.state.fields, other.state.fields)
        assert (batch.state.worlds["day"] == 1).all()


def test_a_batch_stays_at_its_last_close(path):
    batch = batch_of(path)
    batch.advance(no_orders(batch), 1000)
    market, row = market_at(batch)
    assert row == market.dates.size - 1
    assert np.isfinite(batch.state.fields).all()


def test_signals_and_claims_are_zero(path):
    batch = batch_of(path)
    role = ReplayStaker(batch)
    batch.advance(role.apply(batch, target_action(np.ones((1, N + 1)))), 3)
    observation = role.observe(batch)[0]
    assert not observation[1 : N * 12 : 12].any()
    assert observation[N * 12 + 2] == 0.0
    assert observation[-1] == 0.0


BAD = {
    "n_subnets": (5, "n_subnets: got 5, allowed are 1 to 4"),
    "horizon_days": (200, "horizon_days: got 200"),
    "history_days": (58, "horizon_days: got 10"),
    "first_date": ("2031-01-01", "horizon_days: got 10 with first_date 2031-01-01"),
    "last_date": ("2024-01-01", "horizon_days: got 10"),
    "min_pool_tao": (1e6, "n_subnets: got 4, allowed are 1 to 0"),
    "wealth_tao": (0.0, "wealth_tao: got 0.0"),
    "pool_fee": (0.5, "pool_fee: got 0.5"),
    "min_order_tao": (5e-324, "min_order_tao: got 5e-324, allowed are 0 and normal numbers"),
    "ruin_fraction": (0.0, "ruin_fraction: got 0.0"),
    "impact": ("none", "impact: got 'none'"),
    "prices": ("nowhere.csv", "prices: got 'nowhere.csv', which is no file"),
    "reserves": ("mainnet-1999-01-01", "reserves: unknown snapshot"),
    "split": ("test", "split: got 'test'"),
    "days": (3, "days: unknown parameter"),
    "first_day": ("2025-03-01", "did you mean 'first_date'"),
    "split_date": ("soon", "split_date: got 'soon'"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_parameter_is_one_clear_error(path, name):
    value, message = BAD[name]
    with pytest.raises(ConfigError) as error:
        batch_of(path, **{name: value})
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_dates_have_to_be_in_order():
    with pytest.raises(ConfigError, match="last_date: got 2025-03-01, allowed are days after"):
        ReplayConfig.make(first_date="2025-03-02", last_date="2025-03-01")


def test_late_prices_need_reserves(tmp_path):
    from datetime import datetime

    path = write_wide(tmp_path / "late.csv", 0.05 * prices(60, N), start=datetime(2026, 3, 1))
    with pytest.raises(ConfigError, match="reserves: got None with prices from 2026-03-01"):
        batch_of(path)
    batch = batch_of(path, reserves="mainnet-2026-04-11")
    batch.advance(buy(batch, 5.0), 5)
    assert np.isfinite(batch.state.fields).all()
    with pytest.raises(ConfigError, match="allowed is None; only a CSV"):
        ReplayConfig.make(reserves="mainnet-2026-04-11").markets()


def test_a_changed_file_is_read_again(tmp_path):
    path = write_wide(tmp_path / "a.csv", prices(60, N))
    one = batch_of(path).markets[0].row("price")[30].copy()
    write_wide(path, prices(61, N, seed=1))
    assert (batch_of(path).markets[0].row("price")[30] != one).any()


# --- no look-ahead


def test_future_prices_do_not_change_present_observations(tmp_path):
    """Two files that agree up to a day: observations, infos and the effect of trades agree until then."""
    price = prices(60, N)
    changed = price.copy()
    changed[41:] *= np.exp(0.5 * np.random.default_rng(5).standard_normal((19, N)))
    trajectories = []
    for name, content in (("a", price), ("b", changed)):
        path = write_wide(tmp_path / f"{name}.csv", np.minimum(content, 0.85))
        batch = placed(path, 30, 20)
        role = ReplayStaker(batch)
        rng = np.random.default_rng(2)
        trajectory = []
        for _ in range(15):
            actions = rng.uniform(-1, 1, (1, N + 2)).astype(np.float32)
            trajectory.append((role.observe(batch), role.info(batch)["wealth"]))
            batch.advance(role.apply(batch, actions), 1)
        trajectories.append(trajectory)
    for day, (one, two) in enumerate(zip(*trajectories, strict=True)):
        same = np.array_equal(one[0], two[0]) and np.array_equal(one[1], two[1])
        assert same == (30 + day <= 40), day


@pytest.mark.parametrize("value", [True, "5", b"5", np.str_("5")])
@pytest.mark.parametrize("name", ["n_subnets", "wealth_tao"])
def test_truth_values_and_texts_are_no_numbers(name, value):
    with pytest.raises(ConfigError, match=f"^{name}: got .*valid (integer|number)"):
        ReplayConfig.make({name: value})
