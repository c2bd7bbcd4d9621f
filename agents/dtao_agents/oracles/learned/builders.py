"""A builder in the engine, learned by PPO and by the cross-entropy method with linear feedback."""

import contextlib
import io
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from dtao_agents.equilibrium.cem import CemSettings, linear_policy, maximise
from dtao_agents.evaluation.policy_files import load_policy
from dtao_agents.oracles.frictionless import FRICTIONLESS, alpha_pay, terminal_value
from dtao_agents.roles.builder import BUILDER
from dtao_agents.roles.episodes import started_episodes
from dtao_agents.roles.policies import Policy
from dtao_agents.training.ppo import train
from dtao_agents.training.settings import TrainConfig
from dtao_gym.economy.technology import discount_per_day
from dtao_gym.envs.builder.actions import builder_action
from dtao_gym.envs.builder.observation import OWN_FEATURES, RIVAL_FEATURES
from dtao_gym.envs.task import TaskConfig

FEEDBACK = ("short_stock", "knowledge", "pipeline_log", "ability")
"""Own features that the linear feedback of the cross-entropy method reacts to."""
FEEDBACK_SD = 0.2
"""First standard deviation of a slope, over that of a constant."""
CEM_SEEDS = 2**40
"""First world seed of the cross-entropy method; those of PPO are below, those of evaluation in another split."""


class BuilderCemSettings(CemSettings):
    """Settings of the cross-entropy method in the engine."""

    worlds: int = Field(8, ge=1, description="Worlds per candidate.")
    days: int = Field(
        1092, ge=7, description="Days of them; the value of the stocks at the end is added."
    )
    threads: int = Field(2, ge=1, description="Threads that share the worlds.")


def market_config(world: dict[str, Any]) -> TaskConfig:
    """Return the task of a builder's row.

    `frictionless: true` starts from the preset of the simulated oracles.
    """
    changes = dict(world)
    preset = FRICTIONLESS if changes.pop("frictionless", False) else {}
    return BUILDER.task(dict(preset) | changes)


def learn_by_ppo(
    world: dict[str, Any], settings: dict[str, Any], start: float, seed: int, episodes: int
) -> dict[str, float]:
    """Train from the research share `start` and return `learned_shares`.

    `settings` are fields of `TrainConfig`.
    """
    config = market_config(world)
    made = TrainConfig.make(
        {
            **settings,
            "role": BUILDER.name,
            "env": config,
            "seed": seed,
            "research_share_init": start,
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        with contextlib.redirect_stdout(io.StringIO()):  # progress
            train(made, Path(folder))
        policy = load_policy(folder)
    return learned_shares(policy, config, episodes)


def learned_shares(policy: Policy, config: TaskConfig, episodes: int) -> dict[str, float]:
    """Return the mean division of the budget by a policy without exploration.

    It is played in evaluation worlds with drawn ends. `research`: share of research in spending on product and research; `influence`: share of the budget.
    """
    made = BUILDER.evaluation_task(config)
    if not config.influence:
        values = BUILDER.play(policy, made, range(episodes)).values
        share = float(np.average(values["research_share"], weights=values["days"]))
        return {"research": share, "influence": 0.0}
    worlds = started_episodes(BUILDER.name, made, range(episodes))
    alive, sums = np.ones(episodes, bool), np.zeros(3)
    while alive.any():
        _, terminated, _ = worlds.step(policy(worlds.observe(), worlds.batch, ()))
        info = worlds.info()
        for k, name in enumerate(("research_share", "influence_share")):
            sums[k] += info[name][alive].sum()
        sums[2] += alive.sum()
        alive &= ~terminated
    return {"research": sums[0] / sums[2], "influence": sums[1] / sums[2]}


def feedback_features(observation: np.ndarray, n_subnets: int) -> np.ndarray:
    """Return the features `FEEDBACK` `(n, 4)` of observations `(n, size)` of a builder."""
    first = (n_subnets - 1) * len(RIVAL_FEATURES)
    places = [first + OWN_FEATURES.index(name) for name in FEEDBACK]
    return observation[:, places].astype(float)


def learn_by_cem(
    world: dict[str, Any], settings: BuilderCemSettings, start: float, seed: int, episodes: int
) -> dict[str, float]:
    """Search from the research share `start` and return `learned_shares`.

    The objective is consumption discounted by the builder, and the pay from its stocks after the last day.
    Candidates of a generation meet the same worlds; each generation has its own.
    """
    fees = world.get("payment") == "fee"
    changes = {**world, "horizon": "fixed", "horizon_days": settings.days, "terminal_value": fees}
    config = market_config(changes | {"twin_world": False})
    n, per_step = settings.population, config.days_per_step
    worth = None if fees else terminal_value(config, alpha_pay(config))
    discount = discount_per_day(config.builder_discount_per_year) ** per_step
    worlds = started_episodes(BUILDER.name, config, range(n * settings.worlds), settings.threads)
    actions, n_subnets = worlds.role.action_space.shape[0], worlds.batch.layout.n_subnets

    def objective(candidates: np.ndarray, generation: int) -> np.ndarray:
        first = CEM_SEEDS + (seed * settings.generations + generation) * settings.worlds
        worlds.start(first + k % settings.worlds for k in range(n * settings.worlds))
        mine = np.repeat(candidates, settings.worlds, axis=0)
        total, factor, finished = np.zeros(len(mine)), 1.0, False
        while not finished:
            features = feedback_features(worlds.observe(), n_subnets)
            acted = linear_policy(mine, features, actions)
            reward, terminated, truncated = worlds.step(acted.astype(np.float32))
            total, factor = total + factor * reward, factor * discount
            finished = bool((terminated | truncated).all())
        if worth is not None:
            every = np.arange(len(mine))
            left = worth(worlds.batch, every, np.full(len(mine), worlds.role.slots[0]))
            total += left / config.consumption_scale_tao
        return total.reshape(n, settings.worlds).mean(axis=1)

    constants = builder_action(config, start, 0.1 if config.influence else None)
    first = np.zeros((actions, 1 + len(FEEDBACK)))
    first[:, 0] = constants[:actions]
    sd = np.full(first.shape, settings.initial_sd)
    sd[:, 1:] *= FEEDBACK_SD
    rng = np.random.default_rng(seed)
    best = maximise(objective, first.ravel(), settings, rng, sd.ravel()).parameters

    def policy(observation: np.ndarray, batch: Any, rngs: Any) -> np.ndarray:
        features = feedback_features(observation, n_subnets)
        return linear_policy(best, features, actions).astype(np.float32)

    return learned_shares(policy, market_config(world), episodes)
