"""Policies in files: `policy.safetensors` (weights) and `policy.json` (what they are).

Reading runs no code from the files: tensors without pickle, JSON with known keys only, sizes bounded before
anything is read. Two regular files are opened and nothing beside them: no link is followed, no pipe or device waited
for. Whatever is wrong with a file is one `PolicyError` that names the file and the entry, and quotes little of it.
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
from dtao_agents.roles.scripted import without_signal
from dtao_agents.training.networks import BUILDER_ACTIONS, FEATURES, NETWORKS, Architecture

WEIGHTS_NAME, CARD_NAME = "policy.safetensors", "policy.json"
FORMAT = 3
"""1 had stakers without context; 2 did not say whether the signal was observed."""
MAX_WEIGHTS_BYTES, MAX_HEADER_BYTES, MAX_CARD_BYTES = 16 * 2**20, 64 * 2**10, 64 * 2**10
MAX_HIDDEN, MAX_SUBNETS = 1024, 128
TEXTS = {"config_hash": "[0-9a-f]{0,64}", "package_version": "[0-9A-Za-z.+!-]{1,64}"}
"""What entries of free text may be: they end up on terminals."""


class PolicyError(ValueError):
    """A policy cannot be used; the message names file and entry, what was got and what is allowed."""


@dataclass(frozen=True)
class Card:
    """What `policy.json` says.

    Attributes:
        architecture: role, network, number of subnets in training, width, size of actions.
        config_hash: of the world's parameters in training, `config_hash`.
        timesteps: of training.
        observe_signal: whether it was trained with the public signal; else it does not see it, whatever it is shown.
        package_version: of `dtao_gym` that wrote the file.
    """

    architecture: Architecture
    config_hash: str
    timesteps: int
    observe_signal: bool = True
    package_version: str = dtao_gym.__version__

    def to_json(self) -> str:
        """The text of the file."""
        shape = self.architecture
        of_subnets, once = FEATURES[shape.role]
        content = {
            "format": FORMAT,
            "role": shape.role,
            "network": shape.network,
            "n_subnets": shape.n_subnets,
            "hidden": shape.hidden,
            "observation_size": shape.observation_size,
            "action_size": shape.action_size,
            "subnet_features": list(of_subnets),
            "global_features": list(once),
            "config_hash": self.config_hash,
            "timesteps": self.timesteps,
            "observe_signal": self.observe_signal,
            "package_version": self.package_version,
        }
        return json.dumps(content, indent=2) + "\n"


@dataclass(frozen=True)
class Policy:
    """A learned policy: mean actions, clipped to [-1, 1], nothing random.

    Attributes:
        card: what the file says.
        actor: the network.
        architecture: what the network runs on; the card's, but for the number of subnets after `for_subnets`.
    """

    card: Card
    actor: nn.Module
    architecture: Architecture

    def for_subnets(self, n_subnets: int) -> "Policy":
        """The very same weights for worlds of another number of subnets, 1 to 128.

        Raises `PolicyError` for a network "mlp", whose weights fit one number alone.
        """
        return replace(self, architecture=other_subnets(self.architecture, n_subnets))

    def act(self, observation: np.ndarray) -> np.ndarray:
        """Actions `(batch, action_size)` float32 for observations `(batch, observation_size)` float32."""
        expected = self.architecture.observation_size
        if observation.ndim != 2 or observation.shape[1] != expected:
            raise ValueError(
                f"observation: got shape {observation.shape}, allowed is (batch, {expected})"
            )
        seen = observation if self.card.observe_signal else without_signal(observation)
        return mean_action(self.actor, seen)

    def __call__(self, observation: np.ndarray, batch: Any, rngs: Any) -> np.ndarray:
        """`act`, callable like a scripted policy."""
        return self.act(observation)


def mean_action(actor: nn.Module, observation: np.ndarray) -> np.ndarray:
    """Actions `(batch, size)` float32 of an actor: the mean, clipped to [-1, 1]."""
    with torch.no_grad():
        # a copy, so that results do not depend on where in memory numpy put the array
        return actor(torch.tensor(observation, dtype=torch.float32)).clamp_(-1.0, 1.0).numpy()


def config_hash(config: Any) -> str:
    """SHA-256 of all parameters of a world's `Config`, or of a replay's, whatever their order."""
    content = json.dumps(config.model_dump(), sort_keys=True, default=str)  # dates are texts
    return hashlib.sha256(content.encode()).hexdigest()


def save_policy(folder: Path, actor: nn.Module, card: Card) -> None:
    """Write both files, each at once or not at all."""
    tensors = {name: tensor.detach().contiguous() for name, tensor in actor.state_dict().items()}
    write_atomically(folder / WEIGHTS_NAME, save_tensors(tensors))
    write_atomically(folder / CARD_NAME, card.to_json().encode())


def other_subnets(architecture: Architecture, n_subnets: int) -> Architecture:
    """The architecture that has the same weights with another number of subnets. Raises `PolicyError`."""
    if type(n_subnets) is not int or not 1 <= n_subnets <= MAX_SUBNETS:
        got = _QUOTED.repr(n_subnets)
        raise PolicyError(f"n_subnets: got {got}, allowed are whole numbers 1 to {MAX_SUBNETS}")
    if n_subnets != architecture.n_subnets and architecture.network != "shared":
        raise PolicyError(
            f"n_subnets: got {n_subnets}, allowed is {architecture.n_subnets}: the weights of a network "
            f"{architecture.network!r} fit one number of subnets, those of 'shared' fit all"
        )
    return replace(architecture, n_subnets=n_subnets)


def load_policy(folder: str | Path, n_subnets: int | None = None) -> Policy:
    """The policy of a run's folder, for worlds of the number of subnets in training or of another one.

    Raises `PolicyError` for unusable files, and where the weights do not fit `n_subnets`.
    """
    folder = find_policy(folder)
    card = _read_card(folder / CARD_NAME)
    actor = card.architecture.actor()
    actor.load_state_dict(_read_weights(folder / WEIGHTS_NAME, actor.state_dict()))
    policy = Policy(card, actor.requires_grad_(False).eval(), card.architecture)
    if n_subnets is None:
        return policy
    try:
        return policy.for_subnets(n_subnets)
    except PolicyError as error:
        raise PolicyError(f"{folder / WEIGHTS_NAME}: {error}") from None


_QUOTED = reprlib.Repr()
"""Shortens, and escapes what a terminal would obey."""
_QUOTED.maxstring, _QUOTED.maxother, _QUOTED.maxlong = 80, 80, 40


def _read_bounded(path: Path, limit: int) -> bytes:
    """The content of a regular file, no link, that is no longer than `limit` bytes."""
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


def _read_object(path: Path, content: bytes, what: str) -> dict[str, Any]:
    """A JSON object, strictly: no name twice, no NaN. `what` the content should be."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in pairs:
            if name in found:
                raise ValueError(f"{_QUOTED.repr(name)} stands there twice")
            found[name] = value
        return found

    def refused(constant: str) -> None:
        raise ValueError(f"{constant} is no number of JSON")

    try:
        found = json.loads(content.decode(), object_pairs_hook=unique, parse_constant=refused)
    except (ValueError, RecursionError) as error:
        raise PolicyError(f"{path}: is not {what}: {error}") from None
    if not isinstance(found, dict):
        raise PolicyError(f"{path}: got {type(found).__name__}, allowed is an object")
    return found


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
    role, n_actions = content["role"], content["action_size"]
    architecture = Architecture(content["network"], content["n_subnets"], content["hidden"])
    if role == "builder":  # the actions of a staker follow from its subnets
        architecture = replace(architecture, role=role, n_actions=n_actions)
    for name in ("observation_size", "action_size"):
        allowed = getattr(architecture, name)
        if content[name] != allowed:
            got = _QUOTED.repr(content[name])
            raise PolicyError(f"{path}: {name}: got {got}, allowed is {allowed} for its subnets")
    entries = ("config_hash", "timesteps", "observe_signal", "package_version")
    return Card(architecture, **{name: content[name] for name in entries})


