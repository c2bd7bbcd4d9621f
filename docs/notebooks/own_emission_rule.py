# %% [markdown]
# # An emission rule of your own
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/dtao-gym/dtao-gym/blob/main/docs/notebooks/own_emission_rule.ipynb)
#
# Bittensor issues 3,600 TAO a day and divides them among its *subnets*, each of which has a token (*alpha*) with a price in
# TAO. An **emission rule** makes the division. You write one in a few lines, see what it would have paid on two real states of the
# chain, and play it forward for a month beside the chain's own rules, on the same random events.
#
# Two minutes; the first run on a machine compiles the engine, which takes half a minute more.

# %%
"""Install the package where it is missing, as on Colab."""

import importlib.util
import subprocess
import sys

if importlib.util.find_spec("dtao_gym") is None:
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", "dtao-gym[train]"], check=True)

# %%
import os

import matplotlib.pyplot as plt
import numpy as np
from dtao_agents.evaluation.statistics import bootstrap, span

import dtao_gym
from dtao_gym.colours import BAND, colour_of
from dtao_gym.world.batch import Batch
from dtao_gym.world.config import Config

SHORT = bool(os.environ.get("DTAO_GYM_SHORT"))  # the tests run a short version
SEEDS = range(4 if SHORT else 64)
DAYS = 5 if SHORT else 30

# %% [markdown]
# ## Write the rule
#
# A rule gets a `Market`, public columns with one number for each subnet, and returns shares that add up to 1. This one pays an equal
# base to every subnet whose owner burns less than half of the miners' pay, and divides the rest by price, as the chain does:
# `price_burn` is the moving price times the part that is not burned. Registration compiles the rule and tries it on drawn markets; what is
# not a division raises an error of one line.


# %%
@dtao_gym.allocation_rule("equal_base")
def equal_base(market):
    """Divide 30 % equally among subnets that pay their miners, and the rest by moving price."""
    weight = market.moving_price * (1.0 - market.miner_burned)
    total = weight.sum()
    by_price = weight / total if total > 0.0 else weight
    works = (market.miner_burned < 0.5) & (market.emission_enabled > 0.0)
    if works.sum() == 0 or total == 0.0:
        return by_price
    return 0.3 * works / works.sum() + 0.7 * by_price


# %% [markdown]
# ## Judge it on the state of the chain
#
# `compare_rules` divides the emission of one day under each rule. On 6 September 2026 the chain itself paid by
# `price_burn_gate_rank`: `price_burn`, through a gate that lets subnets below the 32nd demand pass only in part. Prices, burn and
# switched-off subnets of that day are read from the chain's storage; the state of June lacks some of this, as the last line of its table says.

# %%
CHAIN = "price_burn_gate_rank"
RULES = (CHAIN, "price_burn", "equal_base", "uniform")
comparisons = dtao_gym.compare_rules(RULES, ["mainnet-2026-09-06", "mainnet-2026-06-14"])
for comparison in comparisons:
    print(f"{comparison.snapshot.name}: {comparison.total_tao_per_day[0]:,.0f} TAO a day")
    print(f"{'rule':22}{'HHI':>8}{'top 5':>8}{'half of it goes to':>22}{'paid':>6}")
    for k, rule in enumerate(comparison.rules):
        half = f"{comparison.nakamoto[k]} subnets"
        top5, paid = comparison.top5_share[k], comparison.subnets_paid[k]
        print(f"{rule:22}{comparison.hhi[k]:8.4f}{top5:8.1%}{half:>22}{paid:6}")
    print(f"filled by assumption: {', '.join(comparison.imputed['equal_base']) or 'nothing'}\n")

# %% [markdown]
# HHI is the sum of squared shares: 1 where one subnet gets everything. It says how concentrated the emission is and not who gets it:

# %%
MOVERS = 6
september = comparisons[0]
paid = dict(zip(september.rules, september.tao_per_day, strict=True))
netuids = september.snapshot.netuid
change = paid["equal_base"] - paid[CHAIN]
order = np.argsort(-change)
shown = np.concatenate([order[:MOVERS], order[-MOVERS:]])
others = order[MOVERS:-MOVERS]

fig, ax = plt.subplots(figsize=(7.5, 5.2), dpi=90)
places = np.arange(shown.size, 0, -1)
ax.hlines(places, paid[CHAIN][shown], paid["equal_base"][shown], color=BAND, lw=3, zorder=1)
for rule in (CHAIN, "equal_base"):
    ax.scatter(paid[rule][shown], places, color=colour_of(rule), s=36, zorder=2)
    ax.annotate(
        rule,
        (paid[rule][shown[-1]], places[-1]),
        (0, -16),
        textcoords="offset points",
        ha="center",
        color=colour_of(rule),
    )
