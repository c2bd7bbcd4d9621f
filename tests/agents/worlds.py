"""Tiny worlds and settings that the tests of the agents share."""

from pathlib import Path

import yaml

from agents.settings import TrainConfig
from dtao_gym.envs.episodes import Episodes
from dtao_gym.world.config import Config

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


def episodes(seeds: list[int], **parameters: object) -> Episodes:
    """Evaluation worlds at the start of the episodes of some seeds."""
    config = Config.make(WORLD, split="evaluation", **parameters)
    made = Episodes(config, len(seeds), "staker")
    for world, seed in enumerate(seeds):
        made.reset(world, seed)
    made.reset_done()
    return made


def settings(**changes: object) -> TrainConfig:
    """Settings of a run that takes seconds."""
    return TrainConfig.make(SETTINGS | changes)


def write_settings(folder: Path, **changes: object) -> Path:
    """The same as a YAML file."""
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(SETTINGS | changes))
    return path
