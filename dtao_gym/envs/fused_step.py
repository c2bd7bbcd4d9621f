"""A step of one world with one learner in one compiled call: decode, advance, observe, reward, info.

A role takes part by `step_kernel`, whose arguments `FusedStep` makes, `step_arguments(batch)`, its last ones,
`n_scratch_rows`, `info_numbers` (names of the numbers of its own that the kernel writes into `facts`) and `info_flags`
(those of them that are true or false). Results equal those of `Episodes.step` bit for bit; what is saved is the
time between the kernels, most of a small world's step.
"""

from typing import Any

import numpy as np

from dtao_gym.compiling import address_of
from dtao_gym.envs.features import (
    FIRST_OWN_FACT,
    MARKET_NUMBERS,
    MARKET_ROWS,
    OTHER_KERNEL,
    TERMINATED,
    TRUNCATED,
    WHOLE_NUMBERS,
    as_float32,
    refuse,
    without_rounding,
)
from dtao_gym.envs.worlds import Episodes, no_orders
from dtao_gym.world.day import advance_equal, advance_weighted


def fusible(episodes: Episodes) -> bool:
    """Return whether a step of these episodes is no more than the role's `step_kernel` does."""
    batch, role = episodes.batch, episodes.role
    if role.step_kernel is None or batch.n_worlds > 1:
        return False
    return role.step_arguments(batch) is not None


class FusedStep:
    """Steps of the world of `fusible` episodes without rivals and users' rules, while it is `current`."""

    def __init__(self, episodes: Episodes):
        batch, role = episodes.batch, episodes.role
        n = batch.layout.n_subnets
        self._episodes, self._batch, self._role = episodes, batch, role
        self._config, self._base = batch.configs[0], batch.table
        self._counts = (episodes.reward_baseline, episodes.steps)
        self._table = batch.table.working(orders=no_orders(batch))
        equal = bool(batch.state.worlds["equal_weights"][0])
        kernels = (address_of(advance_equal), 0) if equal else (0, address_of(advance_weighted))
        self._before = (self._table.address, kernels, episodes.config.days_per_step)
        self._scratch = np.empty((role.n_scratch_rows, n))
        self._after = (episodes.steps, episodes.max_steps, episodes.reward_baseline)
        self._after += role.step_arguments(batch)
        self._shape, self._size = role.action_space.shape, role.observation_space.shape[0]
        self._n_numbers = FIRST_OWN_FACT + len(role.info_numbers)
        ends = [self._n_numbers + k * n for k in range(len(MARKET_ROWS) + 1)]
        self._rows = [(r, slice(*ends[k : k + 2])) for k, r in enumerate(MARKET_ROWS)]
        self._n_facts = ends[-1]
        self._names = (*MARKET_NUMBERS, *role.info_numbers)
        kinds = dict.fromkeys(WHOLE_NUMBERS, int) | dict.fromkeys(role.info_flags, bool)
        self._kinds = [(self._names.index(name), kind) for name, kind in kinds.items()]

    def current(self) -> bool:
        """Return whether arrays and configuration are those that this object was made for."""
        baseline, steps = self._counts
        return (
            self._batch.table is self._base
            and self._batch.configs[0] is self._config
            and self._episodes.reward_baseline is baseline
            and self._episodes.steps is steps
        )

    def __call__(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]] | None:
        """Return the results of `Env.step`; None, with nothing changed, where the world needs the other kernel.

        Raises ValueError and RuntimeError as `Episodes.step` does.
        """
        if (
            action.__class__ is not np.ndarray
            or action.dtype != np.float32
            or action.shape != self._shape
            or not action.flags.carray
        ):
            action = np.asarray(action)
            if action.shape != self._shape:
                raise ValueError(f"action: got shape {action.shape}, allowed is {self._shape}")
            action = as_float32(action)
        obs, facts = np.empty((1, self._size), np.float32), np.empty(self._n_facts)
        with self._batch.one_thread:
            code = self._role.step_kernel(
                *self._before, action, self._scratch, obs, facts, *self._after
            )
            if code < OTHER_KERNEL:
                action = without_rounding(action)
                code = self._role.step_kernel(
                    *self._before, action, self._scratch, obs, facts, *self._after
                )
        if code < 0:
            if code == OTHER_KERNEL:
                return None
            refuse(action[None], OTHER_KERNEL - 1 - code)
        first = self._n_numbers
        reward, *numbers = facts[:first].tolist()
        for k, kind in self._kinds:
            numbers[k] = kind(numbers[k])
        info: dict[str, Any] = dict(zip(self._names, numbers, strict=True))
        for name, place in self._rows:
            info[name] = facts[place]
        return obs[0], reward, code & TERMINATED != 0, code & TRUNCATED != 0, info
