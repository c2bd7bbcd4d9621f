"""Back-tests: known answers, pairing, intervals, credible claims; figures of the real paths."""

import numpy as np
import pytest
from dtao_agents.evaluation.replay import REPLAY_POLICIES

import dtao_gym
from dtao_gym.backtesting import (
    HOLD,
    IMPACTS,
    ROOT,
    Backtest,
    PolicyGrowth,
    block_bootstrap,
    buy_and_hold,
    consecutive,
    stay_in_root,
)
from dtao_gym.envs.staker.role import target_action
from dtao_gym.replay.config import ReplayConfig
from dtao_gym.world.config import ConfigError
from tests.replay.paths import prices, write_wide

SPRING, SUMMER = ("2025-03-14", "2025-05-30"), ("2025-05-31", "2025-08-30")
NEXT_SPRING = ("2026-03-29", "2026-05-03")


def test_benchmarks_equal_the_same_policies_by_other_names():
    result = dtao_gym.backtest(
        {"nothing": stay_in_root, "held": buy_and_hold}, n_subnets=3, windows=[NEXT_SPRING]
    )
    for impact in IMPACTS:
        played = result.played[impact]
        np.testing.assert_array_equal(played["nothing"].growth[0], played[ROOT].growth[0])
        np.testing.assert_array_equal(played["held"].growth[0], played[HOLD].growth[0])
    difference = result.growth("nothing", less=ROOT)
    assert difference == (0.0, 0.0, 0.0)
    assert result.windows == [NEXT_SPRING]
    assert result.days == 35


def test_figures_of_the_real_paths():
    """1,000 TAO in the 16 largest subnets, close to the results of a separate NumPy program on the same days.

    Its results: +.27, -.67, -.11 for buy-and-hold, +1.25, -.57, -.09 for a week's momentum, +.03, +.02, +.01 for root, with
    its own yields. The last momentum differs here (+.15), where the pools of 2026 are taken from the captures.
    """
    result = dtao_gym.backtest(
        {"momentum_7d": REPLAY_POLICIES["momentum_7d"]}, windows=[SPRING, SUMMER, NEXT_SPRING]
    )
    played = result.played["recovering"]
    np.testing.assert_allclose(played[ROOT].total, [0.033, 0.020, 0.006], atol=0.004)
    np.testing.assert_allclose(played[HOLD].total, [0.27, -0.65, -0.07], atol=0.03)
    np.testing.assert_allclose(played["momentum_7d"].total[:2], [1.25, -0.57], atol=0.03)
    # a sale undoes a purchase where impact is permanent
    assert result.played["permanent"]["momentum_7d"].total[0] > played["momentum_7d"].total[0]
    assert played[HOLD].turnover == pytest.approx([1.0] * 3, abs=0.01)
    assert not result.credible("momentum_7d")


def test_all_usable_days_are_played_once():
    config = ReplayConfig.make(horizon_days=91)
    played_days = [
        (w.market, day) for w, days in consecutive(config) for day in range(w.first, w.first + days)
    ]
    assert len(played_days) == len(set(played_days)) == (198 - 21) + (56 - 21)
    config = ReplayConfig.make(config, split="evaluation", split_date="2025-06-30")
    first, days = consecutive(config)[0]
    dates = config.markets()[0].dates
    assert str(dates[first.first]) == "2025-06-30"
    assert str(dates[first.first + days]) == "2025-08-31"


def test_results_of_a_window_do_not_depend_on_other_windows():
    whole = dtao_gym.backtest(REPLAY_POLICIES["momentum"], windows=[SPRING, SUMMER])
    alone = dtao_gym.backtest(REPLAY_POLICIES["momentum"], windows=[SUMMER])
    for impact in IMPACTS:
        one, two = (b.played[impact]["policy"].growth[-1] for b in (whole, alone))
        np.testing.assert_array_equal(one, two)


def test_a_users_prices_can_be_used(tmp_path):
    path = write_wide(tmp_path / "mine.csv", prices(80, 3))
    all_in = lambda obs, batch, rngs: target_action(np.ones((len(obs), 4)))  # noqa: E731
    result = dtao_gym.backtest(all_in, prices=str(path), n_subnets=3, horizon_days=30)
    assert [len(days) for days in result.played["recovering"]["policy"].growth] == [30, 29]
    assert list(result.counts) == [str(path)]


