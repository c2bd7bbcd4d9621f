"""Networks of a staker: observations to the mean action, and to the value of the state.

Plain torch modules, shared by training and by policies that are loaded from a file. Built from an
`Architecture` alone, so that a file of a policy needs no code.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dtao_gym.envs.roles import GLOBAL_FEATURES, SUBNET_FEATURES

NETWORKS = ("shared", "mlp")
N_LOCAL, N_GLOBAL = len(SUBNET_FEATURES), len(GLOBAL_FEATURES)


@dataclass(frozen=True)
class Architecture:
    """What is needed to build the networks of a staker.

    Attributes:
        network: "shared" applies one small network to every subnet, so that what is learned at one holds at
            all, whatever their order; "mlp" is a plain network on the whole observation.
        n_subnets: subnets of the world.
        hidden: width of each of the two hidden layers.
    """

    network: str
    n_subnets: int
    hidden: int

    @property
    def observation_size(self) -> int:
        return self.n_subnets * N_LOCAL + N_GLOBAL

    @property
    def action_size(self) -> int:
        return self.n_subnets + 2

    def actor(self) -> "Actor":
        """Module from observations `(batch, observation_size)` to mean actions `(batch, action_size)`."""
        if self.network == "shared":
            return SharedActor(self.n_subnets, self.hidden)
        return MlpActor(self.observation_size, self.hidden, self.action_size)

    def critic(self) -> nn.Module:
        """Module from observations to values `(batch, 1)`."""
        if self.network == "shared":
            return SharedCritic(self.n_subnets, self.hidden)
        return mlp(self.observation_size, self.hidden, 1)


def mlp(n_in: int, hidden: int, n_out: int) -> nn.Sequential:
    """Two hidden layers with tanh."""
    return nn.Sequential(
        nn.Linear(n_in, hidden),
        nn.Tanh(),
        nn.Linear(hidden, hidden),
        nn.Tanh(),
        nn.Linear(hidden, n_out),
    )


class Actor(nn.Module):
    """Mean actions `(batch, n_subnets + 2)` from observations.

    `heads` are the last layers; the last unit of the last one is the share of the way to go.
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
    """The same first layer for every subnet, which also sees the global features.

    Maps observations `(batch, n_subnets * local + global)` to `(batch, n_subnets, hidden)` and the globals.
    """

    def __init__(self, n_subnets: int, hidden: int):
        super().__init__()
        self.n_subnets = n_subnets
        self.local = nn.Linear(N_LOCAL, hidden)
        self.common = nn.Linear(N_GLOBAL, hidden, bias=False)

    def forward(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        split = self.n_subnets * N_LOCAL
        # two dimensions: torch multiplies matrices of three in ways that depend on whether it keeps gradients
        local = self.local(observation[:, :split].reshape(-1, N_LOCAL))
        common = observation[:, split:]
        joined = local.view(-1, self.n_subnets, local.shape[1]) + self.common(common)[:, None, :]
        return torch.relu(joined), common


class SharedActor(Actor):
    """Logit of a subnet from its own features and the globals; root and speed from the mean over subnets."""

    def __init__(self, n_subnets: int, hidden: int):
        super().__init__()
        self.encoder = SubnetEncoder(n_subnets, hidden)
        self.second = nn.Linear(hidden, hidden)
        self.logit = nn.Linear(hidden, 1)
        self.overall = nn.Linear(hidden + N_GLOBAL, 2)
        self.heads = (self.logit, self.overall)

    def forward(self, observation: Tensor) -> Tensor:
        first, common = self.encoder(observation)
        second = torch.relu(self.second(first.flatten(0, 1)))
        logits = self.logit(second).view(first.shape[:2])
        overall = self.overall(torch.cat([second.view(first.shape).mean(1), common], 1))
        return torch.cat([overall[:, :1], logits, overall[:, 1:]], 1)


class SharedCritic(nn.Module):
    """Value from the mean over subnets and the globals."""

    def __init__(self, n_subnets: int, hidden: int):
        super().__init__()
        self.encoder = SubnetEncoder(n_subnets, hidden)
        self.top = mlp(hidden + N_GLOBAL, hidden, 1)

    def forward(self, observation: Tensor) -> Tensor:
        first, common = self.encoder(observation)
        return self.top(torch.cat([first.mean(1), common], 1))
