"""Parameters of a world: typed, validated, readable from YAML, with one line per error."""

import os
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from dtao_gym.protocol.allocation import ALLOCATIONS
from dtao_gym.protocol.coinbase import CHAIN_BOUGHT, INJECTIONS, ROOT_DIVIDENDS
from dtao_gym.protocol.institutions import ERAS, PRUNE_KEYS, Era
from dtao_gym.protocol.issuance import BLOCKS_PER_DAY
from dtao_gym.protocol.lifecycle import SEEDINGS
from dtao_gym.protocol.plugins import RuleError, resolve
from dtao_gym.world.config_errors import ConfigError as ConfigError
from dtao_gym.world.config_errors import refusal, shown
from dtao_gym.world.config_law import Law, rate
from dtao_gym.world.config_people import People
from dtao_gym.world.yaml_files import read_yaml as read_yaml

Model = TypeVar("Model", bound=BaseModel)

DRAWN = ("drawn", "symmetric")
"""Markets at genesis other than snapshots: drawn by the statistics of mainnet, or all subnets alike."""
N_DRAWN = 8
"""Default number of subnets of a drawn market."""
LEAST_ABOVE_ZERO = {"revenue_share": 1e-6, "outside_return": 1e-6}
"""Smallest values other than 0 of parameters by which amounts are divided."""


def made_from(cls: type[Model], config: Any, overrides: dict[str, Any]) -> Model:
    """A configuration of a class from another one, a mapping, a YAML file or None, with fields overridden.

    Raises
    ------
    ConfigError
        Names the field, its value and what is allowed; also a TypeError where an override is no parameter.
    """
    kind: Any = type(config) if isinstance(config, cls) else cls  # a subclass keeps its fields
    if isinstance(config, BaseModel) and (isinstance(config, cls) or issubclass(cls, type(config))):
        fields = config.model_dump(exclude_unset=True)
    elif isinstance(config, str | Path):
        fields = read_yaml(Path(config), aliases=False)
        if not isinstance(fields, dict):
            raise ConfigError(
                f"{config}: got {type(fields).__name__}, allowed is a mapping of parameters"
            )
    elif config is None or isinstance(config, dict):
        fields = dict(config or {})
    else:
        raise ConfigError(
            f"config: got {type(config).__name__}, allowed are {cls.__name__}, dict, a path to a YAML file, None"
        )
    try:
        return kind.model_validate(fields | overrides)
    except ValidationError as error:
        raise refusal(error.errors(include_url=False), kind, overrides) from None


