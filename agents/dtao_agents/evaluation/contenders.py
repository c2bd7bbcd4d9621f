"""Learned policies that are evaluated: of runs, of pretrained folders, and of folders with the two files alone."""

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from dtao_agents.evaluation.policy_files import (
    CARD_NAME,
    LearnedPolicy,
    PolicyError,
    config_hash,
    load_policy,
)
from dtao_agents.package_data import POLICIES, find_policy
from dtao_agents.roles.registry import agent_role, is_import_path
from dtao_agents.training.settings import TrainConfig, read
from dtao_gym.command_line import did_you_mean
from dtao_gym.envs.task import TaskConfig
from dtao_gym.world.config import ConfigError
from dtao_gym.world.genesis import layout_of

SETTINGS_NAME, PUBLISHED_NAME = "config.yaml", "published.json"
MAX_BYTES = 2**20
"""Largest published.json that is read."""


class Contender(NamedTuple):
    """A learned policy and the task in which it is evaluated.

    Attributes
    ----------
    folder : Path
    policy : LearnedPolicy
    role : str
        Agent role.
    task : TaskConfig
        An evaluation task.
    task_known : bool
        Whether the folder says what the task is; else it is the default world with as many subnets as in training.
    episodes, threads : int
        Evaluation seeds and threads by default.
    settings : TrainConfig, optional
        Those of a run.
    """

    folder: Path
    policy: LearnedPolicy
    role: str
    task: Any
    task_known: bool
    episodes: int
    threads: int
    settings: TrainConfig | None = None


def check_policy(run: Path, policy: LearnedPolicy, settings: TrainConfig) -> None:
    """Raise PolicyError unless the policy of a run is of the world and the role of its settings."""
    if policy.card.config_hash != config_hash(settings.env):
        raise PolicyError(f"{run}: policy.json and config.yaml are of different worlds")
    if policy.card.architecture.role != agent_role(settings.role).card_name:
        raise PolicyError(f"{run}: policy.json and config.yaml are of different roles")


def packaged_names() -> list[str]:
    """Return the names of the policies that come with the package."""
    return sorted(str(path.parent.relative_to(POLICIES)) for path in POLICIES.rglob(CARD_NAME))


def find_folder(given: Path) -> Path:
    """Return the folder of a run or of a policy. Raises PolicyError where there is none."""
    folder = find_policy(given)
    allowed = "the folder of a run or of a policy"
    if folder.is_file():
        raise PolicyError(f"{folder}: got a file, allowed is {allowed}")
    if not folder.is_dir():
        names = packaged_names()
        listed = f"{allowed}, or a pretrained one of {', '.join(names)}"
        raise PolicyError(
            f"{folder}: is missing, allowed is {listed}{did_you_mean(str(given), names)}"
        )
    if not any((folder / name).exists() for name in (SETTINGS_NAME, CARD_NAME)):
        raise PolicyError(
            f"{folder}: has neither {SETTINGS_NAME} nor {CARD_NAME}, allowed is {allowed}"
        )
    return folder


def check_finished(run: Path, parts: Sequence[str] = (".",), train: str = "dtao train") -> None:
    """Raise PolicyError where a run lacks a policy in one of its folders, with the command that continues it."""
    for part in parts:
        card = run / part / CARD_NAME
        if not card.exists():
            raise PolicyError(
                f"{card}: is missing, for the training has not finished; {train} --resume {run} continues it"
            )


def contender(folder: Path, trusted: bool = False) -> Contender:
    """Return the policy of a folder and its task.

    Parameters
    ----------
    folder : Path
        One that `find_folder` returns. With config.yaml it is a run, with published.json a pretrained policy.
    trusted : bool
        Whether Python code that it names (an emission rule, a role) may be imported.

    Raises
    ------
    PolicyError, ConfigError
        For unusable files, and for runs that have not finished.
    """
    if (folder / SETTINGS_NAME).exists():
        settings = read(folder / SETTINGS_NAME, trusted)
        if agent_role(settings.role).trains_on_prices:
            raise PolicyError(f"{folder}: was trained on real prices, allowed is it alone")
        check_finished(folder)
        policy = load_policy(folder)
        check_policy(folder, policy, settings)
        task = agent_role(settings.role).evaluation_task(settings.env)
        numbers = settings.evaluation_episodes, settings.threads
        return Contender(folder, policy, settings.role, task, True, *numbers, settings)
    policy = load_policy(folder)
    if (folder / PUBLISHED_NAME).exists():
        return _published(folder, policy, trusted)
    shape = policy.card.architecture
    task = agent_role(shape.role).evaluation_task(TaskConfig.make(n_subnets=shape.n_subnets))
    return Contender(folder, policy, shape.role, task, False, *_numbers())


