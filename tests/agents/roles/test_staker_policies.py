"""Policies of stakers: expressible, in bounds, the same on a seed in every batch; exploits, and their limits."""

import numpy as np
import pytest
from dtao_agents.evaluation.evaluate import evaluation_config, play
from dtao_agents.roles.policies import action_generators
from dtao_agents.roles.staker_policies import (
    EXPLOITS,
    SCRIPTED,
    RoundTrip,
    TargetWeights,
    depth,
    in_proportion,
    subnet_feature,
)

from dtao_gym.envs.staker.observation import GLOBAL_FEATURES, SUBNET_FEATURES
from dtao_gym.envs.staker.role import LOGIT_SCALE
from dtao_gym.world.config import Config
from dtao_gym.world.config_people import PREDICTABLE
from tests.agents.worlds import WORLD, episodes

PORTFOLIOS = [name for name, policy in SCRIPTED.items() if isinstance(policy, TargetWeights)]


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
    """Target weights that actions encode, root first."""
    scaled = np.exp(LOGIT_SCALE * actions[:, :-1].astype(float))
    return scaled / scaled.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("name", PORTFOLIOS)
def test_weights_of_every_baseline_are_expressible(name):
    worlds, _, _ = after(15, [0, 1, 2], SCRIPTED[name])
    observation = worlds.observe()
    weights = SCRIPTED[name].weights(observation, worlds.batch)
    actions = SCRIPTED[name](observation, worlds.batch, [])
    np.testing.assert_allclose(weights.sum(axis=1), 1.0)
    np.testing.assert_allclose(softmax_of(actions), weights, atol=1e-3)


@pytest.mark.parametrize("name", SCRIPTED)
def test_actions_have_the_shape_type_and_bounds_of_the_space(name):
    worlds, actions, _ = after(3, [5, 6], SCRIPTED[name])
    space = worlds.role.action_space
    assert actions.dtype == space.dtype
    assert all(space.contains(action) for action in actions)


@pytest.mark.parametrize("name", SCRIPTED)
def test_a_seed_plays_the_same_alone_and_in_a_batch(name):
    _, actions, total = after(6, [3, 7, 11], SCRIPTED[name])
    _, alone, alone_total = after(6, [11], SCRIPTED[name])
    np.testing.assert_array_equal(alone[0], actions[2])
    assert alone_total[0] == total[2]


def test_random_actions_differ_between_seeds_and_episodes():
    worlds = episodes([3, 4])
    first = SCRIPTED["random"](worlds.observe(), worlds.batch, action_generators(worlds.batch))
    worlds.reset(0)
    second = SCRIPTED["random"](worlds.observe(), worlds.batch, action_generators(worlds.batch))
    assert not np.array_equal(first[0], first[1])
    assert not np.array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])


def test_all_root_never_trades():
    worlds, _, _ = after(10, [0], SCRIPTED["all_root"])
    assert not worlds.batch.state.section("staker_alpha").any()
    assert worlds.batch.state.stakers["traded"][0, 0] == 0.0


def test_market_weights_are_the_shares_of_tao_in_the_pools():
    worlds = episodes([0])
    reserve = worlds.batch.state.row("tao_reserve")
    weights = SCRIPTED["market_weight"].weights(worlds.observe(), worlds.batch)
    np.testing.assert_allclose(weights[0, 1:], reserve[0] / reserve[0].sum())
    assert weights[0, 0] == 0.0


def test_equal_weight_reaches_equal_holdings():
    worlds, _, _ = after(20, [0], TargetWeights(SCRIPTED["equal_weight"].weights, 1.0))
    own = 0.5 * (subnet_feature(worlds.observe(), "own_weight") + 1.0)
    np.testing.assert_allclose(own, 0.25, atol=0.01)


def test_scores_without_a_positive_one_mean_root():
    np.testing.assert_array_equal(in_proportion(np.array([[-1.0, 0.0]])), [[1.0, 0.0, 0.0]])
    np.testing.assert_array_equal(in_proportion(np.array([[-1.0, 2.0]])), [[0.0, 0.0, 1.0]])


@pytest.mark.parametrize(
    ("name", "feature"), [("momentum", "momentum_long"), ("value", "signal_value")]
)
def test_portfolios_of_a_feature_hold_what_it_favours(name, feature):
    worlds, _, _ = after(10, [0, 1, 2], SCRIPTED["all_root"])
    observation = worlds.observe()
    scores = subnet_feature(observation, feature)
    weights = SCRIPTED[name].weights(observation, worlds.batch)[:, 1:]
    assert (scores > 0.0).any()
    np.testing.assert_array_equal(weights > 0.0, scores > 0.0)


def test_yield_chaser_holds_the_best_quarter():
    observation = np.zeros((1, 8 * len(SUBNET_FEATURES) + len(GLOBAL_FEATURES)), np.float32)
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
    weights = SCRIPTED["yield_chaser"].weights(observation, None)
    np.testing.assert_array_equal(weights[0], [0, 0, 0, 0, 0.5, 0, 0, 0, 0.5])


