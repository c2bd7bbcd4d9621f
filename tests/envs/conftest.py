"""Fixtures that the tests of the environments share."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from dtao_gym.envs.single import SingleEnv


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def same() -> Callable[[Any, Any], bool]:
    """Whether two nested results of an environment are equal bit for bit, in values, types and shapes."""

    def equal(a: Any, b: Any) -> bool:
        if isinstance(a, dict):
            return (
                isinstance(b, dict) and a.keys() == b.keys() and all(equal(a[k], b[k]) for k in a)
            )
        if isinstance(a, tuple | list):
            return len(a) == len(b) and all(map(equal, a, b))
        if isinstance(a, np.ndarray) and a.dtype == object:
            return a.shape == b.shape and all(map(equal, a, b))
        if isinstance(a, np.ndarray | np.generic):
            a, b = np.asarray(a), np.asarray(b)
            return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
        return type(a) is type(b) and a == b

    return equal


@pytest.fixture(scope="session")
def state_bytes() -> Callable[[Any], bytes]:
    """Everything that a step or reset may change, as bytes."""

    def read(episodes: Any) -> bytes:
        state = episodes.batch.state
        arrays = [getattr(state, name).tobytes() for name in state.ARRAYS]
        book = (
            episodes.seeds,
            episodes.numbers,
            episodes.steps.tolist(),
            episodes.reward_baseline.tolist(),
        )
        return b"".join(arrays) + repr(book).encode()

    return read


@pytest.fixture(scope="session")
def play() -> Callable[..., list]:
    """Results of steps with random actions, whose last entry (trade fraction) may be fixed."""

    def steps(env: SingleEnv, rng: np.random.Generator, n: int, go: float | None = None) -> list:
        results = []
        for _ in range(n):
            action = rng.uniform(-1, 1, env.action_space.shape).astype(np.float32)
            if go is not None:
                action[-1] = 2.0 * go - 1.0
            results.append(copy.deepcopy(env.step(action)))
        return results

    return steps
