"""The arena: named scenarios, and every policy that fits one played on the same evaluation seeds."""

import csv
import io
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dtao_agents.evaluation.evaluate import METRICS, Outcome, evaluation_config, play_in_batches
from dtao_agents.evaluation.registry import Entry, fits, registered
from dtao_agents.package_data import find_config
from dtao_gym.envs.builder.rivals import Rivals
from dtao_gym.envs.builder.role import Builder
from dtao_gym.envs.task import TaskConfig
from dtao_gym.world.batch import Batch
from dtao_gym.world.config import ConfigError, read_yaml


class Scenario(BaseModel):
    """A world, who plays in it, and against whom."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9_]{1,32}$", description="Unique among scenarios.")
    group: str = Field("arena", description="Scenarios of a group share a table.")
    role: Literal["staker", "builder"] = Field("staker", description="Who plays.")
    world: dict[str, Any] = Field(default_factory=dict, description="Parameters of the world.")
    population: Path | None = Field(
        None, description="YAML of world parameters fitted to data; `world` overrides them."
    )
    rivals: str | None = Field(
        None,
        description="Scripted builder whom all owners but the player follow; None: their shares are configured.",
    )
    seeds: int = Field(128, ge=2, le=65_536, description="Evaluation seeds 0, 1, ...")

    @cached_property
    def config(self) -> TaskConfig:
        """Its evaluation world. Raises `ConfigError`."""
        fields = {} if self.population is None else read_yaml(find_config(self.population))
        if not isinstance(fields, dict):
            raise ConfigError(
                f"{self.population}: got {type(fields).__name__}, allowed is a mapping of parameters"
            )
        return evaluation_config(TaskConfig.make(fields | self.world), self.role)

    def checked(self) -> "Scenario":
        """Itself. Raises `ConfigError` that names it, for a bad world or bad rivals."""
        try:
            _ = self.config
            if self.rivals is not None:
                registered("builder", self.rivals)
            if self.rivals == "random":
                raise ConfigError("rivals: got 'random', allowed are policies without chance")
        except ConfigError as error:
            raise ConfigError(f"scenario {self.name}: {error}") from None
        return self


def make_scenarios(content: Any) -> list[Scenario]:
    """Scenarios from a list of mappings. Raises `ConfigError`."""
    if not isinstance(content, list):
        raise ConfigError(
            f"scenarios: got {type(content).__name__}, allowed is a list of scenarios"
        )
    try:
        found = [Scenario.model_validate(fields).checked() for fields in content]
    except ValidationError as error:
        raise ConfigError("; ".join(_line(problem) for problem in error.errors())) from None
    names = [scenario.name for scenario in found]
    if len(set(names)) < len(names):
        raise ConfigError(f"scenarios: got {names}, allowed is each name once")
    return found


def read_arena(path: str | Path) -> list[Scenario]:
    """Scenarios from a YAML file `{scenarios: [...]}`. Raises `ConfigError` that names the file."""
    content = read_yaml(Path(path))
    if not isinstance(content, dict) or set(content) != {"scenarios"}:
        raise ConfigError(f"{path}: allowed is a mapping with the one entry 'scenarios'")
    try:
        return make_scenarios(content["scenarios"])
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def _line(problem: Any) -> str:
    name = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        allowed = ", ".join(Scenario.model_fields)
        return f"{name}: unknown entry, got {problem['input']!r}, allowed are {allowed}"
    return f"{name}: got {problem['input']!r}, allowed: {problem['msg'].lower().removeprefix('input ')}"


class AmongRivals:
    """A policy in worlds whose other owners follow one of their own; all decide on the same state.

    Args:
        entry: who plays. Of a staker all owners are others.
        rivals: name of a scripted builder.
    """

    def __init__(self, entry: Entry, rivals: str):
        self.entry, self.rivals = entry, registered("builder", rivals).policy

    def __call__(self, observation: np.ndarray, batch: Batch, rngs: Any) -> np.ndarray:
        """The actions of the player; the others' decisions are written into the state."""
        actions = self.entry.policy(observation, batch, rngs)
        owners = Builder(batch)
        mine = self.rivals(owners.observe(batch, owners.slots), batch, ())
        Rivals(self.rivals)(batch, owners)
        if self.entry.role == "staker":
            owners.apply(batch, mine)
        return actions


def play_entry(scenario: Scenario, entry: Entry, threads: int = 1) -> Outcome:
    """One policy on all seeds of a scenario."""
    policy = entry.policy if scenario.rivals is None else AmongRivals(entry, scenario.rivals)
    return play_in_batches(policy, scenario.config, scenario.seeds, threads, scenario.role)


class Score(NamedTuple):
    """What one policy has done in one scenario.

    Attributes:
        scenario, policy, kind: names.
        training_seed: of a learned policy, else None.
        values: one array per metric of the role, one entry per evaluation seed.
    """

    scenario: str
    policy: str
    kind: str
    training_seed: int | None
    values: dict[str, np.ndarray]


def play_arena(
    scenarios: Iterable[Scenario], entries: Sequence[Entry], threads: int = 1
) -> list[Score]:
    """Every policy in every scenario that it fits, on the scenario's seeds."""
    found = []
    for scenario in scenarios:
        for entry in entries:
            if fits(entry, scenario.role, scenario.config):
                values = play_entry(scenario, entry, threads).values
                found.append(Score(scenario.name, entry.name, entry.kind, None, values))
    return found


def tidy(scores: Iterable[Score]) -> str:
    """CSV with one row for each scenario, policy, training seed, evaluation seed and metric."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(
        ("scenario", "policy", "kind", "training_seed", "evaluation_seed", "metric", "value")
    )
    for score in scores:
        seed = "" if score.training_seed is None else score.training_seed
        head = (score.scenario, score.policy, score.kind, seed)
        for metric, values in score.values.items():
            for k, value in enumerate(values):
                rows.writerow((*head, k, metric, repr(float(value))))
    return text.getvalue()


def main_metric(role: str) -> str:
    """What policies of a role are judged by."""
    return METRICS[role][0]