def test_speed_is_per_day_however_long_a_step_is():
    worlds = episodes([0], days_per_step=7)
    action = SCRIPTED["equal_weight"](worlds.observe(), worlds.batch, [])
    assert 0.5 * (action[0, -1] + 1.0) == pytest.approx(1.0 - 0.9**7)


# --- exploits

DAYS = WORLD["horizon_days"]


def held(worlds) -> np.ndarray:
    """Parts of wealth in each subnet, `(n_worlds, n_subnets)`; below 1 % it is the dividends of the day of the sale."""
    state = worlds.batch.state
    value = state.section("staker_alpha")[:, 0] * state.row("spot_price")
    part = value / state.stakers["wealth"][:, :1]
    return np.where(part < 0.01, 0.0, part)


def test_a_staker_who_does_nothing_stays_in_root():
    worlds = episodes([0, 1])
    for _ in range(5):
        actions = EXPLOITS["do_nothing"](worlds.observe(), worlds.batch, [])
        worlds.step(actions)
        assert not held(worlds).any()
        assert not worlds.batch.state.stakers["traded"].any()


def test_wash_trading_pays_a_fee_on_everything_in_every_step():
    """Nobody else trades. Half of the steps buy and half sell, so it ends in root: wealth times (1 - fee)^steps."""
    growth = {}
    fee = 0.005
    for rate in (0.0, fee):
        config = evaluation_config(Config.make(WORLD, trade_speed=0.0, pool_fee=rate))
        outcome = play(EXPLOITS["wash_trading"], config, range(4))
        growth[rate] = outcome.values["log_growth"]
        np.testing.assert_allclose(outcome.values["turnover"], 365.0, rtol=0.01)
    np.testing.assert_allclose(growth[fee] - growth[0.0], DAYS * np.log1p(-fee), rtol=0.01)


def test_wash_trading_buys_and_sells_the_deepest_subnet_in_turn():
    worlds = episodes([0, 1, 2])
    for step in range(6):
        deepest = worlds.batch.state.row("tao_reserve").argmax(axis=1)
        worlds.step(EXPLOITS["wash_trading"](worlds.observe(), worlds.batch, []))
        if step % 2 == 0:
            np.testing.assert_array_equal(held(worlds).argmax(axis=1), deepest)
            assert (np.count_nonzero(held(worlds), axis=1) == 1).all()
        else:
            assert not held(worlds).any()


def test_a_pump_lifts_price_and_moving_price_and_is_dumped():
    """Where stakers are slow to sell to whoever pumps."""
    slow = PREDICTABLE | {"wealth_tao": 50_000.0}
    pumped, idle = episodes([0, 1], **slow), episodes([0, 1], **slow)
    for step in range(4):
        pools = pumped.batch.state.row("tao_reserve").copy()
        for worlds, name in ((pumped, "pump"), (idle, "do_nothing")):
            worlds.step(EXPLOITS[name](worlds.observe(), worlds.batch, []))
        if step == 0:
            chosen = held(pumped).argmax(axis=1)
            at = np.arange(2), chosen
            # the shallowest that holds as much as the staker, else the deepest
            for k in range(2):
                able = pools[k] >= 50_000.0
                shallowest = np.where(able, pools[k], np.inf).argmin()
                assert chosen[k] == (shallowest if able.any() else pools[k].argmax())
        lift = {
            name: pumped.batch.state.row(name)[at] / idle.batch.state.row(name)[at]
            for name in ("spot_price", "moving_price", "emission_share")
        }
        if step == 2:
            assert (lift["spot_price"] > 1.2).all()
            assert (lift["moving_price"] > 1.1).all()
            assert (lift["emission_share"] > 1.05).all()
    assert not held(pumped).any()
    wealth = [worlds.batch.state.stakers["wealth"][:, 0] for worlds in (pumped, idle)]
    assert (wealth[0] < wealth[1]).all()


def test_in_and_out_is_staked_for_one_day_a_week():
    worlds = episodes([0, 1])
    staked = []
    for _ in range(15):
        worlds.step(EXPLOITS["in_and_out"](worlds.observe(), worlds.batch, []))
        staked.append(held(worlds).any(axis=1))
    assert [bool(day.all()) for day in staked] == [k % 7 == 0 for k in range(15)]
    assert [bool(day.any()) for day in staked] == [k % 7 == 0 for k in range(15)]


def test_days_are_rounded_up_to_steps():
    worlds = episodes([0], days_per_step=7)
    policy = RoundTrip(depth, days_held=3, days_out=8)
    staked = []
    for _ in range(6):
        worlds.step(policy(worlds.observe(), worlds.batch, []))
        staked.append(bool(held(worlds).any()))
    assert staked == [True, False, False, True, False, False]
