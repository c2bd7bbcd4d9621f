"""`dtao train CONFIG [flags]`: train a staker, a builder, or many of both together.

`dtao train --resume RUN` continues an interrupted run; `dtao train CONFIG --seeds N` trains several seeds.
"""

import contextlib
import shutil
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, NoReturn

import tyro

from dtao_agents.backends import Backend, BackendError, TaskError
from dtao_agents.files import LOCK_NAME, LockedError, locked_folder, write_atomically
from dtao_agents.flags import MAIN_SETTINGS, changed_fields, flags_of, to_settings
from dtao_agents.package_data import find_config
from dtao_agents.seed_folders import SETTINGS_NAME, runs_of_seeds
from dtao_agents.training.checkpoints import CheckpointError, steps_of_latest
from dtao_agents.training.devices import Device, torch_device
from dtao_agents.training.multi_agent_run import train_multi_agent
from dtao_agents.training.multi_agent_settings import MultiAgentConfig, read_settings
from dtao_agents.training.ppo import train
from dtao_agents.training.run_folder import reason_of
from dtao_agents.training.seeds import (
    plan_seeds,
    print_seeds,
    train_seeds,
    trained_seed,
    with_seed,
)
from dtao_agents.training.settings import TrainConfig
from dtao_gym import command_line
from dtao_gym.world.config import ConfigError

RUNS = Path("runs")
ALL_HELP = "--help-all"
RESUMABLE_CHANGES = {"total_timesteps", "checkpoint_every", "evaluation_episodes"}
"""Settings that a resumed run may change: the steps that are already trained do not depend on them."""


def parse(
    arguments: Sequence[str], program: str = "dtao train"
) -> tuple[Any, TrainConfig | MultiAgentConfig]:
    """Parse a command line of training.

    The settings file is located first, so that `--help` shows its values as defaults.

    Returns
    -------
    paths : object
        Attributes `config`, `run_dir`, `overwrite`, `resume`, `trust_rule`, `seeds`, `backend`, `workers`, `device`.
    settings : TrainConfig or MultiAgentConfig
        Settings of the file, overridden by flags.

    Raises
    ------
    ConfigError
        A file cannot be read, a value is out of range, or flags contradict each other.
    """
    source = _value_of("--resume", arguments)
    path = _settings_file(Path(source)) if source else None
    if not path and arguments and not arguments[0].startswith("-"):
        path = find_config(arguments[0])
    trusted = not source or "--trust-rule" in arguments
    before = read_settings(path, trusted) if path else TrainConfig.make()
    if not {"-h", "--help", ALL_HELP}.isdisjoint(arguments):
        given = "" if path is None or source else f" {arguments[0]}"
        _show_help(before, ALL_HELP in arguments, program, given)
    flags = flags_of(before)
    paths = tyro.cli(_arguments_with(flags), prog=program, args=arguments)
    settings = to_settings(paths.settings, type(before))
    _check_paths(paths)
    if paths.resume:
        refused = sorted(set(changed_fields(before, settings)) - RESUMABLE_CHANGES)
        if settings.total_timesteps != before.total_timesteps and _anneals(settings):
            refused.append("total_timesteps (with anneal)")
        if refused:
            raise ConfigError(
                f"--resume: got changes of {', '.join(refused)}, allowed are {', '.join(sorted(RESUMABLE_CHANGES))}"
            )
    return paths, settings


def _settings_file(resumed: Path) -> Path:
    """Settings of the run in a folder, or of the first run in a folder of seeds."""
    runs = runs_of_seeds(resumed)
    return next(iter(runs.values()), resumed) / SETTINGS_NAME


def _arguments_with(flags: type) -> type:
    """Dataclass of the whole command line, `flags` among them."""

    @dataclass(frozen=True)
    class Arguments:
        """Train with PPO. Settings of the YAML file are flags too, and the flag wins."""

        config: tyro.conf.Positional[Path | None] = None
        """Settings in YAML, or the name of a packaged configuration. Comes first."""
        run_dir: Path | None = None
        """Folder of the run; runs/<name of the file> if not given."""
        overwrite: bool = False
        """Replace an earlier run in that folder."""
        resume: Path | None = None
        """Folder of an interrupted run, or of several seeds, which continues from its latest checkpoint."""
        seeds: int | None = None
        """Train so many seeds, from --seed on, each in a folder seed_<number> of the run's; the same command continues."""
        backend: Backend | None = None
        """With --seeds: one after another in this process (local, if not given), in processes, or on Ray."""
        workers: int | None = None
        """With --seeds: seeds side by side; as many as there are processors for if not given."""
        device: Device = "cpu"
        """Device of the networks. These are small: the CPU is faster for those of the packaged configurations."""
        trust_rule: bool = False
        """With --resume: import a rule of emission, or a role, that the run names as a Python object."""
        settings: Annotated[flags, tyro.conf.arg(name="")] = field(  # pyright: ignore[reportInvalidTypeForm]
            default_factory=flags
        )

    return Arguments


