"""Pictures of an episode, as a table or a figure: the part that all roles share."""

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from gymnasium.error import DependencyNotInstalled, ResetNeeded

from dtao_gym import figures
from dtao_gym.colours import FAINT_INK, INK, SUBNETS, colour_of

MAX_POINTS = 2000
"""Size at which every second point of the history is dropped."""
TABLE_ROWS = 16
"""Subnets in the table."""
CHANGE_DAYS = 20
"""Days of the price change in the table."""
FRAME_SHAPE = (600, 800, 3)
"""Shape of a picture."""
NAMED_SUBNETS = 5
"""Subnets that a panel names where there are more than `ALL_NAMED`; the others are a band."""
ALL_NAMED = 8
"""Up to so many subnets, all are named."""
_PANEL_POINTS = 250
"""Points per panel; a panel is some 250 pixels wide, so that more points would cost time and not be visible."""


def checked_render_mode(mode: str | None, allowed: list[str]) -> str | None:
    """Return the render mode. Raises ValueError for an unknown one."""
    if mode is not None and mode not in allowed:
        names = ", ".join(map(repr, allowed))
        raise ValueError(f"render_mode: got {mode!r}, allowed are {names}, None")
    return mode


def picture_of(role: Any, world: int = 0) -> "MarketPicture":
    """Return a new picture of one world of a role. Raises ValueError for a role without pictures."""
    if role.picture is None:
        raise ValueError(
            f"render_mode: got one for {role.name}, allowed is None: the role has no picture"
        )
    picture = role.picture()
    picture.world = world
    return picture


class Episodes(Protocol):
    """Part of `dtao_gym.envs.worlds.Episodes` that a picture reads."""

    batch: Any
    config: Any
    seeds: list[int]
    numbers: list[int]
    role: Any

    def info(self) -> dict[str, np.ndarray]:
        """Return logged quantities, one row per world."""
        ...


