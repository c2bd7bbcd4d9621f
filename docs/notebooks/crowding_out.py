# %% [markdown]
# # Do token prices crowd out long-term research?
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/dtao-gym/dtao-gym/blob/main/docs/notebooks/crowding_out.ipynb)
#
# A builder who owns a subnet divides its work between a **product** that users value today and **research** that pays later. Who pays the
# builder decides how it divides. You solve a market for the division from which no builder wants to move, under four ways to be paid, compare
# them, and then change one assumption.
#
# Ten minutes with reading, three of them computing; the first run on a machine compiles the engine, half a minute more.

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
from dtao_agents.equilibrium.game import share_of
from dtao_agents.evaluation.statistics import span
from dtao_agents.probe.analysis import analyse, bound_sign
from dtao_agents.probe.answer import tax
from dtao_agents.probe.cells import all_cells, identity, ladder
from dtao_agents.probe.plan import make_plan
from dtao_agents.probe.solutions import from_record, solve_cell

from dtao_gym.colours import BAND, FAINT_INK, MUTED, colour_of

SHORT = bool(os.environ.get("DTAO_GYM_SHORT"))  # the tests run a short version
INFORMED = (0.0, 0.6) if SHORT else (0.0, 0.15, 0.3, 0.45, 0.6)
ESTIMATOR = {"half_width": 0.2}  # log-odds; the committed probe asks for 0.1
if SHORT:
    ESTIMATOR |= {"slope_blocks": 4, "least_blocks": 4, "most_blocks": 4, "blocks_at_once": 4}
    ESTIMATOR |= {"pilot_blocks": 2, "pilot_passes": 2, "slope_passes": 1}

# %% [markdown]
# ## The question as a plan
#
# * `fee`, the **reference**: users pay each builder for exactly its own value, so that its division of work is the best one for users too, given
#   what money is worth to it. *With finance*, its income must also carry it from month to month, as a builder's in a market must.
# * `price`: emission follows the moving price of the subnet's token, as on the chain.
# * `tao_flow`: emission follows the TAO that stakers bring, as on the chain in the winter of 2025.
# * `root_vote`: emission follows the vote of root validators, as before February 2025.
#
# An arm differs from its reference in one thing: who pays. Owners are paid in TAO by emission share (`direct`), and no subnet is pruned.
# Research is compared in **log-odds**, ln(share / (1 - share)): 0 is a half, -0.4 is 40 %, and more than 0.2 counts as an effect, a limit that
# was set before anything was computed.

# %%
plan = make_plan(
    {
        "world": {"spans_per_day": 1},
        "blocks": [
            {
                "name": "A institutions",
                "institutions": ["price", "tao_flow", "root_vote"],
                "pruning": [False],
            }
        ],
        "estimator": ESTIMATOR,
    }
)
for cell in all_cells(plan):
    print(cell.name)

# %% [markdown]
# ## Solve
#
# In equilibrium a small step in either direction changes a builder's pay by nothing, when all others stay. The estimator lets all builders of
# a world take steps at once, with signs that are orthogonal over worlds, plays the mirror image of each world too, and moves the population until
# the marginal payoff is zero ([the estimator](../estimator.md)). It stops where the 95 % interval is as narrow as asked.


# %%
def solve(plan):
    """Equilibria of all cells of a plan, by what each cell asks."""
    return {
        identity(cell): from_record(solve_cell(cell, plan, threads=2)) for cell in all_cells(plan)
    }


analysis = analyse(plan, solve(plan))
for cell in analysis.cells:
    found = analysis.solution(cell)
    share = f"{share_of(found.research.estimate.value):.1%} research" if found.research else "-"
    print(f"{cell.name:42}{found.verdict:12}{share:>16}{found.worlds:>8,} worlds")

# %% [markdown]
# An arm *at a bound* has no number: there every builder gains by doing still less research (or still more) than all others, at every share that the
# game allows, down to the end of its range. Its gap has a sign and no size.

# %%
BOUND = 2.0  # place in the picture of an arm without a number
arms = [cell for cell in analysis.cells if cell.institution != "fee"]
plain, reference = ladder(arms[0])
names = {identity(plain): "fee", identity(reference): "fee, with finance"}
fig, ax = plt.subplots(figsize=(7.5, 4.4), dpi=90)
for place, cell in enumerate([plain, reference, *arms]):
    found, colour = analysis.solution(cell), colour_of(cell.institution)
    name = names.get(identity(cell), cell.institution)
    if found.research is None:
        sign = bound_sign(analysis, cell, reference)  # 0 where it is not known
        ax.plot(sign * BOUND, place, "<x>"[sign + 1], color=colour, ms=9)
        x, text = sign * BOUND, f"{name}: {found.verdict}"
    else:
        x, low, high = found.research.estimate
        ax.plot((low, high), (place, place), color=colour, lw=3)
        ax.plot(x, place, "o", color=colour)
        text = f"{name}: {share_of(x):.0%} research"
    ax.annotate(text, (x, place), (0, 9), textcoords="offset points", ha="center", color=colour)
