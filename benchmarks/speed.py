"""Speed of the environment and of comparable programs.

    python benchmarks/speed.py [--quick]
    python benchmarks/speed.py --against CHECKOUT [--quick]

Prints a table and writes it to `benchmarks/results/speed.md` and `speed.json`. Every figure is the median of several runs,
with the slowest and the fastest; `--quick` runs fewer and shorter ones and writes nothing. No figure fails the run: targets
were set for two idle cores, and the ratio compares the machine with them. Figures of one thread are by CPU time. Figures
whose requirements are missing (PPO without the extra `train`, C without gcc) are left out, with a message.

With `--against`, this checkout and another, for instance of an older commit, are measured in turns (`against.py`).
"""

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))  # a checkout needs no installation

from benchmarks import limit  # noqa: E402
from benchmarks.against import compare  # noqa: E402
from benchmarks.figures import (  # noqa: E402
    Figure,
    as_text,
    figure,
    machine,
    rates,
    skipped,
    write_results,
)
from benchmarks.processes import COLD, IMPORT, cold_first_step, first_step, in_fresh_process  # noqa: E402
from benchmarks.workloads import (  # noqa: E402
    ENV_SPANS,
    ENV_SUBNETS,
    EQUAL,
    PROBE,
    SNAPSHOT,
    SUBNETS,
    THREADS,
    WORLDS,
    Workload,
    engine,
    learning,
    quickstart,
    scalar_env,
    set_weights,
    vector_env,
)
from dtao_gym.world.batch import Batch  # noqa: E402
from dtao_gym.world.config import Config  # noqa: E402

BATCH_TARGETS = {
    (EQUAL, 1): 250_000,
    (EQUAL, 4): 180_000,
    (EQUAL, 24): 70_000,
    (SNAPSHOT, 1): None,
    (SNAPSHOT, 4): 100_000,
    (SNAPSHOT, 24): 30_000,
}
"""Targets of world-days per second with two threads, by weights of pools and spans per day."""
FUNDS, REBORN = {"root_dividend": "fund_in_place"}, {"era": "root_reborn"}
"""Settings of worlds with root funds: under the rules of `price_burn`, and with those of today."""
SPAN_TARGETS = {EQUAL: 1.2, SNAPSHOT: 1.1}
"""Targets of the engine's time per span over that of C."""


def rates_of(work: Workload, runs: int, threads: int = 1) -> list[float]:
    """Measure the units of work per second of each run: of CPU time with one thread, else of wall time."""
    clock = time.process_time if threads == 1 else time.perf_counter
    return rates(work.run, runs, work.before, clock)


def counted(number: int, thing: str) -> str:
    """Return a number with its noun, in the plural if needed."""
    return f"{number} {thing}{'s' * (number > 1)}"


# ---------------------------------------------------------------- the engine


def engines(quick: bool) -> list[Figure]:
    """Measure world-days per second of the batch on one thread and two, and of small worlds."""
    measured, runs = [], 3 if quick else 9
    for (weights, spans), target in BATCH_TARGETS.items():
        for threads in (1, THREADS):
            values = rates_of(engine(quick, weights, spans, threads), runs, threads)
            name = f"engine, {weights}, {counted(spans, 'span')}, {counted(threads, 'thread')}"
            measured.append(
                figure(name, "world-days/s", values, target if threads == THREADS else None)
            )
    for weights in SPAN_TARGETS:
        values = rates_of(engine(quick, weights, **PROBE), runs)
        name = f"engine, {PROBE['n_subnets']} subnets, {weights}, 4 spans, 1 thread"
        measured.append(figure(name, "world-days/s", values))
    return measured


def whole_market(quick: bool) -> list[Figure]:
    """Measure all 128 subnets of June: world-days per second of a batch, and a day on the chain's clock."""
    market = engine(quick, SNAPSHOT, 4, THREADS, n_subnets=None)
    values = rates_of(market, 3 if quick else 9, THREADS)
    blockwise = Batch(Config.make(spans_per_day=7200))
    seconds = [1.0 / rate for rate in rates(lambda: blockwise.step() or 1, 2 if quick else 5)]
    return [
        figure("engine, 128 subnets, snapshot, 4 spans, 2 threads", "world-days/s", values, 30_000),
        figure("a day of 7,200 blocks, 128 subnets", "s", seconds, 0.15, smaller_is_better=True),
    ]


