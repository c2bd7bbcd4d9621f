"""A third role in two files of its own: it plays every interface, learns, and is evaluated and reported."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import yaml
from dtao_agents.evaluation.evaluate import evaluate
from dtao_agents.evaluation.policy_files import PolicyError, load_policy
from dtao_agents.evaluation.registry import fits, learned, policies_of
from dtao_agents.evaluation.reports import report
from dtao_agents.results.pipeline import make_results
from dtao_agents.results.plan import make_results_plan
from dtao_agents.roles.registry import ROLES, agent_role, register_agent_role, role_fingerprint
from dtao_agents.training.ppo import train
from dtao_agents.training.sb3_policy import SubnetPolicy
from dtao_agents.training.settings import read
from rich.console import Console
from stable_baselines3 import PPO

import dtao_gym
from dtao_gym.envs import roles as environment_roles
from dtao_gym.envs.builder.observation import observation_size as builder_size
from dtao_gym.envs.sb3 import MarketVecEnv
from dtao_gym.sources import fingerprint, import_closure
from dtao_gym.world.config import ConfigError
from tests.agents.worlds import SETTINGS, WORLD

REPOSITORY = Path(__file__).resolve().parents[3]
PATH = "tests.agents.toy_role.agent:SAVER"
ENVIRONMENT = "dtao_gym/Saver-v0"


@pytest.fixture(scope="module", autouse=True)
def saver():
    """The agent role, found by its import path; unknown again after these tests."""
    yield agent_role(PATH)
    ROLES.pop("saver")
    environment_roles.ROLES.pop("saver")
    gym.registry.pop(ENVIRONMENT)
    for name in [name for name in sys.modules if name.startswith("tests.agents.toy_role")]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A trained run whose settings name the role by its import path."""
    folder = tmp_path_factory.mktemp("saver") / "run"
    folder.mkdir()
    text = yaml.safe_dump(SETTINGS | {"role": PATH})
    (folder / "config.yaml").write_text(text)
    train(read(folder / "config.yaml"), folder)
    return folder


def test_it_plays_a_single_and_a_vector_environment():
    one = gym.make(ENVIRONMENT, **WORLD)
    many = gym.make_vec(ENVIRONMENT, num_envs=2, vectorization_mode="vector_entry_point", **WORLD)
    observation, _ = one.reset(seed=3)
    observations, _ = many.reset(seed=3)
    assert one.action_space.shape == (1,)
    np.testing.assert_array_equal(observations[0], observation)
    for action in (-1.0, 0.0, 1.0):
        alone = one.step(np.full(1, action, np.float32))
        together = many.step(np.full((2, 1), action, np.float32))
        np.testing.assert_array_equal(together[0][0], alone[0])
        assert together[1][0] == alone[1]
        assert alone[4]["spend_rate"] == pytest.approx(0.1 * (1.0 + action))


def test_it_plays_beside_stakers_in_a_parallel_environment():
    pytest.importorskip("pettingzoo")
    env = dtao_gym.parallel_env(stakers=1, members={"saver": (1, 2)}, **WORLD)
    env.reset(seed=0)
    assert env.agents == ["staker_0", "saver_1", "saver_2"]
    actions = {agent: np.zeros(env.action_space(agent).shape) for agent in env.agents}
    _, rewards, *_ = env.step(actions | {"saver_2": np.ones(1)})
    assert all(np.isfinite(reward) for reward in rewards.values())
    rates = env.worlds.batch.state.row("spend_rate")[0]
    np.testing.assert_allclose(rates[[1, 2]], [0.1, 0.2])
    alone = dtao_gym.parallel_env(stakers=0, members={"saver": (0,)}, **WORLD)
    assert alone.possible_agents == ["saver_0"]


def test_two_roles_cannot_own_one_slot():
    with pytest.raises(ConfigError, match=r"got slots \[1, 1, 2\], allowed is one owner per slot"):
        dtao_gym.parallel_env(stakers=0, builders=(1,), members={"saver": (1, 2)}, **WORLD)


@pytest.mark.parametrize("policy", ["MlpPolicy", SubnetPolicy])
def test_stable_baselines_learns_it(policy):
    env = MarketVecEnv(4, "saver", **WORLD)
    options = {"role": "saver"} if policy is SubnetPolicy else {}
    model = PPO(policy, env, n_steps=8, batch_size=16, policy_kwargs=options, device="cpu")
    model.learn(64)
    if policy is SubnetPolicy:
        assert model.policy.architecture.role == "saver"
        assert model.policy.for_subnets(8).observation_space.shape == (builder_size(8),)


