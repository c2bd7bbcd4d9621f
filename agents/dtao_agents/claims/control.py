"""C1: who decides which subnets are paid? Control over emission under votes and markets, and its concentration.

The control of an actor is the change of emission shares that it can force within 30 days: a validator by its vote, a
holder by staking into pools, a curator by the purchases of a root fund (`control_worlds.py`). It is measured at a ladder of
stakes, and read off between them for every actor of a distribution of stakes. Votes and markets are compared at the same
stakes, because the market does not say how concentrated its holders are: concentration is a parameter.
"""

import csv
import itertools
from collections.abc import Callable, Sequence
from importlib import resources
from typing import Any, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from dtao_agents.claims.control_worlds import (
    UNUSED_FUND,
    Trials,
    best_responses,
    fund_trials,
    pushes,
    stake_trials,
    vote_trials,
    warmed_up,
    world_of,
)
from dtao_agents.claims.finding import Finding, Hypothesis
from dtao_agents.claims.full_market import institution_fields
from dtao_agents.evaluation.statistics import (
    Estimate,
    Resampled,
    bca_interval,
    bootstrap,
    resample_means,
)
from dtao_agents.probe.plan import BASE_WORLD
from dtao_gym.protocol.allocation import ALLOCATIONS, rules_reading
from dtao_gym.protocol.coinbase import FUNDS
from dtao_gym.protocol.root_vote import MAX_ROOT_VALIDATORS, validator_stakes
from dtao_gym.world.config import Config

VOTE, CURATED = "root_vote", "fund_curated"
INSTITUTIONS = (*(name for name in ALLOCATIONS if name != "uniform"), *FUNDS)
"""Institutions under which somebody has control: allocation rules, and funds as the use of root's dividends."""
ARENA: dict[str, Any] = BASE_WORLD | {"n_subnets": None, "selection": "largest"}
"""The probe's world with all subnets simulated, so that every share can be forced."""
BEFORE = f"{MAX_ROOT_VALIDATORS} validators of January 2025"
"""Concentration that stands for the time before pools."""
MORE_THAN_FIVE = Hypothesis(
    "more than five actors are needed for half of the control", "above", 5.5
)
MORE_THAN_BY_VOTE = Hypothesis("more actors share half of the control than by vote", "above", 0.0)
NAKAMOTO = "fewest actors with more than half of the control"
INDICES = (
    NAKAMOTO,
    "part of the control that the five largest actors have",
    "Herfindahl index of control",
    "Gini index of control",
)
"""Measures in the order of `Concentration`."""
RESAMPLES = 300
POINTS = 10.0
"""Share points whose price in stake is reported."""

Progress = Callable[[str], None]


