"""Speed with many agents in each world, compared with Stable-Baselines3 on CartPole.

    python benchmarks/many_agents.py [--quick]

Prints a table and writes it to `benchmarks/results/many_agents.md` and `many_agents.json`; `--quick` writes nothing. A step is
one decision of one agent. Figures and targets are as in `speed.py`.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "agents")]  # a checkout needs no installation

from dtao_agents.training.multi_agent import MultiAgentTraining  # noqa: E402
from dtao_agents.training.multi_agent_settings import MultiAgentConfig  # noqa: E402
from dtao_agents.training.sb3_policy import SubnetPolicy  # noqa: E402

from benchmarks.figures import (  # noqa: E402
    Figure,
    as_text,
    figure,
    machine,
    rates,
    write_results,
)
from benchmarks.workloads import ENV_SPANS, ENV_SUBNETS, THREADS, learning  # noqa: E402
from dtao_gym.envs.multi_agent import MultiAgentWorlds, multi_agent_config  # noqa: E402
from dtao_gym.envs.sb3 import SharedVecEnv  # noqa: E402

WORLDS, STAKERS = 256, 4
WORLD = {"n_subnets": ENV_SUBNETS, "spans_per_day": ENV_SPANS}
PUBLISHED = HERE.parent / "configs" / "multi_agent.yaml"


def stepping(stakers: int, builders: str | tuple[int, ...], quick: bool) -> list[float]:
    """Measure agent-steps per second: actions of all agents, a day, observations of all agents."""
    members = {"staker": stakers, "builder": builders}
    config = multi_agent_config(None, WORLD, members)
    worlds = MultiAgentWorlds(config, WORLDS, members, respawn=True, threads=THREADS)
    worlds.start(range(WORLDS))
    rng = np.random.default_rng(0)
    actions = {
        name: rng.uniform(-1, 1, (worlds.rows(name), *role.action_space.shape)).astype(np.float32)
        for name, role in worlds.roles.items()
    }
    steps = 10 if quick else 40

    def work() -> int:
        for _ in range(steps):
            worlds.autoreset(worlds.step(actions))
            worlds.observe()
        return steps * sum(worlds.rows(name) for name in worlds.roles)

    return rates(work, 3 if quick else 7)


def learning_rates(model: Any, quick: bool) -> list[float]:
    """Measure steps per second of a PPO, rollouts and updates."""
    return rates(learning(model, quick).run, 1 if quick else 5)


def both_roles(quick: bool) -> list[float]:
    """Measure steps per second of the published run in which both roles learn."""
    import yaml

    training = MultiAgentTraining(MultiAgentConfig.make(yaml.safe_load(PUBLISHED.read_text())))
    rollouts = 2 if quick else 6

    def work() -> int:
        before = training.timesteps
        for _ in range(rollouts):
            training.rollout()
        return training.timesteps - before

    return rates(work, 1 if quick else 5)


def figures(quick: bool) -> list[Figure]:
    """Measure all figures of the table."""
    torch.set_num_threads(1)
    measured = [
        figure(
            f"stepping, {STAKERS} stakers and {ENV_SUBNETS} builders",
            "agent-steps/s",
            stepping(STAKERS, "all", quick),
            200_000,
        ),
        figure(f"stepping, {ENV_SUBNETS} stakers", "agent-steps/s", stepping(16, (), quick)),
    ]
    plain = {"device": "cpu", "seed": 0, "batch_size": 4096}
    for role, target in (("builder", 30_000), ("staker", 30_000)):
        stakers = ENV_SUBNETS if role == "staker" else 0
        worlds = SharedVecEnv(64, role, stakers=stakers, threads=THREADS, **WORLD)
        model = PPO(SubnetPolicy, worlds, n_steps=16, n_epochs=2, **plain)
        name = f"PPO, one policy for {ENV_SUBNETS} {role}s"
        measured.append(figure(name, "agent-steps/s", learning_rates(model, quick), target))
    measured.append(figure("both roles together, as published", "agent-steps/s", both_roles(quick)))
    for name, more in (
        ("2 x 64", {"n_steps": 2048, "n_epochs": 2, "policy_kwargs": {"net_arch": [64, 64]}}),
        ("library's defaults", {"batch_size": 64}),
    ):
        env = make_vec_env("CartPole-v1", 8)
        measured.append(
            figure(
                f"PPO on CartPole-v1 x 8, {name}",
                "steps/s",
                learning_rates(PPO("MlpPolicy", env, **plain | more), quick),
            )
        )
        env.close()
    return measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer and shorter runs, no files")
    quick = parser.parse_args().quick
    about, rows = machine(), figures(quick)
    facts = "; ".join(f"{k} {v}" for k, v in about.items())
    worlds = f"{ENV_SUBNETS} subnets, {ENV_SPANS} spans a day; {WORLDS} worlds step, 64 learn."
    print(f"{facts}\n{worlds}\n{as_text(rows)}")
    if quick:
        return
    written = "Written by `python benchmarks/many_agents.py`. Medians of several runs."
    write_results("many_agents", about, rows, f"# Many agents\n\n{written} {worlds}")


if __name__ == "__main__":
    main()
