# %% [markdown]
# # Train a staker, back-test it on real prices
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/dtao-gym/dtao-gym/blob/main/docs/notebooks/train_and_backtest.ipynb)
#
# A **staker** holds 1,000 TAO and decides every day what to stake where: into *root*, which pays a small safe yield, or into
# *subnets*, whose tokens have prices that move by tens of per cent in a week. You train one in simulated worlds that start from
# the state of the chain of 14 June 2026, compare it with scripted rules, back-test it on prices that mainnet has had, and see why
# the back-test does or does not call it *credible*.
#
# Three minutes on two cores, two of them for training; the first run on a machine compiles the engine, half a minute more.

# %%
"""Install the package where it is missing, as on Colab."""

import importlib.util
import subprocess
import sys

if importlib.util.find_spec("dtao_gym") is None:
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", "dtao-gym[train]"], check=True)

# %%
import contextlib
import io
import os
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from dtao_agents.evaluation.evaluate import evaluate
from dtao_agents.evaluation.policy_files import load_policy
from dtao_agents.evaluation.replay import momentum_7d
from dtao_agents.evaluation.statistics import Estimate, span
from dtao_agents.package_data import find_config
from dtao_agents.roles.staker_policies import SCRIPTED, TargetWeights
from dtao_agents.training.ppo import train
from dtao_agents.training.run_folder import read_metrics
from dtao_agents.training.settings import read

import dtao_gym
from dtao_gym.colours import colour_of

SHORT = bool(os.environ.get("DTAO_GYM_SHORT"))  # the tests run a short version
TRAINING_SEEDS = range(2 if SHORT else 3)
STEPS = 32_768 if SHORT else 2_097_152
EPISODES = 8 if SHORT else 128

# %% [markdown]
# ## Train
#
# PPO on 256 worlds at once, with the settings of `configs/staker_quickstart.yaml`. The reward is the change of log *liquidation* wealth:
# what a sale of everything would yield today, after fees and the move of the price by the sale itself. Three training seeds, because a single
# run of PPO says little about the next one.

# %%
settings = read(find_config("staker_quickstart"))
folder = Path(tempfile.mkdtemp())
runs = [folder / f"seed_{seed}" for seed in TRAINING_SEEDS]
for seed, run in zip(TRAINING_SEEDS, runs, strict=True):
    run.mkdir()
    own = settings.model_copy(update={"seed": seed, "total_timesteps": STEPS})
    (run / "config.yaml").write_text(own.to_yaml())
    with contextlib.redirect_stdout(io.StringIO()):  # ten lines of progress
        train(own, run)
    end = read_metrics(run / "metrics.csv")[-1]
    print(f"seed {seed}: {end['timesteps']:,} steps, {own.num_envs} worlds at a time")

# %% [markdown]
# ## Compare it in the simulator
#
# On 128 worlds that no training seed has seen, the policy acts without exploration noise. Log growth is the log of the wealth at the end of
# the year over that at its start; +0.05 is about 5 %.

# %%
evaluations = [evaluate(run, EPISODES, threads=2) for run in runs]
played = evaluations[0]["policies"]
growth = {
    f"seed {s}": e["policies"]["learned"] for s, e in zip(TRAINING_SEEDS, evaluations, strict=True)
}
growth |= {name: values for name, values in played.items() if name != "learned"}
print(f"{'policy':16}{'log growth in a year, 95 % interval':>38}")
for name, values in sorted(growth.items(), key=lambda item: -item[1]["log_growth"]["value"]):
    print(f"{name:16}{span(Estimate(**values['log_growth']), '+.3f'):>38}")

# %%
root = played["all_root"]["log_growth"]["value"]
ends = [e["policies"]["learned"]["log_growth"]["value"] for e in evaluations]
near = sum(abs(end - root) < 0.005 for end in ends)
fig, ax = plt.subplots(figsize=(7.5, 4.2), dpi=90)
for run in runs:
    rows = read_metrics(run / "metrics.csv")
    steps = np.array([row["timesteps"] for row in rows]) / 1e6
    reward = np.array([float(row["reward_per_year"]) for row in rows])
    width = min(10, reward.size)
    smooth = np.convolve(reward, np.ones(width) / width, "valid")
    ax.plot(steps[width - 1 :], smooth, color=colour_of("ppo"), lw=1, alpha=0.7)
ax.axhline(root, color=colour_of("root"), ls="--", lw=1)
ax.annotate(
    f"root: {root:+.3f}",
    (steps[-1], root),
    (0, -14),
    textcoords="offset points",
    ha="right",
    color=colour_of("root"),
)
ax.annotate(
    f"PPO, {len(runs)} seeds",
    (steps[-1], smooth[-1]),
    (0, 12),
    textcoords="offset points",
    ha="right",
    color=colour_of("ppo"),
)
ax.set_title(
    f"{near} of {len(runs)} training seeds end within 0.005 a year of root,\nand {sum(e > root + 0.005 for e in ends)} above it",
    loc="left",
)
ax.set_xlabel("steps of training, million")
ax.set_ylabel("reward while exploring, log growth a year")
ax.spines[["top", "right"]].set_visible(False)

# %% [markdown]
# ## Back-test it on real prices
#
# `dtao_gym.backtest` plays policies on the closes of mainnet: March to August 2025, and the spring of 2026, in three windows of up to 91
# days. Own trades move prices, with one of two assumptions on what happens then: they recover by the next close, or stay moved until the trade is
# undone. *Root* and *hold* (buy by pool size on the first day, then wait) are always played too. `unseen=True` says that training used none of
# these days, which only you can know.

