"""Training and evaluation from the command line: `dtao`, and the scripts of the repository."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from dtao_agents import cli
from dtao_agents.commands import evaluate, train
from dtao_agents.package_data import CONFIGS, POLICIES, config_names, find_config, find_policy
from dtao_agents.results.kinds import kind_of
from dtao_agents.results.plan import read_results_plan
from dtao_agents.training.settings import read

from dtao_gym.world.config import ConfigError
from tests.agents.worlds import settings, write_settings

REPOSITORY = Path(__file__).resolve().parents[2]


def run(*arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, "-W", "error", *map(str, arguments)]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=900)


def test_train_and_evaluate(tmp_path):
    folder = tmp_path / "run"
    trained = run(
        "train.py",
        write_settings(tmp_path),
        "--run-dir",
        folder,
        "--seed",
        3,
        "--env.wealth-tao",
        500,
    )
    assert trained.returncode == 0, trained.stderr
    assert read(folder / "config.yaml").env.wealth_tao == 500.0
    assert read(folder / "config.yaml").seed == 3
    judged = run("evaluate.py", folder, "--episodes", 3)
    assert judged.returncode == 0, judged.stderr
    assert "learned beats random: " in judged.stdout
    verdict = json.loads((folder / "evaluation.json").read_text())
    assert verdict["evaluation_seeds"] == [0, 2]
    assert verdict["training_seed"] == 3
    assert len((folder / "evaluation.csv").read_text().splitlines()) == 1 + 8 * 3
    assert (folder / "evaluation.png").stat().st_size > 1000


def test_help_documents_every_setting():
    shown = run("train.py", "configs/staker_quickstart.yaml", "--help")
    assert shown.returncode == 0
    for flag in (
        "--run-dir",
        "--resume",
        "--overwrite",
        "--gamma",
        "--env.n-subnets",
        "--env.knowledge-half-life-days",
    ):
        assert flag in shown.stdout
    # a long entry is broken inside its box
    assert "(default: mainnet-2026-06-14)" in re.sub(r"[│\s]+", " ", shown.stdout)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.yaml"], "nowhere.yaml: cannot be read"),
        (["nowhere"], "config: got 'nowhere', allowed are a YAML file and .*staker_quickstart"),
        (["--gamma", "2"], "gamma: got 2.0, allowed"),
        (["--env.n-subnets", "500"], "n_subnets: got 500, allowed"),
        (["--env.spans-per-day", "7"], "spans_per_day: got 7, allowed are divisors of 7200"),
        (["--resume", "nowhere"], "nowhere/config.yaml: cannot be read"),
    ],
)
def test_bad_arguments_are_errors_of_one_line(arguments, message):
    with pytest.raises(ConfigError, match=message) as caught:
        train.parse(arguments)
    assert "\n" not in str(caught.value)


def test_unknown_flags_are_errors(capsys):
    with pytest.raises(SystemExit):
        train.parse(["--env.n-subnet", "4"])
    assert "--env.n-subnets" in capsys.readouterr().err


def test_errors_end_the_program_without_a_traceback():
    done = run("train.py", "nowhere.yaml")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: nowhere.yaml: cannot be read")
    done = run("evaluate.py", "nowhere")
    assert done.returncode == 1
    assert done.stderr.startswith("error: nowhere/config.yaml")


def test_folders_that_are_not_empty_are_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ConfigError, match="is not empty"):
        train.prepare(tmp_path, overwrite=False)
    with pytest.raises(ConfigError, match=r"has no config\.yaml"):
        train.prepare(tmp_path, overwrite=True)
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_overwrite_replaces_a_run(tmp_path):
    (tmp_path / "config.yaml").write_text("")
    train.prepare(tmp_path, overwrite=True)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def started(tmp_path):
    """Folder of a run that was begun."""
    (tmp_path / "config.yaml").write_text(settings().to_yaml())
    return tmp_path


def test_a_resumed_run_keeps_its_settings(started):
    paths, resumed = train.parse(["--resume", str(started)])
    assert paths.resume == started
    assert resumed == settings()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--gamma", "0.5"], "--resume: got changes of gamma, allowed are"),
        (["--env.wealth-tao", "5"], "--resume: got changes of env.wealth_tao"),
        (
            ["--total-timesteps", "4096"],
            r"--resume: got changes of total_timesteps \(with anneal\)",
        ),
        (["--overwrite"], "allowed is alone"),
    ],
)
def test_a_resumed_run_refuses_other_settings(started, arguments, message):
    with pytest.raises(ConfigError, match=message):
        train.parse(["--resume", str(started), *arguments])


def test_a_run_without_annealing_may_go_on_for_longer(started):
    (started / "config.yaml").write_text(settings(anneal=False).to_yaml())
    _, resumed = train.parse([f"--resume={started}", "--total-timesteps", "4096"])
    assert resumed.total_timesteps == 4096


@pytest.mark.parametrize("arguments", [{"episodes": 1}, {"threads": 0}])
def test_evaluate_refuses_bad_numbers(tmp_path, arguments):
    with pytest.raises(ConfigError, match="allowed is"):
        evaluate.evaluate_run(tmp_path, **arguments)


# --- dtao


def dtao(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess:
    command = [sys.executable, "-W", "error", "-m", "dtao_agents.cli", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300)


def test_the_help_has_a_line_for_every_command(capsys):
    assert cli.main(["--help"]) == 0
    shown = capsys.readouterr().out
    for name, command in cli.COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(command.summary)}$", shown, re.M)
    assert max(map(len, shown.splitlines())) <= 100


def test_an_unknown_command_is_one_line_with_all_commands(capsys):
    assert cli.main(["trian"]) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("error: command: got 'trian', allowed are train, evaluate, ")
    assert shown.count("\n") == 1
    assert cli.main([]) == 2


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_has_help(name):
    shown = dtao(name, "--help")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith(f"usage: dtao {name} ")


def test_help_and_tools_of_the_environment_import_no_torch():
    light = [name for name, command in cli.COMMANDS.items() if command.extra != "train"]
    code = (
        "import contextlib, sys; from dtao_agents import cli; cli.main(['--help'])\n"
        f"for name in {light}:\n"
        "    with contextlib.suppress(SystemExit): cli.main([name, '--help'])\n"
        "assert not {'torch', 'stable_baselines3', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=300)


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_a_missing_extra_is_one_line(name):
    code = "import sys; sys.modules.update(dict.fromkeys(['torch', 'rich']))\n"
    code += f"from dtao_agents import cli; sys.exit(cli.main([{name!r}, '--help']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    extra = cli.COMMANDS[name].extra
    if extra is None:
        assert done.returncode == 0
        return
    needed = {"train": "torch and rich", "cli": "rich"}[extra]
    assert done.returncode == cli.COMMANDS[name].exit_code
    assert done.stderr == f"error: dtao {name} needs {needed}: pip install 'dtao-gym[{extra}]'\n"


# --- packaged files


def test_configurations_are_found_by_name_and_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    packaged = CONFIGS / "staker_quickstart.yaml"
    for given in ("staker_quickstart", "staker_quickstart.yaml", "configs/staker_quickstart.yaml"):
        assert find_config(given) == packaged
    assert find_config("configs/oracles/O14.yaml") == CONFIGS / "oracles" / "O14.yaml"
    assert find_config(packaged) == packaged
    (tmp_path / "configs").mkdir()
    own = Path("configs/staker_quickstart.yaml")
    own.write_text("seed: 7\n")
    assert find_config(own) == own
    assert find_config("staker_quickstart") == packaged


@pytest.mark.parametrize("given", ["nothing", "", ".", "/nothing", "configs/nothing", "configs"])
def test_unknown_names_are_errors_with_all_names(given, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=", ".join(config_names())):
        find_config(given)


def test_policies_are_found_by_name_and_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    packaged = POLICIES / "staker_quickstart"
    assert find_policy("staker_quickstart") == find_policy("policies/staker_quickstart") == packaged
    assert find_policy("multi_agent/staker") == POLICIES / "multi_agent" / "staker"
    (tmp_path / "staker_quickstart").mkdir()
    assert find_policy("staker_quickstart") == Path("staker_quickstart")
    assert find_policy("nowhere") == Path("nowhere")


def test_plans_name_packaged_files_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plan = read_results_plan(find_config("results"))
    assert all(kind_of(row).inputs(plan, row, 0)["settings"] for row in plan.rows)
    assert any(scenario.population for scenario in plan.scenarios())
