"""Equilibria of slots against games whose equilibria are known."""

import numpy as np
import pytest
from analytic_games import FlatSlots, KernelSlots, share
from dtao_agents.equilibrium.first_order import solve_slots
from dtao_agents.equilibrium.game import angle, log_odds
from dtao_agents.equilibrium.slot_records import SlotSettings

HALF = np.array([[np.pi / 2]])


@pytest.mark.parametrize("ratio", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("rivalry", [0.0, 0.02])
def test_the_equilibrium_of_the_kernel_is_found(ratio, rivalry):
    found = solve_slots(KernelSlots(ratio, rivalry=rivalry), HALF, None, 0)
    assert found.verdict == "solved"
    assert found.stopped == "width"
    (parameter,) = found.parameters
    assert parameter.name == "research share"
    assert abs(parameter.estimate.value - log_odds(share(ratio))) < 4 * parameter.standard_error
    assert parameter.slope == pytest.approx(-0.25, abs=0.03)


def test_a_second_start_leads_to_the_same_equilibrium():
    game = KernelSlots(0.7)
    one, other = (solve_slots(game, np.array([[u]]), None, 0).parameters[0] for u in (0.5, 2.6))
    assert one.estimate.value == pytest.approx(other.estimate.value, abs=0.1)


def test_each_class_gets_its_own_equilibrium():
    ratios = [0.5, 1.0, 2.0]
    found = solve_slots(KernelSlots(ratios, slots=9), np.full((3, 1), np.pi / 2), None, 0)
    assert [p.name for p in found.parameters] == [f"class {k}, research share" for k in range(3)]
    for parameter, ratio in zip(found.parameters, ratios, strict=True):
        assert abs(parameter.estimate.value - log_odds(share(ratio))) < 4 * parameter.standard_error


def test_the_beliefs_of_readers_are_solved_for_too():
    """c = 400 + 300 r, and the weight of research is sqrt(500 / c): both must hold at the end."""
    game = KernelSlots(1.5, estimated=True)
    found = solve_slots(game, HALF, 900.0, 0, SlotSettings(half_width=0.05))
    r = 1 / (1 + np.exp(-found.parameters[0].estimate.value))
    assert found.capitalisation == pytest.approx(400.0 + 300.0 * r, rel=0.005)
    expected = log_odds(share(1.5 * np.sqrt(500.0 / found.capitalisation)))
    assert found.parameters[0].estimate.value == pytest.approx(expected, abs=0.1)


def test_sampling_goes_on_to_the_width_or_the_budget():
    game = KernelSlots(1.0, jumps=0.2)
    wide = solve_slots(game, HALF, None, 0, SlotSettings(half_width=0.2, blocks_at_once=4))
    assert wide.stopped == "width"
    assert wide.half_width <= 0.2
    short = solve_slots(game, HALF, None, 0, SlotSettings(half_width=0.01, most_blocks=32))
    assert (short.stopped, short.blocks) == ("budget", 32)
    assert short.half_width > 0.01


def test_a_payoff_of_pure_luck_has_no_number():
    found = solve_slots(FlatSlots(1.0), HALF, None, 0, SlotSettings(most_blocks=16))
    assert found.verdict == "indeterminate"
    assert found.parameters == ()


@pytest.mark.parametrize(("ratio", "bound"), [(0.0, 0.1), (1e4, 3.04)])
def test_a_strategy_that_is_pushed_to_the_end_of_its_range_stays_there(ratio, bound):
    found = solve_slots(KernelSlots(ratio), HALF, None, 0, SlotSettings(most_blocks=16))
    assert (found.verdict, found.at_bound) == ("at a bound", ("research share",))
    assert found.population == pytest.approx(np.array([[bound]]))


def test_equal_inputs_give_equal_results_and_other_seeds_do_not():
    game = KernelSlots(1.0)
    one, same, other = (solve_slots(game, HALF, None, s).parameters[0] for s in (0, 0, 10_000))
    assert one.estimate == same.estimate
    assert one.estimate != other.estimate


@pytest.mark.slow
def test_intervals_cover():
    """Over 200 replications, 95 % intervals hold the known equilibrium in 90 to 99 %, jumps and all."""
    game, settings = KernelSlots(0.8, jumps=0.1), SlotSettings(half_width=0.12, most_blocks=64)
    truth = log_odds(share(0.8))
    held = 0
    for k in range(200):
        low, high = solve_slots(game, HALF, None, 1_000 * k, settings).parameters[0].estimate[1:]
        held += low <= truth <= high
    assert 180 <= held <= 198


def test_a_start_out_of_bounds_is_refused():
    game = KernelSlots(1.0)
    with pytest.raises(ValueError, match="start: got"):
        solve_slots(game, np.array([[3.1]]), None, 0)
    with pytest.raises(ValueError, match="start: got"):
        solve_slots(game, np.array([1.0]), None, 0)
    with pytest.raises(ValueError, match=r"capitalisation: got 400.0, allowed is None"):
        solve_slots(game, HALF, 400.0, 0)


def test_settings_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="slope_blocks, least_blocks, most_blocks"):
        SlotSettings(least_blocks=8)
    assert angle(0.5) == pytest.approx(HALF[0, 0])
