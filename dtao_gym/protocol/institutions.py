"""Eras of the chain by name: frozen configurations of the rules in this package, and the history of the chain."""

from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from dtao_gym.protocol.pool import MIN_RESERVE, MIN_RESERVE_OF_LAUNCH

FEE_OF_WEIGHTED_POOL = 33 / 65535
"""Proportional fee of a swap since July 2025."""
FLAT_FEE_OF_LAUNCH_TAO = 50_000e-9
"""Flat fee of an operation on the launch pool, TAO."""

PRUNE_KEYS = {"moving_price": 0, "share": 1}
"""Keys of pruning once every slot is taken: among the subnets that are no longer immune, the one with the lowest
moving price, or with the lowest emission share, makes room for a newcomer."""


@dataclass(frozen=True)
class Era:
    """One period of the chain's rules, with the date it began.

    `allocation`, `injection`, `chain_bought` and `root_dividend` name rules of `allocation.py` and
    `coinbase.py`; `root_gate` is `chain` where root's alpha is recycled unless the moving prices sum to more
    than 1.
    """

    name: str
    since: str
    """First day on mainnet; before November 2025 the day of the merge."""
    spec_version: int
    """First version of the runtime with these rules on mainnet; 0 where none is known."""
    allocation: str
    injection: str
    chain_bought: str
    root_dividend: str
    root_gate: str
    pool_fee: float
    flat_fee_tao: float
    min_order_tao: float
    min_reserve: float
    """Smallest reserve of what comes out of a swap, TAO or alpha."""
    min_reserve_tested: str
    """When that is tested: `before` the swap, or on what is left `after` it."""
    pruning: bool
    prune_key: str
    seeding: str
    min_lock_tao: float
    """The chain's is 1 TAO since February 2025. From August 2025 on it is 100 here, about the lowest lock recorded: founders
    of the model arrive at random, whereas real ones compete for slots and register before the cost has fallen so far."""
    lock_interval_days: float
    """Days in which the lock cost falls from twice the last lock to the last lock, at 1 TAO a block."""
    start_delay_days: int
    """Days between registration and the owner's start call: no emission and no staking until then."""
    entrants_enabled: bool
    """Whether a new subnet gets TAO emission at once, or only when governance says so."""


_PRE_DTAO = Era(
    name="pre_dtao",
    since="2023-03-20",
    spec_version=0,
    allocation="root_vote",
    injection="direct",
    chain_bought="destroyed",
    root_dividend="tao",
    root_gate="open",
    pool_fee=0.0,
    flat_fee_tao=0.0,
    min_order_tao=0.0005,
    min_reserve=MIN_RESERVE_OF_LAUNCH,
    min_reserve_tested="after",
    pruning=True,
    prune_key="share",
    seeding="minimum",
    min_lock_tao=100.0,
    lock_interval_days=14.0,
    start_delay_days=0,
    entrants_enabled=True,
)
_LAUNCH = replace(
    _PRE_DTAO,
    name="launch",
    since="2025-02-13",
    spec_version=233,
    allocation="price",
    injection="alpha_emission",
    root_dividend="sold",
    flat_fee_tao=FLAT_FEE_OF_LAUNCH_TAO,
    pruning=False,
    prune_key="moving_price",
    min_lock_tao=1.0,
    start_delay_days=7,
)
_LAUNCH_V3 = replace(
    _LAUNCH,
    name="launch_v3",
    since="2025-07-23",
    spec_version=297,
    pool_fee=FEE_OF_WEIGHTED_POOL,
    flat_fee_tao=0.0,
    min_reserve=MIN_RESERVE,
    min_reserve_tested="before",
)
_SUBSIDY = replace(
    _LAUNCH_V3,
    name="subsidy",
    since="2025-08-19",
    spec_version=302,
    injection="subsidy",
    pruning=True,
    min_lock_tao=100.0,
    lock_interval_days=8.0,
)
_TAO_FLOW = replace(
    _SUBSIDY,
    name="tao_flow",
    since="2025-11-04",
    spec_version=334,
    allocation="tao_flow",
    injection="block_emission",
    root_dividend="claimable",
    root_gate="chain",
)
_NET_FLOW = replace(
    _TAO_FLOW,
    name="net_flow",
    since="2026-05-28",
    spec_version=411,
    allocation="net_flow",
    seeding="median_price",
    chain_bought="protocol",
    lock_interval_days=16.0,
)
_PRICE_ROOTPROP = replace(
    _NET_FLOW,
    name="price_rootprop",
    since="2026-06-23",
    spec_version=421,
    allocation="price_rootprop",
    injection="root_proportion",
    min_order_tao=0.002,
    start_delay_days=0,
    entrants_enabled=False,
)
_PRICE_BURN = replace(
    _PRICE_ROOTPROP,
    name="price_burn",
    since="2026-07-16",
    spec_version=432,
    allocation="price_burn",
)
_PRICE_BURN_GATE = replace(
    _PRICE_BURN,
    name="price_burn_gate",
    since="2026-07-27",
    spec_version=440,
    allocation="price_burn_gate",
)
_ROOT_REBORN = replace(
    _PRICE_BURN_GATE,
    name="root_reborn",
    since="2026-08-03",
    spec_version=441,
    allocation="price_burn_gate_rank",
    root_dividend="fund_in_place",
)
_ROOT_CURATED = replace(
    _ROOT_REBORN,
    name="root_curated",
    since="2026-08-27",
    spec_version=450,
    root_dividend="fund_curated",
)

