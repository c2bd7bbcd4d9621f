"""Policies of builders: shares, closed forms, the same in every batch; exploits, and their limits."""

import numpy as np
import pytest
from dtao_agents.evaluation.evaluate import evaluation_config, play
from dtao_agents.roles.builder_policies import (
    EXPLOITS,
    SCRIPTED,
    closed_form_logit,
    closed_form_shares,
    constant,
    myopic_shares,
)
from dtao_agents.roles.policies import action_generators

from dtao_gym.envs.builder.actions import BUDGET_LOGIT_SCALE
from dtao_gym.world.config import Config
from tests.agents.worlds import FEE_ARM, builder_episodes, builder_settings


def shares_of(actions: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-BUDGET_LOGIT_SCALE * actions[:, -1].astype(float)))


@pytest.mark.parametrize("name", SCRIPTED)
@pytest.mark.parametrize("env", [FEE_ARM, {"n_subnets": 3, "influence": True}])
def test_builders_act_within_the_space_and_alike_in_every_batch(name, env):
    worlds, alone = builder_episodes([3, 7], **env), builder_episodes([7], **env)
    made = [
        SCRIPTED[name](w.observe(), w.batch, action_generators(w.batch)) for w in (worlds, alone)
    ]
    space = worlds.role.action_space
    assert made[0].dtype == space.dtype
    assert all(space.contains(action) for action in made[0])
    np.testing.assert_array_equal(made[0][1], made[1][0])


@pytest.mark.parametrize(
    ("name", "share"), [("all_short", 0.002), ("all_long", 0.998), ("half", 0.5), ("closed_form", 0.5),
                        ("myopic", 0.002), ("as_configured", 0.3)]
)  # fmt: skip
def test_builders_divide_as_their_names_say(name, share):
    worlds = builder_episodes([0, 1], **FEE_ARM)
    actions = SCRIPTED[name](worlds.observe(), worlds.batch, [])
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


def test_closed_forms_are_those_of_the_theory():
    fee = Config.make(payment="fee")
    assert closed_form_shares(fee)[0] == pytest.approx(0.5, abs=1e-9)
    for days, share in ((30, 0.5448), (360, 0.4480)):
        assert closed_form_shares(Config.make(fee, delay_days=days))[0] == pytest.approx(
            share, abs=5e-5
        )
    assert closed_form_logit(Config.make(fee, builder_discount_per_year=0.6)) == pytest.approx(
        np.log(0.113517 / (1 - 0.113517)), abs=1e-4
    )
    # a market of the uninformed pays for hype, and for influence
    assert closed_form_shares(Config.make())[0] == pytest.approx(4 / 13)
    assert closed_form_shares(Config.make(influence=True)) == pytest.approx((4 / 13, 1 / 14))


@pytest.mark.parametrize(
    ("days", "share"), [(90, 9.449e-5), (180, 0.003921), (360, 0.059403), (720, 0.246044), (1440, 0.426262)]
)  # fmt: skip
def test_myopic_share_is_the_best_for_a_payoff_cut_off(days, share):
    assert myopic_shares(Config.make(payment="fee"), days)[0] == pytest.approx(share, rel=1e-4)


@pytest.mark.parametrize("delay", [0.0, 3.0, 720.0])
def test_who_looks_far_enough_is_not_myopic(delay):
    config = Config.make(payment="fee", delay_days=delay, influence=True)
    assert myopic_shares(config, 20_000) == pytest.approx(closed_form_shares(config), rel=1e-4)


# --- exploits


@pytest.fixture(scope="module")
def pruning_world():
    """Founders queue up, and nobody is immune for long."""
    env = {
        "n_subnets": 4,
        "spans_per_day": 1,
        "days_per_step": 7,
        "pruning": True,
        "arrivals_per_slot_year": 2.0,
        "entry_value_tao": 1e5,
        "immunity_days": 60.0,
        "horizon_cap_days": 1000,
        "social_discount_per_year": 0.001,
    }
    return evaluation_config(builder_settings(env=env).env, "builder")


def test_who_registers_to_be_dissolved_is_dissolved(pruning_world):
    seeds = range(12)
    outcome = play(
        EXPLOITS["register_to_be_dissolved"], pruning_world, seeds, role="builder"
    ).values
    working = play(SCRIPTED["half"], pruning_world, seeds, role="builder").values
    assert outcome["dissolved"].all()
    assert outcome["days"].mean() < working["days"].mean()
    assert (outcome["consumption"] > 0.0).all()
    assert outcome["consumption"].mean() < working["consumption"].mean()


def test_a_builder_who_does_nothing_consumes_nothing(pruning_world):
    outcome = play(EXPLOITS["do_nothing"], pruning_world, range(3), role="builder").values
    assert not outcome["consumption"].any()
