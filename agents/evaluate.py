"""Judgement: a learned staker beside the scripted ones, on seeds that training never sees."""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from agents.files import write_atomically
from agents.policies import PolicyError, config_hash, load_policy
from agents.scripted import STAKERS, action_generators
from agents.settings import read
from agents.statistics import COVERAGE, Estimate, bootstrap, interquartile_mean
from dtao_gym.envs.episodes import Episodes
from dtao_gym.world.config import Config
from dtao_gym.world.day import DAYS_PER_YEAR

LEARNED = "learned"
TO_BEAT = ("random", "all_root", "market_weight")
WORLDS_PER_BATCH = 256
METRICS = ("log_growth", "final_wealth", "max_drawdown", "turnover")
CAVEAT = "Intervals are over evaluation seeds of one training run, not over training seeds."


@dataclass(frozen=True)
class Outcome:
    """Episodes of one policy, one entry per evaluation seed.

    Attributes:
        log_growth: log of final over first liquidation wealth.
        final_wealth: liquidation wealth at the end, TAO.
        max_drawdown: largest fall from an earlier high, as a share of that high.
        turnover: TAO exchanged with pools over liquidation wealth, per year.
        path: `(steps + 1,)` mean over seeds of the log of wealth over its start.
    """

    log_growth: np.ndarray
    final_wealth: np.ndarray
    max_drawdown: np.ndarray
    turnover: np.ndarray
    path: np.ndarray


def evaluation_config(config: Config) -> Config:
    """The same world with the evaluation seeds 0, 1, ...; they share no random number with training."""
    return Config.make(config, split="evaluation", world_seed=0)


def play(policy: Callable, config: Config, seeds: range, threads: int = 1) -> Outcome:
    """One episode of a policy on each seed, all in one batch.

    Args:
        policy: `policy(observation, batch, rngs) -> actions`, scripted or learned.
        config: of the world, with split "evaluation".
        seeds: world seeds.
        threads: threads that share the worlds.
    """
    episodes = Episodes(config, len(seeds), "staker", threads)
    for world, seed in enumerate(seeds):
        episodes.reset(world, seed)
    episodes.reset_done()
    rngs = action_generators(episodes.batch)
    learners = episodes.batch.state.learners
    wealth = np.empty((episodes.max_steps + 1, len(seeds)))
    wealth[0] = learners["wealth"][:, 0]
    traded = np.zeros(len(seeds))
    lived = np.zeros(len(seeds))
    alive = np.ones(len(seeds), bool)
    for step in range(episodes.max_steps):
        terminated = episodes.step(policy(episodes.observe(), episodes.batch, rngs))[1]
        # a ruined learner's figures stay as they were at its end
        wealth[step + 1] = np.where(alive, learners["wealth"][:, 0], wealth[step])
        traded += np.where(alive, learners["traded"][:, 0] / np.maximum(wealth[step], 1e-12), 0.0)
        lived += alive
        alive &= ~terminated
    years = lived * config.days_per_step / DAYS_PER_YEAR
    relative = np.log(np.maximum(wealth, 1e-12) / wealth[0])
    fall = 1.0 - np.exp((relative - np.maximum.accumulate(relative)).min(axis=0))
    return Outcome(relative[-1], wealth[-1], fall, traded / years, relative.mean(axis=1))


def play_in_batches(policy: Callable, config: Config, n_seeds: int, threads: int) -> Outcome:
    """`play` on the seeds 0 to `n_seeds` - 1; results do not depend on the size of the batches."""
    parts = []
    for first in range(0, n_seeds, WORLDS_PER_BATCH):
        seeds = range(first, min(first + WORLDS_PER_BATCH, n_seeds))
        parts.append((len(seeds), play(policy, config, seeds, threads)))
    joined = {name: np.concatenate([getattr(part, name) for _, part in parts]) for name in METRICS}
    sizes = [size for size, _ in parts]
    path = np.average([part.path for _, part in parts], axis=0, weights=sizes)
    return Outcome(**joined, path=path)


def judge(outcomes: dict[str, Outcome]) -> dict[str, Any]:
    """Estimates per policy and metric, interquartile means, and learned minus each scripted one by seed."""
    policies = {}
    for name, outcome in outcomes.items():
        estimates = {metric: bootstrap(getattr(outcome, metric))._asdict() for metric in METRICS}
        estimates["log_growth_iqm"] = bootstrap(outcome.log_growth, interquartile_mean)._asdict()
        policies[name] = estimates
    learned = outcomes[LEARNED].log_growth
    paired = {
        name: bootstrap(learned - outcome.log_growth)._asdict()
        for name, outcome in outcomes.items()
        if name != LEARNED
    }
    return {"policies": policies, "learned_minus": paired}


