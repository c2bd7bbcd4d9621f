"""A builder in the engine: PPO as `train.py` runs it, and the cross-entropy method over constants plus linear feedback."""

import contextlib
import io
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from dtao_agents.equilibrium.cem import CemSettings, linear_policy, maximise
from dtao_agents.evaluation.evaluate import evaluation_config, play
from dtao_agents.evaluation.policy_files import load_policy
from dtao_agents.oracles.frictionless import FRICTIONLESS, alpha_pay, terminal_value
from dtao_agents.training.ppo import train
from dtao_agents.training.settings import TrainConfig
from dtao_gym.economy.technology import discount_per_day
from dtao_gym.envs.builder.actions import builder_action
from dtao_gym.envs.builder.observation import OWN_FEATURES, RIVAL_FEATURES
from dtao_gym.envs.roles import role_named
from dtao_gym.envs.task import TaskConfig
from dtao_gym.envs.worlds import Episodes

FEEDBACK = ("short_stock", "knowledge", "pipeline_log", "ability")
"""What the feedback of the cross-entropy method sees."""
FEEDBACK_SD = 0.2
"""First standard deviation of a weight of it, over that of a constant."""
CEM_SEEDS = 2**40
"""World seeds of the cross-entropy method start here; PPO's and those of judgement lie below, or in another split."""


class BuilderCemSettings(CemSettings):
    """The cross-entropy method in the engine."""

    worlds: int = Field(8, ge=1, description="Worlds that a candidate is judged by.")
    days: int = Field(1092, ge=7, description="Days of them; what stocks are worth then is added.")
    threads: int = Field(2, ge=1, description="Threads that share the worlds.")


def market_config(world: dict[str, Any]) -> TaskConfig:
    """World of a builder's row; `frictionless: true` starts from the preset of the simulated oracles."""
    changes = dict(world)
    preset = FRICTIONLESS if changes.pop("frictionless", False) else {}
    return role_named("builder").task(dict(preset) | changes)


def learn_by_ppo(
    world: dict[str, Any], settings: dict[str, Any], start: float, seed: int, episodes: int
) -> dict[str, float]:
    """Train from the research share `start` and judge: see `judged`. `settings` are fields of a training run."""
    config = market_config(world)
    made = TrainConfig.make(
        {
            **settings,
            "role": "builder",
            "env": config,
            "seed": seed,
            "research_share_init": start,
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        with contextlib.redirect_stdout(io.StringIO()):  # its progress
            train(made, Path(folder))
        policy = load_policy(folder)
    return judged(policy, config, episodes)


def judged(policy: Callable, config: TaskConfig, episodes: int) -> dict[str, float]:
    """What a policy without exploration does in evaluation worlds with drawn ends, by the parts of the budget.

    `research`: share of research in what is spent on product and research; `influence`: share of the budget.
    """
    made = evaluation_config(config, "builder")
    if not config.influence:
        values = play(policy, made, range(episodes), role="builder").values
        share = float(np.average(values["research_share"], weights=values["days"]))
        return {"research": share, "influence": 0.0}
    worlds = _started(made, range(episodes), 1)
    alive, sums = np.ones(episodes, bool), np.zeros(3)
    while alive.any():
        _, terminated, _ = worlds.step(policy(worlds.observe(), worlds.batch, ()))
        info = worlds.info()
        for k, name in enumerate(("research_share", "influence_share")):
            sums[k] += info[name][alive].sum()
        sums[2] += alive.sum()
        alive &= ~terminated
    return {"research": sums[0] / sums[2], "influence": sums[1] / sums[2]}


def _started(config: TaskConfig, seeds: Sequence[int], threads: int) -> Episodes:
    worlds = Episodes(config, len(seeds), "builder", threads)
    for world, seed in enumerate(seeds):
        worlds.reset(world, seed)
    worlds.reset_done()
    return worlds


def feedback_features(observation: np.ndarray, n_subnets: int) -> np.ndarray:
    """The features `FEEDBACK` `(n, 4)` of observations `(n, size)` of a builder."""
    first = (n_subnets - 1) * len(RIVAL_FEATURES)
    places = [first + OWN_FEATURES.index(name) for name in FEEDBACK]
    return observation[:, places].astype(float)


def learn_by_cem(
    world: dict[str, Any], settings: BuilderCemSettings, start: float, seed: int, episodes: int
) -> dict[str, float]:
    """Search from the research share `start` and judge: see `judged`.

    The objective is consumption discounted by the builder, and what the stocks will pay after the last day.
    Candidates of a generation meet the same worlds, each generation its own.
    """
    fees = world.get("payment") == "fee"
    changes = {**world, "horizon": "fixed", "horizon_days": settings.days, "terminal_value": fees}
    config = market_config(changes | {"twin_world": False})
    n, per_step = settings.population, config.days_per_step
    worth = None if fees else terminal_value(config, alpha_pay(config))
    discount = discount_per_day(config.builder_discount_per_year) ** per_step
    worlds = _started(config, range(n * settings.worlds), settings.threads)
    actions, n_subnets = worlds.role.action_space.shape[0], worlds.batch.layout.n_subnets

    def objective(candidates: np.ndarray, generation: int) -> np.ndarray:
        first = CEM_SEEDS + (seed * settings.generations + generation) * settings.worlds
        for k in range(n * settings.worlds):
            worlds.reset(k, first + k % settings.worlds)
        worlds.reset_done()
        mine = np.repeat(candidates, settings.worlds, axis=0)
        total, factor, over = np.zeros(len(mine)), 1.0, False
        while not over:
            features = feedback_features(worlds.observe(), n_subnets)
            acted = linear_policy(mine, features, actions)
            reward, terminated, truncated = worlds.step(acted.astype(np.float32))
            total, factor = total + factor * reward, factor * discount
            over = bool((terminated | truncated).all())
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
    found = maximise(objective, first.ravel(), settings, rng, sd.ravel()).parameters

    def policy(observation: np.ndarray, batch: Any, rngs: Any) -> np.ndarray:
        features = feedback_features(observation, n_subnets)
        return linear_policy(found, features, actions).astype(np.float32)

    return judged(policy, market_config(world), episodes)
