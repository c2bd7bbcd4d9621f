"""Parts that the command lines of the package share. They need tyro and rich, the extra `cli`."""

import difflib
import importlib.util
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rich.console import Console

WIDTH = 100
"""Columns of printed text where standard output is no terminal."""

_CLI = {"tyro": "tyro", "rich": "rich"}
EXTRAS = {
    "cli": _CLI,
    "train": {
        "torch": "torch",
        "stable_baselines3": "Stable-Baselines3",
        "safetensors": "safetensors",
        "matplotlib": "matplotlib",
        "tqdm": "tqdm",
        **_CLI,
    },
}
"""Extras of the distribution: the modules that commands import from each, and the names of their projects."""

Result = TypeVar("Result")

_REFUSED_NAME = re.compile(r"(?:got|unknown [a-z ]+) '([^']+)'[,;] allowed are (.+)")


def require_extra(command: str, extra: str = "cli", exit_code: int = 1) -> None:
    """Exit with one line on stderr where packages of an extra are not installed.

    Parameters
    ----------
    command : str
        Name of the command in the message, such as ``dtao train``.
    extra : str
        Key of `EXTRAS`.
    exit_code : int
        Exit status of the process.
    """
    missing = [
        project for module, project in EXTRAS[extra].items() if not importlib.util.find_spec(module)
    ]
    if missing:
        *others, last = missing
        named = f"{', '.join(others)} and {last}" if others else last
        print(f"error: {command} needs {named}: pip install 'dtao-gym[{extra}]'", file=sys.stderr)
        sys.exit(exit_code)


def call(
    function: Callable[..., Result],
    program: str,
    errors: tuple[type[Exception], ...] = (),
    arguments: Sequence[str] | None = None,
) -> Result:
    """Call a function with the options of a command line.

    Parameters
    ----------
    function : callable
        Its parameters are the options, its docstring is the help.
    program : str
        The command in usage lines, such as ``python -m dtao_gym.rules``.
    errors : tuple of exception types
        Exceptions that end the process with one line and exit status 1.
    arguments : sequence of str, optional
        The command line; that of the process by default.

    Returns
    -------
    object
        Result of the function.
    """
    import tyro

    with quiet_pipe():
        try:
            return tyro.cli(function, prog=program, args=arguments)
        except BrokenPipeError:  # an OSError, which callers may name
            raise
        except errors as error:
            sys.exit(f"error: {hinted(str(error))}")


@contextmanager
def quiet_pipe() -> Iterator[None]:
    """Exit with status 1 and without a word where standard output is a pipe that nobody reads any more."""
    try:
        try:
            yield
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except BrokenPipeError:
        if sys.stdout is None:
            raise
        # what is left in the buffer is flushed once more at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def did_you_mean(name: str, allowed: Iterable[str]) -> str:
    """Return ``; did you mean 'gamma'?`` with the closest of the allowed names, or an empty text."""
    close = difflib.get_close_matches(name, list(allowed), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def hinted(message: str) -> str:
    """Return an error that lists the allowed names, followed by the one that may have been meant.

    Other messages come back as they are.
    """
    found = _REFUSED_NAME.search(message)
    if found is None or "did you mean" in message:
        return message
    name, allowed = found.groups()
    return message + did_you_mean(name, re.findall(r"[\w./:-]*\w", allowed))


def console() -> "Console":
    """Standard output, as wide as its terminal; `WIDTH` columns where it is none."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else WIDTH)
