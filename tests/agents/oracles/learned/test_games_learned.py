"""One-shot games: payoffs at known actions, and both learners find the optimum."""

import numpy as np
import pytest
from dtao_agents.oracles.learned.games import (
    Bets,
    ConstantReturns,
    Contest,
    Pools,
    Portfolio,
    Sale,
    parts,
    share,
)
from dtao_agents.oracles.learned.learners import (
    GameCemSettings,
    GamePpoSettings,
    GameVecEnv,
    learn_by_cem,
    learn_by_ppo,
)

from dtao_gym.economy import closed_forms
from dtao_gym.economy.builder_theory import SOCIAL_DISCOUNT
from dtao_gym.economy.valuation import capitalisation


def action_of(wanted):
    return np.log(wanted / (1.0 - wanted)) / 6.212606095751519


def test_shares_and_parts():
    assert share(0.0) == 0.5
    np.testing.assert_allclose(share([-1.0, 1.0]), [0.002, 0.998])
    np.testing.assert_allclose(parts(np.array([[0.2, -1.0, 0.6]])), [[0.25, 0.0, 0.75]])
    np.testing.assert_allclose(parts(np.array([-0.2, -1.0])), [0.5, 0.5])


def test_a_random_end_pays_the_discounted_sum():
    game = ConstantReturns(delay_days=300, research_productivity=0.1, spillover=0.5)
    ends = game.draw(np.random.default_rng(0), 400_000)
    paid = [40.0 * game.payoffs(np.array([[[action]]]), ends).mean() for action in (-1.0, 1.0)]
    t = game.technology
    short = capitalisation(SOCIAL_DISCOUNT, t.short_decay)
    research = 0.15 * capitalisation(SOCIAL_DISCOUNT, t.knowledge_decay) * SOCIAL_DISCOUNT**300
    wanted = [0.998 * short + 0.002 * research, 0.002 * short + 0.998 * research]
    np.testing.assert_allclose(paid, wanted, rtol=0.005)


def test_constant_returns_with_hazard_end_sooner():
    lives = [
        ConstantReturns(10, 0.1, hazard=hazard).draw(np.random.default_rng(0), 200_000).mean()
        for hazard in (0.0, 1 / 360)
    ]
    survival = np.array([SOCIAL_DISCOUNT, SOCIAL_DISCOUNT * (1.0 - 1.0 / 360.0)])
    np.testing.assert_allclose(lives, survival / (1.0 - survival), rtol=0.02)


@pytest.mark.parametrize(("players", "exponent"), [(2, 1.0), (8, 0.5), (4, 1.2)])
def test_no_player_of_a_contest_gains_by_leaving_the_closed_form(players, exponent):
    game = Contest([100.0] * players, exponent)
    effort = closed_forms.tullock_effort(players, 100.0, exponent)
    actions = np.full((201, players, 1), action_of(effort / 100.0))
    actions[:, 0, 0] = np.linspace(-1.0, 0.6, 201)
    best = actions[game.payoffs(actions, np.zeros(1))[:, 0].argmax(), 0, 0]
    assert best == pytest.approx(action_of(effort / 100.0), abs=0.01)


def test_four_players_at_exponent_1_2_have_an_equilibrium_of_three_too():
    """The symmetric equilibrium is not unique: the fourth player does not gain by entering."""
    game = Contest([100.0] * 4, 1.2)
    actions = np.full((401, 4, 1), action_of(closed_forms.tullock_effort(3, 100.0, 1.2) / 100.0))
    actions[:, 0, 0] = np.linspace(-1.0, 1.0, 401)
    assert game.payoffs(actions, np.zeros(1))[:, 0].argmax() == 0


