"""The role of a staker: actions, reward, infos. The observation is in `observation.py`."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import spaces

from dtao_gym.compiling import kernel, rule
from dtao_gym.envs.features import (
    FIRST_OWN_FACT,
    as_float32,
    end_of_step,
    first_bad,
    named_indices,
    refusal,
    refuse,
    without_rounding,
    write_market,
)
from dtao_gym.envs.role import Role
from dtao_gym.envs.staker.observation import (
    N_SCRATCH_ROWS,
    observation_size,
    observe_kernel,
    observe_stakers,
)
from dtao_gym.envs.staker.picture import StakerPicture
from dtao_gym.envs.task import TaskConfig
from dtao_gym.numerics import exp, row_sum
from dtao_gym.views import call_address
from dtao_gym.world.batch import Batch
from dtao_gym.world.config import ConfigError
from dtao_gym.world.day import run_over_worlds
from dtao_gym.world.ledger import refill
from dtao_gym.world.state import alpha_row, subnet_rows
from dtao_gym.world.table import arrays_of

LOGIT_SCALE = 10.0
"""Target weights are softmax(10 a): weights may differ by a factor of e**20."""
MAX_STAKERS = 64
INFO_FIELDS = {"wealth": "wealth", "root_tao": "root", "traded_tao": "traded"}
"""Names in `info`, and the fields of a staker account."""
N_OWN_FACTS, OWN_FACT = len(INFO_FIELDS), named_indices("OwnFact", tuple(INFO_FIELDS))


@rule
def _decode_staker(fields, me, staker, at, action, orders):
    """Write orders towards the weights softmax(10 a): positive TAO to stake, negative alpha to unstake."""
    s = subnet_rows(fields)
    n = s.spot_price.size
    alpha = alpha_row(fields, at.staker_alpha + staker)
    go = 0.5 * (action[n + 1] + 1.0)
    top = action[0]
    for i in range(n):
        top = max(top, action[i + 1])
    for i in range(n):
        orders[i] = exp(LOGIT_SCALE * (action[i + 1] - top))
    weights = exp(LOGIT_SCALE * (action[0] - top)) + row_sum(orders)
    total = me.root
    for i in range(n):
        total += alpha[i] * s.spot_price[i]
    for i in range(n):
        gap = go * (orders[i] / weights * total - alpha[i] * s.spot_price[i])
        orders[i] = gap if gap >= 0.0 or s.spot_price[i] <= 0.0 else gap / s.spot_price[i]


@kernel
def _decode_kernel(table, actions, playing, orders):
    """Orders of stakers. Returns -1, or the flat index of the first bad entry, before any order is written."""
    a = arrays_of(table)
    for row in range(actions.shape[0]):
        bad = first_bad(actions[row])
        if bad >= 0:
            return row * actions.shape[1] + bad
    for w in range(a.stakers.shape[0]):
        for staker in range(a.stakers.shape[1]):
            row = w * a.stakers.shape[1] + staker
            mine = orders[w, staker]
            mine[:] = 0.0
            if playing[row]:
                _decode_staker(a.fields[w], a.stakers[w, staker], staker, a.at, actions[row], mine)
    return -1


@kernel
def _step_kernel(table, kernels, days, action, scratch, obs, facts, steps, max_steps, baseline):
    """The step of a staker: decode, advance, observe, reward, info. See `dtao_gym.envs.fused_step`."""
    a = arrays_of(table)
    world, me, zero = a.worlds[0], a.stakers[0, 0], np.int64(0)
    advance = kernels[0] if world.equal_weights else kernels[1]
    refused = refusal(action, advance)
    if refused != 0:
        return refused
    _decode_staker(a.fields[0], me, 0, a.at, action, a.orders[0, 0])
    call_address(advance, (table, days, zero, zero + 1))
    observe_stakers(a, 0, scratch, obs)
    reward = me.log_wealth - baseline[0]
    write_market(subnet_rows(a.fields[0]), world, reward, N_OWN_FACTS, facts)
    own = facts[FIRST_OWN_FACT:]
    own[OWN_FACT.wealth], own[OWN_FACT.root_tao] = me.wealth, me.root
    own[OWN_FACT.traded_tao] = me.traded
    baseline[0] = me.log_wealth
    return end_of_step(world, me.ruined, steps, max_steps)


class Staker(Role):
    """A TAO holder who chooses a portfolio over root and the subnets and is paid in growth of liquidation wealth.

    Action, `Box(-1, 1, (n_subnets + 2,), float32)`: logits of the target weights of root and of each subnet,
    weights = softmax(10 a); last the share of the gap to the target that is traded, 0 at -1 and all of it at 1. TAO
    that is not staked in a subnet is staked in root.

    Observation, `Box(-1, 1, (12 n_subnets + 7,), float32)`: `SUBNET_FEATURES` of the first subnet, of the second and
    so on, then `GLOBAL_FEATURES` (`dtao_gym.envs.staker.observation`); unbounded quantities through a tanh. All of it
    is public or the staker's own; the public signal has the same lag as for everybody.

    Reward: change of the log of liquidation wealth, that is root plus the proceeds of selling all alpha and claims
    now, fees and own price impact included. The rewards of an episode add up to its log growth.

    Terminated when wealth falls below `ruin_fraction` of its start.
    """

    name = "staker"
    n_stakers = 1
    default_members = 1
    picture = StakerPicture
    n_scratch_rows = N_SCRATCH_ROWS
    info_numbers = tuple(INFO_FIELDS)
    step_kernel = staticmethod(_step_kernel)

    @classmethod
    def task(cls, config: Any = None, **overrides: Any) -> TaskConfig:
        """Return the checked configuration of environments with one staker per world. Raises ConfigError."""
        made = TaskConfig.make(config, **overrides).with_stakers(1)
        for name in ("terminal_value", "reward_noise", "twin_world"):
            if getattr(made, name):
                raise ConfigError(f"{name}: got True, allowed is False where a staker learns")
        return made

    @classmethod
    def members_of(cls, config: Any, wanted: Any) -> tuple[int, ...]:
        """Return the staker accounts of each world; `wanted` is their number, 0 to 64. Raises ConfigError."""
        if not isinstance(wanted, int | np.integer) or not 0 <= wanted <= MAX_STAKERS:
            raise ConfigError(
                f"stakers: got {wanted!r}, allowed are whole numbers from 0 to {MAX_STAKERS}"
            )
        return tuple(range(int(wanted)))

    def __init__(self, batch: Batch, members: Sequence[int] | None = None, respawn: bool = False):
        n = batch.layout.n_subnets
        self.members = tuple(range(batch.layout.n_stakers))
        self.observation_space = spaces.Box(-1.0, 1.0, (observation_size(n),), np.float32)
        self.action_space = spaces.Box(-1.0, 1.0, (n + 2,), np.float32)

    def observe(self, batch: Batch) -> np.ndarray:
        """Return fresh observations `(rows, 12 n_subnets + 7)` float32 of the present state."""
        obs = np.empty((*batch.state.stakers.shape, *self.observation_space.shape), np.float32)
        table, n = batch.table, batch.layout.n_subnets

        def task(first, last):
            observe_kernel(table.address, np.empty((N_SCRATCH_ROWS, n)), obs, first, last)

        run_over_worlds(batch.n_worlds, batch.threads, task)
        return obs.reshape(-1, obs.shape[2])

    def apply(
        self, batch: Batch, actions: np.ndarray, playing: np.ndarray | None = None
    ) -> np.ndarray:
        """Return the orders of actions `(rows, n_subnets + 2)`; see `Role.apply`."""
        actions = without_rounding(as_float32(actions))
        if playing is None:
            playing = np.ones(len(actions), bool)
        orders = np.empty((*batch.state.stakers.shape, batch.layout.n_subnets))
        table = batch.table
        refuse(actions, _decode_kernel(table.address, actions, playing, orders))
        return orders

    def _accounts(self, batch: Batch, name: str) -> np.ndarray:
        """`(rows,)` a field of the accounts, fresh."""
        return batch.state.stakers[name].flatten()

    def reward_baseline(self, batch: Batch) -> np.ndarray:
        """Return `(rows,)` log liquidation wealth."""
        return self._accounts(batch, "log_wealth")

    def reward(self, batch: Batch, baseline: np.ndarray) -> np.ndarray:
        """Return `(rows,)` growth of log wealth since `baseline`."""
        return self._accounts(batch, "log_wealth") - baseline

    def terminated(self, batch: Batch) -> np.ndarray:
        """Return `(rows,)` bool: wealth is below `ruin_fraction` of its start."""
        return self._accounts(batch, "ruined")

    def respawn(self, batch: Batch, rows: np.ndarray) -> None:
        """Refill ruined stakers to their initial wealth, as far as scripted stakers can pay it."""
        refill(batch.state, rows)

    def info(self, batch: Batch) -> dict[str, np.ndarray]:
        """Return wealth (liquidation, TAO), root_tao, traded_tao (exchanged with pools in this step), each `(rows,)`."""
        return {name: self._accounts(batch, field) for name, field in INFO_FIELDS.items()}

    def episode_statistics(self, batch: Batch) -> dict[str, np.ndarray]:
        """Return the final liquidation wealth, TAO, `(rows,)`."""
        return {"wealth": self._accounts(batch, "wealth")}

    def step_arguments(self, batch: Batch) -> tuple | None:
        """No further arguments of `step_kernel`."""
        return ()


def target_action(weights: np.ndarray, go: float = 1.0) -> np.ndarray:
    """Return the staker action whose softmax is `weights`, to within e**-20 of the largest.

    Parameters
    ----------
    weights : `(..., n_subnets + 1)`
        Target weights, root first; not negative, with a positive sum.
    go : float
        Share of the gap to the target that is traded, 0 to 1.

    Returns
    -------
    `(..., n_subnets + 2)` float32
    """
    weights = np.asarray(weights, float)
    relative = np.maximum(weights / weights.max(axis=-1, keepdims=True), np.exp(-2 * LOGIT_SCALE))
    logits = 1.0 + np.log(relative) / LOGIT_SCALE
    last = np.full((*weights.shape[:-1], 1), 2.0 * go - 1.0)
    return np.concatenate([logits, last], axis=-1).astype(np.float32)
