"""The staker: what its features say, what its actions do, how its position is valued."""

import math
import re

import numpy as np
import pytest

from dtao_gym.envs.roles import ROLES
from dtao_gym.envs.single import SingleEnv
from dtao_gym.envs.staker.observation import GLOBAL_FEATURES, SUBNET_FEATURES
from dtao_gym.envs.staker.role import LOGIT_SCALE, target_action
from dtao_gym.numerics import exp, tanh
from dtao_gym.world.parameters import PARAMETERS_DTYPE

WIDTH = len(SUBNET_FEATURES)
NOTHING_ELSE_MOVES = {
    "trade_speed": 0.0,
    "insider_holding_days": 1e9,
    "owner_sale_fraction": 0.0,
    "miner_sale_fraction": 0.0,
    "validator_sale_fraction": 0.0,
    "root_claim_hazard": 0.0,
    "revenue_share": 0.0,
    "spend_rate": 0.0,
    "halving": False,
}


def start(seed: int = 0, **overrides) -> SingleEnv:
    env = SingleEnv(**({"n_subnets": 6} | overrides))
    env.reset(seed=seed)
    return env


def still(env: SingleEnv) -> SingleEnv:
    """No emission and no income either: only the learner moves anything."""
    state = env.episodes.batch.state
    state.row("emission_enabled")[:] = 0.0
    state.row("alpha_emission")[:] = 0.0
    state.worlds["rest_root_income"] = 0.0
    state.worlds["rest_enabled_burn_weighted"] = 0.0
    state.worlds["rest_enabled_moving_price"] = 0.0
    return env


def features(obs: np.ndarray) -> dict[str, np.ndarray]:
    """The observation by name: a vector over the subnets, or a number."""
    n = (obs.size - len(GLOBAL_FEATURES)) // WIDTH
    table = obs[: n * WIDTH].reshape(n, WIDTH)
    named = {name: table[:, k] for k, name in enumerate(SUBNET_FEATURES)}
    return named | dict(zip(GLOBAL_FEATURES, obs[n * WIDTH :], strict=True))


# --- spaces


@pytest.mark.parametrize("n", [1, 6, 100])  # no day of the real prices has 128 markets
@pytest.mark.parametrize("role", ROLES)
def test_docstring_states_the_sizes_of_the_spaces(role, n):
    env = SingleEnv(role=role, n_subnets=n)
    text = ROLES[role].__doc__
    found = dict(re.findall(r"(Action|Observation), `Box\(-1, 1, \((.+?),\), float32\)`", text))
    for name, space in (("Action", env.action_space), ("Observation", env.observation_space)):
        size = re.sub(r"(\d) (?=n_subnets)", r"\1 * ", found[name])
        assert space.shape == (eval(size, {"n_subnets": n}),)
        assert space.dtype == np.float32
        assert (space.low == -1.0).all()
        assert (space.high == 1.0).all()


def test_observation_is_features_of_each_subnet_then_those_of_the_world():
    env = start()
    named = features(env.reset(seed=0)[0])
    assert named["root_weight"] == 1.0
    assert (named["own_weight"] == -1.0).all()
    assert named["wealth"] == 0.0
    assert named["claimable"] == 0.0


# --- features, against the definitions written out with NumPy


