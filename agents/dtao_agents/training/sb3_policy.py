"""A policy of Stable-Baselines3 whose weights fit any number of subnets: `PPO(SubnetPolicy, env)`.

    env = make_vec_env("dtao_gym/Staker-v0", 8, env_kwargs={"n_subnets": 16})
    model = PPO(SubnetPolicy, env).learn(100_000)
    wider = model.policy.for_subnets(64)  # the same weights, for worlds of 64 subnets

Networks: `dtao_agents.training.networks`. The training settings of this repository are not needed.
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
from dtao_agents.roles.registry import policy_roles
from dtao_agents.training.architecture import NETWORKS, Architecture
from dtao_agents.training.networks import Actor

HALF_LOG_2_PI = 0.5 * math.log(2.0 * math.pi)
ALIGNMENT = 64
"""Alignment of torch's memory, bytes."""


class AlignedExtractor(FlattenExtractor):
    """Copies observations to an aligned address where they are not at one.

    The alignment of numpy's arrays varies between processes, and products of matrices may round differently with it.
    """

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        """Return flat observations at an aligned address."""
        flat = super().forward(observations)
        return flat.clone() if flat.data_ptr() % ALIGNMENT else flat


def log_density(actions: torch.Tensor, mean: torch.Tensor, log_std: torch.Tensor) -> torch.Tensor:
    """Return the log density `(batch,)` of Gaussian actions with independent entries.

    Parameters
    ----------
    actions, mean : `(batch, size)`
    log_std : `(size,)`
        Log of the standard deviations.
    """
    deviations = (actions - mean) * torch.exp(-log_std)
    return -0.5 * deviations.square().sum(1) - (log_std + HALF_LOG_2_PI).sum()


class _Networks(nn.Module):
    """Actor and critic under the method names that Stable-Baselines3 calls."""

    def __init__(self, architecture: Architecture, linear_critic: bool):
        super().__init__()
        self.size = architecture.observation_size
        self.latent_dim_pi, self.latent_dim_vf = architecture.action_size, 1
        self.actor, self.critic = architecture.actor(), architecture.critic(linear_critic)

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.forward_actor(features), self.critic(features)

    def forward_actor(self, features: torch.Tensor) -> torch.Tensor:
        return self.actor(features[:, : self.size])  # features for the critic alone are at the end

    def forward_critic(self, features: torch.Tensor) -> torch.Tensor:
        return self.critic(features)


def _length(space: spaces.Space) -> int:
    """Length of a box of one dimension within [-1, 1]; 0 for other spaces."""
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
    role: str | None = None,
) -> Architecture:
    """Return the architecture for given spaces: role and number of subnets follow from their sizes.

    Parameters
    ----------
    observation_space, action_space : Box
        With n subnets `(12 n + 7,)` and `(n + 2,)` of a staker; `(6 n + 26,)`, 6 more with `twin`, and 1, 2 or 4 actions
        of a builder.
    network, hidden
        As in `Architecture`.
    twin : bool
        Whether the observations of a builder end with its lead over the twin (`twin_world`), which only the critic
        may observe. Sizes do not show it: these features are as many as those of one subnet.
    role : str, optional
        Card name of the agent role; by default the first one that the sizes fit.

    Raises
    ------
    ValueError
        The spaces are of no role, or the network is unknown.
    """
    if network not in NETWORKS:
        raise ValueError(f"network: got {network!r}, allowed is one of {NETWORKS}")
    if not isinstance(hidden, int) or hidden < 1:
        raise ValueError(f"hidden: got {hidden!r}, allowed are whole numbers from 1")
    n_features, n_actions = _length(observation_space), _length(action_space)
    roles = policy_roles()
    for its in roles.values() if role is None else [roles[role]]:
        n_subnets = its.subnets_of_spaces(n_features, n_actions, twin)
        if n_subnets is None or n_subnets < 1:
            continue
        made = Architecture(network, n_subnets, hidden, its.card_name)
        if its.action_sizes:
            n_extra = len(its.critic_features) if twin else 0
            made = replace(made, n_actions=n_actions, n_extra=n_extra)
        lengths = (made.observation_size + made.n_extra, made.action_size)
        if lengths == (n_features, n_actions):
            return made
    allowed = ", or ".join(its.spaces for its in roles.values() if its.spaces)
    raise ValueError(
        f"observation_space, action_space: got {observation_space}, {action_space}, allowed are boxes within [-1, 1] "
        f"of shapes {allowed}"
    )


