"""Settings of runs in which many learn: what is refused, and that they come back from a file."""

import pytest
import yaml
from dtao_agents.training.multi_agent_settings import MultiAgentConfig, read_settings
from dtao_agents.training.settings import TrainConfig

from dtao_gym.world.config import ConfigError
from tests.agents.worlds import SETTINGS, WORLD

MULTI_AGENT = {"env": WORLD, "stakers": 2, "num_envs": 16}


def test_they_come_back_from_a_file(tmp_path):
    path = tmp_path / "many.yaml"
    made = MultiAgentConfig.make(MULTI_AGENT | {"builder": {"learning_rate": 0.01}})
    path.write_text(made.to_yaml())
    assert read_settings(path) == made
    assert made.env.n_stakers == 2
    assert made.builder.learning_rate == 0.01


def test_the_file_of_one_learner_is_told_apart(tmp_path):
    path = tmp_path / "one.yaml"
    path.write_text(yaml.safe_dump(SETTINGS))
    assert isinstance(read_settings(path), TrainConfig)


def test_worlds_of_past_opponents_do_not_overlap():
    made = MultiAgentConfig.make(MULTI_AGENT | {"past_share": 0.25})
    assert list(made.past_worlds("staker")) == [0, 1, 2, 3]
    assert list(made.past_worlds("builder")) == [4, 5, 6, 7]
    alone = MultiAgentConfig.make(MULTI_AGENT | {"stakers": 0})
    assert list(alone.roles) == ["builder"]
    assert not alone.past_worlds("builder")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stakers": 0, "builders": False}, "got none of either"),
        ({"stakers": 65}, "stakers: got 65"),
        ({"stakers": 0, "turn": 3}, "turn: got 3"),
        ({"past_share": 0.5}, "past_share: got 0.5"),
        ({"stalkers": 3}, r"stalkers: unknown setting, got 3; did you mean 'stakers'\?"),
        ({"staker": {"gama": 0.9}}, r"staker.gama: unknown setting, .*; did you mean 'gamma'\?"),
        ({"response": {"start": 2}}, r"response.start: .*; did you mean 'starts'\?"),
        ({"env": WORLD | {"era": "lunch"}}, r"era: got 'lunch', .*; did you mean 'launch'\?"),
        ({"env": WORLD | {"genesis": "mainet-2026-06-14"}}, "env.genesis: .*; did you mean"),
        ({"staker": {"gamma": 2.0}}, "staker.gamma: got 2.0"),
        ({"env": 3}, "env: got 3"),
        ({"env": WORLD | {"split": "evaluation"}}, "env.split"),
        ({"env": WORLD | {"twin_world": True}}, "twin_world"),
    ],
)
def test_what_is_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        MultiAgentConfig.make(MULTI_AGENT | changes)
