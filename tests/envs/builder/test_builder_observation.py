"""The builder's observation: definitions of its features; no hidden or future information."""

import math

import numpy as np
import pytest

from dtao_gym.envs.builder.observation import OWN_FEATURES
from dtao_gym.envs.single import SingleEnv
from dtao_gym.protocol.lifecycle import effective_interval, lock_cost
from tests.envs.builder.builder_worlds import CROWDED, features, random_actions, start

# --- features, against the definitions written out with NumPy


def expected_features(env: SingleEnv, me: int) -> dict[str, np.ndarray]:
    """All features, computed from the state in plain NumPy."""
    batch, config = env.episodes.batch, env.config
    state, world, p = batch.state, batch.state.worlds[0], batch.parameters[0]

    def row(name):
        return state.row(name)[0]

    def scaled_log(x, scale, typical):
        return np.tanh(scale * np.log(np.maximum(x, 1e-6) / typical))

    n = batch.layout.n_subnets
    others = np.arange(n) != me
    price = row("spot_price")
    past = state.section("price_history")[0, world["day"] % config.momentum_lag_days]
    signal = state.section("signal_history")[0, world["day"] % (config.signal_lag_days + 1)]
    momentum, log_signal = np.log(price / past), np.log(signal)
    issuance = row("alpha_reserve") + row("alpha_outstanding")
    worth = p["price_of_capital"] * config.pooled_capitalisation * signal
    worth = worth / (issuance / row("dilution_alpha"))
    left = 1 - (world["block"] - row("registered_block")) / (7200 * config.immunity_days)
    left = np.maximum(left, 0)
    share = row("emission_share") / row("emission_share").mean()
    weak = np.log(row("emission_share" if config.prune_key == "share" else "moving_price"))
    lowest = weak[others & (left <= 0)].min()
    stages = state.section("pipeline")[0, :, me]
    interval = effective_interval(p["lock_interval_blocks"], world["block_emission"])
    cost = lock_cost(
        world["last_lock"], p["min_lock_tao"], world["last_lock_block"], world["block"], interval
    )
    rivals = {
        "price": np.tanh(0.5 * np.log(price / price[me])),
        "signal": np.tanh(log_signal - log_signal[me]),
        "momentum_long": np.tanh(4 * momentum),
        "emission_share": np.tanh(share - 1),
        "prune_margin": np.tanh(0.5 * (weak - weak[me])),
        "immunity": 2 * left - 1,
    }
    own = {
        "short_stock": np.tanh(row("short_stock")[me] / 50),
        "short_stock_log": scaled_log(row("short_stock")[me], 0.5, 10),
        "knowledge": np.tanh(row("knowledge")[me] / 100),
        "knowledge_log": scaled_log(row("knowledge")[me], 0.5, 15),
        **{
            f"pipeline_{name}": np.tanh(part.sum() / 10)
            for name, part in zip(("early", "middle", "late"), np.split(stages, 3), strict=True)
        },
        "pipeline_log": scaled_log(stages.sum(), 0.5, 3),
        "influence_stock": np.tanh(row("influence_stock")[me] / 10),
        "ability": min(row("ability")[me] / 5, 1),
        "treasury": np.tanh(row("treasury")[me] / 1000),
        "treasury_log": scaled_log(row("treasury")[me], 0.5, 150),
        "budget": scaled_log(row("budget")[me], 0.5, 10),
        "income": scaled_log(row("income")[me], 0.5, 10),
        "price": np.tanh(0.5 * (np.log(price[me]) - np.log(price).mean())),
        "momentum_long": np.tanh(4 * momentum[me]),
        "momentum_short": np.tanh(10 * np.log(price / row("moving_price"))[me]),
        "signal": np.tanh(log_signal[me] - log_signal.mean()),
        "emission_share": np.tanh(share[me] - 1),
        "prune_rank": 2 * (weak[others] < weak[me]).mean() - 1,
        "prune_margin": np.tanh(0.5 * (weak[me] - lowest)),
        "immunity": 2 * left[me] - 1,
        "issuance": scaled_log(issuance[me], 0.5, 2e6),
        "dilution": np.tanh(365 * 7200 * row("alpha_emission")[me] / issuance[me]),
        "depth": scaled_log(row("tao_reserve")[me], 0.25, 7658),
        "owner_alpha": scaled_log(row("owner_alpha")[me] * price[me], 0.25, 1000),
    }
    market = {
        "moving_price_sum": np.tanh(2 * (world["moving_price_sum"] - 1)),
        "mean_price": np.tanh(0.5 * (np.log(price).mean() - np.log(0.0058))),
        "mean_momentum": np.tanh(4 * momentum.mean()),
        "mean_signal_value": np.tanh(np.log(worth / price).mean()),
        "lock_cost": scaled_log(cost, 0.5, 500),
        "immune_share": 2 * (left > 0).mean() - 1,
    }
    expected = {f"rival_{name}": values[others] for name, values in rivals.items()}
    return expected | {f"own_{name}": value for name, value in own.items()} | market


