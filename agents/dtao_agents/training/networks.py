"""Torch modules of learners: observations to the mean action, and to the value of the state.

Shared by training and by policies that are loaded from a file; `dtao_agents.training.architecture` chooses among them
by role. Shared networks are defined by `reference`, in operations of torch; `forward` runs the compiled passes of
`dtao_agents.training.fused_networks` where these apply.

A "shared" network is a set function (Zaheer et al. 2017, "Deep Sets", section 3): one encoder for every subnet, a
context pooled over them, and one head for every subnet. No parameter's shape depends on the number of subnets, which is
read off each observation: the same module runs on any number of them, and relabelling subnets relabels its actions.
"""

from collections.abc import Iterable
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from dtao_agents.training import fused_networks


class NetworkSizes(Protocol):
    """Sizes of a network, as `Architecture` has them."""

    @property
    def hidden(self) -> int:
        """Width of the hidden layers."""
        ...

    @property
    def n_local(self) -> int:
        """Features of each observed subnet."""
        ...

    @property
    def n_global(self) -> int:
        """Features besides these."""
        ...

    @property
    def action_size(self) -> int:
        """Length of an action."""
        ...


def mlp(n_in: int, hidden: int, n_out: int) -> nn.Sequential:
    """Return a network with two hidden layers with tanh."""
    return nn.Sequential(
        nn.Linear(n_in, hidden),
        nn.Tanh(),
        nn.Linear(hidden, hidden),
        nn.Tanh(),
        nn.Linear(hidden, n_out),
    )


def parameters_of(layers: Iterable[nn.Linear]) -> list[Tensor]:
    """Return weight and bias of each layer, without the biases that a layer does not have."""
    return [w for layer in layers for w in (layer.weight, layer.bias) if w is not None]


class Actor(nn.Module):
    """Mean actions `(batch, action_size)` from observations.

    Attributes
    ----------
    heads : tuple of torch.nn.Linear
        The last layers; the last bias of the last one is that of the last action.
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
        """Return mean actions `(batch, action_size)`."""
        return self.head(self.body(observation))


class SubnetEncoder(nn.Module):
    """The same first layer for every observed subnet, which also takes the global features.

    Maps observations `(batch, n_seen * n_local + n_common)`, of any `n_seen`, to `(batch, n_seen, hidden)` and the
    last `n_common` features.
    """

    def __init__(self, sizes: NetworkSizes, n_extra: int = 0):
        super().__init__()
        self.n_local, self.n_common = sizes.n_local, sizes.n_global + n_extra
        self.local = nn.Linear(self.n_local, sizes.hidden)
        self.common = nn.Linear(self.n_common, sizes.hidden, bias=False)

    def forward(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """Return encodings `(batch, n_seen, hidden)` and the common features."""
        batch, width = observation.shape
        n_seen = (width - self.n_common) // self.n_local
        common = observation[:, n_seen * self.n_local :]
        # two dimensions: torch multiplies matrices of three in ways that depend on whether it keeps gradients
        rows = observation[:, : n_seen * self.n_local].reshape(batch * n_seen, self.n_local)
        local = self.local(rows).view(batch, n_seen, self.local.out_features)
        return torch.relu(local + self.common(common)[:, None, :]), common

    @property
    def widths(self) -> tuple[int, int]:
        """Features of a subnet, and common ones."""
        return self.n_local, self.n_common

    def parameters_in_order(self) -> list[Tensor]:
        """Return local weight and bias, and common weight, in the order of the compiled passes."""
        return parameters_of((self.local, self.common))


class SharedActor(Actor):
    """Logit of a subnet from its own and the mean encoding; root and speed from the mean encoding."""

    def __init__(self, sizes: NetworkSizes):
        super().__init__()
        hidden = sizes.hidden
        self.encoder = SubnetEncoder(sizes)
        self.second = nn.Linear(hidden, hidden)
        self.context = nn.Linear(hidden, hidden, bias=False)
        self.logit = nn.Linear(hidden, 1)
        self.overall = nn.Linear(hidden + sizes.n_global, 2)
        self.heads = (self.logit, self.overall)

    def forward(self, observation: Tensor) -> Tensor:
        """Return mean actions, by the compiled passes where they apply."""
        parameters, widths = self.parameters_in_order(), self.encoder.widths
        if fused_networks.applies(observation, *widths, parameters):
            return fused_networks.shared_actor(observation, *widths, parameters)
        return self.reference(observation)

    def parameters_in_order(self) -> list[Tensor]:
        """Return all parameters in the order of the compiled passes."""
        layers = (self.second, self.context, self.logit, self.overall)
        return [*self.encoder.parameters_in_order(), *parameters_of(layers)]

    def reference(self, observation: Tensor) -> Tensor:
        """Definition of `forward`, which differs from it by rounding alone."""
        first, common = self.encoder(observation)
        own = self.second(first.flatten(0, 1)).view(first.shape)
        second = torch.relu(own + self.context(first.mean(1))[:, None, :])
        logits = self.logit(second.flatten(0, 1)).view(first.shape[:2])
        overall = self.overall(torch.cat([second.mean(1), common], 1))
        return torch.cat([overall[:, :1], logits, overall[:, 1:]], 1)


class PooledNetwork(nn.Module):
    """A small network on the global features and the mean over the observed subnets, if there are any."""

    def __init__(self, sizes: NetworkSizes, n_out: int, n_extra: int = 0):
        super().__init__()
        self.encoder = SubnetEncoder(sizes, n_extra)
        self.top = mlp(sizes.hidden + self.encoder.n_common, sizes.hidden, n_out)

    def forward(self, observation: Tensor) -> Tensor:
        """Return outputs `(batch, n_out)`, by the compiled passes where they apply."""
        parameters, widths = self.parameters_in_order(), self.encoder.widths
        if fused_networks.applies(observation, *widths, parameters):
            return fused_networks.pooled_network(observation, *widths, parameters)
        return self.reference(observation)

    def parameters_in_order(self) -> list[Tensor]:
        """Return all parameters in the order of the compiled passes."""
        layers = cast(list[nn.Linear], list(self.top)[::2])
        return [*self.encoder.parameters_in_order(), *parameters_of(layers)]

    def reference(self, observation: Tensor) -> Tensor:
        """Definition of `forward`, which differs from it by rounding alone."""
        first, common = self.encoder(observation)
        pooled = first.sum(1) / max(first.shape[1], 1)
        return self.top(torch.cat([pooled, common], 1))


class PooledActor(PooledNetwork, Actor):
    """Decisions that do not depend on the order of the observed subnets."""

    def __init__(self, sizes: NetworkSizes):
        super().__init__(sizes, sizes.action_size)
        last = self.top[-1]
        assert isinstance(last, nn.Linear)
        self.heads = (last,)
