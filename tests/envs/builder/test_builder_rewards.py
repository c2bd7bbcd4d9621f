"""The builder's rewards: consumption, its noise, and the terminal value."""

import math

import numpy as np
import pytest

from dtao_gym.envs.builder.actions import builder_action
from dtao_gym.envs.vector import MarketVectorEnv
from tests.envs.builder.builder_worlds import FEE_ARM, FEES, random_actions, start

# --- consumption


@pytest.mark.parametrize("payment", ["alpha", "direct", "fee"])
def test_rewards_add_up_to_consumption(payment, rng):
    env = start(
        n_subnets=5, payment=payment, days_per_step=3, consumption_scale_tao=4.0, pruning=False
    )
    total = 0.0
    for _ in range(20):
        _, reward, _, _, info = env.step(random_actions(env, rng))
        total += reward
        assert total == pytest.approx(info["consumed"] / 4.0)
    assert total > 0.0
    assert env.episodes.batch.audit().ok


def test_rewards_add_up_to_scaled_consumption(rng):
    env = start(consumption_scale_tao=7.0)
    total = sum(env.step(rng.uniform(-1, 1, 4))[1] for _ in range(20))
    assert total == pytest.approx(env.episodes.info()["consumed"][0] / 7.0)
    assert total > 0.0


# --- noise


def test_reward_noise_has_mean_one_and_leaves_the_world_unchanged():
    errors = {"opinion_noise_sd": 0.3, "opinion_noise_half_life_days": 20.0}
    plain, noisy = (
        MarketVectorEnv(400, "builder", **FEE_ARM, **errors, days_per_step=7, reward_noise=noise)
        for noise in (False, True)
    )
    plain.reset(seed=0), noisy.reset(seed=0)
    still = np.zeros((400, 4), np.float32)
    for _ in range(10):
        a, b = plain.step(still), noisy.step(still)
    np.testing.assert_array_equal(a[0], b[0])
    factor = b[1] / a[1]
    assert factor.mean() == pytest.approx(1.0, abs=4 * 0.3 / np.sqrt(400))
    assert 0.2 < np.log(factor).std() < 0.35


def test_reward_noise_has_mean_one_and_the_spread_of_opinions():
    """Ratios of noisy to plain rewards in 1,000 worlds, on early and late days."""
    n, sd = 1000, 0.3
    settings = FEES | {"n_subnets": 2, "spans_per_day": 1, "opinion_noise_sd": sd, "pruning": False}
    settings["opinion_noise_half_life_days"] = 20.0
    noisy, plain = (
        MarketVectorEnv(n, "builder", reward_noise=on, **settings) for on in (True, False)
    )
    noisy.reset(seed=0), plain.reset(seed=0)
    action = np.zeros((n, 4), np.float32)
    kept = 2.0 ** (-1 / 20.0)
    for day in range(1, 81):
        ratio = noisy.step(action)[1] / plain.step(action)[1]
        spread = sd * math.sqrt(1 - kept ** (2 * day))
        if day in (1, 20, 80):
            assert np.log(ratio).std() == pytest.approx(spread, rel=0.1)
            assert ratio.mean() == pytest.approx(1.0, abs=4 * ratio.std() / math.sqrt(n))


# --- terminal value


def test_terminal_value_equals_the_discounted_pay_of_a_long_episode():
    """Compare a short episode with a long one that spends nothing after the end of the short one."""
    settings = FEE_ARM | {
        "research_luck_sd": 0.0,
        "fixed_budget_tao": 10.0,
        "builder_decides": "composition",
    }
    short = start(**settings, horizon_days=50, terminal_value=True)
    long = start(**settings, horizon_days=8000)
    action = builder_action(short.config, 0.6)
    ends, last = [], 0.0
    for day in range(50):
        _, last, terminated, truncated, _ = short.step(action)
        ends.append((terminated, truncated))
        paid = long.step(action)[1]
        if day < 49:
            assert last == paid
    assert ends == [(False, False)] * 49 + [(True, False)]
    gamma, rest = 0.8 ** (1 / 365), 0.0
    long.episodes.batch.set_parameters(
        fixed_budget_tao=0.1, short_productivity=1e-9, research_productivity=1e-9
    )
    for day in range(1, 8000 - 49):
        rest += gamma**day * long.step(action)[1]
    assert last - paid == pytest.approx(rest, rel=1e-3)


@pytest.mark.parametrize("delay", [{}, {"delay_days": 9.0}, {"delay_days": 0.0}])
@pytest.mark.parametrize("income_factor", [1.0, 1.5])
def test_terminal_value_equals_the_difference_to_a_world_without_the_stocks(
    delay, income_factor, rng
):
    """Compare with the pay of two worlds stepped further, one of them without its own stocks."""
    settings = FEES | delay | {
        "pruning": False, "research_luck_sd": 0.0, "income_factor": income_factor, "horizon_days": 3,
        "short_half_life_days": 10.0, "knowledge_half_life_days": 40.0, "spans_per_day": 1,
        "outside_initial_tao": 1e6,
    }  # fmt: skip
    env, plain = start(terminal_value=True, **settings), start(**settings)
    for _ in range(3):
        action = rng.uniform(-1, 1, 4)
        (_, reward, *ends, _), (_, wanted, *plain_ends, _) = env.step(action), plain.step(action)
    assert (ends, plain_ends) == ([True, False], [False, True])
    batch, bare = plain.episodes.batch, start(**settings).episodes.batch
    bare.state.restore(batch.state)
    for name in ("short_stock", "knowledge"):
        bare.state.row(name)[0, 0] = 0.0
    bare.state.section("pipeline")[0, :, 0] = 0.0
    start_gap = batch.state.row("consumed")[0, 0] - bare.state.row("consumed")[0, 0]
    gamma = 0.8 ** (1 / 365)
    value, gap = 0.0, start_gap
    for day in range(1, 2501):
        batch.step(), bare.step()
        now = batch.state.row("consumed")[0, 0] - bare.state.row("consumed")[0, 0]
        value, gap = value + gamma**day * (now - gap), now
        assert batch.state.worlds["revenue_rationed"][0] == 0.0
    assert reward - wanted == pytest.approx(value / 10.0, rel=1e-3)


def test_a_time_limit_truncates_or_pays_the_terminal_value():
    settings = FEES | {"max_episode_steps": 2}
    for terminal, ends in ((False, (False, True)), (True, (True, False))):
        env = start(terminal_value=terminal, **settings)
        assert [env.step(np.zeros(4))[2:4] for _ in range(2)] == [(False, False), ends]
