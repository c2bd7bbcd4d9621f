"""Settings of the search for equilibria in constant research shares."""

from pydantic import BaseModel, ConfigDict, Field, model_validator

from dtao_agents.equilibrium.inference import Fit


class NashSettings(BaseModel):
    """Settings of the search for an equilibrium. Distances are log-odds of the research share."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    grid_wide: int = Field(
        default=12, ge=0, description="Candidates of the first grid; 0 skips it."
    )
    wide_low: float = Field(
        default=-6.0, ge=-6.2, description="Lowest candidate of the first grid."
    )
    wide_high: float = Field(
        default=5.0, le=6.2, description="Highest candidate of the first grid."
    )
    grid_near: int = Field(
        default=9, ge=5, description="Candidates of a later grid, an odd number."
    )
    half_width: float = Field(
        default=1.8, gt=0.0, le=4.0, description="Half of the width of a later grid."
    )
    fit: Fit = Field(
        default="all", description="Later grids: parabola through all points or the best 3."
    )
    damping: float = Field(
        default=0.8,
        gt=0.0,
        le=1.0,
        description="Part of the way to a best response that a step covers.",
    )
    max_iterations: int = Field(
        default=8, ge=2, description="Largest number of grids, the wide one included."
    )
    tolerance: float = Field(
        default=0.05, gt=0.0, description="Largest change of a settled iterate."
    )
    starts: tuple[float, ...] = Field(default=(0.02, 0.2, 0.7, 0.95), description="Starts, shares.")
    distinct: float = Field(
        default=0.2,
        gt=0.0,
        description="Gap beyond which equilibria from two starts are different ones.",
    )
    logit_step: float = Field(
        default=0.25, gt=0.0, le=1.0, description="Deviation in the first-order condition."
    )
    population_step: float = Field(
        default=0.5, gt=0.0, le=2.0, description="Shift of the population that measures slopes."
    )
    measure_slope: bool = Field(
        default=True, description="Run the shifted population after solving."
    )
    resamples: int = Field(default=2_000, ge=100, description="Bootstrap samples of an interval.")

    @model_validator(mode="after")
    def _fits(self) -> "NashSettings":
        """Return itself. Raises ValueError where fields do not fit."""
        if self.grid_near % 2 == 0:
            raise ValueError(f"grid_near: got {self.grid_near}, allowed are odd numbers from 5")
        if self.grid_wide in (1, 2):
            raise ValueError(f"grid_wide: got {self.grid_wide}, allowed are 0 and numbers from 3")
        if not self.wide_low < self.wide_high:
            raise ValueError(
                f"wide_low: got {self.wide_low}, allowed is less than wide_high = {self.wide_high}"
            )
        return self


QUICK = NashSettings(grid_near=7, max_iterations=4)
"""Short search, for 64 seeds."""
