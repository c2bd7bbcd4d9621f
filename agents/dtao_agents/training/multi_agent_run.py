"""A run in which several roles learn training: training, policies in files, exploitability."""

import json
import time
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from dtao_agents.equilibrium.best_response import exploitability
from dtao_agents.evaluation.policy_files import Card, config_hash, load_policy, save_policy
from dtao_agents.files import write_atomically
from dtao_agents.roles.registry import agent_role
from dtao_agents.training import fused_networks
from dtao_agents.training.checkpoints import read_latest, write_checkpoint
from dtao_agents.training.curves import LEARNING_CURVE, plot_runs
from dtao_agents.training.multi_agent import STATISTICS, MultiAgentTraining
from dtao_agents.training.multi_agent_settings import MultiAgentConfig
from dtao_agents.training.run_folder import (
    RunLog,
    true_manifest,
    write_manifest,
)

EXPLOITABILITY = "exploitability.json"


def columns(settings: MultiAgentConfig) -> tuple[str, ...]:
    """Return the columns of metrics.csv."""
    each = ("reward_per_year", "episode_reward", *STATISTICS)
    of_roles = [f"{role}_{name}" for role in settings.roles for name in each]
    return ("timesteps", "seconds", "steps_per_second", *of_roles)


def train_multi_agent(
    settings: MultiAgentConfig, run: Path, resume: bool = False
) -> dict[str, Any]:
    """Train in a run's folder until `total_timesteps`, then measure and return the exploitability.

    Writes config.yaml, manifest.json, metrics.csv, learning_curve.png, exploitability.json, checkpoints/, tensorboard/ and a folder
    for the policy of each role into the folder.

    Parameters
    ----------
    settings : MultiAgentConfig
    run : Path
        An existing folder.
    resume : bool
        Continue from the latest checkpoint.

    Returns
    -------
    dict
        Content of exploitability.json; see `dtao_agents.equilibrium.best_response.exploitability`.
    """
    torch.set_num_threads(settings.torch_threads)
    fused_networks.set_threads(settings.threads)
    torch.use_deterministic_algorithms(True)
    with true_manifest(run, settings):
        training, facts = MultiAgentTraining(settings), {"seconds": 0.0}
        if resume:
            arrays, own, facts = read_latest(run / "checkpoints")
            training.restore(arrays, own)
        seconds = _learn(training, run, facts["seconds"])
        _save(training, run)
        records = measure_exploitability(run, settings)
        write_manifest(
            run,
            settings,
            status="finished",
            train_seconds=seconds,
            timesteps=training.timesteps,
            steps_per_second=training.timesteps / max(seconds, 1e-9),
        )
    return records


def _save(training: MultiAgentTraining, run: Path) -> None:
    """Write the policies and the picture of a finished training."""
    settings = training.settings
    for role, learner in training.learners.items():
        (run / role).mkdir(exist_ok=True)
        policy = learner.ppo.policy
        card = Card(policy.architecture, config_hash(settings.env), learner.ppo.num_timesteps)  # type: ignore[union-attr]
        save_policy(run / role, learner.actor, card)
    plot_runs([run], out=run / LEARNING_CURVE)


def _learn(training: MultiAgentTraining, run: Path, before: float) -> float:
    """Play all rollouts; return the training time so far, seconds."""
    settings, started = training.settings, time.perf_counter()
    total, names = settings.total_timesteps, columns(settings)
    with RunLog(run, total, training.timesteps, names) as log:
        seconds = before
        while training.timesteps < total:
            row = training.rollout()
            seconds = before + time.perf_counter() - started
            head = (training.timesteps, seconds, training.timesteps / seconds)
            log.add(dict(zip(names[:3], head, strict=True)) | row)
            last = training.timesteps >= total
            if last or training.rollouts % settings.checkpoint_every == 0:
                log.flush()
                arrays, own = training.capture()
                write_checkpoint(
                    log.checkpoints, arrays, own, training.timesteps, {"seconds": seconds}
                )
    return seconds


def measure_exploitability(run: Path, settings: MultiAgentConfig) -> dict[str, Any]:
    """Write exploitability.json of a run's policies, print it and return it. Raises PolicyError."""
    torch.set_num_threads(settings.torch_threads)
    policies = {role: load_policy(run / role) for role in settings.roles}
    print("Exploitability: best responses against the frozen policies", flush=True)
    records = exploitability(settings, policies, lambda line: print(f"  {line}", flush=True))  # type: ignore[arg-type]
    write_atomically(run / EXPLOITABILITY, (json.dumps(records, indent=2) + "\n").encode())
    report(records, Console(width=100))
    return records


def report(records: dict[str, Any], console: Console) -> None:
    """Print a table of all responses, and a sentence on each role."""
    table = Table(title="Gain of one member that deviates, the others frozen", title_justify="left")
    for name in ("role", "method", "gain", "95 % interval"):
        table.add_column(name, justify="left" if name in ("role", "method") else "right")
    for role, its in records.items():
        for response in its["responses"]:
            gain, chosen = response["gain"], " *" * (response["method"] == its["best"])
            interval = f"{gain['low']:+.4f} to {gain['high']:+.4f}"
            table.add_row(role, response["method"] + chosen, f"{gain['value']:+.4f}", interval)
    console.print(table)
    console.print(
        "* best on seeds set aside; its gain on other seeds is the exploitability epsilon"
    )
    for role, its in records.items():
        console.print(sentence(role, its))


def sentence(role: str, record: dict[str, Any]) -> str:
    """Return the verdict on a role in words, from its entry of exploitability.json."""
    epsilon = record["epsilon"]
    size = f"epsilon {epsilon['value']:.4f} [{epsilon['low']:.4f}, {epsilon['high']:.4f}]"
    if record["is_equilibrium"]:
        verdict = "no deviation that was tried gains for sure"
    else:
        verdict = f"NOT AN EQUILIBRIUM: {record['best']} gains"
    text = f"{role}: {verdict}; {size} ({record['unit']})."
    return text + agent_role(role).response_sentence(record)
