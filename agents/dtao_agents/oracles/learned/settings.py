"""What a file under `configs/oracles/` says: a problem, its cases, and how each learner goes about it."""

import hashlib
import json
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from dtao_agents.oracles.learned.games import GAMES
from dtao_agents.oracles.learned.signals import Forecast, SignalJamming
from dtao_agents.oracles.table import NUMBERS
from dtao_agents.package_data import CONFIGS
from dtao_gym.world.config import ConfigError

FOLDER = CONFIGS / "oracles"
PROBLEMS: dict[str, type] = {**GAMES, "forecast": Forecast, "signal_jamming": SignalJamming}
"""Games by name; beside them there are `project` and `builder`."""
SHORTENED = ("cases", "starts", "ppo", "cem", "episodes")


class Case(BaseModel):
    """One setting of the problem, and which numbers it is asked for."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    id: str = Field(
        description="Of the oracle, a key of `dtao_agents.oracles.table.NUMBERS`, or `calibration`."
    )
    numbers: tuple[str | None, ...] = Field(
        min_length=1,
        description="Names in the table of `dtao_agents.oracles.table` of what the problem measures, in its order; null: not asked.",
    )
    expected: tuple[float, ...] = Field(
        (), description="Only for numbers that the table does not have."
    )
    parameters: dict[str, Any] = Field(default_factory=dict, description="Over those of the file.")
    ppo: dict[str, Any] = Field(default_factory=dict, description="Over the file's, for this case.")

    @model_validator(mode="after")
    def _answered(self) -> "Case":
        self.answers()
        return self

    def answers(self) -> list[tuple[str, float] | None]:
        """(name, expected) of each measurement. Raises ValueError for names that the table does not have."""
        if self.expected:
            if len(self.expected) != len(self.numbers):
                raise ValueError(
                    f"expected: got {len(self.expected)} numbers, allowed are {len(self.numbers)}"
                )
            return [(str(name), e) for name, e in zip(self.numbers, self.expected, strict=True)]
        tabled = {each.setting: each.number for each in NUMBERS.get(self.id, ())}
        for name in self.numbers:
            if name is not None and name not in tabled:
                raise ValueError(
                    f"numbers: got {name!r}, allowed are {', '.join(tabled) or 'none'} of {self.id}"
                )
        return [None if name is None else (name, tabled[name]) for name in self.numbers]


class OracleSettings(BaseModel):
    """A file: everything that decides what is learned."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    problem: str = Field(description="A game, `project` or `builder`.")
    parameters: dict[str, Any] = Field(default_factory=dict, description="Of the problem.")
    cases: tuple[Case, ...] = Field(min_length=1, description="Settings that are asked for.")
    starts: tuple[float | tuple[float, ...], ...] = Field(
        min_length=1,
        description="First decisions: actions; log-odds of research in `project`; research shares of `builder`.",
    )
    ppo: dict[str, Any] | None = Field(None, description="Settings of PPO; null: it is not used.")
    cem: dict[str, Any] | None = Field(None, description="Settings of the other method.")
    episodes: int = Field(16, ge=1, description="Worlds in which a builder is judged.")
    quick: dict[str, Any] = Field(
        default_factory=dict,
        description="Changes of the short version; `cases` are places in the list of cases.",
    )

    @model_validator(mode="after")
    def _known(self) -> "OracleSettings":
        allowed = sorted({*PROBLEMS, "project", "builder"})
        if self.problem not in allowed:
            raise ValueError(f"problem: got {self.problem!r}, allowed are {', '.join(allowed)}")
        if not set(self.quick) <= set(SHORTENED):
            raise ValueError(
                f"quick: got {', '.join(self.quick)}, allowed are {', '.join(SHORTENED)}"
            )
        return self

    def shortened(self) -> "OracleSettings":
        """The short version: the first start, and what `quick` changes."""
        fields = self.model_dump(exclude={"quick"})
        changes: dict[str, Any] = {"starts": self.starts[:1], **self.quick}
        fields["cases"] = [fields["cases"][k] for k in changes.pop("cases", range(len(self.cases)))]
        for name, change in changes.items():
            fields[name] = {**fields[name], **change} if isinstance(change, dict) else change
        return OracleSettings.model_validate(fields)

    def hash(self) -> str:
        """SHA-256 of what the full version learns, whatever the order in the file; comments do not count."""
        text = json.dumps(self.model_dump(mode="json", exclude={"quick"}), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def read(path: Path) -> OracleSettings:
    """Settings from a YAML file. Raises ConfigError."""
    try:
        return OracleSettings.model_validate(yaml.safe_load(path.read_text()))
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise ConfigError(f"{path}: {error}") from None


def configured() -> dict[str, Path]:
    """The files of the folder by name."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.yaml"))}
