"""The plan of RESULTS.md, read from YAML: trainings, comparisons, arena."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dtao_agents.evaluation.arena import Scenario, read_arena
from dtao_agents.package_data import find_config
from dtao_agents.training.settings import line_of
from dtao_gym.world.config import ConfigError, read_yaml

NAME = r"^[a-z0-9_]{1,32}$"


class TrainingRow(BaseModel):
    """Settings that are trained once for each training seed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=NAME, description="Unique name in folders and tables.")
    kind: str = Field(
        "single", description="How it is trained: a key of `dtao_agents.results.kinds`."
    )
    config: Path = Field(description="Settings in YAML.")
    overrides: dict[str, Any] = Field(
        default_factory=dict, description="Settings that differ from the file; `env` is merged."
    )
    arena: bool = Field(True, description="Its policies are played in the arena.")
    publish: bool = Field(True, description="Its median policy is kept in the repository.")


class Comparison(BaseModel):
    """Two rows of the same budget that differ in one thing, paired by training seed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, max_length=40, description="For the table.")
    first: str = Field(description="Name of a row.")
    second: str = Field(description="Name of another row.")


class ResultsPlan(BaseModel):
    """All settings that RESULTS.md depends on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    training_seeds: tuple[int, ...] = Field(
        (0, 1, 2, 3, 4), min_length=2, description="Intervals are over these."
    )
    evaluation_seeds: int = Field(
        256, ge=2, le=65_536, description="Number of seeds of the evaluation at home: 0, 1, ..."
    )
    workers: int = Field(2, ge=1, le=256, description="Processes that work side by side.")
    threads: int = Field(1, ge=1, le=256, description="Threads of each that share the worlds.")
    rows: tuple[TrainingRow, ...] = Field(min_length=1, description="Trainings.")
    comparisons: tuple[Comparison, ...] = Field((), description="Pairs of rows that are compared.")
    arena: Path | None = Field(None, description="YAML of scenarios.")

    def to_yaml(self) -> str:
        """Return all fields, with defaults, as YAML."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)

    def scenarios(self) -> list[Scenario]:
        """Return the scenarios of the arena. Raises ConfigError."""
        return [] if self.arena is None else read_arena(find_config(self.arena))

    def checked(self) -> "ResultsPlan":
        """Return itself. Raises ConfigError for repeated and for unknown names."""
        names = [row.name for row in self.rows]
        if len(set(names)) < len(names):
            raise ConfigError(f"rows: got {names}, allowed is each name once")
        if len(set(self.training_seeds)) < len(self.training_seeds):
            raise ConfigError(
                f"training_seeds: got {list(self.training_seeds)}, allowed is each once"
            )
        for pair in self.comparisons:
            for name in (pair.first, pair.second):
                if name not in names:
                    raise ConfigError(
                        f"comparison {pair.name}: got {name!r}, allowed are {', '.join(names)}"
                    )
        for scenario in self.scenarios():
            if scenario.name in names:
                raise ConfigError(
                    f"scenario {scenario.name}: got the name of a row, allowed is another"
                )
        return self


def make_results_plan(content: dict[str, Any]) -> ResultsPlan:
    """Return a plan from a mapping. Raises ConfigError."""
    try:
        return ResultsPlan.model_validate(content).checked()
    except ValidationError as error:
        raise ConfigError("; ".join(_line(problem) for problem in error.errors())) from None


def read_results_plan(path: str | Path) -> ResultsPlan:
    """Return a plan from a YAML file. Raises ConfigError that names the file."""
    content = read_yaml(Path(path))
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: got {type(content).__name__}, allowed is a mapping of settings")
    try:
        return make_results_plan(content)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def _line(problem: Any) -> str:
    model = {"rows": TrainingRow, "comparisons": Comparison}.get(problem["loc"][0], ResultsPlan)
    return line_of(problem, model.model_fields)
