"""A state of mainnet to start worlds from: a table of subnets, and a few numbers about the chain.

A snapshot on disk is `NAME.csv`, one row for each subnet, and beside it `NAME.json`, with the numbers
about the chain and where everything comes from. Amounts are whole TAO and whole alpha (not rao), each
at most 21 million; prices are TAO per alpha. Flows are moving averages with a half-life of 30 days, in TAO
per block: what stakers bring to a subnet less what they take, and what the protocol puts in.

| column            | allowed                         | where left out |
|-------------------|---------------------------------|----------------|
| netuid            | 1 to 65535, each once           |                |
| registered_block  | 0 to the block of the snapshot  |                |
| tao_reserve       | above 0                         |                |
| alpha_reserve     | above 0                         |                |
| alpha_outstanding | at least 0                      |                |
| spot_price        | above 0                         |                |
| moving_price      | at least 0                      | = spot_price   |
| miner_burned      | 0 to 1, of the miners' emission | = 0            |
| emission_enabled  | true or false                   | = true         |
| user_flow_ema     | -1000 to 1000                   | = 0            |
| protocol_flow_ema | -1000 to 1000                   | = 0            |

There are 1 to 128 rows. Root, netuid 0, is none of them: its TAO is `root_stake_tao`. The JSON needs
`block`, `root_stake_tao` and `chain_issuance_tao`; `name`, `date` and `columns_imputed` are read where
present, and its other keys are for people.
"""

import csv
import io
import json
import math
from collections.abc import Iterable
from dataclasses import InitVar, dataclass, replace
from functools import cache, cached_property
from importlib import resources
from pathlib import Path
from typing import Any, Self

import numpy as np

SNAPSHOT_NAMES: tuple[str, ...] = (
    "mainnet-2026-06-14",
    "mainnet-2026-04-11",
    "mainnet-2025-02-13",
)
"""The snapshots that come with the package, the default first; the last is the day on which pools began."""

COLUMNS: dict[str, type] = {
    "netuid": np.int64,
    "registered_block": np.int64,
    "tao_reserve": np.float64,
    "alpha_reserve": np.float64,
    "alpha_outstanding": np.float64,
    "spot_price": np.float64,
    "moving_price": np.float64,
    "miner_burned": np.float64,
    "emission_enabled": np.bool_,
    "user_flow_ema": np.float64,
    "protocol_flow_ema": np.float64,
}
"""The columns of a table in their order, and what they are stored as."""

OPTIONAL_COLUMNS = (
    "moving_price",
    "miner_burned",
    "emission_enabled",
    "user_flow_ema",
    "protocol_flow_ema",
)
MAX_SUBNETS = 128
MAX_SUPPLY = 21_000_000  # of TAO, and of the alpha of each subnet
MAX_FLOW = 1000  # TAO per block, more than a third of all TAO in a day
TAO_WEIGHT_RANGE = (0.01, 0.99)
EQUAL_WEIGHT_TOLERANCE = 1e-6  # a price of 9 decimals tells no weights apart that are closer

_LAST_BLOCK = 2**53
_ABOVE_ZERO = np.nextafter(0.0, 1.0)
_TRUTH = {"true": True, "1": True, "false": False, "0": False}


class SnapshotError(ValueError):
    """An unusable snapshot. The message names the place, what was got and what is allowed."""


