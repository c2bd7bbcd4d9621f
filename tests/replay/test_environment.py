"""`dtao_gym/Replay-v0`: Gymnasium's contract, equality of all interfaces, episodes and their infos."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import dtao_gym  # noqa: F401  registers the environment
from dtao_gym.envs.sb3 import MarketVecEnv
from dtao_gym.envs.single import SingleEnv
from dtao_gym.world.config import ConfigError

ID = "dtao_gym/Replay-v0"
SETTINGS = {"n_subnets": 5, "horizon_days": 6, "selection": "sample"}


def drawn(env, n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (n, *env.action_space.shape)).astype("f4")


@pytest.mark.filterwarnings("ignore:.*has no windows")  # the checker tries 'human' too
@pytest.mark.parametrize("render_mode", [None, "ansi", "rgb_array"])
def test_gymnasium_checker_passes(render_mode):
    if render_mode is not None:
        pytest.importorskip("matplotlib")
    made = gym.make(ID, render_mode=render_mode, **SETTINGS)
    check_env(made.unwrapped, skip_render_check=render_mode is None)


def test_rewards_add_up_to_log_growth_and_the_window_is_a_truncation():
    env = gym.make(ID, **SETTINGS)
    for episode in range(3):
        env.reset(seed=0 if episode == 0 else None)
        total = 0.0
        for k, action in enumerate(drawn(env, 6, episode)):
            _, reward, terminated, truncated, info = env.step(action)
            total += reward
            assert (terminated, truncated) == (False, k == 5)
        assert total == pytest.approx(np.log(info["wealth"] / 1000.0), rel=1e-12)


def test_info_names_the_day_and_the_subnets():
    env = gym.make(ID, **SETTINGS)
    _, info = env.reset(seed=4)
    _, _, _, _, later = env.step(drawn(env, 1)[0])
    first, second = (
        np.datetime64(f"{str(d)[:4]}-{str(d)[4:6]}-{str(d)[6:]}")
        for d in (info["date"], later["date"])
    )
    assert second - first == np.timedelta64(1, "D")
    assert info["netuid"].shape == info["spot_price"].shape == (5,)
    assert set(info) == {
        "day", "emission_hhi", "price_sum", "spot_price", "emission_share",
        "wealth", "root_tao", "traded_tao", "date", "netuid",
    }  # fmt: skip


def test_a_seed_names_an_episode():
    env, other = (gym.make(ID, **SETTINGS) for _ in range(2))
    one, info = env.reset(seed=7)
    other.reset(seed=1)
    two, again = other.reset(seed=7)
    np.testing.assert_array_equal(one, two)
    assert info["date"] == again["date"]
    env.reset()
    assert env.reset(seed=7)[1]["date"] == info["date"]
    dates = {env.reset(seed=s)[1]["date"] for s in range(30)}
    assert len(dates) > 15


def test_worlds_of_the_vector_and_of_stable_baselines_are_single_ones():
    n, seed = 3, 11
    envs = gym.make_vec(
        ID, n, vectorization_mode="vector_entry_point", autoreset_mode="SameStep", **SETTINGS
    )
    sb3 = MarketVecEnv(n, "replay", **SETTINGS)
    singles = [gym.make(ID, **SETTINGS) for _ in range(n)]
    obs, _ = envs.reset(seed=seed)
    sb3.seed(seed)
    np.testing.assert_array_equal(obs, sb3.reset())
    for k, env in enumerate(singles):
        np.testing.assert_array_equal(obs[k], env.reset(seed=seed + k)[0])
    for step in range(8):
        actions = drawn(singles[0], n, step)
        obs, reward, _, truncated, _ = envs.step(actions)
        sb_obs, sb_reward, done, infos = sb3.step(actions)
        np.testing.assert_array_equal(obs, sb_obs)
        np.testing.assert_array_equal(reward.astype("f4"), sb_reward)
        np.testing.assert_array_equal(truncated, done)
        for k, env in enumerate(singles):
            one, single_reward, _, ended, _ = env.step(actions[k])
            assert single_reward == reward[k]
            if ended:
                np.testing.assert_array_equal(infos[k]["terminal_observation"], one)
                one, _ = env.reset()
            np.testing.assert_array_equal(obs[k], one)


def test_decisions_may_be_days_apart():
    env = SingleEnv("replay", n_subnets=3, horizon_days=10, days_per_step=4)
    env.reset(seed=0)
    days = [env.step(action)[4]["day"] for action in drawn(env, 3)]
    assert days == [4, 8, 12]


@pytest.mark.parametrize("entry", [np.nan, 2.0, -np.inf])
def test_a_bad_action_is_refused_before_anything_changes(entry):
    env = SingleEnv("replay", **SETTINGS)
    env.reset(seed=0)
    action = drawn(env, 1)[0]
    action[3] = entry
    before = env.episodes.batch.state.copy()
    with pytest.raises(ValueError, match=r"action: got .* at world 0, entry 3"):
        env.step(action)
    np.testing.assert_array_equal(before.fields, env.episodes.batch.state.fields)


def test_parameters_of_simulated_worlds_are_unknown():
    with pytest.raises(ConfigError, match="era: unknown parameter"):
        gym.make(ID, era="launch")


def test_the_observation_shows_the_market_of_its_day():
    """Momentum, yields and prices of the first subnet, by hand."""
    env = SingleEnv("replay", **SETTINGS)
    obs, _ = env.reset(seed=2)
    batch = env.episodes.batch
    window = batch.windows[0]
    market, column = batch.markets[window.market], window.columns[0]
    price = market.row("price")[:, column]
    momentum = np.tanh(4.0 * np.log(price[window.first] / price[window.first - 20]))
    assert obs[2] == pytest.approx(momentum, abs=1e-6)
    rate = market.row("stake_yield")[window.first, column]
    assert obs[4] == pytest.approx(np.tanh(365.0 * rate), abs=1e-6)
    log_price = np.log(market.row("price")[window.first, window.columns])
    assert obs[7] == pytest.approx(np.tanh(0.5 * (log_price[0] - log_price.mean())), abs=1e-6)
