"""Emission rules beside each other: what each would pay on any market, and on a real state of the chain.

`emission_shares` answers for one rule and arrays of your own; `compare_rules` for several rules and a
snapshot. A rule is a name of `dtao_gym.protocol.allocation.ALLOCATIONS`, the name of a rule registered with
`dtao_gym.allocation_rule`, or the import path of one, `package.module:function`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from dtao_gym.compiling import kernel
from dtao_gym.protocol import allocation
from dtao_gym.protocol.allocation import ALLOCATIONS, NO_REST, USER_RULE, Market, RuleSettings
from dtao_gym.protocol.coinbase import TAO_WEIGHT
from dtao_gym.protocol.coinbase import root_proportion as root_proportion_of
from dtao_gym.protocol.issuance import BLOCKS_PER_DAY, SUPPLY_CAP, emission_per_block
from dtao_gym.protocol.plugin_calls import FAULTS, FINE, apply_user_rule
from dtao_gym.protocol.plugins import AllocationRule, RuleError, resolve
from dtao_gym.world.snapshot import SNAPSHOT_NAMES, Snapshot

"""Weight of a TAO in root against an alpha, mainnet 2026."""
REFERENCE = "price_burn"
"""The rule that `Comparison.distance` measures from."""

_COLUMNS_OF = {
    "uniform": (),
    "price": ("moving_price",),
    "price_burn": ("moving_price", "miner_burned"),
    "price_rootprop": ("moving_price", "miner_burned", "root_proportion"),
    "price_burn_gate": ("moving_price", "miner_burned"),
    "tao_flow": ("user_flow_ema",),
    "net_flow": ("user_flow_ema", "protocol_flow_ema"),
    "root_vote": ("votes",),
}
_RANGES = {
    "moving_price": (0.0, 1.0, "0 to 1: the chain's average counts prices above 1 TAO as 1"),
    "spot_price": (0.0, np.inf, "0 or more"),
    "miner_burned": (0.0, 1.0, "0 to 1"),
    "emission_enabled": (0.0, 1.0, "0 or 1"),
    "root_proportion": (0.0, 1.0, "0 to 1"),
    "votes": (0.0, 1.0, "0 to 1"),
    "knowledge_disclosed": (0.0, np.inf, "0 or more"),
}


@kernel
def _shares_kernel(allocation_id, address, columns, settings, gate_quantile, shares, left):
    """Shares under any rule. Returns the code of `apply_user_rule`; a bar that is 0 is found from the quantile."""
    market = Market(
        columns[0],
        columns[1],
        columns[2],
        columns[3],
        columns[4],
        columns[5],
        columns[6],
        columns[7],
        columns[8],
        columns[9],
        columns[10],
    )
    if allocation_id == USER_RULE:
        return apply_user_rule(address, market, NO_REST, shares)
    bar = settings[1]
    chosen = RuleSettings(settings[0], bar, settings[2], settings[3])
    if allocation_id == allocation.PRICE_BURN_GATE and bar == 0.0:
        allocation.demand_shares(market, chosen, NO_REST, shares)
        bar = allocation.mass_quantile_bar(shares, gate_quantile, left)
        chosen = RuleSettings(settings[0], bar, settings[2], settings[3])
    allocation.emission_shares(allocation_id, market, chosen, NO_REST, shares)
    return FINE


@kernel
def _chain_kernel(chain_issuance, root_weighted_tao, alpha_issuance, root_share):
    """Root proportions of a comparison. Returns the TAO emission of a block."""
    for i in range(root_share.size):
        root_share[i] = root_proportion_of(1.0, root_weighted_tao, alpha_issuance[i])
    return emission_per_block(SUPPLY_CAP - chain_issuance)


class _Rule(NamedTuple):
    """A rule that was found: its name, and the compiled one if a user wrote it."""

    name: str
    user: AllocationRule | None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of a market that it needs to be given."""
        if self.user is None:
            return _COLUMNS_OF[self.name]
        return tuple(column for column in self.user.columns if column != "emission_enabled")


def _find(rule: str | AllocationRule) -> _Rule:
    if isinstance(rule, AllocationRule):
        return _Rule(rule.name, rule)
    if not isinstance(rule, str):
        raise RuleError(
            f"got a {type(rule).__name__} as an emission rule; "
            "a name, an import path, or what @allocation_rule returned is needed"
        )
    return _Rule(rule, None if rule in ALLOCATIONS else resolve(rule))


