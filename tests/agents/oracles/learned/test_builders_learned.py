"""A builder in the engine, learned in short versions."""

import numpy as np
import pytest
from dtao_agents.oracles.learned import builders
from dtao_agents.oracles.learned.builders import BuilderCemSettings, market_config
from dtao_agents.oracles.learned.runs import run
from dtao_agents.oracles.learned.settings import configured, read
from dtao_agents.roles.builder_policies import constant
from dtao_agents.roles.episodes import started_episodes

CALIBRATION = read(configured()["calibration"])
INFLUENCE = read(configured()["O24"])


def test_the_shares_of_a_policy_are_those_it_plays():
    world = CALIBRATION.parameters | {"horizon_cap_days": 70}
    shares = builders.learned_shares(constant(0.3), market_config(world), 2)
    assert shares == {"research": pytest.approx(0.3, abs=1e-6), "influence": 0.0}


def test_parts_of_the_budget_include_influence():
    config = market_config(INFLUENCE.parameters | {"horizon_cap_days": 70})
    action = builders.builder_action(config, 0.4, 0.2)
    shares = builders.learned_shares(
        lambda obs, batch, rngs: np.tile(action, (len(obs), 1)), config, 2
    )
    assert shares["influence"] == pytest.approx(0.2, abs=1e-6)
    assert shares["research"] == pytest.approx(0.4, abs=1e-6)


def test_features_of_the_feedback_are_the_builders_own():
    episodes = started_episodes("builder", market_config(CALIBRATION.parameters), range(3))
    features = builders.feedback_features(episodes.observe(), 2)
    state, me = episodes.batch.state, episodes.role.slots[0]
    expected = np.tanh(state.row("short_stock")[:3, me] / 50.0)
    np.testing.assert_allclose(features[:, 0], expected, atol=1e-6)
    np.testing.assert_allclose(
        features[:, 3], np.minimum(state.row("ability")[:3, me] / 5.0, 1.0), atol=1e-6
    )


def test_the_search_finds_the_fee_arms_optimum_from_afar():
    search = BuilderCemSettings(
        generations=10, population=16, worlds=2, days=182, initial_sd=0.25, noise_floor=0.04
    )
    world = CALIBRATION.parameters | {"reward_noise": False}
    found = builders.learn_by_cem(world, search, 0.1, 0, 2)["research"]
    assert abs(np.log(found / (1.0 - found))) < 0.4  # a short run


@pytest.mark.slow
@pytest.mark.parametrize("settings", [CALIBRATION, INFLUENCE], ids=["calibration", "influence"])
def test_short_versions_hold(settings):
    for each in run(settings.shortened(), lambda text: None):
        assert each.check.ok, each.record()


@pytest.mark.slow
def test_ppo_moves_towards_the_optimum():
    """The full run takes a minute; half of it goes more than half of the way from .1, in log-odds.

    In the market of spring 2026 a quarter of it goes 49 % of the way.
    """
    short = CALIBRATION.ppo | {"total_timesteps": 262_144}
    found = builders.learn_by_ppo(CALIBRATION.parameters, short, 0.1, 0, 4)["research"]
    left = abs(np.log(found / (1.0 - found)))
    assert left < 0.5 * np.log(9.0)
