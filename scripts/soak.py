"""A soak: random legal worlds, orders and decisions, audited; whatever trips is printed with the command that repeats it.

    python scripts/soak.py --minutes 10 [--seed 0] [--workers 2] [--write]
    python scripts/soak.py --world-days 1e6
    python scripts/soak.py --seed 0 --case 17

Case k of seed S is a function of (S, k) alone. Seven of eight cases are batches of worlds with a configuration each, the
others environments: single, vector, parallel, and replays of real prices. Legal values come from the fields of the
configuration: a new parameter is drawn without an edit here. `--write` adds the run to `docs/soak.json` and renews `docs/soak.md`.
The exit status is 1 if a case failed.
"""

import functools
import hashlib
import itertools
import json
import multiprocessing
import platform
import sys
import time
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin

import numpy as np
import tyro
import yaml
from pydantic.fields import FieldInfo

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # a checkout needs no installation

import dtao_gym  # noqa: E402
from dtao_gym.envs.builder.role import Builder  # noqa: E402
from dtao_gym.envs.parallel import MarketParallelEnv  # noqa: E402
from dtao_gym.envs.single import SingleEnv  # noqa: E402
from dtao_gym.envs.staker.role import Staker  # noqa: E402
from dtao_gym.envs.task import TaskConfig  # noqa: E402
from dtao_gym.envs.vector import MarketVectorEnv  # noqa: E402
from dtao_gym.protocol.allocation import ALLOCATIONS  # noqa: E402
from dtao_gym.protocol.coinbase import CHAIN_BOUGHT, INJECTIONS, ROOT_DIVIDENDS  # noqa: E402
from dtao_gym.protocol.institutions import ERAS, PRUNE_KEYS  # noqa: E402
from dtao_gym.protocol.lifecycle import SEEDINGS  # noqa: E402
from dtao_gym.replay.config import ReplayConfig  # noqa: E402
from dtao_gym.world.batch import Batch  # noqa: E402
from dtao_gym.world.ledger import audit  # noqa: E402
from dtao_gym.world.snapshot import Snapshot  # noqa: E402
from dtao_gym.world.state import State  # noqa: E402
from tests.world.toy import random_orders  # noqa: E402

Random = np.random.Generator
PACKAGED = sorted(path.stem for path in (ROOT / "dtao_gym" / "data").glob("*.csv"))
NUMBERS, PAGE = ROOT / "docs" / "soak.json", ROOT / "docs" / "soak.md"
ENVIRONMENTS = ("single staker", "single builder", "single replay", "vector staker")
ENVIRONMENTS += ("vector builder", "vector replay", "parallel")
EVERY = 8
"""One of so many cases is an environment."""


# ---------------------------------------------------------------- legal parameters

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


# ---------------------------------------------------------------- what must hold


class Trip(Exception):
    """A condition that does not hold, and the parameters of the world."""

    def __init__(self, reason: str, parameters: Any):
        super().__init__(reason)
        self.parameters = parameters


def faults(state: State, parameters: np.ndarray) -> list[str]:
    """What does not hold of some worlds."""
    halving, short = parameters["halving"] == 1, bool(parameters["short_sales"].any())
    audited = audit(state, 1e-9, halving, short)
    found = [] if audited.ok else [f"audit {tuple(float(e.max()) for e in audited[:3])}"]
    for name in ("fields", "fund_owed", "frozen"):
        if not np.isfinite(getattr(state, name)).all():
            found.append(f"{name} not finite")
    for name in ("worlds", "stakers", "validators", "funds"):
        array = getattr(state, name)
        found += [f"{name}.{f}" for f in array.dtype.names if not np.isfinite(array[f]).all()]
    weight, moving = state.row("pool_tao_weight"), state.row("moving_price")
    held = {
        "moving_price": (moving >= 0.0) & (moving <= parameters["moving_price_cap"][:, None]),
        "pool_tao_weight": (weight >= 0.01) & (weight <= 0.99),
        "spot_price": state.row("spot_price") >= 0.0,
        "emission_share": state.row("emission_share").sum(1) <= 1.0 + 1e-12,
    }
    return found + [name for name, holds in held.items() if not holds.all()]


def check(batch: Any) -> None:
    """Raise Trip with the first unsound world."""
    if not faults(batch.state, batch.parameters):
        return
    for world in range(batch.n_worlds):
        alone = State(batch.layout, 1)
        alone.set(0, batch.state, world)
        if found := faults(alone, batch.parameters[world : world + 1]):
            day = int(alone.worlds["day"][0])
            raise Trip(f"world {world}, day {day}: {', '.join(found)}", batch.configs[world])
    raise Trip("worlds together: " + ", ".join(faults(batch.state, batch.parameters)), None)


