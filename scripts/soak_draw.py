"""Random legal parameters of worlds and environments, drawn from the fields of the configuration.

A new parameter is drawn without an edit here.
"""

import functools
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args, get_origin

import numpy as np
from pydantic.fields import FieldInfo

from dtao_gym.envs.task import TaskConfig
from dtao_gym.protocol.allocation import ALLOCATIONS
from dtao_gym.protocol.coinbase import CHAIN_BOUGHT, INJECTIONS, ROOT_DIVIDENDS
from dtao_gym.protocol.institutions import ERAS, PRUNE_KEYS
from dtao_gym.protocol.lifecycle import SEEDINGS
from dtao_gym.replay.config import ReplayConfig
from dtao_gym.world.snapshot import Snapshot

Random = np.random.Generator
ROOT = Path(__file__).resolve().parents[1]
PACKAGED = sorted(path.stem for path in (ROOT / "dtao_gym" / "data").glob("*.csv"))
CHOICES: dict[str, tuple] = {
    "era": tuple(ERAS),
    "allocation": tuple(ALLOCATIONS),
    "injection": tuple(INJECTIONS),
    "chain_bought": tuple(CHAIN_BOUGHT),
    "root_dividend": tuple(ROOT_DIVIDENDS),
    "prune_key": tuple(PRUNE_KEYS),
    "seeding": tuple(SEEDINGS),
    "spans_per_day": (1, 1, 1, 1, 2, 4, 4, 24),  # others are slow
    "flow_cutoff": (-1.0, 0.0, 0.01, 1.0),  # without bounds
    "outside_initial_tao": (None, 0.0, 1e5, 1e7),  # without an upper bound
    "prices": ("mainnet", "mainnet-2025", "mainnet-2026"),
    "min_pool_tao": (0.0, 100.0),  # few subnets are larger
    "horizon_cap_days": (30, 365, 8000),
    "short_sales": (False,),  # for closed forms: balances of any sign, prices without limit
}
"""Values of parameters that their fields do not bound, or whose other values are too slow."""
PLACED = ("genesis", "n_subnets", "empty_slots", "n_stakers", "builder_slot", "delay_days")
PLACED += ("delay_stages", "momentum_lag_days", "signal_lag_days", "root_validators")
"""Sizes of arrays, which the worlds of a batch share; `Sizes` draws them."""
SPECIAL = ("curated_funds", "emission_switches", "validator_top5", "genesis_age_days")
"""Parameters with a function of their own in `draw`."""
FIXED = ("reserves", "first_date", "last_date", "split_date")
"""Parameters of replays that keep their defaults: they need files, or leave no window."""
KEPT = ("halving", "short_sales", "pool_depth", "moving_price_clipped", "world_seed", "split")
"""Parameters that a change in the middle of an episode keeps, as the state depends on them."""


def value_of(random: Random, name: str, field: FieldInfo) -> Any:
    """A legal value of a field: at its bounds, uniform, or uniform in logs."""
    if name in CHOICES:
        return CHOICES[name][random.integers(len(CHOICES[name]))]
    kinds = [kind for kind in get_args(field.annotation) if kind is not type(None)]
    if get_origin(field.annotation) is Literal:
        return kinds[random.integers(len(kinds))]
    kind = next(iter(kinds), field.annotation)
    if get_origin(kind) is Literal:
        kinds = get_args(kind)
        return kinds[random.integers(len(kinds))]
    if kind is bool:
        return bool(random.integers(2))
    bounds = {b: getattr(m, b) for m in field.metadata for b in ("ge", "gt", "le", "lt") if hasattr(m, b)}  # fmt: skip
    low, high = bounds.get("ge", bounds.get("gt")), bounds.get("le", bounds.get("lt"))
    if kind not in (int, float) or low is None or high is None:
        raise TypeError(f"{name}: nothing says which values to draw; add it to CHOICES")
    if kind is int:
        high -= "lt" in bounds
        return int(random.choice((low, high, random.integers(low, high, endpoint=True))))
    low, high = low + ("gt" in bounds) * 1e-6 * high, high * (1.0 - 1e-6 * ("lt" in bounds))
    lowest = max(low, 1e-5 * high)
    in_logs = np.exp(random.uniform(np.log(lowest), np.log(high))) if low >= 0.0 else low
    return float(np.clip(random.choice((low, high, random.uniform(low, high), in_logs)), low, high))


class Sizes(NamedTuple):
    """What the worlds of a batch share."""

    common: dict[str, Any]
    n_curated: int
    geneses: tuple[str, ...]


@functools.cache
def netuids(genesis: str, n_subnets: int) -> np.ndarray:
    """Numbers of the subnets of a market."""
    return Snapshot.load(genesis).netuid if genesis in PACKAGED else np.arange(1, n_subnets + 1)


def sizes(random: Random, most: int = 128) -> Sizes:
    """Sizes of arrays, and the geneses that have them."""
    n = int(random.choice([n for n in (1, 2, 3, 4, 5, 6, 8, 8, 12, 16, 32, 128) if n <= most]))
    n_curated = int(random.choice((0, 0, 1, 2, 4)))
    large = tuple(name for name in PACKAGED if netuids(name, n).size >= n)
    drawn = () if n_curated and n < 8 else ("drawn", "symmetric")
    n_largest = max(netuids(name, n).size for name in large) if large else 0
    n = min(n, n_largest) if n > 64 and large else n
    delayed = random.random() < 0.8
    common = {
        "n_subnets": n,
        "empty_slots": int(random.integers(0, min(3, 128 - n), endpoint=True)),
        "n_stakers": int(random.choice((0, 1, 1, 2, 3))),
        "root_validators": int(random.choice((0, 1, 8, 64))),
        "delay_stages": int(random.choice((1, 3, 12))),
        "delay_days": float(random.uniform(12.0, 720.0)) if delayed else 0.0,
        "momentum_lag_days": int(random.choice((1, 20, 60))),
        "signal_lag_days": int(random.choice((0, 7, 90))),
        "builder_slot": int(random.integers(n)),
    }
    return Sizes(common, n_curated, large + drawn)


