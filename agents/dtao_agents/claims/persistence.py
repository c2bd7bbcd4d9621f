"""Claim C3, "success begets resources": persistence of emission shares, and whether lock-in or merit explains it.

All subnets of a snapshot are simulated under every institution, on the same seeds; thirteen cohorts of subnets, a month apart,
are followed for a year each (`persistence_measures`). Three properties of the model could be mistaken for results:

* Stocks at genesis are those that prices imply, so that value and share agree then (correlation 0.997), which looks like
  merit. Every cell is also run with stocks drawn independently of prices (`genesis_values`), and cohorts start after
  `settle_days`.
* Shares at genesis are less concentrated than the model's own, so that the largest share rises for about a year, which looks
  like lock-in. `settle_days` again.
* Measures of a finite sample need not be zero without any link. Permuting the labels of the subnets removes all links: what
  is left must be at chance.

All worlds start from one snapshot: intervals are over shocks, not over states of genesis.
"""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from dtao_agents.claims.estimates import estimate
from dtao_agents.claims.finding import Finding, Hypothesis
from dtao_agents.claims.full_market import FULL_MARKET, institution_fields
from dtao_agents.claims.persistence_measures import (
    SAMPLE_DAYS,
    STEPS_OF_YEAR,
    YEAR_DAYS,
    Measures,
    Panel,
    half_life,
    make_panel,
    panel_measures,
)
from dtao_agents.evaluation.statistics import Estimate
from dtao_gym.protocol.allocation import ALLOCATIONS
from dtao_gym.world.batch import Batch
from dtao_gym.world.config import Config

CLAIM = "C3"
REPORTED_LAGS = (30, 180, 360)
"""Days at which autocorrelations are reported."""
CONTROL_BOUND = 0.05
"""Largest size of a permuted measure, a correlation or a probability, that counts as none."""
BASELINE = "uniform"
"""Institution under which shares do not depend on success."""


