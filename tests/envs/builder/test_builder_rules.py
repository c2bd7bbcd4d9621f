"""The builder: what its features say, what its actions do, what it is rewarded for, how episodes end."""

import math

import numpy as np
import pytest

from dtao_gym.envs.builder.actions import BUDGET_LOGIT_SCALE, MAX_SPEND_RATE, builder_action
from dtao_gym.envs.builder.observation import MARKET_FEATURES, OWN_FEATURES, RIVAL_FEATURES
from dtao_gym.envs.builder.rivals import Rivals
from dtao_gym.envs.builder.twin import TWIN_FEATURES
from dtao_gym.envs.single import SingleEnv
from dtao_gym.envs.task import TaskConfig
from dtao_gym.envs.vector import MarketVectorEnv
from dtao_gym.protocol.lifecycle import effective_interval, lock_cost

FEES = {"payment": "fee", "finance": False}
TWINS = {"twin_world": True, "pruning": False}
HARD = {"immunity_days": 0.0, "arrivals_per_slot_year": 12.0, "entry_value_tao": 1e6}


def start(seed: int = 0, **overrides) -> SingleEnv:
    env = SingleEnv("builder", **({"n_subnets": 4} | overrides))
    env.reset(seed=seed)
    return env


def weakest(**overrides) -> int:
    """Slot of the subnet that is dissolved first."""
    return int(start(**overrides).episodes.batch.state.row("moving_price")[0].argmin())


def features(obs: np.ndarray, n: int) -> dict[str, np.ndarray]:
    """The observation by name: of rivals a vector, of oneself and the market a number."""
    width, own = len(RIVAL_FEATURES), len(RIVAL_FEATURES) * (n - 1)
    table = obs[:own].reshape(n - 1, width)
    named = {f"rival_{name}": table[:, k] for k, name in enumerate(RIVAL_FEATURES)}
    names = [f"own_{name}" for name in OWN_FEATURES] + list(MARKET_FEATURES)
    return named | dict(zip(names, obs[own : own + len(names)], strict=True))


# --- features, against the definitions written out with NumPy


def expected_features(env: SingleEnv, me: int) -> dict[str, np.ndarray]:
    """What `features` should find, from the state, in plain NumPy."""
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
    found = {f"rival_{name}": values[others] for name, values in rivals.items()}
    return found | {f"own_{name}": value for name, value in own.items()} | market


@pytest.mark.parametrize(
    ("slot", "overrides"),
    [(0, {}), (2, {"prune_key": "share", "influence": True}), (3, {"delay_stages": 6})],
    ids=["default", "share", "stages"],
)
def test_features_are_what_their_names_say(slot, overrides, rng):
    env = start(seed=3, builder_slot=slot, n_subnets=8, selection="sample", **overrides)
    obs = env.episodes.observe()[0]
    for _ in range(25):
        wanted, found = expected_features(env, slot), features(obs, 8)
        assert found.keys() == wanted.keys()
        for name, values in found.items():
            np.testing.assert_allclose(values, wanted[name], rtol=0, atol=3e-7, err_msg=name)
        obs = env.step(rng.uniform(-1, 1, 4))[0]


# --- no look-ahead, and nothing that is hidden


def test_future_shocks_do_not_show_and_then_do(same, rng):
    env, other = start(), start()
    for day in range(10):
        if day == 5:
            other.episodes.batch.state.worlds["world_key"] = 99
            assert same(env.episodes.observe(), other.episodes.observe())
            assert same(env.episodes.info(), other.episodes.info())
        action = rng.uniform(-1, 1, 4)
        alike = same(env.step(action)[:2], other.step(action)[:2])
        assert alike == (day < 5), day


def test_the_drawn_end_does_not_show(same, rng):
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


def test_what_rivals_hide_does_not_show_and_then_does(same, play, rng):
    env, other = start(), start()
    play(env, np.random.default_rng(1), 3), play(other, np.random.default_rng(1), 3)
    state = other.episodes.batch.state
    for name in HIDDEN:
        state.row(name)[:, 1:] *= 0.5
    state.section("pipeline")[:, :, 1:] *= 0.5
    # nor do today's opinions of the own subnet, or a signal that is not yet old enough
    state.row("opinion")[:] += 1.0
    state.row("target_price")[:] *= 2.0
    days = other.config.signal_lag_days + 1
    young = np.arange(days) != state.worlds["day"][0] % days
    state.section("signal_history")[:, young] *= 2.0
    assert same(env.episodes.observe(), other.episodes.observe())
    assert not same(env.step(np.zeros(4))[0], other.step(np.zeros(4))[0])


@pytest.mark.parametrize("name", ["short_stock", "knowledge", "influence_stock", "ability", "treasury", "budget", "income"])  # fmt: skip
def test_what_is_ones_own_shows(name):
    env = start()
    before = env.episodes.observe()
    env.episodes.batch.state.row(name)[0, 0] += 1.0
    after = env.episodes.observe()
    assert (before != after).any()


