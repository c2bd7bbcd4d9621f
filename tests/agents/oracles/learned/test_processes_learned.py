"""The project and the signal: sampled days agree with closed forms, and both learners find the optimum."""

import numpy as np
import pytest
from dtao_agents.oracles.learned import learners, project
from dtao_agents.oracles.learned.project import Project, ProjectCemSettings, ProjectPpoSettings
from dtao_agents.oracles.learned.signals import Forecast, SignalJamming

from dtao_gym.economy import closed_forms
from dtao_gym.economy.builder_theory import SOCIAL_DISCOUNT

BEST = np.array([1, 0, 1, 0, 1, 0, 0, 0])


@pytest.mark.parametrize("discount", [0.8, 0.9, 0.99])
def test_the_best_policy_has_the_value_of_policy_iteration(discount):
    solved = closed_forms.research_project(discount)
    problem = Project(discount)
    np.testing.assert_allclose(problem.value(BEST).reshape(4, 2), solved.value, rtol=1e-12)
    assert problem.measurements(BEST) == pytest.approx([solved.value[0, 0], 1110.0])


def test_sampled_days_follow_the_chances():
    problem, rng = Project(0.9), np.random.default_rng(0)
    np.testing.assert_allclose(problem.moves.sum(-1), 1.0)
    for action in (0, 1):
        for state in range(8):
            states = np.full(100_000, state)
            _, after = problem.step(states, np.full(100_000, action), rng.random(100_000))
            shares = np.bincount(after, minlength=8) / 100_000
            np.testing.assert_allclose(shares, problem.moves[action, state], atol=0.006)


@pytest.mark.parametrize("start", [-1.0, 1.0])
def test_both_learners_start_the_project_where_it_pays(start):
    problem = Project(0.9)
    short = ProjectPpoSettings(
        timesteps=65_536, worlds=128, rollout_days=32, learning_rate=0.05, entropy=0.1
    )
    np.testing.assert_array_equal(project.learn_by_ppo(problem, short, [start], 0), BEST)
    search = ProjectCemSettings(
        generations=15, population=32, sampled_days=11_000, initial_sd=1.0, noise_floor=0.2
    )
    np.testing.assert_array_equal(project.learn_by_cem(problem, search, [start], 0), BEST)


def test_an_impatient_learner_starts_none():
    search = ProjectCemSettings(
        generations=15, population=32, sampled_days=11_000, initial_sd=1.0, noise_floor=0.2
    )
    policy = project.learn_by_cem(Project(0.7), search, [0.0], 0)
    assert Project(0.7).measurements(policy) == pytest.approx([1.0 / 0.3, 0.0])


def test_the_filter_of_the_market_is_the_steady_one():
    game = SignalJamming(0.995, 0.01, 1.0, 1.0, 50.0, SOCIAL_DISCOUNT)
    expected = closed_forms.signal_jamming(0.995, 0.01, 1.0, 1.0, 50.0)
    assert game.gain == pytest.approx(expected.kalman_gain, rel=1e-12)


def test_the_builder_learns_how_much_to_jam():
    """The optimal feedback on the estimate is zero; it starts at 0.3."""
    game = SignalJamming(0.995, 0.01, 1.0, 1.0, 50.0, SOCIAL_DISCOUNT)
    expected = closed_forms.signal_jamming(0.995, 0.01, 1.0, 1.0, 50.0)
    search = learners.GameCemSettings(
        generations=30, population=24, games=4, initial_sd=0.3, noise_floor=0.03
    )
    actions = learners.learn_by_cem(game, search, [0.9, 0.3], 0)
    assert abs(actions[0, 1]) < 0.01
    assert game.measurements(actions) == pytest.approx([expected.effort, expected.waste], rel=0.02)


def test_the_market_learns_its_gain():
    game = Forecast(0.995, 0.01, 1.0, days=500)
    expected = closed_forms.signal_jamming(0.995, 0.01, 1.0, 1.0, 50.0)
    search = learners.GameCemSettings(
        generations=20, population=16, games=48, initial_sd=0.3, noise_floor=0.03
    )
    measured = game.measurements(learners.learn_by_cem(game, search, [0.0], 0))
    assert measured == pytest.approx([expected.variance, expected.kalman_gain], rel=0.05)
