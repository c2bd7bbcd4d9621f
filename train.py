"""Train a staker, a builder, or many of both together: `python train.py configs/staker_quickstart.yaml [flags]`.

`python train.py --resume RUN` goes on with an interrupted run.
"""

import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro
from dtao_agents.flags import changed_fields, flags_of, to_settings
from dtao_agents.training.checkpoints import CheckpointError
from dtao_agents.training.multi_agent_run import train_multi_agent
from dtao_agents.training.multi_agent_settings import MultiAgentConfig, read_settings
from dtao_agents.training.ppo import train
from dtao_agents.training.settings import TrainConfig

from dtao_gym.world.config import ConfigError

RUNS = Path("runs")
MAY_CHANGE = {"total_timesteps", "checkpoint_every", "evaluation_episodes"}
"""Settings that a resumed run may change: what it learns until then does not depend on them."""


def parse(arguments: list[str]) -> tuple[Any, TrainConfig | MultiAgentConfig]:
    """Places (config, run_dir, overwrite, resume) and settings. Raises `ConfigError`.

    The file of settings is found first, so that `--help` shows its values as defaults.
    """
    source = _value_of("--resume", arguments)
    path = Path(source) / "config.yaml" if source else None
    if not path and arguments and not arguments[0].startswith("-"):
        path = Path(arguments[0])
    trusted = not source or "--trust-rule" in arguments
    before = read_settings(path, trusted) if path else TrainConfig.make()
    flags = flags_of(before)

    @dataclass(frozen=True)
    class Arguments:
        """Train with PPO. Every setting of the YAML file is a flag too, and the flag wins."""

        config: tyro.conf.Positional[Path | None] = None
        """Settings in YAML. Comes first."""
        run_dir: Path | None = None
        """Folder of the run; runs/<name of the file> if not given."""
        overwrite: bool = False
        """Replace an earlier run in that folder."""
        resume: Path | None = None
        """Folder of an interrupted run, which goes on from its latest checkpoint."""
        trust_rule: bool = False
        """With --resume: import a rule of emission that the run names as a Python function."""
        settings: Annotated[flags, tyro.conf.arg(name="")] = field(default_factory=flags)

    places = tyro.cli(Arguments, args=arguments)
    settings = to_settings(places.settings, type(before))
    if places.resume:
        if places.config or places.run_dir or places.overwrite:
            raise ConfigError(
                "--resume: got it with a config, --run-dir or --overwrite, allowed is alone"
            )
        refused = sorted(set(changed_fields(before, settings)) - MAY_CHANGE)
        if settings.total_timesteps != before.total_timesteps and _anneals(settings):
            refused.append("total_timesteps (with anneal)")
        if refused:
            raise ConfigError(
                f"--resume: got changes of {', '.join(refused)}, allowed are {', '.join(sorted(MAY_CHANGE))}"
            )
    return places, settings


def _anneals(settings: TrainConfig | MultiAgentConfig) -> bool:
    """Whether what is learned depends on when the run will end."""
    if isinstance(settings, TrainConfig):
        return settings.anneal
    return any(learner.anneal for learner in settings.roles.values())


def _value_of(flag: str, arguments: list[str]) -> str | None:
    for k, argument in enumerate(arguments):
        if argument.startswith(flag + "="):
            return argument.split("=", 1)[1]
        if argument == flag and k + 1 < len(arguments):
            return arguments[k + 1]
    return None


def prepare(run: Path, overwrite: bool) -> None:
    """An empty folder for a run. Raises `ConfigError` where something is in the way."""
    if run.exists() and (not run.is_dir() or any(run.iterdir())):
        if not overwrite:
            raise ConfigError(
                f"{run}: is not empty; --overwrite replaces a run, --resume {run} goes on with it"
            )
        if not (run / "config.yaml").is_file():
            raise ConfigError(
                f"{run}: --overwrite replaces folders of runs only, and this has no config.yaml"
            )
        shutil.rmtree(run)
    run.mkdir(parents=True, exist_ok=True)


def main(arguments: list[str]) -> None:
    """Parse, prepare the folder, train."""
    places, settings = parse(arguments)
    run = (
        places.resume
        or places.run_dir
        or RUNS / (places.config.stem if places.config else getattr(settings, "role", "together"))
    )
    if not places.resume:
        prepare(run, places.overwrite)
    (run / "config.yaml").write_text(settings.to_yaml())
    if isinstance(settings, MultiAgentConfig):
        train_multi_agent(settings, run, resume=bool(places.resume))
        print(f"Trained policies, metrics, exploitability: {run}/  Again: python evaluate.py {run}")
        return
    train(settings, run, resume=bool(places.resume))
    print(f"Trained policy, metrics and learning curve: {run}/  Judge it: python evaluate.py {run}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (ConfigError, CheckpointError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted; go on with --resume")