# %%
policies = {f"PPO, seed {s}": load_policy(run) for s, run in zip(TRAINING_SEEDS, runs, strict=True)}
policies["momentum"] = SCRIPTED["momentum"]  # by the moving price, which follows in days
policies["momentum_7d"] = TargetWeights(momentum_7d, 0.1)  # by the log return of the last week
result = dtao_gym.backtest(policies, n_subnets=16, wealth_tao=1000.0, unseen=True)
print(f"{result.days} days: {', '.join(f'{first} to {last}' for first, last in result.windows)}")
print(f"{'policy':14}{'log growth, 95 % interval':>28}{'less root':>24}")
for name in (*policies, "hold", "root"):
    own, less = span(result.growth(name), "+.2f"), span(result.growth(name, less="root"), "+.2f")
    print(f"{name:14}{own:>28}{less:>24}")

# %%
FIRST = "PPO, seed 0"
colours = {name: colour_of(name) for name in ("root", "momentum", "momentum_7d")}
colours["hold"] = colour_of("buy_and_hold")
colours[FIRST] = colour_of("ppo")
fig, (left, right) = plt.subplots(
    1, 2, figsize=(9.5, 4.6), dpi=90, gridspec_kw={"width_ratios": (1.5, 1)}
)
start, ticks = 0, {}
for window, (first, _) in enumerate(result.windows):
    for name, width, dashes in (
        ("hold", 1.5, "-"),
        ("momentum_7d", 1.5, "-"),
        ("root", 4, "-"),
        (FIRST, 1.5, "--"),
    ):
        days = result.played["recovering"][name].growth[window]
        wealth = 1000.0 * np.exp(np.concatenate([[0.0], np.cumsum(days)]))
        left.plot(start + np.arange(wealth.size), wealth, color=colours[name], lw=width, ls=dashes)
        if window == 0:
            shift = {FIRST: 10, "root": -2, "hold": -12}.get(name, 0)
            place = (start + wealth.size + 2, wealth[-1])
            left.annotate(
                name, place, (0, shift), textcoords="offset points", color=colours[name], fontsize=9
            )
    left.annotate(first, (start, 1.01), xycoords=("data", "axes fraction"), fontsize=9)
    ticks |= {start + day: str(day) for day in range(0, wealth.size, 30)}
    start += wealth.size + 45
left.set_yscale("log")
left.set_yticks([500, 1000, 2000, 4000], ["500", "1,000", "2,000", "4,000"])
left.minorticks_off()
left.set_xticks(list(ticks), list(ticks.values()))
left.set_xlabel("days; each window begins anew with 1,000 TAO")
left.set_ylabel("liquidation wealth, TAO (log axis)")
shown = [FIRST, "momentum_7d", "momentum", "hold"]
for k, name in enumerate(reversed(shown)):
    value, low, high = result.growth(name, less="root")
    right.plot((low, high), (k, k), color=colours[name], lw=3)
    right.plot(value, k, "o", color=colours[name])
    right.annotate(
        name,
        (value, k),
        (0, 9),
        textcoords="offset points",
        ha="center",
        color=colours[name],
        fontsize=9,
    )
right.axvline(0.0, color=colours["root"], lw=1, zorder=0)
right.set_yticks([])
right.set_ylim(-0.5, len(shown) - 0.3)
right.set_xlabel("log growth less that of root, 95 % interval")
better = [name for name in shown if result.growth(name, less="root").low > 0.0]
fig.suptitle(
    f"On {result.days} days of real prices the interval of {len(better) or 'no'} policy lies above root",
    x=0.02,
    ha="left",
)
for ax in (left, right):
    ax.spines[["top", "right"]].set_visible(False)
fig.tight_layout()

# %% [markdown]
# ## Why "credible" is not printed
#
# A policy is credible where the lower ends of its intervals against root and against hold lie above zero, for both kinds of impact, on
# unseen days. The test is hard to pass, because prices are noisy and the record is short:

# %%
for name in policies:
    lows = {
        f"{less}, {impact}": result.growth(name, impact, less).low
        for less in ("root", "hold")
        for impact in result.played
    }
    worst = min(lows, key=lambda key: lows[key])
    verdict = "credible" if result.credible(name) else "not credible"
    print(f"{name}: {verdict}, lowest bound {lows[worst]:+.2f} (against {worst})")
own = result.growth("momentum_7d", less="root")
if own.value > 0.0 > own.low:
    years = result.days / 365 * ((own.high - own.low) / 2 / own.value) ** 2
    print(f"momentum_7d: with the same gain a day, {years:.0f} years of prices would decide")

# %% [markdown]
# ## What follows, and what does not
#
# * Learning to do nothing is the right answer to this market. Prices of the simulator are fitted to be as hard to predict as mainnet's, and
#   PPO finds that trading costs more than it earns. It equals root on real prices for the same reason: it holds nothing else.
# * Two rules of momentum, alike on paper, differ by more than half a log point on the same days. Whoever tries ten rules and shows the best has
#   found such a number; no interval here corrects for the choice. In the simulator `momentum` is among the worst.
# * No policy in this notebook is a recommendation. Others do not react to you in a replay, and the prices of 2025 and 2026 are the past.
# * Next: give the staker the public signal (`observe_signal=True`), more wealth, or another state, and see whether it leaves root; a policy
#   that does has found a regularity of the simulator, which a back-test can then try to refute.
