"""Rewards and ends of episodes in a single environment, and steps of several days."""

import math

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dtao_gym.envs.single import SingleEnv
from dtao_gym.envs.staker.role import target_action
from dtao_gym.world.config import ConfigError
from tests.envs.single_worlds import ID, both_roles, start, zero_action

# --- rewards and ends


@settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    seed=st.integers(0, 2**63 - 1),
    wealth=st.floats(1.0, 100_000.0),
    era=st.sampled_from(["price_burn", "launch"]),
    execution=st.sampled_from(["first_span", "twap"]),
    days=st.integers(1, 28),
)
def test_rewards_add_up_to_the_log_growth_of_liquidation_wealth(seed, wealth, era, execution, days):
    env = SingleEnv(
        n_subnets=3,
        wealth_tao=wealth,
        era=era,
        execution=execution,
        days_per_step=days,
        ruin_fraction=1e-9,
    )
    first = env.reset(seed=seed)[1]["wealth"]
    rng = np.random.default_rng(seed)
    total = 0.0
    for _ in range(12):
        _, reward, _, _, info = env.step(rng.uniform(-1, 1, 5))
        total += reward
        assert total == pytest.approx(math.log(info["wealth"] / first), abs=1e-10)
    assert first == wealth


@both_roles
def test_the_horizon_truncates(role):
    env = start(horizon_days=5, role=role)
    ends = [env.step(zero_action(env))[2:4] for _ in range(5)]
    assert ends == [(False, False)] * 4 + [(False, True)]


def test_ruin_terminates_and_is_no_truncation():
    """A position too large for its pool loses more than allowed; also on the day of the horizon."""
    for horizon in (5, 1):
        env = start(n_subnets=1, wealth_tao=100_000.0, ruin_fraction=0.9999, horizon_days=horizon)
        _, reward, terminated, truncated, info = env.step(target_action([0.0, 1.0]))
        assert (terminated, truncated) == (True, False)
        assert info["wealth"] < 0.9999 * 100_000.0
        assert reward == pytest.approx(math.log(info["wealth"] / 100_000.0))


def test_time_limit_ends_an_episode_before_the_horizon():
    env = start(horizon_days=5, max_episode_steps=2)
    assert [env.step(np.zeros(8))[3] for _ in range(2)] == [False, True]
    env = gym.make(ID, n_subnets=6, max_episode_steps=2)
    env.reset(seed=0)
    assert [env.step(env.action_space.sample())[3] for _ in range(2)] == [False, True]


@both_roles
def test_a_random_end_terminates_and_no_later_day_is_simulated(role):
    """The last day is drawn from the key of the world; here the chance per day is one in fifty."""
    ends = []
    for seed in range(6):
        settings = {"horizon": "geometric", "social_discount_per_year": 0.999, "days_per_step": 3}
        env = start(seed=seed, n_subnets=2, role=role, ruin_fraction=1e-9, **settings)
        last = int(env.episodes.batch.state.worlds["last_day"][0])
        terminated, steps = False, 0
        while not terminated:
            _, _, terminated, truncated, info = env.step(zero_action(env))
            steps += 1
            assert not truncated
            assert terminated == (3 * steps >= last)
        assert info["day"] == last
        ends.append(last)
    assert len(set(ends)) > 3


@pytest.mark.parametrize("wrong", [0, -3, 2.5, "9"])
def test_a_wrong_time_limit_is_refused(wrong):
    with pytest.raises(ConfigError, match="max_episode_steps: got"):
        SingleEnv(n_subnets=6, max_episode_steps=wrong)


# --- several days per step, and orders spread over the day


@both_roles
def test_days_per_step_skips_days(role):
    env = start(days_per_step=7, horizon_days=21, role=role)
    results = [env.step(-np.ones(env.action_space.shape)) for _ in range(3)]
    assert [int(info["day"]) for *_, info in results] == [7, 14, 21]
    assert [truncated for _, _, _, truncated, _ in results] == [False, False, True]


def test_a_week_is_seven_days_with_orders_on_the_first(same):
    action = target_action([1.0, 2.0, 0.0, 1.0, 1.0, 0.0, 0.0])
    week, days = start(days_per_step=7), start()
    nothing = np.full(8, -1.0)
    weekly = week.step(action)
    daily = [days.step(action if day == 0 else nothing) for day in range(7)]
    assert same(weekly[0], daily[-1][0])
    assert weekly[1] == pytest.approx(sum(step[1] for step in daily), abs=1e-12)
    assert weekly[4]["wealth"] == daily[-1][4]["wealth"]
    assert weekly[4]["traded_tao"] == daily[0][4]["traded_tao"] > 0


def test_orders_spread_over_the_day_move_the_price_less():
    action = target_action(np.eye(7)[6])
    wealth, traded = {}, {}
    for execution in ("first_span", "twap"):
        env = start(execution=execution, wealth_tao=5000.0)
        info = env.step(action)[4]
        wealth[execution], traded[execution] = info["wealth"], info["traded_tao"]
        assert env.episodes.batch.audit().ok
    assert traded["twap"] == pytest.approx(traded["first_span"], rel=1e-3)
    assert wealth["twap"] != wealth["first_span"]