def _show_help(
    settings: TrainConfig | MultiAgentConfig, all_of_it: bool, program: str, given: str
) -> NoReturn:
    """Print the help and exit; a short one ends with the option that lists all settings."""
    shown = None if all_of_it else MAIN_SETTINGS[type(settings)]
    try:
        tyro.cli(_arguments_with(flags_of(settings, shown)), prog=program, args=["--help"])
    finally:
        if not all_of_it:
            print(f"{program}{given} {ALL_HELP} lists the other settings too.")
    raise AssertionError


def _check_paths(paths: Any) -> None:
    """Raise ConfigError for options that contradict each other."""
    if paths.resume and (paths.config or paths.run_dir or paths.overwrite or paths.seeds):
        raise ConfigError(
            "--resume: got it with a config, --run-dir, --overwrite or --seeds, allowed is alone"
        )
    if paths.seeds is None and not (paths.resume and runs_of_seeds(paths.resume)):
        for name in ("backend", "workers"):
            if getattr(paths, name) is not None:
                raise ConfigError(
                    f"--{name}: got {getattr(paths, name)}, allowed is it with --seeds"
                )


def _anneals(settings: TrainConfig | MultiAgentConfig) -> bool:
    """Whether a schedule depends on the total number of steps."""
    if isinstance(settings, TrainConfig):
        return settings.anneal
    return any(learner.anneal for learner in settings.roles.values())


def _value_of(flag: str, arguments: Sequence[str]) -> str | None:
    for k, argument in enumerate(arguments):
        if argument.startswith(flag + "="):
            return argument.split("=", 1)[1]
        if argument == flag and k + 1 < len(arguments):
            return arguments[k + 1]
    return None


def prepare(run: Path, overwrite: bool) -> None:
    """Make an empty folder for a run, but for the lock of `locked_folder`.

    Raises
    ------
    ConfigError
        The folder is not empty and `overwrite` is false, or it holds something else than a run.
    """
    entries = _entries(run)
    if entries is None or entries:
        if not overwrite:
            raise ConfigError(
                f"{run}: is not empty; --overwrite replaces a run, --resume {run} continues it"
            )
        if not (run / SETTINGS_NAME).is_file() and not runs_of_seeds(run):
            raise ConfigError(
                f"{run}: --overwrite replaces folders of runs only, and this has no config.yaml"
            )
        _clear(run, entries or [])
    run.mkdir(parents=True, exist_ok=True)


def _clear(run: Path, entries: list[Path]) -> None:
    """Remove what a folder of a run or of seeds holds; what is half removed can still be overwritten."""
    runs = list(runs_of_seeds(run).values())
    # what makes the folder one of runs comes last
    for entry in sorted(entries, key=lambda entry: entry.name == SETTINGS_NAME or entry in runs):
        if entry in runs:
            _clear(entry, list(entry.iterdir()))
            entry.rmdir()
        elif entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _entries(run: Path) -> list[Path] | None:
    """What a folder holds except a lock; None for something else than a folder."""
    if not run.exists():
        return []
    if not run.is_dir():
        return None
    return [entry for entry in run.iterdir() if entry.name != LOCK_NAME]


def main(arguments: Sequence[str], program: str = "dtao train") -> None:
    """Parse, prepare the folder, train; errors end the process with one line.

    So do Ctrl-C and SIGTERM, with the exit status of shells for them, 130 and 143.
    """
    try:
        with _terminable():
            _train(arguments, program)
    except (BackendError, ConfigError, CheckpointError, LockedError, TaskError) as error:
        notes = "".join(f" ({note})" for note in getattr(error, "__notes__", ()))
        sys.exit(f"error: {error}{notes}")
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        sys.exit(f"error: {where}{reason_of(error)}")
    except KeyboardInterrupt as error:
        print(f"interrupted by {reason_of(error)}", file=sys.stderr)
        sys.exit(128 + (signal.SIGTERM if isinstance(error, _Terminated) else signal.SIGINT))


