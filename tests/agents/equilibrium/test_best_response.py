"""Best responses: a known profitable deviation is found, and none is where there is none."""

import numpy as np
import pytest
from dtao_agents.equilibrium.best_response import (
    LinearDeviation,
    ResponseEnv,
    exploitability,
    play,
    ppo_response,
)
from dtao_agents.equilibrium.inference import identified_set
from dtao_agents.roles.builder import BUILDER, FEEDBACK
from dtao_agents.roles.builder_policies import SCRIPTED as BUILDERS
from dtao_agents.roles.builder_policies import constant
from dtao_agents.roles.staker import STAKER
from dtao_agents.roles.staker_policies import SCRIPTED as STAKERS
from dtao_agents.training.multi_agent_run import sentence
from dtao_agents.training.multi_agent_settings import MultiAgentConfig

from dtao_gym.envs.staker.observation import GLOBAL_FEATURES
from tests.agents.worlds import FEE_ARM, WORLD

LEARNER = {"batch_size": 64, "hidden": 8, "epochs": 1}
RESPONSE = {
    "timesteps": 128,
    "num_envs": 8,
    "rollout_steps": 8,
    "batch_size": 64,
    "starts": 1,
    "episodes": 12,
    "generations": 3,
    "nash_seeds": 0,
}


def settings(**changes) -> MultiAgentConfig:
    return MultiAgentConfig.make(
        {
            "env": FEE_ARM,
            "stakers": 0,
            "threads": 1,
            "rollout_steps": 8,
            "builder": LEARNER | {"gamma": 0.99573},
            "staker": LEARNER,
            "response": RESPONSE,
        }
        | changes
    )


def test_a_population_that_neglects_research_is_found_out():
    """By fees 0.5 is best, whatever the others do; what a deviation gains is what it gains alone."""
    made = settings(response=RESPONSE | {"episodes": 96})
    found = exploitability(made, {"builder": constant(0.1)})["builder"]
    gains = {each["method"]: each["gain"] for each in found["responses"]}
    config = BUILDER.response_task(made.env)
    paid = [
        play(config, {"builder": constant(share)}, "builder", range(96)).paid
        for share in (0.1, 0.5)
    ]
    assert gains["scripted: closed_form"]["value"] == pytest.approx(
        (paid[1] - paid[0]).mean() / paid[0].mean(), rel=0.01
    )
    assert gains["scripted: closed_form"]["low"] > 0.01
    # three generations of eight worlds each find most of the way
    assert gains["cross-entropy"]["value"] > 0.5 * gains["scripted: closed_form"]["value"]
    assert not found["is_equilibrium"]
    assert found["epsilon"]["value"] >= gains["scripted: closed_form"]["value"] - 0.02
    assert found["research_share"] == pytest.approx(0.1, abs=1e-3)
    assert found["identified_set"] == identified_set(
        found["research_share"], found["epsilon"]["value"]
    )
    assert "NOT AN EQUILIBRIUM" in sentence("builder", found)


def test_at_the_optimum_nothing_gains():
    made = settings(response=RESPONSE | {"generations": 1})
    found = exploitability(made, {"builder": BUILDERS["closed_form"]})["builder"]
    assert found["is_equilibrium"]
    assert found["epsilon"]["value"] < 1e-3
    assert all(each["gain"]["value"] < 1e-3 for each in found["responses"])
    low, high = found["identified_set"]
    assert low <= found["research_share"] <= high
    assert "no deviation that was tried gains" in sentence("builder", found)


def test_nash_stands_beside_it():
    made = settings(response=RESPONSE | {"generations": 1, "nash_seeds": 48})
    found = exploitability(made, {"builder": constant(0.3)})["builder"]
    assert found["nash"]["verdict"] == "solved"
    assert found["nash"]["share"] == pytest.approx(0.5, abs=0.05)
    assert found["nash"]["difference"] < -0.5
    assert f"{found['nash']['share']:.3f} (solved)" in sentence("builder", found)


def test_a_staker_who_trades_for_nothing_is_found_out():
    made = MultiAgentConfig.make(
        {"env": WORLD, "stakers": 2, "builders": False, "staker": LEARNER, "response": RESPONSE}
    )
    found = exploitability(made, {"staker": STAKERS["momentum"]})["staker"]
    gains = {each["method"]: each["gain"]["value"] for each in found["responses"]}
    assert gains["scripted: momentum"] == 0.0
    assert gains["scripted: all_root"] != 0.0
    assert len(gains) == 1 + 4 + 1  # one start, no learned policy to start from, scripted, search


def test_a_deviation_changes_one_member_alone():
    made = settings(env=WORLD | {"horizon": "geometric", "horizon_cap_days": 30})
    config = BUILDER.response_task(made.env)
    usual = {"builder": constant(0.3)}
    before = play(config, usual, "builder", range(4))
    same = play(config, usual, "builder", range(4), constant(0.3))
    other = play(config, usual, "builder", range(4), constant(0.9))
    np.testing.assert_array_equal(before.paid, same.paid)
    # the mean over four builders moves by a quarter of what one of them does
    moved = (other.statistic - before.statistic).mean()
    assert moved == pytest.approx(0.6 / 4, rel=0.02)


def test_the_response_learns_in_the_place_of_the_first_member():
    made = settings()
    env = ResponseEnv(made, "builder", {"builder": constant(0.2)}, 0)
    env.reset()
    env.step(np.full((env.num_envs, 1), 0.5, np.float32))
    shares = env.worlds.batch.state.row("research_share")
    np.testing.assert_allclose(shares[:, 1], 0.2, atol=1e-6)
    assert (shares[:, 0] > 0.9).all()
    policy = ppo_response(made, "builder", {"builder": constant(0.2)}, 2)
    assert policy(env.worlds.observe()["builder"], None, None).shape == (16, 1)


def test_linear_feedback_of_a_staker_does_not_care_about_the_order_of_subnets():
    rng = np.random.default_rng(0)
    parameters = rng.normal(size=STAKER.deviation_size(6))
    deviation = LinearDeviation(STAKER, 4, 6, parameters)
    seen = rng.uniform(-1, 1, (3, 4 * 12 + len(GLOBAL_FEATURES))).astype(np.float32)
    order = [2, 0, 3, 1]
    moved = seen.copy()
    moved[:, :48] = seen[:, :48].reshape(3, 4, 12)[:, order].reshape(3, 48)
    first, second = deviation(seen, None, None), deviation(moved, None, None)
    np.testing.assert_allclose(second[:, 1:5], first[:, 1:5][:, order], atol=1e-6)
    np.testing.assert_array_equal(second[:, [0, 5]], first[:, [0, 5]])


def test_linear_feedback_of_a_builder_has_a_constant_and_a_weight_for_each_feature():
    size = BUILDER.deviation_size(4)
    assert size == 4 * (1 + len(FEEDBACK))
    parameters = np.zeros(size)
    parameters[:: 1 + len(FEEDBACK)] = [0.1, -0.2, 0.3, 2.0]
    acted = LinearDeviation(BUILDER, 2, 4, parameters)(np.zeros((2, 38), np.float32), None, None)
    np.testing.assert_allclose(acted, [[0.1, -0.2, 0.3, 1.0]] * 2, atol=1e-6)
