"""The gate: moments of a simulated market, the J statistic, and errors."""

import numpy as np
import pytest

from dtao_gym.realism import GATES, MOMENTS, PERIODS, Panel, observed_panel, realism_gate
from dtao_gym.realism.gate import (
    PRESETS,
    compare,
    counted_moments,
    j_statistic,
    observed_estimate,
    read_config,
    thin_panel,
    weighting,
)
from dtao_gym.realism.panel import simulated_panels
from dtao_gym.realism.report import as_dict, from_dict
from dtao_gym.world.config import Config, ConfigError

OLD_MARKET = {
    "news_sd": 0.0,
    "trade_speed": 0.05,
    "momentum": 0.1,
    "signal_gain": 1.0,
    "readers_ahead": False,
    "opinion_noise_sd": 0.3,
    "opinion_noise_half_life_days": 20.0,
    "max_trade_of_pool": 0.25,
    "max_purse_use": 0.2,
    "mean_one_opinions": False,
    "prior_half_life_days": 0.0,
    "settled_alpha": 0.0,
    "portfolio_days": 1e9,
    "scarcity_elasticity": 0.0,
    "insider_holding_days": 1e9,
}
"""A market whose stakers close gaps slowly, so that prices are easy to predict."""


@pytest.fixture(scope="module")
def old():
    return realism_gate(PRESETS["quickstart"] | OLD_MARKET, worlds=4)


def test_a_slow_market_fails_where_it_is_predictable(old):
    assert not old.passed
    assert {"ic_1_1", "variance_ratio_5", "variance_ratio_20", "autocorrelation_1"} <= set(
        old.failed
    )
    # as measured before on this market: 0.66, 3.4, 8.1, 0.66
    assert old.moments["autocorrelation_1"].simulated == pytest.approx(0.66, abs=0.03)
    assert old.moments["variance_ratio_5"].simulated == pytest.approx(3.4, abs=0.15)
    assert old.moments["variance_ratio_20"].simulated == pytest.approx(8.1, abs=0.7)
    assert old.moments["ic_1_1"].simulated == pytest.approx(0.66, abs=0.04)
    assert old.j > 100.0


def test_the_chain_passes_its_own_gate():
    """With the chain's panels as simulated ones every z and J are zero."""
    panel = observed_panel("spring-2026")
    comparison = compare([panel, panel], "spring-2026", 0)
    assert comparison.passed
    assert comparison.j == pytest.approx(0.0, abs=1e-9)
    assert comparison.moments["kurtosis"].z == pytest.approx(0.0)
    assert set(comparison.moments) == set(MOMENTS)
    assert set(GATES) <= set(MOMENTS)


@pytest.mark.parametrize("period", PERIODS)
def test_j_is_a_squared_distance_in_units_of_sampling_error(period):
    real = observed_estimate(period)
    matrix = weighting(real)
    counted = counted_moments(real)
    assert len(counted) == 19
    assert np.linalg.eigvalsh(matrix[np.ix_(counted, counted)]).min() > 0.0
    assert j_statistic(real.value, real, matrix) == 0.0
    rng = np.random.default_rng(0)
    scale = np.sqrt(np.diag(real.covariance)[counted])
    correlation = real.covariance[np.ix_(counted, counted)] / np.outer(scale, scale)
    draws = rng.multivariate_normal(np.zeros(19), correlation, 300) * scale
    values = []
    for draw in draws:
        moved = real.value.copy()
        moved[counted] += draw
        values.append(j_statistic(moved, real, matrix))
    assert np.mean(values) == pytest.approx(19.0, rel=0.35)  # shrunk correlations
    moved = real.value.copy()
    moved[0] = np.nan
    assert j_statistic(moved, real, matrix) == np.inf


def test_simulated_panels_have_the_days_of_the_period_and_are_those_of_their_seed():
    config = Config.make(PRESETS["quickstart"])
    first = simulated_panels(config, 30, n_worlds=2, seed=5, burn_in=3)
    again = simulated_panels(config, 30, n_worlds=1, seed=6, burn_in=3)
    assert len(first) == 2
    assert first[0].price.shape[0] == 30
    np.testing.assert_array_equal(first[1].price, again[0].price)
    assert first[0].tao is not None
    assert np.isfinite(first[0].price[:, :10]).all()
    longer = simulated_panels(config, 31, n_worlds=1, seed=6, burn_in=2)
    columns = again[0].price.shape[1]
    np.testing.assert_array_equal(longer[0].price[1:, :columns], again[0].price)


def test_wide_panels_are_thinned_to_the_number_of_the_chains():
    price = np.tile(np.arange(1.0, 129.0) / 1000.0, (30, 1))
    few = thin_panel(Panel(price, price), 48)
    assert few.price.shape == (30, 48)
    assert few.price[0, 0] == 0.001
    assert few.price[0, -1] == 0.128
    assert thin_panel(few, 48) is few


def test_numbers_survive_json(old):
    again = from_dict(as_dict(old))
    assert again.failed == old.failed
    assert as_dict(again) == as_dict(old)


def test_worlds_of_a_training_file_are_read_from_its_env(tmp_path):
    file = tmp_path / "train.yaml"
    file.write_text("total_timesteps: 1000\nenv:\n  n_subnets: 12\n")
    assert read_config(file).n_subnets == 12
    file.write_text("n_subnets: 11\n")
    assert read_config(str(file)).n_subnets == 11
    assert read_config("quickstart").n_subnets == 16
    assert read_config("default") == Config.make()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"config": "nowhere.yaml"}, "config: got 'nowhere.yaml', allowed are a YAML file and def"),
        ({"config": {"era": "pre_dtao"}}, "era: got 'pre_dtao', allowed are eras with pools"),
        ({"period_name": "autumn"}, "period: got 'autumn', allowed are spring-2026, summer-2025"),
        ({"worlds": 0}, "worlds: got 0, allowed is 1 or more"),
        ({"burn_in": -1}, "burn_in: got -1, allowed is 0 or more"),
        ({"config": {"news": 1}}, "news: unknown parameter"),
    ],
)
def test_bad_input_is_refused_in_one_line(arguments, message):
    with pytest.raises(ConfigError, match=message) as caught:
        realism_gate(**arguments)
    assert "\n" not in str(caught.value)
