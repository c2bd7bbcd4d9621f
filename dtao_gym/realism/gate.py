"""The simulated market against the real one: z of every moment, the J statistic, and gates that a market must pass."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dtao_gym.realism.moments import FITTED, MOMENTS, Estimate, estimate, moments
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
"""What a market must look like, whatever the period."""

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
cell of the probe, eight subnets drawn anew for each seed.
"""

DRAWS = 1000
"""Bootstrap draws of the real moments."""
SHRINKAGE = 0.1
"""Weight of zero in the correlations of the J statistic: 55 days do not determine all of them."""
FEWEST_NEWCOMERS = 5
"""With fewer new subnets in all worlds together their median says nothing."""
SAME_SUBNETS = 0.1
"""Cross-sections are compared where the numbers of subnets differ by at most this part."""


class Row(NamedTuple):
    """A moment of the chain and of the worlds."""

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
    """None where there is no gate, or nothing to judge."""


class Level(NamedTuple):
    """A measure of the cross-section of prices at the end of the window."""

    real: float
    simulated: float
    """Mean over worlds; NaN where the worlds hold another number of subnets."""
    allowed: str


class Realism(NamedTuple):
    """How a simulated market compares with the real one."""

    period: str
    rows: dict[str, Row]
    """By name, in the order of `MOMENTS`."""
    j: float
    """J statistic of the moments that count."""
    counted: int
    """How many do."""
    levels: dict[str, Level]
    worlds: int
    burn_in: int
    newcomers: int
    """New subnets of all worlds together."""

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the moments outside of their gates."""
        return tuple(name for name, row in self.rows.items() if row.passed is False)

    @property
    def passed(self) -> bool:
        """Whether no gate fails."""
        return not self.failed


@cache
def observed_estimate(name: str = "spring-2026", draws: int = DRAWS) -> Estimate:
    """Moments of a period of the chain and their sampling error."""
    return estimate(observed_panel(name), draws)


def read_config(source: "Config | dict | str | Path | None") -> Config:
    """A configuration from a preset's name, a YAML file (of a world, or with a world under `env`), or anything `Config.make` takes."""
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
    return Config.make(source)


def simulated_moments(panels: Sequence[Panel], period_name: str) -> np.ndarray:
    """Moments of each world, `(worlds, k)` in the order of `MOMENTS`.

    A world with more subnets than the chain's panel is thinned to as many, evenly spaced: the fewer they are, the more
    their mean moves.
    """
    most = observed_panel(period_name).price.shape[1]
    return np.array([list(moments(thinned(panel, most)).values()) for panel in panels])


def newcomers_of(panels: Sequence[Panel]) -> np.ndarray:
    """Returns of the new subnets of all worlds together, `(n,)`: a world has too few for a median of its own."""
    return np.concatenate([p.newcomers for p in panels if p.newcomers is not None])


def thinned(panel: Panel, subnets: int) -> Panel:
    """At most so many columns of a panel, evenly spaced."""
    n = panel.price.shape[1]
    if n <= subnets:
        return panel
    columns = np.linspace(0, n - 1, subnets).round().astype(int)
    tao = None if panel.tao is None else panel.tao[:, columns]
    return Panel(panel.price[:, columns], tao, panel.newcomers)


def weighting(real: Estimate, simulation: np.ndarray | None = None) -> np.ndarray:
    """Inverse of the joint covariance of the moments that count, `(k, k)`, zero elsewhere.

    `simulation`: `(k, k)` covariance of the simulated means, which is added. Correlations are shrunk by `SHRINKAGE`.
    """
    counted = counted_moments(real)
    covariance = real.covariance[np.ix_(counted, counted)]
    if simulation is not None:
        covariance = covariance + simulation[np.ix_(counted, counted)]
    scale = np.sqrt(np.diag(covariance))
    correlation = (1.0 - SHRINKAGE) * covariance / np.outer(scale, scale)
    np.fill_diagonal(correlation, 1.0)
    found = np.zeros_like(real.covariance)
    found[np.ix_(counted, counted)] = np.linalg.inv(correlation) / np.outer(scale, scale)
    return found


def counted_moments(real: Estimate) -> np.ndarray:
    """Which moments enter the J statistic: the fitted ones that the chain's panel determines."""
    fitted = np.array([name in FITTED for name in MOMENTS])
    return np.flatnonzero(fitted & (np.nan_to_num(np.diag(real.covariance)) > 0.0))