# --- actions


@pytest.mark.parametrize("influence", [False, True])
def test_actions_are_the_decisions_that_the_docstring_says(influence, rng):
    env = start(influence=influence)
    for _ in range(10):
        action = rng.uniform(-1, 1, 4).astype(np.float32)
        treasury = env.episodes.info()["treasury"][0]
        info = env.step(action)[4]
        a = action.astype(float)
        weights = np.exp(BUDGET_LOGIT_SCALE * np.array([0.0, a[1], a[2]])) * [1, 1, influence]
        product, research, courted = weights / weights.sum()
        assert info["spend_rate"] == pytest.approx(MAX_SPEND_RATE * (a[0] + 1) / 2)
        assert info["research_share"] == pytest.approx(research / (research + product))
        assert info["influence_share"] == pytest.approx(courted)
        assert info["owner_sale_fraction"] == pytest.approx((a[3] + 1) / 2)
        assert info["budget"] == pytest.approx(treasury * info["spend_rate"])


def test_influence_is_masked_where_there_is_none(same, rng):
    env, other = start(), start()
    for _ in range(6):
        action = rng.uniform(-1, 1, 4)
        masked = action * [1, 1, -1, 1]
        assert same(env.step(action), other.step(masked))
    assert env.episodes.info()["influence_stock"][0] == 0.0


@pytest.mark.parametrize(("influence", "size"), [(False, 1), (True, 2)])
def test_composition_alone_leaves_the_rest_as_configured(influence, size, rng):
    env = start(builder_decides="composition", influence=influence, spend_rate=0.07, owner_sale_fraction=0.4)  # fmt: skip
    assert env.action_space.shape == (size,)
    whole = start(influence=influence)
    for _ in range(4):
        action = rng.uniform(-1, 1, size).astype(np.float32)
        info = env.step(action)[4]
        assert (info["spend_rate"], info["owner_sale_fraction"]) == (0.07, 0.4)
        wanted = whole.step(np.append(np.append(0.0, action), [0.0] * (3 - size)))[4]
        assert info["research_share"] == wanted["research_share"]
        assert info["influence_share"] == wanted["influence_share"]


def test_decisions_hold_for_all_days_of_a_step(same):
    week, days = start(days_per_step=7), start()
    action = np.float32([0.3, -0.4, 0.0, 0.2])
    weekly, daily = week.step(action), [days.step(action) for _ in range(7)]
    assert same(weekly[0], daily[-1][0])
    assert weekly[1] == pytest.approx(sum(step[1] for step in daily))
    assert weekly[4]["day"] == 7


@pytest.mark.parametrize("influence", [False, True])
@pytest.mark.parametrize("decides", ["all", "composition"])
def test_builder_action_stands_for_its_decisions(decides, influence):
    config = TaskConfig.make(influence=influence, builder_decides=decides, n_stakers=0)
    env = start(influence=influence, builder_decides=decides)
    for research, courting in ((0.002, 0.0), (0.3, 0.1), (0.5, 0.25), (0.998, 0.002)):
        info = env.step(builder_action(config, research, courting))[4]
        assert info["research_share"] == pytest.approx(research, rel=1e-5)
        # the smallest logit still courts a little
        assert info["influence_share"] == pytest.approx(courting * influence, abs=2.1e-3)
    rows = builder_action(config, np.full((2, 3), 0.4))
    assert rows.shape == (2, 3, *env.action_space.shape)
    assert rows.dtype == np.float32


# --- rewards


def test_rewards_add_up_to_what_is_consumed(rng):
    env = start(consumption_scale_tao=7.0)
    total = sum(env.step(rng.uniform(-1, 1, 4))[1] for _ in range(20))
    assert total == pytest.approx(env.episodes.info()["consumed"][0] / 7.0)
    assert total > 0.0


def test_reward_with_a_twin_is_the_difference_to_its_consumption(rng):
    """The twin is the world in which nobody has ever touched a decision."""
    env, plain, alone = start(**TWINS), start(pruning=False), start(pruning=False)
    n = plain.observation_space.shape[0]
    for _ in range(12):
        action = rng.uniform(-1, 1, 4)
        before = alone.episodes.info()["consumed"][0]
        alone.episodes.batch.step()
        consumed = (alone.episodes.info()["consumed"][0] - before) / alone.config.consumption_scale_tao  # fmt: skip
        obs, reward, *_ = env.step(action)
        wanted, own_reward, *_ = plain.step(action)
        assert (obs[:n] == wanted).all()
        assert reward == pytest.approx(own_reward - consumed, abs=1e-12)
        for k, (name, scale) in enumerate((("short_stock", 20), ("knowledge", 50))):
            lead = plain.episodes.info()[name][0] - alone.episodes.info()[name][0]
            assert obs[n + k] == pytest.approx(lead / scale, abs=1e-6)
        pipes = [e.episodes.batch.state.section("pipeline")[0, :, 0] for e in (plain, alone)]
        np.testing.assert_allclose(obs[n + 2 : n + 5], (pipes[0] - pipes[1]) / 5, atol=1e-6)
    assert n + len(TWIN_FEATURES) == obs.size