class SubnetPolicy(ActorCriticPolicy):
    """Gaussian actions around the output of an actor of `dtao_agents.training.networks`, for PPO and A2C.

    With `network="shared"` no parameter's shape depends on the number of subnets, and relabelling subnets relabels
    actions. The first actions of a staker are nearly equal weights, approached slowly.

    Parameters
    ----------
    observation_space, action_space : Box
        Spaces of a staker, a builder or a registered role; see `architecture_of`.
    lr_schedule : callable
        Learning rate as a function of the remaining part of training.
    network : {"shared", "mlp"}
        "mlp" is a plain network on the whole observation.
    hidden : int
        Width of each of the two hidden layers.
    log_std_init : float
        Log of the standard deviation of exploration at first. A "shared" staker has one for root, one for all subnets
        and one for speed, else each action has its own.
    speed_init : float
        Share of the gap to its target that the untrained policy of a staker trades in a step, 0 to 1.
    action_init : sequence of float, optional
        First actions, in [-1, 1], of roles with a fixed number of actions; all 0 if not given.
    twin : bool
        Whether a builder's observations end with its lead over its twin (`twin_world`).
    linear_critic : bool
        Whether the critic is a `LinearCritic`, which `LinearCriticPPO` solves for; of builders only.
    role : str, optional
        Card name of the agent role; by default it follows from the spaces.
    use_sde : bool
        Must be False; algorithms pass it.
    optimizer_class, optimizer_kwargs
        As in Stable-Baselines3.

    Raises
    ------
    ValueError
        For spaces of no role, and arguments that do not fit.
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
        role: str | None = None,
        use_sde: bool = False,
        optimizer_class: type[torch.optim.Optimizer] = torch.optim.Adam,
        optimizer_kwargs: dict[str, Any] | None = None,
    ):
        shape = architecture_of(observation_space, action_space, network, hidden, twin, role)
        its = shape.agent_role
        if use_sde:
            raise ValueError("use_sde: got True, allowed is False: its noise has weights by action")
        if not 0.0 <= speed_init <= 1.0:
            raise ValueError(f"speed_init: got {speed_init}, allowed are 0 to 1")
        if linear_critic and not its.has_linear_critic:
            raise ValueError(f"linear_critic: got True, allowed is False for a {its.name}")
        if action_init is not None and (
            not its.action_sizes or np.shape(action_init) != (shape.action_size,)
        ):
            raise ValueError(
                f"action_init: got {action_init}, allowed is one number for each action, where their number is fixed"
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
            "role": shape.role,
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
        """Initialise layers orthogonally, the last ones small, with biases that give the first actions."""
        for module in self.mlp_extractor.modules():
            self.init_weights(module, gain=np.sqrt(2))
        for head in self.actor.heads:
            self.init_weights(head, gain=0.01)
        last = self.actor.heads[-1]
        with torch.no_grad():
            self.architecture.agent_role.start_actions(last.bias, self.options)

    def _log_stds(self) -> torch.Tensor:
        """Return the log of the standard deviation of each action, `(action_size,)`."""
        log_std, sizes = self.log_std, self.architecture.exploration()
        if max(sizes) == 1:
            return log_std
        return torch.cat([one.expand(n) for one, n in zip(log_std, sizes, strict=True)])

    def forward(
        self, obs: torch.Tensor, deterministic: bool = False
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return actions `(batch, action_size)`, values `(batch, 1)` and log densities `(batch,)`.

        Draws and, but for rounding, numbers are those of Stable-Baselines3, without its distribution objects.
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
        """Return values `(batch, 1)`, log densities and entropies `(batch,)` of given actions."""
        mean, values = self.mlp_extractor(self.extract_features(obs))
        log_stds = self._log_stds()
        entropy = (log_stds + (0.5 + HALF_LOG_2_PI)).sum()
        return values, log_density(actions, mean, log_stds), entropy.expand(len(mean))

    def _get_action_dist_from_latent(self, latent_pi: torch.Tensor) -> Distribution:
        assert isinstance(self.action_dist, DiagGaussianDistribution)
        return self.action_dist.proba_distribution(latent_pi, self._log_stds())

    def _get_constructor_parameters(self) -> dict[str, Any]:
        """Return the arguments that `save` stores, for `load` to build the same policy."""
        return {
            "observation_space": self.observation_space,
            "action_space": self.action_space,
            "lr_schedule": self._dummy_schedule,
            "optimizer_class": self.optimizer_class,
            "optimizer_kwargs": self.optimizer_kwargs,
            **self.options,
        }

    def for_subnets(self, n_subnets: int) -> "SubnetPolicy":
        """Return a policy with copies of the parameters for worlds of another number of subnets, 1 to 128.

        Raises PolicyError for "mlp", and for a number out of range.
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
