"""The arrays of a batch of worlds.

One float64 array `fields` `[world, row, subnet]` holds everything that exists once per subnet: the named rows of `Subnets`,
then sections of variable length whose sizes are fixed when the batch is made. `worlds` has one record per world,
`stakers` one per staker, `validators` one per root validator, `funds` one per root fund; `fund_owed` has the shares of each
fund that its holders may claim, `frozen` the list of the subnets that are not simulated.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from dtao_gym.protocol.lifecycle import MAX_SUBNETS
from dtao_gym.views import row_reader, section_reader
from dtao_gym.world.records import FUND_DTYPE, STAKER_DTYPE, VALIDATOR_DTYPE, WORLD_DTYPE

Row = np.ndarray


class Subnets(NamedTuple):
    """Rows of one world, each `(n_subnets,)` float64."""

    tao_reserve: Row
    """TAO in the pool."""
    alpha_reserve: Row
    """Alpha in the pool."""
    pool_tao_weight: Row
    """Weight of TAO in the pool, 0.01 to 0.99; 1/2 is constant product."""
    spot_price: Row
    """TAO per alpha at the end of the day."""
    moving_price: Row
    """Moving average of the spot price, TAO per alpha, clipped at 1."""
    emission_share: Row
    """Share of the block's TAO in the last span, 0 to 1."""
    alpha_emission: Row
    """Alpha minted to participants per block."""
    alpha_outstanding: Row
    """Alpha outside the pool: all holdings, protocol, claimable and burned."""
    owner_alpha: Row
    miner_alpha: Row
    validator_alpha: Row
    informed_alpha: Row
    uninformed_alpha: Row
    idle_alpha: Row
    """Alpha of accounts that neither trade nor stake."""
    protocol_alpha: Row
    """Alpha bought by the chain, without an owner."""
    burned_alpha: Row
    scripted_claimable: Row
    """Root dividends, in alpha, that the scripted root holders have yet to claim."""
    alpha_minted: Row
    """Sum since genesis."""
    alpha_recycled: Row
    """Sum since genesis; recycled alpha leaves the issuance."""
    alpha_genesis: Row
    """Issuance (pool and outstanding) at genesis."""
    dilution_alpha: Row
    """Issuance at which stakers' target price is undiluted."""
    registered_block: Row
    """-1 where the slot is empty."""
    start_block: Row
    started: Row
    """1 once the owner has made the start call: emission and staking; else 0."""
    lock_tao: Row
    """TAO that the owner paid to register."""
    legacy: Row
    """1 if registered when subnets could not be pruned: the owner is refunded the part of the lock not earned back."""
    reserve_counts: Row
    """1 if registered since the pool's own alpha takes part in the payout of a dissolution."""
    miner_burned: Row
    """Part of the miners' incentive that is burned, 0 to 1."""
    emission_enabled: Row
    """0 or 1."""
    off_block: Row
    """Block in which governance switches the emission off; -1: no such decision."""
    on_block: Row
    """Block in which governance switches the emission on; -1: no such decision."""
    user_flow_ema: Row
    """Average net TAO that stakers bring, TAO per block."""
    protocol_flow_ema: Row
    """Average net TAO that the protocol puts in, TAO per block."""
    protocol_flow: Row
    """TAO that the protocol has put in since the averages were brought up to date."""
    flow_mark: Row
    """Reserve of TAO when the averages were brought up to date."""
    vote_share: Row
    """Share of the root validators' vote."""
    knowledge_disclosed: Row
    """Knowledge that the subnet has made public."""
    moving_rate: Row
    """Weight of one block's price in the moving price, at the middle of the day."""
    moving_decay: Row
    """Weight of the old moving price after one span, at the middle of the day."""
    ability: Row
    """Factor, with mean one, on the output of the builder's spending; the builder is the owner."""
    short_stock: Row
    """Value of short-term work, TAO a day."""
    knowledge: Row
    """Value of research that has arrived, TAO a day."""
    influence_stock: Row
    """Addition of influence to the signal, TAO a day."""
    spend_rate: Row
    """Part of the treasury that the owner spends in a day; like the next three a decision."""
    research_share: Row
    """Research over research and short-term work."""
    influence_share: Row
    """Spending on influence over the budget."""
    owner_sale_fraction: Row
    """Part of the day's alpha that the owner sells."""
    treasury: Row
    """The owner's TAO."""
    budget: Row
    """Spending of the owner today, TAO."""
    income: Row
    """Pay of the owner today, TAO."""
    grant_due: Row
    """Grants for knowledge that arrived today, TAO, paid tomorrow."""
    consumed: Row
    """Consumption of the slot's owners since genesis, TAO."""
    consumed_by_predecessors: Row
    """Part of it before the present owner."""
    owner_number: Row
    """Number of owners of the slot before the present one."""
    first_owner_payoff: Row
    """Consumption of the slot's first owner, TAO, discounted where the horizon is fixed."""
    informed_value: Row
    """Capital value of the subnet's stocks to the informed, TAO."""
    true_value: Row
    """Value of the subnet to its users, TAO a day."""
    opinion: Row
    """Error of opinion of the uninformed, in logs."""
    news: Row
    """Level of news, in logs: information of readers that the signal does not show."""
    news_variance: Row
    """Variance of the level of news, given its volatility so far."""
    news_volatility: Row
    """Log of the present volatility of news."""
    news_character: Row
    """Factor on the size of the owner's news."""
    belief: Row
    """Readers' estimate of the signal, TAO a day."""
    prior: Row
    """Addition to the belief in a newcomer, TAO a day; negative before its price has been observed."""
    valuation: Row
    """Stakers' value of a token before scarcity, TAO per alpha."""
    target_price: Row
    """Price that scripted stakers trade towards today, TAO per alpha."""
    stake_yield: Row
    """Alpha dividends per staked alpha and day, at the last span."""
    stream_id: Row
    """Key of the subnet's random numbers; moves with the subnet when slots are relabelled."""


