"""Emission rules that users write: registering, compiling, checking and calling them.

A rule is a function of a `Market` that returns one share per subnet. It is compiled when it is registered, into a
function with a plain address; a world holds the address as a number, so that the engine calls a user's rule without
being compiled again. Addresses differ from process to process: a saved state or a configuration names a rule, best by
its import path `package.module:function`.
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
from dtao_gym.protocol.trial_markets import trial_markets
from dtao_gym.protocol.trials import fault_of_trial

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
    """An unusable emission rule, or inputs that a rule cannot be applied to. The message is one line."""


# --- a rule, compiled


class AllocationRule:
    """A user's emission rule, compiled. Calling it on a `Market` returns the checked shares, `(n,)` float64.

    Attributes
    ----------
    name : str
        Name in configurations and tables.
    import_path : str
        `package.module:function`, by which other processes find it.
    address : int
        Address of the compiled function, valid in this process while it lives.
    columns : tuple of str
        Columns of `Market` that its source names; all of them if it names none.
    """

    def __init__(self, name: str, function: RuleFunction):
        self.name = name
        self.function = function
        self.import_path = f"{function.__module__}:{function.__qualname__}"
        self.columns = tuple(c for c in Market._fields if c in _names(function)) or Market._fields
        # an index out of range must raise, not read other memory
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
        """Return the checked shares of a market, `(n,)` float64."""
        shares = self._evaluate(market)
        check_shares(self.name, shares)
        return shares

    def __repr__(self) -> str:
        return f"<emission rule {self.name!r}, {self.import_path}>"

    def _evaluate(self, market: Market) -> np.ndarray:
        """Result of the rule; only its length is checked."""
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
    """All names in the code of a function and of the compiled functions that it calls."""
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
    """A message of Numba's with its types in readable form."""
    message = re.sub(r"Market\((readonly )?array\(float64, 1d, C\) x \d+\)", "Market", message)
    message = re.sub(r"(readonly )?array\((\w+), (\d)d, \w+\)", r"\3-dimensional \2 array", message)
    return re.sub(r"Function\(<[\w-]+(?: function)? (\S+?)(?: at \w+)?>\)", r"\1", message)


def _one_line(error: Exception, function: RuleFunction) -> str:
    """`file:line: message` from a page of Numba's."""
    text = _ESCAPE.sub("", str(error))
    code = function.__code__
    file, line = code.co_filename, code.co_firstlineno
    place = getattr(error, "loc", None)
    if place is not None:
        file, line = place.filename, place.line
    elif match := _PLACE.search(text):
        file, line = match[1], match[2]
    parts = []
    for part in text.splitlines():
        part = part.strip()
        if part.startswith(("Failed in nopython", "Return of:")) or not (part or parts):
            continue
        if part.startswith(("File ", "During:", "There are ", "Overload")):
            break
        parts.append(part.removeprefix(">>> "))
    message = re.sub(r"\.* Raised from .*", "", " ".join(filter(None, parts)))
    if reason := re.search(r"^\s*TypingError: (.+)$", text, re.M):
        message += f": {reason[1]}"
    if not isinstance(error, errors.NumbaError):
        message = f"{type(error).__name__}: {message}"
    if "setitem(readonly" in text or "has no attribute 'args'" in text:  # of Numba, for `+=`
        message += "; the columns of a market cannot be changed in place: copy first"
    elif "Unknown attribute" in message and "Market" in message:
        message += f"; it has {', '.join(Market._fields)}"
    return f"{_shown_path(file)}:{line}: {_plain(message)}"


def _shown_path(file: str) -> str:
    """A path, relative to the working directory if it lies there."""
    if file.startswith("<"):  # source that was typed in
        return file
    file = os.path.abspath(file)
    try:
        relative = os.path.relpath(file)
    except ValueError:  # another drive
        return file
    return file if relative.startswith("..") else relative


# --- checks of a rule's shares


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
        return f"{shares[k]:g} for subnet {k + 1} of {shares.size} ({_first_shares(shares)})"
    total = float(shares.sum())
    if total == 0.0 or abs(total - 1.0) <= SUM_TOLERANCE:
        return None
    return f"shares that add up to {total:.10g} ({_first_shares(shares)})"


def _first_shares(shares: np.ndarray) -> str:
    more = ", ..." if shares.size > 4 else ""
    return ", ".join(f"{x:.4g}" for x in shares[:4]) + more


def _probe(rule: AllocationRule) -> None:
    """Raise a `RuleError` if the rule fails on a trial market, or returns other shares the second time."""
    trials = trial_markets()
    if fault := fault_of_trial(rule.address, [market for _, market in trials]):
        raise RuleError(f"rule {rule.name!r} {fault}")
    for state, market in trials:
        try:
            shares = rule._evaluate(market)
            again = rule._evaluate(market)
        except RuleError as error:
            raise RuleError(f"{error} (on {state})") from None
        if problem := _shares_problem(shares):
            raise RuleError(f"rule {rule.name!r} returns {problem} on {state}; {_ALLOWED}")
        if not np.array_equal(shares, again):
            raise RuleError(
                f"rule {rule.name!r} returns other shares when asked again on {state}; "
                "a rule may depend on the market alone"
            )


# --- names

_RULES: dict[str, AllocationRule] = {}
_KEPT: list[AllocationRule] = []  # a world may still hold the address of a rule that was replaced


def allocation_rule(name: str) -> Callable[[RuleFunction], AllocationRule]:
    """Decorator that registers a function `rule(market) -> shares` as an emission rule.

    The function must be one that Numba compiles, and must depend on the market alone. As on the chain, subnets with
    emission disabled are dealt with afterwards: their shares go to the others in proportion.

    Parameters
    ----------
    name : str
        Letters, digits and underscores; none of `ALLOCATIONS`.

    Returns
    -------
    callable
        Takes the function, returns it as an `AllocationRule`. `market` is a `Market` of read-only `(n,)` float64
        arrays; `shares` is `(n,)` float64, at least 0, adding up to 1, or all 0 to emit nothing.

    Raises
    ------
    RuleError
        The name is not allowed or taken, the function does not compile, or on one of a few trial markets it returns
        something else than shares, or does not end.
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
    function = getattr(function, "py_func", function)  # Numba wrapped it already
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
    _KEPT.append(made)
    return made


def _same_place(one: Any, other: Any) -> bool:
    """Whether two functions have the same source: their module was loaded again, or twice."""
    if one.__qualname__ != other.__qualname__:
        return False
    files = one.__code__.co_filename, other.__code__.co_filename
    return one.__module__ == other.__module__ or files[0] == files[1]


def resolve(name: str) -> AllocationRule:
    """A user's rule by its registered name, or by an import path `package.module:function`.

    A plain function is registered under its import path.

    Raises
    ------
    RuleError
        No usable rule has the name.
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
        message = " ".join(str(error).split())
        raise RuleError(
            f"emission rule {name!r}: importing {module_name} failed: {type(error).__name__}: {message}"
        ) from None
    function = getattr(module, attribute, None)
    if isinstance(function, AllocationRule):
        return function
    if function is None:
        raise RuleError(f"emission rule {name!r}: module {module_name} has no {attribute!r}")
    known = _RULES.get(name)
    if known is not None and known.function is getattr(function, "py_func", function):
        return known
    return _register(name, function)


def allocation_id(name: str) -> tuple[int, int]:
    """(id, address) of a rule: one of `ALLOCATIONS` and 0, or `USER_RULE` and that of the compiled function."""
    if name in ALLOCATIONS:
        return ALLOCATIONS[name], 0
    return USER_RULE, resolve(name).address
