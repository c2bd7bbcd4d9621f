"""The builder: what its features say, what its actions do, what it is paid, how its episodes end."""

import math

import numpy as np
import pytest

from dtao_gym.envs.builder.actions import BUDGET_LOGIT_SCALE, builder_action
from dtao_gym.envs.builder.observation import MARKET_FEATURES, OWN_FEATURES, RIVAL_FEATURES
from dtao_gym.envs.builder.rivals import Rivals
from dtao_gym.envs.builder.twin import TWIN_FEATURES
from dtao_gym.envs.single import SingleEnv
from dtao_gym.envs.vector import MarketVectorEnv
from dtao_gym.world.parameters import PARAMETERS_DTYPE

N_RIVAL = len(RIVAL_FEATURES)
FEE_ARM = {
    "genesis": "symmetric",
    "n_subnets": 2,
    "spans_per_day": 1,
    "payment": "fee",
    "finance": False,
    "pruning": False,
}
CROWDED = {"arrivals_per_slot_year": 12.0, "entry_value_tao": 1e6, "immunity_days": 0.0}


def start(seed: int = 0, **overrides) -> SingleEnv:
    env = SingleEnv("builder", **({"n_subnets": 5} | overrides))
    env.reset(seed=seed)
    return env


def features(obs: np.ndarray) -> dict[str, np.ndarray]:
    """The observation by name; of rivals a vector, its name after `rival_`."""
    tail = obs.size - len(OWN_FEATURES) - len(MARKET_FEATURES)
    rivals = obs[:tail].reshape(-1, N_RIVAL)
    named = {f"rival_{name}": rivals[:, k] for k, name in enumerate(RIVAL_FEATURES)}
    return named | dict(zip((*OWN_FEATURES, *MARKET_FEATURES), obs[tail:], strict=True))


def random_actions(env, rng: np.random.Generator) -> np.ndarray:
    return rng.uniform(-1, 1, env.action_space.shape).astype(np.float32)


# --- observations


def expected_features(env: SingleEnv) -> dict[str, np.ndarray]:
    """All features but those of pruning, from the state, in plain NumPy."""
    batch, config, me = env.episodes.batch, env.config, env.config.builder_slot
    state = batch.state
    world = state.worlds[0]
    p = dict(zip(PARAMETERS_DTYPE.names, batch.parameters[0], strict=True))
    row = {name: state.row(name)[0] for name in ("spot_price", "moving_price", "tao_reserve", "short_stock",
           "alpha_reserve", "alpha_outstanding", "dilution_alpha", "alpha_emission", "emission_share", "knowledge",
           "registered_block", "influence_stock", "ability", "treasury", "budget", "income", "owner_alpha")}  # fmt: skip
    price, issuance = row["spot_price"], row["alpha_reserve"] + row["alpha_outstanding"]
    past = state.section("price_history")[0, world["day"] % config.momentum_lag_days]
    signal = state.section("signal_history")[0, world["day"] % (config.signal_lag_days + 1)]
    worth = p["price_of_capital"] * p["pooled_capitalisation"] * signal
    worth /= issuance / row["dilution_alpha"]
    momentum, ln_signal, ln_price = np.log(price / past), np.log(signal), np.log(price)
    share = np.tanh(row["emission_share"] / row["emission_share"].mean() - 1)
    left = 1 - (world["block"] - row["registered_block"]) / (7200 * config.immunity_days)
    immunity = 2 * np.maximum(left, 0) - 1
    others = np.arange(price.size) != me
    stages = state.section("pipeline")[0, :, me]

    def log_of(x: float, typical: float, scale: float = 0.5) -> float:
        return math.tanh(scale * math.log(max(x, 1e-6) / typical))

    return {
        "rival_price": np.tanh(0.5 * (ln_price - ln_price[me]))[others],
        "rival_signal": np.tanh(ln_signal - ln_signal[me])[others],
        "rival_momentum_long": np.tanh(4 * momentum)[others],
        "rival_emission_share": share[others],
        "rival_immunity": immunity[others],
        "short_stock": np.tanh(row["short_stock"][me] / 50),
        "short_stock_log": log_of(row["short_stock"][me], 10),
        "knowledge": np.tanh(row["knowledge"][me] / 100),
        "knowledge_log": log_of(row["knowledge"][me], 15),
        **dict(zip(OWN_FEATURES[4:7], np.tanh(stages / 10), strict=True)),
        "pipeline_log": log_of(stages.sum(), 3),
        "influence_stock": np.tanh(row["influence_stock"][me] / 10),
        "ability": min(row["ability"][me] / 5, 1),
        "treasury": np.tanh(row["treasury"][me] / 1000),
        "treasury_log": log_of(row["treasury"][me], 150),
        "budget": log_of(row["budget"][me], 10),
        "income": log_of(row["income"][me], 10),
        "price": np.tanh(0.5 * (ln_price[me] - ln_price.mean())),
        "momentum_long": np.tanh(4 * momentum[me]),
        "momentum_short": np.tanh(10 * np.log(price / row["moving_price"])[me]),
        "signal": np.tanh(ln_signal[me] - ln_signal.mean()),
        "emission_share": share[me],
        "immunity": immunity[me],
        "issuance": log_of(issuance[me], 2e6),
        "dilution": np.tanh(365 * 7200 * row["alpha_emission"] / issuance)[me],
        "depth": log_of(row["tao_reserve"][me], 7658, 0.25),
        "owner_alpha": log_of((row["owner_alpha"] * price)[me], 1000, 0.25),
        "moving_price_sum": np.tanh(2 * (world["moving_price_sum"] - 1)),
        "mean_price": np.tanh(0.5 * (ln_price.mean() - math.log(0.0058))),
        "mean_momentum": np.tanh(4 * momentum.mean()),
        "mean_signal_value": np.tanh(np.log(worth / price).mean()),
        "immune_share": 2 * (left > 0).mean() - 1,
    }


