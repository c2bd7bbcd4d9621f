"""Errors of configurations: their classes, and the one line that each becomes."""

import difflib
import reprlib
from typing import Any

from pydantic import BaseModel

MOST_SHOWN = 200
"""Longest text of a value in a message."""
MOST_PROBLEMS = 10
"""Largest number of problems that one message names."""

_short = reprlib.Repr()
_short.maxlevel, _short.maxlist, _short.maxtuple, _short.maxdict = 4, 8, 8, 8
_short.maxstring = _short.maxother = _short.maxlong = MOST_SHOWN


class ConfigError(ValueError):
    """An unknown, mistyped or out-of-range parameter; the message names it, its value and what is allowed."""


class UnknownKeyword(ConfigError, TypeError):
    """A keyword that is no parameter; also a TypeError, as of any function that does not know a keyword."""


def shown(value: Any) -> str:
    """The value as a message shows it: its repr, abbreviated where it is long."""
    try:
        text = _short.repr(value)
    except ValueError:  # an integer of more digits than Python prints
        return f"a huge {type(value).__name__}"
    return cut(text)


def cut(text: str, most: int = MOST_SHOWN) -> str:
    """The text, cut where it is longer than `most`."""
    return text if len(text) <= most else f"{text[:most]}..."


def refusal(problems: list[Any], cls: type[BaseModel], keywords: Any = ()) -> ConfigError:
    """The error for pydantic's problems with a model; `keywords` were given as such, not in a mapping or a file."""
    lines = [line_of_problem(problem, cls) for problem in problems[:MOST_PROBLEMS]]
    unknown = [
        str(problem["loc"][0])
        for problem in problems
        if problem["type"] == "extra_forbidden" and problem["loc"][0] in keywords
    ]
    if len(problems) > MOST_PROBLEMS:
        lines.append(f"{len(problems) - MOST_PROBLEMS} more problems")
    if unknown:
        names = ", ".join(f"unexpected keyword argument {cut(name)!r}" for name in unknown[:8])
        return UnknownKeyword(f"{'; '.join(lines)} ({names})")
    return ConfigError("; ".join(lines))


def line_of_problem(problem: Any, cls: type[BaseModel]) -> str:
    """One pydantic error as `field: got X, allowed ...`."""
    name = cut(".".join(str(part) for part in problem["loc"]))
    if problem["type"] == "extra_forbidden":
        close = difflib.get_close_matches(name, cls.model_fields, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        return f"{name}: unknown parameter, got {shown(problem['input'])}{hint}"
    if isinstance(cause := problem.get("ctx", {}).get("error"), ConfigError):
        return cut(str(cause), 3 * MOST_SHOWN)
    allowed = cut(problem["msg"].lower().removeprefix("input "), 2 * MOST_SHOWN)
    return f"{name}: got {shown(problem['input'])}, allowed: {allowed}"
