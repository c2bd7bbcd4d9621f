"""A policy of Stable-Baselines3 whose weights fit any number of subnets: `PPO(SubnetPolicy, env)`.

    env = make_vec_env("dtao_gym/Staker-v0", 8, env_kwargs={"n_subnets": 16})
    model = PPO(SubnetPolicy, env).learn(100_000)
    wider = model.policy.for_subnets(64)  # the same weights, for worlds of 64 subnets

Networks: `dtao_agents.training.networks`. Nothing of the training settings of this repository is needed.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.distributions import DiagGaussianDistribution, Distribution
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import FlattenExtractor
from torch import nn

from dtao_agents.evaluation.policy_files import other_subnets
from dtao_agents.training.networks import BUILDER_ACTIONS, NETWORKS, Actor, Architecture
from dtao_gym.envs.builder.twin import TWIN_FEATURES

HALF_LOG_2_PI = 0.5 * math.log(2.0 * math.pi)
ALIGNMENT = 64
"""Bytes: torch allocates memory at multiples of it."""


class AlignedExtractor(FlattenExtractor):
    """Observations at an aligned address: a copy of those that are elsewhere.

    Where an array of numpy begins varies between processes, and a product may round differently with it.
    """

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        flat = super().forward(observations)
        return flat.clone() if flat.data_ptr() % ALIGNMENT else flat


def log_density(actions: torch.Tensor, mean: torch.Tensor, log_std: torch.Tensor) -> torch.Tensor:
    """Log density `(batch,)` of Gaussian actions `(batch, size)` with independent entries.

    Args:
        actions, mean: `(batch, size)`.
        log_std: `(size,)`, log of the standard deviations.
    """
    deviations = (actions - mean) * torch.exp(-log_std)
    return -0.5 * deviations.square().sum(1) - (log_std + HALF_LOG_2_PI).sum()


class _Networks(nn.Module):
    """Actor and critic under the names that Stable-Baselines3 calls."""

    def __init__(self, architecture: Architecture, linear_critic: bool):
        super().__init__()
        self.size = architecture.observation_size
        self.latent_dim_pi, self.latent_dim_vf = architecture.action_size, 1
        self.actor, self.critic = architecture.actor(), architecture.critic(linear_critic)

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.forward_actor(features), self.critic(features)

    def forward_actor(self, features: torch.Tensor) -> torch.Tensor:
        return self.actor(features[:, : self.size])  # what only the critic sees stands at the end

    def forward_critic(self, features: torch.Tensor) -> torch.Tensor:
        return self.critic(features)


def _length(space: spaces.Space) -> int:
    """Of a box of one dimension within [-1, 1]; 0 for other spaces."""
    if not isinstance(space, spaces.Box) or len(space.shape) != 1:
        return 0
    inside = bool(np.all(space.low >= -1.0) and np.all(space.high <= 1.0))
    return space.shape[0] if inside else 0


def architecture_of(
    observation_space: spaces.Space,
    action_space: spaces.Space,
    network: str = "shared",
    hidden: int = 16,
    twin: bool = False,
) -> Architecture:
    """The architecture for the spaces of a staker or a builder: role and number of subnets follow from their sizes.

    Args:
        observation_space: `(12 n + 6,)` of a staker, `(6 n + 26,)` of a builder (`twin`: 6 more), n subnets.
        action_space: `(n + 2,)` of a staker; 1, 2 or 4 actions of a builder.
        network, hidden: see `Architecture`.
        twin: the observations of a builder end with its lead over the twin (`twin_world`), which only the critic
            may see. The sizes cannot tell: these features are as many as those of one subnet more.

    Raises:
        ValueError: the spaces are of neither role, or the network is unknown.
    """
    if network not in NETWORKS:
        raise ValueError(f"network: got {network!r}, allowed is one of {NETWORKS}")
    if not isinstance(hidden, int) or hidden < 1:
        raise ValueError(f"hidden: got {hidden!r}, allowed are whole numbers from 1")
    n_features, n_actions = _length(observation_space), _length(action_space)
    candidates = [] if twin else [Architecture(network, n_actions - 2, hidden)]
    if n_actions in BUILDER_ACTIONS:
        n_extra = len(TWIN_FEATURES) if twin else 0
        one = Architecture(network, 1, hidden, "builder", n_actions, n_extra)
        n_rivals = (n_features - n_extra - one.observation_size) // one.n_local
        candidates.append(replace(one, n_subnets=1 + n_rivals))
    for made in candidates:
        if made.n_subnets >= 1 and made.observation_size + made.n_extra == n_features:
            return made
    raise ValueError(
        f"observation_space, action_space: got {observation_space}, {action_space}, allowed are boxes within [-1, 1] of shapes "
        "(12 n + 6,) and (n + 2,), those of dtao_gym/Staker-v0 with n subnets, or (6 n + 26,) and (1,), (2,) or (4,), "
        "those of dtao_gym/Builder-v0 (with its twin, and twin=True: 6 n + 32)"
    )


class SubnetPolicy(ActorCriticPolicy):
    """Gaussian actions around the output of an actor of `dtao_agents.training.networks`, for PPO and A2C.

    With `network="shared"` no parameter's shape depends on the number of subnets, and relabelling subnets relabels
    actions. The first actions of a staker are nearly equal weights, approached slowly.

    Args:
        observation_space, action_space: of a staker or a builder; see `architecture_of`.
        lr_schedule: learning rate as a function of the part of training that is left.
        network: "shared", or "mlp" for a plain network on the whole observation.
        hidden: width of each of the two hidden layers.
        log_std_init: log of the standard deviation of exploration at first. A "shared" staker has one for root,
            one for all subnets and one for speed, else each action has its own.
        speed_init: share of the way to its target that the untrained policy of a staker trades in a step, 0 to 1.
        action_init: the first actions of a builder, in [-1, 1]; all 0 if not given.
        twin: a builder's observations end with its lead over its twin (`twin_world`).
        linear_critic: of builders alone, and with `LinearCriticPPO` alone, which solves for it.
        use_sde: must be False; algorithms pass it.
        optimizer_class, optimizer_kwargs: as in Stable-Baselines3.

    Raises:
        ValueError: for spaces of neither role, and arguments that do not fit.
    """

    def __init__(
        self,
        observation_space: spaces.Space,
        action_space: spaces.Space,
        lr_schedule: Any,
        network: str = "shared",
        hidden: int = 16,
        log_std_init: float = -1.5,
        speed_init: float = 0.1,
        action_init: Sequence[float] | None = None,
        twin: bool = False,
        linear_critic: bool = False,
        use_sde: bool = False,
        optimizer_class: type[torch.optim.Optimizer] = torch.optim.Adam,
        optimizer_kwargs: dict[str, Any] | None = None,
    ):
        shape = architecture_of(observation_space, action_space, network, hidden, twin)
        if use_sde:
            raise ValueError("use_sde: got True, allowed is False: its noise has weights by action")
        if not 0.0 <= speed_init <= 1.0:
            raise ValueError(f"speed_init: got {speed_init}, allowed are 0 to 1")
        if linear_critic and shape.role != "builder":
            raise ValueError("linear_critic: got True, allowed is False for a staker")
        if action_init is not None and (
            shape.role != "builder" or np.shape(action_init) != (shape.action_size,)
        ):
            raise ValueError(
                f"action_init: got {action_init}, allowed is one number for each action of a builder"
            )
        self.architecture = shape
        self.options = {
            "network": network,
            "hidden": hidden,
            "log_std_init": log_std_init,
            "speed_init": speed_init,
            "action_init": None if action_init is None else [float(a) for a in action_init],
            "twin": twin,
            "linear_critic": linear_critic,
        }
        super().__init__(
            observation_space,
            action_space,
            lr_schedule,
            log_std_init=log_std_init,
            features_extractor_class=AlignedExtractor,
            optimizer_class=optimizer_class,
            optimizer_kwargs=optimizer_kwargs,
        )

    def _build(self, lr_schedule: Any) -> None:
        self.mlp_extractor = _Networks(self.architecture, self.options["linear_critic"])
        self.action_net = self.value_net = nn.Identity()
        groups = len(self.architecture.exploration())
        self.log_std = nn.Parameter(torch.full((groups,), self.log_std_init))
        self._initialise()
        rate = {"lr": lr_schedule(1)} | self.optimizer_kwargs
        self.optimizer = self.optimizer_class(self.parameters(), **rate)

    def _initialise(self) -> None:
        """Orthogonal layers, small last ones whose biases give the first actions."""
        for module in self.mlp_extractor.modules():
            self.init_weights(module, gain=np.sqrt(2))
        for head in self.actor.heads:
            self.init_weights(head, gain=0.01)
        last = self.actor.heads[-1]
        with torch.no_grad():
            if self.architecture.role == "staker":
                last.bias[-1] = 2.0 * self.options["speed_init"] - 1.0
            elif self.options["action_init"] is not None:
                last.bias[:] = torch.tensor(self.options["action_init"])

    def _log_stds(self) -> torch.Tensor:
        """Log of the standard deviation of each action, `(action_size,)`."""
        log_std, sizes = self.log_std, self.architecture.exploration()
        if max(sizes) == 1:
            return log_std
        return torch.cat([one.expand(n) for one, n in zip(log_std, sizes, strict=True)])

    def forward(
        self, obs: torch.Tensor, deterministic: bool = False
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Actions `(batch, action_size)`, values `(batch, 1)` and log densities `(batch,)`.

        The draws and, but for rounding, the numbers of Stable-Baselines3, without its distribution objects.
        """
        mean, values = self.mlp_extractor(self.extract_features(obs))
        log_stds = self._log_stds()
        actions = mean
        if not deterministic:
            actions = mean + torch.exp(log_stds) * torch.randn_like(mean)
        return actions, values, log_density(actions, mean, log_stds)

    def evaluate_actions(
        self, obs: torch.Tensor, actions: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Values `(batch, 1)`, and log densities and entropies `(batch,)`, of actions under the present policy."""
        mean, values = self.mlp_extractor(self.extract_features(obs))
        log_stds = self._log_stds()
        entropy = (log_stds + (0.5 + HALF_LOG_2_PI)).sum()
        return values, log_density(actions, mean, log_stds), entropy.expand(len(mean))

    def _get_action_dist_from_latent(self, latent_pi: torch.Tensor) -> Distribution:
        assert isinstance(self.action_dist, DiagGaussianDistribution)
        return self.action_dist.proba_distribution(latent_pi, self._log_stds())

    def _get_constructor_parameters(self) -> dict[str, Any]:
        """What `save` stores, for `load` to build the same policy."""
        return {
            "observation_space": self.observation_space,
            "action_space": self.action_space,
            "lr_schedule": self._dummy_schedule,
            "optimizer_class": self.optimizer_class,
            "optimizer_kwargs": self.optimizer_kwargs,
            **self.options,
        }

    def for_subnets(self, n_subnets: int) -> "SubnetPolicy":
        """A policy with copies of these weights for worlds of another number of subnets, 1 to 128.

        Raises `PolicyError` for "mlp", and for a number out of range.
        """
        shape = other_subnets(self.architecture, n_subnets)
        size = shape.observation_size + shape.n_extra
        arguments = self._get_constructor_parameters()
        arguments["observation_space"] = spaces.Box(-1.0, 1.0, (size,), np.float32)
        arguments["action_space"] = spaces.Box(-1.0, 1.0, (shape.action_size,), np.float32)
        made = SubnetPolicy(**arguments).to(self.device)
        made.load_state_dict(self.state_dict())
        return made

    @property
    def actor(self) -> Actor:
        """The network that a policy's file holds."""
        return self.mlp_extractor.actor
