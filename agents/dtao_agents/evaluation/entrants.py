"""Learned policies as an evaluation compares them: one of a folder, or those of all training seeds of a folder.

Statistics of several training seeds are those of RESULTS.md: intervals are over training seeds, each of which
counts by its mean over evaluation seeds. A policy of one training seed has intervals over evaluation seeds.
"""

from collections.abc import Collection, Mapping, Sequence
from itertools import chain
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from dtao_agents.evaluation.contenders import Contender, contender, find_folder, names_of
from dtao_agents.evaluation.policy_files import CARD_NAME, PolicyError
from dtao_agents.evaluation.statistics import (
    COVERAGE,
    Estimate,
    bootstrap,
    interquartile_mean,
    mean,
    resample_means,
)
from dtao_agents.package_data import find_policy
from dtao_agents.roles.episodes import EpisodeMetrics
from dtao_agents.roles.registry import agent_role
from dtao_agents.seed_folders import SETTINGS_NAME, runs_of_seeds
from dtao_agents.training.multi_agent_settings import MEMBERS_SETTINGS
from dtao_agents.training.settings import read_mapping


class Entrant(NamedTuple):
    """What is compared under one name.

    Attributes
    ----------
    folder : Path
    members : tuple of Contender
        Its policies: several where the folder is one of training seeds.
    seeds : tuple of int
        Training seeds of the members; empty for one policy.
    """

    folder: Path
    members: tuple[Contender, ...]
    seeds: tuple[int, ...] = ()


Played = Mapping[str, Sequence[EpisodeMetrics]]
"""Episodes by policy and training seed; a policy that does not learn has one entry."""


def find_entrant(given: Path) -> Path:
    """Return the folder of a run, of training seeds, or of a policy. Raises PolicyError where there is none."""
    folder = find_policy(given)
    return folder if runs_of_seeds(folder) else find_folder(given)


def check_one_learner(run: Path) -> None:
    """Raise PolicyError for a run of many learners, whose policies are in folders of their own."""
    if not (run / SETTINGS_NAME).exists():
        return
    members = sorted(set(MEMBERS_SETTINGS) & read_mapping(run / SETTINGS_NAME).keys())
    if members:
        roles = [path.parent for path in sorted(run.glob(f"*/{CARD_NAME}"))]
        allowed = f": {', '.join(map(str, roles))}" if roles else ""
        raise PolicyError(
            f"{run}: got a run of many learners, allowed is one policy of it{allowed}"
        )


def entrant(folder: Path, trusted: bool = False) -> Entrant:
    """Return the policy or policies of a folder that `find_entrant` returns; errors as `contender`."""
    runs = runs_of_seeds(folder)
    for run in runs.values() or [folder]:
        check_one_learner(run)
    if not runs:
        return Entrant(folder, (contender(folder, trusted),))
    if len(runs) < 2:
        (run,) = runs.values()
        raise PolicyError(f"{folder}: got one training seed, allowed is it alone: {run}")
    members = tuple(contender(run, trusted) for run in runs.values())
    worlds = {one.policy.card.config_hash for one in members}
    if len(worlds) > 1 or len({one.role for one in members}) > 1:
        raise PolicyError(f"{folder}: got training seeds of different worlds, allowed is one world")
    return Entrant(folder, members, tuple(runs))


def names_of_folders(folders: Sequence[Path], others: Collection[str] = ()) -> list[str]:
    """Return a name for each folder: its own, or as much of the path as tells it from the rest and from `others`.

    Raises PolicyError where a folder is there twice.
    """
    named: Any = [SimpleNamespace(folder=folder) for folder in folders]
    return names_of(named, others)


def regrouped(entrants: Sequence[Entrant], members: Sequence[Contender]) -> list[Entrant]:
    """Return the entrants with other members, given in the same order."""
    left = iter(members)
    return [one._replace(members=tuple(next(left) for _ in one.members)) for one in entrants]


def members_of(entrants: Sequence[Entrant]) -> list[Contender]:
    """Return the policies of all entrants, in their order."""
    return list(chain.from_iterable(one.members for one in entrants))


def estimate(episodes: Sequence[EpisodeMetrics], metric: str, statistic: Any = mean) -> Estimate:
    """Return a statistic of a metric, averaged over training seeds if there are several."""
    values = [one.values[metric] for one in episodes]
    if len(values) == 1:
        return bootstrap(values[0], statistic)
    return bootstrap(np.array([statistic(each) for each in values]))


def difference(
    own: Sequence[EpisodeMetrics], other: Sequence[EpisodeMetrics], metric: str, paired: bool = True
) -> Estimate:
    """Return one policy's mean less another's.

    Parameters
    ----------
    own, other : sequence of EpisodeMetrics
        On the same evaluation seeds, one entry for each training seed.
    metric : str
    paired : bool
        Whether both have the same training seeds, so that a seed is compared with itself.
    """
    one, two = ([each.values[metric] for each in side] for side in (own, other))
    if len(one) == len(two) == 1:
        return bootstrap(one[0] - two[0])
    means, others = (np.array([values.mean() for values in side]) for side in (one, two))
    if len(one) == 1 or len(two) == 1 or (paired and len(one) == len(two)):
        return bootstrap(means - others)
    # independent training seeds on both sides
    draws = [
        resample_means(side[:, None], lambda mean: mean[..., 0], seed=k).draws
        for k, side in enumerate((means, others))
    ]
    tail = (1.0 - COVERAGE) / 2.0
    low, high = np.quantile(draws[0] - draws[1], [tail, 1.0 - tail])
    return Estimate(float(means.mean() - others.mean()), float(low), float(high))


def compare_entrants(
    played: Played, role: str, learned: str, seeds: Mapping[str, Sequence[int]]
) -> dict[str, Any]:
    """Compare a learned policy with others on the same evaluation seeds.

    Parameters
    ----------
    played : mapping
        Episodes by policy and training seed.
    role : str
        Agent role of all of them.
    learned : str
        Name of the learned policy.
    seeds : mapping
        Training seeds of the learned policies that have several, by name.

    Returns
    -------
    dict
        As `dtao_agents.evaluation.evaluate.compare`.
    """
    metrics = agent_role(role).metrics
    score = metrics[0]
    policies = {}
    for name, episodes in played.items():
        estimates = {metric: estimate(episodes, metric)._asdict() for metric in metrics}
        middle = estimate(episodes, score, interquartile_mean)
        policies[name] = estimates | {f"{score}_iqm": middle._asdict()}
    minus = {}
    for name, episodes in played.items():
        if name != learned:
            paired = seeds.get(name, ()) == seeds.get(learned, ())
            minus[name] = difference(played[learned], episodes, score, paired)._asdict()
    return {"metric": score, "policies": policies, "learned_minus": minus}


def caveat_of(seeds: Mapping[str, Sequence[int]], one_run: str) -> str:
    """Return what intervals are over, where some learned policies have several training seeds."""
    if not seeds:
        return one_run
    parts = ", ".join(f"{name}: {len(its)}" for name, its in seeds.items())
    return f"Intervals of learned policies are over training seeds ({parts}); all others are over evaluation seeds."


def mean_path(episodes: Sequence[EpisodeMetrics]) -> np.ndarray:
    """Return the mean path of several training seeds; a shorter one stays at its end."""
    longest = max(one.path.size for one in episodes)
    return np.mean(
        [np.pad(one.path, (0, longest - one.path.size), "edge") for one in episodes], axis=0
    )
