"""C5: each alpha is capped at 21 million, as TAO is. Issuance and halvings of the engine against the closed form.

A token that mints one per block, halved whenever half of what remained has been issued, passes 21 million (1 - 2**-k) on
dates that follow from its issuance today. TAO does, where nothing is recycled; an alpha does where nothing is injected into
its pool; injection at most doubles the speed. The engine sets the rate at the beginning of each span of blocks, so that a
halving comes up to one span late and the next threshold is met up to one span early, one more with every halving.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from dtao_agents.claims.finding import Finding, Hypothesis
from dtao_agents.evaluation.statistics import Estimate
from dtao_gym.protocol.institutions import ERAS
from dtao_gym.protocol.issuance import BLOCKS_PER_DAY, SUPPLY_CAP
from dtao_gym.world.batch import Batch
from dtao_gym.world.config import Config

LAUNCH = "mainnet-2025-02-13"
"""State in which alphas begin, before the first halving of TAO."""
CALM: dict[str, Any] = {"arrivals_per_slot_year": 0.0, "pruning": False}
CLOSED: dict[str, dict[str, Any]] = {
    "TAO": CALM | {"era": "launch"},
    "alpha": CALM | {"era": "price_burn", "revenue_share": 0.0, "tao_weight": 0.0},
}
"""Worlds in which a token follows its closed form. Launch pools take all TAO, so that none is recycled; root without weight
means no injection of alpha, and users who pay nothing recycle none."""
BUSY: dict[str, Any] = {"arrivals_per_slot_year": 12.0, "entry_value_tao": 1e4}
"""Founders who register as often as they can."""
HALVINGS = 64
"""Halvings in the closed form; a later one would move less than a billionth of a token."""
DAYS_PER_YEAR = 365
ROUNDING = 1e-12
"""Relative error of a sum of doubles that is no violation of the cap."""

Progress = Callable[[str], None]


class CapSettings(BaseModel):
    """Settings of the measurement of supply caps."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    years: int = Field(40, ge=5, le=120, description="Length of each run.")
    n_subnets: int = Field(8, ge=1, le=62, description="Number of simulated subnets.")
    spans_per_day: int = Field(4, ge=1, le=BLOCKS_PER_DAY, description="Spans of a day.")
    seed: int = Field(0, ge=0, lt=2**63, description="World seed; issuance does not depend on it.")
    check_days: int = Field(
        30, ge=1, le=DAYS_PER_YEAR, description="Days between two looks at the supplies of eras."
    )


QUICK = CapSettings.model_validate({})
"""Settings that take about two seconds."""
FULL = QUICK
"""Settings of the full probe: nothing is random."""


# --- closed form


class Schedule(NamedTuple):
    """Issuance of a token at its halvings."""

    days: np.ndarray
    """Days from the start, `(1 + halvings to come,)`; the first is 0."""
    issuance: np.ndarray
    """Tokens on those days; the first is the initial issuance, the others thresholds."""

    def after(self, days: np.ndarray | float) -> np.ndarray:
        """Return the issuance after some days, linear between halvings; constant after the last."""
        return np.asarray(np.interp(days, self.days, self.issuance))


def schedule(issuance: float, speed: float = 1.0, halvings: int = HALVINGS) -> Schedule:
    """Return the closed form of a token that mints `speed` times the emission of a block.

    Parameters
    ----------
    issuance : float
        Tokens today, from 0, below 21 million.
    speed : float
        1 for TAO and for an alpha without injection, 2 for an alpha with full injection.
    halvings : int
        Number of thresholds since 0 tokens.

    Raises
    ------
    ValueError
        Issuance or speed out of range.
    """
    if not 0.0 <= issuance < SUPPLY_CAP or not speed > 0.0:
        raise ValueError(
            f"issuance, speed: got {issuance}, {speed}, allowed are 0 to {SUPPLY_CAP:.0f}, above 0"
        )
    order = np.arange(1, halvings + 1)
    thresholds = SUPPLY_CAP * (1.0 - 2.0**-order)
    rates = speed * BLOCKS_PER_DAY * 2.0 ** (1 - order)
    ahead = thresholds > issuance
    issued = np.append(issuance, thresholds[ahead])
    return Schedule(np.append(0.0, np.cumsum(np.diff(issued) / rates[ahead])), issued)


