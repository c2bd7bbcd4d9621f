"""A run in which stakers and builders learn together: training, policies in files, exploitability."""

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
from dtao_agents.training import fused_networks
from dtao_agents.training.checkpoints import latest_checkpoint, read_checkpoint, write_checkpoint
from dtao_agents.training.multi_agent import STATISTICS, MultiAgentTraining
from dtao_agents.training.multi_agent_settings import MultiAgentConfig
from dtao_agents.training.run_folder import RunLog, draw_learning_curves, write_manifest

EXPLOITABILITY = "exploitability.json"


def columns(settings: MultiAgentConfig) -> tuple[str, ...]:
    """Columns of metrics.csv."""
    each = ("reward_per_year", "episode_reward", *STATISTICS)
    of_roles = [f"{role}_{name}" for role in settings.roles for name in each]
    return ("timesteps", "seconds", "steps_per_second", *of_roles)


def train_multi_agent(
    settings: MultiAgentConfig, run: Path, resume: bool = False
) -> dict[str, Any]:
    """Train in a run's folder until `total_timesteps`, then measure exploitability; returns that.

    The folder ends up with config.yaml, manifest.json, metrics.csv, learning_curve.png, exploitability.json,
    checkpoints/, tensorboard/, and a folder for the policy of each role.
    """
    torch.set_num_threads(settings.torch_threads)
    fused_networks.set_threads(settings.threads)
    torch.use_deterministic_algorithms(True)
    together, facts = MultiAgentTraining(settings), {"seconds": 0.0}
    if resume:
        arrays, own, facts = read_checkpoint(latest_checkpoint(run / "checkpoints"))
        together.restore(arrays, own)
    write_manifest(run, settings, status="running")
    seconds = _learn(together, run, facts["seconds"])
    for role, learner in together.learners.items():
        (run / role).mkdir(exist_ok=True)
        policy = learner.ppo.policy
        card = Card(policy.architecture, config_hash(settings.env), learner.ppo.num_timesteps)  # type: ignore[union-attr]
        save_policy(run / role, learner.actor, card)
    draw_learning_curves(run, tuple(settings.roles))
    found = judge_run(run, settings)
    write_manifest(
        run,
        settings,
        status="finished",
        train_seconds=seconds,
        timesteps=together.timesteps,
        steps_per_second=together.timesteps / max(seconds, 1e-9),
    )
    return found


def _learn(together: MultiAgentTraining, run: Path, before: float) -> float:
    """Rollouts until the end; the seconds that training has taken so far."""
    settings, started = together.settings, time.perf_counter()
    total, names = settings.total_timesteps, columns(settings)
    with RunLog(run, total, together.timesteps, names) as log:
        seconds = before
        while together.timesteps < total:
            row = together.rollout()
            seconds = before + time.perf_counter() - started
            head = (together.timesteps, seconds, together.timesteps / seconds)
            log.add(dict(zip(names[:3], head, strict=True)) | row)
            last = together.timesteps >= total
            if last or together.rollouts % settings.checkpoint_every == 0:
                log.flush()
                arrays, own = together.capture()
                write_checkpoint(
                    log.checkpoints, arrays, own, together.timesteps, {"seconds": seconds}
                )
    return seconds


def judge_run(run: Path, settings: MultiAgentConfig) -> dict[str, Any]:
    """Exploitability of a run's policies: written to exploitability.json, printed, returned. Raises `PolicyError`."""
    torch.set_num_threads(settings.torch_threads)
    policies = {role: load_policy(run / role) for role in settings.roles}
    print("Exploitability: best responses against the frozen policies", flush=True)
    found = exploitability(settings, policies, lambda line: print(f"  {line}", flush=True))  # type: ignore[arg-type]
    write_atomically(run / EXPLOITABILITY, (json.dumps(found, indent=2) + "\n").encode())
    report(found, Console(width=100))
    return found


def report(found: dict[str, Any], console: Console) -> None:
    """What was found of each role, as a table and a sentence."""
    table = Table(title="Gain of one who deviates, the others frozen", title_justify="left")
    for name in ("role", "method", "gain", "95 % interval"):
        table.add_column(name, justify="left" if name in ("role", "method") else "right")
    for role, its in found.items():
        for response in its["responses"]:
            gain, chosen = response["gain"], " *" * (response["method"] == its["best"])
            interval = f"{gain['low']:+.4f} to {gain['high']:+.4f}"
            table.add_row(role, response["method"] + chosen, f"{gain['value']:+.4f}", interval)
    console.print(table)
    console.print(
        "* best on seeds set aside; its gain on other seeds is the exploitability epsilon"
    )
    for role, its in found.items():
        console.print(sentence(role, its))


def sentence(role: str, its: dict[str, Any]) -> str:
    """The verdict on a role, in words."""
    epsilon = its["epsilon"]
    size = f"epsilon {epsilon['value']:.4f} [{epsilon['low']:.4f}, {epsilon['high']:.4f}]"
    if its["is_equilibrium"]:
        told = f"{role}: no deviation that was tried gains for sure; {size} ({its['unit']})."
    else:
        told = f"{role}: NOT AN EQUILIBRIUM: {its['best']} gains; {size} ({its['unit']})."
    if "research_share" not in its:
        return told
    low, high = its["identified_set"]
    told += (
        f" Research share {its['research_share']:.3f}, identified within [{low:.3f}, {high:.3f}]."
    )
    nash = its["nash"]
    if nash is not None and nash["share"] is not None:
        told += f" Equilibrium in constant shares: {nash['share']:.3f} ({nash['verdict']})."
    elif nash is not None:
        told += f" Equilibrium in constant shares: {nash['verdict']}."
    return told
