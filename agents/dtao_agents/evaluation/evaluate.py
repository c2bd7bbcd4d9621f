"""Judgement: a learned policy beside the scripted ones of its role, on seeds that training never sees."""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dtao_agents.evaluation.policy_files import Policy, PolicyError, config_hash, load_policy
from dtao_agents.evaluation.reports import CAVEAT, LEARNED, draw
from dtao_agents.evaluation.statistics import COVERAGE, bootstrap, interquartile_mean
from dtao_agents.files import write_atomically
from dtao_agents.roles.scripted import SCRIPTED, action_generators, kernel_logit
from dtao_agents.training.settings import TrainConfig, read
from dtao_gym.envs.builder.actions import BUDGET_LOGIT_SCALE
from dtao_gym.envs.roles import role_named
from dtao_gym.envs.task import TaskConfig
from dtao_gym.envs.worlds import Episodes
from dtao_gym.world.parameters import DAYS_PER_YEAR

WORLDS_PER_BATCH = 256
METRICS = {
    "staker": ("log_growth", "final_wealth", "max_drawdown", "turnover"),
    "builder": ("consumption", "research_share", "days", "dissolved"),
}
"""What is told of each episode. The first is what policies are judged by."""
TOLERANCE = 0.2
"""In log-odds: a smaller distance of a learned research share from the closed form counts as none."""


@dataclass(frozen=True)
class Outcome:
    """Episodes of one policy.

    Attributes:
        values: one array per metric, one entry per evaluation seed. Of a staker: `log_growth`, log of final over
            first liquidation wealth; `final_wealth`, TAO; `max_drawdown`, largest fall from an earlier high as a
            share of it; `turnover`, TAO exchanged with pools over liquidation wealth, per year. Of a builder:
            `consumption`, TAO; `research_share`, mean over its decisions; `days` until its end; `dissolved`, 0 or 1.
        path: `(steps + 1,)` mean over seeds: log of a staker's wealth over its start; consumption of a builder.
    """

    values: dict[str, np.ndarray]
    path: np.ndarray


def evaluation_config(config: TaskConfig, role: str = "staker") -> TaskConfig:
    """The same world with the evaluation seeds 0, 1, ...; they share no random number with training.

    Builders are judged by what they consume until an end drawn by the social discount, whatever the rewards of
    training were; a discount of their own does not count then.
    """
    made = TaskConfig.make(config, split="evaluation", world_seed=0)
    if role == "builder":
        made = TaskConfig.make(
            made, horizon="geometric", terminal_value=False, reward_noise=False, twin_world=False
        )
    return role_named(role).task(made)


def _started(config: TaskConfig, seeds: range, role: str, threads: int) -> Episodes:
    episodes = Episodes(config, len(seeds), role, threads)
    for world, seed in enumerate(seeds):
        episodes.reset(world, seed)
    episodes.reset_done()
    return episodes


def play(
    policy: Callable, config: TaskConfig, seeds: range, threads: int = 1, role: str = "staker"
) -> Outcome:
    """One episode of a policy on each seed, all in one batch.

    Args:
        policy: `policy(observation, batch, rngs) -> actions`, scripted or learned.
        config: of the world, an `evaluation_config`.
        seeds: world seeds.
        threads: threads that share the worlds.
        role: who plays.
    """
    episodes = _started(config, seeds, role, threads)
    return (_play_staker if role == "staker" else _play_builder)(policy, episodes)


def _play_staker(policy: Callable, episodes: Episodes) -> Outcome:
    n_seeds, rngs = episodes.n_worlds, action_generators(episodes.batch)
    learners = episodes.batch.state.stakers
    wealth = np.empty((episodes.max_steps + 1, n_seeds))
    wealth[0] = learners["wealth"][:, 0]
    traded = np.zeros(n_seeds)
    lived = np.zeros(n_seeds)
    alive = np.ones(n_seeds, bool)
    for step in range(episodes.max_steps):
        terminated = episodes.step(policy(episodes.observe(), episodes.batch, rngs))[1]
        # a ruined learner's figures stay as they were at its end
        wealth[step + 1] = np.where(alive, learners["wealth"][:, 0], wealth[step])
        traded += np.where(alive, learners["traded"][:, 0] / np.maximum(wealth[step], 1e-12), 0.0)
        lived += alive
        alive &= ~terminated
    years = lived * episodes.config.days_per_step / DAYS_PER_YEAR
    relative = np.log(np.maximum(wealth, 1e-12) / wealth[0])
    fall = 1.0 - np.exp((relative - np.maximum.accumulate(relative)).min(axis=0))
    found = (relative[-1], wealth[-1], fall, traded / years)
    return Outcome(dict(zip(METRICS["staker"], found, strict=True)), relative.mean(axis=1))


def _play_builder(policy: Callable, episodes: Episodes) -> Outcome:
    config, n_seeds, rngs = episodes.config, episodes.n_worlds, action_generators(episodes.batch)
    consumed, shares, lived, days, dissolved = np.zeros((5, n_seeds))
    alive, path = np.ones(n_seeds, bool), [0.0]
    logit = 1 if config.builder_decides == "all" else 0
    while alive.any():
        actions = policy(episodes.observe(), episodes.batch, rngs)
        reward, terminated, _ = episodes.step(actions)
        consumed += alive * reward * config.consumption_scale_tao
        shares += alive / (1.0 + np.exp(-BUDGET_LOGIT_SCALE * actions[:, logit].astype(float)))
        lived += alive
        info = episodes.info()
        days[alive], dissolved[alive] = info["day"][alive], info["pruned"][alive]
        alive &= ~terminated
        path.append(consumed.mean())
    found = (consumed, shares / lived, days, dissolved)
    return Outcome(dict(zip(METRICS["builder"], found, strict=True)), np.array(path))


