"""The agent role of `tests.agents.toy_role.environment.Saver`: settings name it by this module's path."""

import numpy as np
from dtao_agents.roles.registry import register_agent_role
from dtao_agents.roles.role import AgentRole

from dtao_gym.envs.builder.observation import MARKET_FEATURES, OWN_FEATURES, RIVAL_FEATURES
from tests.agents.toy_role.environment import Saver


def at_rate(action: float):
    """The policy with a constant action."""
    return lambda observation, batch, rngs: np.full((len(observation), 1), action, np.float32)


class SaverRole(AgentRole):
    """An owner who decides on the spending rate alone. Everything else is a default."""

    name = Saver.name
    owns_slot = True
    subnet_features = RIVAL_FEATURES
    global_features = (*OWN_FEATURES, *MARKET_FEATURES)
    action_sizes = (1,)
    scripted = {"miser": at_rate(-1.0), "half": at_rate(0.0), "spender": at_rate(1.0)}  # noqa: RUF012
    to_beat = ("miser",)

    def observed_subnets(self, n_subnets):
        """Return the number of rivals."""
        return n_subnets - 1


SAVER = register_agent_role(SaverRole())
