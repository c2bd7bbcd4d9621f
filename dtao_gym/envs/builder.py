"""The builder: a subnet owner who divides a budget between product, research and influence."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces

from dtao_gym.compiling import kernel, rule
from dtao_gym.economy.technology import decay_per_day, discount_per_day
from dtao_gym.economy.valuation import capitalisation, stage_discount
from dtao_gym.envs.builder_features import (
    MARKET_FEATURES,
    N_RAW,
    OWN_FEATURES,
    RIVAL_FEATURES,
    observe_builders,
    observe_kernel,
)
from dtao_gym.envs.features import (
    FIRST_OWN_NUMBER,
    end_of_step,
    refusal,
    refuse,
    write_market,
)
from dtao_gym.numerics import exp, log
from dtao_gym.views import call_address
from dtao_gym.world.batch import Batch
from dtao_gym.world.config import Config, ConfigError
from dtao_gym.world.day import run_over_worlds
from dtao_gym.world.parameters import parameters_of
from dtao_gym.world.state import ROW_OF, subnet_rows
from dtao_gym.world.table import arrays_of

LOGIT_SCALE = 6.212606095751519
"""ln(0.998 / 0.002): the first logit alone takes the research share from 0.002 to 0.998."""
MAX_SPEND_RATE = 0.2
"""Largest part of the treasury that an action spends in a day."""
TWIN_FEATURES = (
    "lead_short_stock",  # own less the twin's stock: / 20, cut at -1 and 1
    "lead_knowledge",  # / 50
    "lead_pipeline_early",  # / 5
    "lead_pipeline_middle",
    "lead_pipeline_late",
    "lead_influence_stock",  # / 10
)
"""With `twin_world` alone: what a critic needs to know of a reward that is a difference. No policy needs it."""


@rule
def _decide(fields, slot, action, composition, influence):
    """Write the decisions that an action stands for into the rows of one slot."""
    s = subnet_rows(fields)
    first = 0
    if not composition:
        s.spend_rate[slot] = 0.5 * MAX_SPEND_RATE * (action[0] + 1.0)
        s.owner_sale_fraction[slot] = 0.5 * (action[3] + 1.0)
        first = 1
    research = exp(LOGIT_SCALE * action[first])
    courting = exp(LOGIT_SCALE * action[first + 1]) if influence else 0.0
    s.research_share[slot] = research / (1.0 + research)
    s.influence_share[slot] = courting / (1.0 + research + courting)


@rule
def _reward(fields, world, before, slot, parameters, noisy, heirs):
    """What the owner of `before` has consumed since then, TAO; without heirs nothing after the first owner."""
    s = subnet_rows(fields)
    p = parameters_of(parameters)
    if before[2] > 0.0 and not heirs:
        return 0.0
    if s.owner_number[slot] > before[2]:  # dissolved on the way, and the heir has consumed as well
        if before[2] > 0.0:
            return s.consumed_by_predecessors[slot] - before[0]
        paid = s.first_owner_payoff[slot] - before[1]
        return paid * exp(-p.payoff_log_discount * before[3])
    paid = s.consumed[slot] - before[0]
    if noisy:
        grown = exp(2.0 * world.day * log(p.opinion_persistence))
        variance = p.opinion_innovation_sd**2 * (1.0 - grown) / (1.0 - p.opinion_persistence**2)
        paid *= exp(s.opinion[slot] - 0.5 * variance)
    return paid


@kernel
def _decide_kernel(table, slots, composition, actions, playing):
    """Decisions of builders: of the rows that play, world by world; no action may be bad."""
    a = arrays_of(table)
    for w in range(actions.shape[0] // slots.size):
        for k in range(slots.size):
            row = w * slots.size + k
            if playing[row]:
                influence = a.parameters[w].influence > 0
                _decide(a.fields[w], slots[k], actions[row], composition, influence)


@kernel
def _reward_kernel(table, before, slots, noisy, heirs, rewards):
    """Rewards of builders, TAO."""
    a = arrays_of(table)
    for w in range(a.worlds.size):
        for k in range(slots.size):
            row = w * slots.size + k
            rewards[row] = _reward(
                a.fields[w], a.worlds[w], before[row], slots[k], a.parameters[w], noisy, heirs
            )


_ROWS = {
    **{name: name for name in ("treasury", "budget", "income", "consumed", "spend_rate")},
    **{name: name for name in ("research_share", "influence_share", "owner_sale_fraction")},
    **{name: name for name in ("short_stock", "knowledge", "influence_stock", "ability")},
    "own_price": "spot_price",
    "own_moving_price": "moving_price",
    "own_emission_share": "emission_share",
}
"""Names in `info`, and the rows of the subnets that they are."""
_ROW_NUMBERS = np.array([ROW_OF[row] for row in _ROWS.values()])


@kernel
def _step_kernel(
    table, kernels, days, action, raw, obs, facts, steps, max_steps, standing, slots, composition,
    noisy, scale, numbers,
):  # fmt: skip
    """The step of a builder: decide, advance, observe, reward, info. See `dtao_gym.envs.fused`."""
    a = arrays_of(table)
    world, slot, zero = a.worlds[0], slots[0], np.int64(0)
    advance = kernels[0] if world.equal_weights else kernels[1]
    refused = refusal(action, advance)
    if refused != 0:
        return refused
    fields, parameters = a.fields[0], a.parameters[0]
    _decide(fields, slot, action, composition, parameters.influence > 0)
    call_address(advance, (table, days, zero, zero + 1))
    observe_builders(fields, world, slots, parameters, a.at, raw, obs)
    reward = _reward(fields, world, standing[0], slot, parameters, noisy, False) / scale
    s = subnet_rows(fields)
    write_market(s, world, reward, numbers.size + 2, facts)
    for k in range(numbers.size):
        facts[FIRST_OWN_NUMBER + k] = fields[numbers[k], slot]
    pruned = s.owner_number[slot] > 0.0
    under_way = 0.0
    for k in range(a.at.pipeline_stages):
        under_way += fields[a.at.pipeline + k, slot]
    last = FIRST_OWN_NUMBER + numbers.size
    facts[last], facts[last + 1] = under_way, pruned
    standing[0, 0], standing[0, 1] = s.consumed[slot], s.first_owner_payoff[slot]
    standing[0, 2], standing[0, 3] = s.owner_number[slot], world.day
    return end_of_step(world, pruned, steps, max_steps)


class Builder:
    """A subnet owner: divides the budget of its team, is paid in TAO that it consumes.

    Action, `Box(-1, 1, (4,), float32)`: the part of the treasury spent in a day, 0 at -1 and 0.2 at 1; two
    logits of the division of what is spent, product : research : influence = softmax(0, 6.21 a, 6.21 b), without
    influence where the configuration has none; the part of the owner's daily alpha that is sold, 0 at -1 and
    all at 1. With `builder_decides: composition` it is the logit of research alone, and that of influence if
    there is influence: `Box(-1, 1, (1 or 2,))`. Decisions hold from the next day until the next step.

    Observation, `Box(-1, 1, (6 n_subnets + 26,), float32)`: `RIVAL_FEATURES` of each other slot in order, then
    `OWN_FEATURES` and `MARKET_FEATURES`; unbounded quantities through a tanh. Of rivals it holds what is public,
    and the public signal is as old as it is for everybody. It has no clock. With `twin_world` it ends with
    `TWIN_FEATURES`.

    Reward: what the owner has consumed since the last step over `consumption_scale_tao`; of a step in which the
    subnet is dissolved, discounted to its first day where the horizon is fixed. With `terminal_value` the last
    reward of an episode holds what the stocks would pay from then on; with `reward_noise` rewards are multiplied
    by noise of mean one; with `twin_world` the reward of a scripted builder in the same world is taken off.

    With several slots learning, arrays have one row per world and slot, world by world.
    """

    name = "builder"
    n_stakers = 0
    n_raw = N_RAW
    info_numbers = (*_ROWS, "pipeline", "pruned")
    info_flags = ("pruned",)
    step_kernel = staticmethod(_step_kernel)

    def __init__(self, batch: Batch, slots: Sequence[int] | None = None, heirs: bool = False):
        """Args: slots: those whose owners learn, `builder_slot` of the configuration if not given; heirs: whether
        a new owner of a slot learns on in the place of the old one.
        """
        config, n = batch.configs[0], batch.layout.n_subnets
        taken = n - config.empty_slots
        name = "builder_slot" if slots is None else "builders"
        for slot in (chosen := [config.builder_slot] if slots is None else list(slots)):
            if not isinstance(slot, int | np.integer) or not 0 <= slot < taken:
                raise ConfigError(
                    f"{name}: got {slot!r}, allowed are 0 to {taken - 1} in this world"
                )
        if len(set(chosen)) < len(chosen):
            raise ConfigError(f"{name}: got {chosen}, allowed is each slot once")
        self.slots = np.array(chosen, np.int64)
        self.heirs = heirs
        self.composition = config.builder_decides == "composition"
        self.twins = config.twin_world
        self._size = (n - 1) * len(RIVAL_FEATURES) + len(OWN_FEATURES) + len(MARKET_FEATURES)
        size = self._size + self.twins * len(TWIN_FEATURES)
        self.observation_space = spaces.Box(-1.0, 1.0, (size,), np.float32)
        self.action_space = spaces.Box(-1.0, 1.0, (action_size(config),), np.float32)
        self._orders = np.zeros((batch.n_worlds, max(batch.layout.n_stakers, 1), n))

    def observe(self, batch: Batch, slots: np.ndarray | None = None) -> np.ndarray:
        """Fresh `(rows, features)` float32 observations; of the owners of other slots, if some are given.

        Owners of other slots have no twin.
        """
        of = self.slots if slots is None else slots
        obs = np.empty((batch.n_worlds, of.size, self._size), np.float32)

        table = batch.table
        n = batch.layout.n_subnets

        def task(first, last):
            observe_kernel(table.address, np.empty((self.n_raw, n)), of, obs, first, last)

        run_over_worlds(batch.n_worlds, batch.threads, task)
        found = obs.reshape(-1, self._size)
        if self.twins and slots is None:
            return np.concatenate([found, self._lead(batch)], axis=1)
        return found

    def _lead(self, batch: Batch) -> np.ndarray:
        """`TWIN_FEATURES` of all worlds, 0 of the twins, which are the second half of the batch."""
        state, n = batch.state, batch.n_worlds // 2
        lead = np.zeros((batch.n_worlds, len(TWIN_FEATURES)), np.float32)

        def gap(stock: np.ndarray, scale: float) -> np.ndarray:
            return np.clip((stock[:n] - stock[n:]) / scale, -1.0, 1.0)

        for k, name, scale in ((0, "short_stock", 20.0), (1, "knowledge", 50.0)):
            lead[:n, k] = gap(state.row(name)[:, self.slots[0]], scale)
        stages = batch.layout.pipeline_stages
        under_way = np.zeros((3, batch.n_worlds))
        for k in range(stages):
            under_way[3 * k // stages] += state.section("pipeline")[:, k, self.slots[0]]
        for third in range(3):
            lead[:n, 2 + third] = gap(under_way[third], 5.0)
        lead[:n, 5] = gap(state.row("influence_stock")[:, self.slots[0]], 10.0)
        return lead

    def apply(
        self,
        batch: Batch,
        actions: np.ndarray,
        slots: np.ndarray | None = None,
        playing: np.ndarray | None = None,
    ) -> np.ndarray:
        """Write the decisions of float32 actions of the first worlds; returns the orders of no staker.

        Args:
            slots: whose decisions they are, if not those of the learners.
            playing: `(rows,)`, False where an action is ignored; None: nowhere.

        Raises ValueError naming world, entry and value for an action that is NaN or outside [-1, 1]; nothing
        has changed then.
        """
        of = self.slots if slots is None else slots
        actions = self.checked(batch, actions, of)
        if playing is None:
            playing = np.ones(len(actions), bool)
        table = batch.table
        _decide_kernel(table.address, of, self.composition, actions, playing)
        return self._orders

    def checked(
        self, batch: Batch, actions: np.ndarray, slots: np.ndarray | None = None
    ) -> np.ndarray:
        """The actions as float32, or the ValueError that `apply` raises."""
        actions = np.ascontiguousarray(actions, np.float32)
        size, most = (
            self.action_space.shape[0],
            batch.n_worlds * (self.slots if slots is None else slots).size,
        )
        if actions.ndim != 2 or actions.shape[1] != size or len(actions) > most:
            raise ValueError(
                f"action: got shape {actions.shape}, allowed is (rows, {size}), at most {most} rows"
            )
        bad = np.flatnonzero(~(np.abs(actions) <= 1.0))
        refuse(actions, int(bad[0]) if bad.size else -1)
        return actions

    def standing(self, batch: Batch) -> np.ndarray:
        """`(rows, 4)`: consumption, payoff of the first owner, number of the owner, day."""
        names = ("consumed", "first_owner_payoff", "owner_number")
        rows = [self._of(batch, name) for name in names]
        return np.stack([*rows, batch.state.worlds["day"].repeat(self.slots.size)], axis=1)

    def _of(self, batch: Batch, name: str) -> np.ndarray:
        """`(rows,)` a row of the state at the learners' slots, fresh."""
        return batch.state.row(name)[:, self.slots].reshape(-1)

    def reward(self, batch: Batch, before: np.ndarray) -> np.ndarray:
        """`(rows,)` scaled consumption since `before`, a `standing`."""
        config = batch.configs[0]
        rewards = np.empty(batch.n_worlds * self.slots.size)
        table = batch.table
        _reward_kernel(table.address, before, self.slots, config.reward_noise, self.heirs, rewards)
        return rewards / config.consumption_scale_tao

    def terminal_value(self, batch: Batch) -> np.ndarray:
        """`(rows,)` scaled present value of the fees that the own stocks will pay from tomorrow on."""
        config, state = batch.configs[0], batch.state
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
        value = short * self._of(batch, "short_stock")
        value += (known - 1.0) * self._of(batch, "knowledge") + known * arriving.reshape(-1)
        paid = config.fee_per_value * config.income_factor * value
        return np.where(self.ended(batch), 0.0, paid) / config.consumption_scale_tao

    def ended(self, batch: Batch) -> np.ndarray:
        """`(rows,)` whether the first owner's subnet has been dissolved."""
        return self._of(batch, "owner_number") > 0.0

    def replaced(self, batch: Batch, before: np.ndarray) -> np.ndarray:
        """`(rows,)` whether the subnet of the owner of `before`, a `standing`, has been dissolved."""
        return self._of(batch, "owner_number") > before[:, 2]

    def replace(self, batch: Batch, rows: np.ndarray) -> None:
        """Nothing: the engine has put a new owner in the place of one whose subnet is dissolved."""

    def info(self, batch: Batch) -> dict[str, np.ndarray]:
        """What a researcher logs of the builder's slot.

        treasury; budget, income (TAO of the last day); consumed (TAO since genesis); spend_rate, research_share,
        influence_share, owner_sale_fraction (in force); short_stock, knowledge, pipeline, influence_stock
        (TAO a day; research under way in all stages); ability; own_price, own_moving_price, own_emission_share;
        pruned.
        """
        found = {name: self._of(batch, row) for name, row in _ROWS.items()}
        under_way = batch.state.section("pipeline")[:, :, self.slots].sum(1)
        found["pipeline"] = under_way.reshape(-1)
        found["pruned"] = self.ended(batch)
        return found

    def step_arguments(self, batch: Batch) -> tuple:
        """Last arguments of `step_kernel`."""
        config = batch.configs[0]
        scale = float(config.consumption_scale_tao)
        return self.slots, self.composition, config.reward_noise, scale, _ROW_NUMBERS

    def final(self, batch: Batch) -> dict[str, np.ndarray]:
        """What is told of a finished episode beside its return: consumed."""
        return {"consumed": self._of(batch, "consumed")}


