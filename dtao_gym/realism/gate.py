"""Comparison of a simulated market with the real one: z of every moment, the J statistic, and gates."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dtao_gym.file_kinds import WORLD, check_kind
from dtao_gym.realism.moments import FITTED, MOMENTS, MomentEstimate, estimate, moments
from dtao_gym.realism.panel import Panel, observed_panel, period, simulated_panels
from dtao_gym.world.config import Config, ConfigError, read_yaml
from dtao_gym.world.cross_section import CrossSection, cross_section, observed

GATES: dict[str, tuple[float, float]] = {
    "daily_sd": (0.03, 0.07),
    "autocorrelation_1": (-0.08, 0.10),
    "variance_ratio_5": (0.8, 1.3),
    "variance_ratio_20": (0.6, 1.7),
    "ic_1_1": (-0.10, 0.10),
    "ic_1_7": (-0.10, 0.10),
    "ic_7_1": (-0.10, 0.10),
    "ic_7_7": (-0.10, 0.10),
    "abs_autocorrelation_1": (0.12, 0.25),
    "kurtosis": (5.0, 11.0),
    "pair_correlation": (0.02, 0.12),
    "size_slope": (-0.35, -0.15),
    "newcomers_60": (-0.8, -0.2),
}
"""Range of each gated moment in a realistic market, the same for every period."""

PRESETS: dict[str, dict[str, Any]] = {
    "default": {},
    "quickstart": {"genesis": "mainnet-2026-06-14", "era": "price_burn", "n_subnets": 16},
    "probe": {
        "genesis": "mainnet-2026-06-14",
        "era": "price_burn",
        "n_subnets": 8,
        "selection": "sample",
        "frozen_subnets": "share",
        "halving": False,
    },
}
"""Configurations by name: all subnets of the default snapshot, the market of `configs/staker_quickstart.yaml`, and that of a
cell of the probe, eight subnets sampled for each seed.
"""

DRAWS = 1000
"""Bootstrap resamples of the real moments."""
SHRINKAGE = 0.1
"""Shrinkage of correlations towards zero in the J statistic: 55 days do not determine all of them."""
MIN_NEWCOMERS = 5
"""Minimum number of new subnets, over all worlds, for a median of their returns."""
SAME_SUBNETS = 0.1
"""Maximum relative difference in the number of subnets at which cross-sections are compared."""
PRICE_FACTOR, SD_TOLERANCE, SHARE_TOLERANCE = 1.5, 0.3, 0.08
"""Tolerances of the cross-section: factor of the sum of prices, relative one of sd of ln price, absolute one of the top-5 share."""
_SE_OF_MEDIAN = 1.2533
"""Standard error of a median over that of a mean, for normal samples: sqrt(pi / 2)."""


class MomentComparison(NamedTuple):
    """A moment of the chain and of the simulated worlds."""

    real: float
    error: float
    """Standard error of `real`."""
    simulated: float
    """Mean over the worlds."""
    simulated_error: float
    """Standard error of that mean; NaN with one world."""
    z: float
    """Difference over the standard error of both together."""
    gate: tuple[float, float] | None
    passed: bool | None
    """None without a gate, or without a simulated value."""


class LevelComparison(NamedTuple):
    """A measure of the cross-section of prices at the end of the window."""

    real: float
    simulated: float
    """Mean over worlds; NaN where worlds have a different number of subnets."""
    allowed: str
    """Range as text."""


class Realism(NamedTuple):
    """Comparison of a simulated market with the real one.

    Attributes
    ----------
    period : str
        Name of the chain's period.
    moments : dict of MomentComparison
        By name, in the order of `MOMENTS`.
    j : float
        J statistic.
    counted : int
        Number of moments in the J statistic.
    levels : dict of LevelComparison
        Cross-section of prices on the last day.
    worlds : int
        Number of worlds.
    burn_in : int
        Days simulated before the window.
    newcomers : int
        Number of new subnets in all worlds.
    """

    period: str
    moments: dict[str, MomentComparison]
    j: float
    counted: int
    levels: dict[str, LevelComparison]
    worlds: int
    burn_in: int
    newcomers: int

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the moments outside their gates."""
        return tuple(name for name, moment in self.moments.items() if moment.passed is False)

    @property
    def passed(self) -> bool:
        """Whether every moment is within its gate."""
        return not self.failed


