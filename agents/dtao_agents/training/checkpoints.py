"""Checkpoints of a run: everything that its continuation depends on, as tensors and JSON in one file.

A checkpoint is taken between two rollouts. A run that is killed and resumed from one ends with the weights
of an uninterrupted run, bit for bit, on the same machine with the same versions and threads.
"""

import json
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save
from stable_baselines3 import PPO

from dtao_agents.files import write_atomically
from dtao_gym.envs.sb3 import MarketVecEnv
from dtao_gym.envs.worlds import SeededWorlds
from dtao_gym.replay.worlds import ReplayBatch
from dtao_gym.world.state import State

FORMAT = 1
KEPT = 2
PATTERN = "step_*.safetensors"


class CheckpointError(ValueError):
    """A checkpoint is missing or does not fit the run; the message names the file and the entry."""


def write_checkpoint(
    folder: Path,
    arrays: dict[str, np.ndarray],
    own: dict[str, Any],
    timesteps: int,
    facts: dict[str, Any],
) -> Path:
    """Write `step_<timesteps>.safetensors` atomically, remove all but the last two, and return the path.

    Parameters
    ----------
    folder : Path
        An existing folder.
    arrays, own : dict
        Results of `capture`.
    timesteps : int
        Steps of the run so far.
    facts : dict
        Further JSON values for the run, which `read_checkpoint` returns.
    """
    metadata = {"checkpoint": json.dumps({"format": FORMAT, "own": own, "run": facts})}
    path = folder / f"step_{timesteps:012d}.safetensors"
    write_atomically(path, save(arrays, metadata))
    for old in sorted(folder.glob(PATTERN))[:-KEPT]:
        old.unlink()
    return path


def latest_checkpoint(folder: Path) -> Path:
    """Return the newest checkpoint. Raises CheckpointError where there is none."""
    checkpoints = sorted(folder.glob(PATTERN))
    if not checkpoints:
        raise CheckpointError(
            f"{folder}: got no checkpoint, allowed is a folder of a run that wrote one"
        )
    return checkpoints[-1]


def read_checkpoint(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any], dict[str, Any]]:
    """Return arrays and facts for `restore`, and the facts of the run. Runs no code from the file.

    Raises CheckpointError for unusable files.
    """
    try:
        with safe_open(path, "np") as file:
            content = dict(json.loads((file.metadata() or {})["checkpoint"]))
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read: {type(error).__name__}: {error}") from None
    if content.get("format") != FORMAT:
        raise CheckpointError(f"{path}: format: got {content.get('format')!r}, allowed is {FORMAT}")
    return arrays, content["own"], content["run"]


def capture(model: PPO) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return arrays and JSON facts for `restore`, of PPO over a `MarketVecEnv` between two rollouts."""
    env = _env_of(model)
    arrays: dict[str, Any]
    arrays, facts = worlds_arrays(env.episodes)
    of_learner, own = learner_arrays(model)
    arrays |= of_learner
    arrays["last_observation"] = model._last_obs
    arrays["episode_starts"] = model._last_episode_starts
    arrays["returns"] = env._returns
    facts |= own | {
        "progress_remaining": model._current_progress_remaining,
        "episode_infos": list(model.ep_info_buffer or ()),
    }
    return {name: np.ascontiguousarray(array) for name, array in arrays.items()}, facts


def restore(model: PPO, arrays: dict[str, np.ndarray], facts: dict[str, Any]) -> None:
    """Give a new model the state of the captured one. Raises CheckpointError if it does not fit."""
    restore_learner(model, arrays, facts)
    env = _env_of(model)
    restore_worlds(env.episodes, arrays, facts)
    env._returns[:] = arrays["returns"]
    model._last_obs = arrays["last_observation"]
    model._last_episode_starts = arrays["episode_starts"]
    model._current_progress_remaining = facts["progress_remaining"]
    model.ep_info_buffer = deque(facts["episode_infos"], maxlen=model._stats_window_size)
    model.ep_success_buffer = deque(maxlen=model._stats_window_size)


def learner_arrays(model: PPO) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the network parameters, optimiser moments and counts of a learner."""
    arrays = {f"policy/{k}": v.detach().numpy() for k, v in model.policy.state_dict().items()}
    for index, moments in model.policy.optimizer.state_dict()["state"].items():
        arrays |= {f"optimizer/{index}/{name}": value.numpy() for name, value in moments.items()}
    return arrays, {"num_timesteps": model.num_timesteps, "n_updates": model._n_updates}


