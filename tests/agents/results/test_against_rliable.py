"""Point estimates and intervals of `dtao_agents.evaluation.statistics` beside those of rliable (Agarwal et al. 2021).

rliable needs arch 7, and arch 7 needs pandas 2.
"""

import numpy as np
import pytest
from dtao_agents.evaluation.statistics import RESAMPLES, bootstrap, interquartile_mean, mean
from rliable import library, metrics

REPETITIONS = RESAMPLES
SAMPLES = {
    "five training seeds": np.random.default_rng(0).normal(0.1, 1.0, 5),
    "paired differences, all above 0": np.array([0.12, 0.05, 0.31, 0.22, 0.08]),
    "one far off": np.array([-0.4, 0.1, 0.2, 0.3, 9.0]),
    "64 evaluation seeds": np.random.default_rng(1).normal(0.0, 0.3, 64) ** 3,
}
STATISTICS = {
    "mean": (mean, metrics.aggregate_mean),
    "interquartile mean": (interquartile_mean, metrics.aggregate_iqm),
}


@pytest.fixture
def global_seed():
    """rliable resamples with NumPy's global generator, whatever random state it is given."""
    before = np.random.get_state()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    yield
    np.random.set_state(before)  # noqa: NPY002


def is_quantile(end: float, draws: np.ndarray, level: float) -> bool:
    """Whether an end of an interval is the quantile of other draws, up to Monte Carlo error.

    The level at which a quantile of n draws lies has the standard error sqrt(level (1 - level) / n); four of them are
    allowed, for the error of both sets of draws together: 0.0088 at 2.5 %. Draws may be few and discrete.
    """
    error = 4.0 * np.sqrt(2.0 * level * (1.0 - level) / REPETITIONS)
    tie = 1e-9 * np.ptp(draws)
    return bool(
        np.mean(draws < end - tie) <= level + error and np.mean(draws <= end + tie) >= level - error
    )


@pytest.mark.parametrize("statistic", STATISTICS)
@pytest.mark.parametrize("sample", SAMPLES)
def test_estimates_and_intervals_agree(sample, statistic, global_seed):
    values, (ours, theirs) = SAMPLES[sample], STATISTICS[statistic]
    found = bootstrap(values, ours, REPETITIONS)
    points, intervals = library.get_interval_estimates(
        {"it": values[:, None]}, lambda scores: np.array([theirs(scores)]), reps=REPETITIONS
    )
    assert found.value == pytest.approx(points["it"][0], abs=1e-12)
    picks = np.random.default_rng(2).integers(0, values.size, (REPETITIONS, values.size))
    draws = ours(values[picks])
    assert is_quantile(found.low, draws, 0.025)
    assert is_quantile(found.high, draws, 0.975)
    assert is_quantile(intervals["it"][0, 0], draws, 0.025)
    assert is_quantile(intervals["it"][1, 0], draws, 0.975)


def test_the_comparison_would_tell_another_coverage_or_statistic():
    values = SAMPLES["64 evaluation seeds"]
    picks = np.random.default_rng(2).integers(0, values.size, (REPETITIONS, values.size))
    draws = mean(values[picks])
    assert not is_quantile(float(np.quantile(draws, 0.05)), draws, 0.025)
    assert not is_quantile(bootstrap(values, interquartile_mean).low, draws, 0.025)
