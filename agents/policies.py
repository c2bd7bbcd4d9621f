"""Policies in files: `policy.safetensors` (weights) and `policy.json` (what they are).

Reading runs no code from the files: tensors without pickle, JSON with known keys only, sizes bounded before
anything is read. Whatever is wrong with a file is one `PolicyError` that names the file and the entry.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import nn

import dtao_gym
from agents.files import write_atomically
from agents.networks import BUILDER_ACTIONS, FEATURES, NETWORKS, Architecture

WEIGHTS_NAME, CARD_NAME = "policy.safetensors", "policy.json"
FORMAT = 1
MAX_WEIGHTS_BYTES, MAX_HEADER_BYTES, MAX_CARD_BYTES = 16 * 2**20, 64 * 2**10, 64 * 2**10
MAX_HIDDEN = 1024


class PolicyError(ValueError):
    """A file of a policy cannot be used; the message names it, what was got and what is allowed."""


@dataclass(frozen=True)
class Card:
    """What `policy.json` says.

    Attributes:
        architecture: role, network, number of subnets, width, size of actions.
        config_hash: of the world's parameters in training, `config_hash`.
        timesteps: of training.
        package_version: of `dtao_gym` that wrote the file.
    """

    architecture: Architecture
    config_hash: str
    timesteps: int
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
            "package_version": self.package_version,
        }
        return json.dumps(content, indent=2) + "\n"


@dataclass(frozen=True)
class Policy:
    """A learned policy: mean actions, clipped to [-1, 1], nothing random."""

    card: Card
    actor: nn.Module

    def act(self, observation: np.ndarray) -> np.ndarray:
        """Actions `(batch, action_size)` float32 for observations `(batch, observation_size)` float32."""
        expected = self.card.architecture.observation_size
        if observation.ndim != 2 or observation.shape[1] != expected:
            raise ValueError(
                f"observation: got shape {observation.shape}, allowed is (batch, {expected})"
            )
        with torch.no_grad():
            # a copy, so that results do not depend on where in memory numpy put the array
            mean = self.actor(torch.tensor(observation, dtype=torch.float32))
        return mean.clamp_(-1.0, 1.0).numpy()

    def __call__(self, observation: np.ndarray, batch: Any, rngs: Any) -> np.ndarray:
        """`act`, callable like a scripted policy."""
        return self.act(observation)


def config_hash(config: Any) -> str:
    """SHA-256 of all parameters of a world's `Config`, whatever their order."""
    return hashlib.sha256(json.dumps(config.model_dump(), sort_keys=True).encode()).hexdigest()


def save_policy(folder: Path, actor: nn.Module, card: Card) -> None:
    """Write both files, each at once or not at all."""
    tensors = {name: tensor.detach().contiguous() for name, tensor in actor.state_dict().items()}
    write_atomically(folder / WEIGHTS_NAME, save_tensors(tensors))
    write_atomically(folder / CARD_NAME, card.to_json().encode())


def load_policy(folder: str | Path) -> Policy:
    """The policy of a run's folder. Raises `PolicyError`."""
    folder = Path(folder)
    card = _read_card(folder / CARD_NAME)
    actor = card.architecture.actor()
    actor.load_state_dict(_read_weights(folder / WEIGHTS_NAME, actor.state_dict()))
    return Policy(card, actor.requires_grad_(False).eval())


def _read_bounded(path: Path, limit: int) -> bytes:
    """The content of a regular file that is no longer than `limit` bytes."""
    try:
        if not path.is_file():
            raise PolicyError(f"{path}: no such file")
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise PolicyError(f"{path}: cannot be read: {error.strerror}") from None
    if len(content) > limit:
        raise PolicyError(f"{path}: got more than {limit} bytes, allowed are up to {limit}")
    return content