def crossing_days(path: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Return the days on which a daily path passes thresholds, NaN where it does not, `(thresholds,)`.

    Within the day of a crossing the path goes on at the rate of the day before: until then the rate is the old one.

    Parameters
    ----------
    path : `(1 + days,)`
        Issuance in the evenings; the first is the start.
    thresholds : `(k,)`
        Above the start.
    """
    evening = np.searchsorted(path, thresholds)
    days = np.full(len(thresholds), np.nan)
    for k in np.flatnonzero(evening < len(path)):
        last = evening[k] - 1
        rate = path[last] - path[last - 1] if last > 0 else path[1] - path[0]
        days[k] = last + (thresholds[k] - path[last]) / rate
    return days


# --- measurement


def issuance_paths(settings: CapSettings, token: str) -> np.ndarray:
    """Return the daily issuance of a token of `CLOSED`, `(tokens, 1 + days)`: of TAO, or of each alpha."""
    batch = Batch(_config(settings, CLOSED[token]), seeds=[settings.seed])
    path = []
    for _ in range(settings.years * DAYS_PER_YEAR + 1):
        tao = batch.state.worlds["chain_issuance"].copy()
        path.append(tao if token == "TAO" else alpha_supply(batch)[0])
        batch.step()
    return np.transpose(path)


def alpha_supply(batch: Batch) -> np.ndarray:
    """Return the supply of each alpha, `(worlds, subnets)`."""
    return batch.state.row("alpha_reserve") + batch.state.row("alpha_outstanding")


def measure(
    settings: CapSettings = QUICK, progress: Progress = lambda description: None
) -> list[Finding]:
    """Compare issuance with the closed form, and supplies with the cap under the rules of every era.

    Parameters
    ----------
    settings : CapSettings
    progress : callable
        Called with the name of each part before it starts.

    Returns
    -------
    list of Finding
        Without samples: issuance is not random. Thresholds follow from the length of a span.
    """
    progress("C5: closed form")
    findings = []
    for token in CLOSED:
        paths = issuance_paths(settings, token)
        findings += closed_form_findings(token, paths, settings.spans_per_day)
    for era in ERAS:
        progress(f"C5: {era}")
        findings += _era_findings(settings, era)
    return findings


def closed_form_findings(token: str, paths: np.ndarray, spans_per_day: int) -> list[Finding]:
    """Return the largest deviations of daily paths `(tokens, 1 + days)` from their closed forms."""
    days = np.arange(paths.shape[1])
    deviation, late, halvings = 0.0, [], 0
    for path in paths:
        expected = schedule(path[0])
        deviation = max(deviation, float(np.max(np.abs(path / expected.after(days) - 1.0))))
        passed = expected.days[1:] < days[-1]
        met = crossing_days(path, expected.issuance[1:][passed])
        late += list(np.nan_to_num(met - expected.days[1:][passed], nan=np.inf))
        halvings = max(halvings, int(passed.sum()))
    if not halvings:
        raise ValueError(f"years: got {days[-1]} days, allowed are enough for a halving of {token}")
    span = 1.0 / spans_per_day
    # a lead of k spans after k halvings, at 2**-k tokens a block: at most half a span's tokens at full rate, since 10.5 million
    close = Hypothesis(
        "issuance follows the closed form up to half a span",
        "below",
        span * BLOCKS_PER_DAY / SUPPLY_CAP,
    )
    dated = Hypothesis(
        "every halving is early by a span per halving at most", "within", halvings * span
    )
    setting = f"{token}, {halvings} halvings"
    worst = max(late, key=abs)
    return [
        _fact(
            "largest relative deviation of issuance",
            CLOSED[token]["era"],
            setting,
            "",
            deviation,
            close,
        ),
        _fact(
            "largest deviation of a halving date",
            CLOSED[token]["era"],
            setting,
            "days",
            worst,
            dated,
        ),
    ]


def _era_findings(settings: CapSettings, era: str) -> list[Finding]:
    """Greatest supplies in a calm world and in a busy one, and the lead over full injection in the calm one."""
    configs = [_config(settings, {"era": era, **kind}) for kind in (CALM, BUSY)]
    batch = Batch(configs, seeds=[settings.seed] * len(configs))
    fastest = [schedule(supply, speed=2.0) for supply in alpha_supply(batch)[0]]
    alpha, tao, lead = 0.0, 0.0, -np.inf
    for look in range(settings.years * DAYS_PER_YEAR // settings.check_days + 1):
        day, supply = look * settings.check_days, alpha_supply(batch)
        alpha, tao = max(alpha, supply.max()), max(tao, batch.state.worlds["chain_issuance"].max())
        bound = np.array([closed.after(day) for closed in fastest])
        lead = max(lead, float((supply[0] - bound).max()))
        batch.step(days=settings.check_days)
    # a pool may be seeded with all the alpha that there can be
    capped = Hypothesis("no supply is above 21 million", "below", SUPPLY_CAP * (1.0 + ROUNDING))
    # twice the tokens of half a span, as for the closed form
    bounded = Hypothesis(
        "no alpha is issued faster than with full injection",
        "below",
        BLOCKS_PER_DAY / settings.spans_per_day,
    )
    setting = f"{settings.years} years from launch"
    facts = [_fact("greatest supply of TAO", era, setting, "TAO", tao, capped)]
    if alpha > 0.0:  # before 2025 there was none
        facts.append(_fact("greatest supply of an alpha", era, setting, "alpha", alpha, capped))
        measure = "largest lead of issuance over full injection"
        # the subsidy, once alphas have halved, injects more than an alpha's own emission
        claim = None if ERAS[era].injection == "subsidy" else bounded
        facts.append(_fact(measure, era, setting, "alpha", lead, claim))
    return facts


def _config(settings: CapSettings, changes: dict[str, Any]) -> Config:
    return Config.make(
        changes,
        genesis=LAUNCH,
        n_subnets=settings.n_subnets,
        spans_per_day=settings.spans_per_day,
        n_stakers=0,
        halving=True,
    )


def _fact(
    measure: str, institution: str, setting: str, unit: str, value: float, claim: Hypothesis | None
) -> Finding:
    """Finding without randomness."""
    estimate = Estimate(value, value, value)
    return Finding("C5", measure, institution, setting, unit, estimate, 0, claim)
