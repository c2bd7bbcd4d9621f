"""Evaluation of a learned policy and scripted ones, on seeds that training never uses."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dtao_agents.evaluation.policy_files import (
    LearnedPolicy,
    PolicyError,
    config_hash,
    load_policy,
)
from dtao_agents.evaluation.reports import CAVEAT, LEARNED, draw
from dtao_agents.evaluation.statistics import COVERAGE, bootstrap, interquartile_mean
from dtao_agents.files import write_atomically
from dtao_agents.roles.episodes import EpisodeMetrics
from dtao_agents.roles.policies import Policy
from dtao_agents.roles.registry import agent_role
from dtao_agents.training.settings import TrainConfig, read
from dtao_gym.envs.task import TaskConfig

WORLDS_PER_BATCH = 256


def evaluation_config(config: TaskConfig, role: str = "staker") -> TaskConfig:
    """Return the evaluation task of a training task: its seeds share no random number with training."""
    return agent_role(role).evaluation_task(config)


def play(
    policy: Policy, config: TaskConfig, seeds: range, threads: int = 1, role: str = "staker"
) -> EpisodeMetrics:
    """Play one episode of a policy on each seed, all in one batch.

    Parameters
    ----------
    policy : callable
        ``policy(observation, batch, rngs) -> actions``, scripted or learned.
    config : TaskConfig
        An `evaluation_config`.
    seeds : range
        World seeds.
    threads : int
        Threads that share the worlds.
    role : str
        Agent role of the policy.
    """
    return agent_role(role).play(policy, config, seeds, threads)


def play_in_batches(
    policy: Policy, config: TaskConfig, n_seeds: int, threads: int, role: str = "staker"
) -> EpisodeMetrics:
    """Play the seeds 0 to `n_seeds` - 1; results do not depend on the size of the batches."""
    parts = []
    for first in range(0, n_seeds, WORLDS_PER_BATCH):
        seeds = range(first, min(first + WORLDS_PER_BATCH, n_seeds))
        parts.append((len(seeds), play(policy, config, seeds, threads, role)))
    values = {
        name: np.concatenate([part.values[name] for _, part in parts])
        for name in agent_role(role).metrics
    }
    # with drawn ends a batch ends with its last world
    longest = max(part.path.size for _, part in parts)
    paths = [np.pad(part.path, (0, longest - part.path.size), "edge") for _, part in parts]
    mean_path = np.average(paths, axis=0, weights=[size for size, _ in parts])
    return EpisodeMetrics(values, mean_path)


def compare(played: dict[str, EpisodeMetrics], role: str = "staker") -> dict[str, Any]:
    """Compare a learned policy with others on the same seeds.

    Parameters
    ----------
    played : dict of EpisodeMetrics
        By name; the learned policy is called `LEARNED`.
    role : str
        Agent role of all of them.

    Returns
    -------
    dict
        `metric`, the score; `policies`, estimates of each policy's metrics and the interquartile mean of its score;
        `learned_minus`, paired differences of scores to each scripted policy.
    """
    metrics = agent_role(role).metrics
    score = metrics[0]
    policies = {}
    for name, episodes in played.items():
        estimates = {metric: bootstrap(episodes.values[metric])._asdict() for metric in metrics}
        middle = bootstrap(episodes.values[score], interquartile_mean)
        policies[name] = estimates | {f"{score}_iqm": middle._asdict()}
    learned = played[LEARNED].values[score]
    paired = {
        name: bootstrap(learned - episodes.values[score])._asdict()
        for name, episodes in played.items()
        if name != LEARNED
    }
    return {"metric": score, "policies": policies, "learned_minus": paired}


def check_policy(run: Path, policy: LearnedPolicy, settings: TrainConfig) -> None:
    """Raise PolicyError unless the policy of a run is of the world and the role of its settings."""
    if policy.card.config_hash != config_hash(settings.env):
        raise PolicyError(f"{run}: policy.json and config.yaml are of different worlds")
    if policy.card.architecture.role != agent_role(settings.role).card_name:
        raise PolicyError(f"{run}: policy.json and config.yaml are of different roles")


def evaluate(
    run: Path,
    episodes: int | None = None,
    threads: int | None = None,
    trusted: bool = False,
) -> dict[str, Any]:
    """Evaluate the policy of a run; write evaluation.json, .csv and .png into its folder.

    Parameters
    ----------
    run : Path
        Folder of a trained run.
    episodes : int, optional
        Number of evaluation seeds; by default that of the run's settings.
    threads : int, optional
        Threads that share the worlds; by default those of the run.
    trusted : bool
        Whether Python code that the run names (an emission rule, a role) may be imported.

    Returns
    -------
    dict
        The content of evaluation.json.

    Raises
    ------
    PolicyError, ConfigError
        For unusable files.
    """
    settings = read(run / "config.yaml", trusted)
    torch.set_num_threads(settings.torch_threads)
    role = agent_role(settings.role)
    policy = load_policy(run)
    check_policy(run, policy, settings)
    assert isinstance(settings.env, TaskConfig)
    config = role.evaluation_task(settings.env)
    n_seeds = episodes or settings.evaluation_episodes
    played = {
        name: play_in_batches(it, config, n_seeds, threads or settings.threads, role.name)
        for name, it in {LEARNED: policy, **role.scripted}.items()
    }
    verdict = {
        "run": run.resolve().name,
        "role": role.name,
        "training_seed": settings.seed,
        "timesteps": policy.card.timesteps,
        "config_hash": policy.card.config_hash,
        "evaluation_seeds": [0, n_seeds - 1],
        "days": role.days(config),
        "days_per_step": config.days_per_step,
        "coverage": COVERAGE,
        "caveat": CAVEAT,
        **compare(played, role.name),
        **role.analyse(played[LEARNED], config),
    }
    write_atomically(run / "evaluation.json", (json.dumps(verdict, indent=2) + "\n").encode())
    write_atomically(run / "evaluation.csv", to_csv(played).encode())
    paths = {name: episodes.path for name, episodes in played.items()}
    draw(run / "evaluation.png", paths, verdict)
    return verdict


def to_csv(played: dict[str, EpisodeMetrics]) -> str:
    """Return CSV with one row per policy and evaluation seed."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("policy", "seed", *played[LEARNED].values))
    for name, episodes in played.items():
        for seed, values in enumerate(zip(*episodes.values.values(), strict=True)):
            rows.writerow((name, seed, *(repr(float(value)) for value in values)))
    return text.getvalue()