def evaluate(run: Path, episodes: int | None = None, threads: int | None = None) -> dict[str, Any]:
    """Judge the policy of a run; write evaluation.json, evaluation.csv and evaluation.png into its folder.

    Args:
        run: folder of a trained run.
        episodes: evaluation seeds; by default what the run's settings say.
        threads: threads that share the worlds; by default those of the run.

    Returns:
        The content of evaluation.json.

    Raises:
        PolicyError, ConfigError: for unusable files.
    """
    settings = read(run / "config.yaml")
    torch.set_num_threads(settings.torch_threads)
    policy = load_policy(run)
    if policy.card.config_hash != config_hash(settings.env):
        raise PolicyError(f"{run}: policy.json and config.yaml are of different worlds")
    config = evaluation_config(settings.env)
    n_seeds = episodes or settings.evaluation_episodes
    players = {LEARNED: policy, **STAKERS}
    outcomes = {
        name: play_in_batches(player, config, n_seeds, threads or settings.threads)
        for name, player in players.items()
    }
    verdict = {
        "run": run.resolve().name,
        "training_seed": settings.seed,
        "timesteps": policy.card.timesteps,
        "config_hash": policy.card.config_hash,
        "evaluation_seeds": [0, n_seeds - 1],
        "days": config.horizon_days,
        "coverage": COVERAGE,
        "caveat": CAVEAT,
        **judge(outcomes),
    }
    write_atomically(run / "evaluation.json", (json.dumps(verdict, indent=2) + "\n").encode())
    write_atomically(run / "evaluation.csv", _rows(outcomes).encode())
    draw(run / "evaluation.png", outcomes, verdict)
    return verdict


def _rows(outcomes: dict[str, Outcome]) -> str:
    """One row per policy and seed."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("policy", "seed", *METRICS))
    for name, outcome in outcomes.items():
        columns = [getattr(outcome, metric) for metric in METRICS]
        for seed, values in enumerate(zip(*columns, strict=True)):
            rows.writerow((name, seed, *(repr(float(value)) for value in values)))
    return text.getvalue()


def report(verdict: dict[str, Any], console: Console) -> None:
    """Print the table, 100 columns wide, and the plain answers."""
    days, (first, last) = verdict["days"], verdict["evaluation_seeds"]
    title = (
        f"Log growth of wealth in {days} days, evaluation seeds {first} to {last}, 95 % intervals"
    )
    table = Table(title=title, box=SIMPLE_HEAD, padding=0, show_edge=False)
    table.add_column("policy", no_wrap=True)
    for heading in ("mean", "IQM", "wealth", "drawdown", "turnover", "learned minus"):
        table.add_column(heading, justify="right", no_wrap=True)
    ranked = sorted(verdict["policies"].items(), key=lambda item: -item[1]["log_growth"]["value"])
    for name, found in ranked:
        difference = verdict["learned_minus"].get(name)
        table.add_row(
            name,
            _told(found["log_growth"]),
            f"{found['log_growth_iqm']['value']:+.2f}",
            f"{found['final_wealth']['value']:,.0f}",
            f"{found['max_drawdown']['value']:.0%}",
            f"{found['turnover']['value']:.0f}",
            _told(difference) if difference else "",
            style="bold" if name == LEARNED else None,
        )
    console.print(table)
    console.print(
        "wealth: TAO at the end. turnover: TAO traded over wealth, a year. learned minus: paired by seed."
    )
    for name in TO_BEAT:
        low = verdict["learned_minus"][name]["low"]
        answer = "yes" if low > 0.0 else "NO"
        console.print(
            f"learned beats {name}: {answer} (paired lower bound {low:+.3f})", highlight=False
        )
    console.print(verdict["caveat"])


def _told(estimate: dict[str, float]) -> str:
    found = Estimate(**estimate)
    return f"{found.value:+.2f} [{found.low:+.2f}, {found.high:+.2f}]"


def draw(path: Path, outcomes: dict[str, Outcome], verdict: dict[str, Any]) -> None:
    """Growth with intervals, and the mean path of wealth, of every policy."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    found = verdict["policies"]
    names = sorted(found, key=lambda name: found[name]["log_growth"]["value"])
    figure = Figure(figsize=(10, 4), dpi=120, layout="constrained")
    bars, paths = figure.subplots(1, 2)
    for row, name in enumerate(names):
        growth = found[name]["log_growth"]
        color = "C3" if name == LEARNED else "C0"
        bars.plot([growth["low"], growth["high"]], [row, row], color=color, lw=3)
        bars.plot(growth["value"], row, "o", color=color)
    bars.axvline(0.0, color="0.6", lw=1)
    bars.set_yticks(range(len(names)), names)
    bars.set(
        xlabel=f"log growth in {verdict['days']} days, 95 % interval", title="Evaluation seeds"
    )
    for name in reversed(names):
        path_of = outcomes[name].path
        days = np.linspace(0, verdict["days"], path_of.size)
        paths.plot(days, path_of, lw=2.5 if name == LEARNED else 1.2, label=name)
    paths.set(xlabel="day", ylabel="log wealth over first wealth, mean", title="Paths")
    paths.legend(frameon=False, fontsize=8)
    for axes in (bars, paths):
        axes.grid(alpha=0.3)
    FigureCanvasAgg(figure).print_png(path)
