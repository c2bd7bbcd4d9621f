"""Ends of the builder's episodes: horizon, dissolution, and random ends."""

import numpy as np
import pytest

from dtao_gym.envs.builder.actions import builder_action
from dtao_gym.envs.single import SingleEnv
from tests.envs.builder.builder_worlds import CROWDED, FEES, start


def test_a_fixed_horizon_truncates():
    env = start(horizon_days=5)
    ends = [env.step(np.zeros(4))[2:4] for _ in range(5)]
    assert ends == [(False, False)] * 4 + [(False, True)]


# --- dissolution


def dissolved(**overrides) -> tuple[SingleEnv, list]:
    """An environment whose episode ends with its subnet, and the steps of that episode."""
    for seed in range(20):
        env = start(n_subnets=5, seed=seed, prune_lottery_sd=2.0, **CROWDED, **overrides)
        steps = [env.step(builder_action(env.config))]
        while not (steps[-1][2] or steps[-1][3]):
            steps.append(env.step(builder_action(env.config)))
        if steps[-1][4]["pruned"]:
            return env, steps
    raise AssertionError("no subnet was dissolved")


@pytest.mark.parametrize("days", [1, 7])
@pytest.mark.parametrize("horizon", ["fixed", "geometric"])
def test_dissolution_terminates_and_excludes_the_pay_of_the_next_owner(days, horizon):
    env, steps = dissolved(days_per_step=days, horizon=horizon)
    assert [step[2] for step in steps] == [False] * (len(steps) - 1) + [True]
    assert not any(step[3] for step in steps)
    state = env.episodes.batch.state
    total, own = sum(step[1] for step in steps), state.row("first_owner_payoff")[0, 0] / 10.0
    # discounted from the start with a fixed horizon, so a little less
    assert total == pytest.approx(own, rel=1e-9 if horizon == "geometric" else 0.1)
    assert total >= own * (1 - 1e-9)
    before = state.row("consumed")[0, 0]
    for _ in range(30):
        _, reward, terminated, _, _ = env.step(builder_action(env.config))
        assert (reward, terminated) == (0.0, True)
    assert state.row("consumed")[0, 0] > before


def weakest(**overrides) -> int:
    """Slot of the subnet that is dissolved first."""
    return int(start(**overrides).episodes.batch.state.row("moving_price")[0].argmin())


def test_dissolution_terminates_and_counts_only_the_first_owner():
    env = start(**CROWDED, builder_slot=weakest(), days_per_step=7, horizon_days=7000)
    state, gamma = env.episodes.batch.state, 0.8 ** (1 / 365)
    for week in range(1000):  # noqa: B007
        before = state.row("consumed")[0, env.config.builder_slot]
        paid_before = state.row("first_owner_payoff")[0, env.config.builder_slot]
        _, reward, terminated, truncated, info = env.step(np.zeros(4))
        assert info["pruned"] == terminated
        assert not truncated
        if terminated:
            break
        assert reward == pytest.approx((info["consumed"] - before) / 10.0)
    assert week > 0
    assert info["dissolutions"] > 0
    # the next owner may have consumed as well
    own = (state.row("first_owner_payoff")[0, env.config.builder_slot] - paid_before) / gamma ** (7 * week)  # fmt: skip
    assert reward == pytest.approx(own / 10.0, rel=1e-9)
    assert 0.0 <= 10.0 * reward <= info["consumed"] - before
    # nothing is left to be earned
    assert env.step(np.zeros(4))[1] == 0.0


def test_dissolution_on_the_day_of_the_horizon_is_no_truncation():
    slot = weakest()
    env = start(**CROWDED, builder_slot=slot, horizon_days=400)
    days = 0
    while not env.step(np.zeros(4))[2]:
        days += 1
    env = start(**CROWDED, builder_slot=slot, horizon_days=days + 1)
    assert [env.step(np.zeros(4))[2:4] for _ in range(days + 1)][-1] == (True, False)


# --- random ends


@pytest.mark.parametrize("days_per_step", [1, 7])
def test_a_random_end_terminates_on_its_day(days_per_step):
    drawn = {"horizon": "geometric", "social_discount_per_year": 0.999}
    env = start(**drawn, days_per_step=days_per_step)
    last_days = set()
    for seed in range(6):
        env.reset(seed=seed)
        last = int(env.episodes.batch.state.worlds["last_day"][0])
        steps, terminated = 0, False
        while not terminated:
            _, _, terminated, truncated, info = env.step(np.zeros(4))
            steps += 1
            assert not truncated
        assert steps == -(-last // days_per_step)
        assert info["day"] == last  # no day after the end is simulated
        assert not info["pruned"]
        last_days.add(last)
    assert len(last_days) > 1


def test_random_ends_do_not_depend_on_the_rules_of_the_market():
    drawn = {"horizon": "geometric", "social_discount_per_year": 0.9}
    laws = ({}, {"era": "launch"}, FEES, {"payment": "direct", "influence": True})
    ends = [
        start(seed=4, **drawn, **law).episodes.batch.state.worlds["last_day"][0] for law in laws
    ]
    assert len(set(ends)) == 1


def test_the_cap_of_random_ends_terminates():
    env = start(horizon="geometric", horizon_cap_days=3)
    ends = [env.step(np.zeros(4))[2:4] for _ in range(3)]
    assert ends == [(False, False)] * 2 + [(True, False)]