def play_in_batches(
    policy: Callable, config: TaskConfig, n_seeds: int, threads: int, role: str = "staker"
) -> Outcome:
    """`play` on the seeds 0 to `n_seeds` - 1; results do not depend on the size of the batches."""
    parts = []
    for first in range(0, n_seeds, WORLDS_PER_BATCH):
        seeds = range(first, min(first + WORLDS_PER_BATCH, n_seeds))
        parts.append((len(seeds), play(policy, config, seeds, threads, role)))
    values = {
        name: np.concatenate([part.values[name] for _, part in parts]) for name in METRICS[role]
    }
    longest = max(
        part.path.size for _, part in parts
    )  # builders' batches end with their last world
    paths = [np.pad(part.path, (0, longest - part.path.size), "edge") for _, part in parts]
    return Outcome(values, np.average(paths, axis=0, weights=[size for size, _ in parts]))


def judge(outcomes: dict[str, Outcome], role: str = "staker") -> dict[str, Any]:
    """Estimates per policy and metric, interquartile means, and learned minus each scripted one by seed."""
    main = METRICS[role][0]
    policies = {}
    for name, outcome in outcomes.items():
        estimates = {
            metric: bootstrap(outcome.values[metric])._asdict() for metric in METRICS[role]
        }
        estimates[f"{main}_iqm"] = bootstrap(outcome.values[main], interquartile_mean)._asdict()
        policies[name] = estimates
    learned = outcomes[LEARNED].values[main]
    paired = {
        name: bootstrap(learned - outcome.values[main])._asdict()
        for name, outcome in outcomes.items()
        if name != LEARNED
    }
    return {"metric": main, "policies": policies, "learned_minus": paired}


def research_of(outcome: Outcome, config: TaskConfig) -> dict[str, Any]:
    """The learned research share, mean over all decisions, and in the fee arm the closed form beside it."""
    values = outcome.values
    share = float(np.average(values["research_share"], weights=values["days"]))
    logit = float(np.log(share / (1.0 - share)))
    found: dict[str, Any] = {"share": share, "logit": logit}
    if config.payment == "fee" and not config.finance:
        best = kernel_logit(config)
        found |= {
            "closed_form_share": 1.0 / (1.0 + np.exp(-best)),
            "closed_form_logit": best,
            "difference": logit - best,
            "within_tolerance": abs(logit - best) < TOLERANCE,
        }
    return found


def check_policy(run: Path, policy: Policy, settings: TrainConfig) -> None:
    """Raise PolicyError unless the policy of a run is of the world and the role of its settings."""
    if policy.card.config_hash != config_hash(settings.env):
        raise PolicyError(f"{run}: policy.json and config.yaml are of different worlds")
    if policy.card.architecture.role != ("builder" if settings.role == "builder" else "staker"):
        raise PolicyError(f"{run}: policy.json and config.yaml are of different roles")


def evaluate(
    run: Path,
    episodes: int | None = None,
    threads: int | None = None,
    trusted: bool = False,
) -> dict[str, Any]:
    """Judge the policy of a run; write evaluation.json, evaluation.csv and evaluation.png into its folder.

    Args:
        run: folder of a trained run.
        episodes: evaluation seeds; by default what the run's settings say.
        threads: threads that share the worlds; by default those of the run.
        trusted: whether a rule of emission that the run names as a Python function may be imported.

    Returns:
        The content of evaluation.json.

    Raises:
        PolicyError, ConfigError: for unusable files.
    """
    settings = read(run / "config.yaml", trusted)
    torch.set_num_threads(settings.torch_threads)
    policy, role = load_policy(run), settings.role
    check_policy(run, policy, settings)
    assert isinstance(settings.env, TaskConfig)
    config = evaluation_config(settings.env, role)
    n_seeds = episodes or settings.evaluation_episodes
    players = {LEARNED: policy, **SCRIPTED[role]}
    outcomes = {
        name: play_in_batches(player, config, n_seeds, threads or settings.threads, role)
        for name, player in players.items()
    }
    verdict = {
        "run": run.resolve().name,
        "role": role,
        "training_seed": settings.seed,
        "timesteps": policy.card.timesteps,
        "config_hash": policy.card.config_hash,
        "evaluation_seeds": [0, n_seeds - 1],
        "days": config.horizon_days if role == "staker" else config.horizon_cap_days,
        "days_per_step": config.days_per_step,
        "coverage": COVERAGE,
        "caveat": CAVEAT,
        **judge(outcomes, role),
    }
    if role == "builder":
        verdict["research"] = research_of(outcomes[LEARNED], config)
    write_atomically(run / "evaluation.json", (json.dumps(verdict, indent=2) + "\n").encode())
    write_atomically(run / "evaluation.csv", _rows(outcomes).encode())
    draw(run / "evaluation.png", {name: found.path for name, found in outcomes.items()}, verdict)
    return verdict


def _rows(outcomes: dict[str, Outcome]) -> str:
    """One row per policy and seed."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("policy", "seed", *outcomes[LEARNED].values))
    for name, outcome in outcomes.items():
        for seed, values in enumerate(zip(*outcome.values.values(), strict=True)):
            rows.writerow((name, seed, *(repr(float(value)) for value in values)))
    return text.getvalue()