@pytest.mark.parametrize(
    ("slot", "overrides"),
    [(0, {}), (2, {"prune_key": "share", "influence": True}), (3, {"delay_stages": 6})],
    ids=["default", "share", "stages"],
)
def test_features_match_their_definitions(slot, overrides, rng):
    env = start(seed=3, builder_slot=slot, n_subnets=8, selection="sample", **overrides)
    obs = env.episodes.observe()[0]
    for _ in range(25):
        wanted, observed = expected_features(env, slot), features(obs, 8)
        assert observed.keys() == wanted.keys()
        for name, values in observed.items():
            np.testing.assert_allclose(values, wanted[name], rtol=0, atol=3e-7, err_msg=name)
        obs = env.step(rng.uniform(-1, 1, 4))[0]


@pytest.mark.parametrize("slot", [0, 3])
def test_features_match_their_definitions_with_influence(rng, slot):
    env = start(n_subnets=5, influence=True, builder_slot=slot, selection="sample")
    obs = env.reset(seed=3)[0]
    for _ in range(25):
        named = features(obs, 5)
        for name, wanted in expected_features(env, slot).items():
            np.testing.assert_allclose(named[name], wanted, rtol=0, atol=3e-7, err_msg=name)
        obs = env.step(random_actions(env, rng))[0]


def test_features_of_pruning():
    env = start(n_subnets=5, immunity_days=0.0, builder_slot=2)
    state = env.episodes.batch.state
    state.row("moving_price")[0] = [1.0, 0.2, 0.5, 0.1, 2.0]
    state.row("registered_block")[0, 3] = state.worlds["block"][0] + 7200  # not yet to be dissolved
    env.episodes.batch.set_parameters(immunity_days=10.0)
    state.row("registered_block")[0, :3] = state.worlds["block"][0] - 7200 * 5
    state.row("registered_block")[0, 1] = state.worlds["block"][0] - 7200 * 50
    named = features(env.episodes.observe()[0], 5)
    assert named["own_prune_rank"] == 0.0  # two of four are below
    assert named["own_prune_margin"] == pytest.approx(math.tanh(0.5 * math.log(0.5 / 0.2)))
    assert named["own_immunity"] == pytest.approx(0.0, abs=1e-6)
    wanted = np.tanh(0.5 * np.log(np.array([1.0, 0.2, 0.1, 2.0]) / 0.5))
    np.testing.assert_allclose(named["rival_prune_margin"], wanted, atol=1e-6)
    env.episodes.batch.set_parameters(prune_key="share")
    state.row("emission_share")[0] = [0.1, 0.3, 0.1, 0.2, 0.2]
    named = features(env.episodes.observe()[0], 5)
    assert named["own_prune_rank"] == -1.0
    assert named["own_prune_margin"] == pytest.approx(math.tanh(0.5 * math.log(0.1 / 0.2)))


def test_pipeline_stages_are_observed_in_thirds():
    env = start(n_subnets=5, delay_stages=6)
    env.episodes.batch.state.section("pipeline")[0, :, 0] = [1, 2, 3, 4, 5, 6]
    named = features(env.episodes.observe()[0], 5)
    thirds = [named[f"own_{name}"] for name in OWN_FEATURES[4:7]]
    np.testing.assert_allclose(thirds, np.tanh([0.3, 0.7, 1.1]), atol=1e-6)


def test_observation_contains_no_clock():
    """The same state one day later gives the same observation."""
    env = start(n_subnets=5, signal_lag_days=0, momentum_lag_days=1)
    before = env.episodes.observe()
    env.episodes.batch.state.worlds["day"] += 1
    np.testing.assert_array_equal(env.episodes.observe(), before)


