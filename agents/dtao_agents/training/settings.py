"""Settings of a training run of one role: typed, validated, read from YAML, overridden by flags."""

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dtao_agents.roles.registry import agent_role
from dtao_gym.command_line import did_you_mean, hinted
from dtao_gym.envs.builder.actions import HIGHEST_SHARE, LOWEST_SHARE
from dtao_gym.envs.task import TaskConfig
from dtao_gym.file_kinds import TRAINING, check_kind
from dtao_gym.replay.config import ReplayConfig
from dtao_gym.world.config import ConfigError, read_yaml
from dtao_gym.world.genesis import layout_of
from dtao_gym.world.snapshot import SnapshotError

WORLDS_PER_SEED = 2**20
"""World k of training seed s has the seed s * 2**20 + k: runs of different seeds share no world."""

MOST_QUOTED = 80
"""Characters of a value that an error quotes."""


class LearnerSettings(BaseModel):
    """Settings of a learner: its network, its exploration, and PPO."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    network: Literal["shared", "mlp"] = Field(
        "shared",
        description="One small network for every subnet, or a plain one on the whole observation.",
    )
    hidden: int = Field(16, ge=1, le=1024, description="Width of the two hidden layers.")
    daily_share_init: float = Field(
        0.1,
        gt=0.0,
        lt=1.0,
        description="Share of the way to its target that the untrained policy of a staker trades in a day.",
    )
    research_share_init: float = Field(
        0.3,
        ge=LOWEST_SHARE,
        le=HIGHEST_SHARE,
        description="Research share of the untrained policy of a builder.",
    )
    log_std_init: float = Field(
        -1.5, ge=-5.0, le=1.0, description="Log of the standard deviation of exploration."
    )

    batch_size: int = Field(4096, ge=2, description="Steps in a minibatch.")
    epochs: int = Field(2, ge=1, description="Passes over a rollout.")
    learning_rate: float = Field(3e-3, gt=0.0, le=1.0, description="Step of Adam.")
    anneal: bool = Field(True, description="Lower the learning rate to zero over the run.")
    gamma: float = Field(0.95, gt=0.0, le=1.0, description="Discount per step.")
    gae_lambda: float = Field(
        0.9, ge=0.0, le=1.0, description="Lambda of generalised advantage estimation."
    )
    clip_range: float = Field(0.2, gt=0.0, le=1.0, description="Clipping of the probability ratio.")
    entropy_coef: float = Field(0.0, ge=0.0, description="Weight of the entropy bonus.")
    value_coef: float = Field(0.5, ge=0.0, description="Weight of the value loss.")
    max_grad_norm: float = Field(0.5, gt=0.0, description="Largest norm of a gradient.")
    reward_scale: float = Field(
        20.0,
        gt=0.0,
        description="Factor on rewards in training; values of states should be a few units at most.",
    )


class TrainConfig(LearnerSettings):
    """All settings that the result of a run depends on. A step is one decision of one learner."""

    role: str = Field(
        "staker",
        description="Role of the one learner of each world, by name (replay: a staker on real prices) or import path package.module:OBJECT.",
    )
    env: TaskConfig | ReplayConfig = Field(
        default_factory=TaskConfig.make, description="Parameters of the world, or of the replay."
    )
    observe_signal: bool = Field(
        True,
        description="Whether a staker observes the public signal. Off: signal features are 0, as in a replay.",
    )
    seed: int = Field(
        0,
        ge=0,
        lt=2**40,
        description="Training seed: of networks, exploration, and worlds.",
    )
    total_timesteps: int = Field(
        2_000_000, ge=1, description="Steps of training, all worlds together."
    )
    num_envs: int = Field(256, ge=1, le=65_536, description="Worlds that run together.")
    threads: int = Field(
        2, ge=1, le=256, description="Threads that share the worlds, and the samples of an update."
    )
    torch_threads: int = Field(
        1,
        ge=1,
        le=256,
        description="Threads of torch; more wait for each other where cores are few.",
    )
    checkpoint_every: int = Field(10, ge=1, description="Rollouts between two checkpoints.")
    evaluation_episodes: int = Field(
        256,
        ge=2,
        le=65_536,
        description="Episodes that evaluate.py plays, on seeds that training never sees.",
    )

    rollout_steps: int = Field(32, ge=1, description="Steps of each world between two updates.")

    @classmethod
    def make(cls, content: dict[str, Any] | None = None) -> "TrainConfig":
        """Return settings from a mapping, as a YAML file holds it.

        Raises ConfigError that names the field, its value and the allowed values.
        """
        fields = dict(content or {})
        env = fields.pop("env", {})
        try:
            role = agent_role(fields.get("role", cls.model_fields["role"].default))
        except ConfigError as error:
            raise ConfigError(hinted(str(error))) from None
        if not isinstance(env, dict | BaseModel):
            raise ConfigError(f"env: got {env!r}, allowed is a mapping of the world's parameters")
        try:
            fields["env"] = role.task(env)
        except ConfigError as error:
            raise ConfigError(f"env.{hinted(str(error))}") from None
        try:
            made = cls.model_validate(fields)
        except ValidationError as error:
            raise ConfigError(
                "; ".join(line_of(problem, cls.model_fields) for problem in error.errors())
            ) from None
        return made.checked()

    def checked(self) -> "TrainConfig":
        """Return itself. Raises ConfigError where two fields do not fit."""
        agent_role(self.role).check_settings(self)
        rollout = self.num_envs * self.rollout_steps
        if rollout % self.batch_size and self.batch_size < rollout:
            raise ConfigError(
                f"batch_size: got {self.batch_size}, allowed are divisors of num_envs * rollout_steps = {rollout}"
            )
        if self.env.split != "train":
            raise ConfigError(
                f"env.split: got {self.env.split!r}, allowed is 'train': evaluate.py uses the other"
            )
        check_snapshot(self.env)
        return self

    def first_world_seed(self) -> int:
        """Return the seed of world 0; world k has this plus k."""
        return self.env.world_seed + self.seed * WORLDS_PER_SEED

    def to_yaml(self) -> str:
        """Return all fields, with defaults, as text that `read` takes."""
        return yaml.safe_dump(self.model_dump(), sort_keys=False)


def read_mapping(path: str | Path, trusted: bool = True) -> dict[str, Any]:
    """Return the content of a YAML file of settings.

    Parameters
    ----------
    path : str or Path
    trusted : bool
        Whether the file may name Python code, an emission rule or a role, which would be imported. False for files
        that come with a run, whose author is unknown.

    Raises
    ------
    ConfigError
        For files that cannot be read, and for untrusted ones that name code.
    """
    path = Path(path)
    content = read_yaml(path, aliases=False)
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: got {type(content).__name__}, allowed is a mapping of settings")
    env = content.get("env")
    rule = env.get("allocation") if isinstance(env, dict) else None
    for name, value, kind in (
        ("env.allocation", rule, "rule"),
        ("role", content.get("role"), "role"),
    ):
        if not trusted and ":" in str(value):
            raise ConfigError(
                f"{path}: {name}: got {value!r}, which would be imported and run; allowed is a {kind} of the package, "
                "or --trust-rule if the code is your own"
            )
    return content


def read(path: str | Path, trusted: bool = True) -> TrainConfig:
    """Return settings from a YAML file; `trusted` as in `read_mapping`. Raises ConfigError."""
    check_kind(path, TRAINING)
    content = read_mapping(path, trusted)
    try:
        return TrainConfig.make(content)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def check_snapshot(env: TaskConfig | ReplayConfig) -> None:
    """Raise ConfigError where the snapshot that worlds start from is unknown or cannot be read."""
    try:
        if isinstance(env, TaskConfig):
            layout_of(env)
    except SnapshotError as error:
        raise ConfigError(f"env.genesis: {hinted(str(error))}") from None


def line_of(problem: Any, allowed_fields: Any) -> str:
    """Return one pydantic error as `field: got X, allowed ...`.

    `allowed_fields` are the fields of a model by name; those of nested models are found from there.
    """
    place = problem["loc"] or ("settings",)  # a key that is no Unicode text has no place
    *outer, last = place
    name = ".".join(str(part) for part in place)
    got = _shortened(problem["input"])
    if problem["type"] != "extra_forbidden":
        allowed = problem["msg"].lower().removeprefix("input ")
        return f"{name}: got {got}, allowed: {allowed}"
    for part in outer:
        annotation = getattr(allowed_fields.get(part), "annotation", None)
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            allowed_fields = annotation.model_fields
    hint = did_you_mean(str(last), allowed_fields)
    return f"{name}: unknown setting, got {got}" + (
        hint or f", allowed are {', '.join(allowed_fields)}"
    )


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= MOST_QUOTED else f"{text[: MOST_QUOTED - 3]}..."
