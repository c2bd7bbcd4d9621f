"""The builder with a few actions."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from dtao_gym.envs.builder.discrete import CHOICES, DiscreteBuilder
from dtao_gym.envs.single import SingleEnv

ID = "dtao_gym/BuilderDiscrete-v0"


def test_it_is_an_environment_of_seven_actions():
    env = gym.make(ID)
    assert env.action_space == gym.spaces.Discrete(7)
    assert len(CHOICES) == 7
    with pytest.warns(UserWarning, match="most likely has a wrapper applied"):
        check_env(DiscreteBuilder(SingleEnv("builder", n_subnets=4)), skip_render_check=True)


@pytest.mark.parametrize("number", range(len(CHOICES)))
def test_a_choice_is_in_force_after_a_step(number):
    env = gym.make(ID)
    env.reset(seed=0)
    info = env.step(number)[4]
    for name, value in list(CHOICES.values())[number].items():
        assert info[name] == pytest.approx(value, abs=1e-6), name


def test_a_choice_equals_its_continuous_action(same):
    env, plain = gym.make(ID), gym.make("dtao_gym/BuilderSmall-v0")
    assert same(env.reset(seed=4), plain.reset(seed=4))
    for action in (0, np.int64(5), np.array(3)):
        assert same(env.step(action), plain.step(env.get_wrapper_attr("action")(action)))


def test_choices_matter():
    consumed = []
    for number in (0, 3, 5):
        env = gym.make(ID)
        env.reset(seed=0)
        for _ in range(40):
            info = env.step(number)[4]
        consumed.append(info["treasury"])
    assert consumed[0] > consumed[1] > consumed[2]


@pytest.mark.parametrize("settings", [{"builder_decides": "composition"}, {"influence": True}])
def test_it_decides_what_the_configuration_leaves_to_it(settings):
    env = gym.make(ID, **settings)
    env.reset(seed=0)
    assert env.step(3)[4]["research_share"] == pytest.approx(0.9, abs=1e-6)


@pytest.mark.parametrize("action", [7, -1, True, 0.5, np.array([1]), "save"], ids=repr)
def test_other_actions_are_refused(action):
    env = DiscreteBuilder(SingleEnv("builder", n_subnets=4))
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"action: got .*, allowed are whole numbers from 0 to 6"):
        env.step(action)
