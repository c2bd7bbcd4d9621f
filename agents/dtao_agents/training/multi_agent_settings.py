"""Settings of a run in which several roles learn together: typed, validated, read from YAML."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dtao_agents.roles.registry import multi_agent_roles
from dtao_agents.training.settings import (
    WORLDS_PER_SEED,
    LearnerSettings,
    TrainConfig,
    check_snapshot,
    line_of,
    read_mapping,
)
from dtao_gym.command_line import hinted
from dtao_gym.envs.multi_agent import multi_agent_config
from dtao_gym.envs.roles import role_named
from dtao_gym.envs.task import TaskConfig
from dtao_gym.file_kinds import TRAINING, check_kind
from dtao_gym.world.config import ConfigError

MEMBERS_SETTINGS = tuple(str(role.members_setting) for role in multi_agent_roles())
"""Fields that say which members of a role learn; a file with one of them is of many learners."""


class ResponseSettings(BaseModel):
    """Measurement of the exploitability of learned policies."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    timesteps: int = Field(
        200_000, ge=1, description="Steps of training of one fresh best response."
    )
    num_envs: int = Field(128, ge=1, le=65_536, description="Worlds that it learns in.")
    rollout_steps: int = Field(16, ge=1, description="Steps of each world between two updates.")
    batch_size: int = Field(512, ge=2, description="Steps in a minibatch.")
    epochs: int = Field(4, ge=1, description="Passes over a rollout.")
    starts: int = Field(3, ge=1, le=32, description="Fresh starts of each role.")
    episodes: int = Field(128, ge=8, le=65_536, description="Evaluation seeds of its gain.")
    generations: int = Field(
        12,
        ge=1,
        description="Generations of the cross-entropy method, the second search for a response.",
    )
    nash_seeds: int = Field(
        64,
        ge=0,
        le=65_536,
        description="Seeds of the game of builders that is solved; 0: none is.",
    )


class MultiAgentConfig(BaseModel):
    """All settings that the result of a run depends on. A step is one decision of one learner."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    env: TaskConfig = Field(default_factory=TaskConfig.make, description="Parameters of the world.")
    seed: int = Field(0, ge=0, lt=2**40, description="Training seed.")
    stakers: int = Field(4, ge=0, le=64, description="Stakers in each world who share one policy.")
    builders: bool = Field(True, description="Whether all owners learn, with one policy for them.")
    total_timesteps: int = Field(2_000_000, ge=1, description="Steps of all learners together.")
    num_envs: int = Field(64, ge=1, le=65_536, description="Worlds that run together.")
    rollout_steps: int = Field(32, ge=1, description="Steps of each world between two updates.")
    threads: int = Field(
        2, ge=1, le=256, description="Threads that share the worlds, and the samples of an update."
    )
    torch_threads: int = Field(1, ge=1, le=256, description="Threads of torch.")
    checkpoint_every: int = Field(10, ge=1, description="Rollouts between two checkpoints.")
    turn: int = Field(
        0,
        ge=0,
        description="Rollouts for which one role learns while the other is frozen; 0: both learn at once.",
    )
    past_share: float = Field(
        0.125,
        ge=0.0,
        le=0.45,
        description="Part of the worlds, for each role, in which it meets past versions of the other one.",
    )
    past_every: int = Field(10, ge=1, description="Rollouts between two versions that are kept.")
    past_kept: int = Field(8, ge=1, le=64, description="Versions that are kept, the newest.")
    staker: LearnerSettings = Field(
        default_factory=lambda: LearnerSettings(),  # type: ignore[call-arg]
        description="How the policy of stakers learns.",
    )
    builder: LearnerSettings = Field(
        default_factory=lambda: LearnerSettings(),  # type: ignore[call-arg]
        description="How the policy of builders learns.",
    )
    response: ResponseSettings = Field(
        default_factory=lambda: ResponseSettings(),  # type: ignore[call-arg]
        description="How exploitability is measured.",
    )

    @classmethod
    def make(cls, content: dict[str, Any] | None = None) -> "MultiAgentConfig":
        """Return settings from a mapping, as a YAML file holds it.

        Raises ConfigError that names the field, its value and the allowed values.
        """
        fields = dict(content or {})
        env = fields.pop("env", {})
        if not isinstance(env, dict | TaskConfig):
            raise ConfigError(f"env: got {env!r}, allowed is a mapping of the world's parameters")
        accounts = {
            role.name: role.members(fields.get(setting, cls.model_fields[setting].default))
            for role in multi_agent_roles()
            if (setting := role.members_setting) and role_named(role.name).n_stakers
        }
        try:
            fields["env"] = multi_agent_config(env, {}, accounts)
        except ConfigError as error:
            raise ConfigError(hinted(str(error))) from None
        try:
            return cls.model_validate(fields).checked()
        except ValidationError as error:
            lines = [line_of(problem, cls.model_fields) for problem in error.errors()]
            raise ConfigError("; ".join(lines)) from None

    def checked(self) -> "MultiAgentConfig":
        """Return itself. Raises ConfigError where two fields do not fit."""
        if not self.roles:
            names = ", ".join(MEMBERS_SETTINGS)
            raise ConfigError(f"{names}: got none of either, allowed is at least one role")
        if self.turn and len(self.roles) < 2:
            raise ConfigError(f"turn: got {self.turn}, allowed is 0 where one role learns alone")
        if self.env.split != "train":
            raise ConfigError(f"env.split: got {self.env.split!r}, allowed is 'train'")
        check_snapshot(self.env)
        return self

    @property
    def roles(self) -> dict[str, LearnerSettings]:
        """Settings of the roles that learn, by name."""
        return {
            role.name: getattr(self, role.name)
            for role in multi_agent_roles()
            if getattr(self, str(role.members_setting))
        }

    @property
    def members(self) -> dict[str, Any]:
        """Members of each world of the roles that learn, as the environment roles take them."""
        return {
            role.name: role.members(getattr(self, str(role.members_setting)))
            for role in multi_agent_roles()
            if role.name in self.roles
        }

    def past_worlds(self, role: str) -> range:
        """Return the worlds in which a role meets past versions of the other one."""
        each = round(self.past_share * self.num_envs) if len(self.roles) > 1 else 0
        first = each * list(self.roles).index(role)
        return range(first, first + each)

    def first_world_seed(self) -> int:
        """Return the seed of world 0; world k has this plus k."""
        return self.env.world_seed + self.seed * WORLDS_PER_SEED

    def to_yaml(self) -> str:
        """Return all fields, with defaults, as text that `read_settings` takes."""
        return yaml.safe_dump(self.model_dump(), sort_keys=False)


def read_settings(path: str | Path, trusted: bool = True) -> TrainConfig | MultiAgentConfig:
    """Return settings of either kind from a YAML file: of many learners if it names members of a role.

    `trusted` as in `read_mapping`. Raises ConfigError.
    """
    check_kind(path, TRAINING)
    content = read_mapping(path, trusted)
    kind = MultiAgentConfig if set(MEMBERS_SETTINGS) & content.keys() else TrainConfig
    try:
        return kind.make(content)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