HOLDERS = ("root_informed", "root_uninformed", "root_validators")
"""Accounts of the scripted holders of root stake; the stakers follow them in `fund_owed`."""


class Frozen(NamedTuple):
    """Rows of the list of frozen subnets, each `(MAX_SUBNETS,)`; the first `rest_count` entries are in use."""

    demand: Row
    """Demand at genesis as part of their sum, in descending order."""
    enabled: Row
    """Whether emission is enabled, 1 or 0."""
    passed: Row
    """Working space of gated rules."""


@dataclass(frozen=True)
class Layout:
    """Sizes of a batch: subnets, stakers, and the sections of variable length."""

    n_subnets: int
    n_stakers: int = 1
    price_days: int = 20
    signal_days: int = 8
    pipeline_stages: int = 3
    n_validators: int = 0
    n_funds: int = 1

    @property
    def n_holders(self) -> int:
        """Holders of claims on root funds: three scripted classes (`HOLDERS`), then the stakers."""
        return len(HOLDERS) + self.n_stakers

    @property
    def sections(self) -> dict[str, slice]:
        """Rows of each section in `fields`, after the named ones."""
        sizes = {
            "staker_alpha": self.n_stakers,
            "staker_claimable": self.n_stakers,
            "price_history": self.price_days,
            "signal_history": self.signal_days,
            "pipeline": self.pipeline_stages,
            "fund_alpha": self.n_funds,
            "fund_weight": self.n_funds,
        }
        first, rows = len(Subnets._fields), {}
        for name, size in sizes.items():
            rows[name] = slice(first, first + size)
            first += size
        return rows

    @property
    def n_rows(self) -> int:
        """Number of rows of `fields`: named ones and sections."""
        return self.sections["fund_weight"].stop


OFFSETS_DTYPE = np.dtype(
    [
        ("n_stakers", np.int64),
        ("n_validators", np.int64),
        # names of sections are first rows, the others lengths
        ("staker_alpha", np.int64),
        ("staker_claimable", np.int64),
        ("price_history", np.int64),
        ("price_days", np.int64),
        ("signal_history", np.int64),
        ("signal_days", np.int64),
        ("pipeline", np.int64),
        ("pipeline_stages", np.int64),
        ("n_funds", np.int64),
        ("fund_alpha", np.int64),
        ("fund_weight", np.int64),
    ]
)
"""The layout as the kernels read it: the first row of each section and its length."""


