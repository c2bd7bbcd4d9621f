"""The architecture of a learner: which networks its role has, with which sizes."""

from dataclasses import dataclass

from torch import nn

from dtao_agents.roles.registry import agent_role
from dtao_agents.roles.role import AgentRole
from dtao_agents.training.linear_critic import LinearCritic
from dtao_agents.training.networks import Actor, PooledNetwork, mlp

NETWORKS = ("shared", "mlp")


@dataclass(frozen=True)
class Architecture:
    """All that is needed to build the networks of a learner, so that a policy's file needs no code.

    Attributes
    ----------
    network : {"shared", "mlp"}
        "shared" applies one small network to every subnet, so that what is learned at one holds at all, whatever their
        order and number; "mlp" is a plain network on the whole observation.
    n_subnets : int
        Subnets of the world.
    hidden : int
        Width of each of the two hidden layers.
    role : str
        Card name of the agent role.
    n_actions : int
        Size of an action, where it does not follow from the number of subnets.
    n_extra : int
        Features at the end of an observation that the critic alone observes, in training.
    """

    network: str
    n_subnets: int
    hidden: int
    role: str = "staker"
    n_actions: int = 4
    n_extra: int = 0

    @property
    def agent_role(self) -> AgentRole:
        """The role."""
        return agent_role(self.role)

    @property
    def is_shared(self) -> bool:
        """Whether one network serves all subnets."""
        return self.network == "shared"

    @property
    def n_seen(self) -> int:
        """Subnets that an observation describes one by one."""
        return self.agent_role.observed_subnets(self.n_subnets)

    @property
    def n_local(self) -> int:
        """Features of each of them."""
        return len(self.agent_role.subnet_features)

    @property
    def n_global(self) -> int:
        """Features besides these."""
        return len(self.agent_role.global_features)

    @property
    def observation_size(self) -> int:
        """Length of an observation of the actor."""
        return self.n_seen * self.n_local + self.n_global

    @property
    def action_size(self) -> int:
        """Length of an action."""
        return self.agent_role.action_size(self.n_subnets, self.n_actions)

    def actor(self) -> Actor:
        """Return the module from observations `(batch, size)` to mean actions `(batch, action_size)`."""
        return self.agent_role.actor(self)

    def critic(self, linear: bool = False) -> nn.Module:
        """Return a module from observations, with the extra features at their end, to values `(batch, 1)`.

        A `linear` critic, of roles that have one, is solved for by `LinearCriticPPO`; others learn by gradient descent.
        """
        if linear:
            return LinearCritic(self.agent_role.valued_entries(self))
        if self.is_shared:
            return PooledNetwork(self, 1, self.n_extra)
        return mlp(self.observation_size + self.n_extra, self.hidden, 1)

    def exploration(self) -> tuple[int, ...]:
        """Return how many actions, in their order, share one standard deviation of exploration each."""
        return self.agent_role.exploration(self)
