"""Files of a snapshot (see `snapshot.py`): columns of the table, facts of the JSON, and their errors."""

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np

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
"""The columns of a table in their order, and their types."""

OPTIONAL_COLUMNS = (
    "moving_price",
    "miner_burned",
    "emission_enabled",
    "user_flow_ema",
    "protocol_flow_ema",
)
"""The columns that a table may leave out."""

IMPUTABLE_COLUMNS = ("registered_block", "alpha_outstanding", "spot_price", *OPTIONAL_COLUMNS)
"""The columns that may be listed as filled by assumption."""

LAST_BLOCK = 2**53
"""Largest block number, exact as a float64."""
_TRUTH = {"true": True, "1": True, "false": False, "0": False}


class SnapshotError(ValueError):
    """An unusable snapshot. The message names the place, what was got and what is allowed."""


def read_facts(path: Path, text: str) -> dict[str, Any]:
    """Content of the JSON file of a table; SnapshotError for wrong types."""
    try:
        facts = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SnapshotError(f"{path}: not JSON: {error}") from error
    if not isinstance(facts, dict):
        raise SnapshotError(f"{path}: got a {type(facts).__name__}; an object is needed")
    for key in ("name", "date"):
        if not isinstance(facts.get(key, ""), str):
            raise SnapshotError(f"{path}: {key} is {facts[key]!r}; a text is needed")
    imputed = facts.get("columns_imputed", [])
    if not (isinstance(imputed, list | dict) and all(c in IMPUTABLE_COLUMNS for c in imputed)):
        raise SnapshotError(
            f"{path}: columns_imputed is {imputed!r}; allowed are {list(IMPUTABLE_COLUMNS)}"
        )
    return facts


def _fact(path: Path, facts: dict[str, Any], key: str) -> Any:
    if key not in facts:
        raise SnapshotError(
            f"{path}: {key} is missing; write it into {path.with_suffix('.json').name} in the "
            "folder of the table, or give it to Snapshot.from_csv as a keyword"
        )
    return facts[key]


def whole_fact(path: Path, facts: dict[str, Any], key: str) -> int:
    """A whole number of the JSON; SnapshotError where it is missing or of another type."""
    value = _fact(path, facts, key)
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise SnapshotError(f"{path}: {key} is {value!r}; a whole number is needed")
    return int(value)


def number_fact(path: Path, facts: dict[str, Any], key: str) -> float:
    """A number of the JSON; SnapshotError where it is missing or of another type."""
    value = _fact(path, facts, key)
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise SnapshotError(f"{path}: {key} is {value!r}; a number is needed")
    try:
        return float(value)
    except OverflowError:
        raise SnapshotError(f"{path}: {key} is beyond the range of numbers") from None


def read_table(path: Path, text: str) -> tuple[dict[str, Any], set[str]]:
    """Columns of a table, optional ones filled in, and the missing names; SnapshotError for a bad table."""
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
    np.int64: f"a whole number from 0 to {LAST_BLOCK}",
    np.float64: "a number",
}


def _read_cell(column: str, cell: str) -> int | float | bool:
    """Value of a cell; ValueError or KeyError for a bad one."""
    dtype = COLUMNS[column]
    if dtype is np.bool_:
        return _TRUTH[cell.lower()]
    if dtype is np.int64:
        block = int(cell)
        if not 0 <= block <= LAST_BLOCK:
            raise ValueError
        return block
    value = float(cell)
    if math.isnan(value):
        raise ValueError
    return value
