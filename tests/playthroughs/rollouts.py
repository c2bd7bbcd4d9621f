"""Playthroughs: short episodes of each era and role as text that a person can read and check.

An episode is played by keys, one a step. Numbers are those of the evening of the step's last day.
"""

from pathlib import Path
from typing import Any

import numpy as np

from dtao_gym.envs.builder.actions import builder_action
from dtao_gym.envs.single import SingleEnv
from dtao_gym.envs.staker.role import target_action
from dtao_gym.protocol.institutions import ERAS

FOLDER = Path(__file__).parent
RENEW = "python tests/playthroughs/renew.py"
SEED = 7
N_SUBNETS, EMPTY_SLOTS = 4, 1
WORLD: dict[str, Any] = {
    "n_subnets": N_SUBNETS,
    "empty_slots": EMPTY_SLOTS,
    "days_per_step": 7,
    "arrivals_per_slot_year": 12.0,
    "entry_value_tao": 3000.0,
    "immunity_days": 21.0,
    "outside_initial_tao": 1e6,
}
"""Few subnets, and so many newcomers that a slot changes hands."""
GENESIS = {
    "mainnet-2025-02-13": ("pre_dtao", "launch", "launch_v3", "subsidy"),
    "mainnet-2026-04-11": ("tao_flow",),
    "mainnet-2026-06-14": ("net_flow", "price_rootprop", "price_burn", "price_burn_gate"),
    "mainnet-2026-09-06": ("root_reborn", "root_curated"),
}
"""Eras by the snapshot that they start from."""
CURATED = {
    "part": 0.25,
    "weights": {0: 0.6, **dict.fromkeys((3, 4, 44, 51, 62, 64, 75, 120), 0.05)},
}
BUILDER_SLOTS = dict(zip(GENESIS, (2, 2, 3, 1), strict=True))
"""The subnet with the highest moving price, so that its builder is not pruned soon."""

STAKER_KEYS = {
    ".": "wait",
    "r": "all to root",
    "e": "equal parts of root and every subnet",
    **{str(k): f"half to subnet {k}, half to root" for k in range(1, N_SUBNETS + 1)},
}
STAKER_PLAY = "e..1..24..r.e3..r..."
BUILDER_KEYS = {
    ".": "as scripted",
    "p": "all of the budget to the product",
    "k": "all of the budget to research",
    "i": "half of the budget to influence",
    "s": "spend nothing, sell no alpha",
    "b": "spend a fifth of the treasury a day, sell all alpha",
}
BUILDER_PLAY = "..kkk..ppbb.ss..ii.."


def names() -> list[str]:
    """Names of the playthroughs."""
    return [f"{era}_{role}" for era in ERAS for role in ("staker", "builder")] + ["replay"]


def environment(name: str) -> SingleEnv:
    """The environment of a playthrough."""
    if name == "replay":
        return SingleEnv("replay", prices="mainnet-2025", n_subnets=N_SUBNETS, days_per_step=2)
    era, _, role = name.rpartition("_")
    genesis = next(genesis for genesis, eras in GENESIS.items() if era in eras)
    world = WORLD | {"era": era, "genesis": genesis}
    if role == "builder":
        world |= {"influence": True, "builder_slot": BUILDER_SLOTS[genesis]}
        world |= {"arrivals_per_slot_year": 2.0}
    if era == "root_curated":
        world["curated_funds"] = [CURATED]
    return SingleEnv(role, world)


def staker_action(env: SingleEnv, key: str) -> np.ndarray:
    """The action of a staker's key."""
    weights = np.zeros(env.episodes.batch.layout.n_subnets + 1)
    weights[0] = 1.0
    if key == "e":
        weights[: N_SUBNETS + 1] = 1.0
    elif key.isdigit():
        weights[int(key)] = 1.0
    return target_action(weights, go=0.0 if key == "." else 1.0)


def decisions(env: SingleEnv, key: str) -> np.ndarray:
    """The action of a builder's key."""
    chosen: dict[str, dict[str, float]] = {
        "p": {"research_share": 0.0},
        "k": {"research_share": 1.0},
        "i": {"influence_share": 0.5},
        "s": {"spend_rate": 0.0, "owner_sale_fraction": 0.0},
        "b": {"spend_rate": 0.2, "owner_sale_fraction": 1.0},
    }
    return builder_action(env.config, **chosen.get(key, {}))


def number(value: Any) -> str:
    """A number with six digits; a whole one with all of them."""
    return str(value) if isinstance(value, int) else f"{float(value) + 0.0:.6g}"


def row(name: str, values: Any) -> str:
    """A line of numbers, one for each subnet."""
    return f"  {name:14}" + " ".join(f"{number(value):>12}" for value in values)


def market_lines(env: SingleEnv) -> list[str]:
    """Lines on the market: prices, shares, registrations, and the funds where there are any."""
    state = env.episodes.batch.state
    lines = [
        row("price", state.row("spot_price")[0]),
        row("moving price", state.row("moving_price")[0]),
        row("share", state.row("emission_share")[0]),
        row("TAO in pool", state.row("tao_reserve")[0]),
    ]
    if not hasattr(env.episodes.batch, "audit"):  # a replay has prices only
        return lines
    world = state.worlds[0]
    lines.append(row("treasury", state.row("treasury")[0]))
    lines.append(row("knowledge", state.row("knowledge")[0]))
    counts = {"registrations": world["registrations"], "dissolutions": world["dissolutions"]}
    counts |= {"minted": world["minted"], "root": world["root_informed"] + world["root_uninformed"]}
    lines.append("  market        " + "  ".join(f"{k} {number(v)}" for k, v in counts.items()))
    if world["has_funds"]:
        for k, fund in enumerate(state.funds[0]):
            kept = ("value", "shares", "root_slot", "deposited", "redeemed")
            facts = "  ".join(f"{field} {number(fund[field])}" for field in kept)
            lines.append(f"  fund {k}        {facts}")
    return lines


OWN = {
    "staker": ("wealth", "root_tao", "traded_tao"),
    "replay": ("wealth", "root_tao", "traded_tao", "date"),
    "builder": ("treasury", "budget", "income", "consumed", "knowledge", "pipeline", "pruned"),
}
"""Numbers of the learner in `info`."""


def text_of(name: str) -> str:
    """The playthrough of an era and role."""
    env = environment(name)
    role = name.rpartition("_")[2]
    keys, play = (BUILDER_KEYS, BUILDER_PLAY) if role == "builder" else (STAKER_KEYS, STAKER_PLAY)
    if role == "replay":
        play = play[:15]
    lines = [f"Playthrough {name}, seed {SEED}. Renew: {RENEW} {name}", ""]
    lines += [f"key {key}  {meaning}" for key, meaning in keys.items()]
    obs, info = env.reset(seed=SEED)
    lines += ["", f"start  observation: sum {number(obs.sum(dtype=float))}", *market_lines(env)]
    for step, key in enumerate(play, start=1):
        action = decisions(env, key) if role == "builder" else staker_action(env, key)
        obs, reward, terminated, truncated, info = env.step(action)
        end = "  terminated" * terminated + "  truncated" * truncated
        own = "  ".join(f"{name} {number(info[name])}" for name in OWN[role])
        lines += ["", f"step {step}  key {key}  day {info['day']}  reward {number(reward)}{end}"]
        lines += [f"  {role:14}{own}", *market_lines(env)]
        if terminated or truncated:
            break
    return "\n".join([*lines, ""])