class Config(People, Law, frozen=True):
    """All parameters of a world. Rates are per day unless the name says otherwise; amounts are TAO."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    # the world
    genesis: str = Field(
        "mainnet-2026-06-14",
        description="State to start from: a packaged snapshot, a path to a CSV, `drawn` or `symmetric`.",
    )
    n_subnets: int | None = Field(
        None,
        ge=1,
        le=128,
        description="Number of simulated subnets; the others are a frozen aggregate. None: all; 8 in drawn worlds.",
    )
    empty_slots: int = Field(
        0, ge=0, le=128, description="Additional slots in which nobody has registered yet."
    )
    genesis_values: Literal["from_price", "drawn"] = Field(
        "from_price",
        description="Stocks at genesis: those that prices imply, or drawn independently of prices.",
    )
    selection: Literal["largest", "sample"] = Field(
        "largest",
        description="Simulated subnets: those with the deepest pools, or a new sample each episode.",
    )
    world_seed: int = Field(
        0,
        ge=0,
        lt=2**63,
        description="Key of all randomness; environments draw one where none is given.",
    )
    split: Literal["train", "evaluation"] = Field(
        "train", description="Evaluation worlds share no random number with training worlds."
    )
    spans_per_day: int = Field(
        4,
        ge=1,
        le=BLOCKS_PER_DAY,
        description="Spans of a day; a divisor of 7200, the blocks of a day.",
    )
    horizon: Literal["fixed", "geometric"] = Field(
        "fixed",
        description="Episodes are truncated at horizon_days, or end on a random day by the social discount.",
    )
    horizon_days: int = Field(365, ge=1, le=8000, description="Days until an episode is truncated.")
    horizon_cap_days: int = Field(
        8000, ge=1, le=12_000, description="Latest random end of an episode."
    )
    n_stakers: int = Field(1, ge=0, le=64, description="Stakers with orders per world.")
    wealth_tao: float = Field(
        1000.0, ge=1.0, le=100_000.0, description="TAO of each staker at the start, all in root."
    )
    ruin_fraction: float = Field(
        0.01,
        gt=0.0,
        lt=1.0,
        description="A staker below this part of its initial wealth is ruined and its episode terminates.",
    )
    execution: Literal["first_span", "twap"] = Field(
        "first_span",
        description="Execution of stakers' orders: in the day's first span, or spread over the spans.",
    )
    # drawn markets, and stocks at genesis
    emission_per_subnet_tao: float = Field(
        28.0, ge=1.0, le=1000.0, description="TAO a day and subnet in drawn worlds."
    )
    root_stake_tao: float | None = Field(
        None,
        gt=0.0,
        le=2e7,
        description="Root stake, TAO; None: the snapshot's, 5.31 million in drawn worlds.",
    )
    genesis_price_median: float = Field(
        0.0058, ge=1e-9, le=1.0, description="Median of drawn prices, TAO per alpha."
    )
    genesis_price_sd: float = Field(
        0.74, ge=0.0, le=3.0, description="Standard deviation of log drawn prices."
    )
    genesis_pool_median: float = Field(
        7658.0, ge=1e-3, le=1e6, description="Median of drawn pools, TAO."
    )
    genesis_pool_sd: float = Field(
        1.09, ge=0.0, le=3.0, description="Standard deviation of log drawn pools."
    )
    genesis_pool_correlation: float = Field(
        0.60, ge=-1.0, le=1.0, description="Correlation of log pool and log price."
    )
    genesis_alpha_out_median: float = Field(
        2.48e6, ge=1.0, le=1e7, description="Median of drawn alpha outstanding."
    )
    genesis_alpha_out_sd: float = Field(
        0.78, ge=0.0, le=3.0, description="Standard deviation of its log."
    )
    genesis_age_days: tuple[float, float] = Field(
        (150.0, 900.0), description="Lowest and highest drawn age of a subnet."
    )
    pool_depth: float = Field(
        1.0, ge=1e-6, le=1000.0, description="Factor on both reserves of every pool at genesis."
    )
    genesis_stocks: Literal["history", "steady_state"] = Field(
        "history",
        description="Stocks of a reference builder as old as the subnet, or in its steady state.",
    )
    genesis_research_share: float = rate(0.3, "Research share of the reference builder.")
    genesis_budget_tao: float = Field(
        6.0, ge=1.0, le=30.0, description="Budget of the reference builder, TAO a day."
    )

    @field_validator("genesis", mode="before")
    @classmethod
    def _path_as_text(cls, genesis: Any) -> Any:
        return str(genesis) if isinstance(genesis, os.PathLike) else genesis

    @model_validator(mode="after")
    def _names_and_divisors(self) -> Self:
        choices = (
            ("era", ERAS),
            ("injection", INJECTIONS),
            ("chain_bought", CHAIN_BOUGHT),
            ("root_dividend", ROOT_DIVIDENDS),
            ("prune_key", PRUNE_KEYS),
            ("seeding", SEEDINGS),
        )
        for name, least in LEAST_ABOVE_ZERO.items():
            if 0.0 < getattr(self, name) < least:
                raise ConfigError(
                    f"{name}: got {getattr(self, name)}, allowed are 0 and from {least}"
                )
        for name, allowed in choices:
            value = getattr(self, name)
            if value is not None and value not in allowed:
                raise ConfigError(
                    f"{name}: got {shown(value)}, allowed are {', '.join(sorted(allowed))}"
                )
        if self.allocation is not None and self.allocation not in ALLOCATIONS:
            try:
                resolve(self.allocation)
            except RuleError as error:
                raise ConfigError(f"allocation: {error}") from None
        if not 0.0 < sum(self.validator_top5) < 1.0 or min(self.validator_top5) <= 0.0:
            raise ConfigError(
                f"validator_top5: got {self.validator_top5}, allowed are five positive shares with a sum below 1"
            )
        if self.payment == "fee" and self.era_part("injection") == "direct":
            raise ConfigError(
                "payment: got 'fee', allowed are 'alpha' and 'direct' where there are no pools: both mean TAO there"
            )
        if 0.0 < self.delay_days < self.delay_stages:
            raise ConfigError(
                f"delay_days: got {self.delay_days}, allowed are 0 and from {self.delay_stages}, the number of stages"
            )
        low, high = self.genesis_age_days
        if not 1.0 <= low <= high <= 3650.0:
            raise ConfigError(
                f"genesis_age_days: got {(low, high)}, allowed are two numbers, ascending, from 1 to 3650"
            )
        if self.is_drawn and self.halving:
            raise ConfigError(
                "halving: got True, allowed is False or None in drawn worlds: they emit by subnet"
            )
        if self.pool_depth > 1.0 and (self.halving or (self.halving is None and not self.is_drawn)):
            raise ConfigError(
                f"pool_depth: got {self.pool_depth}, allowed is at most 1 where emission halves: no alpha may pass its cap"
            )
        if (whole := sum(fund.part for fund in self.curated_funds)) > 1.0:
            raise ConfigError(
                f"curated_funds: got parts with the sum {whole:.6g}, allowed is at most 1, all root stake"
            )
        if BLOCKS_PER_DAY % self.spans_per_day:
            raise ConfigError(
                f"spans_per_day: got {self.spans_per_day}, allowed are divisors of {BLOCKS_PER_DAY}"
            )
        return self

    @classmethod
    def make(cls, config: "Config | dict | str | Path | None" = None, /, **overrides: Any) -> Self:
        """A configuration from defaults, a mapping, a YAML file or another one, with fields overridden.

        Raises
        ------
        ConfigError
            Names the field, its value and what is allowed.
        """
        return made_from(cls, config, overrides)

    @property
    def is_drawn(self) -> bool:
        """Whether the market at genesis is drawn or symmetric, not a snapshot."""
        return self.genesis in DRAWN

    def era_part(self, name: str) -> Any:
        """A parameter, taken from the era where this configuration says None."""
        value = getattr(self, name)
        era: Era = ERAS[self.era]
        return getattr(era, name) if value is None and hasattr(era, name) else value