def restore_learner(model: PPO, arrays: dict[str, np.ndarray], facts: dict[str, Any]) -> None:
    """Load the result of `learner_arrays` into a new model. Raises CheckpointError if it does not fit."""
    parameters = {
        k.removeprefix("policy/"): torch.from_numpy(v)
        for k, v in arrays.items()
        if k.startswith("policy/")
    }
    try:
        model.policy.load_state_dict(parameters)
    except RuntimeError as error:
        raise CheckpointError(f"weights do not fit the configured network: {error}") from None
    _restore_optimizer(model.policy.optimizer, arrays)
    model.num_timesteps = facts["num_timesteps"]
    model._n_updates = facts["n_updates"]


def worlds_arrays(worlds: SeededWorlds) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return state, seeds and steps of worlds, and the random state of torch and of numpy."""
    arrays: dict[str, Any] = {
        f"state/{name}": _as_bytes(getattr(worlds.batch.state, name)) for name in State.ARRAYS
    }
    arrays["episode_steps"] = worlds.steps
    arrays["torch_rng"] = torch.get_rng_state().numpy()
    generator, keys, *rest = np.random.get_state()  # noqa: NPY002  rollout buffers shuffle with it
    arrays["numpy_rng"] = keys
    facts = {
        "seeds": worlds.seeds,
        "numbers": worlds.numbers,
        "numpy_rng": [generator, *rest],
    }
    return arrays, facts


def restore_worlds(worlds: Any, arrays: dict[str, np.ndarray], facts: dict[str, Any]) -> None:
    """Load the result of `worlds_arrays` into new worlds. Raises CheckpointError if it does not fit."""
    worlds.seeds[:], worlds.numbers[:] = facts["seeds"], facts["numbers"]
    if isinstance(worlds.batch, ReplayBatch):  # the windows of its worlds follow from their seeds
        for world, (seed, number) in enumerate(zip(worlds.seeds, worlds.numbers, strict=True)):
            worlds.batch.reset(world, seed, max(number, 0))
    state = worlds.batch.state
    for name in State.ARRAYS:
        mine, saved = getattr(state, name), arrays[f"state/{name}"]
        if saved.nbytes != mine.nbytes:
            raise CheckpointError(
                f"state {name}: got {saved.nbytes} bytes, allowed are {mine.nbytes} of the configured worlds"
            )
        mine[...] = np.frombuffer(saved.tobytes(), mine.dtype).reshape(mine.shape)
    worlds.steps[:] = arrays["episode_steps"]
    worlds.reset_done()
    generator, *rest = facts["numpy_rng"]
    np.random.set_state((generator, arrays["numpy_rng"], *rest))  # noqa: NPY002
    torch.set_rng_state(torch.from_numpy(arrays["torch_rng"]))


def _env_of(model: PPO) -> MarketVecEnv:
    env = model.get_env()
    assert isinstance(env, MarketVecEnv)
    return env


def _as_bytes(array: np.ndarray) -> np.ndarray:
    """Bytes of an array of records, a type that files of tensors do not have."""
    return np.frombuffer(array.tobytes(), np.uint8)


def _restore_optimizer(optimizer: torch.optim.Optimizer, arrays: dict[str, np.ndarray]) -> None:
    moments: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in arrays.items():
        if key.startswith("optimizer/"):
            _, index, name = key.split("/")
            moments.setdefault(int(index), {})[name] = torch.from_numpy(value)
    optimizer.load_state_dict(
        {"state": moments, "param_groups": optimizer.state_dict()["param_groups"]}
    )