# --- intervals and claims


def test_the_interval_of_independent_days_is_that_of_a_sum():
    days = np.random.default_rng(0).normal(0.001, 0.02, 400)
    interval = block_bootstrap([days[:250], days[250:]], block_days=5)
    assert interval.value == pytest.approx(days.sum())
    se = (interval.high - interval.low) / (2 * 1.96)
    assert se == pytest.approx(0.02 * np.sqrt(400), rel=0.15)


def test_blocks_keep_what_lasts_several_days():
    rng = np.random.default_rng(0)
    days = np.repeat(rng.normal(0.0, 0.02, 60), 8)
    narrow, wide = (block_bootstrap([days], block_days=n) for n in (1, 16))
    assert wide.high - wide.low > 1.8 * (narrow.high - narrow.low)


def test_an_interval_has_its_nominal_coverage():
    rng = np.random.default_rng(3)
    inside = 0
    for _ in range(200):
        interval = block_bootstrap([rng.normal(0.0, 1.0, 120)], block_days=5)
        inside += interval.low < 0.0 < interval.high
    assert 0.88 < inside / 200 < 0.99


def test_bad_days_are_refused():
    for windows in ([], [np.array([0.1])], [np.array([0.1, np.nan])]):
        with pytest.raises(ValueError, match="windows: got"):
            block_bootstrap(windows)


def synthetic(gain: float, unseen: bool) -> Backtest:
    rng = np.random.default_rng(0)
    market = [rng.normal(0.0, 0.01, 100) for _ in range(2)]
    zero = [np.zeros(100), np.zeros(100)]
    mine = [days * 0.1 + gain for days in market]
    players = {"policy": PolicyGrowth(mine, [1.0, 1.0]), ROOT: PolicyGrowth(zero, [0.0, 0.0])}
    players[HOLD] = PolicyGrowth(market, [1.0, 1.0])
    dates = [("2025-03-01", "2025-06-09"), ("2025-06-09", "2025-09-17")]
    return Backtest(dates, dict.fromkeys(IMPACTS, players), unseen, 10, {})


def test_a_claim_needs_both_bounds_and_unseen_days():
    assert synthetic(0.01, True).credible("policy")
    assert not synthetic(0.01, False).credible("policy")
    assert not synthetic(0.0, True).credible("policy")
    worse_than_root = synthetic(-0.01, True)
    assert not worse_than_root.credible("policy")


def test_a_claim_needs_both_kinds_of_impact():
    good, bad = synthetic(0.01, True), synthetic(-0.01, True)
    mixed = {IMPACTS[0]: good.played[IMPACTS[0]], IMPACTS[1]: bad.played[IMPACTS[1]]}
    assert not Backtest(good.windows, mixed, True, 10, {}).credible("policy")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"windows": [("2025-03-15", "2025-12-01")]}, "windows: got 2025-03-15 to 2025-12-01"),
        ({"windows": [("2025-02-20", "2025-04-01")]}, "windows: got 2025-02-20"),
        ({"windows": [("soon", "later")]}, "windows: got soon to later"),
        ({"block_days": 0}, "block_days: got 0"),
        ({"horizon_days": 0}, "horizon_days: got 0"),
        ({"first_date": "2027-01-01"}, "no window, allowed are dates of the prices"),
        ({"n_subnets": 128}, "n_subnets: got 128, allowed are 1 to"),
    ],
)
def test_bad_arguments_are_clear_errors(arguments, message):
    with pytest.raises(ConfigError) as error:
        dtao_gym.backtest(stay_in_root, **arguments)
    assert message in str(error.value)


def test_names_of_the_benchmarks_are_reserved():
    with pytest.raises(ConfigError, match="policies: got 'hold'"):
        dtao_gym.backtest({"hold": stay_in_root})


def test_an_error_locates_a_bad_action():
    with pytest.raises(ValueError, match=r"action: got nan at world 0, entry 0"):
        dtao_gym.backtest(lambda obs, batch, rngs: np.full((len(obs), 18), np.nan))
