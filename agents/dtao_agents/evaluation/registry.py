"""Policies by role and name: scripted, exploits, ceilings, and learned ones from folders."""

from pathlib import Path
from typing import NamedTuple

from dtao_agents.evaluation.policy_files import CARD_NAME, LearnedPolicy, load_policy
from dtao_agents.roles.policies import Kind, Policy
from dtao_agents.roles.registry import agent_role
from dtao_gym.command_line import did_you_mean
from dtao_gym.envs.task import TaskConfig
from dtao_gym.world.config import ConfigError
from dtao_gym.world.genesis import layout_of


class Entry(NamedTuple):
    """A policy that can be played.

    Attributes
    ----------
    name : str
        Unique among those of its role.
    role : str
        Card name of its agent role.
    kind : {"scripted", "exploit", "ceiling", "learned"}
    policy : callable
        ``policy(observation, batch, rngs) -> actions``.
    """

    name: str
    role: str
    kind: Kind
    policy: Policy


def policies_of(role: str) -> dict[str, Entry]:
    """Return all policies of a role that need no file, by name. Raises ConfigError for an unknown role."""
    its = agent_role(role)
    return {
        name: Entry(name, its.card_name, kind, policy)
        for name, (kind, policy) in its.arena_policies().items()
    }


def registered(role: str, name: str) -> Entry:
    """Return one of `policies_of` a role. Raises ConfigError for unknown names."""
    entries = policies_of(role)
    if name not in entries:
        allowed = ", ".join(entries)
        raise ConfigError(
            f"policy: got {name!r}, allowed are {allowed}{did_you_mean(name, entries)}"
        )
    return entries[name]


def learned(folder: str | Path, name: str | None = None) -> Entry:
    """Return the policy of a folder, by default under the folder's name. Raises PolicyError."""
    policy = load_policy(folder)
    return Entry(name or Path(folder).name, policy.card.architecture.role, "learned", policy)


def learned_in(folder: str | Path) -> dict[str, Entry]:
    """Return the policies of all sub-folders that hold one, by name. Raises PolicyError."""
    folders = sorted(path.parent for path in Path(folder).glob(f"*/{CARD_NAME}"))
    return {path.name: learned(path) for path in folders}


def fits(entry: Entry, role: str, config: TaskConfig) -> bool:
    """Return whether a policy can be played in a task: role, subnets and size of actions fit."""
    its = agent_role(role)
    if entry.role != its.card_name:
        return False
    if isinstance(entry.policy, LearnedPolicy):
        shape, n_subnets = entry.policy.card.architecture, layout_of(config).n_subnets
        sizes = (n_subnets, its.task_action_size(config, n_subnets))
        return (shape.n_subnets, shape.action_size) == sizes
    return entry.name not in its.needs_all_decisions or its.takes_all_decisions(config)
