"""Emission rules compared: the shares that each pays on any market, or on a snapshot of the chain.

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
from dtao_gym.protocol.allocation import (
    ALLOCATIONS,
    CHAIN_RULES,
    NO_REST,
    USER_RULE,
    Market,
    RuleSettings,
)
from dtao_gym.protocol.coinbase import TAO_WEIGHT, root_proportion
from dtao_gym.protocol.issuance import BLOCKS_PER_DAY, SUPPLY_CAP, emission_per_block
from dtao_gym.protocol.plugin_calls import FAULTS, FINE, NOT_IMPLEMENTED, apply_user_rule
from dtao_gym.protocol.plugins import AllocationRule, RuleError, resolve
from dtao_gym.world.snapshot import SNAPSHOT_NAMES, Snapshot

REFERENCE = "price_burn"
"""The rule that `Comparison.distance` measures from."""

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
def _shares_kernel(rule_id, address, market, settings, gate_quantile, shares, work):
    """Shares under any rule. Returns FINE or a code of `FAULTS`; a bar of 0 is replaced by that of the quantile."""
    if rule_id == USER_RULE:
        return apply_user_rule(address, market, NO_REST, shares)
    if settings.gate_bar == 0.0:
        settings = allocation.with_quantile_bar(
            rule_id, market, settings, NO_REST, gate_quantile, shares, work
        )
    rest_share = allocation.emission_shares(rule_id, market, settings, NO_REST, shares)
    return NOT_IMPLEMENTED if np.isnan(rest_share) else FINE


@kernel
def _chain_kernel(chain_issuance, root_weighted_tao, alpha_issuance, root_share):
    """Root proportions of a comparison. Returns the TAO emission of a block."""
    for i in range(root_share.size):
        root_share[i] = root_proportion(1.0, root_weighted_tao, alpha_issuance[i])
    return emission_per_block(SUPPLY_CAP - chain_issuance)


class _Rule(NamedTuple):
    """An emission rule: its name, and the compiled function if a user wrote it."""

    name: str
    user: AllocationRule | None

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of a market that must be given."""
        if self.user is None:
            return CHAIN_RULES[ALLOCATIONS[self.name]].columns
        return tuple(column for column in self.user.columns if column != "emission_enabled")


def _resolved(rule: str | AllocationRule) -> _Rule:
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
    gate_bar: float | None = None,
    gate_quantile: float = 0.75,
    flow_cutoff: float = 0.0,
    norm_exponent: float = 1.0,
    share_exponent: float = 1.0,
    **columns: ArrayLike | None,
) -> np.ndarray:
    """Shares of a block's TAO that an emission rule gives to subnets.

    Only the columns that the rule reads are needed; `uniform` takes the number of subnets from any array.

    Parameters
    ----------
    rule : str or AllocationRule
        A name of `ALLOCATIONS`, or a user's rule: registered name, import path, or the rule itself.
    gate_bar : float, optional
        Demand share at which the gate lets half through, above 0; by default from `gate_quantile`.
    gate_quantile : float
        The bar is the demand share of the subnet at which the cumulated share, largest first, passes
        this part of the whole; above 0, at most 1.
    flow_cutoff : float
        Flow at or below which a subnet gets nothing, TAO per block.
    norm_exponent : float
        Exponent of the flow above the cutoff, above 0.
    share_exponent : float
        Exponent of the moving price in the price rules, above 0.
    **columns : (n,) array_like
        Fields of `dtao_gym.protocol.allocation.Market`, in the units given there: `moving_price` (0 to 1),
        `spot_price`, `miner_burned`, `emission_enabled` (by default 1 for every subnet), `user_flow_ema`,
        `protocol_flow_ema`, `root_proportion`, `signal`, `votes` (with a sum of at most 1), `age_days`,
        `knowledge_disclosed`. None counts as not given.

    Returns
    -------
    (n,) float64
        Shares that add up to 1 or are all 0. Under `root_vote` they add up to the part of the vote that
        the validators gave to subnets rather than to root.

    Raises
    ------
    RuleError
        An unknown rule, a column that it needs is missing, lengths differ, or a value is out of range.
    TypeError
        An unknown keyword.
    """
    chosen = _resolved(rule)
    if unknown := [name for name in columns if name not in Market._fields]:
        raise TypeError(
            f"emission_shares() got an unexpected keyword argument {unknown[0]!r}; "
            f"columns of a market are {', '.join(Market._fields)}"
        )
    # in the order of `Market`, whatever the order of the keywords
    given = {
        name: _column(chosen.name, name, values)
        for name in Market._fields
        if (values := columns.get(name)) is not None
    }
    _check_columns(chosen, given)
    for name, value, low, high, allowed in (
        ("gate_bar", gate_bar, 0.0, np.inf, "above 0"),
        ("gate_quantile", gate_quantile, 0.0, 1.0, "above 0, at most 1"),
        ("flow_cutoff", flow_cutoff, -np.inf, np.inf, "any finite number"),
        ("norm_exponent", norm_exponent, 0.0, np.inf, "above 0"),
        ("share_exponent", share_exponent, 0.0, np.inf, "above 0"),
    ):
        if value is not None and not (low < value <= high and np.isfinite(value)):
            raise RuleError(f"rule {chosen.name!r}: {name} is {value!r}; allowed is {allowed}")
    settings = RuleSettings(
        *map(float, (share_exponent, gate_bar or 0.0, flow_cutoff, norm_exponent))
    )
    return _evaluated(chosen, given, settings, gate_quantile)