@pytest.mark.parametrize("slot", [0, 3])
def test_features_are_what_their_names_say(rng, slot):
    env = start(influence=True, builder_slot=slot, selection="sample")
    obs = env.reset(seed=3)[0]
    for _ in range(25):
        named = features(obs)
        for name, wanted in expected_features(env).items():
            np.testing.assert_allclose(named[name], wanted, rtol=0, atol=3e-7, err_msg=name)
        obs = env.step(random_actions(env, rng))[0]


def test_features_of_pruning():
    env = start(immunity_days=0.0, builder_slot=2)
    state = env.episodes.batch.state
    state.row("moving_price")[0] = [1.0, 0.2, 0.5, 0.1, 2.0]
    state.row("registered_block")[0, 3] = state.worlds["block"][0] + 7200  # not yet to be dissolved
    env.episodes.batch.set_parameters(immunity_days=10.0)
    state.row("registered_block")[0, :3] = state.worlds["block"][0] - 7200 * 5
    state.row("registered_block")[0, 1] = state.worlds["block"][0] - 7200 * 50
    named = features(env.episodes.observe()[0])
    assert named["prune_rank"] == 0.0  # two of four stand below
    assert named["prune_margin"] == pytest.approx(math.tanh(0.5 * math.log(0.5 / 0.2)))
    assert named["immunity"] == pytest.approx(0.0, abs=1e-6)
    wanted = np.tanh(0.5 * np.log(np.array([1.0, 0.2, 0.1, 2.0]) / 0.5))
    np.testing.assert_allclose(named["rival_prune_margin"], wanted, atol=1e-6)
    env.episodes.batch.set_parameters(prune_key="share")
    state.row("emission_share")[0] = [0.1, 0.3, 0.1, 0.2, 0.2]
    named = features(env.episodes.observe()[0])
    assert named["prune_rank"] == -1.0
    assert named["prune_margin"] == pytest.approx(math.tanh(0.5 * math.log(0.1 / 0.2)))


def test_rivals_hide_their_stocks_and_the_future(same):
    """What a rival has shows in no feature of today, and later through signals and prices alone."""
    env, other = start(builder_slot=1), start(builder_slot=1)
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


def test_there_is_no_clock():
    """A day later, with the state as it was, everything looks the same."""
    env = start(signal_lag_days=0, momentum_lag_days=1)
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


def test_stages_are_seen_in_thirds():
    env = start(delay_stages=6)
    env.episodes.batch.state.section("pipeline")[0, :, 0] = [1, 2, 3, 4, 5, 6]
    named = features(env.episodes.observe()[0])
    found = [named[name] for name in OWN_FEATURES[4:7]]
    np.testing.assert_allclose(found, np.tanh([0.3, 0.7, 1.1]), atol=1e-6)


# --- actions


def decisions(env: SingleEnv) -> dict[str, float]:
    names = ("spend_rate", "research_share", "influence_share", "owner_sale_fraction")
    return {name: float(env.episodes.batch.state.row(name)[0, 0]) for name in names}


def test_an_action_is_four_decisions():
    env = start(influence=True)
    env.step(np.array([-1.0, 0.0, 0.0, 1.0]))
    assert decisions(env) == pytest.approx({"spend_rate": 0.0, "research_share": 0.5, "influence_share": 1 / 3,
                                            "owner_sale_fraction": 1.0})  # fmt: skip
    env.step(np.array([1.0, 1.0, -1.0, -1.0]))
    found = decisions(env)
    assert (found["spend_rate"], found["owner_sale_fraction"]) == (0.2, 0.0)
    assert found["research_share"] == pytest.approx(0.998)
    assert found["influence_share"] == pytest.approx(0.002 / (1 + 499), rel=0.01)