def expected_features(env: SingleEnv) -> dict[str, np.ndarray]:
    """`SUBNET_FEATURES` and `GLOBAL_FEATURES` from the state, in plain NumPy."""
    batch, config = env.episodes.batch, env.config
    state = batch.state
    world, me = state.worlds[0], state.stakers[0, 0]
    p = dict(zip(PARAMETERS_DTYPE.names, batch.parameters[0], strict=True))
    row = {name: state.row(name)[0] for name in ("tao_reserve", "alpha_reserve", "pool_tao_weight",
           "moving_price", "alpha_emission", "alpha_outstanding", "dilution_alpha", "emission_share",
           "stake_yield", "registered_block")}  # fmt: skip
    weight = row["pool_tao_weight"]
    price = (1 - weight) / weight * row["tao_reserve"] / row["alpha_reserve"]
    past = state.section("price_history")[0, world["day"] % config.momentum_lag_days]
    signal = state.section("signal_history")[0, world["day"] % (config.signal_lag_days + 1)]
    alpha = state.section("staker_alpha")[0, 0]
    owed = state.section("staker_claimable")[0, 0]
    issuance = row["alpha_reserve"] + row["alpha_outstanding"]
    diluted = issuance / row["dilution_alpha"] if config.dilution else 1.0
    net = alpha * (1 - p["pool_fee"])
    grown = (1 + net / row["alpha_reserve"]) ** (-(1 - weight) / weight)
    held = row["tao_reserve"] * (1 - grown)
    wealth = me["wealth"]
    root = world["root_informed"] + world["root_uninformed"] + world["root_validators"] + me["root"]
    value, shares = state.funds["value"].sum(), state.funds["shares"].sum()
    root = p["tao_weight"] * (root + state.funds["root_slot"].sum())
    worth = p["price_of_capital"] * p["pooled_capitalisation"]
    signal_value = np.log(worth * signal / diluted / price)
    share = row["emission_share"]
    left = 1 - (world["block"] - row["registered_block"]) / (7200 * config.immunity_days)
    lowest = row["moving_price"][left <= 0].min()
    return {
        "own_weight": 2 * held / wealth - 1,
        "signal_value": np.tanh(2 * signal_value),
        "momentum_long": np.tanh(4 * np.log(price / past)),
        "momentum_short": np.tanh(10 * np.log(price / row["moving_price"])),
        "stake_yield": np.tanh(365 * row["stake_yield"]),
        "dilution": np.tanh(365 * 7200 * row["alpha_emission"] / issuance),
        "emission_share": np.tanh(share / share.mean() - 1) if share.any() else 0 * share,
        "price": np.tanh(0.5 * (np.log(price) - np.log(price).mean())),
        "depth": np.tanh(0.25 * np.log(row["tao_reserve"] / wealth)),
        "root_proportion": 2 * root / (root + issuance) - 1,
        "immunity": 2 * np.maximum(left, 0) - 1,
        "prune_margin": np.tanh(0.5 * np.log(row["moving_price"] / lowest)),
        "root_weight": 2 * me["root"] / wealth - 1,
        "wealth": np.tanh(np.log(wealth / config.wealth_tao)),
        "claimable": np.tanh(100 * ((owed * price).sum() + me["fund_claim"]) / wealth),
        "fund_value": np.tanh(np.log(value / shares)) if shares > 0.0 else 0.0,
        "moving_price_sum": np.tanh(2 * (world["moving_price_sum"] - 1)),
        "root_yield": np.tanh(5 * 365 * world["root_yield"]),
        "mean_signal_value": np.tanh(2 * signal_value.mean()),
    }


@pytest.mark.parametrize(
    "rules", [{}, {"dilution": False}, {"era": "root_reborn"}, {"era": "root_curated"}]
)
def test_features_are_what_their_names_say(rng, rules):
    env = start(**rules)
    obs = env.reset(seed=3)[0]
    for _ in range(30):
        wanted = expected_features(env)
        for name, found in features(obs).items():
            np.testing.assert_allclose(found, wanted[name], rtol=0, atol=3e-7, err_msg=name)
        obs = env.step(rng.uniform(-1, 1, env.action_space.shape))[0]


@pytest.mark.parametrize("lag", [1, 5])
def test_momentum_looks_back_as_many_days_as_it_says(play, rng, lag):
    env = start(momentum_lag_days=lag)
    obs, info = env.reset(seed=0)
    prices = [info["spot_price"]]
    for obs, _, _, _, info in play(env, rng, 12):
        prices.append(info["spot_price"])
        past = prices[max(len(prices) - 1 - lag, 0)]
        wanted = np.tanh(4 * np.log(prices[-1] / past))
        np.testing.assert_allclose(features(obs)["momentum_long"], wanted, atol=3e-7)


