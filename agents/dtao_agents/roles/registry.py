"""Agent roles by name, and by import path."""

import importlib
import re
from typing import Any

from dtao_agents.roles.builder import BUILDER
from dtao_agents.roles.role import AgentRole
from dtao_agents.roles.staker import REPLAY, STAKER
from dtao_gym.sources import fingerprint
from dtao_gym.world.config import ConfigError

_IMPORT_PATH = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")

ROLES: dict[str, AgentRole] = {role.name: role for role in (STAKER, BUILDER, REPLAY)}
"""Agent roles by name; `register_agent_role` adds to them."""


def register_agent_role(role: AgentRole) -> AgentRole:
    """Make an agent role known by its name, and return it.

    The environment role of this name is registered by `dtao_gym.envs.roles.register_role`. Raises ConfigError if
    another role has the name.
    """
    known = ROLES.get(role.name, role)
    if type(known).__qualname__ != type(role).__qualname__:
        raise ConfigError(f"role: got {role.name!r} twice, allowed is each name once")
    ROLES[role.name] = role
    return role


def is_import_path(name: Any) -> bool:
    """Return whether a role is named by an import path, so that finding it runs code."""
    return isinstance(name, str) and ":" in name


def agent_role(name: Any) -> AgentRole:
    """Return a role by its name, or by the import path `package.module:OBJECT` of an `AgentRole`.

    An import path runs the code of its module; callers refuse those that come with files of unknown origin.

    Raises
    ------
    ConfigError
        For unknown names, and for import paths that lead to no agent role.
    """
    if is_import_path(name):
        return _imported(name)
    if not isinstance(name, str) or name not in ROLES:
        raise ConfigError(
            f"role: got {name!r}, allowed are {', '.join(ROLES)}, and 'package.module:OBJECT' of an agent role"
        )
    return ROLES[name]


def _imported(path: str) -> AgentRole:
    if not _IMPORT_PATH.fullmatch(path):
        raise ConfigError(f"role: got {path!r}, allowed is 'package.module:OBJECT'")
    module, _, attribute = path.partition(":")
    try:
        role = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"role: got {path!r}, which cannot be imported: {error}") from None
    if not isinstance(role, AgentRole):
        raise ConfigError(f"role: got {path!r}, a {type(role).__name__}, allowed is an AgentRole")
    return register_agent_role(role)


def role_fingerprint(name: str) -> str:
    """Return the hash of the sources of a role that is named by its import path; empty for other names.

    For cache keys: the sources of the package's own roles are part of those of training and evaluation.
    """
    return fingerprint(name.partition(":")[0]) if is_import_path(name) else ""


def policy_roles() -> dict[str, AgentRole]:
    """Return the roles that policies' files may state, by card name."""
    return {name: role for name, role in ROLES.items() if role.card_name == name}


def multi_agent_roles() -> list[AgentRole]:
    """Return the roles that can learn together in one world."""
    return [role for role in ROLES.values() if role.members_setting is not None]