def emission_shares(
    rule: str | AllocationRule,
    *,
    moving_price: ArrayLike | None = None,
    spot_price: ArrayLike | None = None,
    miner_burned: ArrayLike | None = None,
    emission_enabled: ArrayLike | None = None,
    user_flow_ema: ArrayLike | None = None,
    protocol_flow_ema: ArrayLike | None = None,
    root_proportion: ArrayLike | None = None,
    signal: ArrayLike | None = None,
    votes: ArrayLike | None = None,
    age_days: ArrayLike | None = None,
    knowledge_disclosed: ArrayLike | None = None,
    gate_bar: float | None = None,
    gate_quantile: float = 0.75,
    flow_cutoff: float = 0.0,
    norm_exponent: float = 1.0,
    share_exponent: float = 1.0,
) -> np.ndarray:
    """Each subnet's share of a block's TAO under a rule: `(n,)` float64, adding up to 1 or all 0.

    Only what the rule reads is needed; `uniform` takes the number of subnets from any array. Under `root_vote`
    the shares add up to what the validators gave to subnets rather than to root.

    Args:
        rule: a name of `ALLOCATIONS`, or a user's rule: registered name, import path, or the rule itself.
        moving_price: TAO per alpha, 0 to 1.
        spot_price: TAO per alpha, 0 or more.
        miner_burned: part of the miners' incentive that is burned, 0 to 1.
        emission_enabled: 0 or 1; all 1 where left out.
        user_flow_ema: average net TAO that stakers bring, TAO per block.
        protocol_flow_ema: average net TAO that the protocol puts in, TAO per block.
        root_proportion: root's weight against the subnet's alpha, 0 to 1.
        signal: public signal of value, TAO a day.
        votes: share of the root validators' vote, 0 to 1, adding up to at most 1.
        age_days: days since the subnet was started.
        knowledge_disclosed: knowledge made public, 0 or more.
        gate_bar: demand share at which the gate lets half through, above 0; None: from `gate_quantile`.
        gate_quantile: the bar is the demand share of the subnet at which the cumulated share, largest first,
            passes this part of the whole; above 0, at most 1.
        flow_cutoff: flow below which a subnet gets nothing, TAO per block.
        norm_exponent: exponent of the flow above the cutoff, above 0.
        share_exponent: exponent of the moving price in the price rules, above 0.

    Raises:
        RuleError: an unknown rule, something it needs is missing, lengths differ, or a value is out of range.
    """
    found = _find(rule)
    given = {
        "moving_price": moving_price,
        "spot_price": spot_price,
        "miner_burned": miner_burned,
        "emission_enabled": emission_enabled,
        "user_flow_ema": user_flow_ema,
        "protocol_flow_ema": protocol_flow_ema,
        "root_proportion": root_proportion,
        "signal": signal,
        "votes": votes,
        "age_days": age_days,
        "knowledge_disclosed": knowledge_disclosed,
    }
    columns = {
        name: _column(found.name, name, values)
        for name, values in given.items()
        if values is not None
    }
    if missing := [name for name in found.columns if name not in columns]:
        raise RuleError(
            f"rule {found.name!r} needs {' and '.join(missing)}, an array with one value per subnet"
        )
    if not columns:
        raise RuleError(f"rule {found.name!r} needs an array, to know how many subnets there are")
    lengths = {name: values.size for name, values in columns.items()}
    if len(set(lengths.values())) != 1:
        said = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise RuleError(f"rule {found.name!r}: arrays of one length are needed; got {said}")
    if "votes" in columns and columns["votes"].sum() > 1.0 + 1e-9:
        total = columns["votes"].sum()
        raise RuleError(f"rule {found.name!r}: votes add up to {total:.10g}; allowed is at most 1")
    for name, value, low, high, allowed in (
        ("gate_bar", gate_bar, 0.0, np.inf, "above 0"),
        ("gate_quantile", gate_quantile, 0.0, 1.0, "above 0, at most 1"),
        ("flow_cutoff", flow_cutoff, -np.inf, np.inf, "any finite number"),
        ("norm_exponent", norm_exponent, 0.0, np.inf, "above 0"),
        ("share_exponent", share_exponent, 0.0, np.inf, "above 0"),
    ):
        if value is not None and not (low < value <= high and np.isfinite(value)):
            raise RuleError(f"rule {found.name!r}: {name} is {value!r}; allowed is {allowed}")
    settings = np.array([share_exponent, gate_bar or 0.0, flow_cutoff, norm_exponent])
    return _evaluate(found, columns, settings, gate_quantile)