@cache
def observed_estimate(name: str = "spring-2026", draws: int = DRAWS) -> MomentEstimate:
    """Estimate the moments of a period of the chain and their sampling error, from `draws` resamples."""
    return estimate(observed_panel(name), draws)


def read_config(source: "Config | dict | str | Path | None") -> Config:
    """Read the configuration of a world.

    Parameters
    ----------
    source
        Name of a preset, path of a YAML file (of a world, or with a world under `env`), or anything `Config.make` takes.

    Raises
    ------
    ConfigError
        No such preset or file, or an invalid configuration.
    """
    if isinstance(source, str) and source in PRESETS:
        return Config.make(PRESETS[source])
    if isinstance(source, str | Path):
        if not Path(source).is_file():
            raise ConfigError(
                f"config: got {str(source)!r}, allowed are a YAML file and {', '.join(PRESETS)}"
            )
        fields = read_yaml(Path(source))
        if isinstance(fields, dict) and isinstance(fields.get("env"), dict):
            return Config.make(fields["env"])
        check_kind(source, WORLD)
    return Config.make(source)


def simulated_moments(panels: Sequence[Panel], period_name: str) -> np.ndarray:
    """Compute the moments of each world, `(worlds, k)` in the order of `MOMENTS`.

    Worlds with more subnets than the chain's panel are thinned to its number, since the variance of a mean over subnets
    depends on how many there are.
    """
    most = observed_panel(period_name).price.shape[1]
    return np.array([list(moments(thin_panel(panel, most)).values()) for panel in panels])


def pooled_newcomers(panels: Sequence[Panel]) -> np.ndarray:
    """Return the returns of the new subnets of all worlds, `(n,)`: one world has too few for a median."""
    return np.concatenate([p.newcomers for p in panels if p.newcomers is not None])


def thin_panel(panel: Panel, subnets: int) -> Panel:
    """Return at most `subnets` columns of a panel, evenly spaced."""
    n = panel.price.shape[1]
    if n <= subnets:
        return panel
    columns = np.linspace(0, n - 1, subnets).round().astype(int)
    tao = None if panel.tao is None else panel.tao[:, columns]
    return Panel(panel.price[:, columns], tao, panel.newcomers)


def weighting(real: MomentEstimate, simulation: np.ndarray | None = None) -> np.ndarray:
    """Compute the weighting matrix of the J statistic.

    Parameters
    ----------
    real : MomentEstimate
        Moments of the chain.
    simulation : `(k, k)`, optional
        Covariance of the simulated means, added to that of the chain's moments.

    Returns
    -------
    `(k, k)`
        Inverse of the joint covariance of the counted moments, with correlations shrunk by `SHRINKAGE`; 0 elsewhere.
    """
    counted = counted_moments(real)
    covariance = real.covariance[np.ix_(counted, counted)]
    if simulation is not None:
        covariance = covariance + simulation[np.ix_(counted, counted)]
    scale = np.sqrt(np.diag(covariance))
    correlation = (1.0 - SHRINKAGE) * covariance / np.outer(scale, scale)
    np.fill_diagonal(correlation, 1.0)
    matrix = np.zeros_like(real.covariance)
    matrix[np.ix_(counted, counted)] = np.linalg.inv(correlation) / np.outer(scale, scale)
    return matrix


def counted_moments(real: MomentEstimate) -> np.ndarray:
    """Return the indices of the moments in J: the fitted ones with a positive sampling variance."""
    fitted = np.array([name in FITTED for name in MOMENTS])
    return np.flatnonzero(fitted & (np.nan_to_num(np.diag(real.covariance)) > 0.0))


def j_statistic(simulated: np.ndarray, real: MomentEstimate, matrix: np.ndarray) -> float:
    """Return the squared distance of moments `(k,)` from the real ones, weighted by the matrix.

    Infinity if a counted moment is missing.
    """
    gap = simulated - real.value
    counted = counted_moments(real)
    if not np.isfinite(gap[counted]).all():
        return np.inf
    gap = np.where(np.isfinite(gap), gap, 0.0)
    return float(gap @ matrix @ gap)