def draw(random: Random, size: Sizes, cls: Any = TaskConfig) -> dict[str, Any]:
    """Legal parameters; few or most of them other than the defaults."""
    part = random.choice((0.03, 0.2, 0.6))
    chosen = {
        name: value_of(random, name, field)
        for name, field in cls.model_fields.items()
        if name not in (*PLACED, *SPECIAL, *FIXED) and random.random() < part
    }
    if cls is ReplayConfig:
        chosen["n_subnets"] = int(random.integers(1, 16, endpoint=True))
        chosen["horizon_days"] = min(int(random.integers(1, 60, endpoint=True)), 30)
        # the shorter of the packaged paths has 56 closes; further worlds have further seeds
        chosen["history_days"] = min(chosen.get("history_days", 20), 20)
        chosen["days_per_step"] = min(chosen.get("days_per_step", 1), 7)  # steps are whole
        return chosen | {"world_seed": min(chosen.get("world_seed", 0), 2**62)}
    chosen |= {"era": value_of(random, "era", cls.model_fields["era"])}
    chosen |= {"spans_per_day": value_of(random, "spans_per_day", cls.model_fields["era"])}
    chosen |= {"genesis": str(random.choice(size.geneses))} | size.common
    if chosen["delay_days"]:
        chosen["delay_days"] = float(random.uniform(12.0, 720.0))
    market = netuids(chosen["genesis"], chosen["n_subnets"])
    chosen["curated_funds"] = [curated(random, market, size.n_curated) for _ in range(size.n_curated)]  # fmt: skip
    if random.random() < part:
        chosen["emission_switches"] = switches(random, market)
    if random.random() < part:
        chosen["validator_top5"] = [float(x) for x in random.dirichlet(np.ones(6))[:5] + 1e-6]
        chosen["validator_top5"] = [0.99 * x for x in chosen["validator_top5"]]
    if random.random() < part:
        chosen["genesis_age_days"] = sorted(float(x) for x in random.uniform(1.0, 3650.0, 2))
    return legal(chosen)


def curated(random: Random, market: np.ndarray, funds: int) -> dict[str, Any]:
    """A fund over some subnets and the root slot."""
    count = min(market.size, int(random.choice((7, 16, 64))))
    weights = {int(netuid): 1 / 16 for netuid in random.permutation(market)[:count]}
    weights = {netuid: weight * float(random.random()) for netuid, weight in weights.items()}
    return {"part": float(random.uniform(0.01, 0.999)) / funds, "weights": {0: 1.0, **weights}}


def switches(random: Random, market: np.ndarray) -> list[dict[str, Any]]:
    """Days on which governance switches emission off and on."""
    some = [int(n) for n in random.permutation(market)[: random.integers(1, 9)]]
    first, later = sorted(int(day) for day in random.integers(0, 400, 2))
    off = {"day": first, "netuids": some, "enabled": False}
    return [off, {"day": later, "netuids": some[:4], "enabled": True}]


def legal(chosen: dict[str, Any]) -> dict[str, Any]:
    """The parameters, with those changed that exclude one another."""
    chosen["world_seed"] = min(chosen.get("world_seed", 0), 2**62)  # further worlds add to it
    is_drawn = chosen["genesis"] in ("drawn", "symmetric")
    if is_drawn:
        chosen["halving"] = None
        # pools and root stake add up to less than the issuance, 11 million TAO
        sd = chosen.get("genesis_pool_sd", 1.09)
        most = 4e6 / (chosen["n_subnets"] * np.exp(4.0 * sd))
        chosen["genesis_pool_median"] = min(chosen.get("genesis_pool_median", 7658.0), float(most))
        chosen["root_stake_tao"] = min(chosen.get("root_stake_tao") or 5.31e6, 5.31e6)
    if not is_drawn and chosen.get("halving") is not False:
        chosen["pool_depth"] = min(chosen.get("pool_depth", 1.0), 1.0)
    era = ERAS[chosen["era"]]
    if chosen.get("payment") == "fee" and (chosen.get("injection") or era.injection) == "direct":
        chosen["payment"] = "direct"
    chosen.update(
        dict.fromkeys({"terminal_value", "reward_noise", "twin_world"} & {*chosen}, False)
    )
    return chosen


def for_builder(random: Random, chosen: dict[str, Any]) -> dict[str, Any]:
    """Parameters with one of the special rewards of builders, or none."""
    era = ERAS[chosen["era"]]
    fees = (chosen.get("injection") or era.injection) != "direct"
    special = str(random.choice(("", "twin_world", "terminal_value", "reward_noise")))
    if special == "twin_world":
        return chosen | {special: True, "pruning": False}
    if special and fees:
        paid = {"payment": "fee", "finance": False, "horizon": "fixed"}
        return chosen | paid | {special: True}
    return chosen