def test_it_learns_from_settings_and_is_evaluated_and_reported(run, capsys):
    settings = read(run / "config.yaml")
    assert settings.role == PATH
    card = json.loads((run / "policy.json").read_text())
    assert (card["role"], card["action_size"]) == ("saver", 1)
    verdict = evaluate(run, trusted=True)
    assert verdict["role"] == "saver"
    assert set(verdict["policies"]) == {"learned", "miser", "half", "spender"}
    assert verdict["metric"] == "total_reward"
    again = read(run / "config.yaml").env
    assert evaluate(run, trusted=True) == verdict
    assert fits(learned(run), "saver", again)
    assert policies_of("saver")["miser"].kind == "scripted"
    console = Console(width=100, record=True, file=io.StringIO())
    report(verdict, console)
    lines = console.export_text().splitlines()
    assert max(map(len, lines)) <= 100
    assert any(line.startswith("learned beats miser: ") for line in lines)
    assert (run / "learning_curve.png").is_file()
    assert (run / "evaluation.png").is_file()


def test_its_policy_acts_on_other_numbers_of_subnets(run):
    policy = load_policy(run, n_subnets=6)
    assert policy.act(np.zeros((2, 62), np.float32)).shape == (2, 1)


def test_a_policy_of_an_unknown_role_is_refused(run, monkeypatch):
    monkeypatch.delitem(ROLES, "saver")
    with pytest.raises(PolicyError, match="role: got 'saver', allowed is one of"):
        load_policy(run)


def test_settings_of_unknown_origin_do_not_import_a_role(run):
    with pytest.raises(ConfigError, match=r"role: got 'tests\.agents.* --trust-rule"):
        read(run / "config.yaml", trusted=False)
    with pytest.raises(ConfigError, match="would be imported"):
        evaluate(run)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("tests.agents.toy_role.agent:NOBODY", "cannot be imported"),
        ("nowhere.at.all:ROLE", "cannot be imported"),
        ("tests.agents.worlds:WORLD", "a dict, allowed is an AgentRole"),
        ("two words:x", "allowed is 'package.module:OBJECT'"),
        ("miner", "allowed are staker, builder, replay"),
        (3, "role: got 3"),
    ],
)
def test_bad_names_are_refused_in_one_line(path, message):
    with pytest.raises(ConfigError, match=message) as caught:
        agent_role(path)
    assert "\n" not in str(caught.value)


def test_names_are_unique_and_sources_of_roles_are_found(saver):
    module = PATH.partition(":")[0]
    assert {path.name for path in import_closure(module)} >= {"agent.py", "environment.py"}
    assert role_fingerprint(PATH) == fingerprint(module)
    assert role_fingerprint("staker") == ""

    class Impostor(type(saver)):
        """Another role of the same name."""

        name = "saver"

    with pytest.raises(ConfigError, match="got 'saver' twice"):
        register_agent_role(Impostor())


def test_it_has_its_place_on_the_results_page(tmp_path):
    config = tmp_path / "saver.yaml"
    config.write_text(yaml.safe_dump(SETTINGS | {"role": PATH, "total_timesteps": 256}))
    row = {"name": "saver", "config": str(config)}
    plan = {"rows": [row], "training_seeds": [0, 1], "evaluation_seeds": 4, "workers": 1}
    page = tmp_path / "RESULTS.md"
    make_results(
        make_results_plan(plan), tmp_path / "run", page, tmp_path / "policies", lambda line: None
    )
    text = page.read_text()
    for name in ("**learned**", "miser", "half", "spender"):
        assert f"| {name} " in text
    assert "sum of rewards in an episode" in text
    assert json.loads((tmp_path / "policies/saver/published.json").read_text())["role"] == PATH


@pytest.mark.slow
def test_the_commands_train_resume_and_evaluate_it(tmp_path):
    config, folder = tmp_path / "saver.yaml", tmp_path / "run"
    config.write_text(yaml.safe_dump(SETTINGS | {"role": PATH}))
    paths = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "agents")])

    def command(*arguments: object) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=REPOSITORY,
            env=os.environ | {"PYTHONPATH": paths},
            capture_output=True,
            text=True,
            timeout=300,
        )

    trained = command("train.py", config, "--run-dir", folder)
    assert trained.returncode == 0, trained.stderr
    for name in (["evaluate.py", folder], ["train.py", "--resume", folder]):
        refused = command(*name)
        assert refused.returncode == 1
        assert "--trust-rule" in refused.stderr
        done = command(*name, "--trust-rule")
        assert done.returncode == 0, done.stderr
    assert (folder / "evaluation.json").is_file()
