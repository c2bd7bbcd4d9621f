"""The picture of a builder's episode: market, spending and stocks."""

from typing import Any

import numpy as np

from dtao_gym.envs.render import COLOURS, Episodes, MarketPicture


class BuilderPicture(MarketPicture):
    """A builder's spending and stocks."""

    n_numbers = 9
    titles = ("Spending, TAO a day", "Own stocks, TAO a day")

    def start(self, episodes: Episodes) -> None:
        """Clear the history and record the first day; to be called after a reset."""
        self._slot = episodes.role.slots[0]
        super().start(episodes)

    def _point(self, episodes: Episodes, before: np.ndarray) -> np.ndarray:
        """Day, treasury, consumption; product, research, influence; short-term, knowledge, pipeline; market."""
        state, world = episodes.batch.state, self.world
        info = {name: rows[world] for name, rows in episodes.info().items()}
        influence = info["budget"] * info["influence_share"]
        research = (info["budget"] - influence) * info["research_share"]
        numbers = [info["day"], info["treasury"], info["consumed"]]
        numbers += [info["budget"] - influence - research, research, influence]
        numbers += [info["short_stock"], info["knowledge"], info["pipeline"]]
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

    def _colouring(self, history: np.ndarray) -> np.ndarray:
        share = self._market(history)[1].mean(0)
        return share + (np.arange(share.size) == self._slot)  # the builder's own subnet comes first

    def _draw_own(self, panels: Any, history: np.ndarray, top: np.ndarray, rest: np.ndarray) -> str:
        day = history[:, 0]
        names = (("product", "research", "influence"), ("short-term", "knowledge", "under way"))
        spent = (
            history[1:, 3:6] if len(history) > 1 else history[:, 3:6]
        )  # there is no spending before day 1
        panels[0].stackplot(
            day[-len(spent) :], *spent.T, colors=COLOURS[:3], labels=names[0], linewidth=0.3
        )
        for stock, colour, label in zip(history[:, 6:9].T, COLOURS[:3], names[1], strict=True):
            panels[1].plot(day, stock, color=colour, linewidth=1.6, label=label)
        for panel in panels:
            panel.set_ylim(bottom=0.0)
            panel.legend(fontsize=8, frameon=False, loc="best", labelcolor="#444444")
        treasury, consumed = history[-1, 1:3]
        own = self._netuid[self._slot]
        return f"SN {own}     treasury {treasury:,.2f} TAO     consumed {consumed:,.2f} TAO"
