"""Networks of learners: observations to the mean action, and to the value of the state.

Plain torch modules, shared by training and by policies that are loaded from a file. Built from an
`Architecture` alone, so that a file of a policy needs no code. Shared networks are defined by `reference`, in
operations of torch; `forward` runs the compiled passes of `dtao_agents.training.fused_networks` where these apply.

A "shared" network is a set function (Zaheer et al. 2017, "Deep Sets", section 3): one encoder for every subnet, a
context pooled over them, and one head for every subnet. No weight's shape depends on the number of subnets, which is
read off each observation: the same module runs on any number of them, and relabelling subnets relabels its actions.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from dtao_agents.training import fused_networks
from dtao_agents.training.linear_critic import LinearCritic
from dtao_gym.envs.builder.observation import MARKET_FEATURES, OWN_FEATURES, RIVAL_FEATURES
from dtao_gym.envs.staker.observation import GLOBAL_FEATURES, SUBNET_FEATURES

NETWORKS = ("shared", "mlp")
FEATURES = {
    "staker": (SUBNET_FEATURES, GLOBAL_FEATURES),
    "builder": (RIVAL_FEATURES, (*OWN_FEATURES, *MARKET_FEATURES)),
}
"""Of each role: what it sees of each subnet (a builder: of each other one), and what it sees once."""
BUILDER_ACTIONS = (1, 2, 4)
"""Sizes that a builder's action may have."""


@dataclass(frozen=True)
class Architecture:
    """What is needed to build the networks of a learner.

    Attributes:
        network: "shared" applies one small network to every subnet, so that what is learned at one holds at
            all, whatever their order and number; "mlp" is a plain network on the whole observation.
        n_subnets: subnets of the world.
        hidden: width of each of the two hidden layers.
        role: who learns, a key of `FEATURES`.
        n_actions: size of a builder's action; a staker's follows from its subnets.
        n_extra: features at the end of an observation that the critic alone sees, in training.
    """

    network: str
    n_subnets: int
    hidden: int
    role: str = "staker"
    n_actions: int = 4
    n_extra: int = 0

    @property
    def n_seen(self) -> int:
        """Subnets that the learner sees one by one."""
        return self.n_subnets - (self.role == "builder")

    @property
    def n_local(self) -> int:
        """Features of each of them."""
        return len(FEATURES[self.role][0])

    @property
    def n_global(self) -> int:
        """Features beside them."""
        return len(FEATURES[self.role][1])

    @property
    def observation_size(self) -> int:
        return self.n_seen * self.n_local + self.n_global

    @property
    def action_size(self) -> int:
        return self.n_subnets + 2 if self.role == "staker" else self.n_actions

    def _valued(self) -> list[int]:
        """Entries of an observation that the value of a builder's state is linear in.

        With a twin these are the lead of the own stocks, and the ability that more of it will be made with.
        """
        first = self.n_seen * self.n_local
        if not self.n_extra:
            return list(range(first, self.observation_size))
        ability = first + OWN_FEATURES.index("ability")
        return [ability, *range(self.observation_size, self.observation_size + self.n_extra)]

    def actor(self) -> "Actor":
        """Module from observations `(batch, observation_size)` to mean actions `(batch, action_size)`."""
        if self.network == "mlp":
            return MlpActor(self.observation_size, self.hidden, self.action_size)
        return SharedActor(self) if self.role == "staker" else PooledActor(self)

    def critic(self, linear: bool = False) -> nn.Module:
        """Module from observations, with the extra features at their end, to values `(batch, 1)`.

        `linear`, of builders alone, is solved for by `LinearCriticPPO`; any other learns by gradient descent.
        """
        if linear:
            return LinearCritic(self._valued())
        if self.network == "shared":
            return PooledNetwork(self, 1, self.n_extra)
        return mlp(self.observation_size + self.n_extra, self.hidden, 1)

    def exploration(self) -> tuple[int, ...]:
        """How many actions, in their order, explore with one standard deviation each.

        Of a "shared" staker: root, all subnets, speed. Else each action has its own.
        """
        if self.network == "shared" and self.role == "staker":
            return (1, self.n_subnets, 1)
        return (1,) * self.action_size


def mlp(n_in: int, hidden: int, n_out: int) -> nn.Sequential:
    """Two hidden layers with tanh."""
    return nn.Sequential(
        nn.Linear(n_in, hidden),
        nn.Tanh(),
        nn.Linear(hidden, hidden),
        nn.Tanh(),
        nn.Linear(hidden, n_out),
    )


def weights_of(layers: Iterable[nn.Linear]) -> list[Tensor]:
    """Weight and bias of each layer, without those that a layer has none of."""
    return [w for layer in layers for w in (layer.weight, layer.bias) if w is not None]