def _check_card(path: Path, content: dict[str, Any]) -> None:
    role = content["role"]
    if role not in FEATURES:
        got = _QUOTED.repr(role)
        raise PolicyError(f"{path}: role: got {got}, allowed is one of {list(FEATURES)}")
    allowed: dict[str, Any] = {
        "format": [FORMAT],
        "network": list(NETWORKS),
        "n_subnets": range(1, MAX_SUBNETS + 1),
        "hidden": range(1, MAX_HIDDEN + 1),
        "timesteps": range(2**63),
        "subnet_features": [list(FEATURES[role][0])],
        "global_features": [list(FEATURES[role][1])],
    }
    if role == "builder":
        allowed["action_size"] = BUILDER_ACTIONS
    for name, values in allowed.items():
        if content[name] not in values:
            told = (
                f"{values[0]} to {values[-1]}" if isinstance(values, range) else f"one of {values}"
            )
            got = _QUOTED.repr(content[name])
            raise PolicyError(f"{path}: {name}: got {got}, allowed is {told}")
    for name, pattern in TEXTS.items():
        if not re.fullmatch(pattern, content[name]):
            got = _QUOTED.repr(content[name])
            raise PolicyError(f"{path}: {name}: got {got}, allowed is text that matches {pattern}")


def _read_weights(path: Path, expected: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    content = _read_bounded(path, MAX_WEIGHTS_BYTES)
    size = int.from_bytes(content[:8], "little")
    if len(content) < 8 or size > min(MAX_HEADER_BYTES, len(content) - 8):
        raise PolicyError(
            f"{path}: got {len(content)} bytes with a header of {size}, "
            f"allowed is a safetensors file with a header of up to {MAX_HEADER_BYTES}"
        )
    _check_header(path, _read_object(path, content[8 : 8 + size], "a safetensors file"), expected)
    try:
        found = load_tensors(content)  # which checks that offsets are in range and do not overlap
    except (SafetensorError, ValueError, KeyError, RuntimeError) as error:
        raise PolicyError(f"{path}: is not a safetensors file: {str(error)[:200]!r}") from None
    for name, tensor in found.items():
        if not torch.isfinite(tensor).all():
            raise PolicyError(f"{path}: {name}: got NaN or infinity, allowed are finite numbers")
    return found


def _check_header(path: Path, header: dict[str, Any], expected: dict[str, torch.Tensor]) -> None:
    """Names, types and shapes are those expected, before any tensor is made."""
    for name in sorted(expected.keys() ^ (header.keys() - {"__metadata__"})):
        problem = "is missing" if name in expected else "unknown tensor"
        quoted = name if name in expected else _QUOTED.repr(name)
        raise PolicyError(f"{path}: {quoted}: {problem}, allowed are {', '.join(expected)}")
    for name, tensor in expected.items():
        entry, shape = header[name], list(tensor.shape)
        entry = entry if isinstance(entry, dict) else {}
        kind, got = entry.get("dtype"), entry.get("shape")
        if kind != "F32" or got != shape:
            told = f"{_QUOTED.repr(kind)} of shape {_QUOTED.repr(got)}"
            raise PolicyError(f"{path}: {name}: got {told}, allowed is 'F32' of shape {shape}")
