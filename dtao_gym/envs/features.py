"""Parts that all roles share: feature arithmetic, the market's part of infos, ends of steps, checks of actions.

The compiled functions become parts of the kernels that use them.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import numpy as np

from dtao_gym.compiling import inlined_rule
from dtao_gym.numerics import log


def named_indices(kind: str, names: Sequence[str]) -> Any:
    """Return a NamedTuple that maps each name to its position: ``named_indices("Own", ("a", "b")).b == 1``.

    Compiled code reads its fields as constants.
    """
    fields = [(name, int) for name in names]
    return cast(Any, NamedTuple(kind, fields))(*range(len(names)))  # type: ignore[misc]


@inlined_rule
def log_ratio(a, b):
    """ln(a / b), 0 where either is not positive."""
    return log(a / b) if a > 0.0 and b > 0.0 else 0.0


@inlined_rule
def log_price(price):
    """ln of a price, TAO per alpha, bounded below at ln 1e-12."""
    return log(max(price, 1e-12))


@inlined_rule
def immunity_left(block, registered_block, immunity_blocks):
    """Remaining part of the immunity period, 0 to 1; 0 in empty slots."""
    age = max(
        block - registered_block, 0.0
    )  # below 0 on the day of a replay on which a subnet comes
    left = 1.0 - age / max(immunity_blocks, 1.0)
    return max(left, 0.0) if registered_block >= 0.0 else 0.0


@inlined_rule
def implied_price(s, p, signal, i):
    """Price that the lagged public signal of subnet `i` implies, TAO per alpha, for an uninformed reader."""
    issuance = s.alpha_reserve[i] + s.alpha_outstanding[i]
    diluted = issuance / s.dilution_alpha[i] if p.dilution and issuance > 0.0 else 1.0
    return p.price_of_capital * p.pooled_capitalisation * signal[i] / diluted


@inlined_rule
def first_bad(action):
    """Index of the first entry outside [-1, 1] (or NaN); -1 if there is none."""
    for k in range(action.size):
        if not abs(action[k]) <= 1.0:
            return k
    return -1


ROUNDING = 1e-6
"""How far beyond -1 and 1 entries of actions may lie: they are rounded values of -1 and 1."""


def without_rounding(actions: np.ndarray) -> np.ndarray:
    """Return float32 actions with entries that exceed -1 or 1 by at most `ROUNDING` set to these.

    Legal actions are returned as they are, and so are entries that a check has yet to refuse.
    """
    size = np.abs(actions)
    over = size > 1.0
    if not over.any():
        return actions
    return np.where(over & (size <= 1.0 + ROUNDING), np.sign(actions), actions)


MARKET_NUMBERS = ("day", "welfare", "emission_hhi", "price_sum", "registrations", "dissolutions")
"""Fields of a world that infos report."""
WHOLE_NUMBERS = ("day", "registrations", "dissolutions")
MARKET_ROWS = ("true_value", "spot_price", "emission_share")
"""Rows of the subnets that infos report."""


FACT = named_indices("Fact", ("reward", *MARKET_NUMBERS))
"""Positions in `facts`, the numbers that a step kernel returns."""
FIRST_OWN_FACT = len(FACT)
"""Position of a role's own numbers in `facts`; `MARKET_ROWS` follow them."""


@inlined_rule
def write_market(s, world, reward, own_numbers, facts):
    """Write the reward, `MARKET_NUMBERS` and, behind `own_numbers` numbers of the role, `MARKET_ROWS` into `facts`."""
    facts[FACT.reward] = reward
    facts[FACT.day] = world.day
    facts[FACT.welfare] = world.welfare
    facts[FACT.emission_hhi] = world.emission_hhi
    facts[FACT.price_sum] = world.price_sum
    facts[FACT.registrations] = world.registrations
    facts[FACT.dissolutions] = world.dissolutions
    first, n = FIRST_OWN_FACT + own_numbers, s.true_value.size
    for i in range(n):
        facts[first + i] = s.true_value[i]
    for i in range(n):
        facts[first + n + i] = s.spot_price[i]
    for i in range(n):
        facts[first + 2 * n + i] = s.emission_share[i]


TERMINATED, TRUNCATED, OTHER_KERNEL = 1, 2, -1
"""Return codes of a step kernel: flags of how the episode ends; -1 where the world needs the day's other kernel; or
-2 - k for an action whose entry k is bad. With the last two nothing has changed."""


@inlined_rule
def refusal(action, advance):
    """Return code of a step kernel before anything changes: 0, `OTHER_KERNEL`, or the code of a bad entry.

    `advance` is the address of the day's kernel, 0 if the world needs the other one.
    """
    if advance == 0:
        return OTHER_KERNEL
    bad = first_bad(action)
    return OTHER_KERNEL - 1 - bad if bad >= 0 else 0


@inlined_rule
def end_of_step(world, out, steps, max_steps):
    """Count a step; return `TERMINATED`, `TRUNCATED` or 0."""
    steps[0] += 1
    if out or world.day >= world.last_day:
        return TERMINATED
    return TRUNCATED if steps[0] >= max_steps else 0


def plain(value: Any) -> Any:
    """Convert a NumPy number to Python's own, which Gymnasium's vector environments collect; keep arrays."""
    return value.item() if isinstance(value, np.generic) else value


def refuse(actions: np.ndarray, bad: int) -> None:
    """Raise ValueError for the entry of `(rows, size)` actions at flat index `bad`; do nothing if it is negative."""
    if bad >= 0:
        world, entry = divmod(bad, actions.shape[1])
        raise ValueError(
            f"action: got {actions[world, entry]!s} at world {world}, entry {entry}, "
            "allowed are numbers from -1 to 1"
        )


def as_float32(actions: Any) -> np.ndarray:
    """Convert actions to the float32 arrays that kernels take: contiguous and writable.

    Numbers beyond the range of float32 become infinite. Raises ValueError for anything but real numbers.
    """
    actions = np.asarray(actions)
    if actions.dtype == np.float32 and actions.flags.carray:
        return actions
    if actions.dtype.kind not in "biuf":
        raise ValueError(
            f"action: got {actions.dtype} numbers, allowed are real ones, best float32"
        )
    with np.errstate(over="ignore"):
        return np.require(actions.astype(np.float32), requirements=["C", "A", "W"])
