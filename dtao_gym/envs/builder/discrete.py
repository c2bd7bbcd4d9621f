"""A builder that chooses among a few actions, for agents without continuous ones."""

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from dtao_gym.envs.builder.actions import MAX_SPEND_RATE, builder_action

SLOWLY = MAX_SPEND_RATE / 4
CHOICES: dict[str, dict[str, float]] = {
    "save": {"spend_rate": 0.0, "research_share": 0.5, "owner_sale_fraction": 1.0},
    "product": {"spend_rate": SLOWLY, "research_share": 0.1, "owner_sale_fraction": 1.0},
    "both": {"spend_rate": SLOWLY, "research_share": 0.5, "owner_sale_fraction": 1.0},
    "research": {"spend_rate": SLOWLY, "research_share": 0.9, "owner_sale_fraction": 1.0},
    "product_fast": {
        "spend_rate": MAX_SPEND_RATE, "research_share": 0.1, "owner_sale_fraction": 1.0,
    },
    "research_fast": {
        "spend_rate": MAX_SPEND_RATE, "research_share": 0.9, "owner_sale_fraction": 1.0,
    },
    "hold_alpha": {"spend_rate": SLOWLY, "research_share": 0.5, "owner_sale_fraction": 0.0},
}  # fmt: skip
"""The decisions of each action, in order: part of the treasury spent in a day, research share, part of alpha sold.

Influence is as the configuration says.
"""


class DiscreteBuilder(gym.ActionWrapper, gym.utils.RecordConstructorArgs):
    """An environment of one builder with the actions of `CHOICES`, `Discrete(7)`.

    Parameters
    ----------
    env : gymnasium.Env
        Environment of the role `builder`. Where it decides on the budget's division alone, the other decisions of a
        choice have no effect.
    """

    def __init__(self, env: gym.Env):
        gym.utils.RecordConstructorArgs.__init__(self)
        gym.ActionWrapper.__init__(self, env)
        config: Any = env.get_wrapper_attr("config")
        self._actions = [builder_action(config, **choice) for choice in CHOICES.values()]
        self.action_space = spaces.Discrete(len(CHOICES))

    def action(self, action: Any) -> np.ndarray:
        """Return the continuous action of a choice. Raises ValueError for any but the numbers of choices."""
        chosen = np.asarray(action)
        last = len(self._actions) - 1
        if chosen.shape != () or chosen.dtype.kind not in "iu" or not 0 <= chosen <= last:
            raise ValueError(f"action: got {action!r}, allowed are whole numbers from 0 to {last}")
        return self._actions[int(chosen)]
