"""The builder's actions: decisions, their bounds, and when they apply."""

import math

import numpy as np
import pytest

from dtao_gym.envs.builder.actions import BUDGET_LOGIT_SCALE, MAX_SPEND_RATE, builder_action
from dtao_gym.envs.single import SingleEnv
from dtao_gym.envs.task import TaskConfig
from dtao_gym.envs.vector import MarketVectorEnv
from tests.envs.builder.builder_worlds import FEE_ARM, start


def decisions(env: SingleEnv) -> dict[str, float]:
    names = ("spend_rate", "research_share", "influence_share", "owner_sale_fraction")
    return {name: float(env.episodes.batch.state.row(name)[0, 0]) for name in names}


def test_an_action_is_four_decisions():
    env = start(n_subnets=5, influence=True)
    env.step(np.array([-1.0, 0.0, 0.0, 1.0]))
    assert decisions(env) == pytest.approx({"spend_rate": 0.0, "research_share": 0.5, "influence_share": 1 / 3,
                                            "owner_sale_fraction": 1.0})  # fmt: skip
    env.step(np.array([1.0, 1.0, -1.0, -1.0]))
    decided = decisions(env)
    assert (decided["spend_rate"], decided["owner_sale_fraction"]) == (0.2, 0.0)
    assert decided["research_share"] == pytest.approx(0.998)
    assert decided["influence_share"] == pytest.approx(0.002 / (1 + 499), rel=0.01)


@pytest.mark.parametrize("influence", [False, True])
def test_actions_map_to_decisions_as_documented(influence, rng):
    env = start(influence=influence)
    for _ in range(10):
        action = rng.uniform(-1, 1, 4).astype(np.float32)
        treasury = env.episodes.info()["treasury"][0]
        info = env.step(action)[4]
        a = action.astype(float)
        weights = np.exp(BUDGET_LOGIT_SCALE * np.array([0.0, a[1], a[2]])) * [1, 1, influence]
        product, research, influence_share = weights / weights.sum()
        assert info["spend_rate"] == pytest.approx(MAX_SPEND_RATE * (a[0] + 1) / 2)
        assert info["research_share"] == pytest.approx(research / (research + product))
        assert info["influence_share"] == pytest.approx(influence_share)
        assert info["owner_sale_fraction"] == pytest.approx((a[3] + 1) / 2)
        assert info["budget"] == pytest.approx(treasury * info["spend_rate"])


def test_budget_logits_cover_shares_from_nearly_zero_to_nearly_one():
    assert math.exp(BUDGET_LOGIT_SCALE) == pytest.approx(0.998 / 0.002)


def test_without_influence_its_logit_has_no_effect(same):
    one, two = start(n_subnets=5), start(n_subnets=5)
    assert same(one.step(np.array([0.1, 0.2, -1.0, 0.3])), two.step(np.array([0.1, 0.2, 1.0, 0.3])))
    assert decisions(two)["influence_share"] == 0.0


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


@pytest.mark.parametrize("influence", [True, False])
@pytest.mark.parametrize("decides", ["all", "composition"])
@pytest.mark.parametrize(
    "shares", [(0.002, 0.0), (0.3, 0.1), (0.5, 0.3), (0.9, 0.05), (0.998, 0.0)]
)
def test_every_decision_can_be_encoded(influence, decides, shares):
    env = start(n_subnets=5, influence=influence, builder_decides=decides, spend_rate=0.05)
    assert env.action_space.shape == (4 if decides == "all" else 1 + influence,)
    env.step(builder_action(env.config, *shares, owner_sale_fraction=0.7))
    decided = decisions(env)
    assert decided["research_share"] == pytest.approx(shares[0], abs=1e-6)
    assert decided["influence_share"] == pytest.approx(shares[1] * influence, abs=2e-3)
    assert decided["spend_rate"] == pytest.approx(0.05)
    sold = 0.7 if decides == "all" else 1.0
    assert decided["owner_sale_fraction"] == pytest.approx(sold)


@pytest.mark.parametrize("influence", [False, True])
@pytest.mark.parametrize("decides", ["all", "composition"])
def test_builder_action_encodes_its_decisions(decides, influence):
    config = TaskConfig.make(influence=influence, builder_decides=decides, n_stakers=0)
    env = start(influence=influence, builder_decides=decides)
    for research, spent_on_influence in ((0.002, 0.0), (0.3, 0.1), (0.5, 0.25), (0.998, 0.002)):
        info = env.step(builder_action(config, research, spent_on_influence))[4]
        assert info["research_share"] == pytest.approx(research, rel=1e-5)
        # the smallest logit still spends a little on influence
        assert info["influence_share"] == pytest.approx(spent_on_influence * influence, abs=2.1e-3)
    rows = builder_action(config, np.full((2, 3), 0.4))
    assert rows.shape == (2, 3, *env.action_space.shape)
    assert rows.dtype == np.float32


def test_decisions_hold_for_all_days_of_a_step(same):
    week, days = start(days_per_step=7), start()
    action = np.float32([0.3, -0.4, 0.0, 0.2])
    weekly, daily = week.step(action), [days.step(action) for _ in range(7)]
    assert same(weekly[0], daily[-1][0])
    assert weekly[1] == pytest.approx(sum(step[1] for step in daily))
    assert weekly[4]["day"] == 7


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


def test_actions_change_only_the_own_slot():
    env = start(n_subnets=5, builder_slot=2)
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
