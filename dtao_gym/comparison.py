"""Emission rules compared: the shares that each pays on any market, or on a snapshot of the chain.

`emission_shares` answers for one rule and arrays of your own; `compare_rules` for several rules and one
snapshot or several. A rule is a name of `dtao_gym.protocol.allocation.ALLOCATIONS`, the name of a rule registered with
`dtao_gym.allocation_rule`, or the import path of one, `package.module:function`.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple, overload

import numpy as np
from numpy.typing import ArrayLike

from dtao_gym.comparison_figures import REFERENCE, Comparison
from dtao_gym.compiling import kernel
from dtao_gym.protocol import allocation
from dtao_gym.protocol.allocation import (
    ALLOCATIONS,
    CHAIN_RULES,
    USER_RULE,
    Market,
    RuleSettings,
)
from dtao_gym.protocol.coinbase import TAO_WEIGHT, root_proportion
from dtao_gym.protocol.gate import GATE_EXPONENT, GATE_QUANTILE, GATE_RANK
from dtao_gym.protocol.issuance import BLOCKS_PER_DAY, SUPPLY_CAP, emission_per_block
from dtao_gym.protocol.plugin_calls import FAULTS, FINE, NOT_IMPLEMENTED, apply_user_rule
from dtao_gym.protocol.plugins import AllocationRule, RuleError, resolve
from dtao_gym.world.snapshot import SNAPSHOT_NAMES, Snapshot, SnapshotError

_ABOVE_ZERO = np.nextafter(0.0, 1.0)

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
def _shares_kernel(rule_id, address, market, settings, rank, quantile, shares, work):
    """Shares under any rule. Returns FINE or a code of `FAULTS`. A `rank` of 0 leaves the gate's bar as it is."""
    rest = allocation.no_rest(work)
    if rule_id == USER_RULE:
        return apply_user_rule(address, market, rest, shares)
    if rank > 0:
        settings = allocation.with_measured_bar(
            rule_id, market, settings, rest, rank, quantile, shares, work
        )
    rest_share = allocation.emission_shares(rule_id, market, settings, rest, shares)
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
    gate_rank: int = GATE_RANK,
    gate_quantile: float = GATE_QUANTILE,
    gate_exponent: float = GATE_EXPONENT,
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
        Demand share at which the gate lets half through; 0: no gate. A given bar takes the place of rank and quantile.
    gate_rank : int
        Under `price_burn_gate_rank` the bar is the demand share of this rank, from 1, or the smallest positive one.
    gate_quantile : float
        Under `price_burn_gate` the bar is the demand share of the subnet at which the cumulated share, largest first,
        reaches this part of the whole; above 0, at most 1.
    gate_exponent : float
        Steepness h of the gate x**h / (x**h + bar**h), 1 to 8.
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
    if isinstance(gate_rank, bool) or gate_rank != int(gate_rank) or gate_rank < 1:
        raise RuleError(
            f"rule {chosen.name!r}: gate_rank is {gate_rank!r}; allowed is a whole number from 1"
        )
    for name, value, low, high, allowed in (
        ("gate_bar", gate_bar, 0.0, np.inf, "0 or more"),
        ("gate_quantile", gate_quantile, _ABOVE_ZERO, 1.0, "above 0, at most 1"),
        ("gate_exponent", gate_exponent, 1.0, 8.0, "1 to 8"),
        ("flow_cutoff", flow_cutoff, -np.inf, np.inf, "any finite number"),
        ("norm_exponent", norm_exponent, _ABOVE_ZERO, np.inf, "above 0"),
        ("share_exponent", share_exponent, _ABOVE_ZERO, np.inf, "above 0"),
    ):
        if value is not None and not (low <= value <= high and np.isfinite(value)):
            raise RuleError(f"rule {chosen.name!r}: {name} is {value!r}; allowed is {allowed}")
    settings = RuleSettings(
        share_exponent=float(share_exponent),
        gate_bar=float(gate_bar or 0.0),
        gate_exponent=float(gate_exponent),
        flow_cutoff=float(flow_cutoff),
        norm_exponent=float(norm_exponent),
    )
    rank = int(gate_rank) if gate_bar is None else 0
    return _evaluated(chosen, given, settings, rank, float(gate_quantile))


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
    rule: _Rule,
    columns: dict[str, np.ndarray],
    settings: RuleSettings,
    rank: int,
    quantile: float,
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
    code = _shares_kernel(rule_id, address, market, settings, rank, quantile, shares, work)
    if code != FINE:
        raise RuleError(f"rule {rule.name!r} {FAULTS[code]}")
    return shares


