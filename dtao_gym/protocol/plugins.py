"""Emission rules that users write: how they are registered, compiled, checked and called.

A rule is a function of a `Market` that returns one share per subnet. It is compiled once, when it is
registered, into a function with a plain address; a world holds the address as a number, so that the engine
calls a stranger's rule without being compiled again. Addresses differ from process to process: a saved state
or a configuration names a rule, best by its import path `package.module:function`.
"""

import functools
import importlib
import inspect
import os
import re
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit, types
from numba.core import errors

from dtao_gym.protocol.allocation import ALLOCATIONS, USER_RULE, Market
from dtao_gym.protocol.plugin_calls import (
    FAULTS,
    MARKET_TYPE,
    SUM_TOLERANCE,
    apply_user_rule,
    c_function,
)

__all__ = [
    "FAULTS",
    "AllocationRule",
    "RuleError",
    "allocation_id",
    "allocation_rule",
    "apply_user_rule",
    "check_shares",
    "resolve",
]

_ALLOWED = "shares must be finite, at least 0, and add up to 1 or be all 0"
_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_IMPORT_PATH = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")

RuleFunction = Callable[[Market], np.ndarray]


class RuleError(ValueError):
    """An unusable emission rule, or one asked for what it cannot answer. The message is one line."""


# --- a rule, compiled


class AllocationRule:
    """A user's emission rule, compiled. Calling it on a `Market` returns the checked shares, `(n,)` float64.

    Attributes:
        name: what configurations and tables call it.
        import_path: `package.module:function`, by which other processes find it.
        address: of the compiled function, valid in this process for as long as it lives.
        columns: the columns of `Market` that its source names; all of them where it names none.
    """

    def __init__(self, name: str, function: RuleFunction):
        self.name = name
        self.function = function
        self.import_path = f"{function.__module__}:{function.__qualname__}"
        self.columns = tuple(c for c in Market._fields if c in _names(function)) or Market._fields
        # an index out of range must be an exception, and not a stranger's memory
        self._compiled = njit(error_model="numpy", boundscheck=True)(function)
        try:
            self._compiled.compile((MARKET_TYPE,))
            returned = self._compiled.overloads[(MARKET_TYPE,)].signature.return_type
        except Exception as error:
            raise RuleError(
                f"rule {name!r} does not compile: {_one_line(error, function)}"
            ) from None
        if not (
            isinstance(returned, types.Array)
            and returned.ndim == 1
            and returned.dtype == types.float64
        ):
            raise RuleError(
                f"rule {name!r} returns {_plain(str(returned))}; "
                "a float64 array with one share per subnet is needed"
            )
        self._entry = c_function(self._compiled)
        self.address: int = self._entry.address
        functools.update_wrapper(self, function)

    def __call__(self, market: Market) -> np.ndarray:
        shares = self._evaluate(market)
        check_shares(self.name, shares)
        return shares

    def __repr__(self) -> str:
        return f"<emission rule {self.name!r}, {self.import_path}>"

    def _evaluate(self, market: Market) -> np.ndarray:
        """What the rule returns, of the right length and not checked any further."""
        columns = [np.ascontiguousarray(column, np.float64).view() for column in market]
        shapes = {column.shape for column in columns}
        if len(shapes) != 1 or columns[0].ndim != 1:
            raise RuleError(
                f"rule {self.name!r}: the columns of a market are vectors of one length; "
                f"got shapes {sorted(shapes)}"
            )
        for column in columns:
            column.flags.writeable = False
        try:
            shares = np.array(self._compiled(Market(*columns)))
        except Exception as error:
            raise RuleError(
                f"rule {self.name!r} raised {type(error).__name__}: {' '.join(str(error).split())}"
            ) from None
        if shares.shape != columns[0].shape:
            raise RuleError(
                f"rule {self.name!r} returns {shares.size} shares for {columns[0].size} subnets"
            )
        return shares


def _names(function: Any) -> set[str]:
    """Every name in the code of a function and of the compiled functions that it calls."""
    names: set[str] = set()
    seen: set[Any] = set()
    waiting = [function]
    while waiting:
        function = waiting.pop()
        if function in seen:
            continue
        seen.add(function)
        closed = inspect.getclosurevars(function)
        names |= set(function.__code__.co_names)
        for code in function.__code__.co_consts:
            names |= set(getattr(code, "co_names", ()))
        called = [*closed.globals.values(), *closed.nonlocals.values()]
        waiting += [f.py_func for f in called if hasattr(f, "py_func")]
    return names


_ESCAPE = re.compile(r"\x1b\[[0-9;]*m")
_PLACE = re.compile(r'File "([^"]+)", line (\d+)')


def _plain(message: str) -> str:
    """A message of numba's with its type names as a user would say them."""
    message = re.sub(r"Market\((readonly )?array\(float64, 1d, C\) x \d+\)", "Market", message)
    message = re.sub(r"(readonly )?array\((\w+), (\d)d, \w+\)", r"\3-dimensional \2 array", message)
    return re.sub(r"Function\(<[\w-]+(?: function)? (\S+?)(?: at \w+)?>\)", r"\1", message)


