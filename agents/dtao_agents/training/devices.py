"""The device on which a learner's network is trained."""

from typing import Literal, get_args

import torch

from dtao_agents.roles.registry import agent_role
from dtao_agents.training.multi_agent_settings import MultiAgentConfig
from dtao_agents.training.settings import TrainConfig
from dtao_gym.world.config import ConfigError

Device = Literal["cpu", "cuda", "auto"]
DEVICES: tuple[Device, ...] = get_args(Device)


def torch_device(wanted: str, settings: TrainConfig | MultiAgentConfig) -> str:
    """Return the torch device of a training, ``cpu`` or ``cuda``.

    Worlds are always stepped on the CPU. On a GPU the networks are plain torch; on the CPU shared networks
    run in compiled passes, which for networks of this size are faster.

    Parameters
    ----------
    wanted : {"cpu", "cuda", "auto"}
        `auto` is a GPU where there is one and the training can use it.
    settings : TrainConfig or MultiAgentConfig

    Raises
    ------
    ConfigError
        There is no GPU, or the training cannot use one.
    """
    if wanted not in DEVICES:
        raise ConfigError(f"device: got {wanted!r}, allowed are {', '.join(DEVICES)}")
    if wanted == "cpu":
        return "cpu"
    reason = _why_not(settings)
    if reason is None:
        return "cuda"
    if wanted == "auto":
        return "cpu"
    raise ConfigError(f"device: got 'cuda', allowed are cpu, auto: {reason}")


def _why_not(settings: TrainConfig | MultiAgentConfig) -> str | None:
    """Why a training cannot use a GPU; None where it can."""
    if isinstance(settings, MultiAgentConfig):
        return "learners that share their worlds are trained on the CPU"
    role = agent_role(settings.role)
    if role.has_linear_critic:
        return f"the critic of a {role.name} is solved for on the CPU"
    if not torch.cuda.is_available():
        return f"torch {torch.__version__} finds no GPU"
    return None


def device_name(device: str) -> str:
    """Return a device for the manifest, a GPU with its model."""
    return device if device == "cpu" else f"{device} ({torch.cuda.get_device_name()})"