@dataclass(frozen=True, eq=False)
class Snapshot:
    """The subnets of a chain at one block.

    Immutable: the arrays are read-only copies, one entry for each subnet in the order of the table.
    """

    name: str
    date: str | None
    block: int
    root_stake_tao: float
    chain_issuance_tao: float
    netuid: np.ndarray
    registered_block: np.ndarray
    tao_reserve: np.ndarray
    alpha_reserve: np.ndarray
    alpha_outstanding: np.ndarray
    spot_price: np.ndarray
    moving_price: np.ndarray
    miner_burned: np.ndarray
    emission_enabled: np.ndarray
    user_flow_ema: np.ndarray
    protocol_flow_ema: np.ndarray
    imputed: tuple[str, ...] = ()
    """The columns that the source lacks and an assumption fills."""
    source: InitVar[str | None] = None
    """What errors call the snapshot: its file, for example."""

    def __post_init__(self, source: str | None) -> None:
        for column, dtype in COLUMNS.items():
            values = np.array(getattr(self, column), dtype=dtype)
            values.flags.writeable = False
            object.__setattr__(self, column, values)
        problem = self._chain_problem() or self._rows_problem() or self._totals_problem()
        if problem:
            raise SnapshotError(f"{source or f'snapshot {self.name!r}'}: {problem}")

    @property
    def n_subnets(self) -> int:
        """Number of subnets, root not counted."""
        return len(self.netuid)

    @cached_property
    def tao_weight(self) -> np.ndarray:
        """Weight of TAO in each pool, as reserves and price imply it; 1/2 is constant product."""
        weight = self.tao_reserve / (self.spot_price * self.alpha_reserve + self.tao_reserve)
        weight[np.abs(weight - 0.5) < EQUAL_WEIGHT_TOLERANCE] = 0.5
        weight.flags.writeable = False
        return weight

    @cached_property
    def age_blocks(self) -> np.ndarray:
        """Blocks since each subnet was registered."""
        age = self.block - self.registered_block
        age.flags.writeable = False
        return age

    def take(self, indices: Iterable[int]) -> Self:
        """The subnets at these positions, in this order; the numbers about the chain stay."""
        rows = np.array(list(indices), dtype=np.int64)
        return replace(self, **{column: getattr(self, column)[rows] for column in COLUMNS})

    def largest(self, n: int) -> Self:
        """The n subnets with most TAO in the pool, largest first; ties go to the lower netuid."""
        if not 1 <= n <= self.n_subnets:
            raise SnapshotError(
                f"snapshot {self.name!r}: asked for its {n} largest subnets; "
                f"allowed is 1 to {self.n_subnets}"
            )
        return self.take(np.lexsort((self.netuid, -self.tao_reserve))[:n])

    @classmethod
    def load(cls, name_or_path: str | Path) -> "Snapshot":
        """A snapshot by the path of a table, which ends in .csv, or else by its name in the package."""
        text = str(name_or_path)
        return cls.from_csv(text) if text.endswith(".csv") else cls.named(text)

    @classmethod
    def named(cls, name: str) -> "Snapshot":
        """A snapshot that comes with the package, one of `SNAPSHOT_NAMES`."""
        if name not in SNAPSHOT_NAMES:
            raise SnapshotError(
                f"unknown snapshot {name!r}; allowed are {', '.join(map(repr, SNAPSHOT_NAMES))}, "
                "or the path of a .csv file of your own (Snapshot.from_csv says what it must hold)"
            )
        return _packaged(name)

    @classmethod
    def from_csv(
        cls,
        path: str | Path,
        *,
        name: str | None = None,
        block: int | None = None,
        root_stake_tao: float | None = None,
        chain_issuance_tao: float | None = None,
    ) -> "Snapshot":
        """Read a table, and the JSON of the same stem beside it where there is one.

        The keywords override the JSON. What both must hold is at the top of this module.
        """
        path = Path(path)
        beside = path.with_suffix(".json")
        try:
            table = path.read_text(encoding="utf-8-sig")
            facts = beside.read_text(encoding="utf-8-sig") if beside.exists() else "{}"
        except (OSError, UnicodeDecodeError) as error:
            raise SnapshotError(f"{path}: cannot be read as a snapshot: {error}") from error
        keywords = {
            "name": name,
            "block": block,
            "root_stake_tao": root_stake_tao,
            "chain_issuance_tao": chain_issuance_tao,
        }
        given = {key: value for key, value in keywords.items() if value is not None}
        return _parse(path, table, facts, given)

    def _chain_problem(self) -> str | None:
        """What is wrong with the numbers about the chain, or None."""
        for key, low, high in (
            ("block", 0, _LAST_BLOCK),
            ("root_stake_tao", 0, MAX_SUPPLY),
            ("chain_issuance_tao", 0, MAX_SUPPLY),
        ):
            value = getattr(self, key)
            if not low <= value <= high:
                return f"{key} is {value!r}; allowed is {low} to {high}"
        return None

    def _rows_problem(self) -> str | None:
        """What is wrong with a column or a cell, or None."""
        shapes = {column: getattr(self, column).shape for column in COLUMNS}
        if self.netuid.ndim != 1 or len(set(shapes.values())) != 1:
            return f"the columns must be vectors of one length; their shapes are {shapes}"
        if not 1 <= self.n_subnets <= MAX_SUBNETS:
            return f"{self.n_subnets} rows of subnets; allowed are 1 to {MAX_SUBNETS}"

        netuids, counts = np.unique(self.netuid, return_counts=True)
        if counts.max() > 1:
            k = int(counts.argmax())
            return (
                f"column 'netuid': {netuids[k]} is in {counts[k]} rows; allowed is 1 row a subnet"
            )
        if netuids[0] == 0:
            return "column 'netuid': 0 is root, which is no row; its TAO goes into root_stake_tao"

        above_zero = f"above 0, up to {MAX_SUPPLY} (whole TAO or alpha, not rao)"
        from_zero = f"0 to {MAX_SUPPLY} (whole TAO or alpha, not rao)"
        flow = f"-{MAX_FLOW} to {MAX_FLOW} (whole TAO per block, not rao)"
        for column, low, high, allowed in (
            ("netuid", 1, 65535, "1 to 65535"),
            ("registered_block", 0, self.block, f"0 to {self.block}, the block of the snapshot"),
            ("tao_reserve", _ABOVE_ZERO, MAX_SUPPLY, above_zero),
            ("alpha_reserve", _ABOVE_ZERO, MAX_SUPPLY, above_zero),
            ("alpha_outstanding", 0.0, MAX_SUPPLY, from_zero),
            ("spot_price", _ABOVE_ZERO, MAX_SUPPLY, above_zero),
            ("moving_price", 0.0, MAX_SUPPLY, from_zero),
            ("miner_burned", 0.0, 1.0, "0 to 1"),
            ("user_flow_ema", -MAX_FLOW, MAX_FLOW, flow),
            ("protocol_flow_ema", -MAX_FLOW, MAX_FLOW, flow),
        ):
            values = getattr(self, column)
            outside = ~((values >= low) & (values <= high))  # a NaN is outside
            if outside.any():
                return self._cell(column, outside, f"allowed is {allowed}")

        low, high = TAO_WEIGHT_RANGE
        outside = ~((self.tao_weight >= low) & (self.tao_weight <= high))
        if outside.any():
            return self._cell(
                "spot_price",
                outside,
                "with the reserves this makes the pool's weight of TAO, "
                "tao_reserve / (spot_price * alpha_reserve + tao_reserve), "
                f"{self.tao_weight[outside][0]:.3g}; allowed is {low} to {high}",
            )
        outside = self.alpha_reserve + self.alpha_outstanding > MAX_SUPPLY
        if outside.any():
            return self._cell(
                "alpha_outstanding",
                outside,
                f"together with alpha_reserve, allowed is at most {MAX_SUPPLY}",
            )
        return None

    def _totals_problem(self) -> str | None:
        """Whether root and pools hold more TAO than there is, or None."""
        held = self.root_stake_tao + float(self.tao_reserve.sum())
        if held <= self.chain_issuance_tao:
            return None
        return (
            f"root_stake_tao and column 'tao_reserve' add up to {held:.10g} TAO; "
            f"allowed is at most chain_issuance_tao, {self.chain_issuance_tao:.10g} TAO"
        )

    def _cell(self, column: str, wrong: np.ndarray, rest: str) -> str:
        k = int(wrong.argmax())
        got = getattr(self, column)[k].item()
        return f"column {column!r}, netuid {self.netuid[k]}: got {got!r}; {rest}"


