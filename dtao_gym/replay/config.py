"""Configuration of replays: typed, validated, readable from YAML."""

import functools
import itertools
from datetime import date
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
from pydantic import ConfigDict, Field, model_validator

from dtao_gym.protocol.institutions import FEE_OF_WEIGHTED_POOL
from dtao_gym.protocol.lifecycle import MAX_SUBNETS
from dtao_gym.protocol.pool import MAX_FEE
from dtao_gym.replay.market import PACKAGED, ReplayMarket, market_from_file, packaged_market
from dtao_gym.world.checked import Checked
from dtao_gym.world.config import ConfigError, made_from
from dtao_gym.world.snapshot import Snapshot, SnapshotError

Day = date


class ReplayConfig(Checked, frozen=True):
    """Parameters of a replay.

    Each field has its default and its description. A date names the close of that day, 24:00 UTC;
    amounts are TAO.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    prices: str = Field(
        "mainnet",
        description="Price paths: `mainnet` (all packaged ones), "
        + ", ".join(PACKAGED)
        + ", or a CSV.",
    )
    reserves: str | None = Field(
        None,
        description="Snapshot of reserves, a packaged name or a CSV; needed where prices begin long after the launch.",
    )
    n_subnets: int = Field(
        16, ge=1, le=MAX_SUBNETS, description="Number of subnets that can be staked in."
    )
    selection: Literal["largest", "sample"] = Field(
        "largest",
        description="Choice among subnets with a market on the first day: deepest pools, or random by key.",
    )
    min_pool_tao: float = Field(
        0.0, ge=0.0, le=1e6, description="Smallest pool of a subnet that can be chosen."
    )
    first_date: Day | None = Field(None, description="Earliest close at which a window trades.")
    last_date: Day | None = Field(None, description="Latest close of a window.")
    split: Literal["train", "evaluation"] = Field(
        "train", description="Training and evaluation windows are drawn by different keys."
    )
    split_date: Day | None = Field(
        None,
        description="Last close of training windows, and earliest first close of evaluation windows. "
        "None: both splits use the same days.",
    )
    history_days: int = Field(
        20,
        ge=1,
        le=60,
        description="Closes before a window that observations use.",
    )
    horizon_days: int = Field(30, ge=1, le=365, description="Length of a window in days.")
    days_per_step: int = Field(1, ge=1, le=28, description="Days between two decisions.")
    impact: Literal["recovering", "permanent"] = Field(
        "recovering",
        description="Price impact of own trades: gone at the next close, or lasting until they are undone.",
    )
    wealth_tao: float = Field(
        1000.0, ge=1.0, le=100_000.0, description="Initial wealth, all staked on root."
    )
    ruin_fraction: float = Field(
        0.01,
        gt=0.0,
        lt=1.0,
        description="Fraction of the initial wealth below which the episode terminates.",
    )
    pool_fee: float = Field(
        FEE_OF_WEIGHTED_POOL, ge=0.0, le=MAX_FEE, description="Fee on the input of a swap."
    )
    min_order_tao: float = Field(
        0.0005,
        ge=0.0,
        le=1.0,
        description="Minimum order size; a sale of a whole position may be smaller.",
    )
    world_seed: int = Field(0, ge=0, lt=2**63, description="Key of the random windows.")

    horizon: ClassVar[str] = "fixed"

    @model_validator(mode="after")
    def _dates(self) -> Self:
        given = [
            (name, value)
            for name in ("first_date", "split_date", "last_date")
            if (value := getattr(self, name)) is not None
        ]
        for (early, one), (late, two) in itertools.pairwise(given):
            if one >= two:
                raise ConfigError(f"{late}: got {two}, allowed are days after {early}, {one}")
        for name in ("wealth_tao", "pool_fee", "min_order_tao", "min_pool_tao", "ruin_fraction"):
            if 0.0 < getattr(self, name) < np.finfo(float).tiny:
                raise ConfigError(
                    f"{name}: got {getattr(self, name)!r}, allowed are 0 and normal numbers"
                )
        return self

    @classmethod
    def make(
        cls, config: "ReplayConfig | dict | str | Path | None" = None, /, **overrides: Any
    ) -> "ReplayConfig":
        """Return a checked configuration.

        Parameters
        ----------
        config : ReplayConfig, dict, str or Path, optional
            Another configuration, a mapping, or the path of a YAML file; default values if not given.
        **overrides
            Values of single fields.

        Raises
        ------
        ConfigError
            An unknown field or an invalid value; names the field, the value and what is allowed.
        """
        return made_from(cls, config, overrides)

    def markets(self) -> list[ReplayMarket]:
        """Return the price paths. Raises ConfigError for a bad file or snapshot."""
        return _markets(self.prices, self.reserves, _version(self.prices), _version(self.reserves))


def _version(path: str | None) -> tuple[int, ...]:
    """Modification time and size of a file, part of the cache key."""
    try:
        status = Path(path or "").stat()
    except (OSError, ValueError):
        return ()
    return status.st_mtime_ns, status.st_size


@functools.lru_cache(maxsize=8)
def _markets(prices: str, reserves: str | None, *versions: tuple[int, ...]) -> list[ReplayMarket]:
    if prices == "mainnet" or prices in PACKAGED:
        if reserves is not None:
            raise ConfigError(
                f"reserves: got {reserves!r} with packaged prices, allowed is None; only a CSV takes a snapshot"
            )
        return [packaged_market(name) for name in (PACKAGED if prices == "mainnet" else [prices])]
    if not Path(prices).is_file():
        raise ConfigError(
            f"prices: got {prices!r}, which is no file; allowed are mainnet, {', '.join(PACKAGED)}, a CSV"
        )
    try:
        captures = [] if reserves is None else [Snapshot.load(reserves)]
    except (SnapshotError, OSError) as error:
        raise ConfigError(f"reserves: {error}") from None
    return [market_from_file(prices, captures)]
