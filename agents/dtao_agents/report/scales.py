"""Scales of charts: spans of values, round ticks, positions in percent."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
"""Distances of ticks, times a power of ten."""


@dataclass(frozen=True)
class Scale:
    """A map of values to positions from 0 to 100.

    Attributes
    ----------
    low, high : float
        Values at both ends.
    log : bool
        Whether equal ratios have equal distances; both ends are then above 0.
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError(
                f"span: got ({self.low}, {self.high}), allowed are two finite numbers in ascending order"
            )
        if self.log and not self.low > 0.0:
            raise ValueError(f"span: got {self.low}, allowed is above 0 on a logarithmic axis")

    def place(self, value: float, clamped: bool = True) -> float:
        """Return the position of a value, in percent; `clamped` places those beyond an end at it."""
        if clamped:
            value = min(max(value, self.low), self.high)
        if self.log:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return round(100.0 * share, 2)

    def holds(self, value: float) -> bool:
        """Return whether a value is not beyond an end."""
        return self.low <= value <= self.high

    def ticks(self, most: int = 6) -> list[float]:
        """Return at most `most` round values within the span."""
        if self.log:
            return _log_ticks(self.low, self.high, most)
        step = _step((self.high - self.low) / most)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [round(k * step, 12) for k in range(first, last + 1)]


def _step(least: float) -> float:
    """Return the smallest round distance that is at least `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(power * step for step in STEPS if power * step >= least * (1.0 - 1e-9))


def _log_ticks(low: float, high: float, most: int) -> list[float]:
    for multiples in ((1, 2, 5), (1, 3), (1,)):
        ticks = [
            multiple * 10.0**power
            for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
            for multiple in multiples
            if low * (1.0 - 1e-9) <= multiple * 10.0**power <= high * (1.0 + 1e-9)
        ]
        if len(ticks) <= most:
            break
    return ticks[:: math.ceil(len(ticks) / most)] if ticks else [low, high]


def tick_text(ticks: Sequence[float]) -> list[str]:
    """Return the labels of ticks, with as many decimals as they need."""
    for digits in range(7):
        if all(math.isclose(round(tick, digits), tick, abs_tol=1e-12) for tick in ticks):
            return [f"{tick:,.{digits}f}".replace("-", "−") for tick in ticks]
    return [f"{tick:g}".replace("-", "−") for tick in ticks]


def fit(values: Iterable[float], include: Iterable[float] = (), log: bool = False) -> Scale:
    """Return a scale of all finite values, with a margin and round ends unless it is logarithmic."""
    finite = [value for value in (*values, *include) if math.isfinite(value)]
    if log:
        finite = [value for value in finite if value > 0.0]
    if not finite:
        return Scale(0.1, 1.0, log) if log else Scale(0.0, 1.0)
    low, high = min(finite), max(finite)
    if log:
        return Scale(low / 1.2, high * 1.2, log=True)
    if low == high:
        low, high = low - (abs(low) or 1.0) / 2.0, high + (abs(high) or 1.0) / 2.0
    step = _step((high - low) / 12.0)
    return Scale(math.floor(low / step) * step, math.ceil(high / step) * step)
