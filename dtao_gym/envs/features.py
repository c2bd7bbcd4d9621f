"""What the features and actions of all roles are made with; compiled with the kernels that use it."""

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


def refuse(actions: np.ndarray, bad: int) -> None:
    """Raise ValueError for the entry at a flat index, if that is not negative."""
    if bad >= 0:
        world, entry = divmod(bad, actions.shape[1])
        raise ValueError(
            f"action: got {actions[world, entry]!s} at world {world}, entry {entry}, "
            "allowed are numbers from -1 to 1"
        )
