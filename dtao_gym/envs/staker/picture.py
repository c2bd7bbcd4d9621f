"""The picture of a staker's episode: market, portfolio and wealth."""

from typing import Any

import numpy as np

from dtao_gym import figures
from dtao_gym.colours import BAND, FAINT_INK, MUTED, colour_of
from dtao_gym.envs.render import ALL_NAMED, NAMED_SUBNETS, Episodes, MarketPicture


class StakerPicture(MarketPicture):
    """A staker's portfolio and wealth."""

    n_numbers = 4

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

    def _headline(self, history: np.ndarray) -> str:
        (start, wealth), index = history[[0, -1], 1], history[-1, 2]
        if len(history) == 1:
            return f"The staker begins with {figures.amount(wealth)} TAO"
        return (
            f"The staker has {figures.amount(wealth)} TAO ({_growth(wealth / start)}); "
            f"root alone would have made it {figures.amount(start * index)} ({_growth(index)})"
        )

    def _own_named(self, history: np.ndarray) -> list[int]:
        weight = self._weights(history[-1])[1:]
        chosen = np.argsort(-weight, kind="stable")
        chosen = chosen if weight.size <= ALL_NAMED else chosen[: NAMED_SUBNETS - 1]
        return [int(i) for i in chosen if weight[i] > 5e-4]

    def _draw_own(self, panels: Any, history: np.ndarray, colours: dict[int, str]) -> None:
        self._draw_portfolio(panels[0], history, colours)
        self._draw_wealth(panels[1], history)

    def _draw_portfolio(self, panel: Any, history: np.ndarray, colours: dict[int, str]) -> None:
        named = self._own_named(history)
        weight = self._weights(history)
        rest = np.setdiff1d(np.arange(weight.shape[1] - 1), named)
        day, weight = figures.full_width(history[:, 0], weight)
        names = [("root", colour_of("root"), FAINT_INK, weight[:, 0])]
        names += [(self._name(i), colours[i], colours[i], weight[:, i + 1]) for i in named]
        if rest.size:
            others = f"{rest.size} others"
            names.append((others, BAND, FAINT_INK, weight[:, rest + 1].sum(1)))
        layers = np.array([layer for *_, layer in names])
        figures.stack(panel, day, layers, [area for _, area, _, _ in names])
        panel.plot(day, layers.sum(0), color=MUTED, linewidth=0.8)

        subnets = 1.0 - weight[-1, 0]
        title = "Portfolio: all in root"
        if subnets > 5e-4:
            first = int(np.argmax(weight[-1, 1:]))
            title = f"Portfolio: {figures.percent(weight[-1, 0])} in root"
            title += f", {figures.percent(weight[-1, first + 1])} in {self._name(first)}"
        figures.style(panel, title, "share of own wealth")
        panel.set_ylim(0.0, 1.0)
        panel.yaxis.set_major_formatter(lambda y, _: figures.percent(y))
        top = layers[:, -1].cumsum()
        figures.label_ends(
            panel,
            [
                figures.EndLabel(
                    f"{name} {figures.percent(size)}",
                    edge - size / 2,
                    colour_of("root") if k == 0 else ink,
                )
                for k, ((name, _, ink, _), size, edge) in enumerate(
                    zip(names, layers[:, -1], top, strict=True)
                )
                if size > 5e-4
            ],
        )

    def _draw_wealth(self, panel: Any, history: np.ndarray) -> None:
        day, history = figures.full_width(history[:, 0], history)
        wealth, root = history[:, 1], history[0, 1] * history[:, 2]
        ratio = wealth[-1] / root[-1] - 1.0
        if day[-1] == 0.0:
            title = "Wealth at the start"
        elif abs(ratio) < 5e-4:
            title = "Wealth: the same as root alone"
        else:
            title = f"Wealth: {figures.percent(abs(ratio))} {'more' if ratio > 0.0 else 'less'} than root alone"
        figures.style(panel, title, "TAO, log scale")
        figures.log_axis(panel, np.concatenate([wealth, root]), figures.amount)
        panel.axhline(wealth[0], color=MUTED, linewidth=0.8, linestyle=(0, (1, 2)))
        labels = []
        for name, line, width in (("root", root, 1.4), ("own", wealth, 2.0)):
            colour = colour_of("root" if line is root else "own")
            panel.plot(day, line, color=colour, linewidth=width)
            panel.plot(day[-1], line[-1], "o", color=colour, markersize=3.5, clip_on=False)
            labels.append(figures.EndLabel(f"{name} {figures.amount(line[-1])}", line[-1], colour))
        figures.label_ends(panel, labels)


def _growth(ratio: float) -> str:
    """Growth in percent, as a factor where wealth has grown fivefold or more."""
    return f"{round(ratio - 1.0, 3) + 0.0:+.1%}" if ratio < 5.0 else figures.factor(ratio)
