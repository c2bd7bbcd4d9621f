"""Parts that the command lines share: options, results, errors in one line, and the hint where an extra is missing."""

import os
import subprocess
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

import pytest

from dtao_gym import command_line

pytest.importorskip("tyro")


def half(number: int) -> float:
    """Half of an even number."""
    if number % 2:
        raise KeyError(number)
    return number / 2


def test_a_function_is_called_with_the_options_and_its_result_comes_back():
    assert command_line.call(half, "half", arguments=["--number", "6"]) == 3.0


def test_the_help_names_the_program(capsys):
    with pytest.raises(SystemExit) as stopped:
        command_line.call(half, "python -m package.half", arguments=["--help"])
    assert stopped.value.code == 0
    shown = capsys.readouterr().out
    assert "python -m package.half" in shown
    assert "Half of an even number." in shown


def test_only_the_errors_that_are_named_become_one_line():
    with pytest.raises(SystemExit) as stopped:
        command_line.call(half, "half", (OSError, KeyError), ["--number", "7"])
    assert stopped.value.code == "error: 7"
    with pytest.raises(KeyError):
        command_line.call(half, "half", (OSError,), ["--number", "7"])


@pytest.mark.parametrize(
    ("extra", "missing", "hint"),
    [
        ("cli", ["tyro"], "tyro: pip install 'dtao-gym[cli]'"),
        ("cli", ["rich", "tyro"], "tyro and rich: pip install 'dtao-gym[cli]'"),
        (
            "train",
            ["torch", "stable_baselines3"],
            "torch and Stable-Baselines3: pip install 'dtao-gym[train]'",
        ),
    ],
)
@pytest.mark.parametrize("exit_code", [1, 2])
def test_missing_packages_are_named_with_the_extra_that_installs_them(
    monkeypatch, capsys, extra, missing, hint, exit_code
):
    for module in command_line.EXTRAS[extra]:
        monkeypatch.setitem(sys.modules, module, ModuleType(module))
        sys.modules[module].__spec__ = ModuleSpec(module, None)
    command_line.require_extra("dtao half", extra, exit_code)
    for name in missing:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(SystemExit) as stopped:
        command_line.require_extra("dtao half", extra, exit_code)
    assert stopped.value.code == exit_code
    assert capsys.readouterr().err == f"error: dtao half needs {hint}\n"


def test_the_console_is_100_columns_wide():
    assert command_line.console().width == command_line.WIDTH == 100


@pytest.mark.parametrize("columns", [60, 140])
def test_the_console_follows_a_terminal(monkeypatch, columns):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    assert command_line.console().width == columns


@pytest.mark.parametrize(
    ("message", "hint"),
    [
        ("era: got 'lunch', allowed are launch, net_flow", "launch"),
        (
            "unknown snapshot 'mainet-1'; allowed are 'mainnet-1', or the path of a .csv",
            "mainnet-1",
        ),
        ("scenario a: policy: got 'randm', allowed are random, half", "random"),
        ("role: got 'zebra', allowed are staker, builder", None),
        ("seeds: got 3, allowed are 4 or more", None),
        ("n: got 'x', allowed are xx, xy; did you mean 'xy'?", None),
    ],
)
def test_an_error_is_followed_by_the_name_that_may_have_been_meant(message, hint):
    expected = message if hint is None else f"{message}; did you mean {hint!r}?"
    assert command_line.hinted(message) == expected


def test_the_closest_name_is_meant():
    assert command_line.did_you_mean("gama", ["gamma", "gae_lambda"]) == "; did you mean 'gamma'?"
    assert command_line.did_you_mean("gama", ["seed"]) == ""


def into_a_closed_pipe(code: str, unbuffered: str) -> subprocess.CompletedProcess:
    """Run Python code whose standard output nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        return subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            timeout=300,
        )
    finally:
        os.close(writer)


@pytest.mark.parametrize(
    "code",
    [
        "from dtao_gym.rules import run; run(['--top', '3'])",
        "from dtao_gym.rules import run; run(['--json'])",
        "from dtao_gym.rules import run; run(['--help'])",
        "import dtao_gym.command_line as c\nwith c.quiet_pipe(): print('x' * 100_000)",
    ],
)
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_output_that_nobody_reads_ends_without_a_word(code, unbuffered):
    done = into_a_closed_pipe(code, unbuffered)
    # the engine says where it compiles
    errors = [line for line in done.stderr.splitlines() if not line.startswith("dtao_gym: ")]
    assert (done.returncode, errors) == (1, [])
