"""The cross-entropy method finds what it should, and makes actions as it says."""

import numpy as np
import pytest
from dtao_agents.equilibrium.cem import CemSettings, linear_policy, maximise
from pydantic import ValidationError

SETTINGS = CemSettings(generations=60, population=64, initial_sd=1.0, noise_floor=0.2)
PEAK = np.array([1.0, -2.0, 0.5])


def hill(candidates, generation):
    return -((candidates - PEAK) ** 2 @ [1.0, 10.0, 100.0])


def test_it_climbs_to_the_peak_whatever_the_scales():
    found = maximise(hill, np.zeros(3), SETTINGS, np.random.default_rng(0))
    np.testing.assert_allclose(found.parameters, PEAK, atol=1e-3)
    assert found.means.shape == (60, 3)
    np.testing.assert_array_equal(found.means[-1], found.parameters)
    assert found.best[-1] > found.best[0]


def test_luck_that_differs_between_generations_is_averaged_out():
    rng = np.random.default_rng(1)

    def noisy(candidates, generation):
        return (
            hill(candidates, generation)
            + 5.0 * rng.standard_normal(1)
            + candidates @ (0.3 * rng.standard_normal(3))
        )

    found = maximise(noisy, np.zeros(3), SETTINGS, np.random.default_rng(0))
    np.testing.assert_allclose(found.parameters, PEAK, atol=0.1)


def test_the_noise_floor_keeps_the_search_from_settling_too_early():
    """Far from the peak a narrow search without added noise stops on the way."""
    narrow = {"generations": 40, "initial_sd": 0.02}
    start, far = np.zeros(1), 5.0

    def objective(candidates, generation):
        return -np.abs(candidates[:, 0] - far)

    plain, kept = (
        maximise(
            objective, start, CemSettings(noise_floor=floor, **narrow), np.random.default_rng(0)
        ).parameters[0]
        for floor in (0.0, 1.0)
    )
    assert plain < 1.0
    assert kept == pytest.approx(far, abs=0.01)


def test_the_same_generator_gives_the_same_search():
    one, other = (
        maximise(hill, np.zeros(3), SETTINGS, np.random.default_rng(seed)).parameters
        for seed in (3, 3)
    )
    np.testing.assert_array_equal(one, other)


def test_entries_may_have_scales_of_their_own():
    """A parameter whose first standard deviation is zero stays where it is."""
    sd = np.array([1.0, 0.0, 1.0])
    found = maximise(hill, np.zeros(3), SETTINGS, np.random.default_rng(0), sd)
    np.testing.assert_allclose(found.parameters, PEAK * (sd > 0.0), atol=1e-3)


@pytest.mark.parametrize("bad", [np.full(64, np.nan), np.zeros(3)])
def test_an_objective_that_is_not_finite_is_refused(bad):
    with pytest.raises(ValueError, match="objective: got shape"):
        maximise(lambda c, g: bad, np.zeros(3), SETTINGS, np.random.default_rng(0))


@pytest.mark.parametrize("field", [{"elite": 1.0}, {"population": 2}, {"initial_sd": 0.0}])
def test_settings_out_of_range_are_refused(field):
    with pytest.raises(ValidationError, match=next(iter(field))):
        CemSettings(**field)


def test_linear_policy():
    parameters = np.array([[0.1, 1.0, 0.0, -0.2, 0.0, 3.0]])
    features = np.array([[0.5, 0.25]])
    np.testing.assert_allclose(linear_policy(parameters, features, 2), [[0.6, 0.55]])
    np.testing.assert_allclose(linear_policy(parameters, 10.0 * features, 2), [[1.0, 1.0]])
    shared = linear_policy(parameters[0], np.zeros((7, 2)), 2)
    np.testing.assert_allclose(shared, np.tile([0.1, -0.2], (7, 1)))
