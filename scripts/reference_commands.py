"""Page of the reference on the command line: the help texts of `dtao` and its subcommands, at a fixed width."""

import contextlib
import io
import os
import sys
from unittest import mock

from dtao_agents.cli import COMMANDS, run_command, usage

COLUMNS = "88"
"""Width of the help texts, which fits the page."""
LONG_HELP = "--help-all"
"""Flag of all options, for commands whose `--help` mentions it."""


def help_of(name: str, flag: str = "--help") -> str:
    """Return what a subcommand prints for a flag of help."""
    printed, errors = io.StringIO(), io.StringIO()
    plain = {"COLUMNS": COLUMNS, "NO_COLOR": "1", "TERM": "dumb"}
    with (
        mock.patch.dict(os.environ, plain),
        mock.patch.object(sys, "argv", ["dtao"]),
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(errors),
        contextlib.suppress(SystemExit),
    ):
        run_command(name, [flag], f"dtao {name}")
    lines = [line.rstrip() for line in printed.getvalue().strip("\n").splitlines()]
    if not lines:
        raise ValueError(f"dtao {name} {flag}: printed nothing; on stderr: {errors.getvalue()!r}")
    return "\n".join(lines)


def pages() -> dict[str, str]:
    """Return the page by its file name."""
    lines = [
        "# Command line",
        "",
        "In a checkout `python train.py`, `evaluate.py` and `probe.py` are the first three commands, and "
        "`python -m dtao_gym.rules` and so on the tools of the environment.",
        "",
        "```text",
        usage(),
        "```",
    ]
    for name in COMMANDS:
        lines += ["", f"## dtao {name}"]
        text = help_of(name)
        lines += ["", "```text", text, "```"]
        if LONG_HELP in text:
            lines += [
                "",
                f"`dtao {name} {LONG_HELP}`:",
                "",
                "```text",
                help_of(name, LONG_HELP),
                "```",
            ]
    return {"commands.md": "\n".join(lines) + "\n"}
