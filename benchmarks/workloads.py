"""Timed workloads: of `speed.py` in this checkout, of `against.py` in this one and another.

    python benchmarks/workloads.py CHECKOUT NAME [--quick]

As a program it serves one workload of a checkout: for each line on the standard input it does one run and prints the units
of work, wall seconds and CPU seconds (of all threads). The package is imported inside functions, after the checkout has
been put on the path, and only interfaces that older commits have too are used.
"""

import argparse
import functools
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
WORLDS, SUBNETS, THREADS = 256, 32, 2
ENV_SUBNETS, ENV_SPANS = 16, 4
EQUAL, SNAPSHOT = "weights 1/2", "snapshot"
"""Pools of constant product, and pools with the weights of June 2026."""
PROBE = {
    "n_subnets": 8,
    "selection": "sample",
    "era": "price_burn",
    "allocation": "price",
    "payment": "direct",
    "halving": False,
    "pruning": False,
    "n_stakers": 0,
}
"""Worlds of the size of a cell of the probe: eight subnets, scripted builders, no stakers that learn."""


@dataclass
class Workload:
    """A timed piece of work."""

    run: Callable[[], int]
    """Do the work; returns the number of units."""
    before: Callable[[], Any] = lambda: None
    """Restore the initial state; not timed."""


def set_weights(batch: Any, weights: str) -> None:
    """Set the weights of all pools to 1/2, or leave those of the snapshot."""
    if weights == EQUAL:
        batch.state.row("pool_tao_weight")[...] = 0.5
        batch.state.worlds["equal_weights"] = True


def engine(
    quick: bool,
    weights: str,
    spans: int = 4,
    threads: int = 1,
    worlds: int = WORLDS,
    **settings: Any,
) -> Workload:
    """World-days of a batch with scripted participants only."""
    from dtao_gym.world.batch import Batch
    from dtao_gym.world.config import Config

    config = Config.make({"n_subnets": SUBNETS} | settings, spans_per_day=spans)
    batch = Batch(config, worlds, threads=threads)
    set_weights(batch, weights)
    saved = batch.state.copy()
    size = worlds * batch.layout.n_subnets / (WORLDS * SUBNETS)
    days = max(1, round((10 if quick else 60) / max(spans / 4, 1) / size))

    def run() -> int:
        batch.step(days=days)
        return worlds * days

    return Workload(run, lambda: batch.state.restore(saved))


def actions_for(space: Any, number: int) -> list:
    """Sample actions ahead of the timing."""
    space.seed(0)
    return [space.sample() for _ in range(number)]


def scalar_env(quick: bool) -> Workload:
    """Steps through `gym.make`."""
    import gymnasium as gym

    import dtao_gym  # noqa: F401 - registers

    env = gym.make("dtao_gym/Staker-v0", n_subnets=ENV_SUBNETS, spans_per_day=ENV_SPANS)
    actions = actions_for(env.action_space, 1000)
    steps = 2_000 if quick else 20_000

    def run() -> int:
        for k in range(steps):
            _, _, terminated, truncated, _ = env.step(actions[k % 1000])
            if terminated or truncated:
                env.reset()
        return steps

    return Workload(run, lambda: env.reset(seed=0))


def vector_env(quick: bool, threads: int = 1) -> Workload:
    """World-steps of the native vector environment."""
    import gymnasium as gym

    import dtao_gym  # noqa: F401 - registers

    env = gym.make_vec(
        "dtao_gym/Staker-v0",
        num_envs=WORLDS,
        vectorization_mode="vector_entry_point",
        n_subnets=ENV_SUBNETS,
        spans_per_day=ENV_SPANS,
        threads=threads,
    )
    actions = actions_for(env.action_space, 20)
    steps = 40 if quick else 300

    def run() -> int:
        for k in range(steps):
            env.step(actions[k % 20])
        return steps * WORLDS

    return Workload(run, lambda: env.reset(seed=0))


def learning(model: Any, quick: bool) -> Workload:
    """Steps of Stable-Baselines3's PPO, rollouts and updates."""
    steps = model.n_steps * model.n_envs
    rollouts = max(1, (20_000 if quick else 60_000) // steps)

    def run() -> int:
        model.learn(rollouts * steps, reset_num_timesteps=False)
        return rollouts * steps

    return Workload(run)


def quickstart(quick: bool) -> Workload:
    """Steps of the published quickstart, with the threads of its configuration."""
    import torch

    import dtao_gym

    root = Path(dtao_gym.__file__).parent.parent
    if (root / "agents" / "dtao_agents").is_dir():
        from dtao_agents.training.ppo import TrainingEnv, make_model
        from dtao_agents.training.settings import read
    else:  # a checkout from before the package dtao_agents
        from agents.learn import TrainingEnv, make_model
        from agents.settings import read

    torch.set_num_threads(1)
    settings = read(root / "configs" / "staker_quickstart.yaml")
    return learning(make_model(settings, TrainingEnv(settings)), quick)


WORKLOADS: dict[str, Callable[[bool], Workload]] = {
    "gym.make, one world": scalar_env,
    f"native vector env, {WORLDS} worlds, 1 thread": vector_env,
    "PPO, quickstart": quickstart,
} | {
    f"engine, {settings['n_subnets']} subnets, {weights}, 4 spans, 1 thread": functools.partial(
        engine, weights=weights, **settings
    )
    for settings in (PROBE, {"n_subnets": SUBNETS})
    for weights in (EQUAL, SNAPSHOT)
}
"""Workloads that are compared between two checkouts."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkout", type=Path)
    parser.add_argument("name", choices=WORKLOADS)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    checkout = given.checkout.resolve()
    sys.path[:1] = [str(checkout), str(checkout / "agents")]
    import dtao_gym

    if given.checkout.resolve() not in Path(dtao_gym.__file__).resolve().parents:
        sys.exit(f"error: dtao_gym: got {dtao_gym.__file__}, allowed is that of {given.checkout}")
    work = WORKLOADS[given.name](given.quick)
    for _ in sys.stdin:
        work.before()
        wall, cpu = time.perf_counter(), time.process_time()
        units = work.run()
        print(units, time.perf_counter() - wall, time.process_time() - cpu, flush=True)


if __name__ == "__main__":
    main()