class ControlSettings(BaseModel):
    """Settings of the measurement of control."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    worlds: int = Field(
        32, ge=2, le=4096, description="Number of worlds, the same seeds everywhere."
    )
    first_seed: int = Field(0, ge=0, lt=2**40, description="First world seed.")
    institutions: tuple[str, ...] = Field(
        INSTITUTIONS,
        min_length=1,
        description="Institutions to compare; votes are always measured.",
    )
    speeds: tuple[Literal["fast", "slow"], ...] = Field(
        ("fast", "slow"),
        min_length=1,
        description="Speeds of the moving price, where the rule reads it.",
    )
    payment: Literal["alpha", "direct"] = Field("alpha", description="How owners are paid.")
    stakes: tuple[float, ...] = Field(
        (1e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.2, 0.35),
        min_length=2,
        description="Ladder of an actor's stakes, as parts of all root stake, ascending.",
    )
    reported: tuple[float, ...] = Field(
        (1e-3, 0.01, 0.1), description="Stakes of the ladder whose control and cost are reported."
    )
    subnets: tuple[int, ...] = Field(
        (1, 8, 32), min_length=1, description="Numbers of subnets that a staking actor may push."
    )
    order_days: tuple[int, ...] = Field(
        (30, 1), min_length=1, description="Days, at the end of the window, over which it may buy."
    )
    days: int = Field(30, ge=1, le=365, description="Days in which the actor forces shares.")
    warmup_days: int = Field(
        60, ge=0, le=365, description="Days before them, which fill the averages of flows."
    )
    pareto_exponents: tuple[float, ...] = Field(
        (1.0, 1.2, 1.6), description="Exponents of holders' stakes; smaller is more concentrated."
    )
    holders: int = Field(
        3_000, ge=10, le=1_000_000, description="Number of holders of Pareto stakes."
    )
    world: dict[str, Any] = Field(
        default_factory=dict, description="World parameters, over all others."
    )
    threads: int = Field(1, ge=1, le=256, description="Threads that share the worlds.")

    @model_validator(mode="after")
    def _consistent(self) -> "ControlSettings":
        unknown = sorted(set(self.institutions) - set(INSTITUTIONS))
        if unknown:
            raise ValueError(f"institutions: got {unknown}, allowed are {', '.join(INSTITUTIONS)}")
        if (
            list(self.stakes) != sorted(set(self.stakes))
            or not 0 < min(self.stakes) < max(self.stakes) < 1
        ):
            raise ValueError(f"stakes: got {self.stakes}, allowed are ascending parts of 1")
        if not set(self.reported) <= set(self.stakes):
            raise ValueError(f"reported: got {self.reported}, allowed are members of {self.stakes}")
        if max(self.order_days) > self.days or min(*self.order_days, *self.subnets) < 1:
            raise ValueError(
                f"order_days, subnets: got {self.order_days}, {self.subnets}, allowed are 1 or more, "
                f"at most {self.days} days"
            )
        for name, stakes in concentrations(self).items():
            if stakes[0] > self.stakes[-1]:
                raise ValueError(
                    f"stakes: got {self.stakes[-1]} as the largest, allowed is from {stakes[0]:.4g}, "
                    f"the largest of {name}"
                )
        return self


# --- distributions of stakes


def recorded_stakes(name: str) -> np.ndarray:
    """Return stakes from a packaged table (`dtao_gym/data/stakes`) as parts of their sum, largest first."""
    path = resources.files("dtao_gym") / "data" / "stakes" / f"{name}.csv"
    rows = csv.DictReader(path.read_text("utf-8").splitlines())
    stakes = np.sort([float(row["stake_tao"]) for row in rows])[::-1]
    return stakes / stakes.sum()


def pareto_stakes(n: int, exponent: float) -> np.ndarray:
    """Return `n` evenly spaced quantiles of a Pareto distribution as parts of their sum, largest first."""
    if not exponent > 0.0:
        raise ValueError(f"pareto_exponents: got {exponent}, allowed is above 0")
    stakes = ((np.arange(n) + 0.5) / n) ** (-1.0 / exponent)
    return stakes / stakes.sum()


def concentrations(settings: ControlSettings) -> dict[str, np.ndarray]:
    """Return the distributions of actors' stakes by name, each largest first with the sum 1."""
    named = {
        BEFORE: recorded_stakes("validators-2025-01"),
        f"{MAX_ROOT_VALIDATORS} validators of June 2024": validator_stakes(MAX_ROOT_VALIDATORS),
        "512 hotkeys of March 2023": recorded_stakes("hotkeys-2023-03"),
    }
    for exponent in settings.pareto_exponents:
        name = f"{settings.holders} holders, Pareto {exponent:g}"
        named[name] = pareto_stakes(settings.holders, exponent)
    return named


QUICK = ControlSettings.model_validate({"worlds": 6})
"""Settings that take about half a minute."""
FULL = ControlSettings.model_validate({})
"""Settings of the full probe, about three minutes."""


# --- concentration of control


class Concentration(NamedTuple):
    """Concentration of control over actors, each an array with the leading axes of the control."""

    nakamoto: np.ndarray
    """Fewest actors that together have more than half of all control."""
    top5: np.ndarray
    """Part of the five with the most control."""
    hhi: np.ndarray
    """Sum of squared parts."""
    gini: np.ndarray