def _column(rule: str, name: str, values: ArrayLike) -> np.ndarray:
    """One column of a market, checked."""
    try:
        column = np.asarray(values, np.float64)
    except (TypeError, ValueError):
        raise RuleError(f"rule {rule!r}: {name} is no array of numbers") from None
    if column.ndim != 1 or column.size == 0:
        raise RuleError(
            f"rule {rule!r}: {name} has shape {column.shape}; one value per subnet is needed"
        )
    low, high, allowed = _RANGES.get(name, (-np.inf, np.inf, "any finite number"))
    wrong = ~(np.isfinite(column) & (column >= low) & (column <= high))
    if name == "emission_enabled":
        wrong |= (column != 0.0) & (column != 1.0)
    if wrong.any():
        k = int(wrong.argmax())
        raise RuleError(f"rule {rule!r}: {name}[{k}] is {column[k]:g}; allowed is {allowed}")
    return column


def _evaluate(
    found: _Rule, columns: dict[str, np.ndarray], settings: np.ndarray, gate_quantile: float
) -> np.ndarray:
    n = next(iter(columns.values())).size
    block = np.full((len(Market._fields), n), np.nan)  # what a rule should not read shows
    for name, values in {"emission_enabled": np.ones(n), **columns}.items():
        block[Market._fields.index(name)] = values
    number, address = ALLOCATIONS.get(found.name, USER_RULE), 0
    if found.user is not None:
        found.user(Market(*block))  # a fault is told in words here
        number, address = USER_RULE, found.user.address
    shares = np.empty(n)
    code = _shares_kernel(
        number, address, block, settings, float(gate_quantile), shares, np.empty(n)
    )
    if code != FINE:
        raise RuleError(f"rule {found.name!r} {FAULTS[code]}")
    return shares


@dataclass(frozen=True, eq=False)
class Comparison:
    """What several rules would pay the subnets of one snapshot.

    Attributes:
        snapshot: the state; its subnets are the columns of `shares`.
        rules: names, the rows of `shares`.
        shares: of the block's TAO, `(n_rules, n_subnets)`.
        reference_shares: those of `price_burn`, `(n_subnets,)`.
        tao_per_block: emission of a block at the snapshot's issuance, TAO.
        imputed: for each rule, the columns it reads that are an assumption of the snapshot.
        left_out: rules that the snapshot cannot answer, and why.
    """

    snapshot: Snapshot
    rules: tuple[str, ...]
    shares: np.ndarray
    reference_shares: np.ndarray
    tao_per_block: float
    imputed: dict[str, tuple[str, ...]]
    left_out: dict[str, str]

    @property
    def tao_per_day(self) -> np.ndarray:
        """TAO a day of each subnet, `(n_rules, n_subnets)`."""
        return self.shares * (self.tao_per_block * BLOCKS_PER_DAY)

    @property
    def total_tao_per_day(self) -> np.ndarray:
        """TAO a day that a rule pays in sum, `(n_rules,)`."""
        return self.tao_per_day.sum(1)

    @cached_property
    def _parts(self) -> np.ndarray:
        """Parts of what is paid, largest first; NaN where a rule pays nothing."""
        with np.errstate(invalid="ignore"):
            parts = self.shares / self.shares.sum(1, keepdims=True)
        return -np.sort(-parts, axis=1)

    @property
    def hhi(self) -> np.ndarray:
        """Herfindahl-Hirschman index of what is paid: 1/n if equal, 1 if one subnet gets all, `(n_rules,)`."""
        return (self._parts**2).sum(1)

    @property
    def top5_share(self) -> np.ndarray:
        """Part of what is paid that the five best-paid subnets get, `(n_rules,)`."""
        return self._parts[:, :5].sum(1)

    @property
    def nakamoto(self) -> np.ndarray:
        """Nakamoto coefficient: the smallest number of subnets with more than half; 0 if none, `(n_rules,)`."""
        more = np.cumsum(self._parts, axis=1) > 0.5 + 1e-12
        return np.where(more.any(1), more.argmax(1) + 1, 0)

    @property
    def subnets_paid(self) -> np.ndarray:
        """Number of subnets with a share above 0, `(n_rules,)`."""
        return (self.shares > 0.0).sum(1)

    @property
    def distance(self) -> np.ndarray:
        """Part of the emission that goes elsewhere than under `price_burn` (total variation), `(n_rules,)`."""
        unpaid = self.shares.sum(1) - self.reference_shares.sum()
        moved = np.abs(self.shares - self.reference_shares).sum(1)
        return 0.5 * (moved + np.abs(unpaid))