if (nearest := analysis.solution(reference).research) is not None:
    ax.axvline(nearest.estimate.value, color=MUTED, lw=1, ls=":", zorder=0)
gaps = analysis.of("crowding out")
words = {"supported": "crowds out", "refuted": "does not"}
told = [f"{gap.institution} {words.get(gap.verdict, gap.verdict)}" for gap in gaps]
ax.set_title(f"Does it crowd out research?\n{', '.join(told)}", loc="left")
ax.set_xlim(-1.3 * BOUND, 0.4 * BOUND)
ax.set_ylim(4.5, -0.8)
ax.set_yticks([])
ax.set_xlabel("research share in equilibrium, log-odds, 95 % interval; dotted: reference")
ax.spines[["top", "right", "left"]].set_visible(False)

# %% [markdown]
# ## The gap, and the tax that would do the same
#
# Crowding out is the log-odds of the nearest reference less those of the arm, with errors paired over worlds. The *implicit tax* is the tax on the returns
# of research that would shift work as far: 1 - exp(-gap / 2). A negative one is a subsidy.

# %%
for contrast in analysis.contrasts:
    if contrast.estimate is None:
        print(f"{contrast.family}, {contrast.institution}: {contrast.verdict}; {contrast.reason}")
        continue
    print(f"{contrast.family}, {contrast.institution}: {span(contrast.estimate, '+.2f')} log-odds")
    print(f"    more than 0.2: {contrast.verdict}, {contrast.reason}")
    if contrast.family == "crowding out":
        low_to_high = span(tax(contrast.estimate), "+.0%")
        print(f"    implicit tax on research: {low_to_high}")
step = next(iter(analysis.ladders.values()))[0]
if step.adds is not None:
    print(f"For scale, {step.step}: {span(step.adds.estimate, '+.2f')} (fee less fee with finance)")

# %% [markdown]
# ## Change one thing: who is informed
#
# The model assumes that 30 % of stakers, and of voters, can see research before it pays. Stakers buy the future with it: a token's price holds what is still
# to come. Voters grade the present. So let that share vary from none to 60 %, for both alike:

# %%
doses = [{"informed_share_stakers": x, "informed_share_voters": x} for x in INFORMED]
study = make_plan(
    {
        "world": {"spans_per_day": 1},
        "blocks": [
            {
                "name": "B informed",
                "institutions": ["price", "root_vote"],
                "pruning": [False],
                "doses": doses,
            }
        ],
        "estimator": ESTIMATOR,
    }
)
changed = analyse(study, solve(study))

# %%
fig, ax = plt.subplots(figsize=(7.5, 4.4), dpi=90)
for name in ("price", "root_vote"):
    gaps = [c for c in changed.of("crowding out") if c.institution == name]
    points = [(x, *c.estimate) for x, c in zip(INFORMED, gaps, strict=True) if c.estimate]
    if not points:
        continue
    x, value, low, high = np.array(points).T
    ax.fill_between(100 * x, low, high, color=colour_of(name), alpha=0.2, lw=0)
    ax.plot(100 * x, value, "o-", color=colour_of(name))
    ax.annotate(
        name, (100 * x[-1], value[-1]), (8, -3), textcoords="offset points", color=colour_of(name)
    )
ax.axhspan(-0.2, 0.2, color=BAND, lw=0, zorder=0)
ax.annotate("too small to count", (0.5, 0.14), color=FAINT_INK, fontsize=9, va="center")
prices = [c.estimate for c in changed.of("crowding out") if c.institution == "price"]
if prices[0] and prices[-1]:
    ax.set_title(
        f"Under prices crowding out goes from {prices[0].value:+.2f} with nobody informed\n"
        f"to {prices[-1].value:+.2f} with {INFORMED[-1]:.0%} informed",
        loc="left",
    )
ax.set_xlabel("stakers and voters who are informed, %")
ax.set_ylabel("crowding out, log-odds, 95 % interval")
ax.set_xlim(0, 100 * INFORMED[-1] * 1.2)
ax.spines[["top", "right"]].set_visible(False)
for contrast in changed.of("slope"):
    if contrast.estimate is not None:
        print(f"{contrast.institution}: {span(contrast.estimate, '+.2f')} log-odds along the line")

# %% [markdown]
# ## What would change the answer
#
# * **Who sees what.** The picture above: where nobody is informed, prices carry no news of research, and crowd it out as votes do. The answer
#   rests on a share that nobody has measured on the chain; whoever has a measurement can put it in.
# * **Delay and pruning.** Set `doses` to `[{"delay_days": 30}, {"delay_days": 360}]`, or `pruning` to `[True]`: a builder that may be removed
#   before its research pays does less of it, and the interval takes more worlds to narrow.
# * **Pay in alpha.** `"payments": ["alpha"]`: the owner then lives on selling its own token.
# * **What cannot be changed here** is the model: eight builders, one technology with diminishing returns, scripted stakers. An interval says how
#   well the model's own answer is known, not how far the model is from the world.
#
# `dtao probe probe_quick` asks the same with pruning, checks itself on controls first, and writes a page; a result to be quoted comes from there.
