"""What the observations, actions and infos of all roles are made with; compiled with the kernels that use it."""

from typing import Any

import numpy as np

from dtao_gym.compiling import inlined_rule
from dtao_gym.numerics import log, tanh


@inlined_rule
def log_ratio(a, b):
    """ln(a / b), 0 where either is not positive."""
    return log(a / b) if a > 0.0 and b > 0.0 else 0.0


@inlined_rule
def squash(raw, scale, shift, row):
    """tanh of a scaled row of features, in place."""
    for i in range(row.shape[1]):
        row[raw, i] = tanh(scale * (row[raw, i] - shift))


@inlined_rule
def immunity_left(block, registered_block, immunity_blocks):
    """Part of the immunity period that is left, 0 to 1; 0 in empty slots."""
    left = 1.0 - (block - registered_block) / max(immunity_blocks, 1.0)
    return max(left, 0.0) if registered_block >= 0.0 else 0.0


@inlined_rule
def first_bad(action):
    """Index of the first entry that is not in [-1, 1], or -1."""
    for k in range(action.size):
        if not abs(action[k]) <= 1.0:
            return k
    return -1


MARKET_NUMBERS = ("day", "welfare", "emission_hhi", "price_sum", "registrations", "dissolutions")
"""Fields of a world that infos report."""
WHOLE_NUMBERS = ("day", "registrations", "dissolutions")
MARKET_ROWS = ("true_value", "spot_price", "emission_share")
"""Rows of the subnets that infos report."""


FIRST_OWN_NUMBER = 1 + len(MARKET_NUMBERS)
"""Where a role's own numbers begin in `facts`: after the reward and those of the market."""


@inlined_rule
def write_market(s, world, reward, own_numbers, facts):
    """The reward, `MARKET_NUMBERS`, and after the role's own numbers `MARKET_ROWS`, into `facts`."""
    facts[0] = reward
    facts[1], facts[2], facts[3] = world.day, world.welfare, world.emission_hhi
    facts[4], facts[5], facts[6] = world.price_sum, world.registrations, world.dissolutions
    first, n = FIRST_OWN_NUMBER + own_numbers, s.true_value.size
    for i in range(n):
        facts[first + i] = s.true_value[i]
    for i in range(n):
        facts[first + n + i] = s.spot_price[i]
    for i in range(n):
        facts[first + 2 * n + i] = s.emission_share[i]


TERMINATED, TRUNCATED, OTHER_KERNEL = 1, 2, -1
"""What a step kernel returns: flags of how the episode stands; or -1 where the world needs the day's other kernel; or
-2 - k for a bad entry k of the action. With the last two nothing has changed."""


@inlined_rule
def refusal(action, advance):
    """What a step kernel returns before it does anything: 0, or `OTHER_KERNEL`, or what stands for a bad entry.

    `advance` is the address of the world's day, 0 if it is the other one.
    """
    if advance == 0:
        return OTHER_KERNEL
    bad = first_bad(action)
    return OTHER_KERNEL - 1 - bad if bad >= 0 else 0


@inlined_rule
def end_of_step(world, out, steps, max_steps):
    """Count a step; the flags of `TERMINATED` and `TRUNCATED`, not both."""
    steps[0] += 1
    if out or world.day >= world.last_day:
        return TERMINATED
    return TRUNCATED if steps[0] >= max_steps else 0


def plain(value: Any) -> Any:
    """A NumPy number as Python's own, which Gymnasium's vector environments collect into arrays; arrays as they are."""
    return value.item() if isinstance(value, np.generic) else value


def refuse(actions: np.ndarray, bad: int) -> None:
    """Raise ValueError for the entry at a flat index, if that is not negative."""
    if bad >= 0:
        world, entry = divmod(bad, actions.shape[1])
        raise ValueError(
            f"action: got {actions[world, entry]!s} at world {world}, entry {entry}, "
            "allowed are numbers from -1 to 1"
        )
