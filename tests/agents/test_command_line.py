"""Training and evaluation from the command line: `dtao`, and the scripts of the repository."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from dtao_agents import cli
from dtao_agents.commands import evaluate, train
from dtao_agents.flags import MAIN_SETTINGS
from dtao_agents.package_data import CONFIGS, POLICIES, config_names, find_config, find_policy
from dtao_agents.results.kinds import kind_of
from dtao_agents.results.plan import read_results_plan
from dtao_agents.training.multi_agent_settings import MultiAgentConfig
from dtao_agents.training.settings import TrainConfig, read
from pydantic import BaseModel

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


def options_of(help_text: str) -> list[str]:
    """Flags in the boxes of a help text."""
    return re.findall(r"^(?:│ |  )(--[a-z][\w.-]*)", help_text, re.M)


RUN_OPTIONS = [
    *("--run-dir", "--overwrite", "--resume", "--seeds", "--backend", "--workers", "--device"),
    "--trust-rule",
]


@pytest.mark.parametrize(
    ("config", "some"),
    [
        ("staker_quickstart", "--env.genesis"),
        ("multi_agent", "--staker.gamma"),
        ("replay_walk_forward", "--env.split-date"),
    ],
)
def test_help_shows_twenty_settings_and_names_the_option_for_the_others(config, some, capsys):
    with pytest.raises(SystemExit) as stopped:
        train.parse([config, "--help"], "dtao train")
    assert stopped.value.code == 0
    shown = capsys.readouterr().out
    settings_shown = [flag for flag in options_of(shown) if flag not in RUN_OPTIONS]
    assert len(settings_shown) == 20
    assert {some, "--seed", "--total-timesteps"} <= set(settings_shown)
    last = shown.splitlines()[-1]
    assert re.fullmatch(rf"dtao train {config} --help-all lists the other settings too\.", last)


def test_all_help_documents_every_setting():
    shown = run("train.py", "configs/staker_quickstart.yaml", "--help-all")
    assert shown.returncode == 0
    flags = options_of(shown.stdout)
    in_files_alone = {"env.curated_funds", "env.emission_switches"}  # lists of mappings
    names = set(names_of(TrainConfig.make())) - in_files_alone
    expected = {f"--{name}".replace("_", "-") for name in names}
    assert expected | set(RUN_OPTIONS) == set(flags)
    # a long entry is broken inside its box
    assert "(default: mainnet-2026-06-14)" in re.sub(r"[│\s]+", " ", shown.stdout)
    assert "--help-all" not in shown.stdout


def names_of(model: BaseModel, before: str = "") -> list[str]:
    """Dotted names of all settings."""
    names = []
    for name in type(model).model_fields:
        value = getattr(model, name)
        nested = isinstance(value, BaseModel)
        names += names_of(value, f"{before}{name}.") if nested else [before + name]
    return names


def test_the_settings_of_the_short_help_exist():
    for make, names in MAIN_SETTINGS.items():
        roles = ("staker", "replay") if make is TrainConfig else ("",)
        known = [names_of(make.make({"role": role} if role else {})) for role in roles]
        assert set(names) <= {name for each in known for name in each}
        assert all(len(set(names) & set(each)) == 20 for each in known)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.yaml"], "nowhere.yaml: is missing"),
        (["nowhere"], "config: got 'nowhere', allowed are a YAML file and .*staker_quickstart"),
        (["--gamma", "2"], "gamma: got 2.0, allowed"),
        (["--env.n-subnets", "500"], "n_subnets: got 500, allowed"),
        (["--env.spans-per-day", "7"], "spans_per_day: got 7, allowed are divisors of 7200"),
        (["--resume", "nowhere"], "nowhere/config.yaml: is missing"),
        (["--role", "stakr"], r"role: got 'stakr', .*; did you mean 'staker'\?"),
        (
            ["--env.genesis", "mainet-2026-06-14"],
            "env.genesis: .*did you mean 'mainnet-2026-06-14'",
        ),
        (["--env.allocation", "prise"], r"env.allocation: .*; did you mean 'price'\?"),
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
    assert done.stderr == "error: nowhere.yaml: is missing\n"
    done = run("evaluate.py", "nowhere")
    assert done.returncode == 1
    assert done.stderr.startswith("error: nowhere: is missing, allowed is the folder of a run")
    assert done.stderr.count("\n") == 1


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
        (["--seeds", "2"], "allowed is alone"),
        (["--workers", "2"], "--workers: got 2, allowed is it with --seeds"),
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
        evaluate.evaluate_run((tmp_path,), **arguments)


def evaluation_error(*arguments: object) -> str:
    with pytest.raises(SystemExit) as stopped:
        evaluate.main(list(map(str, arguments)))
    assert isinstance(stopped.value.code, str)
    assert "\n" not in stopped.value.code
    return stopped.value.code


def test_an_unfinished_run_is_told_what_continues_it(started):
    expected = f"error: {started}/policy.json: is missing, for the training has not finished; dtao train --resume {started} continues it"
    assert evaluation_error(started) == expected
    assert evaluation_error(started, "--replay") == expected
    (started / "config.yaml").write_text(MultiAgentConfig.make({"stakers": 2}).to_yaml())
    assert evaluation_error(started).startswith(f"error: {started}/staker/policy.json: is missing")


def test_evaluate_says_what_it_takes(started):
    assert "run: got none" in evaluation_error()
    assert "; did you mean 'staker_quickstart'?" in evaluation_error("stakr_quickstart")
    assert "config.yaml: got a file, allowed is the folder" in evaluation_error(
        started / "config.yaml"
    )
    (started / "config.yaml").unlink()
    assert "has neither config.yaml nor policy.json" in evaluation_error(started)
    assert "multi_agent/staker: has no config.yaml, so that the days of its training" in (
        evaluation_error("multi_agent/staker", "--replay")
    )
    assert "got a builder" in evaluation_error("staker_quickstart", "builder_fee", "--replay")
    arena = REPOSITORY / "configs" / "arena.yaml"
    error = evaluation_error("staker_quickstart", "--replay", "--replay-config", arena)
    assert error == f"error: {arena} is an arena, not a replay"


def test_pretrained_policies_are_evaluated_side_by_side(capsys):
    evaluate.main(["staker_quickstart", "policies/multi_agent/staker", "--episodes", "2"])
    lines = capsys.readouterr().out.splitlines()
    assert re.match(r"staker_quickstart (beats all|does NOT beat \d of) 8", lines[0])
    assert any(re.match(r"staker (beats all|does NOT beat \d of) 8", line) for line in lines[:4])
    heads = [(line.split() or [""])[0] for line in lines]
    table = heads[heads.index("policy") :]
    assert table.count("staker_quickstart") == table.count("staker") == table.count("value") == 1
    assert not list((POLICIES / "staker_quickstart").glob("evaluation*"))


def test_a_training_without_a_config_says_what_it_is():
    _, made = train.parse(["--total-timesteps", "20000"])
    assert train.without_config(made, "dtao train") == (
        "No config: training a staker with the default settings for 20,000 steps "
        "(3 updates, 256 worlds); dtao train --help lists them"
    )


def test_the_first_line_of_a_training_without_a_config(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(train, "_train_in", lambda *_: print("trained"))
    train.main(["--run-dir", str(tmp_path / "run")])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(
        "No config: training a staker with the default settings for 2,000,000"
    )
    assert lines[1] == "trained"
    train.main([str(write_settings(tmp_path)), "--run-dir", str(tmp_path / "other")])
    assert capsys.readouterr().out == "trained\n"


@pytest.mark.parametrize(
    ("command", "error"),
    [
        ("train spring_2026", "spring_2026.yaml is a population, not a training"),
        ("train results", "results.yaml is a plan of results, not a training"),
        ("train probe_quick", "probe_quick.yaml is a probe plan, not a training"),
        ("train arena", "arena.yaml is an arena, not a training"),
        ("train configs/oracles/O14.yaml", "O14.yaml is an oracle, not a training"),
        ("probe staker_quickstart", "staker_quickstart.yaml is a training, not a probe plan"),
        ("probe multi_agent", "multi_agent.yaml is a training, not a probe plan"),
        ("probe launch_2025", "launch_2025.yaml is a population, not a probe plan"),
        ("results --config arena", "arena.yaml is an arena, not a plan of results"),
        ("results --config=probe_quick", "probe_quick.yaml is a probe plan, not a plan of results"),
        ("history --config results", "results.yaml is a plan of results, not a world"),
        ("trace --netuid 1 --config arena", "arena.yaml is an arena, not a world"),
        ("history --config none.yaml", "none.yaml: is missing"),
    ],
)
def test_a_file_of_another_kind_is_named(command, error):
    name, *rest = command.split()
    with pytest.raises(SystemExit) as stopped:
        cli.run_command(name, rest, f"dtao {name}")
    assert str(stopped.value.code).startswith("error: ")
    assert str(stopped.value.code).endswith(error)


@pytest.mark.parametrize(
    ("command", "hint"),
    [
        ("train staker_quickstar", "staker_quickstart"),
        ("probe probe_quik", "probe_quick"),
        ("rules mainnet-2026-06-41", "mainnet-2026-06-14"),
        ("rules --rules prise", "price"),
        ("trace --netuid 1 --genesis mainnet-2026-06-41", "mainnet-2026-06-14"),
        ("trace --netuid 1 --era lunch", "launch"),
    ],
)
def test_unknown_names_get_a_hint(command, hint):
    name, *rest = command.split()
    with pytest.raises(SystemExit) as stopped:
        cli.run_command(name, rest, f"dtao {name}")
    assert str(stopped.value.code).endswith(f"; did you mean {hint!r}?")


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
    assert len(shown.splitlines()) <= 40


def test_an_unknown_command_is_one_line_with_all_commands(capsys):
    assert cli.main(["trian"]) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("error: command: got 'trian', allowed are train, evaluate, ")
    assert shown.endswith("; did you mean 'train'?\n")
    assert shown.count("\n") == 1
    assert cli.main([]) == 2


@pytest.mark.parametrize("arguments", ["rules", "rules --help", "--help"])
def test_head_ends_a_command_without_a_traceback(arguments):
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "dtao_agents.cli", *arguments.split()]
    with os.fdopen(writer) as closed:
        done = subprocess.run(
            command, stdout=closed, stderr=subprocess.PIPE, text=True, timeout=300
        )
    assert (done.returncode, errors_of(done)) == (1, [])


def errors_of(done: subprocess.CompletedProcess) -> list[str]:
    """Lines on standard error, but for those that say what the engine compiles."""
    return [line for line in done.stderr.splitlines() if not line.startswith("dtao_gym: ")]


def test_the_first_line_of_rules_arrives():
    command = f"{sys.executable} -m dtao_agents.cli rules | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=300)
    assert done.stdout.startswith("mainnet-2026-06-14, block ")
    assert (done.stdout.count("\n"), errors_of(done)) == (1, [])


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_has_help(name):
    shown = dtao(name, "--help")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith(f"usage: dtao {name} ")
    assert max(map(len, shown.stdout.splitlines())) <= 100


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
