"""Files of policies: they come back as they were, and run on other numbers of subnets."""

import json

import numpy as np
import pytest
import torch
from dtao_agents.evaluation.policy_files import (
    CARD_NAME,
    Card,
    PolicyError,
    config_hash,
    load_policy,
    save_policy,
)
from dtao_agents.training.architecture import NETWORKS, Architecture
from dtao_agents.training.ppo import TrainingEnv, make_model

from dtao_gym.world.config import Config
from tests.agents.worlds import settings

ARCHITECTURE = Architecture("shared", 4, 8)
BUILDER = Architecture("shared", 4, 8, "builder", 2)


@pytest.fixture
def saved(tmp_path):
    """Folder of a good policy."""
    torch.manual_seed(0)
    save_policy(tmp_path, ARCHITECTURE.actor(), Card(ARCHITECTURE, "0" * 64, 10))
    return tmp_path


@pytest.mark.parametrize("network", NETWORKS)
def test_a_loaded_policy_acts_like_the_trained_one(tmp_path, network):
    env = TrainingEnv(settings(network=network))
    model = make_model(settings(network=network), env)
    with torch.no_grad():
        for parameter in model.policy.parameters():
            parameter.add_(torch.randn(parameter.shape))
    save_policy(tmp_path, model.policy.actor, Card(model.policy.architecture, "", 0))
    policy = load_policy(tmp_path)
    observation = env.reset()
    expected, _ = model.predict(observation, deterministic=True)
    actions = policy.act(observation)
    np.testing.assert_array_equal(actions, expected)
    assert actions.dtype == np.float32
    assert np.abs(actions).max() == 1.0  # clipping was put to the test


def test_the_card_comes_back(saved):
    assert load_policy(saved).card == Card(ARCHITECTURE, "0" * 64, 10)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("n_subnets", [1, 4])
def test_the_card_of_a_builder_comes_back(tmp_path, network, n_subnets):
    shape = Architecture(network, n_subnets, 8, "builder", 2)
    save_policy(tmp_path, shape.actor(), Card(shape, "0" * 64, 10))
    policy = load_policy(tmp_path)
    assert policy.card == Card(shape, "0" * 64, 10)
    actions = policy.act(np.zeros((3, shape.observation_size), np.float32))
    assert actions.shape == (3, 2)
    assert np.isfinite(actions).all()


def test_a_builder_has_one_of_three_sizes_of_actions(tmp_path):
    save_policy(tmp_path, BUILDER.actor(), Card(BUILDER, "0" * 64, 10))
    content = json.loads((tmp_path / CARD_NAME).read_text()) | {"action_size": 3}
    (tmp_path / CARD_NAME).write_text(json.dumps(content))
    with pytest.raises(PolicyError, match=r"action_size: got 3, allowed is one of \(1, 2, 4\)"):
        load_policy(tmp_path)


def test_a_policy_refuses_observations_of_another_world(saved):
    with pytest.raises(
        ValueError, match=r"observation: got shape \(1, 66\), allowed is \(batch, 55\)"
    ):
        load_policy(saved).act(np.zeros((1, 66), np.float32))


@pytest.mark.parametrize("shape", [ARCHITECTURE, BUILDER])
def test_shared_weights_run_on_any_number_of_subnets(tmp_path, shape):
    save_policy(tmp_path, shape.actor(), Card(shape, "0" * 64, 10))
    trained = load_policy(tmp_path)
    for n in (8, 16, 64, 128):
        policy = load_policy(tmp_path, n_subnets=n)
        assert policy.card == trained.card  # tells of training
        assert policy.card.architecture.n_subnets == 4
        for name, weight in policy.actor.state_dict().items():
            assert torch.equal(weight, trained.actor.state_dict()[name])
        size = policy.architecture.observation_size
        observation = np.random.default_rng(n).uniform(-1.0, 1.0, (3, size)).astype(np.float32)
        actions = policy.act(observation)
        assert actions.shape == (3, policy.architecture.action_size)
        np.testing.assert_array_equal(trained.for_subnets(n).act(observation), actions)
        with pytest.raises(ValueError, match="observation: got shape"):
            trained.act(observation)


def test_other_weights_run_on_their_number_of_subnets_alone(tmp_path):
    shape = Architecture("mlp", 4, 8)
    save_policy(tmp_path, shape.actor(), Card(shape, "0" * 64, 10))
    assert load_policy(tmp_path, n_subnets=4).architecture == shape
    with pytest.raises(PolicyError, match=r"n_subnets: got 8, allowed is 4: .* 'mlp' fit one"):
        load_policy(tmp_path, n_subnets=8)


@pytest.mark.parametrize("n_subnets", [0, 129, 10**400, True, 8.0])
def test_numbers_of_subnets_out_of_range_are_refused(saved, n_subnets):
    with pytest.raises(
        PolicyError, match=r"n_subnets: got .{1,60}, allowed are whole numbers 1 to"
    ):
        load_policy(saved, n_subnets=n_subnets)


def test_config_hash_depends_on_values_alone():
    first, second = Config.make(n_subnets=4, wealth_tao=5), Config.make(wealth_tao=5.0, n_subnets=4)
    assert config_hash(first) == config_hash(second) != config_hash(Config.make(n_subnets=4))
