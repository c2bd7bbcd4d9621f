"""Tiny worlds and settings that the tests of the agents share."""

from pathlib import Path

import yaml
from dtao_agents.roles.episodes import started_episodes
from dtao_agents.training.settings import TrainConfig

from dtao_gym.envs.roles import role_named
from dtao_gym.envs.task import TaskConfig
from dtao_gym.envs.worlds import Episodes

WORLD = {"n_subnets": 4, "horizon_days": 20, "spans_per_day": 1}
SETTINGS = {
    "env": WORLD,
    "total_timesteps": 1024,
    "num_envs": 8,
    "threads": 1,
    "rollout_steps": 16,
    "batch_size": 64,
    "hidden": 8,
    "checkpoint_every": 2,
    "evaluation_episodes": 4,
}
FEE_ARM = {
    "genesis": "symmetric",
    "n_subnets": 2,
    "spans_per_day": 1,
    "payment": "fee",
    "finance": False,
    "pruning": False,
    "arrivals_per_slot_year": 0.0,
    "days_per_step": 7,
    "horizon_days": 140,
    "builder_decides": "composition",
}
"""A world in which the best research share is known in closed form."""


def builder_settings(**changes: object) -> TrainConfig:
    """`SETTINGS` for a builder in the fee arm, with some of them changed."""
    return TrainConfig.make(
        SETTINGS | {"role": "builder", "env": FEE_ARM, "gamma": 0.99573} | changes
    )


def episodes(seeds: list[int], **parameters: object) -> Episodes:
    """Evaluation worlds at the start of the episodes of some seeds."""
    config = TaskConfig.make(WORLD, split="evaluation", **parameters)
    return started_episodes("staker", config, seeds)


def builder_episodes(seeds: list[int], **parameters: object) -> Episodes:
    """Evaluation worlds of a builder at the start of the episodes of some seeds."""
    config = role_named("builder").task(split="evaluation", **{"spans_per_day": 1} | parameters)
    return started_episodes("builder", config, seeds)


def settings(**changes: object) -> TrainConfig:
    """Settings of a run that takes seconds."""
    return TrainConfig.make(SETTINGS | changes)


def write_settings(folder: Path, **changes: object) -> Path:
    """The same as a YAML file."""
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(SETTINGS | changes))
    return path