def test_without_influence_its_logit_does_nothing(same):
    one, two = start(), start()
    assert same(one.step(np.array([0.1, 0.2, -1.0, 0.3])), two.step(np.array([0.1, 0.2, 1.0, 0.3])))
    assert decisions(two)["influence_share"] == 0.0


@pytest.mark.parametrize("influence", [True, False])
@pytest.mark.parametrize("decides", ["all", "composition"])
@pytest.mark.parametrize(
    "shares", [(0.002, 0.0), (0.3, 0.1), (0.5, 0.3), (0.9, 0.05), (0.998, 0.0)]
)
def test_decisions_can_be_expressed(influence, decides, shares):
    env = start(influence=influence, builder_decides=decides, spend_rate=0.05)
    assert env.action_space.shape == (4 if decides == "all" else 1 + influence,)
    env.step(builder_action(env.config, *shares, owner_sale_fraction=0.7))
    found = decisions(env)
    assert found["research_share"] == pytest.approx(shares[0], abs=1e-6)
    assert found["influence_share"] == pytest.approx(shares[1] * influence, abs=2e-3)
    assert found["spend_rate"] == pytest.approx(0.05)
    sold = 0.7 if decides == "all" else 1.0
    assert found["owner_sale_fraction"] == pytest.approx(sold)


def test_decisions_hold_from_the_next_day_on():
    env = start(**FEE_ARM, research_luck_sd=0.0)
    env.step(builder_action(env.config, 0.998))
    kept = env.episodes.batch.state.row("short_stock")[0].copy()
    env.step(builder_action(env.config, 0.998))
    state = env.episodes.batch.state
    assert state.row("short_stock")[0, 0] < kept[0]
    able = state.row("ability")[0, 0]
    made = state.row("short_stock")[0, 0] - kept[0] * 2 ** (-1 / 30)
    assert made == pytest.approx(able * 0.1 * np.sqrt(0.002 * 10.0))


def test_only_the_own_slot_is_decided():
    env = start(builder_slot=2)
    env.step(builder_action(env.config, 0.9))
    shares = env.episodes.batch.state.row("research_share")[0]
    np.testing.assert_allclose(shares, [0.3, 0.3, 0.9, 0.3, 0.3], atol=1e-6)


@pytest.mark.parametrize("value", [np.nan, 1.5, -np.inf])
def test_a_bad_action_changes_nothing(value, state_bytes):
    env = MarketVectorEnv(3, "builder", n_subnets=3)
    env.reset(seed=0)
    before = state_bytes(env.episodes)
    bad = np.full((3, 4), 0.5)
    bad[2, 1] = value
    with pytest.raises(
        ValueError, match=r"action: got \S+ at world 2, entry 1, allowed are numbers"
    ):
        env.step(bad)
    with pytest.raises(ValueError, match=r"action: got shape \(3, 3\), allowed is \(3, 4\)"):
        env.step(np.zeros((3, 3)))
    assert state_bytes(env.episodes) == before


# --- rewards


@pytest.mark.parametrize("payment", ["alpha", "direct", "fee"])
def test_rewards_add_up_to_consumption(payment, rng):
    env = start(payment=payment, days_per_step=3, consumption_scale_tao=4.0, pruning=False)
    total = 0.0
    for _ in range(20):
        _, reward, _, _, info = env.step(random_actions(env, rng))
        total += reward
        assert total == pytest.approx(info["consumed"] / 4.0)
    assert total > 0.0
    assert env.episodes.batch.audit().ok


def dissolved(**overrides) -> tuple[SingleEnv, list]:
    """An episode that ends with the subnet, and its steps."""
    for seed in range(20):
        env = start(seed=seed, prune_lottery_sd=2.0, **CROWDED, **overrides)
        steps = [env.step(builder_action(env.config))]
        while not (steps[-1][2] or steps[-1][3]):
            steps.append(env.step(builder_action(env.config)))
        if steps[-1][4]["pruned"]:
            return env, steps
    raise AssertionError("no subnet was dissolved")


@pytest.mark.parametrize("days", [1, 7])
@pytest.mark.parametrize("horizon", ["fixed", "geometric"])
def test_dissolution_terminates_and_the_heir_does_not_count(days, horizon):
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


def test_terminal_value_is_what_the_stocks_will_pay():
    """A short episode with it is a long one, discounted, in which nothing is spent after the short one's end."""
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


def test_reward_noise_has_mean_one_and_does_not_touch_the_world():
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


# --- the twin


TWIN = FEE_ARM | {"days_per_step": 7, "builder_decides": "composition", "n_subnets": 2}