def j_statistic(simulated: np.ndarray, real: Estimate, weights: np.ndarray) -> float:
    """Squared distance of moments `(k,)` from the real ones in units of sampling error; inf where one is missing."""
    gap = simulated - real.value
    counted = counted_moments(real)
    if not np.isfinite(gap[counted]).all():
        return np.inf
    gap = np.where(np.isfinite(gap), gap, 0.0)
    return float(gap @ weights @ gap)


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

    Args:
        config: what `read_config` takes.
        period_name: one of `PERIODS`; worlds are played for as many days.
        worlds, seed, burn_in, threads: as for `simulated_panels`.

    Raises:
        ConfigError: a bad configuration, period or number.
    """
    chosen, made = period(period_name), read_config(config)
    panels = simulated_panels(
        made, chosen.days, n_worlds=worlds, seed=seed, burn_in=burn_in, threads=threads
    )
    return compare(panels, period_name, burn_in)


def compare(panels: Sequence[Panel], period_name: str, burn_in: int) -> Realism:
    """The comparison of simulated panels with a period of the chain."""
    real = observed_estimate(period_name)
    mean, covariance = over_worlds(simulated_moments(panels, period_name))
    newcomers = newcomers_of(panels)
    k = list(MOMENTS).index("newcomers_60")
    enough = newcomers.size >= FEWEST_NEWCOMERS
    mean[k] = np.median(newcomers) if enough else np.nan
    error = np.sqrt(np.diag(covariance))
    error[k] = 1.2533 * newcomers.std() / np.sqrt(newcomers.size) if enough else np.nan
    rows = {
        name: _row(real.value[m], real.error[m], mean[m], error[m], GATES.get(name))
        for m, name in enumerate(MOMENTS)
    }
    extra = np.nan_to_num(covariance) if len(panels) > 1 else None
    return Realism(
        period_name,
        rows,
        j_statistic(mean, real, weighting(real, extra)),
        len(counted_moments(real)),
        _levels(panels, period_name),
        len(panels),
        burn_in,
        int(newcomers.size),
    )


def over_worlds(each: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean over worlds of each moment, and the covariance of those means; NaN where most worlds lack the moment."""
    n, k = each.shape
    known = np.isfinite(each)
    count = known.sum(0)
    mean = np.where(
        2 * count >= n, np.where(known, each, 0.0).sum(0) / np.maximum(count, 1), np.nan
    )
    if n == 1:
        return mean, np.full((k, k), np.nan)
    gap = np.where(known, each - mean, 0.0)
    return mean, gap.T @ gap * n / (n - 1) / np.maximum(np.outer(count, count), 1)


def _row(
    real: float, error: float, simulated: float, own: float, gate: tuple[float, float] | None
) -> Row:
    spread = float(np.hypot(error, own if np.isfinite(own) else 0.0))
    z = (simulated - real) / spread if spread > 0.0 else np.nan
    judged = gate is not None and np.isfinite(simulated)
    passed = bool(gate[0] <= simulated <= gate[1]) if gate is not None and judged else None
    return Row(float(real), float(error), float(simulated), float(own), float(z), gate, passed)


def _levels(panels: Sequence[Panel], period_name: str) -> dict[str, Level]:
    """The cross-section as in `scripts/calibrate.py`: with the chain's last day, or the next one with all subnets."""
    last = period(period_name).last
    real = next(row.cross_section for row in observed() if row.date >= last)
    each = np.array([cross_section(panel.price[-1]) for panel in panels])
    simulated = CrossSection(*map(float, each.mean(0)))
    same = abs(simulated.subnets / real.subnets - 1.0) <= SAME_SUBNETS
    allowed = {
        "price_sum": f"{real.price_sum / 1.5:.2f} to {real.price_sum * 1.5:.2f}",
        "sd_log_price": f"{real.sd_log_price * 0.7:.2f} to {real.sd_log_price * 1.3:.2f}",
        "top5_share": f"{real.top5_share - 0.08:.2f} to {real.top5_share + 0.08:.2f}",
    }
    return {
        name: Level(getattr(real, name), getattr(simulated, name) if same else np.nan, said)
        for name, said in allowed.items()
    }