def _numbers() -> tuple[int, int]:
    fields = TrainConfig.model_fields
    return fields["evaluation_episodes"].default, fields["threads"].default


def _published(folder: Path, policy: LearnedPolicy, trusted: bool) -> Contender:
    """A pretrained policy in the world of its published result."""
    path = folder / PUBLISHED_NAME
    try:
        with path.open("rb") as file:
            content = json.loads(file.read(MAX_BYTES))
        role, world = content["role"], dict(content["world"])
        episodes = int(content["evaluation_seeds"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise PolicyError(f"{path}: cannot be read: {type(error).__name__}: {error}") from None
    for name, value in (("role", role), ("world.allocation", world.get("allocation"))):
        if not trusted and (is_import_path(value) or ":" in str(value)):
            raise PolicyError(
                f"{path}: {name}: got {value!r}, which would be imported and run; allowed is one of the package, or "
                "--trust-rule if the code is your own"
            )
    if not 2 <= episodes <= 65_536:
        raise PolicyError(f"{path}: evaluation_seeds: got {episodes}, allowed are 2 to 65536")
    try:
        its = agent_role(role)
        task = its.evaluation_task(TaskConfig.make(world))
    except ConfigError as error:
        raise PolicyError(f"{path}: {error}") from None
    if policy.card.architecture.role != its.card_name:
        raise PolicyError(f"{folder}: {CARD_NAME} and {PUBLISHED_NAME} are of different roles")
    return Contender(folder, policy, its.name, task, True, episodes, _numbers()[1])


def names_of(contenders: Sequence[Contender], others: Collection[str] = ()) -> list[str]:
    """Return a name for each policy: that of its folder, or as much of the path as tells them apart.

    Raises PolicyError where a folder is there twice. `others` are names of other policies.
    """
    paths = [one.folder.resolve() for one in contenders]
    if len(set(paths)) < len(paths):
        folders = ", ".join(str(one.folder) for one in contenders)
        raise PolicyError(f"run: got {folders}, allowed is each folder once")
    names: list[str] = []
    for n_parts in range(1, max(len(path.parts) for path in paths) + 1):
        names = ["/".join(path.parts[-n_parts:]) for path in paths]
        if len(set(names).difference(others)) == len(paths):
            break
    return names


def check_comparable(contenders: Sequence[Contender]) -> None:
    """Raise PolicyError unless policies are of one role, that of the first, and of simulated markets."""
    first = contenders[0]
    card = agent_role(first.role).card_name
    for one in contenders:
        if agent_role(one.role).card_name != card:
            raise PolicyError(
                f"{one.folder}: got a {one.role}, allowed is a {card}, as {first.folder} is"
            )


def same_world(contenders: Sequence[Contender]) -> list[Contender]:
    """Return the policies with the task of the first of them whose task is known.

    Raises PolicyError where one does not fit its number of subnets or its decisions.
    """
    known = next((one for one in contenders if one.task_known), contenders[0])
    n_subnets, role = layout_of(known.task).n_subnets, agent_role(known.role)
    moved = []
    for one in contenders:
        try:
            policy = one.policy.for_subnets(n_subnets)
        except PolicyError as error:
            raise PolicyError(f"{one.folder}: {error}") from None
        got, allowed = policy.architecture.action_size, role.task_action_size(known.task, n_subnets)
        if got != allowed:
            raise PolicyError(
                f"{one.folder}: action_size: got {got}, allowed is {allowed} in the world of {known.folder}"
            )
        moved.append(one._replace(policy=policy, task=known.task))
    return moved