@cache
def _packaged(name: str) -> Snapshot:
    folder = resources.files("dtao_gym") / "data"
    table, facts = ((folder / f"{name}.{kind}").read_text("utf-8") for kind in ("csv", "json"))
    return _parse(Path(f"{name}.csv"), table, facts, {})


def _parse(path: Path, table: str, facts_text: str, given: dict[str, Any]) -> Snapshot:
    facts = _read_facts(path.with_suffix(".json"), facts_text) | given
    columns, missing = _read_table(path, table)
    imputed = missing | set(facts.get("columns_imputed", ()))
    return Snapshot(
        name=facts.get("name", path.stem),
        date=facts.get("date"),
        block=_whole(path, facts, "block"),
        root_stake_tao=_number(path, facts, "root_stake_tao"),
        chain_issuance_tao=_number(path, facts, "chain_issuance_tao"),
        imputed=tuple(column for column in OPTIONAL_COLUMNS if column in imputed),
        source=str(path),
        **columns,
    )


def _read_facts(path: Path, text: str) -> dict[str, Any]:
    """The JSON beside a table."""
    try:
        facts = json.loads(text)
    except json.JSONDecodeError as error:
        raise SnapshotError(f"{path}: not JSON: {error}") from error
    if not isinstance(facts, dict):
        raise SnapshotError(f"{path}: got a {type(facts).__name__}; an object is needed")
    for key in ("name", "date"):
        if not isinstance(facts.get(key, ""), str):
            raise SnapshotError(f"{path}: {key} is {facts[key]!r}; a text is needed")
    imputed = facts.get("columns_imputed", [])
    if not (isinstance(imputed, list | dict) and all(c in OPTIONAL_COLUMNS for c in imputed)):
        raise SnapshotError(
            f"{path}: columns_imputed is {imputed!r}; allowed are {list(OPTIONAL_COLUMNS)}"
        )
    return facts