def compare_rules(
    rules: Iterable[str | AllocationRule] | None = None,
    snapshot: str | Snapshot = SNAPSHOT_NAMES[0],
    *,
    tao_weight: float = TAO_WEIGHT,
    **settings: Any,
) -> Comparison:
    """What each rule would pay the subnets of a real state of the chain.

    Root proportions follow from the TAO in root, `tao_weight` and the alpha of each subnet; prices, burn and
    flows are the snapshot's. Rules that need what no snapshot holds (`root_vote` needs votes) are left out
    unless it is given, and listed in `left_out`.

    Args:
        rules: names, import paths or rules; None: every built-in one that can be answered.
        snapshot: the name of a packaged one, the path of a CSV file, or a `Snapshot`.
        tao_weight: weight of a TAO in root against an alpha, 0 to 1.
        **settings: keywords of `emission_shares`; arrays replace those of the snapshot.

    Raises:
        RuleError: an unknown rule, none that can be answered, or a setting out of range.
        SnapshotError: an unusable snapshot.
    """
    if isinstance(rules, str | AllocationRule):
        rules = [rules]
    if not 0.0 <= tao_weight <= 1.0:
        raise RuleError(f"tao_weight is {tao_weight!r}; allowed is 0 to 1")
    if not isinstance(snapshot, Snapshot):
        snapshot = Snapshot.load(snapshot)
    columns, tao_per_block = _state(snapshot, tao_weight)
    given = {name for name, value in settings.items() if value is not None}
    inputs: dict[str, Any] = {**columns, **{name: settings[name] for name in given}}

    shares, imputed, left_out = {}, {}, {}
    for found in map(_find, ALLOCATIONS if rules is None else rules):
        if lacking := [name for name in found.columns if name not in inputs]:
            left_out[found.name] = (
                f"needs {' and '.join(lacking)}, which a snapshot does not hold; "
                "give it to compare_rules as a keyword"
            )
            continue
        shares[found.name] = emission_shares(found.user or found.name, **inputs)
        assumed = set(snapshot.imputed) - given
        imputed[found.name] = tuple(column for column in found.columns if column in assumed)
    if not shares:
        said = "; ".join(f"rule {name!r} {why}" for name, why in left_out.items())
        raise RuleError(said or "no rule to compare")
    return Comparison(
        snapshot=snapshot,
        rules=tuple(shares),
        shares=np.array(list(shares.values())),
        reference_shares=emission_shares(REFERENCE, **inputs),
        tao_per_block=tao_per_block,
        imputed=imputed,
        left_out=left_out,
    )


def _state(snapshot: Snapshot, tao_weight: float) -> tuple[dict[str, np.ndarray], float]:
    """The columns of a market that a snapshot holds or implies, and the emission of a block in TAO."""
    root_share = np.empty(snapshot.n_subnets)
    tao_per_block = _chain_kernel(
        float(snapshot.chain_issuance_tao),
        tao_weight * snapshot.root_stake_tao,
        snapshot.alpha_reserve + snapshot.alpha_outstanding,
        root_share,
    )
    return {
        "moving_price": np.minimum(snapshot.moving_price, 1.0),
        "spot_price": snapshot.spot_price,
        "miner_burned": snapshot.miner_burned,
        "emission_enabled": snapshot.emission_enabled.astype(np.float64),
        "user_flow_ema": snapshot.user_flow_ema,
        "protocol_flow_ema": snapshot.protocol_flow_ema,
        "root_proportion": root_share,
        "age_days": snapshot.age_blocks / BLOCKS_PER_DAY,
    }, tao_per_block
