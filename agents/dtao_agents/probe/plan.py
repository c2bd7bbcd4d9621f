"""Plan of a probe, read from YAML: blocks of cells, their settings, and what is named before the seeds are drawn."""

import hashlib
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from dtao_agents.equilibrium.inference import SMALLEST_EFFECT
from dtao_agents.equilibrium.slot_records import SlotSettings
from dtao_agents.package_data import find_config
from dtao_agents.training.settings import line_of
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
DEFAULT_CAPITALISATION: float = Config.model_fields["pooled_capitalisation"].default
"""First value of the days of signal at which uninformed stakers value a subnet."""
Strategy = Literal["share", "thirds by price", "thirds by ability", "influence", "feedback"]
"""What builders choose: one research share; one for each third; that of influence too; a reaction to margin and age."""
ClaimSize = Literal["none", "quick", "full"]


class Sobol(BaseModel):
    """A Sobol sequence over world parameters, one cell for each point (Saltelli's scheme of SALib)."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    ranges: dict[str, tuple[float, float]] = Field(
        min_length=2, description="Lowest and highest value by world parameter."
    )
    points: int = Field(
        default=32, ge=2, description="Base samples, a power of 2; points x (parameters + 2) cells."
    )

    @model_validator(mode="after")
    def _fits(self) -> "Sobol":
        """Raise ValueError for a range without a width, or a number of points that is no power of 2."""
        for name, (low, high) in self.ranges.items():
            if not low < high:
                raise ValueError(
                    f"sobol: {name}: got {low} to {high}, allowed is an ascending range"
                )
        if self.points & (self.points - 1):
            raise ValueError(f"sobol: points: got {self.points}, allowed is a power of 2")
        return self


class Block(BaseModel):
    """A group of cells: the product of its lists, once for each change of the world."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: str = Field(min_length=1, description="Name, a letter and a title.")
    institutions: tuple[str, ...] = Field(
        default=("price", "tao_flow", "root_vote"),
        min_length=1,
        description="Institutions: allocation rules, or funds as the use of root's dividends.",
    )
    payments: tuple[Literal["alpha", "direct"], ...] = Field(
        default=("direct",), min_length=1, description="How owners are paid."
    )
    pruning: tuple[bool, ...] = Field(
        default=(False, True),
        min_length=1,
        description="Whether newcomers displace the weakest subnet.",
    )
    moving_prices: tuple[Literal["fast", "slow"], ...] = Field(
        default=("fast",), min_length=1, description="Speeds of the moving price."
    )
    strategy: Strategy = Field(default="share", description="What builders choose.")
    doses: tuple[dict[str, Any], ...] = Field(
        default=({},), min_length=1, description="World parameters of the cells, one set for each."
    )
    channels: dict[str, Any] = Field(
        default_factory=dict,
        description="World parameters that switch a channel off; all combinations of on and off.",
    )
    sobol: Sobol | None = Field(default=None, description="Points of a Sobol design.")
    primary: bool = Field(
        default=False, description="Whether its results are shown first, and hypotheses named."
    )
    named: tuple[str, ...] = Field(
        default=(),
        description="Institutions of a primary block whose effects with the first of moving_prices are the hypotheses that "
        "Holm's correction covers; empty: all.",
    )
    references: bool = Field(
        default=True, description="Whether the references of each cell are solved too."
    )
    estimator: dict[str, Any] = Field(
        default_factory=dict, description="Settings of the estimator, over those of the plan."
    )

    @model_validator(mode="after")
    def _fits(self) -> "Block":
        """Raise ValueError where a cell would be solved twice, or what is named is no institution of the block."""
        for name in ("institutions", "payments", "pruning", "moving_prices"):
            values = getattr(self, name)
            if len(set(values)) < len(values):
                raise ValueError(f"{name}: got {list(values)}, allowed is each once")
        unknown = [name for name in self.named if name not in self.institutions]
        if unknown or (self.named and not self.primary):
            allowed = f"some of {list(self.institutions)}" if self.primary else "none: not primary"
            raise ValueError(f"named: got {list(self.named)}, allowed is {allowed}")
        if self.sobol is not None and (self.channels or self.doses != ({},)):
            raise ValueError("sobol: got doses or channels too, allowed is one of the three")
        return self


class Plan(BaseModel):
    """Settings of a probe: everything that its results depend on."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    blocks: tuple[Block, ...] = Field(
        default=(Block(name="A core", primary=True),), min_length=1, description="Blocks of cells."
    )
    population: Path | None = Field(
        default=None,
        description="YAML of world parameters fitted to data, over the base world. None: the population of spring 2026.",
    )
    world: dict[str, Any] = Field(
        default_factory=dict, description="World parameters of every cell, over all others."
    )
    first_seed: int = Field(default=0, ge=0, lt=2**40, description="First world seed.")
    start: float = Field(
        default=0.4,
        gt=0.0,
        lt=1.0,
        description="Research share at which the estimator starts.",
    )
    capitalisation: float = Field(
        default=DEFAULT_CAPITALISATION,
        gt=0.0,
        description="First value of the days of signal at which the uninformed value a subnet; estimated in each cell.",
    )
    estimator: SlotSettings = Field(
        default=SlotSettings(), description="Settings of the estimator of equilibria."
    )
    outcome_worlds: int = Field(
        default=64,
        ge=8,
        le=4096,
        description="Worlds in which the merit and welfare of an equilibrium are measured.",
    )
    smallest_effect: float = Field(
        default=SMALLEST_EFFECT, gt=0.0, description="Smallest effect of interest, log-odds."
    )
    claims: ClaimSize = Field(
        default="quick",
        description="Size of the measurements of claims C1 to C5, which need no equilibrium.",
    )

    @model_validator(mode="after")
    def _fits(self) -> "Plan":
        """Raise ValueError where two blocks have one name, or settings of the estimator are wrong."""
        names = [block.name for block in self.blocks]
        if len(set(names)) < len(names):
            raise ValueError(f"blocks: got names {names}, allowed is each once")
        for block in self.blocks:
            self.estimator_of(block)
        return self

    def estimator_of(self, block: Block) -> SlotSettings:
        """Settings of the estimator in a block."""
        try:
            return SlotSettings.model_validate(self.estimator.model_dump() | block.estimator)
        except ValidationError as error:
            first = line_of(error.errors()[0], SlotSettings.model_fields)
            raise ValueError(f"blocks: {block.name}: estimator: {first}") from None

    def to_yaml(self) -> str:
        """All fields, defaults included, as text for `read_plan`."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of all fields: what was named before the confirmatory seeds were drawn."""
        return hashlib.sha256(self.to_yaml().encode()).hexdigest()


def make_plan(content: dict[str, Any]) -> Plan:
    """Create a plan from a mapping of fields of `Plan`.

    Raises
    ------
    ConfigError
        A field is unknown or out of range; the message has one line that names it.
    """
    try:
        return Plan.model_validate(content)
    except ValidationError as error:
        problems = error.errors()
        places = [problem["loc"] for problem in problems]
        # a block that is refused makes the list of blocks too short as well
        inner = [
            problem
            for problem in problems
            if not any(
                len(place) > len(problem["loc"]) and place[: len(problem["loc"])] == problem["loc"]
                for place in places
            )
        ]
        raise ConfigError("; ".join(_line(problem) for problem in inner)) from None


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
    fields = Block.model_fields if problem["loc"][:1] == ("blocks",) else Plan.model_fields
    return line_of(problem, fields)


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