class _Terminated(KeyboardInterrupt):
    """SIGTERM."""


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Raise `_Terminated` where the process gets SIGTERM; where it may not say so, change nothing."""

    def stop(number: int, frame: Any) -> None:
        raise _Terminated("SIGTERM")

    try:
        before = signal.signal(signal.SIGTERM, stop)
    except ValueError:  # not the main thread
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _train(arguments: Sequence[str], program: str) -> None:
    paths, settings = parse(arguments, program)
    if not paths.config and not paths.resume:
        print(without_config(settings, program), flush=True)
    device = torch_device(paths.device, settings)
    run = (
        paths.resume
        or paths.run_dir
        or RUNS / (paths.config.stem if paths.config else getattr(settings, "role", "multi_agent"))
    )
    if run.exists() and not run.is_dir():
        raise ConfigError(f"{run}: got a file, allowed is a folder for the run")
    with locked_folder(run):
        if paths.seeds or (paths.resume and runs_of_seeds(run)):
            _train_seeds(run, settings, paths, device, program)
            return
        if not paths.resume:
            prepare(run, paths.overwrite)
        with _says_how_to_go_on(run, program):
            _train_in(run, settings, bool(paths.resume), program, device)


def _train_seeds(
    folder: Path,
    settings: TrainConfig | MultiAgentConfig,
    paths: Any,
    device: str,
    program: str,
) -> None:
    """Train the seeds of a folder that are not finished, and print a table of all of them."""
    if paths.resume:
        runs = runs_of_seeds(folder)
    else:
        if paths.overwrite or not runs_of_seeds(folder):
            prepare(folder, paths.overwrite)
        runs = plan_seeds(folder, settings, paths.seeds)
        for seed, run in runs.items():  # all of them, so that --resume knows them
            if not (run / SETTINGS_NAME).exists():
                run.mkdir(exist_ok=True)
                content = with_seed(settings, seed).to_yaml()
                write_atomically(run / SETTINGS_NAME, content.encode())
    hint = f"{program} --resume {folder} continues"
    try:
        train_seeds(settings, runs, paths.backend or "local", paths.workers, device, _say)
    except KeyboardInterrupt as error:
        raise type(error)(f"{reason_of(error)}; {hint}") from None
    except OSError as error:
        raise OSError(error.errno, f"{reason_of(error)}; {hint}", error.filename) from None
    trained = [trained_seed(seed, run) for seed, run in runs.items()]
    print_seeds(trained, command_line.console())
    evaluate = program.replace("train", "evaluate")
    # best responses are searched for one run at a time
    first = folder / f"seed_{trained[0].seed}"
    judged = first if isinstance(settings, MultiAgentConfig) else folder
    print(f"Trained policies, one a seed: {folder}/  Evaluate them: {evaluate} {judged}")


def _say(line: str) -> None:
    print(line, flush=True)


def without_config(settings: TrainConfig | MultiAgentConfig, program: str) -> str:
    """Return the line that says what a training without a settings file starts, and how long it is."""
    rollout = settings.num_envs * settings.rollout_steps
    updates = -(-settings.total_timesteps // rollout)
    return (
        f"No config: training a {getattr(settings, 'role', 'multi_agent')} with the default settings for "
        f"{settings.total_timesteps:,} steps ({updates:,} updates, {settings.num_envs:,} worlds); "
        f"{program} --help lists them"
    )


def _train_in(
    run: Path, settings: TrainConfig | MultiAgentConfig, resume: bool, program: str, device: str
) -> None:
    evaluate = program.replace("train", "evaluate")
    if isinstance(settings, MultiAgentConfig):
        train_multi_agent(settings, run, resume)
        print(f"Trained policies, metrics, exploitability: {run}/  Again: {evaluate} {run}")
        return
    train(settings, run, resume, device)
    print(f"Trained policy, metrics and learning curve: {run}/  Evaluate it: {evaluate} {run}")


@contextlib.contextmanager
def _says_how_to_go_on(run: Path, program: str) -> Iterator[None]:
    """Add to the reason of an interruption what continues the run."""
    try:
        yield
    except (KeyboardInterrupt, OSError) as error:
        steps = steps_of_latest(run / "checkpoints")
        if steps is None:
            hint = "before the first checkpoint; --overwrite starts again"
        else:
            hint = f"{program} --resume {run} continues from step {steps:,}"
        told = f"{reason_of(error)}; {hint}"
        if isinstance(error, OSError):
            raise OSError(error.errno, told, error.filename) from None
        raise type(error)(told) from None