@pytest.mark.parametrize("overrides", [{}, {"n_subnets": 1}, {"delay_days": 0.0}, {"delay_stages": 7},
                                       {"era": "launch"}, {"empty_slots": 2}, CROWDED, {"influence": True}])  # fmt: skip
def test_observations_stay_in_the_space(overrides, rng):
    env = start(**({"n_subnets": 4, "days_per_step": 5, "horizon_days": 1000} | overrides))
    for step in range(200):
        action = random_actions(env, rng)
        obs, reward, *_ = env.step(np.sign(action) if step % 3 == 0 else action)
        assert env.observation_space.contains(obs), f"{obs.min()} to {obs.max()}"
        assert math.isfinite(reward)
    assert env.episodes.batch.audit().ok


# --- no future and no hidden information


def test_future_shocks_change_observations_only_after_they_happen(same, rng):
    env, other = start(), start()
    for day in range(10):
        if day == 5:
            other.episodes.batch.state.worlds["world_key"] = 99
            assert same(env.episodes.observe(), other.episodes.observe())
            assert same(env.episodes.info(), other.episodes.info())
        action = rng.uniform(-1, 1, 4)
        alike = same(env.step(action)[:2], other.step(action)[:2])
        assert alike == (day < 5), day


def test_the_random_end_is_not_observable(same, rng):
    env, other = (start(horizon="geometric") for _ in range(2))
    other.episodes.batch.state.worlds["last_day"] = 6
    for day in range(6):
        assert same(env.episodes.observe(), other.episodes.observe())
        action = rng.uniform(-1, 1, 4)
        one, two = env.step(action), other.step(action)
        assert same(one[:2], two[:2])
        assert (one[2], two[2]) == (False, day == 5)


HIDDEN = ("short_stock", "knowledge", "influence_stock", "ability", "treasury", "budget", "income", "opinion",
          "informed_value", "true_value", "target_price", "spend_rate", "research_share", "consumed")  # fmt: skip


def test_hidden_state_changes_only_later_observations(same, play, rng):
    env, other = start(), start()
    play(env, np.random.default_rng(1), 3), play(other, np.random.default_rng(1), 3)
    state = other.episodes.batch.state
    for name in HIDDEN:
        state.row(name)[:, 1:] *= 0.5
    state.section("pipeline")[:, :, 1:] *= 0.5
    # today's opinions of the own subnet and signals younger than their lag are hidden as well
    state.row("opinion")[:] += 1.0
    state.row("target_price")[:] *= 2.0
    days = other.config.signal_lag_days + 1
    young = np.arange(days) != state.worlds["day"][0] % days
    state.section("signal_history")[:, young] *= 2.0
    assert same(env.episodes.observe(), other.episodes.observe())
    assert not same(env.step(np.zeros(4))[0], other.step(np.zeros(4))[0])


def test_hidden_state_of_rivals_and_future_shocks_change_only_later_observations(same):
    """State of rivals is in no feature of the same day, and later only in signals and prices."""
    env, other = (start(n_subnets=5, builder_slot=1) for _ in range(2))
    state = other.episodes.batch.state
    rivals = np.arange(5) != 1
    for name in ("short_stock", "knowledge", "treasury", "ability", "influence_stock", "budget", "income",
                 "informed_value", "true_value", "research_share", "opinion", "target_price"):  # fmt: skip
        state.row(name)[:, rivals] *= 3.0
        state.row(name)[:, rivals] += 0.1
    state.section("pipeline")[:, :, rivals] *= 3.0
    state.worlds["world_key"] = 99
    state.worlds["last_day"] = 7
    assert same(env.episodes.observe(), other.episodes.observe())
    action = np.zeros(4, np.float32)
    assert not same(env.step(action)[0], other.step(action)[0])


@pytest.mark.parametrize("name", ["short_stock", "knowledge", "influence_stock", "ability", "treasury", "budget", "income"])  # fmt: skip
def test_own_state_is_observable(name):
    env = start()
    before = env.episodes.observe()
    env.episodes.batch.state.row(name)[0, 0] += 1.0
    after = env.episodes.observe()
    assert (before != after).any()
