"""Parts that the command lines of the package share. They need tyro and rich, the extra `cli`."""

import importlib.util
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rich.console import Console

WIDTH = 100
"""Columns of printed text."""

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

    try:
        return tyro.cli(function, prog=program, args=arguments)
    except errors as error:
        sys.exit(f"error: {error}")


def console() -> "Console":
    """Standard output, `WIDTH` columns wide."""
    from rich.console import Console

    return Console(width=WIDTH)
