"""The PettingZoo view: its own checks without warnings, and equality with the single environments."""

import subprocess
import sys
import warnings

import gymnasium as gym
import numpy as np
import pytest

pytest.importorskip("pettingzoo")
with warnings.catch_warnings():
    # the tests of PettingZoo 1.27 import its board games in a way that it deprecates itself
    warnings.simplefilter("ignore", DeprecationWarning)
    from pettingzoo.test import parallel_api_test, parallel_seed_test

import dtao_gym
from dtao_gym.world.config import ConfigError

SETTINGS = {"n_subnets": 4, "horizon_days": 6}
CROWDED = {"arrivals_per_slot_year": 12.0, "entry_value_tao": 1e6, "immunity_days": 0.0}
MEMBERS = [
    {"stakers": 1},
    {"stakers": 0, "builders": [3]},
    {"stakers": 2, "builders": [0, 3]},
    {"stakers": 1, "builders": "all", "horizon": "geometric"},
    {"stakers": 2, "builders": "all", "horizon_days": 200, **CROWDED},
    {"stakers": 2, "builders": [0, 3], "era": "root_reborn"},
]


def sampled(env) -> dict:
    return {agent: env.action_space(agent).sample() for agent in env.agents}


@pytest.mark.parametrize("members", MEMBERS)
def test_the_checks_of_pettingzoo(members, capsys):
    def make():
        return dtao_gym.parallel_env(**SETTINGS | members)

    parallel_api_test(make(), num_cycles=300)
    parallel_seed_test(make, num_cycles=20)
    assert "Passed" in capsys.readouterr().out


@pytest.mark.parametrize(("name", "agent"), [("Staker", "staker_0"), ("Builder", "builder_0")])
def test_one_agent_equals_the_single_environment(name, agent, same):
    members = {"stakers": 1} if name == "Staker" else {"stakers": 0, "builders": [0]}
    alone, env = (
        gym.make(f"dtao_gym/{name}-v0", **SETTINGS),
        dtao_gym.parallel_env(**SETTINGS | members),
    )
    one, many = alone.reset(seed=9), env.reset(seed=9)
    assert env.agents == [agent]
    assert same(one, tuple(part[agent] for part in many))
    while env.agents:
        action = env.action_space(agent).sample()
        one, many = alone.step(action), env.step({agent: action})
        assert same(one, tuple(part[agent] for part in many))


def test_a_builder_whose_subnet_is_dissolved_leaves_for_good():
    env = dtao_gym.parallel_env(
        stakers=1, builders="all", **SETTINGS | {"horizon_days": 400}, **CROWDED
    )
    env.reset(seed=0)
    gone: set[str] = set()
    while env.agents:
        before = set(env.agents)
        actions = sampled(env)
        actions["staker_0"][-1] = -1.0  # trades nothing
        _, rewards, terminated, truncated, infos = env.step(actions)
        assert set(rewards) == set(infos) == before
        gone |= {agent for agent in before if terminated[agent]}
        for agent in before & gone:
            assert infos[agent]["pruned"]
        assert not gone & set(env.agents)
    assert gone
    assert all("builder" in agent for agent in gone)
    assert truncated["staker_0"]


def test_observations_and_spaces_are_each_agents_own():
    env = dtao_gym.parallel_env(stakers=2, builders=[1], **SETTINGS)
    first, _ = env.reset(seed=1)
    kept = {agent: seen.copy() for agent, seen in first.items()}
    env.step(sampled(env))
    for agent, seen in first.items():
        np.testing.assert_array_equal(seen, kept[agent])
        assert env.observation_space(agent).contains(seen)
    assert env.action_space("staker_0") is not env.action_space("staker_1")
    assert env.state().size == sum(env.observation_space(a).shape[0] for a in env.possible_agents)


@pytest.mark.parametrize("mode", ["ansi", "rgb_array"])
def test_pictures(mode):
    env = dtao_gym.parallel_env(stakers=1, builders=[1], render_mode=mode, **SETTINGS)
    env.reset(seed=1)
    env.step(sampled(env))
    shown = env.render()
    assert "wealth" in shown if mode == "ansi" else shown.shape == (600, 800, 3)
    with pytest.raises(ValueError, match="render_mode: got 'human'"):
        dtao_gym.parallel_env(render_mode="human", **SETTINGS)


def test_missing_unknown_and_bad_actions_are_refused():
    env = dtao_gym.parallel_env(stakers=1, builders=[1], **SETTINGS)
    with pytest.raises(ValueError, match="nobody, call reset"):
        env.step({"staker_0": np.zeros(6)})
    env.reset(seed=0)
    good = sampled(env)
    with pytest.raises(
        ValueError, match="allowed are those of the live agents: staker_0, builder_1"
    ):
        env.step({"staker_0": good["staker_0"]})
    with pytest.raises(ValueError, match="got those of staker_0, builder_1, builder_2"):
        env.step(good | {"builder_2": good["builder_1"]})
    with pytest.raises(ValueError, match="action of builder_1: got shape"):
        env.step(good | {"builder_1": np.zeros(3)})
    with pytest.raises(ConfigError, match="stakers: got -1"):
        dtao_gym.parallel_env(stakers=-1)


def test_without_pettingzoo_the_error_says_what_to_install():
    code = "import sys; sys.modules['pettingzoo'] = None; import dtao_gym; dtao_gym.parallel_env"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert "pip install 'dtao-gym[marl]'" in done.stderr