def _read_card(path: Path) -> Card:
    try:
        content = json.loads(_read_bounded(path, MAX_CARD_BYTES))
    except (ValueError, RecursionError) as error:
        if isinstance(error, PolicyError):
            raise
        raise PolicyError(f"{path}: is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise PolicyError(f"{path}: got {type(content).__name__}, allowed is an object")
    template = Card(Architecture("shared", 1, 1), "", 0)
    fields = json.loads(template.to_json())
    for name in fields.keys() - content.keys():
        raise PolicyError(f"{path}: {name} is missing")
    for name in content.keys() - fields.keys():
        raise PolicyError(f"{path}: {name}: unknown entry, allowed are {', '.join(fields)}")
    for name, value in fields.items():
        if type(content[name]) is not type(value):
            got = type(content[name]).__name__
            raise PolicyError(f"{path}: {name}: got {got}, allowed is {type(value).__name__}")
    _check_card(path, content)
    role, n_actions = content["role"], content["action_size"]
    if role == "builder" and n_actions not in BUILDER_ACTIONS:
        raise PolicyError(
            f"{path}: action_size: got {n_actions}, allowed is one of {BUILDER_ACTIONS}"
        )
    architecture = Architecture(
        content["network"], content["n_subnets"], content["hidden"], role, n_actions
    )
    for name in ("observation_size", "action_size"):
        if content[name] != getattr(architecture, name):
            allowed = getattr(architecture, name)
            raise PolicyError(
                f"{path}: {name}: got {content[name]}, allowed is {allowed} for its subnets"
            )
    if role == "staker":  # whose actions follow from its subnets
        architecture = Architecture(content["network"], content["n_subnets"], content["hidden"])
    return Card(
        architecture, content["config_hash"], content["timesteps"], content["package_version"]
    )


def _check_card(path: Path, content: dict) -> None:
    role = content["role"]
    if role not in FEATURES:
        raise PolicyError(f"{path}: role: got {role!r}, allowed is one of {list(FEATURES)}")
    allowed = {
        "format": [FORMAT],
        "network": list(NETWORKS),
        "n_subnets": range(1, 129),
        "hidden": range(1, MAX_HIDDEN + 1),
        "subnet_features": [list(FEATURES[role][0])],
        "global_features": [list(FEATURES[role][1])],
    }
    for name, values in allowed.items():
        if content[name] not in values:
            told = (
                f"{values[0]} to {values[-1]}" if isinstance(values, range) else f"one of {values}"
            )
            raise PolicyError(f"{path}: {name}: got {content[name]!r}, allowed is {told}")


def _read_weights(path: Path, expected: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    content = _read_bounded(path, MAX_WEIGHTS_BYTES)
    header = int.from_bytes(content[:8], "little")
    if len(content) < 8 or header > min(MAX_HEADER_BYTES, len(content) - 8):
        raise PolicyError(
            f"{path}: got {len(content)} bytes with a header of {header}, "
            f"allowed is a safetensors file with a header of up to {MAX_HEADER_BYTES}"
        )
    try:
        found = load_tensors(content)
    except (SafetensorError, ValueError, KeyError, RuntimeError) as error:
        raise PolicyError(f"{path}: is not a safetensors file: {error}") from None
    for name in sorted(expected.keys() ^ found.keys()):
        problem = "is missing" if name in expected else "unknown tensor"
        raise PolicyError(f"{path}: {name[:80]}: {problem}, allowed are {', '.join(expected)}")
    for name, tensor in found.items():
        shape, dtype = tuple(expected[name].shape), expected[name].dtype
        if tuple(tensor.shape) != shape or tensor.dtype != dtype:
            got = f"{tensor.dtype} of shape {tuple(tensor.shape)}"
            raise PolicyError(f"{path}: {name}: got {got}, allowed is {dtype} of shape {shape}")
        if not torch.isfinite(tensor).all():
            raise PolicyError(f"{path}: {name}: got NaN or infinity, allowed are finite numbers")
    return found