@pytest.mark.parametrize(
    "overrides", [{}, FEES, FEES | {"reward_noise": True, "terminal_value": True}]
)
def test_a_twin_of_the_same_policy_leaves_nothing(overrides):
    """A research share of one half is exact in float32."""
    settings = TWINS | {"builder_decides": "composition", "research_share": 0.5, "horizon_days": 10}
    env = start(**settings, **overrides)
    for _ in range(10):
        obs, reward, *_ = env.step(np.zeros(1))
        assert reward == 0.0
        assert not obs[-len(TWIN_FEATURES) :].any()


def test_twins_leave_the_info_to_the_learner(same):
    env, plain = start(**TWINS), start(pruning=False)
    action = np.float32([0.5, 0.9, 0.0, 0.1])
    for _ in range(5):
        assert same(env.step(action)[4], plain.step(action)[4])


def test_reward_noise_has_mean_one_and_the_spread_of_opinions():
    """Noisy over plain rewards of 1,000 worlds, on young and old days."""
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


# --- ends


def test_a_fixed_horizon_truncates():
    env = start(horizon_days=5)
    ends = [env.step(np.zeros(4))[2:4] for _ in range(5)]
    assert ends == [(False, False)] * 4 + [(False, True)]


def test_dissolution_terminates_and_counts_the_first_owner_alone():
    env = start(**HARD, builder_slot=weakest(), days_per_step=7, horizon_days=7000)
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
    # the heir has consumed as well, or at least no less was
    own = (state.row("first_owner_payoff")[0, env.config.builder_slot] - paid_before) / gamma ** (7 * week)  # fmt: skip
    assert reward == pytest.approx(own / 10.0, rel=1e-9)
    assert 0.0 <= 10.0 * reward <= info["consumed"] - before
    # and nothing is left to be earned
    assert env.step(np.zeros(4))[1] == 0.0


def test_dissolution_on_the_day_of_the_horizon_is_no_truncation():
    slot = weakest()
    env = start(**HARD, builder_slot=slot, horizon_days=400)
    days = 0
    while not env.step(np.zeros(4))[2]:
        days += 1
    env = start(**HARD, builder_slot=slot, horizon_days=days + 1)
    assert [env.step(np.zeros(4))[2:4] for _ in range(days + 1)][-1] == (True, False)


@pytest.mark.parametrize("days_per_step", [1, 7])
def test_a_drawn_end_terminates_on_its_day(days_per_step):
    drawn = {"horizon": "geometric", "social_discount_per_year": 0.999}
    env = start(**drawn, days_per_step=days_per_step)
    seen = set()
    for seed in range(6):
        env.reset(seed=seed)
        last = int(env.episodes.batch.state.worlds["last_day"][0])
        steps, terminated = 0, False
        while not terminated:
            _, _, terminated, truncated, info = env.step(np.zeros(4))
            steps += 1
            assert not truncated
        assert steps == -(-last // days_per_step)
        assert info["day"] == last  # the world stands still where the step overruns
        assert not info["pruned"]
        seen.add(last)
    assert len(seen) > 1


def test_ends_are_the_same_whatever_the_law():
    drawn = {"horizon": "geometric", "social_discount_per_year": 0.9}
    laws = ({}, {"era": "launch"}, FEES, {"payment": "direct", "influence": True})
    ends = [
        start(seed=4, **drawn, **law).episodes.batch.state.worlds["last_day"][0] for law in laws
    ]
    assert len(set(ends)) == 1


def test_the_cap_of_drawn_ends_terminates():
    env = start(horizon="geometric", horizon_cap_days=3)
    ends = [env.step(np.zeros(4))[2:4] for _ in range(3)]
    assert ends == [(False, False)] * 2 + [(True, False)]


@pytest.mark.parametrize("delay", [{}, {"delay_days": 9.0}, {"delay_days": 0.0}])
@pytest.mark.parametrize("income_factor", [1.0, 1.5])
def test_terminal_value_is_what_the_stocks_would_pay_from_then_on(delay, income_factor, rng):
    """Against two worlds that run on, in one of which the own stocks are gone: their difference is what they pay."""
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


def test_rivals_change_the_learners_rewards():
    """Rivals who all do research only leave other prices than those who do none."""
    totals = []
    for logit in (-1.0, 1.0):
        env = start(horizon_days=300)
        env.episodes.rivals = Rivals(
            lambda obs, batch, rngs, x=logit: np.tile(np.float32([0, x, 0, 1]), (len(obs), 1))
        )
        totals.append(sum(env.step(np.zeros(4))[1] for _ in range(100)))
    assert totals[0] != totals[1]
