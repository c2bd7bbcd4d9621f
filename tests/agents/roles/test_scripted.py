"""Scripted stakers: expressible, in bounds, and the same on a seed whatever else is in the batch."""

import numpy as np
import pytest
from dtao_agents.roles.scripted import (
    BUILDERS,
    STAKERS,
    Follower,
    action_generators,
    constant,
    in_proportion,
    kernel_logit,
    kernel_shares,
    myopic_shares,
    subnet_feature,
)

from dtao_gym.envs.builder.actions import BUDGET_LOGIT_SCALE as BUILDER_LOGITS
from dtao_gym.envs.staker.observation import SUBNET_FEATURES
from dtao_gym.envs.staker.role import LOGIT_SCALE
from dtao_gym.world.config import Config
from tests.agents.worlds import FEE_ARM, builder_episodes, episodes

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
    assert not worlds.batch.state.section("staker_alpha").any()
    assert worlds.batch.state.stakers["traded"][0, 0] == 0.0


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


# --- builders


def shares_of(actions: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-BUILDER_LOGITS * actions[:, -1].astype(float)))


@pytest.mark.parametrize("name", BUILDERS)
@pytest.mark.parametrize("env", [FEE_ARM, {"n_subnets": 3, "influence": True}])
def test_builders_act_within_the_space_and_alike_in_every_batch(name, env):
    worlds, alone = builder_episodes([3, 7], **env), builder_episodes([7], **env)
    made = [
        BUILDERS[name](w.observe(), w.batch, action_generators(w.batch)) for w in (worlds, alone)
    ]
    space = worlds.role.action_space
    assert made[0].dtype == space.dtype
    assert all(space.contains(action) for action in made[0])
    np.testing.assert_array_equal(made[0][1], made[1][0])


@pytest.mark.parametrize(
    ("name", "share"), [("all_short", 0.002), ("all_long", 0.998), ("half", 0.5), ("kernel", 0.5),
                        ("myopic", 0.002), ("as_configured", 0.3)]
)  # fmt: skip
def test_builders_divide_as_their_names_say(name, share):
    worlds = builder_episodes([0, 1], **FEE_ARM)
    actions = BUILDERS[name](worlds.observe(), worlds.batch, [])
    np.testing.assert_allclose(shares_of(actions), share, atol=1e-6)
    worlds.step(actions)
    np.testing.assert_allclose(worlds.batch.state.row("research_share")[:, 0], share, atol=1e-6)


def test_spending_and_sales_stay_as_configured():
    worlds = builder_episodes([0], n_subnets=3, spend_rate=0.07, owner_sale_fraction=0.4)
    worlds.step(constant(0.6)(worlds.observe(), worlds.batch, []))
    state = worlds.batch.state
    assert state.row("spend_rate")[0, 0] == pytest.approx(0.07)
    assert state.row("owner_sale_fraction")[0, 0] == pytest.approx(0.4)
    assert state.row("research_share")[0, 0] == pytest.approx(0.6, abs=1e-6)


def test_closed_forms_are_those_of_the_kernel():
    fee = Config.make(payment="fee")
    assert kernel_shares(fee)[0] == pytest.approx(0.5, abs=1e-9)
    for days, share in ((30, 0.5448), (360, 0.4480)):
        assert kernel_shares(Config.make(fee, delay_days=days))[0] == pytest.approx(share, abs=5e-5)
    assert kernel_logit(Config.make(fee, builder_discount_per_year=0.6)) == pytest.approx(
        np.log(0.113517 / (1 - 0.113517)), abs=1e-4
    )
    # a market of the uninformed pays for hype, and for influence
    assert kernel_shares(Config.make())[0] == pytest.approx(4 / 13)
    assert kernel_shares(Config.make(influence=True)) == pytest.approx((4 / 13, 1 / 14))


@pytest.mark.parametrize(
    ("days", "share"), [(90, 9.449e-5), (180, 0.003921), (360, 0.059403), (720, 0.246044), (1440, 0.426262)]
)  # fmt: skip
def test_myopic_share_is_the_best_for_a_payoff_cut_off(days, share):
    assert myopic_shares(Config.make(payment="fee"), days)[0] == pytest.approx(share, rel=1e-4)


@pytest.mark.parametrize("delay", [0.0, 3.0, 720.0])
def test_who_looks_far_enough_is_not_myopic(delay):
    config = Config.make(payment="fee", delay_days=delay, influence=True)
    assert myopic_shares(config, 20_000) == pytest.approx(kernel_shares(config), rel=1e-4)
