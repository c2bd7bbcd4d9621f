"""A rollout buffer that reuses its memory and copies each step once per epoch."""

from collections.abc import Generator

import numpy as np
import torch
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.type_aliases import RolloutBufferSamples


class ContiguousRolloutBuffer(RolloutBuffer):
    """The rollout buffer of Stable-Baselines3, for boxes of observations and actions, with less copying.

    The original allocates its arrays for each rollout, reorders them from steps to environments, gathers each minibatch
    in numpy and copies it to torch. Here arrays keep their memory and their shape `(buffer_size, n_envs, ...)`, and all
    steps are gathered once per epoch, in the order of the minibatches, which are views of the result and valid until the
    next call of `get`. The minibatches are the same, given the same state of numpy's random numbers.
    """

    def reset(self) -> None:
        """Start a new rollout in the same memory."""
        if "observations" in self.__dict__:
            self.pos, self.full = 0, False
            return
        super().reset()
        self._shuffled: list[torch.Tensor] = []

    def get(self, batch_size: int | None = None) -> Generator[RolloutBufferSamples, None, None]:
        """Yield minibatches of all steps in random order; one of all steps if no size is given."""
        assert self.full, "get: the rollout is not complete"
        n_steps = self.buffer_size * self.n_envs
        # Stable-Baselines3 numbers the steps of the first environment first
        drawn = np.random.permutation(n_steps)  # noqa: NPY002
        order = torch.from_numpy(drawn % self.buffer_size * self.n_envs + drawn // self.buffer_size)
        columns = (self.values, self.log_probs, self.advantages, self.returns)
        rows = [self._rows(array) for array in (self.observations, self.actions)]
        rows += [self._rows(array).squeeze(1) for array in columns]
        if not self._shuffled:
            self._shuffled = [torch.empty_like(part) for part in rows]
        for part, gathered in zip(rows, self._shuffled, strict=True):
            torch.index_select(part, 0, order, out=gathered)
        size = batch_size or n_steps
        for first in range(0, n_steps, size):
            parts = [part[first : first + size].to(self.device) for part in self._shuffled]
            yield RolloutBufferSamples(*parts)

    def _rows(self, array: np.ndarray) -> torch.Tensor:
        """One row for each step, without a copy."""
        return torch.from_numpy(array).reshape(self.buffer_size * self.n_envs, -1)