class Rivals:
    """The owners of all other slots, who follow one policy: `episodes.rivals = Rivals(policy)`.

    Without it they keep the shares of the configuration.

    Args:
        policy: `policy(observation, batch, rngs) -> actions`, scripted or learned, one row per world and other
            owner, world by world; it gets no generators.
    """

    def __init__(self, policy: Callable[..., np.ndarray]):
        self.policy = policy

    def __call__(self, batch: Batch, role: Builder) -> None:
        """Write the decisions of the day; all of them are taken on the same state."""
        others = np.setdiff1d(np.arange(batch.layout.n_subnets), role.slots)
        if others.size:
            seen = role.observe(batch, others)
            actions = role.checked(batch, self.policy(seen, batch, ()), others)
            if len(actions) != len(seen):
                raise ValueError(
                    f"actions of rivals: got {len(actions)} rows, allowed are {len(seen)}"
                )
            role.apply(batch, actions, others)


def action_size(config: Config) -> int:
    """Entries of an action."""
    return 4 if config.builder_decides == "all" else 1 + config.influence


def builder_action(
    config: Config,
    research_share: Any = None,
    influence_share: Any = None,
    spend_rate: float | None = None,
    owner_sale_fraction: float | None = None,
) -> np.ndarray:
    """The action, `(..., action_size)` float32, for some decisions; None means what the configuration says.

    Research shares are cut to 0.002 and 0.998, and so is influence over what is spent on product.
    """
    research = config.research_share if research_share is None else research_share
    courting = config.influence_share if influence_share is None else influence_share
    research = np.clip(research, 0.002, 0.998)
    research, courting = np.broadcast_arrays(research, np.asarray(courting, float))
    with np.errstate(divide="ignore"):
        logit = np.log(research) - np.log1p(-research)
        # influence over product is z / ((1 - z)(1 - r))
        court = np.log(courting) - np.log1p(-courting) - np.log1p(-research)
    split = np.clip(np.stack([logit, court], axis=-1) / LOGIT_SCALE, -1.0, 1.0)
    if config.builder_decides == "composition":
        return split[..., : action_size(config)].astype(np.float32)
    spend = config.spend_rate if spend_rate is None else spend_rate
    sale = config.owner_sale_fraction if owner_sale_fraction is None else owner_sale_fraction
    ends = np.broadcast_to([2.0 * spend / MAX_SPEND_RATE - 1.0, 2.0 * sale - 1.0], split.shape)
    return np.concatenate([ends[..., :1], split, ends[..., 1:]], axis=-1).astype(np.float32)