def concentration(control: np.ndarray) -> Concentration:
    """Return the concentration of control `(..., actors)`; ValueError where nobody has any."""
    ordered = np.sort(control, axis=-1)[..., ::-1]
    total, n = ordered.sum(-1, keepdims=True), ordered.shape[-1]
    if not (np.min(control, initial=0.0) >= 0.0 and (total > 0.0).all()):
        raise ValueError(
            "control: got a negative number or none, allowed are numbers from 0 with a positive sum"
        )
    parts = ordered / total
    # a sum that equals one half up to rounding is not more than half
    nakamoto = 1 + (np.cumsum(parts, axis=-1) > 0.5 + 1e-12).argmax(-1)
    gini = (n + 1 - 2.0 * parts @ np.arange(1.0, n + 1)) / n
    hhi = np.einsum("...i,...i", parts, parts)
    return Concentration(nakamoto, parts[..., :5].sum(-1), hhi, np.maximum(gini, 0.0))


def control_of(stakes: np.ndarray, ladder: Sequence[float], forced: np.ndarray) -> np.ndarray:
    """Return the control of actors, share points, `(..., actors)`.

    Linear between the steps of a ladder of stakes, from 0 at no stake; an actor may leave a part of its stake idle.

    Parameters
    ----------
    stakes : `(actors,)`
        From 0 to the last of the ladder.
    ladder : sequence of float
        Ascending.
    forced : `(..., steps)`
        Control at the steps.
    """
    forced = np.maximum.accumulate(np.asarray(forced, float), axis=-1)
    known = np.append(0.0, ladder)
    rows = [
        np.interp(stakes, known, np.append(0.0, row)) for row in forced.reshape(-1, len(ladder))
    ]
    return np.reshape(rows, (*forced.shape[:-1], len(stakes)))


# --- measurement


def institution_world(settings: ControlSettings, institution: str, speed: str) -> Config:
    """Return the arena under an institution, which differs in one part, as in the probe."""
    parts: dict[str, Any] = {"payment": settings.payment, "moving_price_variant": speed}
    parts |= institution_fields(institution)
    if institution == CURATED:
        # while the chain's gate is closed, root earns nothing that a curator could spend
        parts |= {"curated_funds": (UNUSED_FUND,), "root_gate": "open"}
    return world_of(ARENA | settings.world, **parts)


def forced_shares(settings: ControlSettings, institution: str, speed: str) -> Trials:
    """Return control and cost at the ladder of stakes under an institution, `(worlds, stakes)`."""
    seeds = range(settings.first_seed, settings.first_seed + settings.worlds)
    warm = warmed_up(institution_world(settings, institution, speed), seeds, settings.warmup_days)
    if institution == VOTE:
        trials = vote_trials(warm, settings.stakes, settings.days)
    elif institution == CURATED:
        trials = fund_trials(warm, settings.stakes, settings.days)
    else:
        strategies = pushes(settings.subnets, settings.order_days)
        trials = stake_trials(warm, settings.stakes, strategies, settings.days, settings.threads)
    return best_responses(trials)


def _cells(settings: ControlSettings) -> list[tuple[str, str]]:
    """Institutions and speeds; one speed where the rule does not read the moving price."""
    cells = []
    for institution in settings.institutions:
        allocation = "price_burn" if institution in FUNDS else institution
        reads = ALLOCATIONS[allocation] in rules_reading("moving_price")
        speeds = settings.speeds if reads else settings.speeds[:1]
        cells += itertools.product((institution,), speeds)
    return cells


