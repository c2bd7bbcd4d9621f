"""A state of mainnet to start worlds from: a table of subnets, and a few numbers about the chain.

A snapshot on disk is `NAME.csv`, one row for each subnet, and in the same folder `NAME.json`, with the numbers about the
chain and their sources. Amounts are whole TAO and whole alpha (not rao), each at most 21 million; prices are TAO per alpha.
Flows are moving averages with a half-life of 30 days, in TAO per block: the net TAO that stakers bring to a subnet, and the
net TAO that the protocol puts in.

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

There are 1 to 128 rows. Root, netuid 0, has no row: its TAO is `root_stake_tao`. The JSON needs `block`, `root_stake_tao`
and `chain_issuance_tao`. Optional are `name`, `date`, `columns_imputed` and two numbers about the last registration of any
subnet: `last_lock_tao`, the TAO locked for it (0 to 21 million), and `last_registration_block` (0 to the block of the
snapshot). Worlds take the cost of their first registration from them. Other keys are ignored.
"""

from collections.abc import Iterable
from dataclasses import InitVar, dataclass, replace
from functools import cache, cached_property, lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, Self

import numpy as np

from dtao_gym.protocol.issuance import SUPPLY_CAP
from dtao_gym.protocol.lifecycle import MAX_SUBNETS
from dtao_gym.world.snapshot_files import (
    COLUMNS,
    IMPUTABLE_COLUMNS,
    LAST_BLOCK,
    SnapshotError,
    number_fact,
    read_facts,
    read_table,
    whole_fact,
)

SNAPSHOT_NAMES: tuple[str, ...] = (
    "mainnet-2026-06-14",
    "mainnet-2026-04-11",
    "mainnet-2026-09-06",
    "mainnet-2025-02-13",
)
"""The snapshots that come with the package, the default first; the last is the day on which pools began."""

OPTIONAL_FACTS = {"last_lock_tao": number_fact, "last_registration_block": whole_fact}
"""Numbers about the chain that may be missing, and how each is read."""

MAX_SUPPLY = int(SUPPLY_CAP)  # of TAO, and of the alpha of each subnet
MAX_FLOW = 1000  # TAO per block, more than a third of all TAO in a day
TAO_WEIGHT_RANGE = (0.01, 0.99)
EQUAL_WEIGHT_TOLERANCE = 1e-6  # a price of 9 decimals cannot distinguish closer weights

_ABOVE_ZERO = 5e-324  # the smallest positive number


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
    """The columns that the source lacks and an assumption fills, in every row or in some."""
    last_lock_tao: float | None = None
    """TAO locked for the last registration; None if not known."""
    last_registration_block: int | None = None
    """Block of the last registration; None if not known."""
    source: InitVar[str | None] = None
    """Name of the snapshot in errors: its file, for example."""

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
        """Weight of TAO in each pool, as reserves and price imply; 1/2 is constant product."""
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
        """A snapshot of the subnets at these positions, in this order, with the same numbers about the chain."""
        rows = np.array(list(indices), dtype=np.int64)
        return replace(self, **{column: getattr(self, column)[rows] for column in COLUMNS})

    def largest(self, n: int) -> Self:
        """A snapshot of the n subnets with most TAO in the pool, largest first; ties go to the lower netuid."""
        if not 1 <= n <= self.n_subnets:
            raise SnapshotError(
                f"snapshot {self.name!r}: asked for its {n} largest subnets; "
                f"allowed is 1 to {self.n_subnets}"
            )
        return self.take(np.lexsort((self.netuid, -self.tao_reserve))[:n])

    @classmethod
    def load(cls, name_or_path: str | Path) -> "Snapshot":
        """Load a snapshot by the path of a table, which ends in .csv, or else by its name in the package.

        A file is read at each call; while its content and that of its JSON stay the same, so does the object.
        """
        text = str(name_or_path)
        return cls.from_csv(text) if is_file(text) else cls.named(text)

    @classmethod
    def named(cls, name: str) -> "Snapshot":
        """Load a snapshot of the package, one of `SNAPSHOT_NAMES`."""
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
        """Read a table, and the JSON of the same stem and folder where there is one.

        Parameters
        ----------
        path : str or Path
            The table, a .csv file.
        name, block, root_stake_tao, chain_issuance_tao : optional
            Values that override those of the JSON.

        Raises
        ------
        SnapshotError
            For files that cannot be read, and for missing or bad values.
        """
        path = Path(path)
        try:
            path = path.expanduser()
            companion = path.with_suffix(".json")
            table = path.read_text(encoding="utf-8-sig")
            facts = companion.read_text(encoding="utf-8-sig") if companion.exists() else "{}"
        except (OSError, RuntimeError, UnicodeDecodeError) as error:
            raise SnapshotError(f"{path}: cannot be read as a snapshot: {error}") from error
        keywords = {
            "name": name,
            "block": block,
            "root_stake_tao": root_stake_tao,
            "chain_issuance_tao": chain_issuance_tao,
        }
        given = {key: value for key, value in keywords.items() if value is not None}
        return _parse(path, table, facts, given) if given else _parsed(path, table, facts)

    def _chain_problem(self) -> str | None:
        """Message about a bad number of the chain, or None."""
        for key, low, high in (
            ("block", 0, LAST_BLOCK),
            ("root_stake_tao", 0, MAX_SUPPLY),
            ("chain_issuance_tao", 0, MAX_SUPPLY),
            ("last_lock_tao", 0, MAX_SUPPLY),
            ("last_registration_block", 0, self.block),
        ):
            value = getattr(self, key)
            if value is None and key in OPTIONAL_FACTS:
                continue
            if value is None or not low <= value <= high:
                return f"{key} is {value!r}; allowed is {low} to {high}"
        return None

    def _rows_problem(self) -> str | None:
        """Message about a bad column or cell, or None."""
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
        """Message where root and pools hold more TAO than was issued, or None."""
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


def is_file(genesis: str) -> bool:
    """Whether the text is a path of a table, not a name."""
    return genesis.lower().endswith(".csv")


@lru_cache(maxsize=16)
def _parsed(path: Path, table: str, facts: str) -> Snapshot:
    """The snapshot in files of this content, the same object as long as it is kept."""
    return _parse(path, table, facts, {})


@cache
def _packaged(name: str) -> Snapshot:
    folder = resources.files("dtao_gym") / "data"
    table, facts = ((folder / f"{name}.{kind}").read_text("utf-8") for kind in ("csv", "json"))
    return _parse(Path(f"{name}.csv"), table, facts, {})


def _parse(path: Path, table: str, facts_text: str, given: dict[str, Any]) -> Snapshot:
    facts = read_facts(path.with_suffix(".json"), facts_text) | given
    columns, missing = read_table(path, table)
    imputed = missing | set(facts.get("columns_imputed", ()))
    return Snapshot(
        name=facts.get("name", path.stem),
        date=facts.get("date"),
        block=whole_fact(path, facts, "block"),
        root_stake_tao=number_fact(path, facts, "root_stake_tao"),
        chain_issuance_tao=number_fact(path, facts, "chain_issuance_tao"),
        imputed=tuple(column for column in IMPUTABLE_COLUMNS if column in imputed),
        source=str(path),
        **{key: read(path, facts, key) for key, read in OPTIONAL_FACTS.items() if key in facts},
        **columns,
    )
