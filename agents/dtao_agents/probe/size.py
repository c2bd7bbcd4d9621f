"""Size of the negative controls, and the world that they change."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from dtao_agents.equilibrium.nash import NashSettings
from dtao_agents.probe.checks import Check
from dtao_agents.probe.plan import BASE_WORLD
from dtao_gym.world.config import Config

Changes = Mapping[str, Any]
"""World parameters that differ from the base."""


class Size(NamedTuple):
    """Computational size of a control, and its population.

    Attributes
    ----------
    seeds : int
        World seeds.
    cap_days : int
        Latest random end of a world, days.
    solver : NashSettings
        Settings of the equilibrium solver.
    population : mapping
        World parameters of the population under test; empty: the default population.
    """

    seeds: int
    cap_days: int
    solver: NashSettings
    population: Changes = MappingProxyType({})


_NEAR = NashSettings(
    grid_wide=0, grid_near=5, damping=1.0, max_iterations=2, measure_slope=False, resamples=500
)
GATE = Size(16, 2_000, _NEAR)
"""Size of a gate, before every probe."""
FULL = Size(512, 8_000, _NEAR.model_copy(update={"grid_near": 7, "max_iterations": 4}))
"""Size of `scripts/controls.py`."""

Control = Callable[[Size, Changes], list[Check]]
"""`control(size, technology)`: `technology` overrides the control's own world parameters."""


def world(size: Size, technology: Changes, **changes: Any) -> Config:
    """World of a control: the probe's base world at one span per day.

    Parameters
    ----------
    size : Size
        Population and latest end.
    technology : mapping
        World parameters that override `changes`.
    **changes
        World parameters of the control.
    """
    base = BASE_WORLD | dict(size.population)
    base |= {"spans_per_day": 1, "horizon_cap_days": size.cap_days}
    return Config.make(base | changes | dict(technology))
