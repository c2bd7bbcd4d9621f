"""The twin world of a builder: rewards relative to it, and features of the lead over it."""

import numpy as np
import pytest

from dtao_gym.envs.builder.actions import builder_action
from dtao_gym.envs.builder.twin import TWIN_FEATURES
from dtao_gym.envs.vector import MarketVectorEnv
from tests.envs.builder.builder_worlds import FEE_ARM, FEES, TWINS, start

TWIN = FEE_ARM | {"days_per_step": 7, "builder_decides": "composition", "n_subnets": 2}


def test_a_twin_subtracts_the_reward_of_the_scripted_builder(rng):
    """Under any actions: the level of rewards shifts, differences and the optimal policy do not."""
    twin, plain, scripted = (
        MarketVectorEnv(20, "builder", **TWIN, twin_world=with_twin, horizon_days=70)
        for with_twin in (True, False, False)
    )
    for envs in (twin, plain, scripted):
        envs.reset(seed=5)
    as_configured = np.tile(builder_action(plain.episodes.config), (20, 1))
    for _ in range(25):
        drawn = rng.uniform(-1, 1, (20, 1)).astype(np.float32)
        mine, own, theirs = twin.step(drawn), plain.step(drawn), scripted.step(as_configured)
        # actions are float32, and the share of the configuration is not
        np.testing.assert_allclose(mine[1], own[1] - theirs[1], atol=1e-6)
        np.testing.assert_array_equal(mine[0][:, : -len(TWIN_FEATURES)], own[0])
        np.testing.assert_array_equal(mine[2:4], own[2:4])
    assert twin.episodes.batch.audit().ok


def test_reward_with_a_twin_is_the_difference_to_its_consumption(rng):
    """The twin is the world in which every decision is as configured."""
    env, plain, alone = start(**TWINS), start(pruning=False), start(pruning=False)
    n = plain.observation_space.shape[0]
    for _ in range(12):
        action = rng.uniform(-1, 1, 4)
        before = alone.episodes.info()["consumed"][0]
        alone.episodes.batch.step()
        consumed = (alone.episodes.info()["consumed"][0] - before) / alone.config.consumption_scale_tao  # fmt: skip
        obs, reward, *_ = env.step(action)
        wanted, own_reward, *_ = plain.step(action)
        assert (obs[:n] == wanted).all()
        assert reward == pytest.approx(own_reward - consumed, abs=1e-12)
        for k, (name, scale) in enumerate((("short_stock", 20), ("knowledge", 50))):
            lead = plain.episodes.info()[name][0] - alone.episodes.info()[name][0]
            assert obs[n + k] == pytest.approx(lead / scale, abs=1e-6)
        pipes = [e.episodes.batch.state.section("pipeline")[0, :, 0] for e in (plain, alone)]
        np.testing.assert_allclose(obs[n + 2 : n + 5], (pipes[0] - pipes[1]) / 5, atol=1e-6)
    assert n + len(TWIN_FEATURES) == obs.size


@pytest.mark.parametrize(
    "overrides", [{}, FEES, FEES | {"reward_noise": True, "terminal_value": True}]
)
def test_playing_like_the_twin_earns_exactly_zero(overrides):
    """Equal play gives exact zeros, since a research share of one half is exact in float32."""
    settings = TWINS | {"builder_decides": "composition", "research_share": 0.5, "horizon_days": 10}
    env = start(**settings, **overrides)
    for _ in range(10):
        obs, reward, *_ = env.step(np.zeros(1))
        assert reward == 0.0
        assert not obs[-len(TWIN_FEATURES) :].any()


def test_a_twin_cancels_equal_play_and_reduces_the_spread_of_other_rewards():
    settings = TWIN | {"twin_world": True, "reward_noise": True, "horizon_days": 2000}
    plain = TWIN | {"reward_noise": True, "horizon_days": 2000}
    twin, alone = (
        MarketVectorEnv(64, "builder", **settings),
        MarketVectorEnv(64, "builder", **plain),
    )
    twin.reset(seed=0), alone.reset(seed=0)
    config = alone.episodes.config
    for _ in range(30):
        obs, reward, *_ = twin.step(np.tile(builder_action(config), (64, 1)))
    np.testing.assert_allclose(reward, 0.0, atol=1e-5)
    np.testing.assert_allclose(obs[:, -len(TWIN_FEATURES) :], 0.0, atol=1e-5)
    twin.reset(seed=0)
    other = np.tile(builder_action(config, 0.5), (64, 1))
    for _ in range(200):
        with_twin, without = twin.step(other)[1], alone.step(other)[1]
    assert with_twin.std() < 0.4 * without.std()


def test_info_describes_the_world_of_the_agent_and_not_its_twin(same):
    env, plain = start(**TWINS), start(pruning=False)
    action = np.float32([0.5, 0.9, 0.0, 0.1])
    for _ in range(5):
        assert same(env.step(action)[4], plain.step(action)[4])


def test_lead_features_are_differences_to_the_stocks_of_the_twin(rng):
    env = start(**TWIN, twin_world=True)
    for _ in range(40):
        obs = env.step(np.ones(1))[0]
    state, lead = env.episodes.batch.state, obs[-len(TWIN_FEATURES) :]
    assert state.n_worlds == 2
    stages = state.section("pipeline")[:, :, 0]
    wanted = [
        *np.diff(state.row("short_stock")[:, 0]) / -20,
        *np.diff(state.row("knowledge")[:, 0]) / -50,
    ]
    np.testing.assert_allclose(lead[:5], [*wanted, *(stages[0] - stages[1]) / 5], atol=1e-7)
    assert lead[0] < 0.0 < lead[1]


def test_a_twin_adds_its_features_to_the_observation():
    assert start(**TWINS).observation_space.shape == (50 + len(TWIN_FEATURES),)
