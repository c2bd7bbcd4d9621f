"""Statistics against scipy and values by hand."""

import numpy as np
import pytest
from dtao_agents.evaluation.statistics import (
    bca_interval,
    bootstrap,
    interquartile_mean,
    mean,
    resample_means,
)
from scipy import stats

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


def ratio_of_means(means):
    return means[..., 0] / means[..., 1]


PAIRS = np.random.default_rng(4).lognormal(0.0, [0.9, 0.4], (60, 2))


def test_bca_interval_agrees_with_scipy():
    mine = bca_interval(resample_means(PAIRS, ratio_of_means, 20_000))
    theirs = stats.bootstrap(
        (PAIRS[:, 0], PAIRS[:, 1]),
        lambda x, y, axis: x.mean(axis) / y.mean(axis),
        paired=True,
        method="BCa",
        n_resamples=20_000,
        rng=2,
        vectorized=True,
    ).confidence_interval
    assert mine.value == pytest.approx(PAIRS[:, 0].mean() / PAIRS[:, 1].mean(), rel=1e-12)
    assert mine.low == pytest.approx(theirs.low, abs=0.015)
    assert mine.high == pytest.approx(theirs.high, abs=0.015)
    # it is not the percentile interval, and leans to where the skew is
    percentile = np.quantile(resample_means(PAIRS, ratio_of_means, 20_000).draws, [0.025, 0.975])
    assert mine.low > percentile[0]
    assert mine.high > percentile[1]


def test_resampled_means_by_hand():
    resampled = resample_means(PAIRS, ratio_of_means, 50)
    without = np.delete(PAIRS, 7, axis=0).mean(axis=0)
    assert resampled.jackknife[7] == pytest.approx(ratio_of_means(without), rel=1e-12)
    assert resampled.jackknife.shape == (60,)
    picks = np.random.default_rng(0).integers(0, 60, (50, 60))
    np.testing.assert_allclose(resampled.draws, ratio_of_means(PAIRS[picks].mean(axis=1)))


def test_resampled_differences_are_paired():
    one = resample_means(PAIRS, ratio_of_means, 500)
    shifted = resample_means(
        PAIRS + np.array([1.0, 0.0]), lambda m: (m[..., 0] - 1.0) / m[..., 1], 500
    )
    assert bca_interval(one.minus(one)) == (0.0, 0.0, 0.0)
    np.testing.assert_allclose(one.minus(shifted).draws, 0.0, atol=1e-12)
    with pytest.raises(ValueError, match="allowed are equal pairs"):
        one.minus(resample_means(PAIRS[1:], ratio_of_means, 500))


def test_bca_interval_of_draws_at_a_bound():
    # a statistic that its bound cuts off: most draws equal the value, the interval ends there
    resampled = resample_means(VALUES[:, None], lambda m: np.minimum(m[..., 0], 0.1), 2_000)
    interval = bca_interval(resampled)
    assert interval.high == interval.value == 0.1
    assert interval.low <= 0.1


@pytest.mark.parametrize("values", [[[1.0]], [1.0, 2.0], [[1.0], [np.nan]], np.empty((0, 2))])
def test_resample_means_refuses(values):
    with pytest.raises(ValueError, match="values: got shape"):
        resample_means(np.array(values), mean)
