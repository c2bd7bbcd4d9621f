"""Scripted stakers: expressible, in bounds, and the same on a seed whatever else is in the batch."""

import numpy as np
import pytest

from agents.scripted import STAKERS, Follower, action_generators, in_proportion, subnet_feature
from dtao_gym.envs.roles import LOGIT_SCALE, SUBNET_FEATURES
from tests.agents.worlds import episodes

FOLLOWERS = [name for name, policy in STAKERS.items() if isinstance(policy, Follower)]


def after(days: int, seeds: list[int], policy, **parameters):
    """Worlds after some days of a policy, its last actions, and the sum of rewards."""
    worlds = episodes(seeds, **parameters)
    rngs = action_generators(worlds.batch)
    total = np.zeros(len(seeds))
    for _ in range(days):
        actions = policy(worlds.observe(), worlds.batch, rngs)
        total += worlds.step(actions)[0]
    return worlds, actions, total


def softmax_of(actions: np.ndarray) -> np.ndarray:
    """Target weights that actions stand for, root first."""
    scaled = np.exp(LOGIT_SCALE * actions[:, :-1].astype(float))
    return scaled / scaled.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("name", FOLLOWERS)
def test_weights_of_every_baseline_are_expressible(name):
    worlds, _, _ = after(15, [0, 1, 2], STAKERS[name])
    observation = worlds.observe()
    weights = STAKERS[name].weights(observation, worlds.batch)
    actions = STAKERS[name](observation, worlds.batch, [])
    np.testing.assert_allclose(weights.sum(axis=1), 1.0)
    np.testing.assert_allclose(softmax_of(actions), weights, atol=1e-3)


@pytest.mark.parametrize("name", STAKERS)
def test_actions_have_the_shape_type_and_bounds_of_the_space(name):
    worlds, actions, _ = after(3, [5, 6], STAKERS[name])
    space = worlds.role.action_space
    assert actions.dtype == space.dtype
    assert all(space.contains(action) for action in actions)


@pytest.mark.parametrize("name", STAKERS)
def test_a_seed_plays_the_same_alone_and_in_a_batch(name):
    _, actions, total = after(6, [3, 7, 11], STAKERS[name])
    _, alone, alone_total = after(6, [11], STAKERS[name])
    np.testing.assert_array_equal(alone[0], actions[2])
    assert alone_total[0] == total[2]


def test_random_actions_differ_between_seeds_and_episodes():
    worlds = episodes([3, 4])
    first = STAKERS["random"](worlds.observe(), worlds.batch, action_generators(worlds.batch))
    worlds.reset(0)
    second = STAKERS["random"](worlds.observe(), worlds.batch, action_generators(worlds.batch))
    assert not np.array_equal(first[0], first[1])
    assert not np.array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])


def test_all_root_never_trades():
    worlds, _, _ = after(10, [0], STAKERS["all_root"])
    assert not worlds.batch.state.section("learner_alpha").any()
    assert worlds.batch.state.learners["traded"][0, 0] == 0.0


def test_market_weights_are_the_shares_of_tao_in_the_pools():
    worlds = episodes([0])
    reserve = worlds.batch.state.row("tao_reserve")
    weights = STAKERS["market_weight"].weights(worlds.observe(), worlds.batch)
    np.testing.assert_allclose(weights[0, 1:], reserve[0] / reserve[0].sum())
    assert weights[0, 0] == 0.0


def test_equal_weight_reaches_equal_holdings():
    worlds, _, _ = after(20, [0], Follower(STAKERS["equal_weight"].weights, 1.0))
    own = 0.5 * (subnet_feature(worlds.observe(), "own_weight") + 1.0)
    np.testing.assert_allclose(own, 0.25, atol=0.01)


def test_scores_without_a_positive_one_mean_root():
    np.testing.assert_array_equal(in_proportion(np.array([[-1.0, 0.0]])), [[1.0, 0.0, 0.0]])
    np.testing.assert_array_equal(in_proportion(np.array([[-1.0, 2.0]])), [[0.0, 0.0, 1.0]])


@pytest.mark.parametrize(
    ("name", "feature"), [("momentum", "momentum_long"), ("value", "signal_value")]
)
def test_followers_of_a_feature_hold_what_it_favours(name, feature):
    worlds, _, _ = after(10, [0, 1, 2], STAKERS["all_root"])
    observation = worlds.observe()
    scores = subnet_feature(observation, feature)
    weights = STAKERS[name].weights(observation, worlds.batch)[:, 1:]
    assert (scores > 0.0).any()
    np.testing.assert_array_equal(weights > 0.0, scores > 0.0)


def test_yield_chaser_holds_the_best_quarter():
    observation = np.zeros((1, 8 * len(SUBNET_FEATURES) + 6), np.float32)
    observation[0, SUBNET_FEATURES.index("stake_yield") :: len(SUBNET_FEATURES)][:8] = [
        1,
        5,
        2,
        7,
        3,
        0,
        4,
        6,
    ]
    weights = STAKERS["yield_chaser"].weights(observation, None)
    np.testing.assert_array_equal(weights[0], [0, 0, 0, 0, 0.5, 0, 0, 0, 0.5])


def test_speed_is_per_day_however_long_a_step_is():
    worlds = episodes([0], days_per_step=7)
    action = STAKERS["equal_weight"](worlds.observe(), worlds.batch, [])
    assert 0.5 * (action[0, -1] + 1.0) == pytest.approx(1.0 - 0.9**7)
