"""Speed of the environment, side by side with its peers, in one run.

    python benchmarks/speed.py [--quick]

Prints a table and writes it to `benchmarks/results/speed.md` and `speed.json`. Every figure is the median of
several runs, with the slowest and the fastest beside it; `--quick` runs fewer and shorter ones and writes
nothing. Nothing passes or fails here: a target is what was planned for two idle cores, and the ratio says
how far the machine at hand is from it. What is missing (PPO without the extra `train`, C without gcc) is
left out with a line that says so.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))  # a checkout needs no installation

import gymnasium as gym  # noqa: E402

import dtao_gym  # noqa: E402
from benchmarks import limit  # noqa: E402
from dtao_gym.world.batch import Batch  # noqa: E402
from dtao_gym.world.config import Config  # noqa: E402

WORLDS, SUBNETS, THREADS = 256, 32, 2
ENV_SUBNETS, ENV_SPANS = 16, 4
BATCH_TARGETS = {
    ("weights 1/2", 1): 250_000,
    ("weights 1/2", 4): 180_000,
    ("weights 1/2", 24): 70_000,
    ("snapshot", 4): 100_000,
    ("snapshot", 24): 30_000,
}
SPAN_TARGETS = {"weights 1/2": 1.2, "snapshot": 1.1}
"""The engine's hot loop over that in C."""
QUICKSTART = HERE.parent / "configs" / "staker_quickstart.yaml"


@dataclass
class Figure:
    """One measured number: the median of several runs, lowest and highest, and its target if there is one."""

    name: str
    unit: str
    reached: float
    low: float
    high: float
    target: float | None = None
    smaller_is_better: bool = False

    @property
    def ratio(self) -> float | None:
        """Reached over target, or the reverse where small is good: 1 or more is as planned."""
        if self.target is None:
            return None
        return self.target / self.reached if self.smaller_is_better else self.reached / self.target


def figure(name: str, unit: str, values: list[float], target: float | None = None, **kw) -> Figure:
    """A figure from the results of its runs."""
    return Figure(name, unit, statistics.median(values), min(values), max(values), target, **kw)


def rates(
    work: Callable[[], int], runs: int, before: Callable[[], None] = lambda: None
) -> list[float]:
    """Units of work per second of each run; `work` returns how many it did, `before` is not timed."""
    before()
    work()  # compiles, fills caches
    found = []
    for _ in range(runs):
        before()
        start = time.perf_counter()
        done = work()
        found.append(done / (time.perf_counter() - start))
    return found


# ---------------------------------------------------------------- the engine


def start_of(weights: str, spans: int) -> tuple[Config, "Batch"]:
    """A batch at its first day, with pools as the snapshot has them or all at weight 1/2."""
    config = Config.make(n_subnets=SUBNETS, spans_per_day=spans)
    batch = Batch(config, WORLDS)
    if weights == "weights 1/2":
        batch.state.row("pool_tao_weight")[...] = 0.5
        batch.state.worlds["equal_weights"] = True
    return config, batch