def test_a_twin_takes_off_what_the_scripted_builder_gets(rng):
    """Whatever the actions: so rewards have another level and the same differences, and no optimum moves."""
    twin, plain, scripted = (
        MarketVectorEnv(20, "builder", **TWIN, twin_world=with_twin, horizon_days=70)
        for with_twin in (True, False, False)
    )
    for envs in (twin, plain, scripted):
        envs.reset(seed=5)
    as_configured = np.tile(builder_action(plain.episodes.config), (20, 1))
    for _ in range(25):
        drawn = rng.uniform(-1, 1, (20, 1)).astype(np.float32)
        mine, own, theirs = twin.step(drawn), plain.step(drawn), scripted.step(as_configured)
        # actions are float32, and the share of the configuration is not
        np.testing.assert_allclose(mine[1], own[1] - theirs[1], atol=1e-6)
        np.testing.assert_array_equal(mine[0][:, : -len(TWIN_FEATURES)], own[0])
        np.testing.assert_array_equal(mine[2:4], own[2:4])
    assert twin.episodes.batch.audit().ok


def test_who_plays_like_its_twin_gets_nothing_and_who_does_not_shares_its_luck():
    settings = TWIN | {"twin_world": True, "reward_noise": True, "horizon_days": 2000}
    plain = TWIN | {"reward_noise": True, "horizon_days": 2000}
    twin, alone = (
        MarketVectorEnv(64, "builder", **settings),
        MarketVectorEnv(64, "builder", **plain),
    )
    twin.reset(seed=0), alone.reset(seed=0)
    config = alone.episodes.config
    for _ in range(30):
        obs, reward, *_ = twin.step(np.tile(builder_action(config), (64, 1)))
    np.testing.assert_allclose(reward, 0.0, atol=1e-5)
    np.testing.assert_allclose(obs[:, -len(TWIN_FEATURES) :], 0.0, atol=1e-5)
    twin.reset(seed=0)
    other = np.tile(builder_action(config, 0.5), (64, 1))
    for _ in range(200):
        with_twin, without = twin.step(other)[1], alone.step(other)[1]
    assert with_twin.std() < 0.4 * without.std()


def test_the_lead_is_over_the_stocks_of_the_twin(rng):
    env = start(**TWIN, twin_world=True)
    for _ in range(40):
        obs = env.step(np.ones(1))[0]
    state, lead = env.episodes.batch.state, obs[-len(TWIN_FEATURES) :]
    assert state.n_worlds == 2
    stages = state.section("pipeline")[:, :, 0]
    wanted = [
        *np.diff(state.row("short_stock")[:, 0]) / -20,
        *np.diff(state.row("knowledge")[:, 0]) / -50,
    ]
    np.testing.assert_allclose(lead[:5], [*wanted, *(stages[0] - stages[1]) / 5], atol=1e-7)
    assert lead[0] < 0.0 < lead[1]


# --- rivals, learners


def test_rivals_may_follow_a_policy(same):
    """Each sees the world from its own slot, with nothing of the learner's that is not public."""
    seen = []

    def policy(observation, batch, rngs):
        seen.append(observation)
        return np.tile(builder_action(batch.configs[0], 0.8), (len(observation), 1))

    env, plain = start(builder_slot=1, n_subnets=3), start(builder_slot=1, n_subnets=3)
    env.episodes.rivals = Rivals(policy)
    env.step(builder_action(env.config, 0.4))
    plain.step(builder_action(env.config, 0.4))
    state = env.episodes.batch.state
    np.testing.assert_allclose(state.row("research_share")[0], [0.8, 0.4, 0.8], atol=1e-6)
    assert [len(observation) for observation in seen] == [2]
    first = features(seen[0][0])
    treasury = math.tanh(150.0 / 1000.0)
    assert first["treasury"] == pytest.approx(treasury)
    assert first["ability"] == pytest.approx(min(state.row("ability")[0, 0] / 5, 1), abs=1e-6)
    short = [w.episodes.batch.state.row("short_stock")[0] for w in (env, plain)]
    assert (short[0][[0, 2]] < short[1][[0, 2]]).all()
    assert short[0][1] == short[1][1]


def test_no_staker_learns_beside_it():
    env = start()
    assert env.config.n_stakers == 0
    assert env.episodes.batch.state.stakers.shape == (1, 0)
    info = env.step(np.zeros(4))[4]
    assert "wealth" not in info
    assert all(np.asarray(value).size > 0 for value in info.values())
    assert set(info) >= {
        "treasury",
        "research_share",
        "own_price",
        "welfare",
        "true_value",
        "pruned",
    }


def test_logits_reach_from_nearly_nothing_to_nearly_all():
    assert math.exp(BUDGET_LOGIT_SCALE) == pytest.approx(0.998 / 0.002)