def _one_line(error: Exception, function: RuleFunction) -> str:
    """`file:line: what is wrong` from a page of numba's."""
    text = _ESCAPE.sub("", str(error))
    code = function.__code__
    file, line = code.co_filename, code.co_firstlineno
    place = getattr(error, "loc", None)
    if place is not None:
        file, line = place.filename, place.line
    elif found := _PLACE.search(text):
        file, line = found[1], found[2]
    said = []
    for part in text.splitlines():
        part = part.strip()
        if part.startswith(("Failed in nopython", "Return of:")) or not (part or said):
            continue
        if part.startswith(("File ", "During:", "There are ", "Overload")):
            break
        said.append(part.removeprefix(">>> "))
    message = re.sub(r"\.* Raised from .*", "", " ".join(filter(None, said)))
    if why := re.search(r"^\s*TypingError: (.+)$", text, re.M):
        message += f": {why[1]}"
    if not isinstance(error, errors.NumbaError):
        message = f"{type(error).__name__}: {message}"
    if "setitem(readonly" in text or "has no attribute 'args'" in text:  # numba stumbles over `+=`
        message += "; the columns of a market cannot be changed in place: copy first"
    elif "Unknown attribute" in message and "Market" in message:
        message += f"; it has {', '.join(Market._fields)}"
    return f"{_shown_path(file)}:{line}: {_plain(message)}"


def _shown_path(file: str) -> str:
    """Relative to the working directory where it lies in it."""
    if file.startswith("<"):  # not a file: typed in
        return file
    file = os.path.abspath(file)
    try:
        relative = os.path.relpath(file)
    except ValueError:  # another drive
        return file
    return file if relative.startswith("..") else relative


# --- what a rule must return


def check_shares(name: str, shares: np.ndarray) -> None:
    """Raise a `RuleError` unless the shares of a rule are finite, at least 0, and add up to 1 or are all 0."""
    if problem := _shares_problem(np.asarray(shares, np.float64)):
        raise RuleError(f"rule {name!r} returns {problem}; {_ALLOWED}")


def _shares_problem(shares: np.ndarray) -> str | None:
    wrong = ~np.isfinite(shares)
    if not wrong.any():
        wrong = shares < 0.0
    if wrong.any():
        k = int(wrong.argmax())
        return f"{shares[k]:g} for subnet {k + 1} of {shares.size} ({_listed(shares)})"
    total = float(shares.sum())
    if total == 0.0 or abs(total - 1.0) <= SUM_TOLERANCE:
        return None
    return f"shares that add up to {total:.10g} ({_listed(shares)})"


def _listed(shares: np.ndarray) -> str:
    more = ", ..." if shares.size > 4 else ""
    return ", ".join(f"{x:.4g}" for x in shares[:4]) + more


def _market(n: int, seed: int, **changed: Any) -> Market:
    """A drawn market of n subnets, some columns replaced."""
    random = np.random.default_rng([seed, n])
    columns = {
        "moving_price": np.minimum(random.lognormal(-4.5, 1.2, n), 1.0),
        "spot_price": random.lognormal(-4.5, 1.2, n),
        "miner_burned": random.random(n) * (random.random(n) < 0.5),
        "emission_enabled": (random.random(n) < 0.9).astype(float),
        "user_flow_ema": random.normal(0.0, 0.01, n),
        "protocol_flow_ema": random.normal(0.004, 0.01, n),
        "root_proportion": random.uniform(0.1, 1.0, n),
        "signal": random.lognormal(3.0, 1.0, n),
        "votes": random.dirichlet(np.ones(n + 1))[:n],
        "age_days": random.uniform(0.0, 900.0, n),
        "knowledge_disclosed": random.exponential(1.0, n),
    } | {name: np.full(n, value) for name, value in changed.items()}
    return Market(**columns)


def _probes() -> list[tuple[str, Market]]:
    """Markets that every rule must answer, each with a name in words."""
    free = {"moving_price": 0.0, "spot_price": 0.0}
    unknown = dict.fromkeys(Market._fields, 0.0) | {"emission_enabled": 1.0}
    return [
        ("a drawn market of one subnet", _market(1, 0)),
        *((f"a drawn market of {n} subnets", _market(n, 0)) for n in (3, 64, 128)),
        *((f"another drawn market of {n} subnets", _market(n, 1)) for n in (3, 64)),
        ("a market of 3 subnets whose prices are all 0", _market(3, 2, **free)),
        ("a market of one subnet whose price is 0", _market(1, 2, **free)),
        ("a market of 64 subnets whose prices are all 1", _market(64, 2, moving_price=1.0)),
        ("a market of 3 subnets with emission disabled", _market(3, 3, emission_enabled=0.0)),
        ("a market of 3 subnets whose miners burn everything", _market(3, 4, miner_burned=1.0)),
        (
            "a market of 64 subnets that stakers leave",
            _market(64, 5, user_flow_ema=-0.01, protocol_flow_ema=-0.01),
        ),
        ("a market of 3 subnets not started yet", _market(3, 6, age_days=-1.0)),
        ("a market of 64 subnets about which nothing is known", _market(64, 7, **unknown)),
    ]


