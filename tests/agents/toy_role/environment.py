"""A toy role: a subnet owner who decides on the spending rate alone and saves the rest of the treasury."""

import numpy as np
from gymnasium import spaces

from dtao_gym.envs.builder.actions import MAX_SPEND_RATE
from dtao_gym.envs.builder.role import Builder
from dtao_gym.envs.roles import register_role


@register_role
class Saver(Builder):
    """An owner with one decision, `Box(-1, 1, (1,))`: the part of the treasury spent in a day, 0 at -1 and 0.2 at 1.

    Observation, reward and ends are those of `Builder`; the division of the budget stays as configured.
    """

    name = "saver"
    step_kernel = None

    def __init__(self, batch, members=None, respawn=False):
        super().__init__(batch, members, respawn)
        self.action_space = spaces.Box(-1.0, 1.0, (1,), np.float32)

    def apply(self, batch, actions, playing=None, slots=None):
        """Write the spending rates of actions `(rows, 1)`."""
        deciding = self.slots if slots is None else slots
        actions = self.checked(batch, actions, deciding).astype(float)
        rates = 0.5 * MAX_SPEND_RATE * (1.0 + actions.reshape(-1, deciding.size))
        row = batch.state.row("spend_rate")
        decided = np.ones(rates.shape, bool) if playing is None else playing.reshape(rates.shape)
        n_worlds = len(rates)
        row[:n_worlds, deciding] = np.where(decided, rates, row[:n_worlds, deciding])
