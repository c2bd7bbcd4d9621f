"""Files of policies: they come back as they were, and hostile ones are refused with one clear error."""

import json
import pickle
import struct

import numpy as np
import pytest
import torch
from safetensors.torch import save

from agents.learn import TrainingEnv, make_model
from agents.networks import NETWORKS, Architecture
from agents.policies import (
    CARD_NAME,
    MAX_CARD_BYTES,
    MAX_WEIGHTS_BYTES,
    WEIGHTS_NAME,
    Card,
    PolicyError,
    config_hash,
    load_policy,
    save_policy,
)
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
        ValueError, match=r"observation: got shape \(1, 66\), allowed is \(batch, 54\)"
    ):
        load_policy(saved).act(np.zeros((1, 66), np.float32))


def test_config_hash_depends_on_values_alone():
    first, second = Config.make(n_subnets=4, wealth_tao=5), Config.make(wealth_tao=5.0, n_subnets=4)
    assert config_hash(first) == config_hash(second) != config_hash(Config.make(n_subnets=4))


def _tensors(**changes):
    tensors = dict(ARCHITECTURE.actor().state_dict())
    tensors.update(changes)
    return save(tensors)


def _without(name):
    tensors = dict(ARCHITECTURE.actor().state_dict())
    del tensors[name]
    return save(tensors)


class _Loud:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was run",))


HOSTILE_WEIGHTS = {
    "empty": (b"", "0 bytes"),
    "truncated": (_tensors()[:-4], "not a safetensors file"),
    "cut in the header": (_tensors()[:20], "header"),
    "not finite": (_tensors(**{"logit.bias": torch.tensor([float("nan")])}), "logit.bias: got NaN"),
    "infinite": (
        _tensors(**{"logit.bias": torch.tensor([float("inf")])}),
        "logit.bias: got NaN or inf",
    ),
    "wrong shape": (
        _tensors(**{"logit.bias": torch.zeros(2)}),
        r"allowed is torch.float32 of shape \(1,\)",
    ),
    "wrong type": (
        _tensors(**{"logit.bias": torch.zeros(1, dtype=torch.float64)}),
        "got torch.float64",
    ),
    "extra tensor": (_tensors(extra=torch.zeros(1)), "extra: unknown tensor"),
    "missing tensor": (_without("logit.bias"), "logit.bias: is missing"),
    "pickle": (pickle.dumps(_Loud()), "header"),
    "huge header": (struct.pack("<Q", 2**62) + b"{}", "header of 4611686018427387904"),
    "header without end": (struct.pack("<Q", 10) + b"{" * 10, "not a safetensors file"),
    "large header": (struct.pack("<Q", 100_000) + b" " * 100_000, "header of 100000"),
    "large file": (b"\0" * (MAX_WEIGHTS_BYTES + 1), "more than"),
}


@pytest.mark.parametrize("name", HOSTILE_WEIGHTS)
def test_hostile_weights_are_refused(saved, name):
    content, message = HOSTILE_WEIGHTS[name]
    (saved / WEIGHTS_NAME).write_bytes(content)
    with pytest.raises(PolicyError, match=message) as caught:
        load_policy(saved)
    assert WEIGHTS_NAME in str(caught.value)


HOSTILE_CARDS = {
    "missing entry": ({"role": None}, "role is missing"),
    "unknown entry": ({"weights": "../../x"}, "weights: unknown entry"),
    "wrong kind": ({"hidden": "8"}, "hidden: got str, allowed is int"),
    "bool for a number": ({"hidden": True}, "hidden: got bool"),
    "unknown network": ({"network": "os.system"}, "network: got 'os.system'"),
    "unknown role": ({"role": "../staker"}, "role: got '../staker'"),
    "no subnets": ({"n_subnets": 0}, "n_subnets: got 0, allowed is 1 to 128"),
    "gigantic layer": ({"hidden": 10**9}, "hidden: got 1000000000, allowed is 1 to 1024"),
    "other subnets": ({"n_subnets": 5}, "observation_size: got 54, allowed is 66"),
    "other features": ({"global_features": []}, "global_features: got"),
    "other format": ({"format": 2}, "format: got 2"),
    "other width": ({"hidden": 4}, "of shape"),
}


@pytest.mark.parametrize("name", HOSTILE_CARDS)
def test_hostile_cards_are_refused(saved, name):
    changes, message = HOSTILE_CARDS[name]
    content = json.loads((saved / CARD_NAME).read_text()) | changes
    (saved / CARD_NAME).write_text(json.dumps({k: v for k, v in content.items() if v is not None}))
    with pytest.raises(PolicyError, match=message):
        load_policy(saved)


HOSTILE_TEXTS = {
    "empty": (b"", "is not JSON"),
    "a list": (b"[]", "got list"),
    "deep": (b"[" * 50_000, "is not JSON"),
    "not UTF-8": (b"\xff\xfe{", "is not JSON"),
    "large": (b" " * (MAX_CARD_BYTES + 1), "more than"),
    "pickle": (pickle.dumps(_Loud()), "is not JSON"),
}


@pytest.mark.parametrize("name", HOSTILE_TEXTS)
def test_texts_that_are_no_card_are_refused(saved, name):
    content, message = HOSTILE_TEXTS[name]
    (saved / CARD_NAME).write_bytes(content)
    with pytest.raises(PolicyError, match=message):
        load_policy(saved)


@pytest.mark.parametrize("name", [CARD_NAME, WEIGHTS_NAME])
def test_missing_files_and_folders_in_their_place_are_refused(saved, name):
    (saved / name).unlink()
    with pytest.raises(PolicyError, match=f"{name}: no such file"):
        load_policy(saved)
    (saved / name).mkdir()
    with pytest.raises(PolicyError, match=f"{name}: no such file"):
        load_policy(saved)
