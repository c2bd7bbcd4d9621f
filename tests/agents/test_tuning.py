"""Studies over the settings of a training: the space, what is scored, continuation, what is refused."""

import sys
from io import StringIO
from pathlib import Path

import pytest
import yaml
from dtao_agents import tuning
from dtao_agents.commands import tune as command
from dtao_agents.training.settings import TrainConfig, read
from dtao_agents.tuning import (
    FIRST_SEED,
    TUNABLE,
    Plan,
    Range,
    Space,
    check_plan,
    default_space,
    finished_trials,
    make_space,
    open_study,
    print_trials,
    read_space,
    tune,
)
from rich.console import Console

from dtao_gym.world.config import ConfigError
from tests.agents.worlds import builder_settings, settings, write_settings

pytest.importorskip("optuna")

RATES: Space = {"learning_rate": Range(low=1e-4, high=1e-2, log=True)}


def study_in(folder: Path, plan: Plan, name: str = "mine", **options):
    return open_study(plan, f"sqlite:///{folder}/study.db", name, **options)


def plan_of(space=None, **changes) -> Plan:
    return Plan(settings(**changes), space or RATES, 4)


@pytest.fixture
def quick(monkeypatch):
    """Trainings without training: the reward and the score are what `rewards` says of a learning rate."""

    def train(made, run, on_update):
        for step in range(1, 11):
            on_update(
                {
                    "timesteps": made.total_timesteps * step // 10,
                    "reward_per_year": quick.reward(made),
                }
            )

    class Quick:
        reward = staticmethod(lambda made: made.learning_rate)

    quick = Quick()
    monkeypatch.setattr(tuning, "train", train)
    monkeypatch.setattr(tuning, "score", lambda plan, made, run: quick.reward(made))
    return quick


# --- the space


def test_a_space_is_read_from_a_file(tmp_path):
    path = tmp_path / "space.yaml"
    path.write_text(
        "gamma: [0.9, 0.99]\nhidden: {low: 8, high: 64, log: true}\nanneal: [true, false]\n"
    )
    assert read_space(path) == {
        "gamma": [0.9, 0.99],
        "hidden": Range(low=8, high=64, log=True),
        "anneal": [True, False],
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"gama": [1, 2]}, "space: got 'gama', allowed are .*; did you mean 'gamma'"),
        ({"env": [1, 2]}, "space: got 'env', allowed are network, "),
        ({"total_timesteps": [1, 2]}, "space: got 'total_timesteps'"),
        ({}, "space: got {}, allowed is a mapping"),
        ([1], r"space: got \[1\], allowed is a mapping"),
        ({"gamma": [0.9]}, r"space.gamma: got \[0.9\], allowed are two or more values"),
        ({"gamma": [0.9, [1]]}, "space.gamma: got"),
        ({"gamma": {"low": 1, "high": 0}}, "space.gamma: .*low must be less than high"),
        ({"gamma": {"low": 0, "high": 1, "log": True}}, "above 0 with log"),
        ({"gamma": {"low": 0.5}}, "space.gamma: high: .*allowed: field required"),
        ({"gamma": 3}, "space.gamma: "),
        ({"network": {"low": 0, "high": 1}}, "space.network: got a range, allowed is a list"),
        ({"hidden": {"low": 7.5, "high": 9}}, "space.hidden: got 7.5 to 9, allowed are whole"),
    ],
)  # fmt: skip
def test_bad_spaces_are_errors_of_one_line(content, message):
    with pytest.raises(ConfigError, match=message) as caught:
        make_space(content)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("made", [settings(), builder_settings(), TrainConfig.make()])
def test_the_default_space_holds_the_settings_themselves_and_only_valid_ones(made):
    space = default_space(made)
    for name, values in space.items():
        own = getattr(made, name)
        if isinstance(values, Range):
            assert values.low <= own <= values.high
            ends = [values.low, values.high]
        else:
            assert own in values
            ends = values
        for value in ends:
            TrainConfig.make(made.model_dump() | {name: value})
    assert set(space) <= set(TUNABLE)


# --- what is scored


