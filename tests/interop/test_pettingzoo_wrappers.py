"""PettingZoo's wrappers, conversions and checks around the parallel environment, unchanged."""

import warnings

import numpy as np
import pytest

pytest.importorskip("pettingzoo")
with warnings.catch_warnings():
    # the checks of PettingZoo 1.27 import its own board games in a way that it deprecates
    warnings.simplefilter("ignore", DeprecationWarning)
    from pettingzoo.test import api_test, parallel_api_test, parallel_seed_test, seed_test

from pettingzoo.utils.conversions import (
    aec_to_parallel,
    aec_to_parallel_wrapper,
    parallel_to_aec,
)
from pettingzoo.utils.wrappers import BaseParallelWrapper, OrderEnforcingWrapper

import dtao_gym

SETTINGS = {"n_subnets": 4, "spans_per_day": 1, "horizon_days": 6}
CROWDED = {"arrivals_per_slot_year": 12.0, "entry_value_tao": 1e6, "immunity_days": 0.0}
SETS_OF_AGENTS = {
    "one staker": {"stakers": 1},
    "two and two": {"stakers": 2, "builders": (0, 3)},
    # builders lose their subnets at different times
    "mortal": {"stakers": 1, "builders": (0, 1, 2, 3), "horizon_days": 120, **CROWDED},
}
each_set_of_agents = pytest.mark.parametrize("agents", SETS_OF_AGENTS)


def made(agents: str):
    """A parallel environment whose action spaces sample the same actions every time."""
    env = dtao_gym.parallel_env(**SETTINGS | SETS_OF_AGENTS[agents])
    for k, agent in enumerate(env.possible_agents):
        env.action_space(agent).seed(k)
    return env


def episode(env) -> list[tuple]:
    """What a parallel environment returns from reset and from each step of an episode with sampled actions."""
    found: list[tuple] = [env.reset(seed=5)]
    while env.agents:
        found.append(env.step({agent: env.action_space(agent).sample() for agent in env.agents}))
    return found


def assert_equal(one: list[tuple], other: list[tuple]) -> None:
    assert len(one) == len(other)
    for mine, theirs in zip(one, other, strict=True):
        for a, b in zip(mine, theirs, strict=True):
            assert a.keys() == b.keys()
            for agent in a:
                np.testing.assert_equal(a[agent], b[agent])


class Scaled(BaseParallelWrapper):
    """Rewards times ten, as users' wrappers are written."""

    def step(self, actions):
        seen, rewards, *rest = super().step(actions)
        return seen, {agent: 10.0 * reward for agent, reward in rewards.items()}, *rest


@each_set_of_agents
def test_the_checks_of_pettingzoo_pass_through_a_wrapper(agents, capsys):
    parallel_api_test(Scaled(made(agents)), num_cycles=150)
    parallel_seed_test(lambda: Scaled(made(agents)), num_cycles=10)
    assert "Passed" in capsys.readouterr().out


# remarks of PettingZoo on every environment in which agents differ, as stakers and builders do
@pytest.mark.filterwarnings("ignore:Agents have different (observation|action) space sizes")
@pytest.mark.filterwarnings("ignore:Observations are different shapes")
@each_set_of_agents
def test_the_checks_of_pettingzoo_pass_on_turns(agents, capsys):
    api_test(parallel_to_aec(made(agents)), num_cycles=150)
    seed_test(lambda: parallel_to_aec(made(agents)), num_cycles=30)
    assert "Passed" in capsys.readouterr().out


@each_set_of_agents
def test_a_wrapper_changes_only_what_it_says(agents):
    plain, wrapped = made(agents), Scaled(made(agents))
    assert wrapped.possible_agents == plain.possible_agents
    assert wrapped.unwrapped is wrapped.env
    one, other = episode(plain), episode(wrapped)
    assert any(reward for step in one[1:] for reward in step[1].values())
    for step in one[1:]:
        for agent in step[1]:
            step[1][agent] *= 10.0
    assert_equal(one, other)
    assert wrapped.agents == []
    np.testing.assert_array_equal(wrapped.state(), plain.state())


@each_set_of_agents
def test_turns_and_back_are_the_same_episode(agents):
    """`aec_to_parallel` would only hand the environment back, so its wrapper is asked for by name."""
    env = made(agents)
    assert aec_to_parallel(parallel_to_aec(env)) is env
    assert_equal(episode(env), episode(aec_to_parallel_wrapper(parallel_to_aec(made(agents)))))


@each_set_of_agents
def test_agents_that_take_turns_earn_and_see_the_same(agents):
    parallel, turns = episode(made(agents)), parallel_to_aec(made(agents))
    turns.reset(seed=5)
    earned = dict.fromkeys(turns.possible_agents, 0.0)
    seen: dict[str, list] = {agent: [] for agent in turns.possible_agents}
    for agent in turns.agent_iter():
        observation, reward, terminated, truncated, _ = turns.last()
        earned[agent] += reward
        seen[agent].append(observation)
        turns.step(None if terminated or truncated else turns.action_space(agent).sample())
    for agent in turns.possible_agents:
        rewards = [step[1][agent] for step in parallel[1:] if agent in step[1]]
        assert earned[agent] == pytest.approx(sum(rewards), abs=1e-12)
        np.testing.assert_array_equal(
            seen[agent], [step[0][agent] for step in parallel if agent in step[0]]
        )


def test_builders_leave_one_after_the_other():
    """Otherwise the tests above would say nothing of agents that are gone."""
    steps = episode(made("mortal"))[1:]
    present = [len(step[0]) for step in steps]
    assert present[0] == 5
    assert len(set(present)) > 2
    assert present == sorted(present, reverse=True)


def test_turns_are_refused_before_a_reset():
    turns = parallel_to_aec(made("two and two"))
    assert isinstance(turns, OrderEnforcingWrapper)
    with pytest.raises(AttributeError, match="agents cannot be accessed before reset"):
        _ = turns.agents
    for call in (lambda: turns.step(None), lambda: turns.observe("staker_0")):
        with pytest.raises(AssertionError, match=r"reset\(\) needs to be called before"):
            call()
    turns.reset(seed=1)
    assert turns.agents == ["staker_0", "staker_1", "builder_0", "builder_3"]
