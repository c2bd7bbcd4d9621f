"""Statistics against scipy and values by hand."""

import numpy as np
import pytest
from scipy import stats

from agents.statistics import bootstrap, interquartile_mean, mean

VALUES = np.random.default_rng(1).normal(0.3, 1.0, 101)


@pytest.mark.parametrize("n", [2, 3, 4, 7, 8, 101])
def test_interquartile_mean_is_the_trimmed_mean_of_scipy(n):
    assert interquartile_mean(VALUES[:n]) == pytest.approx(
        stats.trim_mean(VALUES[:n], 0.25), rel=1e-12
    )


def test_interquartile_mean_by_hand():
    assert interquartile_mean(np.array([100.0, 2.0, 1.0, -50.0])) == 1.5
    np.testing.assert_array_equal(
        interquartile_mean(np.array([[9.0, 2, 4, 0], [1, 1, 1, 1]])), [3.0, 1.0]
    )


@pytest.mark.parametrize("statistic", [mean, interquartile_mean])
def test_bootstrap_interval_agrees_with_scipy(statistic):
    mine = bootstrap(VALUES, statistic)
    theirs = stats.bootstrap(
        (VALUES,), lambda x, axis: statistic(x), method="percentile", n_resamples=20_000, rng=2
    ).confidence_interval
    assert mine.value == statistic(VALUES)
    assert mine.low == pytest.approx(theirs.low, abs=0.01)
    assert mine.high == pytest.approx(theirs.high, abs=0.01)


def test_bootstrap_of_a_constant_has_no_width():
    assert bootstrap(np.full(10, 2.0)) == (2.0, 2.0, 2.0)


def test_bootstrap_repeats_itself_and_pairs():
    other = VALUES + 1.5
    first, second = bootstrap(VALUES), bootstrap(VALUES)
    assert first == second
    # the same resamples: a constant difference moves the interval by just that
    np.testing.assert_allclose(np.subtract(bootstrap(other), first), 1.5)


@pytest.mark.parametrize("values", [[1.0], [], [1.0, np.nan], [1.0, np.inf], [[1.0, 2.0]]])
def test_bootstrap_refuses(values):
    with pytest.raises(ValueError, match="values: got"):
        bootstrap(np.array(values))