def test_trials_are_scored_where_neither_training_nor_evaluation_is(tmp_path, monkeypatch):
    played = []

    def play(policy, task, seeds, threads, role):
        played.append((task.split, seeds))
        return original(policy, task, seeds, threads, role)

    original = tuning.play
    monkeypatch.setattr(tuning, "play", play)
    monkeypatch.setattr(tuning, "WORLDS_PER_BATCH", 3)
    plan = plan_of()
    tune(plan, tmp_path, study_in(tmp_path, plan), 1, lambda line: None)
    assert played == [
        ("evaluation", range(FIRST_SEED, FIRST_SEED + 3)),
        ("evaluation", range(FIRST_SEED + 3, FIRST_SEED + 4)),
    ]
    most = TrainConfig.model_json_schema()["properties"]["evaluation_episodes"]["maximum"]
    assert most < FIRST_SEED


def test_roles_without_simulated_worlds_are_refused():
    made = TrainConfig.make({"role": "replay"})
    with pytest.raises(ConfigError, match="role: got 'replay', allowed are roles in simulated"):
        check_plan(Plan(made, RATES, 4))
    with pytest.raises(ConfigError, match="--episodes: got 1, allowed are 2 to 65536"):
        check_plan(Plan(settings(), RATES, 1))


# --- a study


def test_the_command_tunes_and_continues(tmp_path, capsys):
    config, folder = write_settings(tmp_path), tmp_path / "study"
    arguments = [str(config), "--run-dir", str(folder), "--episodes", "3"]
    command.main([*arguments, "--trials", "2"])
    shown = capsys.readouterr().out
    table = shown.splitlines()[2:-1]
    assert table[0].split()[:3] == ["trial", "score", "seconds"]
    assert max(map(len, table)) <= 100
    assert [line.split(":")[0] for line in shown.splitlines()[:2]] == ["trial 0", "trial 1"]
    assert shown.splitlines()[0].endswith(
        "learning_rate 0.003, gamma 0.95, gae_lambda 0.9, batch_size 64, hidden 8, entropy_coef 0"
    )
    best = read(folder / "best.yaml")
    assert best.total_timesteps == 1024
    assert (folder / "best.yaml").read_text().startswith("# Best of 2 trials of the study tiny: ")
    assert not (folder / "trial_0" / "checkpoints").exists()
    before = (folder / "trial_0" / "policy.safetensors").stat().st_mtime_ns
    command.main([*arguments, "--trials", "3"])
    again = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in again[:1]] == ["trial 2"]
    assert (folder / "trial_0" / "policy.safetensors").stat().st_mtime_ns == before
    with pytest.raises(SystemExit) as stopped:
        command.main([*arguments[:-1], "4", "--trials", "3"])
    assert "--study: got 'tiny', which is of another episodes in sqlite" in str(stopped.value.code)


def test_a_study_of_another_plan_is_refused(tmp_path, quick):
    plan = plan_of()
    tune(plan, tmp_path, study_in(tmp_path, plan), 2, lambda line: None)
    for other, named in (
        (plan_of(gamma=0.5), "gamma"),
        (plan_of({"learning_rate": [0.1, 0.2]}), "space"),
        (plan_of(env={"n_subnets": 5, "horizon_days": 20, "spans_per_day": 1}), "env"),
    ):
        with pytest.raises(
            ConfigError, match=f"--study: got 'mine', which is of another {named} in"
        ):
            study_in(tmp_path, other)
        assert study_in(tmp_path, other, name=f"other_{named}").user_attrs["plan"]
    assert len(study_in(tmp_path, plan_of(threads=2)).trials) == 2  # no result depends on it
    with pytest.raises(ConfigError, match="--storage: got 'none://x', which cannot be used"):
        open_study(plan, "none://x", "mine")


def test_a_continued_search_does_not_repeat_its_draws(tmp_path, quick):
    plan = plan_of()
    for n_trials in (2, 4, 6):
        study = study_in(tmp_path, plan, seed=1)
        tune(plan, tmp_path, study, n_trials, lambda line: None)
    rates = [trial.params["learning_rate"] for trial in study.trials]
    assert rates[0] == plan.settings.learning_rate  # the config itself comes first
    assert len(set(rates)) == len(rates) == 6
    best = read(tmp_path / "best.yaml")
    assert best.learning_rate == max(rates)
    other = tmp_path / "other"
    other.mkdir()
    whole = study_in(other, plan, seed=1)
    tune(plan, other, whole, 2, lambda line: None)
    assert [trial.params["learning_rate"] for trial in whole.trials] == rates[:2]


