"""The staker of a replay: spaces, actions and rewards of `Staker`, on real price paths."""

from typing import Any

import numpy as np

from dtao_gym.envs.staker.role import Staker
from dtao_gym.replay.config import ReplayConfig
from dtao_gym.replay.worlds import ReplayBatch
from dtao_gym.world.config import ConfigError


class ReplayStaker(Staker):
    """A TAO holder on a real price path.

    Action, `Box(-1, 1, (n_subnets + 2,), float32)`, and reward are those of `Staker`.

    Observation, `Box(-1, 1, (12 n_subnets + 7,), float32)`: that of `Staker`. The value of a subnet is unknown here and root dividends are
    paid in TAO, so that the features `signal_value`, `mean_signal_value`, `claimable` and `fund_value` are 0.
    """

    name = "replay"
    market_numbers = ("day", "emission_hhi", "price_sum")
    market_rows = ("spot_price", "emission_share")

    @classmethod
    def task(cls, config: Any = None, **overrides: Any) -> Any:
        """Return the checked `ReplayConfig`. Raises ConfigError."""
        return ReplayConfig.make(config, **overrides)

    @classmethod
    def make_batch(cls, config: Any, n_worlds: int, threads: int) -> ReplayBatch:
        """Make the replays of a configuration."""
        return ReplayBatch(config, n_worlds, threads=threads)

    @classmethod
    def members_of(cls, config: Any, wanted: Any) -> tuple[int, ...]:
        """Raise ConfigError: a price path has one staker."""
        raise ConfigError(f"replay: got {wanted!r}, allowed is one staker per price path")

    def info(self, batch: Any) -> dict[str, np.ndarray]:
        """Return the quantities of `Staker.info`, date (of the close, as a number YYYYMMDD) and netuid (of each slot)."""
        dates = [int(str(day).replace("-", "")) for day in batch.dates()]
        return {
            **super().info(batch),
            "date": np.array(dates, np.int64),
            "netuid": batch.netuids(),
        }

    def step_arguments(self, batch: Any) -> None:
        """None: the day of a replay is another kernel."""
        return None