@pytest.mark.parametrize("lag", [0, 3])
def test_signal_is_as_old_as_it_says(play, rng, lag):
    env = start(signal_lag_days=lag, signal_noise_sd=0.0, dilution=False)
    state, record = env.episodes.batch.state, env.episodes.batch.parameters[0]

    def shown_today() -> np.ndarray:
        return (1.0 + env.config.hype) * state.row("short_stock")[0] + state.row("knowledge")[0]

    env.reset(seed=0)
    values = [shown_today()]
    scale = record["price_of_capital"] * record["pooled_capitalisation"]
    for _ in range(10):
        obs, _, _, _, info = play(env, rng, 1)[0]
        values.append(shown_today())
        shown = values[max(len(values) - 1 - lag, 0)]
        wanted = np.tanh(2 * np.log(scale * shown / info["spot_price"]))
        np.testing.assert_allclose(features(obs)["signal_value"], wanted, atol=3e-7)


@pytest.mark.parametrize("wealth", [1.0, 100_000.0])
@pytest.mark.parametrize("era", ["price_burn", "launch"])
@pytest.mark.parametrize("n", [1, 6])
def test_observations_stay_in_the_space(wealth, era, n):
    env = start(wealth_tao=wealth, era=era, n_subnets=n, horizon_days=400, ruin_fraction=1e-9)
    rng = np.random.default_rng(n)
    for day in range(400):
        # extreme corners and everything between, in turns
        action = rng.uniform(-1, 1, env.action_space.shape)
        action = np.sign(action) if day % 3 == 0 else action
        obs, reward, *_ = env.step(action)
        assert env.observation_space.contains(obs), f"day {day}: {obs.min()} to {obs.max()}"
        assert math.isfinite(reward)


def test_observation_of_a_learner_with_nothing_stays_in_the_space():
    env = start()
    env.episodes.batch.state.stakers["root"] = 0.0
    for _ in range(3):
        obs, reward, terminated, truncated, _ = env.step(np.zeros(env.action_space.shape))
        assert env.observation_space.contains(obs)
        assert math.isfinite(reward)
        assert terminated
        assert not truncated


# --- actions


def weights_of(action: np.ndarray) -> np.ndarray:
    logits = LOGIT_SCALE * action[..., :-1].astype(float)
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


def test_target_action_gives_the_weights_back(rng):
    for n in (1, 6, 128):
        cases = [rng.dirichlet(np.full(n + 1, a)) for a in (0.05, 1.0, 50.0)]
        cases += [np.full(n + 1, 1.0), np.eye(n + 1)[0], np.eye(n + 1)[-1]]
        for weights in cases:
            action = target_action(weights, 0.3)
            assert action.shape == (n + 2,)
            assert action.dtype == np.float32
            assert np.abs(action).max() <= 1.0
            assert action[-1] == pytest.approx(-0.4)
            wanted = weights / weights.sum()
            np.testing.assert_allclose(weights_of(action), wanted, rtol=2e-5, atol=1e-6)


def test_target_action_takes_rows(rng):
    rows = rng.dirichlet(np.full(7, 0.3), size=(2, 3))
    together = target_action(rows)
    assert together.shape == (2, 3, 8)
    assert (together[1, 2] == target_action(rows[1, 2])).all()


def test_full_step_reaches_the_target(rng):
    """With nothing else moving and pools much deeper than the position."""
    env = still(start(wealth_tao=1.0, pool_fee=0.0, min_order_tao=0.0, **NOTHING_ELSE_MOVES))
    for _ in range(3):
        weights = rng.dirichlet(np.full(7, 1.0))
        obs = env.step(target_action(weights))[0]
        named = features(obs)
        reached = np.append(named["root_weight"], named["own_weight"]) / 2 + 0.5
        np.testing.assert_allclose(reached, weights, atol=1e-3)