def _fact(path: Path, facts: dict[str, Any], key: str) -> Any:
    if key not in facts:
        raise SnapshotError(
            f"{path}: {key} is missing; write it into {path.with_suffix('.json').name} beside the "
            "table, or give it to Snapshot.from_csv as a keyword"
        )
    return facts[key]


def _whole(path: Path, facts: dict[str, Any], key: str) -> int:
    value = _fact(path, facts, key)
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise SnapshotError(f"{path}: {key} is {value!r}; a whole number is needed")
    return int(value)


def _number(path: Path, facts: dict[str, Any], key: str) -> float:
    value = _fact(path, facts, key)
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise SnapshotError(f"{path}: {key} is {value!r}; a number is needed")
    return float(value)


def _read_table(path: Path, text: str) -> tuple[dict[str, Any], set[str]]:
    """The columns of a table, optional ones filled in, and the names of those that were missing."""
    reader = csv.reader(io.StringIO(text))
    try:
        lines = [(reader.line_num, cells) for cells in reader if cells]
    except csv.Error as error:
        raise SnapshotError(f"{path}: line {reader.line_num} is not CSV: {error}") from error
    header = [cell.strip() for cell in lines[0][1]] if lines else []
    if repeated := sorted({column for column in header if header.count(column) > 1}):
        raise SnapshotError(f"{path}: columns {repeated} are there more than once")
    if unknown := [column for column in header if column not in COLUMNS]:
        raise SnapshotError(f"{path}: unknown columns {unknown}; allowed are {list(COLUMNS)}")
    missing = {column for column in COLUMNS if column not in header}
    if lacking := [c for c in COLUMNS if c in missing and c not in OPTIONAL_COLUMNS]:
        raise SnapshotError(
            f"{path}: columns {lacking} are missing; only {list(OPTIONAL_COLUMNS)} may be left out"
        )

    columns: dict[str, Any] = {column: [] for column in header}
    for line, cells in lines[1:]:
        if len(cells) != len(header):
            raise SnapshotError(
                f"{path}: line {line} has {len(cells)} values; the header has {len(header)}"
            )
        netuid = cells[header.index("netuid")]
        for column, cell in zip(header, cells, strict=True):
            try:
                columns[column].append(_read_cell(column, cell.strip()))
            except (ValueError, KeyError):
                raise SnapshotError(
                    f"{path}: column {column!r}, netuid {netuid} (line {line}): "
                    f"got {cell!r}; {_NEEDED[COLUMNS[column]]} is needed"
                ) from None
    n = len(lines) - 1
    columns.setdefault("moving_price", columns["spot_price"])
    columns.setdefault("miner_burned", [0.0] * n)
    columns.setdefault("emission_enabled", [True] * n)
    columns.setdefault("user_flow_ema", [0.0] * n)
    columns.setdefault("protocol_flow_ema", [0.0] * n)
    return columns, missing


_NEEDED = {
    np.bool_: "true or false",
    np.int64: f"a whole number from 0 to {_LAST_BLOCK}",
    np.float64: "a number",
}


def _read_cell(column: str, cell: str) -> int | float | bool:
    """The value of a cell; a ValueError or KeyError if it is none."""
    dtype = COLUMNS[column]
    if dtype is np.bool_:
        return _TRUTH[cell.lower()]
    value = int(cell) if dtype is np.int64 else float(cell)
    if math.isnan(value) or (dtype is np.int64 and not 0 <= value <= _LAST_BLOCK):
        raise ValueError
    return value
