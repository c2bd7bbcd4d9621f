"""Evaluation of a learned policy and scripted ones, on seeds that training never uses."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dtao_agents.evaluation.contenders import (
    Contender,
    check_comparable,
    contender,
    names_of,
    same_world,
)
from dtao_agents.evaluation.policy_files import PolicyError
from dtao_agents.evaluation.reports import CAVEAT, LEARNED, draw
from dtao_agents.evaluation.statistics import COVERAGE, bootstrap, interquartile_mean
from dtao_agents.files import write_atomically
from dtao_agents.roles.episodes import EpisodeMetrics
from dtao_agents.roles.policies import Policy
from dtao_agents.roles.registry import agent_role
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


def compare(
    played: dict[str, EpisodeMetrics], role: str = "staker", learned: str = LEARNED
) -> dict[str, Any]:
    """Compare a learned policy with others on the same seeds.

    Parameters
    ----------
    played : dict of EpisodeMetrics
        By name.
    role : str
        Agent role of all of them.
    learned : str
        Name of the learned policy.

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
    own = played[learned].values[score]
    paired = {
        name: bootstrap(own - episodes.values[score])._asdict()
        for name, episodes in played.items()
        if name != learned
    }
    return {"metric": score, "policies": policies, "learned_minus": paired}


def judge(
    policies: dict[str, Policy], of: Contender, episodes: int | None, threads: int | None
) -> tuple[dict[str, Any], dict[str, EpisodeMetrics]]:
    """Play policies and the scripted ones of a role in the task of a contender.

    Returns
    -------
    dict, dict of EpisodeMetrics
        What reports need to know beside a comparison, and all episodes by policy.
    """
    role = agent_role(of.role)
    n_seeds = episodes or of.episodes
    played = {
        name: play_in_batches(it, of.task, n_seeds, threads or of.threads, role.name)
        for name, it in {**policies, **role.scripted}.items()
    }
    head = {
        "role": role.name,
        "evaluation_seeds": [0, n_seeds - 1],
        "days": role.days(of.task),
        "days_per_step": of.task.days_per_step,
        "coverage": COVERAGE,
        "caveat": CAVEAT,
    }
    return head, played


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
    of = contender(run, trusted)
    settings = of.settings
    if settings is None:
        raise PolicyError(f"{run}: has no config.yaml, allowed is the folder of a run")
    torch.set_num_threads(settings.torch_threads)
    head, played = judge({LEARNED: of.policy}, of, episodes, threads)
    verdict = {
        "run": run.resolve().name,
        "role": head["role"],
        "training_seed": settings.seed,
        "timesteps": of.policy.card.timesteps,
        "config_hash": of.policy.card.config_hash,
        **head,
        **compare(played, head["role"]),
        **agent_role(of.role).analyse(played[LEARNED], of.task),
    }
    write_atomically(run / "evaluation.json", (json.dumps(verdict, indent=2) + "\n").encode())
    write_atomically(run / "evaluation.csv", to_csv(played).encode())
    paths = {name: episodes.path for name, episodes in played.items()}
    draw(run / "evaluation.png", paths, verdict)
    return verdict


def evaluate_folders(
    folders: Sequence[Path],
    episodes: int | None = None,
    threads: int | None = None,
    trusted: bool = False,
) -> dict[str, Any]:
    """Evaluate policies of several folders, or of one that is no run, on the same worlds; write nothing.

    Parameters
    ----------
    folders : sequence of Path
        Folders of runs or of policies, of one role. All are played in the world of the first that says what its is.
    episodes, threads, trusted
        As in `evaluate`; by default those of the first.

    Returns
    -------
    dict
        Like evaluation.json, but `learned_minus` has paired differences to all others by learned policy;
        `several`, the folder of each learned policy by name.

    Raises
    ------
    PolicyError, ConfigError
        For unusable files, and for policies that cannot be compared.
    """
    contenders = [contender(folder, trusted) for folder in folders]
    check_comparable(contenders)
    contenders = same_world(contenders)
    torch.set_num_threads(1)
    names = names_of(contenders, agent_role(contenders[0].role).scripted)
    policies: dict[str, Policy] = {
        name: one.policy for name, one in zip(names, contenders, strict=True)
    }
    head, played = judge(policies, contenders[0], episodes, threads)
    found = {name: compare(played, head["role"], name) for name in names}
    minus = {name: its["learned_minus"] for name, its in found.items()}
    several = {name: str(folder) for name, folder in zip(names, folders, strict=True)}
    return {**head, **found[names[0]], "learned_minus": minus, "several": several}


def to_csv(played: dict[str, EpisodeMetrics]) -> str:
    """Return CSV with one row per policy and evaluation seed."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("policy", "seed", *played[LEARNED].values))
    for name, episodes in played.items():
        for seed, values in enumerate(zip(*episodes.values.values(), strict=True)):
            rows.writerow((name, seed, *(repr(float(value)) for value in values)))
    return text.getvalue()
