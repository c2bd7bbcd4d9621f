"""Kinds of YAML files: keys that tell them apart follow the models, and every packaged file is recognised."""

import os
import threading

import pytest
from dtao_agents.package_data import CONFIGS
from dtao_agents.probe.plan import Plan
from dtao_agents.results.plan import ResultsPlan
from dtao_agents.training.multi_agent_settings import MultiAgentConfig
from dtao_agents.training.settings import TrainConfig

from dtao_gym import file_kinds
from dtao_gym.envs.task import TaskConfig
from dtao_gym.file_kinds import ARENA, ORACLE, PROBE, REPLAY, RESULTS, TRAINING, WORLD, check_kind
from dtao_gym.replay.config import ReplayConfig
from dtao_gym.world.config import ConfigError

FIELDS = {
    TRAINING: {*TrainConfig.model_fields, *MultiAgentConfig.model_fields},
    PROBE: set(Plan.model_fields),
    RESULTS: set(ResultsPlan.model_fields),
    ARENA: {"scenarios"},
    REPLAY: set(ReplayConfig.model_fields),
    WORLD: set(TaskConfig.model_fields),
}


@pytest.mark.parametrize("kind", FIELDS)
def test_signatures_are_the_fields_that_no_other_kind_has(kind):
    others = set().union(*(fields for name, fields in FIELDS.items() if name != kind))
    own = FIELDS[kind] - others
    signature = file_kinds.SIGNATURES[kind]
    assert signature <= own
    assert kind == WORLD or signature == own
    assert not signature & file_kinds.SIGNATURES[ORACLE]


@pytest.mark.parametrize(
    "path", sorted(CONFIGS.rglob("*.yaml")), ids=lambda path: str(path.relative_to(CONFIGS))
)
def test_every_packaged_file_is_recognised(path):
    others = {
        "arena": ARENA,
        "results": RESULTS,
        "probe_full": PROBE,
        "probe_quick": PROBE,
        "launch_2025": WORLD,
        "spring_2026": WORLD,
        "summer_2025": WORLD,
    }
    kind = ORACLE if path.parent.name == "oracles" else others.get(path.stem, TRAINING)
    check_kind(path, kind)
    wrong = TRAINING if kind != TRAINING else PROBE
    got = "a population" if kind == WORLD else kind
    with pytest.raises(ConfigError) as caught:
        check_kind(path, wrong)
    assert str(caught.value) == f"{path} is {got}, not {wrong}"


@pytest.mark.parametrize(
    "text",
    ["", "[1]", "{", "threads: 2", "seed: 1\nera: launch", "a: &a [*a]", "stakers: 2\nlr: 1"],
)
def test_files_of_no_one_kind_pass(tmp_path, text):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    check_kind(path, TRAINING)


def test_a_world_that_is_no_population(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("era: launch")
    with pytest.raises(ConfigError, match=r"mine\.yaml is a world, not a training"):
        check_kind(path, TRAINING)


def test_a_missing_file_is_called_missing(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml: is missing$"):
        check_kind(tmp_path / "none.yaml", TRAINING)


def test_a_pipe_is_left_to_its_reader(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    checked = threading.Thread(target=check_kind, args=(path, TRAINING), daemon=True)
    checked.start()
    checked.join(10.0)
    assert not checked.is_alive()
