"""Settings and results of `dtao_agents.equilibrium.first_order`."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from dtao_agents.evaluation.statistics import Estimate


class SlotSettings(BaseModel):
    """Settings of `solve_slots`. Steps are angles 2 arcsin(sqrt(share))."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    deviation: float = Field(
        default=0.4, gt=0.0, le=0.8, description="Size of a builder's deviation."
    )
    population_step: float = Field(
        default=0.3, gt=0.0, le=0.8, description="Shift of the population that measures slopes."
    )
    capitalisation_step: float = Field(
        default=0.15, gt=0.0, le=0.5, description="Shift of ln c_bar that measures slopes."
    )
    pilot_blocks: int = Field(default=8, ge=2, description="Blocks of a pilot pass.")
    pilot_passes: int = Field(default=3, ge=1, description="Pilot passes with the slope guessed.")
    slope_passes: int = Field(
        default=3, ge=1, description="Most pilot passes with the slope measured."
    )
    settled: float = Field(
        default=0.1, gt=0.0, description="Step below which the centre of the last pass is taken."
    )
    slope_blocks: int = Field(
        default=16, ge=4, description="Fewest blocks of the last pass at all points."
    )
    most_slope_blocks: int = Field(
        default=96,
        ge=4,
        description="Blocks at all points after which a slope that is not resolved is given up.",
    )
    least_blocks: int = Field(default=16, ge=4, description="Fewest blocks of the last pass.")
    most_blocks: int = Field(
        default=256,
        ge=4,
        description="Budget of the last pass: blocks at the centre, and blocks at moved points beyond slope_blocks.",
    )
    blocks_at_once: int = Field(default=16, ge=1, description="Blocks that are played together.")
    half_width: float = Field(
        default=0.1, gt=0.0, description="Half-width of the 95 % interval at which sampling stops."
    )

    @model_validator(mode="after")
    def _fits(self) -> "SlotSettings":
        """Return itself. Raises ValueError where fields do not fit."""
        if not self.slope_blocks <= self.least_blocks <= self.most_blocks:
            raise ValueError(
                f"slope_blocks, least_blocks, most_blocks: got {self.slope_blocks}, {self.least_blocks}, "
                f"{self.most_blocks}, allowed are numbers that do not fall"
            )
        return self


class Parameter(NamedTuple):
    """An estimated number of the population's strategy.

    Attributes
    ----------
    name : str
        Class and decision.
    estimate : Estimate
        95 % interval; log-odds for shares, the number itself for coefficients.
    standard_error : float
        From the jackknife over blocks.
    slope : float
        Change of the relative marginal payoff by a change of the population in this number, readers' c_bar fixed.
    slope_error : float
        Its standard error.
    deviations : `(blocks,)`
        Influence of each block; the standard error is their root mean square over the root of blocks - 1.
    """

    name: str
    estimate: Estimate
    standard_error: float
    slope: float
    slope_error: float
    deviations: np.ndarray

    @property
    def half_width(self) -> float:
        """Half-width of the interval."""
        return 0.5 * (self.estimate.high - self.estimate.low)


@dataclass(frozen=True, eq=False)
class SlotEquilibrium:
    """An equilibrium in strategies of slots, or why there is no number.

    Attributes
    ----------
    verdict : {"solved", "at a bound", "indeterminate"}
        "at a bound" if payoffs push a number of the strategy to the end of its range, where it is then kept;
        "indeterminate" if a marginal payoff does not fall, so that nothing is identified.
    stopped : {"width", "budget"}
        Why sampling ended.
    population : `(classes, decisions)`
        Strategy of each class.
    parameters : tuple of Parameter
        Those inside their range, in the order of the population; empty if indeterminate.
    at_bound : tuple of str
        Names of those at an end of their range.
    capitalisation : float, optional
        c_bar of the equilibrium, days.
    blocks, slope_blocks, worlds : int
        Blocks of the last pass at the centre, and at all points; world-runs in all, pilots too.
    passes : tuple of `(classes, decisions)`
        Centres of the pilot passes and of the last one.
    seconds : float
        CPU time of this process.
    """

    verdict: Literal["solved", "at a bound", "indeterminate"]
    stopped: Literal["width", "budget"]
    population: np.ndarray
    parameters: tuple[Parameter, ...]
    at_bound: tuple[str, ...]
    capitalisation: float | None
    blocks: int
    slope_blocks: int
    worlds: int
    passes: tuple[np.ndarray, ...]
    seconds: float

    @property
    def half_width(self) -> float | None:
        """Half-width of the widest interval; None unless solved."""
        return max((p.half_width for p in self.parameters), default=None)
