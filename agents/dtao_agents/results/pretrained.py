"""The small pretrained policies, each with the number that RESULTS.md publishes of it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch

from dtao_agents.evaluation.arena import main_metric
from dtao_agents.evaluation.evaluate import evaluation_config, play_in_batches
from dtao_agents.evaluation.policy_files import CARD_NAME, WEIGHTS_NAME, PolicyError, load_policy
from dtao_agents.files import write_atomically
from dtao_agents.results.summary import PLAN_HASH, Findings
from dtao_gym.envs.task import TaskConfig
from dtao_gym.sources import fingerprint

PUBLISHED_NAME = "published.json"


class Published(NamedTuple):
    """A policy in the repository, and what is told of it.

    Attributes:
        name: of the folder and of the row.
        training_seed: the one whose mean is the median of the row.
        metric: what `value` is; METRICS of `dtao_agents.evaluation.evaluate`.
        value: mean over evaluation seeds.
        evaluation_seeds: their number; they are 0, 1, ...
    """

    name: str
    training_seed: int
    metric: str
    value: float
    evaluation_seeds: int


def told(value: float) -> str:
    """The number as RESULTS.md has it."""
    return f"{value:.4f}" if abs(value) < 100.0 else f"{value:.1f}"


def publish(
    findings: Findings, row: str, folder_of: Callable[[int], Path], policies: Path
) -> Published:
    """Copy the policy of the training seed with the median result into `policies`/`row`.

    Of an even number of training seeds the lower of the two in the middle.
    """
    home = findings.homes[row]
    results = findings.by_training_seed(home, row)
    middle = int(results.argsort(kind="stable")[(results.size - 1) // 2])
    seed = findings.plan.training_seeds[middle]
    metric = main_metric(home.role)
    published = Published(row, seed, metric, float(results[middle]), home.seeds)
    target = policies / row
    target.mkdir(parents=True, exist_ok=True)
    for name in (WEIGHTS_NAME, CARD_NAME):
        shutil.copyfile(folder_of(seed) / name, target / name)
    content = {
        **published._asdict(),
        "role": home.role,
        "world": home.world,
        "plan": findings.facts[PLAN_HASH],
        "source_fingerprint": fingerprint("dtao_gym.envs.single"),
        "commit": findings.facts["commit"],
    }
    write_atomically(target / PUBLISHED_NAME, (json.dumps(content, indent=2) + "\n").encode())
    return published


def read_published(folder: Path) -> tuple[Published, dict[str, Any]]:
    """What is told of a pretrained policy, and the whole file. Raises `PolicyError`."""
    path = folder / PUBLISHED_NAME
    try:
        content = json.loads(path.read_text())
        return Published(*(content[name] for name in Published._fields)), content
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PolicyError(f"{path}: cannot be read: {type(error).__name__}: {error}") from None


def evaluate_again(folder: Path, threads: int = 1) -> float:
    """The published metric of a pretrained policy, found anew on the same evaluation seeds. Raises `PolicyError`."""
    torch.set_num_threads(1)
    published, content = read_published(folder)
    rule = content["world"].get("allocation")
    if ":" in str(rule):
        raise PolicyError(
            f"{folder / PUBLISHED_NAME}: allocation: got {rule!r}, which would be imported; allowed is a rule of the package"
        )
    config = evaluation_config(TaskConfig.make(content["world"]), content["role"])
    outcome = play_in_batches(
        load_policy(folder), config, published.evaluation_seeds, threads, content["role"]
    )
    return float(outcome.values[published.metric].mean())
