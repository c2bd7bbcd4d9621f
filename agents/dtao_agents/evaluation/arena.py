"""The arena: named scenarios, in which every policy that fits is played on the same evaluation seeds."""

import csv
import io
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dtao_agents.evaluation.evaluate import play_in_batches
from dtao_agents.evaluation.registry import Entry, fits, registered
from dtao_agents.package_data import find_config
from dtao_agents.roles.builder import BUILDER
from dtao_agents.roles.episodes import EpisodeMetrics
from dtao_agents.roles.policies import Policy
from dtao_agents.roles.registry import agent_role
from dtao_agents.training.settings import line_of
from dtao_gym.command_line import hinted
from dtao_gym.envs.builder.rivals import Rivals
from dtao_gym.envs.builder.role import Builder
from dtao_gym.envs.task import TaskConfig
from dtao_gym.file_kinds import ARENA, check_kind
from dtao_gym.world.batch import Batch
from dtao_gym.world.config import ConfigError, read_yaml


class Scenario(BaseModel):
    """A world, the role of the player, and the policy of the owners it meets."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9_]{1,32}$", description="Unique among scenarios.")
    group: str = Field("arena", description="Scenarios of a group share a table.")
    role: str = Field("staker", description="Agent role of the player.")
    world: dict[str, Any] = Field(default_factory=dict, description="Parameters of the world.")
    population: Path | None = Field(
        None, description="YAML of world parameters fitted to data; `world` overrides them."
    )
    rivals: str | None = Field(
        None,
        description="Scripted builder whose policy all owners but the player follow; None: their shares are configured.",
    )
    seeds: int = Field(128, ge=2, le=65_536, description="Evaluation seeds 0, 1, ...")

    @cached_property
    def config(self) -> TaskConfig:
        """The evaluation task. Raises ConfigError."""
        role = agent_role(self.role)
        if role.trains_on_prices:
            raise ConfigError(f"role: got {self.role!r}, allowed are roles in simulated markets")
        fields = {} if self.population is None else read_yaml(find_config(self.population))
        if not isinstance(fields, dict):
            raise ConfigError(
                f"{self.population}: got {type(fields).__name__}, allowed is a mapping of parameters"
            )
        return role.evaluation_task(TaskConfig.make(fields | self.world))

    def checked(self) -> "Scenario":
        """Return itself. Raises ConfigError that names it, for a bad world or bad rivals."""
        try:
            _ = self.config
            if self.rivals is not None:
                registered(BUILDER.name, self.rivals)
            if self.rivals == "random":
                raise ConfigError("rivals: got 'random', allowed are policies without chance")
        except ConfigError as error:
            raise ConfigError(f"scenario {self.name}: {hinted(str(error))}") from None
        return self


def make_scenarios(content: Any) -> list[Scenario]:
    """Return scenarios from a list of mappings. Raises ConfigError."""
    if not isinstance(content, list):
        raise ConfigError(
            f"scenarios: got {type(content).__name__}, allowed is a list of scenarios"
        )
    try:
        scenarios = [Scenario.model_validate(fields).checked() for fields in content]
    except ValidationError as error:
        raise ConfigError(
            "; ".join(line_of(problem, Scenario.model_fields) for problem in error.errors())
        ) from None
    names = [scenario.name for scenario in scenarios]
    if len(set(names)) < len(names):
        raise ConfigError(f"scenarios: got {names}, allowed is each name once")
    return scenarios


def read_arena(path: str | Path) -> list[Scenario]:
    """Return scenarios from a YAML file `{scenarios: [...]}`. Raises ConfigError that names the file."""
    check_kind(path, ARENA)
    content = read_yaml(Path(path))
    if not isinstance(content, dict) or set(content) != {"scenarios"}:
        raise ConfigError(f"{path}: allowed is a mapping with the one entry 'scenarios'")
    try:
        return make_scenarios(content["scenarios"])
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


class AmongRivals:
    """A policy in worlds whose other owners follow a scripted one; all decide on the same state.

    Parameters
    ----------
    entry : Entry
        The player. Where its role owns no slot, all owners are others.
    rivals : str
        Name of a scripted builder.
    """

    def __init__(self, entry: Entry, rivals: str):
        self.entry: Entry = entry
        self.rivals: Policy = registered(BUILDER.name, rivals).policy

    def __call__(self, observation: np.ndarray, batch: Batch, rngs: Any) -> np.ndarray:
        """Return the actions of the player; the others' decisions are written into the state."""
        actions = self.entry.policy(observation, batch, rngs)
        owners = Builder(batch)
        mine = self.rivals(owners.observe(batch, owners.slots), batch, ())
        Rivals(self.rivals)(batch, owners)
        if not agent_role(self.entry.role).owns_slot:
            owners.apply(batch, mine)
        return actions


def play_entry(scenario: Scenario, entry: Entry, threads: int = 1) -> EpisodeMetrics:
    """Play one policy on all seeds of a scenario."""
    policy = entry.policy if scenario.rivals is None else AmongRivals(entry, scenario.rivals)
    return play_in_batches(policy, scenario.config, scenario.seeds, threads, scenario.role)


class Score(NamedTuple):
    """Results of one policy in one scenario.

    Attributes
    ----------
    scenario, policy, kind : str
        Names.
    training_seed : int, optional
        Training seed of a learned policy.
    values : dict of `(n_seeds,)`
        Metrics of the role, one entry per evaluation seed.
    """

    scenario: str
    policy: str
    kind: str
    training_seed: int | None
    values: dict[str, np.ndarray]


def play_arena(
    scenarios: Iterable[Scenario], entries: Sequence[Entry], threads: int = 1
) -> list[Score]:
    """Play every policy in every scenario that it fits, on the scenario's seeds."""
    scores = []
    for scenario in scenarios:
        for entry in entries:
            if fits(entry, scenario.role, scenario.config):
                values = play_entry(scenario, entry, threads).values
                scores.append(Score(scenario.name, entry.name, entry.kind, None, values))
    return scores


def tidy(scores: Iterable[Score]) -> str:
    """Return CSV with one row for each scenario, policy, training seed, evaluation seed and metric."""
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
