"""The PettingZoo view: its own checks without warnings, and equality with the single environments."""

import copy
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
    from pettingzoo.test import parallel_api_test, parallel_seed_test, render_test
    from pettingzoo.test.state_test import state_test

from pettingzoo.utils.conversions import parallel_to_aec

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
    with pytest.raises(ValueError, match="render_mode: got 'film'"):
        dtao_gym.parallel_env(render_mode="film", **SETTINGS)


def test_a_window_follows_the_episode(monkeypatch):
    """Without a screen it warns once, blocks nothing, and draws the picture of `rgb_array`."""
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    env = dtao_gym.parallel_env(render_mode="human", **SETTINGS)
    plain = dtao_gym.parallel_env(render_mode="rgb_array", **SETTINGS)
    plain.reset(seed=1)
    with pytest.warns(UserWarning, match="backend agg has no windows: install tkinter"):
        env.reset(seed=1)
    assert len(pyplot.get_fignums()) == 1
    for _ in range(2):
        action = sampled(env)
        env.step(action), plain.step(action)
        np.testing.assert_array_equal(env._window._image.get_array(), plain.render())
    assert env.render() is None
    assert copy.deepcopy(env)._window._image is None
    env.close()
    env.close()
    assert pyplot.get_fignums() == []
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    with pytest.raises(gym.error.DependencyNotInstalled, match=r"pip install 'dtao-gym\[plot\]'"):
        dtao_gym.parallel_env(render_mode="human", **SETTINGS).reset(seed=1)


def test_a_window_opens_where_there_is_a_screen(monkeypatch):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    shown, flushed = [], []
    canvas = pyplot.figure().canvas.__class__
    pyplot.close("all")
    monkeypatch.setattr(canvas, "required_interactive_framework", "screen")
    monkeypatch.setattr(canvas, "flush_events", lambda self: flushed.append(self))
    monkeypatch.setattr(pyplot, "show", lambda block: shown.append(block))
    env = dtao_gym.parallel_env(render_mode="human", **SETTINGS)
    env.reset(seed=1)
    env.step(sampled(env))
    assert shown == [False]
    assert len(flushed) == 2
    env.close()


@pytest.mark.filterwarnings("ignore:render_mode 'human'|.*has no windows")
@pytest.mark.filterwarnings("ignore:Agents have different|Observations are different")
@pytest.mark.parametrize("members", MEMBERS[:3])
def test_the_checks_of_pettingzoo_for_states_and_pictures(members):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("agg")

    def turns(**more):
        return parallel_to_aec(dtao_gym.parallel_env(**SETTINGS | members | more))

    state_test(turns(), dtao_gym.parallel_env(**SETTINGS | members), num_cycles=20)
    render_test(turns)
    pyplot.close("all")


def test_the_state_is_of_its_space():
    env = dtao_gym.parallel_env(stakers=2, builders=[1], **SETTINGS)
    env.reset(seed=0)
    assert env.state_space.contains(env.state())
    assert env.state_space.shape == (2 * env.observation_space("staker_0").shape[0] + 50,)


def test_actions_of_agents_that_have_left_are_ignored(same):
    settings = SETTINGS | {"horizon_days": 400} | CROWDED
    env, plain = (dtao_gym.parallel_env(builders="all", **settings) for _ in range(2))
    env.reset(seed=0), plain.reset(seed=0)
    everybody = {a: np.zeros(env.action_space(a).shape, np.float32) for a in env.possible_agents}
    everybody["staker_0"][-1] = -1.0
    nothing = dict.fromkeys(env.possible_agents)
    while env.agents:
        present = {agent: everybody[agent] for agent in env.agents}
        assert same(env.step(nothing | present), plain.step(present))
        if len(env.agents) < len(everybody) and env.agents:
            with pytest.raises(ValueError, match="allowed are those of the live agents"):
                env.step({agent: everybody[agent] for agent in env.agents[1:]})
            with pytest.raises(ValueError, match=r"got those of .* builder_9"):
                env.step(everybody | {"builder_9": everybody["staker_0"]})
    assert plain.agents == []
    with pytest.raises(ValueError, match="nobody, call reset"):
        env.step(everybody)
    with pytest.raises(ValueError, match="nobody, call reset"):
        env.step({})


def test_seeds_are_drawn_told_and_folded(same):
    one, other = dtao_gym.parallel_env(**SETTINGS), dtao_gym.parallel_env(**SETTINGS)
    action = {"staker_0": np.zeros(6)}
    one.reset(), other.reset()
    first = one.step(action)
    assert isinstance(one.np_random, np.random.Generator)
    assert one.np_random_seed != other.np_random_seed
    other.reset(seed=one.np_random_seed)
    assert same(other.step(action), first)
    assert dtao_gym.parallel_env(world_seed=3, **SETTINGS).np_random_seed == 3
    other.reset(seed=2**64)
    assert other.np_random_seed == 2**64
    with pytest.raises(ConfigError, match="seed: got True, allowed are whole numbers from 0, None"):
        other.reset(seed=True)


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