def test_pools_and_sales_are_those_of_the_protocol():
    bought = Pools([1000.0], [20_000.0], [0.08], 100.0)
    out = 20_000.0 * 100.0 / 1100.0
    assert bought.payoffs(np.ones((1, 1, 1)), np.zeros(1))[0, 0] == pytest.approx(
        0.08 * out / 100.0 - 1.0
    )
    sold = Sale(1000.0, 20_000.0, 2000.0, 0.99, 10)
    even = np.full((1, 10), 0.5)
    brought = sum(0.99**k * 1000.0 * 200.0 / 20_200.0 for k in range(10))
    assert sold.measurements(even)[-1] == pytest.approx(brought)


def test_a_portfolio_without_risk_earns_the_return_of_root():
    game = Portfolio(0.25, 0.06, 0.9, 1.0)
    shocks = game.draw(np.random.default_rng(0), 10_000)
    assert game.payoffs(np.zeros((1, 1, 1)), shocks).mean() == pytest.approx(0.06)
    year = np.prod(1.0 + shocks, axis=1).mean()
    assert year == pytest.approx(np.exp(0.25), rel=0.05)


def test_log_growth_of_bets_is_the_closed_form():
    game = Bets(0.52, 0.10, 0.10, 0.0002)
    part = np.array([[closed_forms.kelly_share(0.52, 0.10, 0.10, 0.0002)]])
    assert game.measurements(part)[1] == pytest.approx(0.00100019, abs=5e-9)


CEM = GameCemSettings(generations=30, population=32, initial_sd=0.5, noise_floor=0.1)


def test_both_learners_equalise_marginal_values_of_pools():
    game = Pools([1000, 500, 2000], [20_000] * 3, [0.08, 0.05, 0.09], 300)
    mu, wanted = closed_forms.water_filling(game.tao, game.alpha, game.value, game.budget)
    ppo = learn_by_ppo(game, GamePpoSettings(updates=70, games=256), [0.3] * 3, 0)
    cem = learn_by_cem(game, CEM, [0.3] * 3, 0)
    for actions in (ppo, cem):
        numbers = game.measurements(actions)
        assert numbers[0] == pytest.approx(mu, rel=0.02)
        np.testing.assert_allclose(numbers[1:], wanted, rtol=0.02, atol=0.02 * 145.4)


def test_both_learners_find_the_equilibrium_of_a_contest():
    game = Contest([100.0, 50.0], named=2)
    wanted = closed_forms.tullock_efforts_of_two(100.0, 50.0)
    ppo = learn_by_ppo(game, GamePpoSettings(updates=80, games=512, epochs=3), [0.0], 0)
    np.testing.assert_allclose(game.measurements(ppo), wanted, rtol=0.1)  # a short run
    damped = CEM.model_copy(update={"rounds": 12, "damping": 0.5})
    cem = learn_by_cem(game, damped, [0.0], 0)
    np.testing.assert_allclose(game.measurements(cem), wanted, rtol=0.02)


def test_undamped_best_responses_of_eight_players_do_not_converge():
    """The reason for the damping in the settings."""
    game = Contest([100.0] * 8)
    undamped = CEM.model_copy(update={"rounds": 9, "generations": 15})
    effort = game.measurements(learn_by_cem(game, undamped, [0.0], 0))[0]
    assert abs(effort / closed_forms.tullock_effort(8, 100.0) - 1.0) > 0.2
    damped = undamped.model_copy(update={"rounds": 15, "damping": 0.3})
    effort = game.measurements(learn_by_cem(game, damped, [0.0], 0))[0]
    assert effort == pytest.approx(closed_forms.tullock_effort(8, 100.0), rel=0.02)


def test_worlds_of_a_game_are_its_players():
    env = GameVecEnv(Contest([100.0, 50.0]), 3, 0)
    observed = env.reset()
    np.testing.assert_array_equal(observed, np.tile(np.eye(2), (3, 1)))
    env.step_async(np.zeros((6, 1), np.float32))
    _, rewards, done, _ = env.step_wait()
    assert done.all()
    np.testing.assert_allclose(rewards, np.tile([100 / 150 - 0.5, 50 / 150 - 0.5], 3), rtol=1e-6)
