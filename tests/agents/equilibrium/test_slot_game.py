"""Equilibria of slots in the engine: the closed form of the fee arm, controls, and the solver by best responses."""

import numpy as np
import pytest
from dtao_agents.equilibrium.builder_game import BuilderGame
from dtao_agents.equilibrium.feedback_game import FeedbackSlots, features
from dtao_agents.equilibrium.first_order import solve_slots
from dtao_agents.equilibrium.game import angle
from dtao_agents.equilibrium.nash import NashSettings, solve
from dtao_agents.equilibrium.slot_game import TERCILES, ShareSlots
from dtao_agents.equilibrium.slot_records import SlotSettings
from dtao_agents.probe.plan import base_world, make_plan

from dtao_gym.world.batch import Batch
from dtao_gym.world.config import Config

REFERENCE = Config.make(
    base_world(make_plan({"world": {"spans_per_day": 1}})),
    payment="fee",
    finance=False,
    pruning=False,
    cost_weight=1.0,
)
SHORT = SlotSettings(
    pilot_blocks=4, pilot_passes=2, slope_passes=1, slope_blocks=8, least_blocks=8, most_blocks=8
)


def arm(**changes):
    """A market under direct pay, without pruning unless said."""
    base = {"payment": "direct", "finance": True, "pruning": False, "cost_weight": 0.0}
    return Config.make(REFERENCE, **base | changes)


def start(share, influence=None):
    return np.array([[angle(share)] + ([angle(influence)] if influence else [])])


def test_the_fee_arm_is_that_of_the_closed_form():
    """Builders whom users pay for exactly their own value put half of their work into research (memo 3.2)."""
    found = solve_slots(ShareSlots(REFERENCE, False), start(0.3), None, 0, SHORT)
    (parameter,) = found.parameters
    assert abs(parameter.estimate.value) < 3.0 * parameter.standard_error
    assert parameter.standard_error < 0.1
    assert parameter.slope == pytest.approx(-0.25, abs=0.05)


def test_a_payoff_that_does_not_depend_on_research_has_no_number():
    """Equal shares under direct pay, the negative control NC6."""
    game = ShareSlots(arm(allocation="uniform"), True)
    assert solve_slots(game, start(0.3), 400.0, 0, SHORT).verdict == "indeterminate"


@pytest.mark.slow
def test_nobody_courts_readers_who_are_informed():
    """The negative control NC8: influence is at its lower bound, research is not."""
    config = arm(influence=True, informed_share_stakers=1.0, informed_share_voters=1.0)
    settings = SlotSettings(most_blocks=16)
    found = solve_slots(ShareSlots(config, True), start(0.8, 0.05), 400.0, 0, settings)
    assert found.at_bound == ("influence share",)
    assert [p.name for p in found.parameters] == ["research share"]


def test_slots_do_not_learn_of_each_other_where_users_pay():
    """In the fee arm a builder's pay does not depend on what the others do."""
    game = ShareSlots(REFERENCE, False)
    population, seeds = start(0.4), np.arange(4)
    alone = np.zeros((4, game.slots, 1))
    alone[:, 0] = 0.3
    together = np.full((4, game.slots, 1), -0.2)
    together[:, 0] = 0.3
    quantiles = np.full(4, 0.3)
    one, other = (
        game.play(population, d, seeds, quantiles, None).values for d in (alone, together)
    )
    np.testing.assert_allclose(one[:, 0], other[:, 0], rtol=1e-9)
    assert (np.abs(one[:, 1:] / other[:, 1:] - 1.0) > 1e-4).all()


@pytest.mark.parametrize(("classes", "row"), [("price", "spot_price"), ("ability", "ability")])
def test_thirds_are_ranked_at_genesis(classes, row):
    game = ShareSlots(arm(), True, classes)
    seeds = np.array([3, 3, 5])
    found = game.class_of(seeds)
    assert game.classes == TERCILES
    np.testing.assert_array_equal(found[0], found[1])
    values = Batch(game.config, 3, seeds=[3, 3, 5]).state.row(row)
    for ranks, row_of_world in zip(found, values, strict=True):
        assert [int((ranks == k).sum()) for k in range(3)] == [3, 3, 2]
        assert row_of_world[ranks == 0].max() < row_of_world[ranks == 2].min()


def test_features_are_those_of_the_definition():
    batch = Batch(arm(), 2, seeds=[0, 1])
    found = features(batch)
    price = batch.state.row("moving_price")
    expected = np.minimum(np.log(price / price.min(axis=1, keepdims=True)), 2.0) - 1.0
    np.testing.assert_allclose(found[..., 1], expected)
    assert np.abs(found[..., 2]).max() <= 0.5
    assert (found[..., 0] == 1.0).all()


def test_feedback_without_reaction_is_a_constant_share():
    """The same payoffs, to rounding, as the game of constant shares."""
    config, seeds, quantiles = arm(), np.arange(4), np.array([0.1, 0.2, 0.3, 0.4])
    deviations = np.zeros((4, 8, 3))
    deviations[..., 0] = 0.2
    policy = np.array([[angle(0.4), 0.0, 0.0]])
    one = FeedbackSlots(config, True).play(policy, deviations, seeds, quantiles, 400.0)
    other = ShareSlots(config, True).play(
        policy[:, :1], deviations[..., :1], seeds, quantiles, 400.0
    )
    np.testing.assert_allclose(one.values, other.values, rtol=1e-12)


def test_a_horizon_that_is_fixed_is_refused():
    for game in (ShareSlots, FeedbackSlots):
        with pytest.raises(ValueError, match="horizon: got 'fixed', allowed is 'geometric'"):
            game(arm(horizon="fixed"), True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "estimated"),
    [
        ({"payment": "fee", "finance": False, "cost_weight": 1.0}, False),
        ({"allocation": "price"}, True),
        ({"allocation": "root_vote"}, True),
    ],
    ids=["fee", "price", "root_vote"],
)
def test_best_responses_lead_to_the_same_equilibrium(changes, estimated):
    """The first-order condition of all slots at once, and grids of one builder's deviations, on other seeds."""
    config = arm(**changes)
    first = 400.0 if estimated else None
    found = solve_slots(ShareSlots(config, estimated), start(0.4), first, 0, SlotSettings())
    game = BuilderGame(config, range(10_000, 10_512), first)
    other = solve(game, 0.4, NashSettings(grid_wide=0))
    (parameter,) = found.parameters
    width = 0.5 * (other.interval.high - other.interval.low)
    assert abs(parameter.estimate.value - other.interval.value) < found.half_width + width