def engine(quick: bool) -> list[Figure]:
    """World-days per second of the batch, one thread and two."""
    found = []
    for weights, spans in [*BATCH_TARGETS, ("snapshot", 1)]:
        _, batch = start_of(weights, spans)
        saved = batch.state.copy()
        days = max(1, (10 if quick else 60) // max(spans // 4, 1))

        def work(batch=batch, days=days) -> int:
            batch.step(days=days)
            return WORLDS * days

        for threads in (1, THREADS):
            batch.threads = threads
            values = rates(work, 3 if quick else 9, lambda b=batch, s=saved: b.state.restore(s))
            target = BATCH_TARGETS.get((weights, spans)) if threads == THREADS else None
            name = f"engine, {weights}, {spans} span{'s' * (spans > 1)}, {threads} thread{'s' * (threads > 1)}"
            found.append(figure(name, "world-days/s", values, target))
    return found


def whole_market(quick: bool) -> list[Figure]:
    """All 128 subnets of June: world-days per second of a batch, and a day on the chain's clock."""
    batch = Batch(Config.make(), WORLDS, threads=THREADS)
    saved, days = batch.state.copy(), 2 if quick else 8

    def work() -> int:
        batch.step(days=days)
        return WORLDS * days

    values = rates(work, 3 if quick else 9, lambda: batch.state.restore(saved))
    blockwise = Batch(Config.make(spans_per_day=7200))
    seconds = [1.0 / rate for rate in rates(lambda: blockwise.step() or 1, 2 if quick else 5)]
    return [
        figure("engine, 128 subnets, snapshot, 4 spans, 2 threads", "world-days/s", values, 30_000),
        figure("a day of 7,200 blocks, 128 subnets", "s", seconds, 0.15, smaller_is_better=True),
    ]


def in_numpy(quick: bool) -> list[Figure]:
    """World-days per second of the plain NumPy market on the same worlds."""
    try:
        from benchmarks.numpy_market import NumpyMarket
    except ImportError as error:
        return skipped("NumPy market", error)
    found = []
    for weights, spans in (
        ("weights 1/2", 4),
        ("snapshot", 4),
        ("snapshot", 24),
    ):
        config, batch = start_of(weights, spans)
        market = [NumpyMarket(config, batch.state)]

        def fresh(config=config, batch=batch, market=market) -> None:
            market[0] = NumpyMarket(config, batch.state)

        def work(market=market) -> int:
            market[0].step(days=2)
            return 2 * WORLDS

        values = rates(work, 2 if quick else 5, fresh)
        found.append(figure(f"NumPy market, {weights}, {spans} spans", "world-days/s", values))
    return found


def in_c(quick: bool) -> list[Figure]:
    """CPU nanoseconds per subnet and span of the hot loop, one thread: the engine and plain C in turn."""
    if shutil.which("gcc") is None:
        return skipped("C", "no gcc")
    found = []
    for weights, target in SPAN_TARGETS.items():
        measured = limit.speed(weights == "weights 1/2", 5 if quick else 25, WORLDS, SUBNETS)
        for name, values in (("plain C", measured.c), ("engine, a span more", measured.engine)):
            unit = "ns/subnet-span"
            found.append(figure(f"{name}, {weights}", unit, values, smaller_is_better=True))
        name = f"engine / C, {weights}"
        found.append(figure(name, "times", measured.ratios, target, smaller_is_better=True))
    return found


# ---------------------------------------------------------------- environments


def scalar_env(quick: bool) -> list[Figure]:
    """Steps per second through `gym.make`."""
    env = gym.make("dtao_gym/Staker-v0", n_subnets=ENV_SUBNETS, spans_per_day=ENV_SPANS)
    actions = actions_for(env.action_space, 1000)
    steps = 2_000 if quick else 20_000

    def work() -> int:
        for k in range(steps):
            _, _, terminated, truncated, _ = env.step(actions[k % 1000])
            if terminated or truncated:
                env.reset()
        return steps

    values = rates(work, 3 if quick else 9, lambda: env.reset(seed=0))
    return [figure("gym.make, one world", "steps/s", values, 50_000)]


def vector_env(quick: bool) -> list[Figure]:
    """World-steps per second of the native vector environment."""
    found = []
    for threads in (1, THREADS):
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

        def work(env=env, actions=actions, steps=steps) -> int:
            for k in range(steps):
                env.step(actions[k % 20])
            return steps * WORLDS

        values = rates(work, 3 if quick else 9, lambda env=env: env.reset(seed=0))
        name = f"native vector env, {WORLDS} worlds, {threads} thread{'s' * (threads > 1)}"
        found.append(figure(name, "steps/s", values))
    return found


def actions_for(space: gym.Space, number: int) -> list:
    """Actions drawn before the clock runs."""
    space.seed(0)
    return [space.sample() for _ in range(number)]


def learning(model: Any, quick: bool) -> list[float]:
    """Steps per second of a PPO of Stable-Baselines3, rollouts and updates."""
    steps = model.n_steps * model.n_envs
    rollouts = max(1, 60_000 // steps)
    model.learn(steps)
    found = []
    for _ in range(1 if quick else 5):
        start = time.perf_counter()
        model.learn(rollouts * steps, reset_num_timesteps=False)
        found.append(rollouts * steps / (time.perf_counter() - start))
    return found


def ppo(quick: bool) -> list[Figure]:
    """Steps per second of Stable-Baselines3's PPO: the published quickstart, plain networks, CartPole."""
    try:
        import torch
        from stable_baselines3 import PPO
        from stable_baselines3.common.env_util import make_vec_env

        from agents.learn import TrainingEnv, make_model
        from agents.settings import read
        from dtao_gym.envs.sb3 import MarketVecEnv
    except ImportError as error:
        return skipped("PPO", error)
    torch.set_num_threads(1)

    settings = read(QUICKSTART)
    plain = {"device": "cpu", "seed": 0}
    batches = plain | {"batch_size": 4096, "n_epochs": 4, "policy_kwargs": {"net_arch": [64, 64]}}
    world = {"n_subnets": ENV_SUBNETS, "spans_per_day": ENV_SPANS, "threads": THREADS}
    models = {  # the same amount of data in each update, but for the last
        "quickstart": (lambda: make_model(settings, TrainingEnv(settings)), 40_000),
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
    found = []
    for name, (make, target) in models.items():
        model = make()
        found.append(figure(f"PPO, {name}", "steps/s", learning(model, quick), target))
        model.get_env().close()
    return found


# ---------------------------------------------------------------- fresh processes

IMPORT = """
import time; start = time.perf_counter()
import dtao_gym
print(time.perf_counter() - start)
import sys; assert "torch" not in sys.modules
"""
FIRST_USE = """
import time; start = time.perf_counter()
import gymnasium, dtao_gym
env = gymnasium.make("dtao_gym/Staker-v0", n_subnets=16)
env.reset(seed=0); env.step(env.action_space.sample())
print(time.perf_counter() - start)
import sys; assert "torch" not in sys.modules
"""


def in_fresh_process(code: str, **environment: str) -> float:
    """Seconds that a new interpreter prints."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=HERE.parent,
        env=os.environ | environment,
        check=True,
        capture_output=True,
        text=True,
    )
    return float(done.stdout.split()[-1])


def starting(quick: bool) -> list[Figure]:
    """Import, first use without compiled code, and with it."""
    runs = 3 if quick else 7
    imports = [in_fresh_process(IMPORT) for _ in range(runs)]
    with tempfile.TemporaryDirectory() as folder:
        cold = [in_fresh_process(FIRST_USE, NUMBA_CACHE_DIR=folder)]
        warm = [in_fresh_process(FIRST_USE, NUMBA_CACHE_DIR=folder) for _ in range(runs)]
    small = {"smaller_is_better": True}
    return [
        figure("import dtao_gym (without torch)", "s", imports, 0.8, **small),
        figure("first step, nothing compiled", "s", cold, 40.0, **small),
        figure("first step, compiled before", "s", warm, 1.0, **small),
    ]


# ---------------------------------------------------------------- the table


def skipped(what: str, why: object) -> list[Figure]:
    """No figures, and a line that says why."""
    print(f"left out: {what} ({why})")
    return []


def number(value: float | None) -> str:
    """Three figures, thousands by commas; nothing for None."""
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def cells(f: Figure) -> tuple[str, ...]:
    """A row of the table as text."""
    ratio = "" if f.ratio is None else f"{f.ratio:.2f}"
    spread = f"{number(f.low)} - {number(f.high)}"
    return f.name, number(f.target), number(f.reached), ratio, spread, f.unit


def as_text(figures: list[Figure], markdown: bool = False) -> str:
    """The table, at most 120 columns in Markdown and about 100 on the screen."""
    table = [
        ("figure", "target", "reached", "ratio", "slowest - fastest", "unit"),
        *map(cells, figures),
    ]
    widths = [max(len(row[k]) for row in table) for k in range(6)]
    left = (0, 5)

    def line(row: tuple[str, ...]) -> str:
        parts = [
            c.ljust(w) if k in left else c.rjust(w)
            for k, (c, w) in enumerate(zip(row, widths, strict=True))
        ]
        return "| " + " | ".join(parts) + " |" if markdown else " ".join(parts).rstrip()

    rule = tuple(
        "-" * w if k in left or not markdown else "-" * (w - 1) + ":" for k, w in enumerate(widths)
    )
    return "\n".join([line(table[0]), line(rule), *map(line, table[1:])])


def machine() -> dict[str, str]:
    """What a reader needs to judge the figures."""
    cpu = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next((s.split(":", 1)[1].strip() for s in lines if s.startswith("model name")), cpu)
    about = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "cpu": f"{cpu}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "dtao_gym": dtao_gym.__version__,
    }
    for name in ("gymnasium", "numba", "numpy", "stable-baselines3", "torch"):
        try:
            about[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            about[name] = "not installed"
    if hasattr(os, "getloadavg"):
        about["load at start"] = f"{os.getloadavg()[0]:.1f}"
    return about


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer and shorter runs, no files")
    quick = parser.parse_args().quick
    about = machine()
    figures = engine(quick)
    figures += in_c(quick)
    figures += whole_market(quick)
    figures += (
        in_numpy(quick) + scalar_env(quick) + vector_env(quick) + ppo(quick) + starting(quick)
    )
    print("  ".join(f"{k} {v}" for k, v in about.items()))
    print(
        f"Engine: {WORLDS} worlds x {SUBNETS} subnets. Environments: {ENV_SUBNETS} subnets, {ENV_SPANS} spans."
    )
    print(as_text(figures))
    if quick:
        return
    folder = HERE / "results"
    folder.mkdir(exist_ok=True)
    content = {"machine": about, "figures": [asdict(f) | {"ratio": f.ratio} for f in figures]}
    (folder / "speed.json").write_text(json.dumps(content, indent=2) + "\n")
    facts = "; ".join(f"{k} {v}" for k, v in about.items())
    (folder / "speed.md").write_text(
        f"# Speed\n\nWritten by `python benchmarks/speed.py`. Medians of several runs. Engine: {WORLDS} worlds of "
        f"{SUBNETS} subnets;\nenvironments: {ENV_SUBNETS} subnets, {ENV_SPANS} spans a day. Ratio: 1 or more is as "
        f"planned.\n\n{facts}\n\n{as_text(figures, markdown=True)}\n"
    )
    print(f"written to {folder / 'speed.md'} and speed.json")


if __name__ == "__main__":
    main()