def test_part_of_the_way_is_that_part(rng):
    env = still(start(wealth_tao=1.0, pool_fee=0.0, min_order_tao=0.0, **NOTHING_ELSE_MOVES))
    named = features(env.step(target_action(np.eye(7)[2], 0.25))[0])
    assert named["own_weight"][1] / 2 + 0.5 == pytest.approx(0.25, abs=1e-3)
    named = features(env.step(target_action(np.eye(7)[2], 0.5))[0])
    assert named["own_weight"][1] / 2 + 0.5 == pytest.approx(0.625, abs=1e-3)


def test_do_nothing_leaves_no_orders(play, rng):
    env = start()
    play(env, rng, 5, go=1.0)
    action = rng.uniform(-1, 1, (1, *env.action_space.shape)).astype(np.float32)
    action[0, -1] = -1.0
    orders = env.episodes.role.apply(env.episodes.batch, action)
    assert orders.shape == (1, 1, 6)
    assert not orders.any()


def test_do_nothing_equals_all_root(same):
    lazy, rooted = start(seed=4), start(seed=4)
    nothing = np.full(lazy.action_space.shape, -1.0)
    for _ in range(30):
        assert same(lazy.step(nothing), rooted.step(target_action(np.eye(7)[0])))
    assert rooted.episodes.batch.state.section("staker_alpha").sum() == 0.0


# --- wealth and reward


@pytest.mark.parametrize("era", ["price_burn", "launch"])
@pytest.mark.parametrize("wealth", [10.0, 1000.0, 100_000.0])
def test_liquidation_wealth_is_what_selling_everything_fetches(era, wealth):
    env = still(start(era=era, wealth_tao=wealth, **NOTHING_ELSE_MOVES))
    batch = env.episodes.batch
    before = env.step(target_action([0.0, 3.0, 1.0, 1.0, 0.0, 2.0, 1.0]))[4]
    assert 0 < before["wealth"] < wealth
    assert before["root_tao"] < 1e-6 * wealth
    batch.step(-batch.state.section("staker_alpha").copy())
    after = env.episodes.info()
    assert after["root_tao"][0] == pytest.approx(before["wealth"], rel=1e-12)
    assert after["wealth"][0] == pytest.approx(before["wealth"], rel=1e-12)
    assert not batch.state.section("staker_alpha").any()
    assert batch.audit().ok


def test_selling_everything_by_action_changes_no_wealth():
    env = still(start(**NOTHING_ELSE_MOVES))
    before = env.step(target_action([0.0, 3.0, 1.0, 1.0, 0.0, 2.0, 1.0]))[4]
    _, reward, _, _, after = env.step(target_action(np.eye(7)[0]))
    assert after["wealth"] == pytest.approx(before["wealth"], rel=1e-12)
    assert after["root_tao"] == pytest.approx(before["wealth"], rel=1e-6)
    assert reward == pytest.approx(0.0, abs=1e-11)


def test_liquidation_wealth_counts_claims_at_what_they_fetch():
    """Claimed at once: no fee, at the price that all claims of the day get together."""
    env = still(start(wealth_tao=100_000.0, **NOTHING_ELSE_MOVES))
    state = env.episodes.batch.state
    state.section("staker_claimable")[0, 0] = 5.0
    state.row("alpha_outstanding")[:] += 5.0
    state.row("alpha_genesis")[:] += 5.0
    env.episodes.batch.step()
    before = env.episodes.info()
    assert before["wealth"][0] > before["root_tao"][0]
    env.episodes.batch.set_parameters(root_claim_hazard=1.0)
    env.episodes.batch.step()
    after = env.episodes.info()
    assert after["root_tao"][0] == pytest.approx(before["wealth"][0], rel=1e-12)


def test_exponential_and_tangent_of_the_engine_are_those_of_the_library():
    x = np.linspace(-20, 20, 1001)
    np.testing.assert_allclose([exp(v) for v in x], np.exp(x), rtol=1e-15)
    np.testing.assert_allclose([tanh(v) for v in x], np.tanh(x), rtol=1e-15, atol=1e-16)