def root_funds(quick: bool) -> list[Figure]:
    """Measure worlds with root funds, and with the gate by rank too, against `price_burn`, in turns."""
    measured, rules = [], {"price_burn": {}, "funds": FUNDS, "funds and gate": REBORN}
    for subnets in (PROBE["n_subnets"], SUBNETS, None):
        worlds = WORLDS if subnets else WORLDS // 4
        works = {
            name: engine(quick, SNAPSHOT, worlds=worlds, n_subnets=subnets, **rule)
            for name, rule in rules.items()
        }
        for work in works.values():
            work.run()  # funds are filled first
            work.before = lambda: None
        turns = [
            {name: rates_of(work, 1)[0] for name, work in works.items()}
            for _ in range(3 if quick else 15)
        ]
        for name in list(rules)[1:]:
            ratios = [turn[name] / turn["price_burn"] for turn in turns]
            label = f"{name} / price_burn, {subnets or 128} subnets, snapshot, 4 spans, 1 thread"
            measured.append(figure(label, "times", ratios, 0.85 if name == "funds" else None))
    return measured


def in_numpy(quick: bool) -> list[Figure]:
    """Measure world-days per second of the plain NumPy market on the same worlds."""
    try:
        from benchmarks.numpy_market import NumpyMarket
    except ImportError as error:
        return skipped("NumPy market", error)
    measured = []
    for weights, spans in ((EQUAL, 4), (SNAPSHOT, 4), (SNAPSHOT, 24)):
        config = Config.make(n_subnets=SUBNETS, spans_per_day=spans)
        batch = Batch(config, WORLDS)
        set_weights(batch, weights)
        market = [NumpyMarket(config, batch.state)]

        def fresh(config=config, batch=batch, market=market) -> None:
            market[0] = NumpyMarket(config, batch.state)

        def work(market=market) -> int:
            market[0].step(days=2)
            return 2 * WORLDS

        values = rates(work, 2 if quick else 5, fresh, time.process_time)
        measured.append(figure(f"NumPy market, {weights}, {spans} spans", "world-days/s", values))
    return measured


def in_c(quick: bool) -> list[Figure]:
    """Measure CPU nanoseconds per subnet and span of the hot loop: engine and plain C in turns."""
    if shutil.which("gcc") is None:
        return skipped("C", "no gcc")
    measured, unit = [], "ns/subnet-span"
    for subnets, size in ((SUBNETS, ""), (PROBE["n_subnets"], f"{PROBE['n_subnets']} subnets, ")):
        for weights, target in SPAN_TARGETS.items():
            pair = limit.speed(weights, 5 if quick else 25, WORLDS, subnets)
            for name, values in (("plain C", pair.c), ("engine, a span more", pair.engine)):
                measured.append(
                    figure(f"{name}, {size}{weights}", unit, values, smaller_is_better=True)
                )
            limit_ratio = target if subnets == SUBNETS else None
            name = f"engine / C, {size}{weights}"
            measured.append(figure(name, "times", pair.ratios, limit_ratio, smaller_is_better=True))
    return measured


# ---------------------------------------------------------------- environments


def environments(quick: bool) -> list[Figure]:
    """Measure steps per second through `gym.make`, and world-steps of the native vector environment."""
    runs = 3 if quick else 9
    measured = [
        figure("gym.make, one world", "steps/s", rates_of(scalar_env(quick), runs), 100_000)
    ]
    for threads in (1, THREADS):
        values = rates_of(vector_env(quick, threads), runs, threads)
        name = f"native vector env, {WORLDS} worlds, {counted(threads, 'thread')}"
        target = 200_000 if threads == THREADS else None
        measured.append(figure(name, "steps/s", values, target))
    return measured