def _probe(found: AllocationRule) -> None:
    """Raise a `RuleError` if the rule fails on one of the probes, or answers one twice differently."""
    for state, market in _probes():
        try:
            shares = found._evaluate(market)
            again = found._evaluate(market)
        except RuleError as error:
            raise RuleError(f"{error} (on {state})") from None
        if problem := _shares_problem(shares):
            raise RuleError(f"rule {found.name!r} returns {problem} on {state}; {_ALLOWED}")
        if not np.array_equal(shares, again):
            raise RuleError(
                f"rule {found.name!r} returns other shares when asked again on {state}; "
                "a rule may depend on the market alone"
            )


# --- names

_RULES: dict[str, AllocationRule] = {}
_EVER: list[AllocationRule] = []  # a world may still hold the address of a rule that was replaced


def allocation_rule(name: str) -> Callable[[RuleFunction], AllocationRule]:
    """Decorator that registers a function `rule(market) -> shares` as an emission rule.

    `market` is a `Market` of read-only float64 arrays, one entry per subnet; `shares` is a float64 array of
    the same length, at least 0, adding up to 1, or all 0 to emit nothing. The function must be one that numba
    compiles, and depend on the market alone. Subnets with emission disabled are dealt with afterwards, as
    the chain does: their shares go to the others in proportion.

    Args:
        name: letters, digits and underscores; none of `ALLOCATIONS`.

    Raises:
        RuleError: the name is not allowed or taken, the function does not compile, or it returns something
            else than shares on one of a few trial markets.
    """
    if not (isinstance(name, str) and _NAME.fullmatch(name)):
        got = "no name" if callable(name) else repr(name)
        raise RuleError(
            f"allocation_rule: got {got}; a rule needs a name of letters, digits and underscores, "
            '@allocation_rule("my_rule")'
        )
    if name in ALLOCATIONS:
        raise RuleError(f"rule {name!r} is built in; give yours another name")
    return functools.partial(_register, name)


def _register(name: str, function: Any) -> AllocationRule:
    if isinstance(function, AllocationRule):
        function = function.function
    function = getattr(function, "py_func", function)  # of a function that numba wrapped already
    if not inspect.isfunction(function):
        raise RuleError(f"rule {name!r}: got a {type(function).__name__}; a function is needed")
    parameters = inspect.signature(function).parameters.values()
    if [p.kind for p in parameters] != [inspect.Parameter.POSITIONAL_OR_KEYWORD]:
        raise RuleError(
            f"rule {name!r}: the function takes ({', '.join(map(str, parameters))}); "
            "it must take the market and nothing else"
        )
    taken = _RULES.get(name)
    if taken is not None and not _same_place(taken.function, function):
        raise RuleError(
            f"rule {name!r} is registered already, by {taken.import_path} "
            f"({_shown_path(taken.function.__code__.co_filename)}); give this one another name"
        )
    made = AllocationRule(name, function)
    _probe(made)
    _RULES[name] = made
    _EVER.append(made)
    return made


def _same_place(one: Any, other: Any) -> bool:
    """Whether two functions are one and the same as written: its module was loaded again, or twice."""
    if one.__qualname__ != other.__qualname__:
        return False
    files = one.__code__.co_filename, other.__code__.co_filename
    return one.__module__ == other.__module__ or files[0] == files[1]


def resolve(name: str) -> AllocationRule:
    """A user's rule by its registered name, or by an import path `package.module:function`.

    A plain function is registered under its import path.

    Raises:
        RuleError: nothing usable is found under the name.
    """
    if name in _RULES and ":" not in name:
        return _RULES[name]
    if ":" not in name:
        known = ", ".join([*ALLOCATIONS, *sorted(n for n in _RULES if ":" not in n)])
        raise RuleError(
            f"unknown emission rule {name!r}; allowed are {known}, "
            "or the import path of your own, package.module:function"
        )
    if not _IMPORT_PATH.fullmatch(name):
        raise RuleError(f"emission rule {name!r}: an import path is package.module:function")
    module_name, attribute = name.split(":")
    try:
        module = importlib.import_module(module_name)
    except RuleError:
        raise
    except Exception as error:
        said = " ".join(str(error).split())
        raise RuleError(
            f"emission rule {name!r}: importing {module_name} failed: {type(error).__name__}: {said}"
        ) from None
    found = getattr(module, attribute, None)
    if isinstance(found, AllocationRule):
        return found
    if found is None:
        raise RuleError(f"emission rule {name!r}: module {module_name} has no {attribute!r}")
    known = _RULES.get(name)
    if known is not None and known.function is getattr(found, "py_func", found):
        return known
    return _register(name, found)


def allocation_id(name: str) -> tuple[int, int]:
    """(id, address) of a rule: of `ALLOCATIONS` and 0, or `USER_RULE` and where the compiled rule lies."""
    if name in ALLOCATIONS:
        return ALLOCATIONS[name], 0
    return USER_RULE, resolve(name).address
