"""The picture of a staker's episode: market, portfolio and wealth."""

from typing import Any

import numpy as np

from dtao_gym.envs.render import (
    COLOURS,
    REST_COLOUR,
    ROOT_COLOUR,
    Episodes,
    MarketPicture,
    stack_shares,
)


class StakerPicture(MarketPicture):
    """A staker's portfolio and wealth."""

    n_numbers = 4
    titles = ("Own portfolio", "Wealth, TAO")

    def _point(self, episodes: Episodes, before: np.ndarray) -> np.ndarray:
        """Day, wealth, index of 1 TAO left in root, unclaimed dividends at spot; prices, shares, values.

        Values are the root stake with its claims on funds, and the liquidation value of each position with its claims; their
        sum is the wealth.
        """
        batch, world = episodes.batch, self.world
        state = batch.state
        record, staker = batch.parameters[world], state.stakers[world, 0]
        alpha, owed = (
            state.section("staker_alpha")[world, 0],
            state.section("staker_claimable")[world, 0],
        )
        tao, pool_alpha = state.row("tao_reserve")[world], state.row("alpha_reserve")[world]
        tao_weight = state.row("pool_tao_weight")[world]
        price, day = state.row("spot_price")[world], state.worlds["day"][world]
        net = alpha * (1.0 - record["pool_fee"]) + owed
        filled = np.where(pool_alpha > 0.0, pool_alpha, 1.0)  # subnets of a replay may end
        # `protocol.pool.tao_for_alpha` for all pools
        proceeds = -tao * np.expm1(-(1.0 - tao_weight) / tao_weight * np.log1p(net / filled))
        proceeds = np.maximum(proceeds - record["flat_fee_tao"], 0.0)
        index = 1.0
        if before.size:  # compounded at the present root yield
            index = before[2] * (1.0 + state.worlds["root_yield"][world]) ** (day - before[0])
        on_root = staker["root"] + staker["fund_claim"]
        unclaimed = (owed * price).sum() + staker["fund_claim"]
        numbers = [day, staker["wealth"], index, unclaimed]
        share = state.row("emission_share")[world]
        return np.concatenate([numbers, price, share, [on_root], proceeds])

    def _weights(self, points: np.ndarray) -> np.ndarray:
        """Portfolio weights: root first, then each subnet."""
        return self._market(points)[2] / np.maximum(points[..., 1:2], 1e-300)

    def _head(self) -> list[str]:
        _, wealth, _, unclaimed = self._last[:4]
        growth = wealth / self._points[0][1] - 1.0
        return [
            f"{self._day()}   wealth {wealth:,.2f} TAO ({growth:+.2%})   "
            f"root {self._weights(self._last)[0]:.1%}   unclaimed {unclaimed:,.4f} TAO"
        ]

    def _column(self) -> tuple:
        weight = self._weights(self._last)[1:]

        def mark(chosen: np.ndarray) -> str:
            total = weight[chosen].sum()
            return f"{total:>11.2%}  {'█' * round(40 * min(total, 1.0))}"

        return self._market(self._last)[1] + weight, mark, "own weight"

    def _colouring(self, history: np.ndarray) -> np.ndarray:
        return (self._market(history)[1] + self._weights(history)[:, 1:]).mean(0)

    def _first_names(self) -> list[tuple[str, str]]:
        return [("root", ROOT_COLOUR)]

    def _draw_own(self, panels: Any, history: np.ndarray, top: np.ndarray, rest: np.ndarray) -> str:
        day, wealth, root_index = history[:, 0], history[:, 1], history[:, 2]
        weight = self._weights(history)
        layers = [weight[:, 0], *weight[:, top + 1].T, weight[:, rest + 1].sum(1)]
        stack_shares(panels[0], day, layers, [ROOT_COLOUR, *COLOURS[: top.size], REST_COLOUR])
        panel = panels[1]
        panel.axhline(
            wealth[0], color="#999999", linewidth=1, linestyle="--", label="start, all in root"
        )
        panel.plot(
            day, wealth[0] * root_index, color="#999999", linewidth=1.2, label="left in root"
        )
        panel.plot(day, wealth, color=COLOURS[0], linewidth=1.8, label="own")
        panel.yaxis.set_major_formatter(lambda y, _: f"{y:,.6g}")
        panel.margins(y=0.12)
        panel.legend(fontsize=8, frameon=False, loc="best", labelcolor="#444444")
        return f"wealth {wealth[-1]:,.2f} TAO  ({wealth[-1] / wealth[0] - 1.0:+.2%})"