Rules = str | AllocationRule | Iterable[str | AllocationRule] | None
Several = list[str] | list[Snapshot] | list[str | Snapshot] | tuple[str | Snapshot, ...]


@overload
def compare_rules(
    rules: Rules = None,
    snapshot: str | Snapshot = SNAPSHOT_NAMES[0],
    *,
    tao_weight: float = TAO_WEIGHT,
    **settings: Any,
) -> Comparison: ...
@overload
def compare_rules(
    rules: Rules, snapshot: Several, *, tao_weight: float = TAO_WEIGHT, **settings: Any
) -> tuple[Comparison, ...]: ...
@overload
def compare_rules(
    *, snapshot: Several, tao_weight: float = TAO_WEIGHT, **settings: Any
) -> tuple[Comparison, ...]: ...
def compare_rules(
    rules: Rules = None,
    snapshot: str | Snapshot | Several = SNAPSHOT_NAMES[0],
    *,
    tao_weight: float = TAO_WEIGHT,
    **settings: Any,
) -> Comparison | tuple[Comparison, ...]:
    """Shares that each rule would pay the subnets of a snapshot of the chain, or of several.

    Root proportions follow from the TAO in root, `tao_weight` and the alpha of each subnet; prices, burn and
    flows are the snapshot's. Rules that need a column that no snapshot holds (`root_vote` needs votes) are left
    out unless it is given, and listed in `left_out`.

    Parameters
    ----------
    rules : iterable of str or AllocationRule, optional
        Names, import paths or rules; by default every rule of the chain that can be answered.
    snapshot : str, Snapshot, or a list or tuple of them
        Name of a packaged snapshot, path of a CSV file, or a `Snapshot`.
    tao_weight : float
        Weight of a TAO in root against an alpha, 0 to 1.
    **settings
        Keywords of `emission_shares`; arrays replace those of the snapshot, or of every one.

    Returns
    -------
    Comparison or tuple of Comparison
        A tuple, in the order given, for a list or tuple of snapshots, be it of one.

    Raises
    ------
    RuleError
        An unknown rule, no rule that can be answered, or a setting out of range.
    SnapshotError
        An unusable snapshot, or an empty list.
    TypeError
        An unknown keyword.
    """
    chosen = [rules] if isinstance(rules, str | AllocationRule) else rules
    resolved = [_resolved(rule) for rule in (ALLOCATIONS if chosen is None else chosen)]
    if not 0.0 <= tao_weight <= 1.0:
        raise RuleError(f"tao_weight is {tao_weight!r}; allowed is 0 to 1")
    if not isinstance(snapshot, list | tuple):
        return _compared(resolved, snapshot, tao_weight, settings)
    if not snapshot:
        raise SnapshotError("got an empty list of snapshots; one or more are needed")
    return tuple(_compared(resolved, each, tao_weight, settings) for each in snapshot)


def _compared(
    rules: list[_Rule], snapshot: str | Snapshot, tao_weight: float, settings: dict[str, Any]
) -> Comparison:
    """The comparison on one snapshot."""
    if not isinstance(snapshot, Snapshot):
        snapshot = Snapshot.load(snapshot)
    columns, tao_per_block = _state(snapshot, tao_weight)
    given = {name for name, value in settings.items() if value is not None}
    inputs: dict[str, Any] = {**columns, **{name: settings[name] for name in given}}

    shares, imputed, left_out = {}, {}, {}
    for rule in rules:
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


def ordered(comparison: Comparison) -> np.ndarray:
    """Indices of the subnets, largest mean share over the rules first; ties go to the lower netuid."""
    mean = comparison.shares.mean(0)
    return np.lexsort((comparison.snapshot.netuid, -mean))


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
