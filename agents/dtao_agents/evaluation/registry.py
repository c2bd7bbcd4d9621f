"""Every policy that can be played, by role and name: scripted, exploits, ceilings, and learned ones from folders."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from dtao_agents.evaluation.policy_files import CARD_NAME, Policy, load_policy
from dtao_agents.roles.exploits import EXPLOITS
from dtao_agents.roles.scripted import SCRIPTED, market_weights
from dtao_gym.envs.builder.actions import action_size
from dtao_gym.envs.staker.role import target_action
from dtao_gym.envs.task import TaskConfig
from dtao_gym.world.batch import Batch
from dtao_gym.world.config import ConfigError
from dtao_gym.world.genesis import layout_of

Kind = Literal["scripted", "exploit", "ceiling", "learned"]
CEILINGS = {"kernel"}
"""They reckon with what no player sees: nobody has to beat them."""
DECIDES_ALL = {"register_to_be_dissolved"}
"""Builders who are nothing special where only the division of the budget is theirs to choose."""


class Entry(NamedTuple):
    """A policy that can be played.

    Attributes:
        name: unique among those of its role.
        role: staker or builder.
        kind: what it is; `ceiling` is a scripted policy that knows what no player sees.
        policy: `policy(observation, batch, rngs) -> actions`.
    """

    name: str
    role: str
    kind: Kind
    policy: Callable


def buy_and_hold(
    observation: np.ndarray, batch: Batch, rngs: Sequence[np.random.Generator]
) -> np.ndarray:
    """Buys the weights of the market on the first day, all at once, and never trades again."""
    actions = target_action(market_weights(observation, batch))
    actions[:, -1] = np.where(batch.state.worlds["day"] == 0, 1.0, -1.0)
    return actions


def _registered() -> dict[str, dict[str, Entry]]:
    found: dict[str, dict[str, Entry]] = {}
    for role, scripted in SCRIPTED.items():
        # all_root is do_nothing of the battery
        policies = {name: policy for name, policy in scripted.items() if name != "all_root"}
        if role == "staker":
            policies["buy_and_hold"] = buy_and_hold
        entries = {
            name: Entry(name, role, "ceiling" if name in CEILINGS else "scripted", policy)
            for name, policy in policies.items()
        }
        entries |= {
            name: Entry(name, role, "exploit", policy) for name, policy in EXPLOITS[role].items()
        }
        found[role] = entries
    return found


REGISTERED = _registered()
"""All policies that need no file, by role and name."""


def registered(role: str, name: str) -> Entry:
    """One of them. Raises `ConfigError`."""
    if role not in REGISTERED:
        raise ConfigError(f"role: got {role!r}, allowed are {', '.join(REGISTERED)}")
    if name not in REGISTERED[role]:
        raise ConfigError(f"policy: got {name!r}, allowed are {', '.join(REGISTERED[role])}")
    return REGISTERED[role][name]


def learned(folder: str | Path, name: str | None = None) -> Entry:
    """The policy of a folder, by default under the folder's name. Raises `PolicyError`."""
    policy = load_policy(folder)
    return Entry(name or Path(folder).name, policy.card.architecture.role, "learned", policy)


def learned_in(folder: str | Path) -> dict[str, Entry]:
    """The policies of all sub-folders that hold one, by name. Raises `PolicyError` for one that is broken."""
    found = sorted(path.parent for path in Path(folder).glob(f"*/{CARD_NAME}"))
    return {path.name: learned(path) for path in found}


def fits(entry: Entry, role: str, config: TaskConfig) -> bool:
    """Whether a policy can be played in a world: role, number of subnets and size of actions are its own."""
    if entry.role != role:
        return False
    if isinstance(entry.policy, Policy):
        shape, n_subnets = entry.policy.card.architecture, layout_of(config).n_subnets
        wanted = n_subnets + 2 if role == "staker" else action_size(config)
        return (shape.n_subnets, shape.action_size) == (n_subnets, wanted)
    return entry.name not in DECIDES_ALL or config.builder_decides == "all"
