"""Chain vectors as input: named values that are checked when they are read, eras by label, amounts in rao."""

import math
import re
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from dtao_gym.protocol.institutions import ERAS
from dtao_gym.protocol.issuance import emission_per_block
from dtao_gym.protocol.pool import ReserveLimits

RAO = 10**9
U16, U63, U64 = 2**16 - 1, 2**63 - 1, 2**64 - 1
SUPPLY_RAO = 21_000_000 * RAO
OWNER_CUT_U16 = 11796
MAX_COUNT = 10**6
"""Most times that a vector may repeat a step; those of the chain do so up to 216,000 times."""


class VectorError(ValueError):
    """A vector that cannot be run as it is written; the message says why."""


def is_number(value: Any) -> bool:
    """Whether a value read from JSON is a finite number, which true and false are not."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300


class Inputs:
    """Named values of a vector, checked as they are read. Raises `VectorError`."""

    def __init__(self, values: Any, where: str = "inputs"):
        if not isinstance(values, dict):
            raise VectorError(f"{where}: got {values!r}, allowed is an object")
        self._values, self._where = values, where
        self._read: set[str] = set()
        self._parts: list[Inputs] = []

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def _get(self, name: str, default: Any) -> Any:
        self._read.add(name)
        if name not in self._values and default is None:
            raise VectorError(f"{self._where}: {name} is missing")
        return self._values.get(name, default)

    def _refuse(self, name: str, value: Any, allowed: str) -> VectorError:
        return VectorError(f"{self._where}.{name}: got {value!r}, allowed is {allowed}")

    def _as_number(self, name: str, value: Any) -> float:
        if not is_number(value):
            raise self._refuse(name, value, "a finite number")
        return float(value)

    def number(self, name: str, default: float | None = None) -> float:
        """A finite number."""
        value = self._get(name, default)
        return self._as_number(name, value) if name in self else float(value)

    def between_0_and_1(self, name: str, default: float | None = None) -> float:
        """A number above 0 and below 1."""
        value = self.number(name, default)
        if not 0.0 < value < 1.0:
            raise self._refuse(name, value, "above 0 and below 1")
        return value

    def number_or_null(self, name: str) -> float:
        """A finite number; 0 if it is null or missing."""
        value = self._get(name, 0.0)
        return 0.0 if value is None else self._as_number(name, value)

    def rao(self, name: str, default: int | None = None) -> int:
        """A whole number that is not negative."""
        value = self._get(name, default)
        if self._as_number(name, value) < 0 or value != int(value):
            raise self._refuse(name, value, "a whole number, 0 or more")
        return int(value)

    def count(self, name: str, default: int | None = None) -> int:
        """A whole number of times to do something, 0 to `MAX_COUNT`."""
        value = self.rao(name, default)
        if value > MAX_COUNT:
            raise self._refuse(name, value, f"0 to {MAX_COUNT}")
        return value

    def rao_or_null(self, name: str) -> int | None:
        """A whole number that is not negative, or null."""
        return None if self._get(name, 0) is None else self.rao(name)

    def rao_list(self, name: str, length: int | None = None) -> list[int]:
        """A list of whole numbers that are not negative, exact at any size."""
        values = self._get(name, None)
        self.numbers(name, length)
        if any(value < 0 or value != int(value) for value in values):
            raise self._refuse(name, values, "a list of whole numbers, 0 or more")
        return [int(value) for value in values]

    def tokens(self, name: str, default: int | None = None) -> float:
        """An amount of rao in whole tokens."""
        return tokens(self.rao(name, default))

    def token_list(self, name: str, length: int | None = None) -> np.ndarray:
        """Amounts of rao in whole tokens."""
        return np.array([tokens(rao) for rao in self.rao_list(name, length)])

    def flag(self, name: str, default: bool | None = None) -> bool:
        """True or false."""
        value = self._get(name, default)
        if not isinstance(value, bool):
            raise self._refuse(name, value, "true or false")
        return value

    def text(self, name: str, allowed: tuple[str, ...]) -> str:
        """One of some words."""
        value = self._get(name, None)
        if value not in allowed:
            raise self._refuse(name, value, " or ".join(allowed))
        return value

    def numbers(
        self, name: str, length: int | None = None, default: float | None = None
    ) -> np.ndarray:
        """A list of finite numbers (true and false count as 1 and 0), or as many defaults."""
        value = self._get(name, None if default is None else [default] * (length or 0))
        if not isinstance(value, list) or (length is not None and len(value) != length):
            raise self._refuse(name, value, f"a list of {length or ''} numbers".replace("  ", " "))
        return np.array([self._as_number(name, v + 0 if isinstance(v, bool) else v) for v in value])

    def weights(self, name: str, length: int) -> np.ndarray:
        """`length` weights and one for null, from a list of pairs: an index or null, and a weight."""
        pairs = self._get(name, None)
        places = {**{index: index for index in range(length)}, None: length}
        weights = np.zeros(length + 1)
        for pair in pairs if isinstance(pairs, list) else [pairs]:
            if not isinstance(pair, list) or len(pair) != 2 or pair[0] not in places:
                allowed = f"a list of pairs [0 to {length - 1} or null, weight]"
                raise self._refuse(name, pairs, allowed)
            weights[places[pair[0]]] += self._as_number(name, pair[1])
        if not (weights.min() >= 0.0 and weights.sum() > 0.0):
            raise self._refuse(name, pairs, "weights of 0 or more, one of them positive")
        return weights

    def matrix(self, name: str, rows: int) -> np.ndarray:
        """A list of `rows` lists of numbers, all of one length."""
        value = self._get(name, None)
        allowed = f"{rows} lists of numbers, all of one length"
        if not isinstance(value, list) or len(value) != rows or not rows:
            raise self._refuse(name, value, allowed)
        if any(not isinstance(row, list) or len(row) != len(value[0]) for row in value):
            raise self._refuse(name, value, allowed)
        return np.array([[self._as_number(name, number) for number in row] for row in value])

    def table(self, name: str) -> dict[str, float]:
        """An object of numbers."""
        value = self._get(name, None)
        if not isinstance(value, dict):
            raise self._refuse(name, value, "an object")
        return {key: self._as_number(f"{name}.{key}", number) for key, number in value.items()}

    def part(self, name: str, index: int | str) -> "Inputs":
        """An object within a list or an object."""
        part = Inputs(self._get(name, None)[index], f"{self._where}.{name}[{index}]")
        self._parts.append(part)
        return part

    def parts(self, name: str) -> "dict[int | str, Inputs]":
        """All objects of a list or an object."""
        value = self._get(name, None)
        if not isinstance(value, list | dict):
            raise self._refuse(name, value, "a list or an object")
        keys = value if isinstance(value, dict) else range(len(value))
        return {key: self.part(name, key) for key in keys}

    def check_all_read(self) -> None:
        """Raise a `VectorError` if a value has not been read."""
        unknown = sorted(set(self._values) - self._read)
        if unknown:
            raise VectorError(f"{self._where}: unknown {', '.join(unknown)}")
        for part in self._parts:
            part.check_all_read()


class Rules(NamedTuple):
    """Rules of an era, a part of `institutions.Era`."""

    allocation: str
    injection: str
    chain_bought: str
    root_dividend: str
    root_gate: str
    seeding: str
    min_reserve: float
    min_reserve_tested: str

    @property
    def limits(self) -> ReserveLimits:
        """Reserves that a swap may meet or leave."""
        if self.min_reserve_tested == "before":
            return ReserveLimits(self.min_reserve, 0.0)
        return ReserveLimits(0.0, self.min_reserve)


RULES = {name: Rules(*(getattr(era, part) for part in Rules._fields)) for name, era in ERAS.items()}
"""Rules by the name of an era."""

LABELS = {
    "pre-dtao": "pre_dtao",
    "launch": "launch",
    "launch_v3": "launch_v3",
    "subsidy": "subsidy",
    "taoflow": "tao_flow",
    "netflow": "net_flow",
    "price_rootprop": "price_rootprop",
    "head": "price_burn",
    "price_burn_gate": "price_burn_gate",
    "root_reborn": "root_reborn",
    "root_curated": "root_curated",
    "pre_dtao": "pre_dtao",
    "tao_flow": "tao_flow",
    "net_flow": "net_flow",
    "price_burn": "price_burn",
    "all": "price_burn",
    "legacy-subnet": "price_burn",
}
"""Eras by the label of a vector: labels of the chain vectors, names of the package, and two for all eras."""

_FIRST_SPECS = sorted(
    [(464, "root_reborn"), *((era.spec_version, era.name) for era in ERAS.values())], reverse=True
)
"""Eras by the first version of the runtime that had their rules, the last first."""


def rules_of(label: str) -> Rules:
    """Rules of an era label, for several eras (`a..b`, `a/b`, `spec320+`) of the last. Raises `VectorError`.

    A label may be a version of the chain (`spec421-424`), or a name with a version (`taoflow(spec342-361)`).
    """
    last = re.split(r"\.\.|/", label.strip())[-1].strip()
    match = re.fullmatch(r"([a-z0-9_-]*?)\s*\(?(?:spec(\d+)(\+|-\d+)?)?\)?", last)
    name, first, more = match.groups() if match else (last, None, None)
    spec = int(first) if first else None
    if not name and spec is not None:
        name = "head" if more == "+" else next(era for since, era in _FIRST_SPECS if spec >= since)
    if name not in LABELS:
        known = ", ".join(LABELS)
        raise VectorError(f"era: got {label!r}, known are {known} and versions like spec421-424")
    era = LABELS[name]
    if era == "tao_flow" and spec is not None and spec < 362:
        return RULES[era]._replace(injection="alpha_emission_bought")
    if era == "net_flow" and (spec is None or spec < 413):  # kept by the chain since 413
        return RULES[era]._replace(chain_bought="destroyed")
    return RULES[era]


def tokens(rao: int) -> float:
    """Whole tokens, rounded once from the exact number."""
    return float(Fraction(rao, RAO))


def floor_rao(amount: float) -> int:
    """Whole rao of an amount in tokens, rounded up only within 1e-6 rao of the next whole number."""
    return math.floor(amount * RAO + 1e-6)


def floors(amounts: dict[str, float]) -> dict[str, Any]:
    """`floor_rao` of amounts by name; the names get the ending `_rao`."""
    return {f"{name}_rao": floor_rao(amount) for name, amount in amounts.items()}


def emission_rao(issuance_rao: int) -> int:
    """Emission per block at an issuance; the remaining supply is an exact integer."""
    return floor_rao(emission_per_block(tokens(SUPPLY_RAO - issuance_rao)))
