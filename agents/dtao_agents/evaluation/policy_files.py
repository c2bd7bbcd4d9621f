"""Policies in files: `policy.safetensors`, the parameters of the network, and `policy.json`, its card.

Reading runs no code from the files: tensors without pickle, JSON with known keys only, sizes bounded before
anything is read. Two regular files are opened and no other: no link is followed, no pipe or device waited
for. Any fault of a file is one `PolicyError` that names the file and the entry, and quotes little of it.
"""

import hashlib
import json
import os
import re
import reprlib
import stat
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import nn

import dtao_gym
from dtao_agents.files import write_atomically
from dtao_agents.package_data import find_policy
from dtao_agents.roles.registry import policy_roles
from dtao_agents.training.architecture import NETWORKS, Architecture

WEIGHTS_NAME, CARD_NAME = "policy.safetensors", "policy.json"
FORMAT = 3
"""1: stakers without context; 2: without the entry `observe_signal`."""
MAX_WEIGHTS_BYTES, MAX_HEADER_BYTES, MAX_CARD_BYTES = 16 * 2**20, 64 * 2**10, 64 * 2**10
MAX_HIDDEN, MAX_SUBNETS = 1024, 128
MAX_WEIGHT = 1000.0
"""Largest size of a parameter. In trained policies none is above 1.3; with 1,000 everywhere and the largest
network no sum of float32 overflows."""
TEXTS = {"config_hash": "[0-9a-f]{0,64}", "package_version": "[0-9A-Za-z.+!-]{1,64}"}
"""Patterns of the entries of free text, which end up on terminals."""


class PolicyError(ValueError):
    """A policy cannot be used; the message names file and entry, the value found and what is allowed."""


@dataclass(frozen=True)
class Card:
    """The content of `policy.json`.

    Attributes
    ----------
    architecture : Architecture
        Role, network, number of subnets in training, width, size of actions.
    config_hash : str
        `config_hash` of the task of training.
    timesteps : int
        Steps of training.
    observe_signal : bool
        Whether it was trained with the public signal; else the signal is hidden from it always.
    package_version : str
        Version of `dtao_gym` that wrote the file.
    """

    architecture: Architecture
    config_hash: str
    timesteps: int
    observe_signal: bool = True
    package_version: str = dtao_gym.__version__

    def to_json(self) -> str:
        """Return the text of the file."""
        shape = self.architecture
        role = shape.agent_role
        content = {
            "format": FORMAT,
            "role": shape.role,
            "network": shape.network,
            "n_subnets": shape.n_subnets,
            "hidden": shape.hidden,
            "observation_size": shape.observation_size,
            "action_size": shape.action_size,
            "subnet_features": list(role.subnet_features),
            "global_features": list(role.global_features),
            "config_hash": self.config_hash,
            "timesteps": self.timesteps,
            "observe_signal": self.observe_signal,
            "package_version": self.package_version,
        }
        return json.dumps(content, indent=2) + "\n"


@dataclass(frozen=True)
class LearnedPolicy:
    """A learned policy: mean actions, clipped to [-1, 1], nothing random.

    Attributes
    ----------
    card : Card
        Content of its file.
    actor : torch.nn.Module
        The network.
    architecture : Architecture
        The card's, but for the number of subnets after `for_subnets`.
    """

    card: Card
    actor: nn.Module
    architecture: Architecture

    def for_subnets(self, n_subnets: int) -> "LearnedPolicy":
        """Return the same network for worlds of another number of subnets, 1 to 128.

        Raises PolicyError for a network "mlp", whose parameters fit one number alone.
        """
        return replace(self, architecture=other_subnets(self.architecture, n_subnets))

    def act(self, observation: np.ndarray) -> np.ndarray:
        """Return actions `(batch, action_size)` float32 for observations `(batch, observation_size)` float32."""
        expected = self.architecture.observation_size
        if observation.ndim != 2 or observation.shape[1] != expected:
            raise ValueError(
                f"observation: got shape {observation.shape}, allowed is (batch, {expected})"
            )
        if not self.card.observe_signal:
            observation = self.architecture.agent_role.without_signal(observation)
        return mean_action(self.actor, observation)

    def __call__(self, observation: np.ndarray, batch: Any, rngs: Any) -> np.ndarray:
        """Return the actions of `act`; callable like a scripted policy."""
        return self.act(observation)


def mean_action(actor: nn.Module, observation: np.ndarray) -> np.ndarray:
    """Return actions `(batch, size)` float32 of an actor: the mean, clipped to [-1, 1]."""
    with torch.no_grad():
        # a copy, so that results do not depend on where in memory numpy put the array
        return actor(torch.tensor(observation, dtype=torch.float32)).clamp_(-1.0, 1.0).numpy()


