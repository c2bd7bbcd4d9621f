"""Networks: sizes, and what sharing over subnets promises."""

import pytest
import torch
from dtao_agents.roles.registry import policy_roles
from dtao_agents.roles.staker import STAKER
from dtao_agents.training.architecture import NETWORKS, Architecture

from dtao_gym.envs.builder.observation import observation_size as builder_size
from dtao_gym.envs.builder.twin import TWIN_FEATURES
from dtao_gym.envs.staker.observation import N_GLOBAL, N_SUBNET
from dtao_gym.envs.staker.observation import observation_size as staker_size


@pytest.mark.parametrize("network", NETWORKS)
def test_networks_have_the_sizes_of_the_spaces(network):
    architecture = Architecture(network, 5, 8)
    observation = torch.zeros(3, architecture.observation_size)
    assert architecture.observation_size == staker_size(5)
    assert architecture.actor()(observation).shape == (3, 7)
    assert architecture.critic()(observation).shape == (3, 1)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("n", [1, 5])
def test_networks_of_a_builder_have_the_sizes_of_the_spaces(network, n):
    plain = Architecture(network, n, 8, "builder", 1)
    twin = Architecture(network, n, 8, "builder", 1, len(TWIN_FEATURES))
    assert plain.observation_size == twin.observation_size == builder_size(n)
    assert plain.actor()(torch.zeros(3, builder_size(n))).shape == (3, 1)
    for linear in (True, False):
        critic, sees_twin = plain.critic(linear), twin.critic(linear)
        assert critic(torch.zeros(3, builder_size(n))).shape == (3, 1)
        assert sees_twin(torch.zeros(3, builder_size(n) + len(TWIN_FEATURES))).shape == (3, 1)


def test_a_builder_does_not_care_about_the_order_of_rivals():
    torch.manual_seed(0)
    actor = Architecture("shared", 5, 8, "builder").actor()
    width = len(policy_roles()["builder"].subnet_features)
    observation = torch.randn(2, 56)
    rivals = observation[:, : 4 * width].reshape(2, 4, width)[:, [2, 0, 3, 1]].flatten(1)
    moved = torch.cat([rivals, observation[:, 4 * width :]], 1)
    torch.testing.assert_close(actor(moved), actor(observation))


def relabelled(observation, order):
    """Observations of stakers whose subnet k was subnet `order[k]`."""
    n, local, common = len(order), len(STAKER.subnet_features), len(STAKER.global_features)
    subnets = observation[:, :-common].reshape(-1, n, local)[:, order].flatten(1)
    return torch.cat([subnets, observation[:, -common:]], 1)


def randomised(module, seed=0):
    """The module with weights as large as trained ones: outputs beyond -1 and 1."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            scale = 1.5 / max(parameter.shape[-1], 1) ** 0.5
            parameter.copy_(scale * torch.randn(parameter.shape, generator=generator))
    return module


@pytest.mark.parametrize("n", [8, 16, 64, 128])
def test_relabelling_subnets_relabels_the_actions_of_a_staker(n):
    """Within 1e-5, for one set of weights on any number of subnets."""
    first = Architecture("shared", 8, 16)
    actor, critic = randomised(first.actor()), randomised(first.critic())
    generator = torch.Generator().manual_seed(n)
    width = Architecture("shared", n, 16).observation_size
    observation = 2.0 * torch.rand(32, width, generator=generator) - 1.0
    order = torch.randperm(n, generator=generator)
    moved = relabelled(observation, order)
    before, after = actor(observation), actor(moved)
    assert before.shape == (32, n + 2)
    assert before[:, 1:-1].std(1).min() > 0.1  # subnets differ
    torch.testing.assert_close(after[:, 1:-1], before[:, 1:-1][:, order], atol=1e-5, rtol=0)
    torch.testing.assert_close(after[:, [0, -1]], before[:, [0, -1]], atol=1e-5, rtol=0)
    torch.testing.assert_close(critic(moved), critic(observation), atol=1e-5, rtol=0)


def test_the_order_of_two_logits_depends_on_the_other_subnets():
    """Which is what a pooled context is for."""
    shape = Architecture("shared", 3, 16)
    actor, generator = randomised(shape.actor()), torch.Generator().manual_seed(0)
    common = torch.zeros(500, N_GLOBAL)
    two = (2.0 * torch.rand(1, 2 * N_SUBNET, generator=generator) - 1.0).expand(500, -1)
    third = 2.0 * torch.rand(500, N_SUBNET, generator=generator) - 1.0
    with torch.no_grad():
        actions = actor(torch.cat([two, third, common], 1))
    difference = actions[:, 1] - actions[:, 2]
    assert difference.std() > 0.01


@pytest.mark.parametrize("role", ["staker", "builder"])
def test_no_weight_of_a_shared_network_knows_the_number_of_subnets(role):
    made = [Architecture("shared", n, 16, role) for n in (1, 8, 16, 64, 128)]
    for build in (Architecture.actor, Architecture.critic):
        shapes = [
            {name: weight.shape for name, weight in build(shape).state_dict().items()}
            for shape in made
        ]
        assert all(other == shapes[0] for other in shapes[1:])


def test_exploration_is_tied_over_subnets():
    assert Architecture("shared", 9, 8).exploration() == (1, 9, 1)
    assert Architecture("mlp", 9, 8).exploration() == (1,) * 11
    assert Architecture("shared", 9, 8, "builder", 2).exploration() == (1, 1)