def ppo(quick: bool) -> list[Figure]:
    """Measure steps per second of PPO: the published quickstart, plain networks, CartPole."""
    try:
        import torch
        from stable_baselines3 import PPO
        from stable_baselines3.common.env_util import make_vec_env

        from dtao_gym.envs.sb3 import MarketVecEnv
    except ImportError as error:
        return skipped("PPO", error)
    torch.set_num_threads(1)

    plain = {"device": "cpu", "seed": 0}
    batches = plain | {"batch_size": 4096, "n_epochs": 4, "policy_kwargs": {"net_arch": [64, 64]}}
    world = {"n_subnets": ENV_SUBNETS, "spans_per_day": ENV_SPANS, "threads": THREADS}
    models = {  # equal amounts of data per update, except for the last
        f"{WORLDS} worlds, 2 x 64": (
            lambda: PPO("MlpPolicy", MarketVecEnv(WORLDS, **world), n_steps=64, **batches),
            40_000,
        ),
        "CartPole-v1 x 8, 2 x 64": (
            lambda: PPO("MlpPolicy", make_vec_env("CartPole-v1", 8), n_steps=2048, **batches),
            None,
        ),
        "CartPole-v1 x 8, defaults": (
            lambda: PPO("MlpPolicy", make_vec_env("CartPole-v1", 8), **plain),
            None,
        ),
    }
    runs = 2 if quick else 5
    values = rates_of(quickstart(quick), runs, THREADS)
    measured = [figure("PPO, quickstart", "steps/s", values, 72_000)]
    for name, (make, target) in models.items():
        model = make()
        values = rates_of(learning(model, quick), runs, THREADS)
        measured.append(figure(f"PPO, {name}", "steps/s", values, target))
        model.get_env().close()
    return measured


def starting(quick: bool) -> list[Figure]:
    """Measure the import, and first steps without and with compiled code, each in fresh processes."""
    runs = 3 if quick else 7
    small = {"smaller_is_better": True}
    imports = [in_fresh_process(IMPORT).wall for _ in range(runs)]
    measured = [figure("import dtao_gym (without torch)", "s", imports, 0.8, **small)]
    for kind in COLD:
        costs = [cold_first_step(kind) for _ in range(1 if quick else 3)]
        name = f"cold first step, {kind}"
        measured.append(figure(name, "CPU s", [c.cpu for c in costs], 25.0, **small))
        measured.append(figure(name, "s", [c.wall for c in costs], 40.0, **small))
    with tempfile.TemporaryDirectory() as folder:
        warm = [first_step("weighted pools", folder).wall for _ in range(1 + runs)][1:]
    return [*measured, figure("first step, compiled before", "s", warm, 1.0, **small)]


# ---------------------------------------------------------------- the whole run


PARTS = (engines, root_funds, in_c, whole_market, in_numpy, environments, ppo, starting)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer and shorter runs, no files")
    parser.add_argument("--part", choices=[part.__name__ for part in PARTS], help="no files")
    parser.add_argument("--against", type=Path, help="another checkout, to compare this one with")
    given = parser.parse_args()
    quick = given.quick
    if given.against is not None:
        compare(given.against, quick)
        return
    about = machine()
    parts = [part for part in PARTS if given.part in (None, part.__name__)]
    figures = [one for part in parts for one in part(quick)]
    print("  ".join(f"{k} {v}" for k, v in about.items()))
    print(
        f"Engine: {WORLDS} worlds x {SUBNETS} subnets. Environments: {ENV_SUBNETS} subnets, {ENV_SPANS} spans."
    )
    print(as_text(figures))
    if quick or given.part:
        return
    write_results(
        "speed",
        about,
        figures,
        f"# Speed\n\nWritten by `python benchmarks/speed.py`. Medians of several runs. Engine: {WORLDS} worlds of "
        f"{SUBNETS} subnets unless stated otherwise;\nenvironments: {ENV_SUBNETS} subnets, {ENV_SPANS} spans a day. "
        "Figures of one thread are by CPU time. A ratio of 1 or more meets the target.",
    )


if __name__ == "__main__":
    main()
