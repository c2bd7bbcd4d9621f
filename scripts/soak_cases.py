"""Cases of a soak: batches and environments under random decisions, and what must hold of them after every step."""

from typing import Any

import numpy as np

from dtao_gym.envs.builder.role import Builder
from dtao_gym.envs.parallel import MarketParallelEnv
from dtao_gym.envs.single import SingleEnv
from dtao_gym.envs.staker.role import Staker
from dtao_gym.envs.task import TaskConfig
from dtao_gym.envs.vector import MarketVectorEnv
from dtao_gym.protocol.institutions import ERAS
from dtao_gym.replay.config import ReplayConfig
from dtao_gym.world.batch import Batch
from dtao_gym.world.ledger import audit
from dtao_gym.world.state import State
from scripts.soak_draw import KEPT, Random, Sizes, draw, for_builder, sizes
from tests.world.toy import random_orders

DAYS = (1, 1, 1, 2, 7, 28, 91, 182, 365)
ROUNDS = 24


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