class Actor(nn.Module):
    """Mean actions `(batch, action_size)` from observations.

    `heads` are the last layers; the last bias of the last one is that of the last action.
    """

    heads: tuple[nn.Linear, ...]


class MlpActor(Actor):
    """A plain network on the whole observation."""

    def __init__(self, n_in: int, hidden: int, n_out: int):
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(n_in, hidden), nn.Tanh(), nn.Linear(hidden, hidden), nn.Tanh()
        )
        self.head = nn.Linear(hidden, n_out)
        self.heads = (self.head,)

    def forward(self, observation: Tensor) -> Tensor:
        return self.head(self.body(observation))


class SubnetEncoder(nn.Module):
    """The same first layer for every subnet that is seen, which also sees the global features.

    Maps observations `(batch, n_seen * n_local + n_common)`, of any `n_seen`, to `(batch, n_seen, hidden)` and the
    last `n_common` features.
    """

    def __init__(self, shape: Architecture, n_extra: int = 0):
        super().__init__()
        self.n_local, self.n_common = shape.n_local, shape.n_global + n_extra
        self.local = nn.Linear(self.n_local, shape.hidden)
        self.common = nn.Linear(self.n_common, shape.hidden, bias=False)

    def forward(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        batch, width = observation.shape
        n_seen = (width - self.n_common) // self.n_local
        common = observation[:, n_seen * self.n_local :]
        # two dimensions: torch multiplies matrices of three in ways that depend on whether it keeps gradients
        rows = observation[:, : n_seen * self.n_local].reshape(batch * n_seen, self.n_local)
        local = self.local(rows).view(batch, n_seen, self.local.out_features)
        return torch.relu(local + self.common(common)[:, None, :]), common

    def weights(self) -> list[Tensor]:
        """Local weight and bias, and common weight, as `dtao_agents.training.fused_networks` takes them."""
        return weights_of((self.local, self.common))


class SharedActor(Actor):
    """Logit of a subnet from its own encoding and the mean encoding; root and speed from the mean over subnets."""

    def __init__(self, shape: Architecture):
        super().__init__()
        hidden = shape.hidden
        self.encoder = SubnetEncoder(shape)
        self.second = nn.Linear(hidden, hidden)
        self.context = nn.Linear(hidden, hidden, bias=False)
        self.logit = nn.Linear(hidden, 1)
        self.overall = nn.Linear(hidden + shape.n_global, 2)
        self.heads = (self.logit, self.overall)

    def forward(self, observation: Tensor) -> Tensor:
        weights, sizes = self._weights(), (self.encoder.n_local, self.encoder.n_common)
        if fused_networks.applies(observation, *sizes, weights):
            return fused_networks.shared_actor(observation, *sizes, weights)
        return self.reference(observation)

    def _weights(self) -> list[Tensor]:
        layers = (self.second, self.context, self.logit, self.overall)
        return [*self.encoder.weights(), *weights_of(layers)]

    def reference(self, observation: Tensor) -> Tensor:
        """Definition of `forward`, which differs from it by rounding alone."""
        first, common = self.encoder(observation)
        own = self.second(first.flatten(0, 1)).view(first.shape)
        second = torch.relu(own + self.context(first.mean(1))[:, None, :])
        logits = self.logit(second.flatten(0, 1)).view(first.shape[:2])
        overall = self.overall(torch.cat([second.mean(1), common], 1))
        return torch.cat([overall[:, :1], logits, overall[:, 1:]], 1)


class PooledNetwork(nn.Module):
    """A small network on the globals and the mean over the subnets that are seen, if there are any."""

    def __init__(self, shape: Architecture, n_out: int, n_extra: int = 0):
        super().__init__()
        self.encoder = SubnetEncoder(shape, n_extra)
        self.top = mlp(shape.hidden + self.encoder.n_common, shape.hidden, n_out)

    def forward(self, observation: Tensor) -> Tensor:
        weights, sizes = self._weights(), (self.encoder.n_local, self.encoder.n_common)
        if fused_networks.applies(observation, *sizes, weights):
            return fused_networks.pooled_network(observation, *sizes, weights)
        return self.reference(observation)

    def _weights(self) -> list[Tensor]:
        layers = cast(list[nn.Linear], list(self.top)[::2])
        return [*self.encoder.weights(), *weights_of(layers)]

    def reference(self, observation: Tensor) -> Tensor:
        """Definition of `forward`, which differs from it by rounding alone."""
        first, common = self.encoder(observation)
        pooled = first.sum(1) / max(first.shape[1], 1)
        return self.top(torch.cat([pooled, common], 1))


class PooledActor(PooledNetwork, Actor):
    """Decisions of a builder, who does not care about the order of its rivals."""

    def __init__(self, shape: Architecture):
        super().__init__(shape, shape.action_size)
        last = self.top[-1]
        assert isinstance(last, nn.Linear)
        self.heads = (last,)
