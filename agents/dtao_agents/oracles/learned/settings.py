"""Files under `configs/oracles/`: a problem, its cases, and the settings of each learner."""

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
"""Games by name; the other problems are `project` and `builder`."""
QUICK_FIELDS = ("cases", "starts", "ppo", "cem", "episodes")
"""Fields that the short version may change."""


class Case(BaseModel):
    """One setting of the problem, and the numbers that it must give."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    id: str = Field(
        description="Oracle, a key of `dtao_agents.oracles.table.NUMBERS`, or `calibration`."
    )
    numbers: tuple[str | None, ...] = Field(
        min_length=1,
        description="Settings in `dtao_agents.oracles.table` of the measurements of the problem, in its order; null: not compared.",
    )
    expected: tuple[float, ...] = Field(
        (), description="Expected numbers, only where the table has none."
    )
    parameters: dict[str, Any] = Field(
        default_factory=dict, description="Override those of the file."
    )
    ppo: dict[str, Any] = Field(
        default_factory=dict, description="Override those of the file, for this case."
    )

    @model_validator(mode="after")
    def _numbers_are_known(self) -> "Case":
        self.expected_numbers()
        return self

    def expected_numbers(self) -> list[tuple[str, float] | None]:
        """(name, expected number) of each measurement, None where it is not compared.

        Raises
        ------
        ValueError
            A name is not in the table, or `expected` and `numbers` differ in length.
        """
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
    """Content of a file: everything that the learned numbers depend on."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    problem: str = Field(description="A game, `project` or `builder`.")
    parameters: dict[str, Any] = Field(
        default_factory=dict, description="Parameters of the problem."
    )
    cases: tuple[Case, ...] = Field(min_length=1, description="Settings to learn.")
    starts: tuple[float | tuple[float, ...], ...] = Field(
        min_length=1,
        description="Initial decisions: actions; log-odds of research in `project`; research shares in `builder`.",
    )
    ppo: dict[str, Any] | None = Field(None, description="Settings of PPO; null: not used.")
    cem: dict[str, Any] | None = Field(
        None, description="Settings of the cross-entropy method; null: not used."
    )
    episodes: int = Field(16, ge=1, description="Worlds that evaluate a learned builder.")
    quick: dict[str, Any] = Field(
        default_factory=dict,
        description="Changes of the short version; `cases` are indices into the list of cases.",
    )

    @model_validator(mode="after")
    def _problem_is_known(self) -> "OracleSettings":
        allowed = sorted({*PROBLEMS, "project", "builder"})
        if self.problem not in allowed:
            raise ValueError(f"problem: got {self.problem!r}, allowed are {', '.join(allowed)}")
        if not set(self.quick) <= set(QUICK_FIELDS):
            raise ValueError(
                f"quick: got {', '.join(self.quick)}, allowed are {', '.join(QUICK_FIELDS)}"
            )
        return self

    def shortened(self) -> "OracleSettings":
        """The short version: the first start only, with the changes of `quick`."""
        fields = self.model_dump(exclude={"quick"})
        changes: dict[str, Any] = {"starts": self.starts[:1], **self.quick}
        fields["cases"] = [fields["cases"][k] for k in changes.pop("cases", range(len(self.cases)))]
        for name, change in changes.items():
            fields[name] = {**fields[name], **change} if isinstance(change, dict) else change
        return OracleSettings.model_validate(fields)

    def hash(self) -> str:
        """SHA-256 of the settings of the full version, independent of the order in the file and of comments."""
        text = json.dumps(self.model_dump(mode="json", exclude={"quick"}), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def read(path: Path) -> OracleSettings:
    """Read settings from a YAML file; raises ConfigError that names the file."""
    try:
        return OracleSettings.model_validate(yaml.safe_load(path.read_text()))
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise ConfigError(f"{path}: {error}") from None


def configured() -> dict[str, Path]:
    """Paths of the configurations by name."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.yaml"))}
