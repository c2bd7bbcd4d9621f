"""Plan of a probe, read from YAML, and its cells."""

import itertools
from pathlib import Path
from typing import Any, Literal, NamedTuple

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from dtao_agents.equilibrium.inference import SMALLEST_EFFECT
from dtao_agents.equilibrium.nash import QUICK, NashSettings
from dtao_agents.package_data import find_config
from dtao_agents.training.settings import line_of
from dtao_gym.protocol.coinbase import FUNDS
from dtao_gym.realism.gate import PRESETS
from dtao_gym.world.config import Config, ConfigError, read_yaml

BASE_WORLD: dict[str, Any] = PRESETS["probe"] | {
    "horizon": "geometric",
    "horizon_cap_days": 8000,
}
"""Base world of every cell: eight subnets of mainnet, a new draw for each seed, under the rules of June 2026.

The frozen subnets respond alike under every institution, so that all institutions distribute the same total
(`dtao_gym/world/rest.py`).
"""
REFERENCE = "fee"
"""Name of the reference: builders whom users pay for exactly their own value."""
DEFAULT_CAPITALISATION: float = Config.model_fields["pooled_capitalisation"].default
"""Initial estimate of the days of signal at which uninformed stakers value a subnet."""
SPEEDS: tuple[Literal["fast", "slow"], ...] = ("fast", "slow")


class Plan(BaseModel):
    """Settings of a probe: everything that its results depend on."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    institutions: tuple[str, ...] = Field(
        ("price", "tao_flow", "root_vote"),
        min_length=1,
        description="Institutions to compare: allocation rules, or funds as the use of root's dividends.",
    )
    payments: tuple[Literal["alpha", "direct"], ...] = Field(
        ("direct",), min_length=1, description="How owners are paid."
    )
    pruning: tuple[bool, ...] = Field(
        (False, True), min_length=1, description="Whether newcomers displace the weakest subnet."
    )
    moving_prices: tuple[Literal["fast", "slow"], ...] = Field(
        SPEEDS, min_length=1, description="Speeds of the moving price."
    )
    population: Path | None = Field(
        None,
        description="YAML of world parameters fitted to data, over the base world. None: the population of spring 2026.",
    )
    world: dict[str, Any] = Field(
        default_factory=dict, description="World parameters of every cell, over all others."
    )
    seeds: int = Field(
        64, ge=2, le=65_536, description="Number of world seeds, the same in every cell."
    )
    first_seed: int = Field(0, ge=0, lt=2**40, description="First world seed.")
    start: float = Field(
        0.3, gt=0.0, lt=1.0, description="Research share at which the solver starts."
    )
    capitalisation: float = Field(
        DEFAULT_CAPITALISATION,
        gt=0.0,
        description="Initial days of signal at which the uninformed value a subnet; estimated in each cell.",
    )
    solver: NashSettings = Field(QUICK, description="Settings of the equilibrium solver.")
    smallest_effect: float = Field(
        SMALLEST_EFFECT, gt=0.0, description="Smallest effect of interest, log-odds."
    )
    widest: float = Field(
        0.15,
        gt=0.0,
        description="Widest half-width of an interval, log-odds, that allows a verdict.",
    )
    threads: int = Field(2, ge=1, le=256, description="Threads that share the worlds.")

    @model_validator(mode="after")
    def _no_name_twice(self) -> "Plan":
        """Raise ValueError where a cell would be solved twice."""
        for name in ("institutions", "payments", "pruning", "moving_prices"):
            values = getattr(self, name)
            if len(set(values)) < len(values):
                raise ValueError(f"{name}: got {list(values)}, allowed is each once")
        return self

    @property
    def world_seeds(self) -> range:
        """Seeds of the worlds."""
        return range(self.first_seed, self.first_seed + self.seeds)

    def to_yaml(self) -> str:
        """All fields, defaults included, as text for `read_plan`."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)