class MarketPicture:
    """One world of an episode as a table or a figure, with the history that a figure needs.

    The history consists of plain numbers of bounded size, so that an environment with a picture can be copied and pickled.
    Subclasses define the content of a point of the history (`_point`: numbers of the role, prices, emission shares, further
    values), the first lines and the last column of the table, and the headline and lower two panels of the figure.

    Parameters
    ----------
    world : int
        World of the episodes to show.

    Attributes
    ----------
    n_numbers : int
        Numbers of the role at the head of a point; the first is the day.
    """

    n_numbers: int

    def __init__(self, world: int = 0):
        self.world = world
        self._points: list[np.ndarray] = []

    def start(self, episodes: Episodes) -> None:
        """Clear the history and record the first day; to be called after a reset."""
        state = episodes.batch.state
        self._facts = {
            "seed": episodes.seeds[self.world],
            "episode": episodes.numbers[self.world],
            "horizon": episodes.config.horizon_days,
            "fixed": episodes.config.horizon == "fixed",
        }
        self._netuid = state.row("stream_id")[self.world].astype(int)
        self._points, self._every, self._seen = [], 1, 0
        self._recent: deque[tuple[float, np.ndarray]] = deque()
        self._last = np.empty(0)
        self.add(episodes)

    def add(self, episodes: Episodes) -> None:
        """Record the present state; to be called after every step."""
        self._last = self._point(episodes, self._last)
        if self._seen % self._every == 0:
            self._points.append(self._last)
        self._seen += 1
        if len(self._points) >= MAX_POINTS:
            self._points = self._points[::2]
            self._every *= 2
        day, price = self._last[0], self._market(self._last)[0]
        self._recent.append((float(day), price.copy()))
        while len(self._recent) > 1 and self._recent[1][0] <= day - CHANGE_DAYS:
            self._recent.popleft()

    def ansi(self) -> str:
        """Return a table of at most 100 columns: the day, the agent, and the subnets.

        The `TABLE_ROWS` subnets that are most important to the agent have a row each, the others one row together. The
        price change is over `CHANGE_DAYS`, or since the start of a younger episode. Raises ResetNeeded before a reset.
        """
        self._check_started()
        day = self._last[0]
        price, share, _ = self._market(self._last)
        first_day, first_price = self._recent[0]
        with np.errstate(divide="ignore", invalid="ignore"):
            change = price / first_price - 1.0
        importance, mark, heading = self._column()
        order = np.argsort(-importance, kind="stable")
        shown, rest = order[:TABLE_ROWS], order[TABLE_ROWS:]
        facts = f"seed {self._facts['seed']}, episode {self._facts['episode']}"
        days = f"{day - first_day:.0f} days"
        lines = [
            *self._head(),
            facts,
            "",
            f"subnet    price TAO  {days:>9}   emission   {heading}".rstrip(),
        ]
        for i in shown:
            name = f"{self._netuid[i]:>6}  {price[i]:>11.6f}  {_percent(float(change[i])):>9}"
            lines.append(f"{name}  {share[i]:>9.2%}  {mark(np.array([i]))}".rstrip())
        if rest.size:
            name = f"{rest.size:>6} others{'':17}"
            lines.append(f"{name}  {share[rest].sum():>9.2%}  {mark(rest)}".rstrip())
        return "\n".join(lines)

    def rgb_array(self) -> np.ndarray:
        """Return a picture: prices, emission, and two panels of the agent.

        Returns
        -------
        `(600, 800, 3)` uint8
            A new array.

        Raises
        ------
        ResetNeeded
            No episode has begun.
        DependencyNotInstalled
            matplotlib, the extra `plot`, is missing.
        """
        return figures.pixels(self.figure())

    def figure(self) -> Any:
        """Return the figure that `rgb_array` draws, as matplotlib's `Figure`, with the same errors."""
        self._check_started()
        height, width, _ = FRAME_SHAPE
        try:
            figure = figures.new_figure(width, height)
        except ImportError as error:
            raise DependencyNotInstalled(
                "pictures need matplotlib: pip install 'dtao-gym[plot]'"
            ) from error
        self._draw(figure)
        return figure

    def _check_started(self) -> None:
        if not self._points:
            raise ResetNeeded("render: no episode has begun; call reset first")

    def _market(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Prices, emission shares and further values of points."""
        n = self._netuid.size
        edges = np.cumsum([self.n_numbers, n, n])
        _, price, share, more = np.split(points, edges, axis=-1)
        return price, share, more

    def _day(self) -> str:
        day = f"day {self._last[0]:.0f}"
        return f"{day} of {self._facts['horizon']}" if self._facts["fixed"] else day

    def _point(self, episodes: Episodes, before: np.ndarray) -> np.ndarray:
        """Point of the present state; `before` is the previous point, empty at the start."""
        raise NotImplementedError

    def _head(self) -> list[str]:
        """First lines of the table."""
        raise NotImplementedError

    def _column(self) -> tuple[np.ndarray, Callable[[np.ndarray], str], str]:
        """Last column of the table: importance of each subnet, text for a set of subnets, heading."""
        raise NotImplementedError

    def _own_slot(self) -> int | None:
        """Slot of the agent's own subnet, None for agents without one."""
        return None

    def _headline(self, history: np.ndarray) -> str:
        """What the agent has achieved, as one sentence of at most 90 characters."""
        raise NotImplementedError

    def _draw_own(self, panels: Any, history: np.ndarray, colours: dict[int, str]) -> None:
        """Draw the lower two panels; `colours` are those of the subnets that the figure names."""
        raise NotImplementedError

    def _own_named(self, history: np.ndarray) -> list[int]:
        """Slots that the lower two panels name."""
        return []

    def _history(self) -> np.ndarray:
        """Points `(points, numbers)` to draw, at most `_PANEL_POINTS`, the last of them the present."""
        points = self._points
        if points[-1] is not self._last:
            points = [*points, self._last]
        chosen = (
            np.linspace(0, len(points) - 1, min(len(points), _PANEL_POINTS)).round().astype(int)
        )
        return np.stack([points[k] for k in chosen])

    def _draw(self, figure: Any) -> None:
        from matplotlib.ticker import MaxNLocator

        history = self._history()
        price, share, _ = self._market(history)
        with np.errstate(invalid="ignore"):
            price = np.where(np.isfinite(price) & (price > 0.0), price, np.nan)
        movers = self._named(_movers(price))
        earners = self._named(share[-1])
        colours = self._colours(share[0], [*movers, *earners, *self._own_named(history)])

        panels = figure.subplots(2, 2)  # the days are written below the lower two
        figure.subplots_adjust(
            left=0.06, right=0.86, top=0.825, bottom=0.075, hspace=0.42, wspace=0.7
        )
        last = history[-1, 0]
        for panel in panels.flat:
            panel.set_xlim(min(history[0, 0], last - 1.0), last)
            panel.xaxis.set_major_locator(MaxNLocator(4, integer=True))
            if len(history) == 1:
                panel.set_xticks([last])
        for panel in panels[0]:
            panel.tick_params(labelbottom=False)
        for panel in panels[1]:
            panel.set_xlabel("day", fontsize=figures.NAME_SIZE, color=FAINT_INK, labelpad=1)
        self._draw_prices(panels[0, 0], history[:, 0], price, movers, colours)
        self._draw_emission(panels[0, 1], history[:, 0], share, earners, colours)
        self._draw_own(panels[1], history, colours)

        facts, headline = self._facts, self._headline(history)
        figure.text(
            0.012, 0.962, headline, fontsize=min(12.5, 12.5 * 73 / len(headline)),
            weight="bold", color=INK, va="center",
        )  # fmt: skip
        figure.text(
            0.012, 0.921, f"{self._day()}, seed {facts['seed']}, episode {facts['episode']}",
            fontsize=9, color=FAINT_INK, va="center",
        )  # fmt: skip

    def _named(self, scores: np.ndarray) -> list[int]:
        """Slots with the highest scores, as many as a panel names, the own one always first."""
        own = self._own_slot()
        order = [int(i) for i in np.argsort(-scores, kind="stable") if i != own]
        chosen = order if own is None else [own, *order]
        return chosen if scores.size <= ALL_NAMED else chosen[:NAMED_SUBNETS]

    def _colours(self, first_share: np.ndarray, named: list[int]) -> dict[int, str]:
        """A colour for each named subnet: by the rank of its first emission, the next one where that is taken."""
        rank = np.argsort(np.argsort(-first_share, kind="stable"), kind="stable")
        colours: dict[int, str] = {}
        for i in sorted(set(named), key=lambda i: rank[i]):
            if i == self._own_slot():
                colours[i] = colour_of("own")
                continue
            wanted = [SUBNETS[(rank[i] + k) % len(SUBNETS)] for k in range(len(SUBNETS))]
            free = [colour for colour in wanted if colour not in colours.values()]
            colours[i] = (free or wanted)[0]
        return colours

    def _name(self, i: int) -> str:
        return f"SN {self._netuid[i]}"

    def _draw_lines(self, panel, day, values, named, colours, text) -> None:
        """Draw named subnets as lines and the others as a band, with `text(slot)` at their ends.

        `text(None)` is that of the band, whose median it follows.
        """
        rest = np.setdiff1d(np.arange(values.shape[1]), named)
        labels = []
        day, values = figures.full_width(day, values)
        if rest.size:
            middle = figures.draw_band(panel, day, values[:, rest])
            labels.append(figures.EndLabel(text(None, rest), middle, FAINT_INK))
        for i in reversed(named):
            width = 2.0 if i == self._own_slot() else 1.3
            panel.plot(day, values[:, i], color=colours[i], linewidth=width)
            panel.plot(day[-1], values[-1, i], "o", color=colours[i], markersize=3.5, clip_on=False)
            labels.append(figures.EndLabel(text(i, rest), values[-1, i], colours[i]))
        figures.label_ends(panel, labels)

    def _draw_prices(self, panel, day, price, movers, colours) -> None:
        change = price[-1] / price[0]
        known = np.isfinite(change)

        def text(i: int | None, rest: np.ndarray) -> str:
            value = price[-1, i] if i is not None else _median(price[-1, rest])
            if len(price) > 1:
                value = change[i] if i is not None else _median(change[rest])
            name = f"{rest.size} others" if i is None else self._name(i)
            return f"{name} {(figures.factor if len(price) > 1 else figures.amount)(value)}"

        if not known.any():
            title = "Prices: the subnets have no pools"
        elif len(price) == 1:
            title = f"Prices: {self._name(int(np.nanargmax(price[-1])))} is the highest"
        elif not (change[known] != 1.0).any():
            title = "Prices have not moved"
        else:
            low, high = int(np.nanargmin(change)), int(np.nanargmax(change))
            title = (
                f"Prices: {figures.factor(change[low])} ({self._name(low)}) "
                f"to {figures.factor(change[high])} ({self._name(high)})"
            )
        unit = "TAO per alpha, log scale" + ("; since the start" if len(price) > 1 else "")
        figures.style(panel, title, unit)
        figures.log_axis(panel, price[:, known], figures.amount)
        self._draw_lines(panel, day, price, movers, colours, text)

    def _draw_emission(self, panel, day, share, earners, colours) -> None:
        first = int(np.argmax(share[-1]))
        title = f"Emission: {self._name(first)} gets the most, {figures.percent(share[-1, first])}"
        own = self._own_slot()
        if own is not None:
            place = 1 + int((share[-1] > share[-1, own]).sum())
            title = (
                f"Emission: {figures.percent(share[-1, own])}, number {place} of {share.shape[1]}"
            )
        figures.style(panel, title, "share of all TAO paid to subnets")
        panel.set_ylim(0.0, max(1.08 * float(share.max()), 0.01))
        panel.yaxis.set_major_formatter(lambda y, _: figures.percent(y))

        def text(i: int | None, rest: np.ndarray) -> str:
            if i is None:
                return f"other {rest.size}: {figures.percent(share[-1, rest].sum())}"
            return f"{self._name(i)} {figures.percent(share[-1, i])}"

        self._draw_lines(panel, day, share, earners, colours, text)


def _percent(x: float) -> str:
    return f"{x:+.1%}" if abs(x) < 100.0 else "-"


def _median(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else float("nan")


def _movers(price: np.ndarray) -> np.ndarray:
    """Scores of the subnets: risers and fallers in turn, each by the size of the move; at the start the price itself."""
    if len(price) == 1:
        return np.where(np.isfinite(price[-1]), price[-1], -np.inf)
    move = np.log(price[-1] / price[0])
    known = np.isfinite(move)
    score = np.full(move.size, -np.inf)
    for first, side in ((0.0, known & (move >= 0.0)), (0.5, known & (move < 0.0))):
        places = np.flatnonzero(side)
        places = places[np.argsort(-np.abs(move[places]), kind="stable")]
        score[places] = -first - np.arange(places.size)
    return score
