"""The rollout buffer: the minibatches of Stable-Baselines3, from memory that is kept."""

import numpy as np
import pytest
import torch
from dtao_agents.training.rollout_buffer import ContiguousRolloutBuffer
from gymnasium import spaces
from stable_baselines3.common.buffers import RolloutBuffer

STEPS, WORLDS = 6, 4


def filled(buffer_class, seed=0):
    """A full buffer of random steps."""
    box = spaces.Box(-1.0, 1.0, (5,), np.float32)
    buffer = buffer_class(STEPS, box, spaces.Box(-1.0, 1.0, (2,), np.float32), n_envs=WORLDS)
    fill(buffer, seed)
    return buffer


def fill(buffer, seed):
    rng = np.random.default_rng(seed)

    def draw(*shape):
        return rng.normal(size=(WORLDS, *shape)).astype(np.float32)

    for step in range(STEPS):
        starts = np.full(WORLDS, step == 0, np.float32)
        values, log_probs = torch.tensor(draw(1)), torch.tensor(draw())
        buffer.add(draw(5), draw(2), draw(), starts, values, log_probs)
    buffer.compute_returns_and_advantage(torch.tensor(draw(1)), np.zeros(WORLDS, bool))


def minibatches(buffer, size, seed):
    np.random.seed(seed)  # noqa: NPY002  buffers of Stable-Baselines3 shuffle with it
    return [tuple(part.clone() for part in batch) for batch in buffer.get(size)]


@pytest.mark.parametrize("size", [1, 8, 7, None])
def test_minibatches_are_those_of_stable_baselines(size):
    ours, theirs = filled(ContiguousRolloutBuffer), filled(RolloutBuffer)
    for epoch in range(2):
        found, expected = minibatches(ours, size, epoch), minibatches(theirs, size, epoch)
        assert len(found) == len(expected)
        for mine, other in zip(found, expected, strict=True):
            for a, b in zip(mine, other, strict=True):
                assert a.dtype == b.dtype
                assert torch.equal(a, b)


def test_a_new_rollout_replaces_the_old_one_in_the_same_memory():
    buffer, fresh = filled(ContiguousRolloutBuffer), filled(ContiguousRolloutBuffer, seed=1)
    memory = buffer.observations
    minibatches(buffer, 8, 0)
    buffer.reset()
    with pytest.raises(AssertionError, match="not complete"):
        next(buffer.get(8))
    fill(buffer, 1)
    assert buffer.observations is memory
    for mine, other in zip(minibatches(buffer, 8, 0), minibatches(fresh, 8, 0), strict=True):
        assert all(map(torch.equal, mine, other))


def test_minibatches_of_an_epoch_do_not_share_steps():
    buffer = filled(ContiguousRolloutBuffer)
    batches = list(buffer.get(8))
    rows = torch.cat([batch.observations for batch in batches])
    assert len(rows.unique(dim=0)) == STEPS * WORLDS
