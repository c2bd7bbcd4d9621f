"""The hyperparameter files for rl-zoo3: arguments that Stable-Baselines3 takes, for registered environments."""

import inspect
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
import yaml

pytest.importorskip("stable_baselines3")

from stable_baselines3 import PPO, SAC
from stable_baselines3.common.vec_env import DummyVecEnv

import dtao_gym

CONFIGS = Path(dtao_gym.__file__).parent.parent / "configs"
ALGORITHMS = {"ppo": PPO, "sac": SAC}
OF_THE_ZOO = {"n_envs", "n_timesteps", "normalize", "env_wrapper", "callback", "frame_stack"}
"""Keys that rl-zoo3 uses itself; all others go to the algorithm."""


def entries(algorithm: str) -> dict[str, dict[str, Any]]:
    found = yaml.safe_load((CONFIGS / f"rl_zoo3_{algorithm}.yml").read_text(encoding="utf-8"))
    return {name: entry for name, entry in found.items() if name != "default"}


CASES = [(algorithm, name) for algorithm in ALGORITHMS for name in entries(algorithm)]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_environment_that_fits_has_an_entry(algorithm):
    wanted = {name for name in gym.registry if name.startswith("dtao_gym/")}
    if algorithm == "sac":
        wanted.remove("dtao_gym/BuilderDiscrete-v0")
    assert set(entries(algorithm)) == wanted


@pytest.mark.parametrize(("algorithm", "name"), CASES)
def test_keys_are_arguments_of_the_algorithm(algorithm, name):
    entry = entries(algorithm)[name]
    allowed = set(inspect.signature(ALGORITHMS[algorithm].__init__).parameters)
    assert set(entry) - OF_THE_ZOO <= allowed
    assert entry["n_timesteps"] > 0
    if algorithm == "ppo":
        assert entry["n_envs"] * entry["n_steps"] % entry["batch_size"] == 0


@pytest.mark.parametrize(("algorithm", "name"), CASES)
def test_a_model_can_be_made_of_them(algorithm, name):
    arguments = {k: v for k, v in entries(algorithm)[name].items() if k not in OF_THE_ZOO}
    arguments["policy_kwargs"] = eval(arguments["policy_kwargs"])  # as rl-zoo3 does
    rate = arguments["learning_rate"]
    if isinstance(rate, str):
        kind, number = rate.split("_")
        assert kind == "lin"
        arguments["learning_rate"] = lambda left: float(number) * left
    small = (
        {"n_subnets": 4} if name != "dtao_gym/Replay-v0" else {"n_subnets": 4, "horizon_days": 9}
    )
    envs = DummyVecEnv([lambda: gym.make(name, **small)] * 2)
    arguments |= {"n_steps": 16, "batch_size": 16} if algorithm == "ppo" else {"learning_starts": 8}
    model = ALGORITHMS[algorithm](env=envs, seed=0, device="cpu", **arguments)
    model.learn(32)
    assert model.num_timesteps >= 32
