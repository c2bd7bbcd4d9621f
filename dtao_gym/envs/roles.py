"""The roles by name."""

from typing import Any

import gymnasium as gym

from dtao_gym.envs.builder.role import Builder
from dtao_gym.envs.role import Role
from dtao_gym.envs.staker.replay import ReplayStaker
from dtao_gym.envs.staker.role import Staker
from dtao_gym.world.config import ConfigError

ROLES: dict[str, type[Role]] = {role.name: role for role in (Staker, Builder, ReplayStaker)}
"""Roles by name; `register_role` adds to them."""


def register_role(role: type[Role]) -> type[Role]:
    """Make a role known by its name, and register `dtao_gym/NAME-v0` with Gymnasium; usable as a decorator.

    Raises ConfigError if another role has the name.
    """
    if ROLES.get(role.name, role).__qualname__ != role.__qualname__:
        raise ConfigError(f"role: got {role.name!r} twice, allowed is each name once")
    ROLES[role.name] = role
    environment = f"dtao_gym/{role.name.title().replace('_', '')}-v0"
    if environment not in gym.registry:
        gym.register(
            id=environment,
            entry_point="dtao_gym.envs.single:SingleEnv",
            vector_entry_point="dtao_gym.envs.vector:MarketVectorEnv",
            kwargs={"role": role.name},
        )
    return role


def role_named(name: Any) -> type[Role]:
    """Return the class of a role. Raises ConfigError for an unknown name."""
    if not isinstance(name, str) or name not in ROLES:
        raise ConfigError(f"role: got {name!r}, allowed are {', '.join(ROLES)}")
    return ROLES[name]
