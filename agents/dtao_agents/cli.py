"""The command `dtao`: training, evaluation, the probe and the tools of the environment.

A subcommand imports its code when it is called, so that those of the environment need neither torch nor
Stable-Baselines3.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NamedTuple

from dtao_gym import __version__
from dtao_gym.command_line import did_you_mean, hinted, quiet_pipe, require_extra


class Command(NamedTuple):
    """A subcommand."""

    function: str
    """``module:function``; called with the arguments and the program name of usage lines."""
    summary: str
    extra: str | None
    """Extra of the distribution that it needs."""
    exit_code: int = 1
    """Exit status where the extra is missing."""
    takes_config: bool = False
    """Whether `--config` may name a packaged configuration."""
    config_kind: str | None = None
    """Kind of file that `--config` names, for commands that do not check it themselves."""


COMMANDS = {
    "train": Command(
        "dtao_agents.commands.train:main",
        "train a staker, a builder, or many of both together, by PPO",
        "train",
    ),
    "evaluate": Command(
        "dtao_agents.commands.evaluate:main",
        "compare learned policies with scripted ones, also on real prices",
        "train",
    ),
    "plot": Command(
        "dtao_agents.commands.plot:main",
        "draw learning curves of runs, with intervals over training seeds",
        "train",
    ),
    "tune": Command(
        "dtao_agents.commands.tune:main",
        "search for better settings of a training, with Optuna",
        "train",
    ),
    "probe": Command(
        "dtao_agents.commands.probe:main",
        "ask whether subnet markets crowd out long-term research",
        "train",
    ),
    "report": Command(
        "dtao_agents.commands.report:main", "rebuild the page of a probe from its records", "train"
    ),
    "results": Command(
        "dtao_agents.results.__main__:main",
        "train and evaluate everything that RESULTS.md reports",
        "train",
        config_kind="a plan of results",
    ),
    "leaderboard": Command(
        "dtao_agents.commands.leaderboard:main",
        "print the leaderboard, or write its page",
        "train",
    ),
    "rules": Command(
        "dtao_gym.rules:run", "compare emission rules on a real state of the chain", "cli"
    ),
    "history": Command(
        "dtao_gym.history:run",
        "replay the chain's history and compare simulated with real prices",
        "cli",
        takes_config=True,
    ),
    "trace": Command(
        "dtao_gym.trace:run", "follow one subnet block by block", "cli", takes_config=True
    ),
    "conformance": Command(
        "dtao_gym.conformance:main", "check the rules against the chain's own numbers", "cli", 2
    ),
    "warmup": Command("dtao_gym.warmup:main", "compile the engine ahead of its first use", None),
}


def usage() -> str:
    """Help text: one line for each subcommand."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {command.summary}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            "usage: dtao COMMAND [ARGUMENTS]",
            "",
            *lines,
            "",
            "dtao COMMAND --help lists the arguments of a command.",
            "dtao --version prints the version.",
        ]
    )


def run_command(name: str, arguments: Sequence[str], program: str) -> Any:
    """Run a subcommand.

    Parameters
    ----------
    name : str
        Key of `COMMANDS`.
    arguments : sequence of str
        Its arguments.
    program : str
        The command in usage lines and messages, such as ``dtao train``.

    Returns
    -------
    int or None
        Exit status.
    """
    command = COMMANDS[name]
    if command.extra is not None:
        require_extra(program, command.extra, command.exit_code)
    with quiet_pipe():
        try:
            if command.takes_config:
                arguments = _with_packaged_configs(arguments)
            if command.config_kind:
                _check_configs(arguments, command.config_kind)
            module, function = command.function.split(":")
            return getattr(import_module(module), function)(list(arguments), program)
        except SystemExit as stop:  # a line of an error
            if isinstance(stop.code, str):
                raise SystemExit(hinted(stop.code)) from None
            raise


def _configs(arguments: Sequence[str]) -> dict[int, tuple[str, str]]:
    """What stands before the value of each `--config`, and the value, by the place of the argument."""
    found = {}
    for k, argument in enumerate(arguments):
        if argument.startswith("--config="):
            found[k] = ("--config=", argument.partition("=")[2])
        elif k > 0 and arguments[k - 1] == "--config":
            found[k] = ("", argument)
    return found


def _with_packaged_configs(arguments: Sequence[str]) -> list[str]:
    """Arguments in which the value of `--config` is the path of a file."""
    from dtao_agents.package_data import find_config
    from dtao_gym.world.config import ConfigError

    resolved = list(arguments)
    try:
        for k, (before, value) in _configs(arguments).items():
            resolved[k] = f"{before}{find_config(value)}"
    except ConfigError as error:
        sys.exit(f"error: {error}")
    return resolved


def _check_configs(arguments: Sequence[str], kind: str) -> None:
    """Exit with one line where `--config` names a file of another kind."""
    from dtao_agents.package_data import find_config
    from dtao_gym.file_kinds import check_kind
    from dtao_gym.world.config import ConfigError

    try:
        for _, value in _configs(arguments).values():
            check_kind(find_config(value), kind)
    except ConfigError as error:
        sys.exit(f"error: {error}")


def main(arguments: Sequence[str] | None = None) -> Any:
    """Entry point of the console script `dtao`; returns the exit status."""
    name, *rest = (sys.argv[1:] if arguments is None else list(arguments)) or [""]
    if name in COMMANDS:
        return run_command(name, rest, f"dtao {name}")
    with quiet_pipe():
        return _without_command(name)


def _without_command(name: str) -> int:
    """Print what is asked for instead of a command, or an error; return the exit status."""
    if name in ("-h", "--help"):
        print(usage())
        return 0
    if name == "--version":
        print(f"dtao_gym {__version__}")
        return 0
    if not name:
        print(usage(), file=sys.stderr)
    else:
        hint = did_you_mean(name, COMMANDS)
        allowed = ", ".join(COMMANDS)
        print(f"error: command: got {name!r}, allowed are {allowed}{hint}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