class PersistenceSettings(BaseModel):
    """Settings of the measurement of claim C3."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    institutions: tuple[str, ...] = Field(
        default=tuple(ALLOCATIONS),
        min_length=1,
        description="Allocation rules, or funds as the use of root's dividends; all else as under `price_burn`.",
    )
    payments: tuple[Literal["alpha", "direct"], ...] = Field(
        default=("alpha", "direct"), min_length=1, description="How owners are paid."
    )
    moving_prices: tuple[Literal["fast", "slow"], ...] = Field(
        default=("fast", "slow"), min_length=1, description="Speeds of the moving price."
    )
    genesis_values: tuple[Literal["from_price", "drawn"], ...] = Field(
        default=("from_price", "drawn"),
        min_length=1,
        description="Stocks at genesis: implied by prices, or drawn independently of them.",
    )
    worlds: int = Field(
        default=64, ge=2, le=4096, description="Number of world seeds, the same everywhere."
    )
    first_seed: int = Field(default=0, ge=0, lt=2**40, description="First world seed.")
    settle_days: int = Field(
        default=720,
        ge=0,
        le=5000,
        multiple_of=SAMPLE_DAYS,
        description="Days before the first cohort, in which the market forgets the state of genesis.",
    )
    spans_per_day: int = Field(default=4, ge=1, le=7200, description="Spans of a day.")
    world: dict[str, Any] = Field(
        default_factory=dict, description="World parameters of every cell, over all others."
    )
    resamples: int = Field(default=10_000, ge=100, description="Bootstrap samples of an interval.")
    threads: int = Field(default=1, ge=1, le=256, description="Threads that share the worlds.")

    @model_validator(mode="after")
    def _no_name_twice(self) -> "PersistenceSettings":
        """Raise ValueError where a cell would be measured twice."""
        for name in ("institutions", "payments", "moving_prices", "genesis_values"):
            values = getattr(self, name)
            if len(set(values)) < len(values):
                raise ValueError(f"{name}: got {list(values)}, allowed is each once")
        return self


QUICK = PersistenceSettings(
    institutions=("price", "tao_flow", "root_vote", "price_burn", "uniform"),
    payments=("alpha",),
    moving_prices=("fast",),
    worlds=16,
    spans_per_day=1,
)
"""A measurement in some seconds of CPU time."""
FULL = PersistenceSettings.model_validate({})
"""A measurement in about three minutes."""


# ------------------------------------------------------------ simulation


def cell_config(
    settings: PersistenceSettings, institution: str, payment: str, speed: str, values: str
) -> Config:
    """Return the world of a cell: all subnets simulated, and the base world of the probe in all other respects."""
    own = {
        "n_stakers": 0,
        "horizon_days": settings.settle_days + 2 * YEAR_DAYS,
        "spans_per_day": settings.spans_per_day,
        "payment": payment,
        "moving_price_variant": speed,
        "genesis_values": values,
    }
    return Config.make(FULL_MARKET | own | institution_fields(institution) | settings.world)


def record_panel(config: Config, settings: PersistenceSettings) -> Panel:
    """Simulate the worlds of a cell and return their monthly states after `settle_days`."""
    seeds = range(settings.first_seed, settings.first_seed + settings.worlds)
    batch = Batch(config, settings.worlds, seeds=seeds, threads=settings.threads)
    if settings.settle_days > 0:
        batch.step(days=settings.settle_days)
    months = [_present_state(batch, config.spillover)]
    for _ in range(2 * STEPS_OF_YEAR):
        batch.step(days=SAMPLE_DAYS)
        months.append(_present_state(batch, config.spillover))
    return make_panel(*map(np.array, zip(*months, strict=True)))


def _present_state(batch: Batch, spillover: float) -> tuple[np.ndarray, ...]:
    row = batch.state.row
    value = row("short_stock") + (1.0 + spillover) * row("knowledge")
    counted = (row("registered_block") >= 0.0) & (row("started") > 0.0)
    counted &= row("emission_enabled") > 0.0
    return row("emission_share").copy(), value, row("registered_block").copy(), counted


# ------------------------------------------------------------ findings

FOLLOWED = {
    "stays": (
        "probability that a subnet of the top decile is in the top decile a year later",
        Hypothesis("more than half of the top decile is the top decile a year later", "above", 0.5),
    ),
    "stays_beyond_chance": (
        "probability that a subnet of the top decile is in the top decile a year later, less that of chance",
        Hypothesis("the top decile stays on top more often than by chance", "above", 0.0),
    ),
    "rank_correlation": ("autocorrelation of ranks of emission shares at 360 days", None),
    "by_share": ("variance of emission explained by the share a year ago", None),
    "by_value": ("variance of emission explained by the contributed value a year ago", None),
    "lock_in": (
        "variance of emission explained by the share less that by the contributed value, both a year ago",
        Hypothesis(
            "a subnet's share a year ago explains more of its emission than its contributed value then",
            "above",
            0.0,
        ),
    ),
    "lock_in_now": (
        "variance of emission explained by the share a year ago less that by the contributed value today",
        Hypothesis(
            "a subnet's share a year ago explains more of its emission than its contributed value today",
            "above",
            0.0,
        ),
    ),
    "share_adds": (
        "gain in R2 of today's contributed value by the share a year ago, over the value then",
        None,
    ),
    "top_value": ("part of contributed value that its top decile makes", None),
    "dissolved": ("part of subnets that is dissolved within a year", None),
}
"""Words and hypotheses of the measures that are means over worlds."""
CONTRASTS = {
    "top_value": Hypothesis(
        "contributed value is more concentrated than under equal shares of emission", "above", 0.0
    ),
    "stays": Hypothesis(
        "the top decile stays on top more often than under equal shares of emission", "above", 0.0
    ),
    "lock_in": None,
}
"""Measures that are compared with the baseline, world by world."""
CONTROLS = ("correlation", "stays_beyond_chance", "lock_in")
"""Measures that must vanish when labels are permuted."""


def world_means(measures: Measures) -> dict[str, np.ndarray]:
    """Return the measures of a cell that are means over worlds, each `(worlds,)`."""
    values = measures._asdict()
    values["correlation"] = values.pop("curve")[:, -1]
    values["stays_beyond_chance"] = measures.stays - measures.chance
    values["lock_in"] = measures.by_share - measures.by_value
    values["lock_in_now"] = measures.by_share_now - measures.by_value_now
    return values


class _Reporter:
    """Findings of one cell."""

    def __init__(self, settings: PersistenceSettings, institution: str, setting: str):
        self.settings, self.institution, self.setting = settings, institution, setting

    def finding(
        self,
        measure: str,
        result: Estimate | np.ndarray,
        hypothesis: Hypothesis | None = None,
        *,
        unit: str = "",
        setting: str = "",
    ) -> Finding:
        """Return a finding of the cell; an array `(worlds,)` is averaged. `setting` is added to the cell's."""
        if isinstance(result, np.ndarray):
            result = estimate(result, resamples=self.settings.resamples)
        where = f"{self.setting}, {setting}" if setting else self.setting
        worlds = self.settings.worlds
        return Finding(CLAIM, measure, self.institution, where, unit, result, worlds, hypothesis)

    def of_measures(self, measures: Measures) -> list[Finding]:
        """Return the findings on the measures of the cell."""
        left = Hypothesis("half of a difference in shares is left after a year", "above", 0.5)
        found = [
            self.finding(
                f"autocorrelation of emission shares at {lag} days",
                measures.curve[:, lag // SAMPLE_DAYS - 1],
                left if lag == YEAR_DAYS else None,
            )
            for lag in REPORTED_LAGS
        ]
        if measures.curve.any():  # equal shares have no differences that could decay
            days = estimate(measures.curve, half_life, self.settings.resamples)
            found.append(self.finding("half-life of emission shares", days, unit="days"))
        grows = Hypothesis("the largest share grows", "above", 0.0)
        found.append(
            self.finding(
                "growth of the largest share in a year", measures.growth, grows, unit="share points"
            )
        )
        values = world_means(measures)
        for name, (measure, hypothesis) in FOLLOWED.items():
            found.append(self.finding(measure, values[name], hypothesis))
        return found

    def of_control(self, measures: Measures) -> list[Finding]:
        """Return the findings on measures after a permutation of labels."""
        none = Hypothesis("nothing is left without labels", "within", CONTROL_BOUND)
        words = {name: measure for name, (measure, _) in FOLLOWED.items()}
        words["correlation"] = f"autocorrelation of emission shares at {YEAR_DAYS} days"
        values = world_means(measures)
        return [
            self.finding(words[name], values[name], none, setting="labels permuted")
            for name in CONTROLS
        ]

    def of_contrast(self, measures: Measures, baseline: Measures) -> list[Finding]:
        """Return the paired differences to the baseline, on the same seeds."""
        own, other = world_means(measures), world_means(baseline)
        return [
            self.finding(
                FOLLOWED[name][0], own[name] - other[name], hypothesis, setting=f"less {BASELINE}"
            )
            for name, hypothesis in CONTRASTS.items()
        ]


def measure(
    settings: PersistenceSettings, progress: Callable[[str], Any] = lambda line: None
) -> list[Finding]:
    """Measure claim C3 in every cell.

    Parameters
    ----------
    settings : PersistenceSettings
    progress : callable
        Is called with one line for each cell.

    Returns
    -------
    list of Finding
        By setting and institution; measures, permuted control, and differences to `uniform` where that is measured.

    Raises
    ------
    ConfigError
        An institution or a world parameter is unknown or out of range.
    """
    found = []
    for payment in settings.payments:
        for speed in settings.moving_prices:
            for values in settings.genesis_values:
                name = f"{payment}, {speed}, values {values.replace('_', ' ')}"
                found += _measure_setting(settings, (payment, speed, values), name, progress)
    return found


def _measure_setting(
    settings: PersistenceSettings,
    parts: tuple[str, str, str],
    name: str,
    progress: Callable[[str], Any],
) -> list[Finding]:
    """Findings of all institutions in one setting."""
    measured, found = {}, []
    for institution in settings.institutions:
        progress(f"{CLAIM}: {institution}, {name}")
        panel = record_panel(cell_config(settings, institution, *parts), settings)
        measured[institution] = panel_measures(panel)
        # its own generator, so that a control does not depend on the other cells
        control = panel_measures(panel, np.random.default_rng(settings.first_seed))
        report = _Reporter(settings, institution, name)
        found += report.of_measures(measured[institution]) + report.of_control(control)
    if BASELINE in measured:
        for institution in settings.institutions:
            if institution != BASELINE:
                report = _Reporter(settings, institution, name)
                found += report.of_contrast(measured[institution], measured[BASELINE])
    return found