ERAS = {
    era.name: era
    for era in (
        _PRE_DTAO,
        _LAUNCH,
        _LAUNCH_V3,
        _SUBSIDY,
        _TAO_FLOW,
        _NET_FLOW,
        _PRICE_ROOTPROP,
        _PRICE_BURN,
        _PRICE_BURN_GATE,
        _ROOT_REBORN,
        _ROOT_CURATED,
    )
}
"""The eras of the chain by name, in their order. `root_curated` ended on 17 September 2026; `root_reborn` went on."""


@dataclass(frozen=True)
class Period:
    """Rules from a date on: an era, and its differences at the time (parameters of `Config`)."""

    since: date
    era: str
    changes: dict[str, Any] = field(default_factory=dict)


_SINCE_MARCH_2025 = {"lock_interval_days": 2.0}
_SINCE_2026 = {"lock_interval_days": 16.0}

HISTORY = (
    Period(
        date(2025, 2, 13),
        "launch",
        {"spans_per_day": 240, "start_delay_days": 0, "lock_interval_days": 4.0},
    ),
    Period(
        date(2025, 3, 1),
        "launch",
        {"spans_per_day": 240, "start_delay_days": 0} | _SINCE_MARCH_2025,
    ),
    Period(date(2025, 3, 27), "launch", {"start_delay_days": 0} | _SINCE_MARCH_2025),
    Period(date(2025, 3, 29), "launch", _SINCE_MARCH_2025),
    Period(date(2025, 7, 23), "launch_v3", _SINCE_MARCH_2025),
    Period(date(2025, 8, 19), "subsidy", {"pruning": False} | _SINCE_MARCH_2025),
    Period(date(2025, 9, 17), "subsidy"),
    Period(date(2025, 11, 4), "tao_flow", {"injection": "alpha_emission_bought"}),
    Period(date(2025, 12, 13), "tao_flow"),
    Period(date(2026, 1, 24), "tao_flow", _SINCE_2026),
    Period(date(2026, 4, 23), "tao_flow", {"seeding": "median_price"} | _SINCE_2026),
    Period(date(2026, 5, 28), "net_flow", {"chain_bought": "destroyed"}),
    Period(date(2026, 6, 3), "net_flow"),
    Period(date(2026, 6, 23), "price_rootprop"),
    Period(date(2026, 7, 16), "price_burn"),
    Period(date(2026, 7, 27), "price_burn_gate", {"gate_quantile": 0.61}),
    Period(date(2026, 7, 29), "price_burn_gate"),
    Period(date(2026, 8, 3), "root_reborn"),
    Period(date(2026, 8, 27), "root_curated"),
    Period(date(2026, 9, 17), "root_reborn"),
)
"""Rules of the chain since it has pools, by date: from November 2025 on the day of the first block that mainnet ran under
a rule, before that the day on which it was merged.

Two facts come from recorded registrations, not from code. Until the end of March 2025 new subnets were traded on their
first day; from netuid 83, of 29 March, on prices show pools that wait for the owner's start call. And pairs of
consecutive registrations show the interval in which the lock cost fell: 28,800 blocks in February 2025, 14,400 from
March to June 2025, 57,600 from autumn 2025 on (28,800 after the halving), and 57,600 again, at half the emission, since
late January 2026, as chain storage confirms (115,200 blocks times 0.5 TAO).
"""

EMISSION_SWITCHES = (
    (date(2026, 6, 22), 54),
    (date(2026, 7, 4), 64),
    (date(2026, 9, 6), 50),
    (date(2026, 9, 9), 3),
    (date(2026, 10, 8), 6),
)
"""Numbers of subnets, out of 128, whose emission root had switched off, from a date on (chain storage).

Which ones is recorded for 6 September 2026 only, in the snapshot of that day. Root decides on each subnet in a weekly
review; no rule of the chain does.
"""
