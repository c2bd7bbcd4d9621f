"""The role of a builder: reward, infos, ends. Actions are in `actions.py`, the observation is in `observation.py`."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces

from dtao_gym.compiling import kernel, rule
from dtao_gym.economy.technology import decay_per_day, discount_per_day
from dtao_gym.economy.valuation import capitalisation, stage_discount
from dtao_gym.envs.builder.actions import action_size, decide, decide_kernel
from dtao_gym.envs.builder.observation import (
    N_SCRATCH_ROWS,
    observation_size,
    observe_builders,
    observe_kernel,
)
from dtao_gym.envs.builder.picture import BuilderPicture
from dtao_gym.envs.builder.twin import TWIN_FEATURES, lead
from dtao_gym.envs.features import (
    FIRST_OWN_FACT,
    as_float32,
    end_of_step,
    named_indices,
    refusal,
    refuse,
    without_rounding,
    write_market,
)
from dtao_gym.envs.role import Role
from dtao_gym.envs.task import TaskConfig, task_of
from dtao_gym.numerics import exp, log
from dtao_gym.views import call_address
from dtao_gym.world.batch import Batch
from dtao_gym.world.config import ConfigError
from dtao_gym.world.day import run_over_worlds
from dtao_gym.world.genesis import layout_of
from dtao_gym.world.parameters import parameters_of
from dtao_gym.world.state import ROW_OF, subnet_rows
from dtao_gym.world.table import arrays_of

BASELINE = named_indices("Baseline", ("consumed", "first_owner_payoff", "owner_number", "day"))
"""Columns of a `reward_baseline`."""
_INFO_ROWS = {
    **{name: name for name in ("treasury", "budget", "income", "consumed", "spend_rate")},
    **{name: name for name in ("research_share", "influence_share", "owner_sale_fraction")},
    **{name: name for name in ("short_stock", "knowledge", "influence_stock", "ability")},
    "own_price": "spot_price",
    "own_moving_price": "moving_price",
    "own_emission_share": "emission_share",
}
"""Names in `info`, and the rows of the subnets that hold them."""
_ROW_NUMBERS = np.array([ROW_OF[row] for row in _INFO_ROWS.values()])


@rule
def _reward(fields, world, baseline, slot, parameters, noisy, respawn):
    """Consumption since `baseline` of the owner at that time, TAO.

    Without `respawn` nothing after the first owner counts.
    """
    s = subnet_rows(fields)
    p = parameters_of(parameters)
    before = baseline[BASELINE.owner_number]
    if before > 0.0 and not respawn:
        return 0.0
    if (
        s.owner_number[slot] > before
    ):  # dissolved since then, and the successor has consumed as well
        if before > 0.0:
            return s.consumed_by_predecessors[slot] - baseline[BASELINE.consumed]
        paid = s.first_owner_payoff[slot] - baseline[BASELINE.first_owner_payoff]
        return paid * exp(-p.payoff_log_discount * baseline[BASELINE.day])
    paid = s.consumed[slot] - baseline[BASELINE.consumed]
    if noisy:
        grown = exp(2.0 * world.day * log(p.opinion_persistence))
        variance = p.opinion_innovation_sd**2 * (1.0 - grown) / (1.0 - p.opinion_persistence**2)
        paid *= exp(s.opinion[slot] - 0.5 * variance)
    return paid


@kernel
def _reward_kernel(table, baselines, slots, noisy, respawn, rewards):
    """Rewards of builders, TAO."""
    a = arrays_of(table)
    for w in range(a.worlds.size):
        for k in range(slots.size):
            row = w * slots.size + k
            rewards[row] = _reward(
                a.fields[w], a.worlds[w], baselines[row], slots[k], a.parameters[w], noisy, respawn
            )


@kernel
def _step_kernel(
    table, kernels, days, action, scratch, obs, facts, steps, max_steps, baseline, slots, composition,
    noisy, scale, numbers,
):  # fmt: skip
    """The step of a builder: decide, advance, observe, reward, info. See `dtao_gym.envs.fused_step`."""
    a = arrays_of(table)
    world, slot, zero = a.worlds[0], slots[0], np.int64(0)
    advance = kernels[0] if world.equal_weights else kernels[1]
    refused = refusal(action, advance)
    if refused != 0:
        return refused
    fields, parameters = a.fields[0], a.parameters[0]
    decide(fields, slot, action, composition, parameters.influence > 0)
    call_address(advance, (table, days, zero, zero + 1))
    observe_builders(fields, world, slots, parameters, a.at, scratch, obs)
    reward = _reward(fields, world, baseline[0], slot, parameters, noisy, False) / scale
    s, mark = subnet_rows(fields), baseline[0]
    write_market(s, world, reward, numbers.size + 2, facts)
    for k in range(numbers.size):
        facts[FIRST_OWN_FACT + k] = fields[numbers[k], slot]
    pruned = s.owner_number[slot] > 0.0
    in_pipeline = 0.0
    for k in range(a.at.pipeline_stages):
        in_pipeline += fields[a.at.pipeline + k, slot]
    last = FIRST_OWN_FACT + numbers.size
    facts[last], facts[last + 1] = in_pipeline, pruned
    mark[BASELINE.consumed] = s.consumed[slot]
    mark[BASELINE.first_owner_payoff] = s.first_owner_payoff[slot]
    mark[BASELINE.owner_number] = s.owner_number[slot]
    mark[BASELINE.day] = world.day
    return end_of_step(world, pruned, steps, max_steps)


class Builder(Role):
    """A subnet owner who divides the budget of its team and is paid in TAO that it consumes.

    Action, `Box(-1, 1, (4,), float32)`: the part of the treasury spent in a day, 0 at -1 and 0.2 at 1; two
    logits of the division of the budget, product : research : influence = softmax(0, 6.21 a, 6.21 b), without
    influence where the configuration has none; the part of the owner's daily alpha that is sold, 0 at -1 and
    all at 1. With `builder_decides: composition` it is the logit of research alone, and that of influence if
    there is influence: `Box(-1, 1, (1 or 2,))`. Decisions hold from the next day until the next step.

    Observation, `Box(-1, 1, (6 n_subnets + 26,), float32)`: `RIVAL_FEATURES` of each other slot in order, then
    `OWN_FEATURES` and `MARKET_FEATURES` (`dtao_gym.envs.builder.observation`); unbounded quantities through a tanh.
    Rivals are observed by their public numbers, and the public signal has the same lag as for everybody. There is no
    clock. With `twin_world` it ends with `TWIN_FEATURES`.

    Reward: the owner's consumption since the last step over `consumption_scale_tao`; in a step in which the
    subnet is dissolved, discounted to its first day where the horizon is fixed. With `terminal_value` the last
    reward of an episode includes the future pay of the stocks; with `reward_noise` rewards are multiplied
    by noise of mean one; with `twin_world` the reward of a scripted builder in the same world is subtracted.

    Terminated when the subnet is dissolved. Members of worlds of many agents are slots.
    """

    name = "builder"
    default_members = "all"
    picture = BuilderPicture
    n_scratch_rows = N_SCRATCH_ROWS
    info_numbers = (*_INFO_ROWS, "pipeline", "pruned")
    info_flags = ("pruned",)
    step_kernel = staticmethod(_step_kernel)

    @classmethod
    def copies(cls, config: TaskConfig) -> int:
        """Return 2 where each world has a twin, else 1."""
        return 1 + config.twin_world

    @classmethod
    def members_of(cls, config: TaskConfig, wanted: Iterable[int] | str) -> tuple[int, ...]:
        """Return the slots whose owners learn; `wanted` are slots, or "all". Raises ConfigError."""
        if not isinstance(wanted, str):
            return tuple(wanted)
        if wanted != "all":
            raise ConfigError(f"builders: got {wanted!r}, allowed are slots, 'all'")
        return tuple(range(layout_of(config).n_subnets - config.empty_slots))

    def __init__(self, batch: Batch, members: Sequence[int] | None = None, respawn: bool = False):
        config, n = task_of(batch), batch.layout.n_subnets
        name = "builder_slot" if members is None else "builders"
        chosen = [config.builder_slot] if members is None else list(members)
        _check_slots(name, chosen, n - config.empty_slots)
        self.members, self.respawns = tuple(int(slot) for slot in chosen), respawn
        self.slots = np.array(chosen, np.int64)
        self.composition = config.builder_decides == "composition"
        self.twins = config.twin_world
        self._size = observation_size(n)
        size = self._size + self.twins * len(TWIN_FEATURES)
        self.observation_space = spaces.Box(-1.0, 1.0, (size,), np.float32)
        self.action_space = spaces.Box(-1.0, 1.0, (action_size(config),), np.float32)

    def observe(self, batch: Batch, slots: np.ndarray | None = None) -> np.ndarray:
        """Return fresh observations `(rows, features)` float32 of the members, or of the owners of other `slots`.

        Owners of other slots have no twin.
        """
        observed = self.slots if slots is None else slots
        obs = np.empty((batch.n_worlds, observed.size, self._size), np.float32)
        table, n = batch.table, batch.layout.n_subnets

        def task(first, last):
            scratch = np.empty((N_SCRATCH_ROWS, n))
            observe_kernel(table.address, scratch, observed, obs, first, last)

        run_over_worlds(batch.n_worlds, batch.threads, task)
        rows = obs.reshape(-1, self._size)
        if self.twins and slots is None:
            return np.concatenate([rows, lead(batch, self.slots[0])], axis=1)
        return rows

    def apply(
        self,
        batch: Batch,
        actions: np.ndarray,
        playing: np.ndarray | None = None,
        slots: np.ndarray | None = None,
    ) -> None:
        """Write the decisions of actions of the first worlds, of the members or of the owners of other `slots`.

        See `Role.apply` for the rest.
        """
        deciding = self.slots if slots is None else slots
        actions = self.checked(batch, actions, deciding)
        if playing is None:
            playing = np.ones(len(actions), bool)
        table = batch.table
        decide_kernel(table.address, deciding, self.composition, actions, playing)

    def checked(
        self, batch: Batch, actions: np.ndarray, slots: np.ndarray | None = None
    ) -> np.ndarray:
        """Return the actions as float32, or raise the ValueError of `apply`."""
        actions = without_rounding(as_float32(actions))
        size = self.action_space.shape[0]
        most = batch.n_worlds * (self.slots if slots is None else slots).size
        if actions.ndim != 2 or actions.shape[1] != size or len(actions) > most:
            raise ValueError(
                f"action: got shape {actions.shape}, allowed is (rows, {size}), at most {most} rows"
            )
        bad = np.flatnonzero(~(np.abs(actions) <= 1.0))
        refuse(actions, int(bad[0]) if bad.size else -1)
        return actions

    def reward_baseline(self, batch: Batch) -> np.ndarray:
        """Return `(rows, 4)`: the columns of `BASELINE`."""
        days = batch.state.worlds["day"].repeat(self.slots.size)
        return np.stack([*(self._row(batch, name) for name in BASELINE._fields[:-1]), days], axis=1)

    def _row(self, batch: Batch, name: str) -> np.ndarray:
        """`(rows,)` a row of the state at the members' slots, fresh."""
        return batch.state.row(name)[:, self.slots].reshape(-1)

    def reward(self, batch: Batch, baseline: np.ndarray) -> np.ndarray:
        """Return `(rows,)` scaled consumption since `baseline`."""
        config = task_of(batch)
        rewards = np.empty(batch.n_worlds * self.slots.size)
        table = batch.table
        _reward_kernel(
            table.address, baseline, self.slots, config.reward_noise, self.respawns, rewards
        )
        return rewards / config.consumption_scale_tao

    def terminal_value(self, batch: Batch) -> np.ndarray | None:
        """Return `(rows,)` the scaled present value of the fees that the own stocks will pay from tomorrow on.

        None without `terminal_value`.
        """
        config, state = task_of(batch), batch.state
        if not config.terminal_value:
            return None
        discount = discount_per_day(config.builder_discount_per_year)
        # the stocks of this evening have paid today
        short = capitalisation(discount, decay_per_day(config.short_half_life_days)) - 1.0
        known = capitalisation(discount, decay_per_day(config.knowledge_half_life_days))
        leaving = 1.0
        if config.delay_days > 0.0:
            leaving = stage_discount(discount, config.delay_stages / config.delay_days)
        arriving = np.zeros((batch.n_worlds, self.slots.size))
        for stage in range(batch.layout.pipeline_stages):
            arriving = (arriving + state.section("pipeline")[:, stage, self.slots]) * leaving
        value = short * self._row(batch, "short_stock")
        value += (known - 1.0) * self._row(batch, "knowledge") + known * arriving.reshape(-1)
        paid = config.fee_per_value * config.income_factor * value
        return np.where(self.terminated(batch), 0.0, paid) / config.consumption_scale_tao

    def terminated(self, batch: Batch) -> np.ndarray:
        """Return `(rows,)` bool: the first owner's subnet has been dissolved."""
        return self._row(batch, "owner_number") > 0.0

    def replaceable(self, batch: Batch, baseline: np.ndarray) -> np.ndarray:
        """Return `(rows,)` bool: the subnet of the owner at `baseline` has been dissolved.

        The engine has put the next owner in its place.
        """
        return self._row(batch, "owner_number") > baseline[:, BASELINE.owner_number]

    def info(self, batch: Batch) -> dict[str, np.ndarray]:
        """Return logged quantities of the members' slots, each `(rows,)`.

        treasury; budget, income (TAO of the last day); consumed (TAO since genesis); spend_rate, research_share,
        influence_share, owner_sale_fraction (in force); short_stock, knowledge, influence_stock, pipeline
        (TAO a day; research in all stages); ability; own_price, own_moving_price, own_emission_share; pruned.
        """
        quantities = {name: self._row(batch, row) for name, row in _INFO_ROWS.items()}
        in_pipeline = batch.state.section("pipeline")[:, :, self.slots].sum(1)
        return quantities | {
            "pipeline": in_pipeline.reshape(-1),
            "pruned": self.terminated(batch),
        }

    def step_arguments(self, batch: Batch) -> tuple | None:
        """Return the last arguments of `step_kernel`; None with `terminal_value`, which the kernel does not add."""
        config = task_of(batch)
        if config.terminal_value:
            return None
        scale = float(config.consumption_scale_tao)
        return self.slots, self.composition, config.reward_noise, scale, _ROW_NUMBERS

    def episode_statistics(self, batch: Batch) -> dict[str, np.ndarray]:
        """Return consumption since genesis, TAO, `(rows,)`."""
        return {"consumed": self._row(batch, "consumed")}


def _check_slots(name: str, chosen: Sequence[Any], taken: int) -> None:
    """Raise ConfigError unless the slots are different ones of the first `taken`."""
    for slot in chosen:
        if not isinstance(slot, int | np.integer) or not 0 <= slot < taken:
            raise ConfigError(f"{name}: got {slot!r}, allowed are 0 to {taken - 1} in this world")
    if len(set(chosen)) < len(chosen):
        raise ConfigError(f"{name}: got {chosen}, allowed is each slot once")
