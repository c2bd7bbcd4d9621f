"""Evaluation of a learned policy and scripted ones, on seeds that training never uses."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dtao_agents.evaluation.contenders import check_comparable, same_world
from dtao_agents.evaluation.entrants import (
    Entrant,
    Played,
    caveat_of,
    compare_entrants,
    entrant,
    mean_path,
    members_of,
    names_of_folders,
    regrouped,
)
from dtao_agents.evaluation.policy_files import PolicyError
from dtao_agents.evaluation.reports import CAVEAT, LEARNED, draw
from dtao_agents.evaluation.statistics import COVERAGE
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
    """Compare a learned policy of one training seed with others on the same evaluation seeds.

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
    return compare_entrants({name: [it] for name, it in played.items()}, role, learned, {})


def judge(
    entrants: dict[str, Entrant], episodes: int | None, threads: int | None
) -> tuple[dict[str, Any], dict[str, list[EpisodeMetrics]]]:
    """Play learned policies, and the scripted ones of their role, in the task of the first of them.

    Returns
    -------
    dict, dict of list of EpisodeMetrics
        What reports need to know beside a comparison, and all episodes by policy and training seed.
    """
    of = next(iter(entrants.values())).members[0]
    role, n_seeds = agent_role(of.role), episodes or of.episodes
    policies: dict[str, list[Policy]] = {
        name: [one.policy for one in entrant.members] for name, entrant in entrants.items()
    }
    policies |= {name: [policy] for name, policy in role.scripted.items()}
    played = {
        name: [
            play_in_batches(one, of.task, n_seeds, threads or of.threads, role.name) for one in each
        ]
        for name, each in policies.items()
    }
    seeds = seeds_of(entrants)
    head = {
        "role": role.name,
        "evaluation_seeds": [0, n_seeds - 1],
        "days": role.days(of.task),
        "days_per_step": of.task.days_per_step,
        "coverage": COVERAGE,
        "caveat": caveat_of(seeds, CAVEAT),
    }
    return head, played


def seeds_of(entrants: dict[str, Entrant]) -> dict[str, tuple[int, ...]]:
    """Return the training seeds of the policies that have several, by name."""
    return {name: one.seeds for name, one in entrants.items() if one.seeds}


def evaluate(
    run: Path,
    episodes: int | None = None,
    threads: int | None = None,
    trusted: bool = False,
) -> dict[str, Any]:
    """Evaluate the policy of a run, or those of training seeds; write evaluation.json, .csv and .png into the folder.

    Parameters
    ----------
    run : Path
        Folder of a trained run, or of several training seeds of one configuration.
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
    mine = entrant(run, trusted)
    of, role = mine.members[0], agent_role(mine.members[0].role)
    if of.settings is None:
        raise PolicyError(f"{run}: has no config.yaml, allowed is the folder of a run")
    torch.set_num_threads(of.settings.torch_threads)
    entrants = {LEARNED: mine}
    head, played = judge(entrants, episodes, threads)
    verdict = {
        "run": run.resolve().name,
        "role": head["role"],
        **({"training_seeds": mine.seeds} if mine.seeds else {"training_seed": of.settings.seed}),
        "timesteps": of.policy.card.timesteps,
        "config_hash": of.policy.card.config_hash,
        **head,
        **compare_entrants(played, head["role"], LEARNED, seeds_of(entrants)),
    }
    analyses = [role.analyse(each, of.task) for each in played[LEARNED]]
    if mine.seeds:
        means = [float(each.values[role.score].mean()) for each in played[LEARNED]]
        by_seed = zip(mine.seeds, means, analyses, strict=True)
        verdict["by_training_seed"] = {
            str(seed): {"mean": mean, **analysis} for seed, mean, analysis in by_seed
        }
    else:
        verdict |= analyses[0]
    write_atomically(run / "evaluation.json", (json.dumps(verdict, indent=2) + "\n").encode())
    write_atomically(run / "evaluation.csv", to_csv(played, mine.seeds).encode())
    paths = {name: mean_path(each) for name, each in played.items()}
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
        Folders of runs, of training seeds or of policies, of one role. All are played in the world of the first that
        says what its is.
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
    given = [entrant(folder, trusted) for folder in folders]
    check_comparable(members_of(given))
    given = regrouped(given, same_world(members_of(given)))
    torch.set_num_threads(1)
    names = names_of_folders(folders, agent_role(given[0].members[0].role).scripted)
    entrants = dict(zip(names, given, strict=True))
    head, played = judge(entrants, episodes, threads)
    seeds = seeds_of(entrants)
    found = {name: compare_entrants(played, head["role"], name, seeds) for name in names}
    minus = {name: its["learned_minus"] for name, its in found.items()}
    several = {name: str(folder) for name, folder in zip(names, folders, strict=True)}
    return {**head, **found[names[0]], "learned_minus": minus, "several": several}


def to_csv(played: Played, training_seeds: Sequence[int] = ()) -> str:
    """Return CSV with one row per policy and evaluation seed; of several training seeds, each has rows of its own."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    more = ("training_seed",) if training_seeds else ()
    rows.writerow(("policy", *more, "seed", *played[LEARNED][0].values))
    for name, runs in played.items():
        for k, episodes in enumerate(runs):
            which = (training_seeds[k] if len(runs) > 1 else "",) if training_seeds else ()
            for seed, values in enumerate(zip(*episodes.values.values(), strict=True)):
                rows.writerow((name, *which, seed, *(repr(float(value)) for value in values)))
    return text.getvalue()
