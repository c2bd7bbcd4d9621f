"""Parameters of a replay: typed, validated, readable from YAML, like those of a simulated world."""

import functools
import itertools
from datetime import date
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
from pydantic import BaseModel as Model
from pydantic import ConfigDict, Field, model_validator

from dtao_gym.protocol.institutions import FEE_OF_WEIGHTED_POOL
from dtao_gym.protocol.pool import MAX_FEE
from dtao_gym.replay import market
from dtao_gym.replay.market import PACKAGED, Market
from dtao_gym.world.config import ConfigError, made_from
from dtao_gym.world.snapshot import Snapshot, SnapshotError

Day = date


class ReplayConfig(Model, frozen=True):
    """All parameters of a replay. Dates are days that close at 24:00 UTC; amounts are TAO."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    prices: str = Field(
        "mainnet",
        description="Price paths: `mainnet` (both packaged ones), "
        + ", ".join(PACKAGED)
        + ", or a CSV.",
    )
    reserves: str | None = Field(
        None,
        description="Snapshot of the reserves where a CSV begins long after the launch: packaged name or CSV.",
    )
    n_subnets: int = Field(16, ge=1, le=128, description="Subnets that can be staked in.")
    selection: Literal["largest", "sample"] = Field(
        "largest",
        description="Which, of those with a market on the first day: deepest pools, or drawn by key.",
    )
    min_pool_tao: float = Field(
        0.0, ge=0.0, le=1e6, description="Smallest pool of a subnet that can be chosen."
    )
    first_date: Day | None = Field(None, description="No window uses an earlier close to trade.")
    last_date: Day | None = Field(None, description="No window uses a later close.")
    split: Literal["train", "evaluation"] = Field(
        "train", description="Windows of evaluation are drawn by other keys than those of training."
    )
    split_date: Day | None = Field(
        None,
        description="Windows of training end by this close, those of evaluation begin with it or later. "
        "None: both splits see the same days.",
    )
    history_days: int = Field(
        20,
        ge=1,
        le=60,
        description="Closes before a window that the observation needs, and its lag.",
    )
    horizon_days: int = Field(30, ge=1, le=365, description="Days of a window.")
    days_per_step: int = Field(1, ge=1, le=28, description="Days between two decisions.")
    impact: Literal["recovering", "permanent"] = Field(
        "recovering",
        description="Own trades move prices until the next close, or as long as they are not undone.",
    )
    wealth_tao: float = Field(
        1000.0, ge=1.0, le=100_000.0, description="TAO at the start, all in root."
    )
    ruin_fraction: float = Field(
        0.01,
        gt=0.0,
        lt=1.0,
        description="Below this part of the first wealth the episode terminates.",
    )
    pool_fee: float = Field(
        FEE_OF_WEIGHTED_POOL, ge=0.0, le=MAX_FEE, description="Fee on the input of a swap."
    )
    min_order_tao: float = Field(
        0.0005, ge=0.0, le=1.0, description="Smallest order, unless it sells a whole position."
    )
    world_seed: int = Field(0, ge=0, lt=2**63, description="Key of the windows that are drawn.")

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
        """A configuration from defaults, a mapping, a YAML file or another one, with fields overridden.

        Raises `ConfigError` naming the field, what was got and what is allowed.
        """
        return made_from(cls, config, overrides)

    def markets(self) -> list[Market]:
        """The price paths. Raises `ConfigError`."""
        return _markets(self.prices, self.reserves, _version(self.prices), _version(self.reserves))


def _version(path: str | None) -> tuple[int, ...]:
    """Modification time and size of a file: part of the cache key."""
    try:
        found = Path(path or "").stat()
    except (OSError, ValueError):
        return ()
    return found.st_mtime_ns, found.st_size


@functools.lru_cache(maxsize=8)
def _markets(prices: str, reserves: str | None, *versions: tuple[int, ...]) -> list[Market]:
    if prices == "mainnet" or prices in PACKAGED:
        if reserves is not None:
            raise ConfigError(
                f"reserves: got {reserves!r} with packaged prices, allowed is it with a CSV"
            )
        return [market.packaged(name) for name in (PACKAGED if prices == "mainnet" else [prices])]
    if not Path(prices).is_file():
        raise ConfigError(
            f"prices: got {prices!r}, which is no file; allowed are mainnet, {', '.join(PACKAGED)}, a CSV"
        )
    try:
        captures = [] if reserves is None else [Snapshot.load(reserves)]
    except (SnapshotError, OSError) as error:
        raise ConfigError(f"reserves: {error}") from None
    return [market.of_file(prices, captures)]
