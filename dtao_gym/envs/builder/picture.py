"""The picture of a builder's episode: market, spending and stocks."""

from typing import Any

import numpy as np

from dtao_gym import figures
from dtao_gym.colours import FAINT_INK, PALETTE
from dtao_gym.envs.render import Episodes, MarketPicture

USES = {
    "product": PALETTE["blue"],
    "research": PALETTE["purple"],
    "influence": PALETTE["olive"],
}
"""Colours of the uses of a budget, and of the stocks that they feed."""


class BuilderPicture(MarketPicture):
    """A builder's spending and stocks."""

    n_numbers = 10

    def start(self, episodes: Episodes) -> None:
        """Clear the history and record the first day; to be called after a reset."""
        self._slot = episodes.role.slots[0]
        super().start(episodes)

    def _point(self, episodes: Episodes, before: np.ndarray) -> np.ndarray:
        """Day, treasury, consumption; spending; stocks; whether the subnet is dissolved; market.

        Spending is on product, research, influence; stocks are short-term, knowledge, pipeline.
        """
        state, world = episodes.batch.state, self.world
        info = {name: rows[world] for name, rows in episodes.info().items()}
        influence = info["budget"] * info["influence_share"]
        research = (info["budget"] - influence) * info["research_share"]
        numbers = [info["day"], info["treasury"], info["consumed"]]
        numbers += [info["budget"] - influence - research, research, influence]
        numbers += [info["short_stock"], info["knowledge"], info["pipeline"], info["pruned"]]
        market = (state.row("spot_price")[world], state.row("emission_share")[world])
        return np.concatenate([numbers, *market])

    def _head(self) -> list[str]:
        _, treasury, consumed, product, research, influence, short, known, pipeline = self._last[:9]
        return [
            f"{self._day()}   SN {self._netuid[self._slot]}   treasury {treasury:,.2f} TAO   "
            f"consumed {consumed:,.2f} TAO",
            f"spends a day: product {product:.2f}, research {research:.2f}, influence {influence:.2f} TAO",
            f"stocks, TAO a day: short-term {short:.2f}, knowledge {known:.2f}, under way {pipeline:.2f}",
        ]

    def _column(self) -> tuple:
        share = self._market(self._last)[1]
        own = np.arange(share.size) == self._slot
        return share + own, lambda chosen: "  own" if own[chosen].any() else "", "     "

    def _own_slot(self) -> int:
        return self._slot

    def _headline(self, history: np.ndarray) -> str:
        treasury, consumed = (figures.amount(x) for x in history[-1, 1:3])
        own = self._name(self._slot)
        if history[-1, 9]:
            days, consumed = self._owned(history)[-1, [0, 2]]
            return (
                f"{own} was dissolved for a newcomer after {days:.0f} days; "
                f"its builder had consumed {figures.amount(consumed)} TAO"
            )
        if len(history) == 1:
            return f"The builder of {own} begins with a treasury of {treasury} TAO"
        return (
            f"The builder of {own} has consumed {consumed} TAO and holds {treasury} in its treasury"
        )

    def _draw_own(self, panels: Any, history: np.ndarray, colours: dict[int, str]) -> None:
        owned = self._owned(history)
        self._draw_spending(panels[0], owned)
        self._draw_stocks(panels[1], owned)

    def _owned(self, history: np.ndarray) -> np.ndarray:
        """Points until the subnet is dissolved: what comes after is its next owner's."""
        return history[: max(1, int(np.argmax(history[:, 9] > 0.0)))] if history[-1, 9] else history

    def _draw_spending(self, panel: Any, history: np.ndarray) -> None:
        if len(history) == 1:
            figures.style(panel, "Spending: none before day 1", "TAO a day")
            panel.text(
                0.5, 0.5, "the builder decides first at day 0", transform=panel.transAxes,
                fontsize=figures.NAME_SIZE, color=FAINT_INK, ha="center", va="center",
            )  # fmt: skip
            return
        day, spent = history[1:, 0], history[1:, 3:6]
        if len(day) == 1:
            day, spent = np.array(panel.get_xlim()), np.repeat(spent, 2, axis=0)
        total = spent.sum(1)
        title = f"Spending: {figures.amount(total[-1])} TAO a day"
        if total[-1] > 0.0:
            title += f", {figures.percent(spent[-1, 1] / total[-1])} on research"
        figures.style(panel, title, "TAO a day")
        figures.stack(panel, day, spent.T, list(USES.values()))
        panel.set_ylim(0.0, 1.08 * float(total.max()) or 1.0)
        edges = spent[-1].cumsum()
        figures.label_ends(
            panel,
            [
                figures.EndLabel(f"{name} {figures.amount(size)}", edge - size / 2, colour)
                for (name, colour), size, edge in zip(USES.items(), spent[-1], edges, strict=True)
                if size > 0.0
            ],
        )

    def _draw_stocks(self, panel: Any, history: np.ndarray) -> None:
        day, history = figures.full_width(history[:, 0], history)
        short, known = history[-1, 6:8]
        title = f"Stocks: knowledge {figures.amount(known)}, product {figures.amount(short)}"
        figures.style(panel, title, "worth to users, TAO a day")
        panel.set_ylim(0.0, 1.08 * float(history[:, 6:9].max()) or 1.0)
        kinds = (
            ("product", USES["product"], "-"),
            ("knowledge", USES["research"], "-"),
            ("under way", USES["research"], (0, (2, 1.5))),
        )
        labels = []
        for (name, colour, dashes), stock in zip(kinds, history[:, 6:9].T, strict=True):
            panel.plot(day, stock, color=colour, linewidth=1.6, linestyle=dashes)
            panel.plot(history[-1, 0], stock[-1], "o", color=colour, markersize=3.5, clip_on=False)
            labels.append(
                figures.EndLabel(f"{name} {figures.amount(stock[-1])}", stock[-1], colour)
            )
        figures.label_ends(panel, labels)
