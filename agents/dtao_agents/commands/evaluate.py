"""`dtao evaluate RUN [--episodes N]`: evaluate a run; `dtao evaluate RUN --replay`: on real prices.

A trained staker or builder is compared with the scripted ones; for many learners of one run exploitability is measured.
Several runs, and folders of policies such as those that come with the package, are compared on the same worlds. A folder
of training seeds is one entry, with intervals over the seeds.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro

from dtao_agents.evaluation.contenders import SETTINGS_NAME, check_finished
from dtao_agents.evaluation.entrants import find_entrant
from dtao_agents.evaluation.evaluate import evaluate, evaluate_folders
from dtao_agents.evaluation.policy_files import PolicyError
from dtao_agents.evaluation.replay import replay as replay_run
from dtao_agents.evaluation.replay import replay_folders
from dtao_agents.evaluation.replay import report as report_replay
from dtao_agents.evaluation.reports import report, report_several
from dtao_agents.results.leaderboard import arena_table, measure, read_leaderboard
from dtao_agents.roles.registry import agent_role
from dtao_agents.seed_folders import runs_of_seeds
from dtao_agents.training.multi_agent_run import measure_exploitability
from dtao_agents.training.multi_agent_settings import MultiAgentConfig, read_settings
from dtao_gym import command_line
from dtao_gym.file_kinds import REPLAY, check_kind
from dtao_gym.world.config import ConfigError


def evaluate_run(
    run: tyro.conf.Positional[tuple[Path, ...]],
    episodes: Annotated[
        int | None, tyro.conf.arg(help="Evaluation seeds; None: as in the run's settings.")
    ] = None,
    threads: Annotated[
        int | None, tyro.conf.arg(help="Threads that share the worlds; None: those of the run.")
    ] = None,
    replay: Annotated[
        bool, tyro.conf.arg(help="Back-test stakers on real prices instead.")
    ] = False,
    replay_config: Annotated[
        Path | None,
        tyro.conf.arg(help="With --replay: parameters of it in YAML; None: those of the run."),
    ] = None,
    leaderboard: Annotated[
        bool,
        tyro.conf.arg(help="Play in the arenas of the leaderboard instead, and print the rows."),
    ] = False,
    trust_rule: Annotated[
        bool,
        tyro.conf.arg(
            help="Import a rule of emission, or a role, that the run names as a Python object."
        ),
    ] = False,
) -> None:
    """Play the learned policy and every scripted one on the same evaluation seeds and compare them.

    What is written into the folder of a run:

    - evaluation.json, evaluation.csv (one row per policy and seed), evaluation.png
    - with --replay, and for a run that learned in a replay: replay.json, replay.csv (a row per day)
    - for a run of many learners: exploitability.json, gains of best responses to the frozen policies
    - for several folders, and for one that holds a policy but no run: nothing

    Args:
        run: Folder of a trained run, of training seeds (train --seeds) or of a policy, or the name of a pretrained
            policy. Several are compared in the world of the first.
    """
    for name, value, least in (("episodes", episodes, 2), ("threads", threads, 1)):
        if value is not None and value < least:
            raise ConfigError(f"--{name}: got {value}, allowed is {least} or more")
    if replay_config is not None:
        if not replay:
            raise ConfigError("--replay-config: got it alone, allowed is it with --replay")
        check_kind(replay_config, REPLAY)
    if not run:
        raise ConfigError("run: got none, allowed are one or more folders of runs or policies")
    if leaderboard and run:
        if replay or len(run) > 1:
            got = "--replay" if replay else f"{len(run)} folders"
            raise ConfigError(f"--leaderboard: got it with {got}, allowed is one folder")
        print_rows(next(iter(run)), episodes, threads or 1)
        return
    folders = [find_entrant(path) for path in run]
    if len(folders) == 1 and _is_evaluated_alone(folders[0], replay):
        _evaluate_one(folders[0], episodes, threads, replay, replay_config, trust_rule)
        return
    console = command_line.console()
    if replay:
        report_replay(replay_folders(folders, replay_config, trust_rule), console)
    else:
        report_several(evaluate_folders(folders, episodes, threads, trust_rule), console)
    print("Nothing is saved: a run that is evaluated alone gets files.")


def print_rows(given: Path, episodes: int | None, threads: int) -> None:
    """Measure a policy in the arenas of the leaderboard; print the tables with its rows, and the entries to add."""
    found = measure(given, read_leaderboard(), threads, episodes)
    for arena, row in found:
        print(f"{arena.title} ({arena.scenario.name})\n")
        print("\n".join(arena_table(arena, [row])))
    if any(episodes is not None and episodes < arena.scenario.seeds for arena, _ in found):
        print(f"On {episodes} evaluation seeds: to be entered, leave out --episodes.")
        return
    print("To enter it, by arena, in `entries` of agents/dtao_agents/results/leaderboard.json:")
    for arena, row in found:
        print(f"{arena.scenario.name}: {row.model_dump_json()}")


def _is_evaluated_alone(folder: Path, replay: bool) -> bool:
    """Whether a folder gets files of its evaluation: one of a run, or of training seeds in simulated worlds."""
    return (folder / SETTINGS_NAME).exists() or (not replay and bool(runs_of_seeds(folder)))


def _evaluate_one(
    run: Path,
    episodes: int | None,
    threads: int | None,
    replay: bool,
    replay_config: Path | None,
    trust_rule: bool,
) -> None:
    """Evaluate a run, or training seeds, by kind, and save what is found in the folder."""
    runs = list(runs_of_seeds(run).values())
    settings = read_settings((runs or [run])[0] / SETTINGS_NAME, trust_rule)
    if isinstance(settings, MultiAgentConfig):
        if runs:
            raise ConfigError(
                f"{run}: got several seeds of many learners, allowed is one of them, such as {runs[0]}"
            )
        if replay:
            raise ConfigError("--replay: got a run of many learners, allowed is one of a staker")
        check_finished(run, list(settings.roles))
        changes = {} if episodes is None else {"episodes": max(episodes, 8)}
        response = settings.response.model_copy(update=changes)
        more = {"response": response} | ({} if threads is None else {"threads": threads})
        measure_exploitability(run, settings.model_copy(update=more))
        return
    if runs and agent_role(settings.role).trains_on_prices:
        raise ConfigError(f"{run}: got several seeds of a replay, allowed is --replay with it")
    if replay or agent_role(settings.role).trains_on_prices:
        verdict, _ = replay_run(run, replay_config, trust_rule)
        report_replay(verdict, command_line.console())
        print(f"Saved: {run}/replay.json, replay.csv")
        return
    report(evaluate(run, episodes, threads, trust_rule), command_line.console())
    print(f"Saved: {run}/evaluation.json, evaluation.csv, evaluation.png")


def main(arguments: Sequence[str], program: str = "dtao evaluate") -> None:
    """Parse and evaluate; errors end the process with one line."""
    command_line.call(evaluate_run, program, (ConfigError, PolicyError), arguments)