def check_numbers(name: str, values: Any, config: Any, bound: float = np.inf) -> None:
    """Raise Trip for numbers that are not finite or beyond a bound."""
    values = np.asarray(values)
    if values.dtype.kind == "f" and not (good := np.isfinite(values) & (np.abs(values) <= bound)).all():  # fmt: skip
        where = tuple(int(i) for i in np.argwhere(~good)[0])
        one = config[where[0]] if isinstance(config, list) else config
        raise Trip(f"{name}{list(where)} is {values[where]!r}", one)


def random_actions(random: Random, shape: tuple[int, ...]) -> np.ndarray:
    """Actions from -1 to 1, many of them at the ends or zero."""
    kind = random.integers(0, 4, shape)
    ends = np.sign(random.uniform(-1.0, 1.0, shape))
    inside = random.uniform(-1.0, 1.0, shape)
    return np.select([kind == 0, kind == 1], [ends, 0.0 * ends], inside).astype(np.float32)


# ---------------------------------------------------------------- cases

DAYS = (1, 1, 1, 2, 7, 28, 91, 182, 365)
ROUNDS = 24


def batch_case(random: Random) -> int:
    """A batch of worlds, each with rules of its own that may change on the way; returns the world-days."""
    size = sizes(random)
    n_worlds = int(np.clip(512 // (size.common["n_subnets"] + 4), 4, 64))
    drawn = [TaskConfig.make(draw(random, size)) for _ in range(-(-n_worlds // 2))]
    configs: list[Any] = [*drawn, *drawn][:n_worlds]
    batch = Batch(configs, seeds=[int(s) for s in random.integers(0, 2**63, n_worlds)])
    check(batch)
    slots = random.permutation(size.common["n_subnets"])[:4]
    roles: list[Any] = [Builder(batch, sorted(int(slot) for slot in slots))]
    roles += [Staker(batch)] * bool(batch.layout.n_stakers)
    world_days = 0
    for days in random.choice(DAYS, ROUNDS):
        orders = random_orders(batch, random) if random.random() < 0.6 else None
        if random.random() < 0.5:
            shape = (n_worlds * len(roles[0].members), *roles[0].action_space.shape)
            roles[0].apply(batch, random_actions(random, shape))
        before = batch.state.worlds["day"].copy()
        batch.step(orders if batch.layout.n_stakers else None, int(days))
        world_days += int((batch.state.worlds["day"] - before).sum())
        check(batch)
        for role in roles:
            rows = role.observe(batch).reshape(n_worlds, -1)
            check_numbers(f"observation of a {role.name}", rows, batch.configs, 1.0)
        change(random, batch, size)
    return world_days


def change(random: Random, batch: Batch, size: Sizes) -> None:
    """Begin new episodes where one has ended and in a few other worlds, and change the rules of a few."""
    ended = batch.state.worlds["day"] >= batch.state.worlds["last_day"]
    for world in np.flatnonzero(ended | (random.random(batch.n_worlds) < 0.02)):
        batch.reset(int(world), int(random.integers(2**63)), int(random.integers(100)))
    for world in np.flatnonzero(random.random(batch.n_worlds) < 0.02):
        new = draw(random, size)
        keep = {*KEPT, *(f for f in new if f.startswith("genesis")), "outside_initial_tao"}
        rules = {name: value for name, value in new.items() if name not in keep}
        rules["injection"] = rules.get("injection", ERAS[rules["era"]].injection)
        rules["payment"] = "direct" if rules["injection"] == "direct" else rules.get("payment", "alpha")  # fmt: skip
        for name in ("emission_switches", "curated_funds"):  # they name subnets of another genesis
            rules.pop(name, None)
        batch.set_parameters([int(world)], **rules)


def environment_case(random: Random, name: str) -> int:
    """An environment under random actions; returns the world-days."""
    kind, _, role = name.partition(" ")
    most = int(random.choice((8, 8, 128))) if kind != "parallel" else 8
    chosen = draw(random, sizes(random, most), ReplayConfig if role == "replay" else TaskConfig)
    chosen.pop("n_stakers", None)
    chosen = for_builder(random, chosen) if role == "builder" else chosen
    steps = int(random.choice((30, 200)))
    limit = None if random.random() < 0.5 else int(random.integers(1, 100))
    try:
        if kind == "single":
            return play_single(random, SingleEnv(role, chosen, max_episode_steps=limit), steps)
        if kind == "vector":
            mode = str(random.choice(("NextStep", "SameStep")))
            env = MarketVectorEnv(16, role, chosen, limit, mode)
            return play_vector(random, env, steps)
        members = int(random.integers(0, 4)), "all" if random.random() < 0.5 else ()
        stakers = members[0] or (members[1] == ())
        env = MarketParallelEnv(chosen, stakers=stakers, builders=members[1], max_episode_steps=limit)  # fmt: skip
        return play_parallel(random, env, steps // 2)
    except Trip as trip:
        trip.parameters = trip.parameters or chosen
        raise
    except Exception as error:
        raise Trip(f"{name}: {type(error).__name__}: {error}", chosen) from error


def passed_days(worlds: Any, before: np.ndarray) -> int:
    """Days that worlds have gone since, less those of worlds that began again; audits them where it can."""
    if hasattr(worlds.batch, "audit"):
        check(worlds.batch)
    return int(np.maximum(worlds.batch.state.worlds["day"] - before, 0).sum())


def play_single(random: Random, env: SingleEnv, steps: int) -> int:
    """Steps of one environment."""
    obs, info = env.reset(seed=int(random.integers(2**31)))
    total, over = 0, False
    for _ in range(steps):
        if over:
            obs, info = env.reset()
        before = env.episodes.batch.state.worlds["day"].copy()
        action = random_actions(random, env.action_space.shape or ())
        obs, reward, terminated, truncated, info = env.step(action)
        over = terminated or truncated
        total += passed_days(env.episodes, before)
        check_numbers("observation", obs, None, 1.0)
        for name, value in (("reward", reward), *info.items()):
            check_numbers(name, value, None)
    return total


def play_vector(random: Random, env: MarketVectorEnv, steps: int) -> int:
    """Steps of a vector environment."""
    env.reset(seed=int(random.integers(2**31)))
    total, shape = 0, env.action_space.shape or ()
    for _ in range(steps):
        before = env.episodes.batch.state.worlds["day"].copy()
        obs, reward, _, _, infos = env.step(random_actions(random, shape))
        total += passed_days(env.episodes, before)
        check_numbers("observation", obs, None, 1.0)
        for name, value in (("reward", reward), *infos.items()):
            if not isinstance(value, dict) and np.asarray(value).dtype != object:
                check_numbers(name, value, None)
    return total


def play_parallel(random: Random, env: MarketParallelEnv, steps: int) -> int:
    """Steps of an environment of many agents."""
    env.reset(seed=int(random.integers(2**31)))
    total = 0
    for _ in range(steps):
        if not env.agents:
            env.reset()
        before = env.worlds.batch.state.worlds["day"].copy()
        shapes = {agent: env.action_space(agent).shape or () for agent in env.agents}
        actions = {agent: random_actions(random, shape) for agent, shape in shapes.items()}
        observations, rewards, *_ = env.step(actions)
        total += passed_days(env.worlds, before)
        for agent, obs in observations.items():
            check_numbers(f"observation of {agent}", obs, None, 1.0)
            check_numbers(f"reward of {agent}", rewards[agent], None)
    return total


# ---------------------------------------------------------------- running and reporting


class Outcome(NamedTuple):
    """Result of a case."""

    case: int
    kind: str
    world_days: int
    failure: str | None
    parameters: str


def kind_of(case: int) -> str:
    """`batch`, or the environment of a case."""
    if case % EVERY != EVERY - 1:
        return "batch"
    return ENVIRONMENTS[case // EVERY % len(ENVIRONMENTS)]


def run_case(seed: int, case: int) -> Outcome:
    """Run case k of a seed."""
    random, kind = np.random.default_rng([seed, case]), kind_of(case)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            days = batch_case(random) if kind == "batch" else environment_case(random, kind)
            return Outcome(case, kind, days, None, "")
        except Exception as error:
            return Outcome(case, kind, 0, f"{type(error).__name__}: {error}", as_yaml(getattr(error, "parameters", None)))  # fmt: skip


def as_yaml(parameters: Any) -> str:
    """Parameters as a file that `Config.make` reads."""
    if parameters is None:
        return ""
    if not isinstance(parameters, dict):
        parameters = parameters.model_dump(mode="json", exclude_unset=True)
    return yaml.safe_dump(json.loads(json.dumps(parameters)), sort_keys=True)


class Total:
    """Sums over the cases of a run."""

    def __init__(self) -> None:
        self.cases, self.world_days, self.failures = 0, 0, []
        self.by_kind: dict[str, int] = {}

    def add(self, outcome: Outcome, command: str) -> None:
        """Add a case, and print a failure."""
        self.cases += 1
        self.world_days += outcome.world_days
        days = self.by_kind.get(outcome.kind, 0) + outcome.world_days
        self.by_kind[outcome.kind] = days
        if outcome.failure is not None:
            self.failures.append({"case": outcome.case, "reason": outcome.failure})
            print(f"FAILED {command} --case {outcome.case}: {outcome.failure}", flush=True)
            print(outcome.parameters, flush=True)


def outcomes(seed: int, workers: int) -> Iterator[Outcome]:
    """Results of case 0, 1, 2 and so on, without end, from processes that share them."""
    if workers == 1:
        yield from (run_case(seed, case) for case in itertools.count())
        return
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        for first in itertools.count(step=64):
            block = range(first, first + 64)
            yield from pool.imap(functools.partial(run_case, seed), block)


def engine() -> str:
    """Digest of the sources of the package."""
    digest = hashlib.sha256()
    for path in sorted((ROOT / "dtao_gym").rglob("*.py")):
        digest.update(path.relative_to(ROOT).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def write(run: dict[str, Any]) -> None:
    """Add a run to the numbers, in place of an older one of the same seed, and renew the page."""
    runs = json.loads(NUMBERS.read_text(encoding="utf-8")) if NUMBERS.exists() else []
    runs = sorted([*(r for r in runs if r["seed"] != run["seed"]), run], key=lambda r: r["seed"])
    NUMBERS.write_text(json.dumps(runs, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(page(runs), encoding="utf-8")


def page(runs: list[dict[str, Any]]) -> str:
    """The page about the runs."""
    days = sum(run["world_days"] for run in runs)
    failures = [(run["seed"], f) for run in runs for f in run["failures"]]
    lines = [
        "# Soak",
        "",
        "`python scripts/soak.py` plays random worlds: legal parameters over their ranges (`CHOICES` in the script lists the exceptions), all eras, roles and "
        "payments, every genesis, orders and decisions at random, rules that change on the way. After every step TAO, alpha "
        "and shares of funds must be conserved to 1e-9, supplies below their caps, all numbers finite and observations "
        "within [-1, 1]. `scripts/soak.py` writes this page with `--write`.",
        "",
        f"So far {days:.3g} world-days in {sum(run['cases'] for run in runs):,} cases, {len(failures)} failures.",
        "",
        "| seed | cases | world-days | of them in environments | failures | world-days/s | engine | versions |",
        "|--:|--:|--:|--:|--:|--:|---|---|",
    ]
    for run in runs:
        inside = sum(n for kind, n in run["by_kind"].items() if kind != "batch")
        versions = ", ".join(f"{name} {version}" for name, version in run["versions"].items())
        lines.append(
            f"| {run['seed']} | {run['cases']:,} | {run['world_days']:,} | {inside:,} | {len(run['failures'])} | "
            f"{run['world_days_per_second']:,} | {run['engine']} | {versions} |"
        )
    lines += ["", *(f"- `--seed {seed} --case {f['case']}`: {f['reason']}" for seed, f in failures)]
    return "\n".join(lines).rstrip() + "\n"


def main(
    minutes: Annotated[float | None, tyro.conf.arg(help="Time after which no case begins.")] = None,
    world_days: Annotated[float | None, tyro.conf.arg(help="World-days, instead of time.")] = None,
    seed: Annotated[int, tyro.conf.arg(help="Seed of all cases.")] = 0,
    case: Annotated[int | None, tyro.conf.arg(help="Play this case alone.")] = None,
    workers: Annotated[int, tyro.conf.arg(help="Processes.")] = 1,
    write_page: Annotated[bool, tyro.conf.arg(name="write", help="Renew docs/soak.*.")] = False,
) -> None:
    """Play random legal worlds and audit them."""
    played = engine()  # the sources may change while this goes on
    command, total, began = f"python scripts/soak.py --seed {seed}", Total(), time.perf_counter()
    if case is not None:
        total.add(run_case(seed, case), command)
    else:
        most = 60.0 * (minutes if minutes is not None else np.inf if world_days else 1.0)
        for outcome in outcomes(seed, workers):
            total.add(outcome, command)
            if time.perf_counter() - began > most or total.world_days >= (world_days or np.inf):
                break
    seconds = time.perf_counter() - began
    rate = round(total.world_days / seconds)
    versions = {"dtao_gym": dtao_gym.__version__, "python": platform.python_version()}
    versions |= {name: version(name) for name in ("numpy", "numba")}
    run = {
        "seed": seed, "cases": total.cases, "world_days": total.world_days, "by_kind": total.by_kind,
        "failures": total.failures, "seconds": round(seconds), "workers": workers,
        "world_days_per_second": rate, "engine": played, "versions": versions,
    }  # fmt: skip
    print(f"{total.cases} cases, {total.world_days:,} world-days, {len(total.failures)} failures, {rate:,}/s")  # fmt: skip
    if write_page and case is None:
        write(run)
    sys.exit(bool(total.failures))


if __name__ == "__main__":
    tyro.cli(main)
