"""How much a control runs, and the world that it changes."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from dtao_agents.equilibrium.nash import NashSettings
from dtao_agents.probe.checks import Check
from dtao_agents.probe.plan import BASE_WORLD
from dtao_gym.world.config import Config

Changes = Mapping[str, Any]


class Size(NamedTuple):
    """How much is run: seeds, the latest end of a life in days, how equilibria are sought, and in which population."""

    seeds: int
    cap_days: int
    solver: NashSettings
    population: Changes = MappingProxyType({})
    """World parameters of the population that is asked about; none: the default one."""


_NEAR = NashSettings(
    grid_wide=0, grid_near=5, damping=1.0, max_iterations=2, measure_slope=False, resamples=500
)
GATE = Size(16, 2_000, _NEAR)
FULL = Size(512, 8_000, _NEAR.model_copy(update={"grid_near": 7, "max_iterations": 4}))

Control = Callable[[Size, Changes], list[Check]]


def world(size: Size, technology: Changes, **changes: Any) -> Config:
    """The probe's world with one span a day, changed by a control and then by force."""
    base = BASE_WORLD | dict(size.population)
    base |= {"spans_per_day": 1, "horizon_cap_days": size.cap_days}
    return Config.make(base | changes | dict(technology))
