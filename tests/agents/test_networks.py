"""Networks: sizes, and what sharing over subnets promises."""

import pytest
import torch

from agents.networks import FEATURES, NETWORKS, Architecture
from dtao_gym.envs.builder import TWIN_FEATURES


@pytest.mark.parametrize("network", NETWORKS)
def test_networks_have_the_sizes_of_the_spaces(network):
    architecture = Architecture(network, 5, 8)
    observation = torch.zeros(3, architecture.observation_size)
    assert architecture.observation_size == 66
    assert architecture.actor()(observation).shape == (3, 7)
    assert architecture.critic()(observation).shape == (3, 1)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("n", [1, 5])
def test_networks_of_a_builder_have_the_sizes_of_the_spaces(network, n):
    plain = Architecture(network, n, 8, "builder", 1)
    twin = Architecture(network, n, 8, "builder", 1, len(TWIN_FEATURES))
    assert plain.observation_size == twin.observation_size == 6 * n + 26
    assert plain.actor()(torch.zeros(3, 6 * n + 26)).shape == (3, 1)
    assert plain.critic()(torch.zeros(3, 6 * n + 26)).shape == (3, 1)
    assert twin.critic()(torch.zeros(3, 6 * n + 26 + len(TWIN_FEATURES))).shape == (3, 1)


def test_a_builder_does_not_care_about_the_order_of_rivals():
    torch.manual_seed(0)
    actor = Architecture("shared", 5, 8, "builder").actor()
    width = len(FEATURES["builder"][0])
    observation = torch.randn(2, 56)
    rivals = observation[:, : 4 * width].reshape(2, 4, width)[:, [2, 0, 3, 1]].flatten(1)
    moved = torch.cat([rivals, observation[:, 4 * width :]], 1)
    torch.testing.assert_close(actor(moved), actor(observation))


def test_shared_network_does_not_care_about_the_order_of_subnets():
    torch.manual_seed(0)
    actor, critic = Architecture("shared", 5, 8).actor(), Architecture("shared", 5, 8).critic()
    observation = torch.randn(2, 66)
    order = torch.tensor([3, 1, 4, 0, 2])
    subnets = observation[:, :60].reshape(2, 5, 12)[:, order].reshape(2, 60)
    moved = torch.cat([subnets, observation[:, 60:]], 1)
    before, after = actor(observation), actor(moved)
    torch.testing.assert_close(after[:, 1:-1], before[:, 1:-1][:, order])
    torch.testing.assert_close(after[:, [0, -1]], before[:, [0, -1]])
    torch.testing.assert_close(critic(moved), critic(observation))
