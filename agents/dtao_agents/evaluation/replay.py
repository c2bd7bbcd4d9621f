"""Evaluation on real prices: a learned policy, scripted stakers, root and buy-and-hold."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from rich.box import SIMPLE_HEAD
from rich.console import Console

from dtao_agents.evaluation.contenders import (
    SETTINGS_NAME,
    check_finished,
    check_policy,
    contender,
)
from dtao_agents.evaluation.entrants import check_one_learner, names_of_folders
from dtao_agents.evaluation.policy_files import PolicyError, load_policy
from dtao_agents.evaluation.reports import LEARNED, unbeaten_line
from dtao_agents.files import write_atomically
from dtao_agents.roles.policies import Policy
from dtao_agents.roles.registry import agent_role
from dtao_agents.roles.staker_policies import SCRIPTED, TargetWeights, in_proportion
from dtao_agents.seed_folders import runs_of_seeds
from dtao_agents.training.settings import TrainConfig, read
from dtao_gym.backtesting import COVERAGE, HOLD, IMPACTS, ROOT, Backtest, backtest, consecutive
from dtao_gym.envs.task import TaskConfig
from dtao_gym.replay.config import ReplayConfig
from dtao_gym.replay.prices import treatment_summary
from dtao_gym.replay.windows import WindowSampler
from dtao_gym.tables import Column, print_table

WINDOW_DAYS = 91
MOST_SUBNETS = 48
"""Upper limit of subnets by default: the packaged path of 2026 has 50."""
BY_LEARNED = ("unseen", "credible", "learned_minus")
"""Entries of a verdict that are by learned policy where there are several."""
LIMITS = (
    "Others do not react to the learner. Reserves are inferred; alpha outstanding is approximate.",
    "September and October 2025 are held out, November 2025 to early March 2026 is missing.",
    "Intervals account for the days seen only, not for the number of policies tried before.",
)


def momentum_7d(observation: np.ndarray, batch: Any) -> np.ndarray:
    """Return weights in proportion to positive log returns of the last week."""
    days, history = batch.state.worlds["day"], batch.state.section("price_history")
    past = history[np.arange(len(history)), (days - 7) % history.shape[1]]
    known = (past > 0.0) & (batch.state.row("started") > 0.0)
    ratio = np.where(known, batch.state.row("spot_price"), 1.0) / np.where(known, past, 1.0)
    return in_proportion(np.log(ratio))


REPLAY_POLICIES: dict[str, Policy] = {
    **{name: policy for name, policy in SCRIPTED.items() if name not in ("all_root", "value")},
    "momentum_7d": TargetWeights(momentum_7d, 0.1),
}
"""Scripted stakers of a replay: `root` replaces `all_root`; without a signal `value` would stay in root."""


def replay_config(env: TaskConfig | ReplayConfig, config: Any = None) -> ReplayConfig:
    """Return the configuration of a back-test.

    The given one, else the evaluation split of the replay of training, else both packaged price paths.
    """
    if config is not None:
        return ReplayConfig.make(config)
    if isinstance(env, ReplayConfig):
        return ReplayConfig.make(
            env, split="evaluation", selection="largest", horizon_days=WINDOW_DAYS
        )
    n = env.n_subnets or MOST_SUBNETS
    return ReplayConfig.make(
        n_subnets=min(n, MOST_SUBNETS),
        wealth_tao=env.wealth_tao,
        days_per_step=env.days_per_step,
        horizon_days=WINDOW_DAYS,
    )


def training_saw_none(env: TaskConfig | ReplayConfig, config: ReplayConfig) -> bool:
    """Return whether the test days are disjoint from the days that training may have used.

    Simulated training uses no price of the data (the simulator is fitted to moments of the same months). Training in a
    replay uses the days of every window that it can draw, and the closes before them that are observed.
    """
    if not isinstance(env, ReplayConfig):
        return True
    starts = WindowSampler(env, env.markets())
    trained: set[np.datetime64] = set()
    for number, first in starts.starts:
        dates = starts.markets[number].dates
        trained.update(dates[first - env.history_days : first + starts.length + 1])
    markets = config.markets()
    tested: set[np.datetime64] = set()
    for window, days in consecutive(config):
        tested.update(markets[window.market].dates[window.first + 1 : window.first + days + 1])
    return not trained & tested


class Priced(NamedTuple):
    """A learned staker that is back-tested.

    Attributes
    ----------
    folder : Path
    env : TaskConfig or ReplayConfig
        World of training.
    settings : TrainConfig, optional
        Those of a run; None: a pretrained policy.
    """

    folder: Path
    env: Any
    settings: TrainConfig | None


def priced(folder: Path, trusted: bool = False) -> Priced:
    """Return the staker of a run or of a pretrained folder, checked but for its number of subnets.

    Raises PolicyError and ConfigError for unusable files, and for roles that do not play prices.
    """
    settings = None
    check_one_learner(folder)
    if (folder / SETTINGS_NAME).exists():
        settings = read(folder / SETTINGS_NAME, trusted)
        role, env = agent_role(settings.role), settings.env
    else:
        one = contender(folder, trusted)
        role, env = agent_role(one.role), one.task
        if not one.task_known:
            raise PolicyError(
                f"{folder}: has no {SETTINGS_NAME}, so that the days of its training are not known; "
                "allowed with --replay is a run, or a pretrained policy"
            )
    if not role.plays_prices:
        raise PolicyError(
            f"{folder}: got a {role.name}, allowed is a staker: prices are not a {role.name}'s"
        )
    if settings is not None:
        check_finished(folder)
        check_policy(folder, load_policy(folder), settings)
    return Priced(folder, env, settings)


def replay(run: Path, config: Any = None, trusted: bool = False) -> tuple[dict[str, Any], Backtest]:
    """Back-test the policy of a staker's run; write replay.json and replay.csv into its folder.

    Parameters
    ----------
    run : Path
        Folder of a trained run.
    config : ReplayConfig, dict or path, optional
        By default that of `replay_config`.
    trusted : bool
        Whether Python code that the run names (an emission rule, a role) may be imported.

    Returns
    -------
    dict, Backtest
        The content of replay.json, and the back-test.

    Raises
    ------
    PolicyError, ConfigError
        For unusable files, and for roles that do not play prices.
    """
    settings = priced(run, trusted).settings
    if settings is None:
        raise PolicyError(f"{run}: has no {SETTINGS_NAME}, allowed is the folder of a run")
    torch.set_num_threads(settings.torch_threads)
    made = replay_config(settings.env, config)
    policies = {LEARNED: load_policy(run, made.n_subnets), **REPLAY_POLICIES}
    result = backtest(policies, made, unseen=training_saw_none(settings.env, made))
    verdict = verdict_of(result, made)
    verdict |= {
        "unseen": result.unseen,
        "credible": result.credible(LEARNED),
        "learned_minus": _minus(result, LEARNED),
        "run": run.resolve().name,
        "training_seed": settings.seed,
    }
    write_atomically(run / "replay.json", (json.dumps(verdict, indent=2) + "\n").encode())
    write_atomically(run / "replay.csv", _to_csv(result).encode())
    return verdict, result


def replay_folders(
    folders: Sequence[Path], config: Any = None, trusted: bool = False
) -> dict[str, Any]:
    """Back-test several stakers side by side on the same days; write nothing.

    Parameters
    ----------
    folders : sequence of Path
        Folders of runs, of training seeds, each of which is back-tested, or of pretrained policies.
    config, trusted
        As in `replay`; by default the configuration of the first.

    Returns
    -------
    dict
        Like replay.json, but `unseen`, `credible` and `learned_minus` are by learned policy; `several`, the folder of
        each by name.

    Raises
    ------
    PolicyError, ConfigError
        As `replay`.
    """
    runs = [run for folder in folders for run in runs_of_seeds(folder).values() or (folder,)]
    stakers = [priced(run, trusted) for run in runs]
    torch.set_num_threads(1)
    made = replay_config(stakers[0].env, config)
    names = names_of_folders(runs, [*REPLAY_POLICIES, ROOT, HOLD])
    learned = {
        name: load_policy(run, made.n_subnets) for name, run in zip(names, runs, strict=True)
    }
    result = backtest({**learned, **REPLAY_POLICIES}, made)
    unseen = {
        name: training_saw_none(one.env, made) for name, one in zip(names, stakers, strict=True)
    }
    return verdict_of(result, made) | {
        "unseen": unseen,
        "credible": {name: replace(result, unseen=unseen[name]).credible(name) for name in names},
        "learned_minus": {name: _minus(result, name) for name in names},
        "several": {name: str(run) for name, run in zip(names, runs, strict=True)},
    }


def verdict_of(result: Backtest, config: ReplayConfig) -> dict[str, Any]:
    """Return the content of replay.json but for what concerns the learned policy."""
    policies: dict[str, Any] = {}
    for name in result.played[IMPACTS[0]]:
        by_impact = {}
        for impact in IMPACTS:
            played = result.played[impact][name]
            by_impact[impact] = {
                "log_growth": result.growth(name, impact)._asdict(),
                "by_window": played.total.tolist(),
                "turnover": played.turnover,
                **{
                    f"minus_{less}": result.growth(name, impact, less)._asdict()
                    for less in (ROOT, HOLD)
                },
            }
        policies[name] = by_impact
    return {
        "windows": result.windows,
        "days": result.days,
        "coverage": COVERAGE,
        "block_days": result.block_days,
        "n_subnets": config.n_subnets,
        "wealth_tao": config.wealth_tao,
        "treated": result.counts,
        "config": json.loads(config.model_dump_json()),
        "policies": policies,
    }


def _minus(result: Backtest, learned: str) -> dict[str, Any]:
    """Differences of log growth to all other policies, by name."""
    names = [name for name in result.played[IMPACTS[0]] if name != learned]
    return {name: result.growth(learned, IMPACTS[0], name)._asdict() for name in names}


COLUMNS = (
    Column("policy", justify="left", fold=16),
    Column("growth"),
    Column("minus root"),
    Column("minus hold", rank=1),
    Column("permanent", rank=2),
    Column("turnover", rank=3),
)


def report(verdict: dict[str, Any], console: Console) -> None:
    """Print what learned policies do not beat, the table, the claims if they can be made, and the limits.

    `verdict` is a result of `replay` or of `replay_folders`.
    """
    several = verdict.get("several")
    learned = list(several or [LEARNED])
    by_name = verdict if several else {key: {LEARNED: verdict[key]} for key in BY_LEARNED}
    for name in learned:
        line = unbeaten_line(name, by_name["learned_minus"][name])
        console.print(line, highlight=False, markup=False)
    shown = verdict["policies"]
    names = sorted(shown, key=lambda name: -shown[name][IMPACTS[0]]["log_growth"]["value"])
    print_table(
        console,
        COLUMNS,
        [_cells(name, *(shown[name][impact] for impact in IMPACTS)) for name in names],
        ["bold" if name in learned else None for name in names],
        title=f"Log growth on real prices, {verdict['days']} days, windows: {len(verdict['windows'])}, "
        f"{verdict['n_subnets']} subnets, 95 % intervals",
        box=SIMPLE_HEAD,
        padding=0,
        show_edge=False,
    )
    windows = ", ".join(f"{first} to {last}" for first, last in verdict["windows"])
    console.print(f"windows: {windows}", highlight=False)
    for market, counts in verdict["treated"].items():
        console.print(f"treated in {market}: {treatment_summary(counts)}", highlight=False)
    for name in learned:
        claim = _claim(shown[name], by_name["unseen"][name], by_name["credible"][name])
        who = f"{name}: " if several else ""
        console.print(f"{who}{claim}", highlight=False, markup=False)
    for line in LIMITS:
        console.print(line, highlight=False)


def _cells(name: str, own: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Row of a policy, from its results under both impacts."""
    return [
        name,
        *(_formatted(own[key]) for key in ("log_growth", "minus_root", "minus_hold")),
        f"{other['log_growth']['value']:+.2f}",
        f"{np.mean(own['turnover']):.1f}",
    ]


def _claim(own: dict[str, Any], unseen: bool, credible: bool) -> str:
    if credible:
        return "credible: lower bounds against root and buy-and-hold are above 0, on days that training never saw"
    if not unseen:
        return "no claim: training may have seen these days; set split_date"
    lows = {
        f"{less} ({impact})": own[impact][f"minus_{less}"]["low"]
        for impact in IMPACTS
        for less in (ROOT, HOLD)
    }
    worst = min(lows, key=lambda name: lows[name])
    return f"no claim: the lower bound against {worst} is {lows[worst]:+.2f}, and it would have to be above 0"


def _formatted(estimate: dict[str, float]) -> str:
    return f"{estimate['value']:+.2f} [{estimate['low']:+.2f}, {estimate['high']:+.2f}]"


def _to_csv(result: Backtest) -> str:
    """CSV with one row per impact, policy, window and day."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("impact", "policy", "first_close", "day", "log_growth"))
    for impact, players in result.played.items():
        for name, played in players.items():
            for (first, _), days in zip(result.windows, played.growth, strict=True):
                rows.writerows(
                    (impact, name, first, k + 1, repr(float(x))) for k, x in enumerate(days)
                )
    return text.getvalue()
