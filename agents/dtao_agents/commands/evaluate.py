"""`dtao evaluate RUN [--episodes N]`: evaluate a run; `dtao evaluate RUN --replay`: on real prices.

A trained staker or builder is compared with the scripted ones; for many learners of one run exploitability is measured.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from dtao_agents.evaluation.evaluate import evaluate
from dtao_agents.evaluation.policy_files import PolicyError
from dtao_agents.evaluation.replay import replay as replay_run
from dtao_agents.evaluation.replay import report as report_replay
from dtao_agents.evaluation.reports import report
from dtao_agents.roles.registry import agent_role
from dtao_agents.training.multi_agent_run import measure_exploitability
from dtao_agents.training.multi_agent_settings import MultiAgentConfig, read_settings
from dtao_gym import command_line
from dtao_gym.world.config import ConfigError


def evaluate_run(
    run: tyro.conf.Positional[Path],
    episodes: Annotated[
        int | None, tyro.conf.arg(help="Evaluation seeds; None: as in the run's settings.")
    ] = None,
    threads: Annotated[
        int | None, tyro.conf.arg(help="Threads that share the worlds; None: those of the run.")
    ] = None,
    replay: Annotated[
        bool, tyro.conf.arg(help="Back-test a staker on real prices instead.")
    ] = False,
    replay_config: Annotated[
        Path | None,
        tyro.conf.arg(help="With --replay: parameters of it in YAML; None: those of the run."),
    ] = None,
    trust_rule: Annotated[
        bool,
        tyro.conf.arg(
            help="Import a rule of emission, or a role, that the run names as a Python object."
        ),
    ] = False,
) -> None:
    """Play the learned policy and every scripted one on the same evaluation seeds and compare them.

    Writes evaluation.json, evaluation.csv (one row per policy and seed) and evaluation.png into the folder. With
    --replay, and for a run that was trained in a replay: replay.json and replay.csv (one row per policy and day). For a
    run of many learners: best responses against the frozen policies, and exploitability.json.

    Args:
        run: Folder of a trained run.
    """
    for name, value, least in (("episodes", episodes, 2), ("threads", threads, 1)):
        if value is not None and value < least:
            raise ConfigError(f"--{name}: got {value}, allowed is {least} or more")
    settings = read_settings(run / "config.yaml", trust_rule)
    if replay_config is not None and not replay:
        raise ConfigError("--replay-config: got it alone, allowed is it with --replay")
    if isinstance(settings, MultiAgentConfig):
        if replay:
            raise ConfigError("--replay: got a run of many learners, allowed is one of a staker")
        changes = {} if episodes is None else {"episodes": max(episodes, 8)}
        response = settings.response.model_copy(update=changes)
        more = {"response": response} | ({} if threads is None else {"threads": threads})
        measure_exploitability(run, settings.model_copy(update=more))
        return
    if replay or agent_role(settings.role).trains_on_prices:
        report_replay(replay_run(run, replay_config, trust_rule)[0], Console(width=100))
        print(f"Saved: {run}/replay.json, replay.csv")
        return
    report(evaluate(run, episodes, threads, trust_rule), Console(width=100))
    print(f"Saved: {run}/evaluation.json, evaluation.csv, evaluation.png")


def main(arguments: Sequence[str], program: str = "dtao evaluate") -> None:
    """Parse and evaluate; errors end the process with one line."""
    command_line.call(evaluate_run, program, (ConfigError, PolicyError), arguments)
