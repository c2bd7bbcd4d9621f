"""Settings: what a file may say, and one clear line for what it may not."""

import pytest
import yaml
from dtao_agents.training.settings import WORLDS_PER_SEED, TrainConfig, read

from dtao_gym.world.config import ConfigError
from tests.agents.worlds import settings

REFUSED = {
    "unknown setting": (
        {"lr": 1e-3},
        "lr: unknown setting, got 0.001, allowed are network, hidden, ",
    ),
    "mistyped setting": (
        {"gama": 0.9},
        r"gama: unknown setting, got 0.9; did you mean 'gamma'\?$",
    ),
    "long value": ({"gamma": ["x" * 500]}, r"gamma: got \['x{75}\.\.\., allowed: "),
    "mistyped role": ({"role": "stakr"}, r"role: got 'stakr', .*; did you mean 'staker'\?$"),
    "mistyped rule": (
        {"env": {"allocation": "prise"}},
        r"env.allocation: .*; did you mean 'price'\?$",
    ),
    "unknown snapshot": (
        {"env": {"genesis": "mainet-2026-06-14"}},
        r"env.genesis: .*; did you mean 'mainnet-2026-06-14'\?$",
    ),
    "wrong type": ({"num_envs": "many"}, "num_envs: got 'many', allowed: .*integer"),
    "out of range": ({"gamma": 1.5}, "gamma: got 1.5, allowed: .*less than or equal to 1"),
    "not a number": ({"learning_rate": float("nan")}, "learning_rate: got nan"),
    "unknown choice": ({"network": "huge"}, "network: got 'huge', allowed: .*'shared' or 'mlp'"),
    "unknown parameter": (
        {"env": {"n_subnet": 4}},
        "n_subnet: unknown parameter, got 4; did you mean 'n_subnets'?",
    ),
    "bad parameter": (
        {"env": {"n_subnets": 0}},
        "n_subnets: got 0, allowed: .*greater than or equal to 1",
    ),
    "no mapping": ({"env": 3}, "env: got 3, allowed is a mapping"),
    "uneven minibatches": (
        {"batch_size": 48},
        "batch_size: got 48, allowed are divisors of .* = 128",
    ),
    "many learners": ({"env": {"n_stakers": 2}}, "env.n_stakers: got 2, allowed is 1"),
    "evaluation worlds": (
        {"env": {"split": "evaluation"}},
        "env.split: got 'evaluation', allowed is 'train'",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_settings_are_refused_in_one_line(name):
    changes, message = REFUSED[name]
    with pytest.raises(ConfigError, match=message) as caught:
        settings(**changes)
    assert "\n" not in str(caught.value)


def test_a_file_holds_all_settings(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(settings(seed=3).to_yaml())
    assert read(path) == settings(seed=3)
    assert set(yaml.safe_load(path.read_text())) == set(TrainConfig.model_fields)


@pytest.mark.parametrize("text", ["- 1", "{", "3"])
def test_files_that_hold_no_settings_are_refused(tmp_path, text):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"bad\.yaml: "):
        read(path)


def test_a_key_that_is_no_text_is_refused_in_one_line(tmp_path):
    (tmp_path / "bad.yaml").write_text('"\\ud800": 1\n')
    with pytest.raises(ConfigError, match=r"settings: got .*\\ud800.*unicode string"):
        read(tmp_path / "bad.yaml")


def test_a_missing_file_is_named():
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: is missing"):
        read("nowhere.yaml")


def test_training_seeds_share_no_world():
    first, second = settings(seed=0), settings(seed=1)
    assert second.first_world_seed() - first.first_world_seed() == WORLDS_PER_SEED
    assert first.num_envs <= WORLDS_PER_SEED
    assert settings(seed=2**40 - 1).first_world_seed() + WORLDS_PER_SEED < 2**63
