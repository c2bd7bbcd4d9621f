"""Networks: sizes, and what sharing over subnets promises."""

import pytest
import torch

from agents.networks import N_LOCAL, NETWORKS, Architecture


@pytest.mark.parametrize("network", NETWORKS)
def test_networks_have_the_sizes_of_the_spaces(network):
    architecture = Architecture(network, 5, 8)
    observation = torch.zeros(3, architecture.observation_size)
    assert architecture.observation_size == 66
    assert architecture.actor()(observation).shape == (3, 7)
    assert architecture.critic()(observation).shape == (3, 1)


def test_shared_network_does_not_care_about_the_order_of_subnets():
    torch.manual_seed(0)
    actor, critic = Architecture("shared", 5, 8).actor(), Architecture("shared", 5, 8).critic()
    observation = torch.randn(2, 66)
    order = torch.tensor([3, 1, 4, 0, 2])
    subnets = observation[:, :60].reshape(2, 5, N_LOCAL)[:, order].reshape(2, 60)
    moved = torch.cat([subnets, observation[:, 60:]], 1)
    before, after = actor(observation), actor(moved)
    torch.testing.assert_close(after[:, 1:-1], before[:, 1:-1][:, order])
    torch.testing.assert_close(after[:, [0, -1]], before[:, [0, -1]])
    torch.testing.assert_close(critic(moved), critic(observation))