def config_hash(config: Any) -> str:
    """Return the SHA-256 of all parameters of a task or a replay, in any order."""
    content = json.dumps(config.model_dump(), sort_keys=True, default=str)  # dates are texts
    return hashlib.sha256(content.encode()).hexdigest()


def save_policy(folder: Path, actor: nn.Module, card: Card) -> None:
    """Write both files, each atomically."""
    tensors = {name: tensor.detach().contiguous() for name, tensor in actor.state_dict().items()}
    write_atomically(folder / WEIGHTS_NAME, save_tensors(tensors))
    write_atomically(folder / CARD_NAME, card.to_json().encode())


def other_subnets(architecture: Architecture, n_subnets: int) -> Architecture:
    """Return the architecture with the same parameters for another number of subnets. Raises PolicyError."""
    if type(n_subnets) is not int or not 1 <= n_subnets <= MAX_SUBNETS:
        got = _QUOTED.repr(n_subnets)
        raise PolicyError(f"n_subnets: got {got}, allowed are whole numbers 1 to {MAX_SUBNETS}")
    if n_subnets != architecture.n_subnets and architecture.network != "shared":
        raise PolicyError(
            f"n_subnets: got {n_subnets}, allowed is {architecture.n_subnets}: the weights of a network "
            f"{architecture.network!r} fit one number of subnets, those of 'shared' fit all"
        )
    return replace(architecture, n_subnets=n_subnets)


def load_policy(folder: str | Path, n_subnets: int | None = None) -> LearnedPolicy:
    """Return the policy of a run's folder.

    Parameters
    ----------
    folder : str or Path
        Holds policy.json and policy.safetensors.
    n_subnets : int, optional
        Subnets of the worlds it is to act in; by default as in training.

    Raises
    ------
    PolicyError
        For unusable files, and where the parameters do not fit `n_subnets`.
    """
    folder = find_policy(folder)
    card = _read_card(folder / CARD_NAME)
    actor = card.architecture.actor()
    actor.load_state_dict(_read_tensors(folder / WEIGHTS_NAME, actor.state_dict()))
    policy = LearnedPolicy(card, actor.requires_grad_(False).eval(), card.architecture)
    if n_subnets is None:
        return policy
    try:
        return policy.for_subnets(n_subnets)
    except PolicyError as error:
        raise PolicyError(f"{folder / WEIGHTS_NAME}: {error}") from None


_QUOTED = reprlib.Repr()
"""Shortens, and escapes control sequences of terminals."""
_QUOTED.maxstring, _QUOTED.maxother, _QUOTED.maxlong = 80, 80, 40


def _read_bounded(path: Path, limit: int) -> bytes:
    """Content of a regular file, no link, of at most `limit` bytes."""
    try:
        _check_regular(path, path.lstat().st_mode)
        # should the file be replaced now: no link is followed, no pipe waited for
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        with open(os.open(path, flags | getattr(os, "O_BINARY", 0)), "rb") as file:
            _check_regular(path, os.fstat(file.fileno()).st_mode)
            content = file.read(limit + 1)
    except FileNotFoundError:
        raise PolicyError(f"{path}: no such file") from None
    except OSError as error:
        raise PolicyError(f"{path}: cannot be read: {error.strerror}") from None
    if len(content) > limit:
        raise PolicyError(f"{path}: got more than {limit} bytes, allowed are up to {limit}")
    return content


def _check_regular(path: Path, mode: int) -> None:
    kinds = {
        stat.S_IFLNK: "a symbolic link",
        stat.S_IFDIR: "a folder",
        stat.S_IFIFO: "a named pipe",
        stat.S_IFSOCK: "a socket",
    }
    if not stat.S_ISREG(mode):
        got = kinds.get(stat.S_IFMT(mode), "a device")
        raise PolicyError(f"{path}: got {got}, allowed is a regular file")


