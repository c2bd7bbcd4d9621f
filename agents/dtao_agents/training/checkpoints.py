"""Checkpoints of a run: everything that its continuation depends on, as tensors and JSON in one file.

A checkpoint is taken between two rollouts. A run that is killed and resumed from one ends with the weights
of an uninterrupted run, bit for bit, on the same machine with the same versions and threads.
Each holds a checksum of all its content; where the newest is damaged, a run continues from the one before.
"""

import hashlib
import json
import re
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save
from stable_baselines3 import PPO

from dtao_agents.files import remove_leftovers, write_atomically
from dtao_gym.envs.sb3 import MarketVecEnv
from dtao_gym.envs.worlds import SeededWorlds
from dtao_gym.replay.worlds import ReplayBatch
from dtao_gym.world.state import State

FORMAT = 2
"""1: without a checksum."""
KEPT = 2
PATTERN = "step_*.safetensors"
NAME = re.compile(r"step_\d{12,18}\.safetensors", re.ASCII)


class CheckpointError(ValueError):
    """A checkpoint is missing or does not fit the run; the message names the file and the entry."""


def write_checkpoint(
    folder: Path,
    arrays: dict[str, np.ndarray],
    own: dict[str, Any],
    timesteps: int,
    facts: dict[str, Any],
) -> Path:
    """Write `step_<timesteps>.safetensors` atomically and return the path; the last two are kept.

    Checkpoints of later steps are removed too: those are damaged, else the run had continued from them.

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
    content = json.dumps({"format": FORMAT, "own": own, "run": facts})
    metadata = {"checkpoint": content, "sha256": _checksum(content, arrays)}
    path = folder / f"step_{timesteps:012d}.safetensors"
    write_atomically(path, save(arrays, metadata))
    checkpoints = _checkpoints(folder)
    place = checkpoints.index(path)
    for old in (*checkpoints[: max(place + 1 - KEPT, 0)], *checkpoints[place + 1 :]):
        old.unlink()
    return path


def remove_half_written(folder: Path) -> None:
    """Remove what a killed write left. Only for the process that trains in the folder."""
    remove_leftovers(folder, (PATTERN,))


def latest_checkpoint(folder: Path) -> Path:
    """Return the newest checkpoint. Raises CheckpointError where there is none."""
    checkpoints = _checkpoints(folder)
    if not checkpoints:
        raise CheckpointError(
            f"{folder}: got no checkpoint, allowed is a folder of a run that wrote one"
        )
    return checkpoints[-1]


def read_latest(folder: Path) -> tuple[dict[str, np.ndarray], dict[str, Any], dict[str, Any]]:
    """Return the content of the newest checkpoint that is whole, as `read_checkpoint` does.

    Prints a line for each damaged one that it passes over. Raises CheckpointError where none is left.
    """
    latest_checkpoint(folder)
    checkpoints = _checkpoints(folder)[::-1]
    for path, before in zip(checkpoints, (*checkpoints[1:], None), strict=True):
        try:
            return read_checkpoint(path)
        except CheckpointError as error:
            if before is None:
                raise
            print(f"warning: {error}; trying {before.name}", file=sys.stderr, flush=True)
    raise AssertionError


def steps_of_latest(folder: Path) -> int | None:
    """Return the steps in the name of the newest checkpoint; None where there is none."""
    checkpoints = _checkpoints(folder)
    return int(checkpoints[-1].name.split("_")[1].split(".")[0]) if checkpoints else None


def read_checkpoint(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any], dict[str, Any]]:
    """Return arrays and facts for `restore`, and the facts of the run. Runs no code from the file.

    Raises CheckpointError for unusable files.
    """
    try:
        with safe_open(path, "np") as file:
            metadata = dict(file.metadata() or {})
            text = metadata["checkpoint"]
            content = dict(json.loads(text))
            form = content.get("format")
            # before the arrays, so that files of other versions are not called damaged
            if type(form) is not int or form != FORMAT:
                raise CheckpointError(f"{path}: format: got {form!r:.40}, allowed is {FORMAT}")
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            if metadata.get("sha256") != _checksum(text, arrays):
                raise CheckpointError(f"{path}: is damaged: its content does not fit its checksum")
            return arrays, dict(content["own"]), dict(content["run"])
    except CheckpointError:
        raise
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RecursionError) as error:
        told = " ".join(str(error).split())[:200]
        raise CheckpointError(f"{path}: cannot be read: {type(error).__name__}: {told}") from None


def _checkpoints(folder: Path) -> list[Path]:
    """All checkpoints by steps, the newest last."""
    return sorted(path for path in folder.glob(PATTERN) if NAME.fullmatch(path.name))


def _checksum(content: str, arrays: dict[str, np.ndarray]) -> str:
    """SHA-256 of the facts, and of names, types, shapes and values of the arrays."""
    digest = hashlib.sha256(content.encode(errors="surrogatepass"))
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        shape = np.shape(arrays[name])  # `ascontiguousarray` turns numbers into lists of one
        digest.update(f"\n{name!r} {array.dtype.str} {shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


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
    if model.device.type == "cuda":  # which draws the noise of exploration
        arrays["cuda_rng"] = torch.cuda.get_rng_state().numpy()
    facts |= own | {
        "progress_remaining": model._current_progress_remaining,
        "episode_infos": list(model.ep_info_buffer or ()),
    }
    return {name: np.ascontiguousarray(array) for name, array in arrays.items()}, facts


@contextmanager
def must_fit() -> Iterator[None]:
    """Raise CheckpointError where entries of a checkpoint are missing, or of another kind of run."""
    try:
        yield
    except CheckpointError:
        raise
    except (LookupError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        told = " ".join(str(error).split())[:200]
        raise CheckpointError(
            f"checkpoint does not fit the configured run: {type(error).__name__}: {told}"
        ) from None


def restore(model: PPO, arrays: dict[str, np.ndarray], facts: dict[str, Any]) -> None:
    """Give a new model the state of the captured one. Raises CheckpointError if it does not fit."""
    with must_fit():
        restore_learner(model, arrays, facts)
        env = _env_of(model)
        restore_worlds(env.episodes, arrays, facts)
        env._returns[:] = arrays["returns"]
        if model.device.type == "cuda" and "cuda_rng" in arrays:
            torch.cuda.set_rng_state(torch.from_numpy(arrays["cuda_rng"]))
        model._last_obs = arrays["last_observation"]
        model._last_episode_starts = arrays["episode_starts"]
        model._current_progress_remaining = facts["progress_remaining"]
        model.ep_info_buffer = deque(facts["episode_infos"], maxlen=model._stats_window_size)
        model.ep_success_buffer = deque(maxlen=model._stats_window_size)


def learner_arrays(model: PPO) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the network parameters, optimiser moments and counts of a learner."""
    state = model.policy.state_dict()
    arrays = {f"policy/{name}": value.detach().cpu().numpy() for name, value in state.items()}
    for index, moments in model.policy.optimizer.state_dict()["state"].items():
        for name, value in moments.items():
            arrays[f"optimizer/{index}/{name}"] = value.cpu().numpy()
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
