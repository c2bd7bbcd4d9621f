"""Actions of a builder: their size, how they are decoded, and the action for given decisions."""

from typing import Any

import numpy as np

from dtao_gym.compiling import kernel, rule
from dtao_gym.envs.task import TaskConfig
from dtao_gym.numerics import exp
from dtao_gym.world.state import subnet_rows
from dtao_gym.world.table import arrays_of

LOWEST_SHARE, HIGHEST_SHARE = 0.002, 0.998
"""Range of a research share."""
BUDGET_LOGIT_SCALE = 6.212606095751519
"""ln(0.998 / 0.002): the first logit alone moves the research share from the lowest to the highest."""
MAX_SPEND_RATE = 0.2
"""Largest part of the treasury that an action spends in a day."""


@rule
def decide(fields, slot, action, composition, influence):
    """Write the decisions of an action into the rows of one slot.

    `composition`: the action divides the budget alone; `influence`: influence can be bought.
    """
    s = subnet_rows(fields)
    first = 0
    if not composition:
        s.spend_rate[slot] = 0.5 * MAX_SPEND_RATE * (action[0] + 1.0)
        s.owner_sale_fraction[slot] = 0.5 * (action[3] + 1.0)
        first = 1
    research = exp(BUDGET_LOGIT_SCALE * action[first])
    spent_on_influence = exp(BUDGET_LOGIT_SCALE * action[first + 1]) if influence else 0.0
    s.research_share[slot] = research / (1.0 + research)
    s.influence_share[slot] = spent_on_influence / (1.0 + research + spent_on_influence)


@kernel
def decide_kernel(table, slots, composition, actions, playing):
    """Decisions of builders, for the rows that play, world by world; actions are checked before."""
    a = arrays_of(table)
    for w in range(actions.shape[0] // slots.size):
        for k in range(slots.size):
            row = w * slots.size + k
            if playing[row]:
                influence = a.parameters[w].influence > 0
                decide(a.fields[w], slots[k], actions[row], composition, influence)


def action_size(config: TaskConfig) -> int:
    """Return the number of entries of an action: 4, or 1 or 2 where only the budget's division is decided."""
    return 4 if config.builder_decides == "all" else 1 + config.influence


def research_logit_index(config: TaskConfig) -> int:
    """Return the position of the research logit in an action."""
    return 1 if config.builder_decides == "all" else 0


def research_share_of(config: TaskConfig, actions: np.ndarray) -> np.ndarray:
    """Return the research share `(...)` that actions `(..., action_size)` decide on."""
    logit = actions[..., research_logit_index(config)].astype(float)
    return 1.0 / (1.0 + np.exp(-BUDGET_LOGIT_SCALE * logit))


def builder_action(
    config: TaskConfig,
    research_share: Any = None,
    influence_share: Any = None,
    spend_rate: float | None = None,
    owner_sale_fraction: float | None = None,
) -> np.ndarray:
    """Return the action for some decisions; None means the value of the configuration.

    Parameters
    ----------
    config : TaskConfig
    research_share, influence_share : float or array
        Shares, broadcast against each other. Research shares are cut to 0.002 and 0.998, and so is influence over
        spending on product.
    spend_rate : float
        Part of the treasury that is spent in a day, 0 to 0.2.
    owner_sale_fraction : float
        Part of the owner's daily alpha that is sold, 0 to 1.

    Returns
    -------
    `(..., action_size)` float32
    """
    research = config.research_share if research_share is None else research_share
    influence = config.influence_share if influence_share is None else influence_share
    research = np.clip(research, LOWEST_SHARE, HIGHEST_SHARE)
    research, influence = np.broadcast_arrays(research, np.asarray(influence, float))
    with np.errstate(divide="ignore"):
        research_logit = np.log(research) - np.log1p(-research)
        # influence over product is z / ((1 - z)(1 - r))
        influence_logit = np.log(influence) - np.log1p(-influence) - np.log1p(-research)
    logits = np.stack([research_logit, influence_logit], axis=-1)
    split = np.clip(logits / BUDGET_LOGIT_SCALE, -1.0, 1.0)
    if config.builder_decides == "composition":
        return split[..., : action_size(config)].astype(np.float32)
    spend = config.spend_rate if spend_rate is None else spend_rate
    sale = config.owner_sale_fraction if owner_sale_fraction is None else owner_sale_fraction
    ends = np.broadcast_to([2.0 * spend / MAX_SPEND_RATE - 1.0, 2.0 * sale - 1.0], split.shape)
    return np.concatenate([ends[..., :1], split, ends[..., 1:]], axis=-1).astype(np.float32)