def _read_object(path: Path, content: bytes, expected: str) -> dict[str, Any]:
    """A JSON object, strictly: no name twice, no NaN. `expected` names the kind of file in errors."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        content: dict[str, Any] = {}
        for name, value in pairs:
            if name in content:
                raise ValueError(f"{_QUOTED.repr(name)} is there twice")
            content[name] = value
        return content

    def refused(constant: str) -> None:
        raise ValueError(f"{constant} is no number of JSON")

    try:
        parsed = json.loads(content.decode(), object_pairs_hook=unique, parse_constant=refused)
    except (ValueError, RecursionError) as error:
        raise PolicyError(f"{path}: is not {expected}: {error}") from None
    if not isinstance(parsed, dict):
        raise PolicyError(f"{path}: got {type(parsed).__name__}, allowed is an object")
    return parsed


def _read_card(path: Path) -> Card:
    content = _read_object(path, _read_bounded(path, MAX_CARD_BYTES), "JSON")
    fields = json.loads(Card(Architecture("shared", 1, 1), "", 0).to_json())
    for name in fields.keys() - content.keys():
        raise PolicyError(f"{path}: {name} is missing")
    for name in content.keys() - fields.keys():
        raise PolicyError(
            f"{path}: {_QUOTED.repr(name)}: unknown entry, allowed are {', '.join(fields)}"
        )
    for name, value in fields.items():
        if type(content[name]) is not type(value):
            got = type(content[name]).__name__
            raise PolicyError(f"{path}: {name}: got {got}, allowed is {type(value).__name__}")
    _check_card(path, content)
    architecture = Architecture(
        content["network"], content["n_subnets"], content["hidden"], content["role"]
    )
    if architecture.agent_role.action_sizes:  # else the size follows from the subnets
        architecture = replace(architecture, n_actions=content["action_size"])
    for name in ("observation_size", "action_size"):
        allowed = getattr(architecture, name)
        if content[name] != allowed:
            got = _QUOTED.repr(content[name])
            raise PolicyError(f"{path}: {name}: got {got}, allowed is {allowed} for its subnets")
    entries = ("config_hash", "timesteps", "observe_signal", "package_version")
    return Card(architecture, **{name: content[name] for name in entries})


def _check_card(path: Path, content: dict[str, Any]) -> None:
    roles = policy_roles()
    if content["role"] not in roles:
        got = _QUOTED.repr(content["role"])
        raise PolicyError(f"{path}: role: got {got}, allowed is one of {list(roles)}")
    role = roles[content["role"]]
    allowed: dict[str, Any] = {
        "format": [FORMAT],
        "network": list(NETWORKS),
        "n_subnets": range(1, MAX_SUBNETS + 1),
        "hidden": range(1, MAX_HIDDEN + 1),
        "timesteps": range(2**63),
        "subnet_features": [list(role.subnet_features)],
        "global_features": [list(role.global_features)],
    }
    if role.action_sizes:
        allowed["action_size"] = role.action_sizes
    if not role.signal_can_be_hidden:
        allowed["observe_signal"] = [True]
    for name, values in allowed.items():
        if content[name] not in values:
            limits = f"one of {values}"
            if isinstance(values, range):
                limits = f"{values[0]} to {values[-1]}"
            got = _QUOTED.repr(content[name])
            raise PolicyError(f"{path}: {name}: got {got}, allowed is {limits}")
    for name, pattern in TEXTS.items():
        if not re.fullmatch(pattern, content[name]):
            got = _QUOTED.repr(content[name])
            raise PolicyError(f"{path}: {name}: got {got}, allowed is text that matches {pattern}")


def _read_tensors(path: Path, expected: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    content = _read_bounded(path, MAX_WEIGHTS_BYTES)
    size = int.from_bytes(content[:8], "little")
    if len(content) < 8 or size > min(MAX_HEADER_BYTES, len(content) - 8):
        raise PolicyError(
            f"{path}: got {len(content)} bytes with a header of {size}, "
            f"allowed is a safetensors file with a header of up to {MAX_HEADER_BYTES}"
        )
    _check_header(path, _read_object(path, content[8 : 8 + size], "a safetensors file"), expected)
    try:
        tensors = load_tensors(content)  # which checks that offsets are in range and do not overlap
    except (SafetensorError, ValueError, KeyError, RuntimeError) as error:
        raise PolicyError(f"{path}: is not a safetensors file: {str(error)[:200]!r}") from None
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise PolicyError(f"{path}: {name}: got NaN or infinity, allowed are finite numbers")
        if tensor.abs().max() > MAX_WEIGHT:
            got, limit = float(tensor.flatten()[tensor.abs().argmax()]), f"{MAX_WEIGHT:g}"
            raise PolicyError(f"{path}: {name}: got {got:g}, allowed is -{limit} to {limit}")
    return tensors


def _check_header(path: Path, header: dict[str, Any], expected: dict[str, torch.Tensor]) -> None:
    """Check names, types and shapes before any tensor is made."""
    for name in sorted(expected.keys() ^ (header.keys() - {"__metadata__"})):
        problem = "is missing" if name in expected else "unknown tensor"
        quoted = name if name in expected else _QUOTED.repr(name)
        raise PolicyError(f"{path}: {quoted}: {problem}, allowed are {', '.join(expected)}")
    for name, tensor in expected.items():
        entry, shape = header[name], list(tensor.shape)
        entry = entry if isinstance(entry, dict) else {}
        kind, got = entry.get("dtype"), entry.get("shape")
        if kind != "F32" or got != shape:
            quoted = f"{_QUOTED.repr(kind)} of shape {_QUOTED.repr(got)}"
            raise PolicyError(f"{path}: {name}: got {quoted}, allowed is 'F32' of shape {shape}")