def measure(
    settings: ControlSettings = QUICK, progress: Progress = lambda description: None
) -> list[Finding]:
    """Measure control over emission and its concentration.

    Parameters
    ----------
    settings : ControlSettings
    progress : callable
        Called with the name of each part before it starts.

    Returns
    -------
    list of Finding
        For every institution and speed: control, its cost and the stake for ten share points at single stakes; Nakamoto
        coefficient, top-5 share, Herfindahl and Gini index for every concentration of stakes; differences of the Nakamoto
        coefficient from the vote's. Intervals are over worlds.
    """
    progress("C1: votes")
    votes = forced_shares(settings, VOTE, settings.speeds[0])
    named = concentrations(settings)
    baseline = {name: _indices(settings, votes, stakes) for name, stakes in named.items()}
    findings = []
    for institution, speed in _cells(settings):
        if institution == VOTE:
            trials, speed = votes, ""
        else:
            progress(f"C1: {institution}, {speed} moving price")
            trials = forced_shares(settings, institution, speed)
        findings += _at_single_stakes(settings, trials, institution, speed)
        for name, stakes in named.items():
            cell = (institution, f"{speed}, {name}".removeprefix(", "))
            mine = baseline[name] if institution == VOTE else _indices(settings, trials, stakes)
            for measure, index in mine.items():
                claim = MORE_THAN_FIVE if measure == NAKAMOTO else None
                findings.append(_finding(index, measure, cell, claim))
            for votes_of in [] if institution == VOTE else list(dict.fromkeys((name, BEFORE))):
                less = mine[NAKAMOTO].minus(baseline[votes_of][NAKAMOTO])
                measure = f"{NAKAMOTO}, less that of the vote by {votes_of}"
                findings.append(_finding(less, measure, cell, MORE_THAN_BY_VOTE))
    return findings


def _indices(settings: ControlSettings, trials: Trials, stakes: np.ndarray) -> dict[str, Resampled]:
    """Resampled indices of concentration by name; control is the mean over worlds."""

    def index(name: str) -> Callable[[np.ndarray], np.ndarray]:
        return lambda forced: getattr(
            concentration(control_of(stakes, settings.stakes, forced)), name
        )

    return {
        measure: resample_means(trials.control, index(name), RESAMPLES)
        for name, measure in zip(Concentration._fields, INDICES, strict=True)
    }


def _finding(
    index: Resampled, measure: str, cell: tuple[str, str], claim: Hypothesis | None
) -> Finding:
    samples = len(index.jackknife)
    return Finding("C1", measure, *cell, "", bca_interval(index), samples, claim)


def _at_single_stakes(
    settings: ControlSettings, trials: Trials, institution: str, speed: str
) -> list[Finding]:
    findings, samples = [], len(trials.control)
    for stake in settings.reported:
        i = settings.stakes.index(stake)
        cell = (institution, f"{speed}, {100.0 * stake:g} % of root stake".removeprefix(", "))
        columns = np.column_stack([trials.control[:, i], trials.cost[:, i]])
        measure, unit = "control of one actor", "share points"
        estimate = bootstrap(columns[:, 0])
        findings.append(Finding("C1", measure, *cell, unit, estimate, samples))
        measure = "cost of a share point"
        if not columns[:, 1].any():  # votes, and purchases of a fund, cost the actor nothing
            findings.append(Finding("C1", measure, *cell, "TAO", Estimate(0.0, 0.0, 0.0), 0))
        elif np.count_nonzero(columns[:, 0]) > samples // 2:  # else most resamples divide by 0
            estimate = bca_interval(resample_means(columns, _ratio, RESAMPLES))
            findings.append(Finding("C1", measure, *cell, "TAO", estimate, samples))
    if _stake_for_points(settings, trials.control.mean(0)) < settings.stakes[-1]:
        estimate = bca_interval(
            resample_means(trials.control, lambda f: _stake_for_points(settings, f), RESAMPLES)
        )
        measure = f"part of root stake that forces {POINTS:g} share points"
        findings.append(Finding("C1", measure, institution, speed, "", estimate, samples))
    return findings


def _ratio(means: np.ndarray) -> np.ndarray:
    """Mean cost over mean control."""
    return means[..., 1] / np.maximum(means[..., 0], 1e-12)


def _stake_for_points(settings: ControlSettings, forced: np.ndarray) -> np.ndarray:
    """Smallest stake that forces `POINTS`, at most the largest of the ladder, `(...)`."""
    known = np.append(0.0, settings.stakes)
    forced = np.maximum.accumulate(np.asarray(forced, float), axis=-1)
    rows = forced.reshape(-1, len(settings.stakes))
    needed = [np.interp(POINTS, np.append(0.0, row), known) for row in rows]
    return np.reshape(needed, forced.shape[:-1])