def _check_columns(rule: _Rule, columns: dict[str, np.ndarray]) -> None:
    """Raise a `RuleError` if a column is missing, lengths differ, or votes add up to more than 1."""
    if missing := [name for name in rule.columns if name not in columns]:
        raise RuleError(
            f"rule {rule.name!r} needs {' and '.join(missing)}, an array with one value per subnet"
        )
    if not columns:
        raise RuleError(f"rule {rule.name!r} needs an array, to know how many subnets there are")
    lengths = {name: values.size for name, values in columns.items()}
    if len(set(lengths.values())) != 1:
        listed = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise RuleError(f"rule {rule.name!r}: arrays of one length are needed; got {listed}")
    if "votes" in columns and columns["votes"].sum() > 1.0 + 1e-9:
        total = columns["votes"].sum()
        raise RuleError(f"rule {rule.name!r}: votes add up to {total:.10g}; allowed is at most 1")


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


def _evaluated(
    rule: _Rule, columns: dict[str, np.ndarray], settings: RuleSettings, gate_quantile: float
) -> np.ndarray:
    n = next(iter(columns.values())).size
    values = np.full((len(Market._fields), n), np.nan)  # NaN shares show a read of an absent column
    for name, column in {"emission_enabled": np.ones(n), **columns}.items():
        values[Market._fields.index(name)] = column
    market = Market(*values)
    rule_id, address = ALLOCATIONS.get(rule.name, USER_RULE), 0
    if rule.user is not None:
        rule.user(market)  # raises an error in words where compiled code would return a code
        rule_id, address = USER_RULE, rule.user.address
    shares, work = np.empty((2, n))
    code = _shares_kernel(rule_id, address, market, settings, float(gate_quantile), shares, work)
    if code != FINE:
        raise RuleError(f"rule {rule.name!r} {FAULTS[code]}")
    return shares


@dataclass(frozen=True, eq=False)
class Comparison:
    """Shares that several rules would pay the subnets of one snapshot.

    Attributes
    ----------
    snapshot : Snapshot
        State of the chain; its subnets are the columns of `shares`.
    rules : tuple of str
        Names, the rows of `shares`.
    shares : (n_rules, n_subnets) float64
        Shares of the block's TAO.
    reference_shares : (n_subnets,) float64
        Shares under `price_burn`.
    tao_per_block : float
        Emission of a block at the snapshot's issuance, TAO.
    imputed : dict
        For each rule, the columns it reads that the snapshot fills by assumption.
    left_out : dict
        Rules that the snapshot cannot answer, each with the reason.
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
        """Parts of the TAO paid, largest first; NaN where a rule pays nothing."""
        with np.errstate(invalid="ignore"):
            parts = self.shares / self.shares.sum(1, keepdims=True)
        return -np.sort(-parts, axis=1)

    @property
    def hhi(self) -> np.ndarray:
        """Herfindahl-Hirschman index of the TAO paid: 1/n if equal, 1 if one subnet gets all, `(n_rules,)`."""
        return (self._parts**2).sum(1)

    @property
    def top5_share(self) -> np.ndarray:
        """Part of the TAO paid that the five best-paid subnets get, `(n_rules,)`."""
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
        """Total variation from `price_burn`: part of the emission that goes elsewhere, `(n_rules,)`."""
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
    """Shares that each rule would pay the subnets of a snapshot of the chain.

    Root proportions follow from the TAO in root, `tao_weight` and the alpha of each subnet; prices, burn and
    flows are the snapshot's. Rules that need a column that no snapshot holds (`root_vote` needs votes) are left
    out unless it is given, and listed in `left_out`.

    Parameters
    ----------
    rules : iterable of str or AllocationRule, optional
        Names, import paths or rules; by default every rule of the chain that can be answered.
    snapshot : str or Snapshot
        Name of a packaged snapshot, path of a CSV file, or a `Snapshot`.
    tao_weight : float
        Weight of a TAO in root against an alpha, 0 to 1.
    **settings
        Keywords of `emission_shares`; arrays replace those of the snapshot.

    Raises
    ------
    RuleError
        An unknown rule, no rule that can be answered, or a setting out of range.
    SnapshotError
        An unusable snapshot.
    TypeError
        An unknown keyword.
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
    for rule in map(_resolved, ALLOCATIONS if rules is None else rules):
        if missing := [name for name in rule.columns if name not in inputs]:
            left_out[rule.name] = (
                f"needs {' and '.join(missing)}, which a snapshot does not hold; "
                "give it to compare_rules as a keyword"
            )
            continue
        shares[rule.name] = emission_shares(rule.user or rule.name, **inputs)
        assumed = set(snapshot.imputed) - given
        imputed[rule.name] = tuple(column for column in rule.columns if column in assumed)
    if not shares:
        reasons = "; ".join(f"rule {name!r} {reason}" for name, reason in left_out.items())
        raise RuleError(reasons or "no rule to compare")
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
    """Columns of a market that a snapshot holds or implies, and the emission of a block in TAO."""
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