def test_an_interrupted_trial_is_repeated_with_its_settings(tmp_path, quick):
    plan, calls = plan_of(), []

    def reward(made):
        calls.append(made.learning_rate)
        if len(set(calls)) == 2:
            raise KeyboardInterrupt
        return 1.0

    quick.reward = reward
    with pytest.raises(KeyboardInterrupt):
        tune(plan, tmp_path, study_in(tmp_path, plan), 3, lambda line: None)
    quick.reward = lambda made: 1.0
    study = study_in(tmp_path, plan)
    study_in(tmp_path, plan)  # is put in the queue once
    tune(plan, tmp_path, study, 3, lambda line: None)
    assert [trial.number for trial in finished_trials(study)] == [0, 2, 3]
    assert study.trials[2].params == study.trials[1].params == {"learning_rate": calls[-1]}


def test_a_trial_below_the_median_is_pruned(tmp_path, quick):
    plan, lines = plan_of(), []

    def reward(made):
        return -1.0 if len(list(tmp_path.glob("trial_*"))) > 6 else 1.0

    quick.reward = reward
    study = study_in(tmp_path, plan)
    tune(plan, tmp_path, study, 7, lines.append)
    assert lines[6].startswith("trial 6: pruned  learning_rate ")
    assert [trial.state.name for trial in study.trials] == [*["COMPLETE"] * 6, "PRUNED"]
    reported = study.trials[6].intermediate_values
    # 1,024 steps are 10 updates, and the part that is never pruned is over at the fourth
    assert sorted(reported) == [9, 19, 29, 39]


def test_settings_that_do_not_fit_are_told_and_count_as_a_trial(tmp_path, quick):
    plan, lines = plan_of({"batch_size": [48, 96]}), []
    study = study_in(tmp_path, plan)
    tune(plan, tmp_path, study, 2, lines.append)
    assert all("refused (batch_size: got" in line for line in lines)
    assert not (tmp_path / "best.yaml").exists()
    console = Console(width=100, file=StringIO())
    print_trials(plan, study, console)
    assert "refused" in console.file.getvalue()


def test_the_table_fits_and_shows_the_best_first(tmp_path, quick, monkeypatch):
    monkeypatch.setattr(tuning, "MOST_ROWS", 3)
    plan = Plan(settings(), default_space(settings()), 4)
    study = study_in(tmp_path, plan)
    tune(plan, tmp_path, study, 4, lambda line: None)
    console = Console(width=100, file=StringIO())
    print_trials(plan, study, console)
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= 100
    scores = [float(line.split()[1]) for line in lines[2:] if line.strip()[:1].isdigit()]
    assert scores == sorted(scores, reverse=True)
    assert "The best 3 of 4 trials." in " ".join(lines)


# --- the command


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["multi_agent"], "multi_agent: got many learners, allowed is a training of one"),
        (["staker_quickstart", "--trials", "0"], "--trials: got 0, allowed is 1 or more"),
        (["staker_quickstart", "--space", "nowhere.yaml"], "nowhere.yaml: is missing"),
        (["replay_walk_forward"], "role: got 'replay'"),
        (["staker_quickstar"], "did you mean 'staker_quickstart'"),
    ],
)
def test_bad_arguments_are_one_line(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    from dtao_agents.cli import run_command

    with pytest.raises(SystemExit) as stopped:
        run_command("tune", arguments, "dtao tune")
    assert message in str(stopped.value.code)
    assert not list(tmp_path.iterdir())


def test_a_space_of_the_user_and_fewer_steps(tmp_path, quick):
    space = tmp_path / "space.yaml"
    space.write_text(yaml.safe_dump({"learning_rate": [0.001, 0.002]}))
    config = write_settings(tmp_path)
    folder = tmp_path / "study"
    arguments = [str(config), "--space", str(space), "--total-timesteps", "512"]
    storage = f"sqlite:///{tmp_path}/elsewhere.db"
    command.main([*arguments, "--trials", "2", "--run-dir", str(folder), "--storage", storage])
    assert (tmp_path / "elsewhere.db").exists()
    assert not (folder / "study.db").exists()
    best = read(folder / "best.yaml")
    assert best.total_timesteps == 512
    assert best.learning_rate in (0.001, 0.002)


def test_a_missing_optuna_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(SystemExit) as stopped:
        command.main(["staker_quickstart"])
    assert stopped.value.code == "error: dtao tune needs optuna: pip install 'dtao-gym[tune]'"