def offsets(layout: Layout) -> np.ndarray:
    """First rows and lengths of the sections, `(1,)` of `OFFSETS_DTYPE`."""
    record = np.zeros(1, OFFSETS_DTYPE)
    firsts = {name: section.start for name, section in layout.sections.items()}
    for name in OFFSETS_DTYPE.names or ():
        record[name] = firsts[name] if name in firsts else getattr(layout, name)
    return record


ROW_OF = {name: k for k, name in enumerate(Subnets._fields)}
subnet_rows = row_reader(Subnets)
alpha_row, owed_row = section_reader("alpha"), section_reader("owed")
price_row, signal_row = section_reader("price"), section_reader("signal")
pipeline_row = section_reader("pipeline")
fund_row, fund_weight_row = section_reader("fund"), section_reader("fund_weight")


class State:
    """The arrays of `n_worlds` worlds; plain data that copies, pickles and saves."""

    ARRAYS = ("fields", "worlds", "stakers", "validators", "funds", "fund_owed", "frozen")

    def __init__(self, layout: Layout, n_worlds: int):
        self.layout = layout
        self.fields = np.zeros((n_worlds, layout.n_rows, layout.n_subnets))
        self.worlds = np.zeros(n_worlds, WORLD_DTYPE)
        self.stakers = np.zeros((n_worlds, layout.n_stakers), STAKER_DTYPE)
        self.validators = np.zeros((n_worlds, layout.n_validators), VALIDATOR_DTYPE)
        self.funds = np.zeros((n_worlds, layout.n_funds), FUND_DTYPE)
        self.fund_owed = np.zeros((n_worlds, layout.n_funds, layout.n_holders))
        self.frozen = np.zeros((n_worlds, len(Frozen._fields), MAX_SUBNETS))

    @property
    def n_worlds(self) -> int:
        """Number of worlds."""
        return self.worlds.size

    def row(self, name: str) -> np.ndarray:
        """View `(n_worlds, n_subnets)` of a row of `Subnets`.

        The engine reads `spot_price` and the world's `equal_weights`: update them after a write of reserves or pool
        weights.
        """
        return self.fields[:, ROW_OF[name]]

    def section(self, name: str) -> np.ndarray:
        """View `(n_worlds, length, n_subnets)` of a section of variable length."""
        return self.fields[:, self.layout.sections[name]]

    def set(self, world: int, other: "State", source: int = 0) -> None:
        """Copy one world of another state with the same layout."""
        for name in self.ARRAYS:
            getattr(self, name)[world] = getattr(other, name)[source]

    def copy(self) -> "State":
        """An independent copy."""
        twin = State(self.layout, self.n_worlds)
        for name in self.ARRAYS:
            getattr(twin, name)[...] = getattr(self, name)
        return twin

    def restore(self, saved: "State") -> None:
        """Overwrite the content with that of a copy made earlier; ValueError for another layout."""
        if saved.layout != self.layout or saved.n_worlds != self.n_worlds:
            raise ValueError(
                f"state: got {saved.n_worlds} worlds with {saved.layout}, "
                f"allowed is {self.n_worlds} worlds with {self.layout}"
            )
        for name in self.ARRAYS:
            getattr(self, name)[...] = getattr(saved, name)

    def save(self, path) -> None:
        """Write the arrays as `.npz`; a state of the same layout can load them."""
        with open(path, "wb") as file:  # a bare name would be given a suffix
            np.savez(file, **{name: getattr(self, name) for name in self.ARRAYS})

    def load(self, path) -> None:
        """Read arrays written by `save`; ValueError for other shapes. Runs no code from the file."""
        with np.load(path, allow_pickle=False) as file:
            saved = {name: file[name] for name in self.ARRAYS}
        for name, array in saved.items():
            mine = getattr(self, name)
            if array.shape != mine.shape or array.dtype != mine.dtype:
                raise ValueError(
                    f"{path}: {name} has {array.dtype} of shape {array.shape}, allowed is {mine.dtype} "
                    f"of shape {mine.shape} in this layout"
                )
        for name, array in saved.items():
            getattr(self, name)[...] = array
