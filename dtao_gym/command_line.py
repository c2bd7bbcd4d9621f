"""What the package's command lines share. They need tyro and rich, the extra `train`."""

import importlib
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rich.console import Console

WIDTH = 100
"""Columns of what is printed."""

Result = TypeVar("Result")


def require_extra(exit_code: int = 1) -> None:
    """Exit with a hint where tyro or rich is not installed."""
    for name in ("tyro", "rich"):
        try:
            importlib.import_module(name)
        except ImportError as error:
            hint = f"the command needs {error.name}: pip install 'dtao-gym[train]'"
            print(f"error: {hint}", file=sys.stderr)
            sys.exit(exit_code)


def call(
    command: Callable[..., Result],
    module: str,
    errors: tuple[type[Exception], ...] = (),
    arguments: Sequence[str] | None = None,
) -> Result:
    """Call a function with the options of a command line, and return what it returns.

    Args:
        command: its parameters are the options, its docstring is the help.
        module: what follows `python -m`.
        errors: exceptions that are told in one line; the exit code is then 1.
        arguments: the command line; None: that of the process.
    """
    import tyro

    try:
        return tyro.cli(command, prog=f"python -m {module}", args=arguments)
    except errors as error:
        sys.exit(f"error: {error}")


def console() -> "Console":
    """Standard output, `WIDTH` columns wide."""
    from rich.console import Console

    return Console(width=WIDTH)