for place, subnet in zip(places, shown, strict=True):
    ax.annotate(
        f"{change[subnet]:+,.0f}",
        (max(paid[CHAIN][subnet], paid["equal_base"][subnet]), place),
        (9, -3),
        textcoords="offset points",
        fontsize=9,
    )
ax.set_yticks(places, [f"subnet {netuids[k]}" for k in shown])
ax.set_ylim(-0.4, shown.size + 0.7)
ax.set_xlim(0, 1.12 * max(paid[CHAIN].max(), paid["equal_base"].max()))
ax.set_xlabel("TAO a day, 6 September 2026")
gain, lose = (change > 1.0).sum(), (change < -1.0).sum()
moved = np.abs(change).sum() / 2 / paid[CHAIN].sum()
ax.set_title(
    f"equal_base moves {moved:.0%} of the emission:\n{gain} subnets gain more than 1 TAO a day, {lose} lose as much",
    loc="left",
)
ax.spines[["top", "right"]].set_visible(False)
print(
    f"The {others.size} subnets between those shown: {change[others].sum():+,.0f} TAO a day in all"
)

# %% [markdown]
# ## Play it forward
#
# A rule changes what it is judged by: emission feeds pools and owners, stakers trade on it, prices move, and the rule reads the new
# prices. `Batch` plays worlds side by side. Worlds with one seed have the same news and the same drawn
# decisions, whatever their law, so that differences between laws are paired.

# %%
laws = [Config.make(genesis="mainnet-2026-09-06", era="root_reborn", allocation=r) for r in RULES]
worlds = Batch(
    [law for law in laws for _ in SEEDS], seeds=[seed for _ in laws for seed in SEEDS], threads=2
)
shape = (len(RULES), len(SEEDS))
hhi = np.empty((DAYS, *shape))
for day in range(DAYS):
    worlds.step()
    hhi[day] = worlds.state.worlds["emission_hhi"].reshape(shape)
assert worlds.audit().ok  # no TAO and no alpha was made or lost

# %%
fig, ax = plt.subplots(figsize=(7.5, 4.4), dpi=90)
days = np.arange(1, DAYS + 1)
last = {}
for k, rule in enumerate(RULES):
    estimates = np.array([bootstrap(hhi[day, k]) for day in range(DAYS)])
    last[rule] = bootstrap(hhi[-1, k])
    ax.plot(days, estimates[:, 0], color=colour_of(rule), lw=2)
    ax.fill_between(days, estimates[:, 1], estimates[:, 2], color=colour_of(rule), alpha=0.2, lw=0)
    ax.annotate(
        rule, (DAYS, estimates[-1, 0]), (6, -3), textcoords="offset points", color=colour_of(rule)
    )
ratio = last["equal_base"].value / last[CHAIN].value
ax.set_title(
    f"After {DAYS} days emission under equal_base is {ratio:.2f} times\n"
    "as concentrated as under the chain's rule",
    loc="left",
)
ax.set_xlabel(f"days after 6 September 2026 (bands: 95 % of the mean of {len(SEEDS)} seeds)")
ax.set_ylabel("HHI of emission")
ax.set_ylim(0, None)
ax.set_xlim(1, DAYS * 1.28)
ax.set_xticks(days[4::5])
ax.spines[["top", "right"]].set_visible(False)

# %% [markdown]
# Paired by seed, against the chain's rule:

# %%
price_sum = worlds.state.worlds["price_sum"].reshape(shape)
print(f"{'rule':12}{'change of HHI':>28}{'change of the sum of prices, TAO':>38}")
for k, rule in enumerate(RULES[1:], 1):
    of_hhi = span(bootstrap(hhi[-1, k] - hhi[-1, 0]), "+.4f")
    of_prices = span(bootstrap(price_sum[k] - price_sum[0]), "+.3f")
    print(f"{rule:12}{of_hhi:>28}{of_prices:>38}")
spread = hhi[-1].std(axis=1)
print(
    f"sd of HHI between seeds: {', '.join(f'{r} {s:.4f}' for r, s in zip(RULES, spread, strict=True))}"
)

# %% [markdown]
# ## What follows, and what does not
#
# * The tables and the first picture need no model: they are the rule's arithmetic on a state that the chain was in. They hold for that block.
# * The month needs the model of how people trade. It answers whether the effect of a rule survives the reaction of prices for a while;
#   the bands are the chance of worlds, and not the doubt about the model.
# * More equal is not better. A base for everybody pays subnets that nobody values, and it invites owners to run many
#   small ones: founders here do not adapt to a rule within a month. Whether builders do more useful work under a rule is another question:
#   [crowding_out](crowding_out.ipynb) asks it.
# * Try `works` without the condition on burn, or a base of 10 %, or a cap ([docs/rules.md](../rules.md) has one). The same
#   name works in `gym.make(..., allocation="equal_base")`, so that a staker can be trained under your rule.
