"""Rivals of the builder: their policies, observations, and actions."""

import math

import numpy as np
import pytest

from dtao_gym.envs.builder.actions import builder_action
from dtao_gym.envs.builder.rivals import Rivals
from tests.envs.builder.builder_worlds import TWINS, features, start


def test_rivals_may_follow_a_policy(same):
    """Each rival observes the world from its own slot, without private state of the agent."""
    observations = []

    def policy(observation, batch, rngs):
        observations.append(observation)
        return np.tile(builder_action(batch.configs[0], 0.8), (len(observation), 1))

    env, plain = start(builder_slot=1, n_subnets=3), start(builder_slot=1, n_subnets=3)
    env.episodes.rivals = Rivals(policy)
    env.step(builder_action(env.config, 0.4))
    plain.step(builder_action(env.config, 0.4))
    state = env.episodes.batch.state
    np.testing.assert_allclose(state.row("research_share")[0], [0.8, 0.4, 0.8], atol=1e-6)
    assert [len(observation) for observation in observations] == [2]
    first = features(observations[0][0], 3)
    treasury = math.tanh(150.0 / 1000.0)
    assert first["own_treasury"] == pytest.approx(treasury)
    assert first["own_ability"] == pytest.approx(min(state.row("ability")[0, 0] / 5, 1), abs=1e-6)
    short = [w.episodes.batch.state.row("short_stock")[0] for w in (env, plain)]
    assert (short[0][[0, 2]] < short[1][[0, 2]]).all()
    assert short[0][1] == short[1][1]


def test_policies_of_rivals_change_the_rewards_of_the_agent():
    """Rivals with the largest research share lead to other prices than rivals with the smallest."""
    totals = []
    for logit in (-1.0, 1.0):
        env = start(horizon_days=300)
        env.episodes.rivals = Rivals(
            lambda obs, batch, rngs, x=logit: np.tile(np.float32([0, x, 0, 1]), (len(obs), 1))
        )
        totals.append(sum(env.step(np.zeros(4))[1] for _ in range(100)))
    assert totals[0] != totals[1]


def constant(action):
    return lambda obs, batch, rngs: np.tile(np.asarray(action, np.float32), (len(obs), 1))


def test_a_rival_has_the_observation_of_an_agent_in_its_slot(same, rng):
    env, other = start(horizon_days=50), start(horizon_days=50, builder_slot=2)
    for _ in range(10):
        batch = env.episodes.batch
        assert same(env.episodes.role.observe(batch, np.array([2])), other.episodes.observe())
        drawn = rng.uniform(-1, 1, 4)
        # both worlds get the same decisions in both slots
        env.episodes.rivals = lambda b, r, a=drawn: r.apply(
            b, np.float32(a)[None], slots=np.array([2])
        )
        other.episodes.rivals = lambda b, r, a=drawn: r.apply(
            b, np.float32(-a)[None], slots=np.array([0])
        )
        env.step(-drawn), other.step(drawn)


@pytest.mark.parametrize("overrides", [{}, TWINS], ids=["plain", "twins"])
def test_rivals_follow_their_policy_and_the_agent_its_own(overrides):
    env = start(**overrides)
    env.episodes.rivals = Rivals(constant([1.0, 0.0, 0.0, -1.0]))
    info = env.step(np.float32([-1.0, 0.5, 0.0, 1.0]))[4]
    state = env.episodes.batch.state
    for world in range(state.n_worlds):
        np.testing.assert_allclose(state.row("spend_rate")[world, 1:], 0.2)
        np.testing.assert_allclose(state.row("research_share")[world, 1:], 0.5)
        np.testing.assert_array_equal(state.row("owner_sale_fraction")[world, 1:], 0.0)
    assert (info["spend_rate"], info["owner_sale_fraction"]) == (0.0, 1.0)
    if env.config.twin_world:
        assert state.row("spend_rate")[1, 0] == env.config.spend_rate


def test_without_a_policy_rivals_keep_the_configured_decisions(rng, play):
    env = start(research_share=0.4, spend_rate=0.05)
    play(env, rng, 5)
    state = env.episodes.batch.state
    assert (state.row("research_share")[0, 1:] == 0.4).all()
    assert (state.row("spend_rate")[0, 1:] == 0.05).all()


def test_the_policy_of_rivals_is_called_once_per_step_for_all_other_slots(same):
    env, asked = start(), []

    def policy(obs, batch, rngs):
        asked.append(obs)
        return np.zeros((len(obs), 4), np.float32)

    env.episodes.rivals = Rivals(policy)
    wanted = [env.episodes.role.observe(env.episodes.batch, np.array([slot])) for slot in (1, 2, 3)]
    env.step(np.zeros(4))
    assert same(asked, [np.concatenate(wanted)])


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        (np.full((3, 4), np.nan, np.float32), "action: got nan"),
        (np.zeros((3, 3), np.float32), r"action: got shape \(3, 3\), allowed is \(rows, 4\)"),
        (np.zeros((2, 4), np.float32), "actions of rivals: got 2 rows, allowed are 3"),
    ],
    ids=["not a number", "too short", "too few"],
)
def test_bad_actions_of_rivals_are_refused_and_change_nothing(actions, message, state_bytes):
    env = start()
    before = state_bytes(env.episodes)
    env.episodes.rivals = Rivals(lambda obs, batch, rngs: actions)
    with pytest.raises(ValueError, match=message):
        env.step(np.ones(4))
    assert state_bytes(env.episodes) == before
