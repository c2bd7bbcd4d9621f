"""The staker of a replay: spaces, actions and rewards of `Staker`, on real price paths."""

from typing import Any

import numpy as np

from dtao_gym.envs.roles import Staker


class ReplayStaker(Staker):
    """A TAO holder on a real price path.

    Action, observation and reward are those of `Staker`; nothing is known of the value of a subnet, so that the features
    `signal_value` and `mean_signal_value` are 0, and root dividends come in TAO, so that `claimable` is 0 too.
    """

    name = "replay"
    market_numbers = ("day", "emission_hhi", "price_sum")
    market_rows = ("spot_price", "emission_share")

    def info(self, batch: Any) -> dict[str, np.ndarray]:
        """Logged quantities.

        wealth, root_tao, traded_tao as of `Staker`; date (of the close, as a number YYYYMMDD); netuid (of each slot).
        """
        dates = [int(str(day).replace("-", "")) for day in batch.dates()]
        return {
            **super().info(batch),
            "date": np.array(dates, np.int64),
            "netuid": batch.netuids(),
        }
