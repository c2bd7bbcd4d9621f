"""The small pretrained policies, each with the number that RESULTS.md publishes."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch

from dtao_agents.evaluation.evaluate import play_in_batches
from dtao_agents.evaluation.policy_files import CARD_NAME, WEIGHTS_NAME, PolicyError, load_policy
from dtao_agents.files import write_atomically
from dtao_agents.results.summary import PLAN_HASH, Results
from dtao_agents.roles.registry import agent_role
from dtao_gym.envs.task import TaskConfig
from dtao_gym.sources import fingerprint

PUBLISHED_NAME = "published.json"


class Published(NamedTuple):
    """A policy in the repository, and its published result.

    Attributes
    ----------
    name : str
        Name of its folder and of its row in the results.
    training_seed : int
        The one whose mean is the median of the row.
    metric : str
        Score of the role.
    value : float
        Mean of the metric over evaluation seeds.
    evaluation_seeds : int
        Their number; they are 0, 1, ...
    """

    name: str
    training_seed: int
    metric: str
    value: float
    evaluation_seeds: int


def published_number(value: float) -> str:
    """Return a number as RESULTS.md shows it."""
    return f"{value:.4f}" if abs(value) < 100.0 else f"{value:.1f}"


def publish(
    results: Results, row: str, folder_of: Callable[[int], Path], policies: Path
) -> Published:
    """Copy the policy of the training seed with the median result into `policies`/`row`.

    With an even number of training seeds, the lower of the two in the middle.
    """
    home = results.homes[row]
    means = results.by_training_seed(home, row)
    middle = int(means.argsort(kind="stable")[(means.size - 1) // 2])
    seed = results.plan.training_seeds[middle]
    metric = agent_role(home.role).score
    published = Published(row, seed, metric, float(means[middle]), home.seeds)
    target = policies / row
    target.mkdir(parents=True, exist_ok=True)
    for name in (WEIGHTS_NAME, CARD_NAME):
        shutil.copyfile(folder_of(seed) / name, target / name)
    content = {
        **published._asdict(),
        "role": home.role,
        "world": home.world,
        "plan": results.facts[PLAN_HASH],
        "source_fingerprint": fingerprint("dtao_gym.envs.single"),
        "commit": results.facts["commit"],
    }
    write_atomically(target / PUBLISHED_NAME, (json.dumps(content, indent=2) + "\n").encode())
    return published


def read_published(folder: Path) -> tuple[Published, dict[str, Any]]:
    """Return the published result of a pretrained policy, and the whole file. Raises PolicyError."""
    path = folder / PUBLISHED_NAME
    try:
        content = json.loads(path.read_text())
        return Published(*(content[name] for name in Published._fields)), content
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise PolicyError(f"{path}: cannot be read: {type(error).__name__}: {error}") from None


def evaluate_again(folder: Path, threads: int = 1) -> float:
    """Return the published metric of a pretrained policy, measured again on the same evaluation seeds.

    Raises PolicyError for unusable files, and for files that name code, which would be imported.
    """
    torch.set_num_threads(1)
    published, content = read_published(folder)
    named = {
        "allocation": (content["world"].get("allocation"), "rule"),
        "role": (content["role"], "role"),
    }
    for name, (value, kind) in named.items():
        if ":" in str(value):
            raise PolicyError(
                f"{folder / PUBLISHED_NAME}: {name}: got {value!r}, which would be imported; allowed is a {kind} of the package"
            )
    config = agent_role(content["role"]).evaluation_task(TaskConfig.make(content["world"]))
    episodes = play_in_batches(
        load_policy(folder), config, published.evaluation_seeds, threads, content["role"]
    )
    return float(episodes.values[published.metric].mean())