def make_plan(content: dict[str, Any]) -> Plan:
    """Create a plan from a mapping.

    Parameters
    ----------
    content : dict
        Fields of `Plan`; missing fields of `solver` are those of `QUICK`.

    Raises
    ------
    ConfigError
        A field is unknown or out of range; the message has one line that names it.
    """
    fields = dict(content)
    solver = fields.get("solver", {})
    if isinstance(solver, dict):
        fields["solver"] = QUICK.model_dump() | solver
    try:
        return Plan.model_validate(fields)
    except ValidationError as error:
        raise ConfigError("; ".join(_line(problem) for problem in error.errors())) from None


def read_plan(path: str | Path) -> Plan:
    """Read a plan from a YAML file; raises `ConfigError` that names the file."""
    content = read_yaml(Path(path))
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: got {type(content).__name__}, allowed is a mapping of settings")
    try:
        return make_plan(content)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def _line(problem: Any) -> str:
    if problem["type"] == "value_error":
        return str(problem["ctx"]["error"])
    model = NashSettings if len(problem["loc"]) > 1 else Plan
    return line_of(problem, model.model_fields)


# --- cells


class Cell(NamedTuple):
    """One institution in one setting, to be solved for its research share.

    Attributes
    ----------
    institution : str
        Allocation rule, or `REFERENCE`.
    payment : str
        How owners are paid.
    pruning : bool
        Whether newcomers displace the weakest subnet.
    moving_price : str
        Speed of the moving price.
    config : Config
        The world.
    estimated : bool
        Whether the capitalisation of the uninformed is estimated; the reference has no readers of signals.
    """

    institution: str
    payment: str
    pruning: bool
    moving_price: str
    config: Config
    estimated: bool

    @property
    def name(self) -> str:
        """Name in tables and file names."""
        if self.institution == REFERENCE:
            return REFERENCE
        pruning = "pruning" if self.pruning else "no pruning"
        return f"{self.institution}, {self.payment}, {pruning}, {self.moving_price}"

    @property
    def setting(self) -> tuple[str, bool, str]:
        """Payment, pruning and moving price: the part that cells of several institutions share."""
        return self.payment, self.pruning, self.moving_price


def population_of(plan: Plan) -> dict[str, Any]:
    """World parameters of the plan's population, empty for the default one; raises `ConfigError`."""
    if plan.population is None:
        return {}
    content = read_yaml(find_config(plan.population))
    if not isinstance(content, dict):
        raise ConfigError(
            f"{plan.population}: got {type(content).__name__}, allowed is a mapping of parameters"
        )
    try:
        Config.make(content)
    except ConfigError as error:
        raise ConfigError(f"{plan.population}: {error}") from None
    return content


def base_world(plan: Plan) -> Config:
    """World before any institution: defaults, then population, then plan; raises `ConfigError`."""
    return Config.make(BASE_WORLD | population_of(plan) | plan.world)


def reference_cell(plan: Plan) -> Cell:
    """Cell of the fee arm: no finance, no pruning, and the builder's discount equal to society's.

    Costs count in its welfare, as in all other cells.
    """
    world = base_world(plan)
    config = Config.make(
        world,
        allocation="price",
        payment="fee",
        finance=False,
        pruning=False,
        cost_weight=1.0,
        builder_discount_per_year=world.social_discount_per_year,
    )
    return Cell(REFERENCE, "fee", False, config.moving_price_variant, config, False)


def institution_cells(plan: Plan) -> list[Cell]:
    """Cells of every institution in every setting.

    Institutions differ from the base world in the allocation rule alone or, where they are funds, in root's dividend alone.
    """
    world = base_world(plan)
    cells = []
    for institution, payment, pruning, speed in itertools.product(
        plan.institutions, plan.payments, plan.pruning, plan.moving_prices
    ):
        part = "root_dividend" if institution in FUNDS else "allocation"
        config = Config.make(
            world,
            **{part: institution},
            payment=payment,
            pruning=pruning,
            moving_price_variant=speed,
        )
        cells.append(Cell(institution, payment, pruning, speed, config, True))
    return cells


def all_cells(plan: Plan) -> list[Cell]:
    """Cells of a plan, the reference first."""
    return [reference_cell(plan), *institution_cells(plan)]
