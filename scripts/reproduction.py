"""Reproduce results of an earlier prototype of this market, within bands that its noise allows.

    python scripts/reproduction.py [--seeds 384] [--only a b c e]

(a) Pruning adds to crowding out with identical subnets, without salvage or dilution. (b) Under direct pay with pruning,
payment by net flows leaves more research than payment by prices. (c) Without pruning there is an informed share at which the
market funds as much research as users' fees. (e) Dilution adds more than 0.3 to crowding out under alpha pay. The controls
NC1 to NC3, target (d), are in `scripts/controls.py`.
"""

import argparse
import time
from typing import Any

import numpy as np
from dtao_agents.equilibrium.builder_game import BuilderGame
from dtao_agents.equilibrium.inference import paired_difference
from dtao_agents.equilibrium.nash import Equilibrium, NashSettings, solve

from dtao_gym.world.config import Config
from dtao_gym.world.config_people import PREDICTABLE

MARKET: dict[str, Any] = PREDICTABLE | {
    "genesis": "mainnet-2026-06-14",
    "n_subnets": 8,
    "selection": "sample",
    "era": "price_burn",
    "allocation": "price",
    "halving": False,
    "horizon": "geometric",
    "horizon_cap_days": 4000,
    "spans_per_day": 1,
    "signal_lag_days": 0,
    "pruning": False,
}
"""The prototype's market: one span a day, no lag, the fast moving price, no news, and demand that is not sustained."""
ALIKE = {
    "genesis": "symmetric",
    "selection": "largest",
    "type_sd": 0.0,
    "salvage": 0.0,
    "dilution": False,
}
FEE = {"payment": "fee", "finance": False, "arrivals_per_slot_year": 0.0}
SETTINGS = NashSettings(grid_near=7, max_iterations=6)
CAPITALISATION = 502.69
"""Capitalisation of the uninformed in the prototype."""


def equilibrium(seeds: int, **changes: Any) -> Equilibrium:
    """Solve a cell for its equilibrium and print a line about it."""
    started = time.perf_counter()
    config = Config.make(MARKET, **changes)
    fixed = config.payment == "fee"
    game = BuilderGame(config, range(seeds), None if fixed else CAPITALISATION)
    solved = solve(game, 0.3, SETTINGS)
    interval = solved.interval
    odds = "" if interval is None else f"logit {interval.value:+.2f} [{interval.low:+.2f}, {interval.high:+.2f}]"  # fmt: skip
    share = np.nan if solved.research_share is None else solved.research_share
    print(
        f"    {', '.join(f'{k}={v}' for k, v in changes.items()) or 'default'}: r {share:.3f} {odds} "
        f"{solved.verdict}, {time.perf_counter() - started:.0f} s",
        flush=True,
    )
    return solved


def target(name: str, claim: str, value: float, low: float, high: float, holds: bool) -> None:
    """Print an estimate with its interval, and whether it meets the target."""
    print(
        f"{name}: {claim}: {value:+.2f} [{low:+.2f}, {high:+.2f}]  {'holds' if holds else 'MISSED'}"
    )


def pruning_adds(seeds: int) -> None:
    """Target (a)."""
    for speed, band in (("slow", (0.43, 1.13)), ("fast", (0.30, 0.70))):
        off = equilibrium(seeds, **ALIKE, moving_price_variant=speed)
        on = equilibrium(seeds, **ALIKE, moving_price_variant=speed, pruning=True)
        added = paired_difference(off, on)
        overlap = added.low <= band[1] and added.high >= band[0]
        target("a", f"pruning adds, {speed} price (prototype {band})", *added, overlap and added.value > 0.0)  # fmt: skip


def flows_against_prices(seeds: int) -> None:
    """Target (b)."""
    flow = equilibrium(seeds, payment="direct", pruning=True, allocation="tao_flow")
    price = equilibrium(seeds, payment="direct", pruning=True)
    more = paired_difference(flow, price)
    target("b", "tao_flow less price, log-odds of r (prototype +0.7)", *more, more.value > 0.0)


def informed_share(seeds: int) -> None:
    """Target (c)."""
    fee = equilibrium(seeds, **FEE)
    below = None
    for f in (0.0, 0.15, 0.3, 0.5, 0.7):
        crowding = paired_difference(fee, equilibrium(seeds, informed_share_stakers=f))
        print(f"  informed {f}: crowding out {crowding.value:+.2f} [{crowding.low:+.2f}, {crowding.high:+.2f}]")  # fmt: skip
        if below is not None and below[1] > 0.0 >= crowding.value:
            critical = below[0] + (f - below[0]) * below[1] / (below[1] - crowding.value)
            target("c", "critical informed share (prototype 0.3 to 0.6)", critical, below[0], f, 0.3 <= critical <= 0.6)  # fmt: skip
            return
        below = (f, crowding.value)
    print("c: no critical informed share below 0.7  MISSED")


def dilution_adds(seeds: int) -> None:
    """Target (e)."""
    added = paired_difference(equilibrium(seeds, dilution=False), equilibrium(seeds))
    target("e", "dilution adds, alpha pay (prototype 0.7)", *added, added.value > 0.3)


TARGETS = {"a": pruning_adds, "b": flows_against_prices, "c": informed_share, "e": dilution_adds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=384)
    parser.add_argument("--only", nargs="+", choices=tuple(TARGETS), default=tuple(TARGETS))
    options = parser.parse_args()
    for name in options.only:
        TARGETS[name](options.seeds)


if __name__ == "__main__":
    main()