def realism_gate(
    config: "Config | dict | str | Path | None" = None,
    *,
    period_name: str = "spring-2026",
    worlds: int = 16,
    seed: int | None = None,
    burn_in: int = 90,
    threads: int = 1,
) -> Realism:
    """Compare a simulated market with the chain's.

    Parameters
    ----------
    config
        Configuration of the worlds, as `read_config` takes it.
    period_name : str
        Name in `PERIODS`; worlds are simulated for the same number of days.
    worlds, seed, burn_in, threads
        As for `simulated_panels`.

    Raises
    ------
    ConfigError
        A bad configuration, period or number.
    """
    world_config, days = read_config(config), period(period_name).days
    panels = simulated_panels(
        world_config, days, n_worlds=worlds, seed=seed, burn_in=burn_in, threads=threads
    )
    return compare(panels, period_name, burn_in)


def compare(panels: Sequence[Panel], period_name: str, burn_in: int) -> Realism:
    """Compare simulated panels, which start after `burn_in` days, with a period of the chain."""
    real = observed_estimate(period_name)
    mean, covariance = mean_over_worlds(simulated_moments(panels, period_name))
    newcomers = pooled_newcomers(panels)
    k = list(MOMENTS).index("newcomers_60")
    enough = newcomers.size >= MIN_NEWCOMERS
    mean[k] = np.median(newcomers) if enough else np.nan
    error = np.sqrt(np.diag(covariance))
    error[k] = _SE_OF_MEDIAN * newcomers.std() / np.sqrt(newcomers.size) if enough else np.nan
    comparisons = {
        name: _moment(real.value[m], real.error[m], mean[m], error[m], GATES.get(name))
        for m, name in enumerate(MOMENTS)
    }
    extra = np.nan_to_num(covariance) if len(panels) > 1 else None
    return Realism(
        period_name,
        comparisons,
        j_statistic(mean, real, weighting(real, extra)),
        len(counted_moments(real)),
        _levels(panels, period_name),
        len(panels),
        burn_in,
        int(newcomers.size),
    )


def mean_over_worlds(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of each moment over worlds, and the covariance of these means.

    Parameters
    ----------
    values : `(worlds, k)`
        Moments of each world; NaN where a world lacks one.

    Returns
    -------
    (mean, covariance)
        `(k,)`, NaN where most worlds lack the moment, and `(k, k)`, NaN with one world.
    """
    n, k = values.shape
    known = np.isfinite(values)
    count = known.sum(0)
    mean = np.where(
        2 * count >= n, np.where(known, values, 0.0).sum(0) / np.maximum(count, 1), np.nan
    )
    if n == 1:
        return mean, np.full((k, k), np.nan)
    gap = np.where(known, values - mean, 0.0)
    return mean, gap.T @ gap * n / (n - 1) / np.maximum(np.outer(count, count), 1)


def _moment(
    real: float,
    error: float,
    simulated: float,
    simulated_error: float,
    gate: tuple[float, float] | None,
) -> MomentComparison:
    own = simulated_error if np.isfinite(simulated_error) else 0.0
    both = float(np.hypot(error, own))
    z = (simulated - real) / both if both > 0.0 else np.nan
    passed = None
    if gate is not None and np.isfinite(simulated):
        passed = bool(gate[0] <= simulated <= gate[1])
    return MomentComparison(
        float(real), float(error), float(simulated), float(simulated_error), float(z), gate, passed
    )


def _levels(panels: Sequence[Panel], period_name: str) -> dict[str, LevelComparison]:
    """Cross-section of prices on the last day; the chain's on that or the next day with all subnets."""
    last = period(period_name).last
    real = next(row.cross_section for row in observed() if row.date >= last)
    each = np.array([cross_section(panel.price[-1]) for panel in panels])
    simulated = CrossSection(*map(float, each.mean(0)))
    same = abs(simulated.subnets / real.subnets - 1.0) <= SAME_SUBNETS
    allowed = {
        "price_sum": (real.price_sum / PRICE_FACTOR, real.price_sum * PRICE_FACTOR),
        "sd_log_price": (
            real.sd_log_price * (1.0 - SD_TOLERANCE),
            real.sd_log_price * (1.0 + SD_TOLERANCE),
        ),
        "top5_share": (real.top5_share - SHARE_TOLERANCE, real.top5_share + SHARE_TOLERANCE),
    }
    return {
        name: LevelComparison(
            getattr(real, name),
            getattr(simulated, name) if same else np.nan,
            f"{low:.2f} to {high:.2f}",
        )
        for name, (low, high) in allowed.items()
    }
