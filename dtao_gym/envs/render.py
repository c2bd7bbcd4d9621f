"""Pictures of an episode, as a table or a figure: the part that all roles share."""

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from gymnasium.error import DependencyNotInstalled, ResetNeeded

MAX_POINTS = 2000
"""Size at which every second point of the history is dropped."""
TABLE_ROWS = 16
"""Subnets in the table."""
CHANGE_DAYS = 20
"""Days of the price change in the table."""
COLOURS = (
    "#0072b2", "#e69f00", "#009e73", "#cc4c7a", "#56b4e9", "#d55e00", "#8c6bb1", "#b5a500"
)  # fmt: skip
ROOT_COLOUR, REST_COLOUR, OUTSIDE_COLOUR = "#2f3e4e", "#c3c9cf", "#f1f3f4"
FRAME_SHAPE = (600, 800, 3)
"""Shape of a picture."""
_PANEL_POINTS = 500
"""Points per panel; a panel is some 350 pixels wide, so that more points would cost time and not be visible."""


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
    values), the first lines and the last column of the table, and the lower two panels of the figure.

    Parameters
    ----------
    world : int
        World of the episodes to show.

    Attributes
    ----------
    n_numbers : int
        Numbers of the role at the head of a point; the first is the day.
    titles : tuple of str
        Titles of the lower two panels.
    """

    n_numbers: int
    titles: tuple[str, str]

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
        """Return a figure: prices, emission, and two panels of the agent.

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
        self._check_started()
        try:
            from matplotlib.backends.backend_agg import FigureCanvasAgg
            from matplotlib.figure import Figure
        except ImportError as error:
            raise DependencyNotInstalled(
                "pictures need matplotlib: pip install 'dtao-gym[plot]'"
            ) from error

        figure = Figure(figsize=(8, 6), dpi=100, facecolor="white")
        canvas = FigureCanvasAgg(figure)
        self._draw(figure)
        canvas.draw()
        return np.array(canvas.buffer_rgba())[..., :3].copy()

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

    def _colouring(self, history: np.ndarray) -> np.ndarray:
        """Importance of each subnet in the figure; the first eight are coloured."""
        raise NotImplementedError

    def _draw_own(self, panels: Any, history: np.ndarray, top: np.ndarray, rest: np.ndarray) -> str:
        """Draw the lower two panels; returns the headline after the day."""
        raise NotImplementedError

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
        day, (price, share, _) = history[:, 0], self._market(history)
        top = np.argsort(-self._colouring(history), kind="stable")[: len(COLOURS)]
        rest = np.setdiff1d(np.arange(price.shape[1]), top)

        panels = figure.subplots(2, 2)
        figure.subplots_adjust(
            left=0.075, right=0.97, top=0.86, bottom=0.065, hspace=0.27, wspace=0.19
        )
        titles = ("Price, relative to the start", "Share of emission", *self.titles)
        for panel, title in zip(panels.flat, titles, strict=True):
            panel.set_title(title, fontsize=10, loc="left", color="#222222")
            panel.set_xlim(day[0], max(day[-1], day[0] + 1))
            panel.tick_params(labelsize=8, color="#888888", labelcolor="#444444")
            panel.xaxis.set_major_locator(MaxNLocator(6, integer=True))
            panel.set_axisbelow(True)
            panel.grid(color="#e8eaec", linewidth=0.8)
            for side in ("top", "right"):
                panel.spines[side].set_visible(False)
            for side in ("left", "bottom"):
                panel.spines[side].set_color("#bbbbbb")
        self._draw_prices(panels[0, 0], day, price, top, rest)
        layers = [*share[:, top].T, share[:, rest].sum(1), 1.0 - share.sum(1)]
        stack_shares(panels[0, 1], day, layers, [*COLOURS[: top.size], REST_COLOUR, OUTSIDE_COLOUR])
        outside = 1.0 - share[-1].sum() > 1e-3
        headline = self._draw_own(panels[1], history, top, rest)

        facts = self._facts
        figure.text(
            0.015, 0.965, f"{self._day()}     {headline}",
            fontsize=12, weight="bold", color="#222222", va="center",
        )  # fmt: skip
        figure.text(
            0.985, 0.965, f"seed {facts['seed']}, episode {facts['episode']}",
            fontsize=9, color="#888888", va="center", ha="right",
        )  # fmt: skip
        self._draw_legend(figure, top, rest, outside)

    def _draw_prices(self, panel: Any, day, price, top, rest) -> None:
        from matplotlib.collections import LineCollection
        from matplotlib.ticker import FixedLocator, NullLocator

        with np.errstate(divide="ignore", invalid="ignore"):
            relative = price / price[0]
        relative[~(np.isfinite(relative) & (relative > 0.0))] = np.nan
        panel.set_yscale("log")
        paths = [np.column_stack([day, relative[:, i]]) for i in rest]
        panel.add_collection(LineCollection(paths, colors=REST_COLOUR, linewidths=0.6, zorder=1))
        for i, colour in reversed(list(zip(top, COLOURS, strict=False))):
            panel.plot(day, relative[:, i], color=colour, linewidth=1.3)
        known = relative[np.isfinite(relative)]
        low, high = (known.min(), known.max()) if known.size else (1.0, 1.0)
        low, high = min(low, 0.9) / 1.05, max(high, 1.1) * 1.05
        panel.set_ylim(low, high)
        panel.yaxis.set_major_locator(FixedLocator(_log_ticks(low, high).tolist()))
        panel.yaxis.set_minor_locator(NullLocator())
        panel.yaxis.set_major_formatter(lambda y, _: f"×{y:.4g}")

    def _first_names(self) -> list[tuple[str, str]]:
        """Names and colours of the first entries of the legend."""
        return []

    def _draw_legend(self, figure: Any, top, rest, outside: bool) -> None:
        from matplotlib.patches import Patch

        names = self._first_names()
        names += [(f"SN {self._netuid[i]}", c) for i, c in zip(top, COLOURS, strict=False)]
        if rest.size:
            names.append((f"{rest.size} others", REST_COLOUR))
        if outside:
            names.append(("not simulated", OUTSIDE_COLOUR))
        figure.legend(
            handles=[Patch(color=colour, label=name) for name, colour in names],
            loc="upper center", bbox_to_anchor=(0.5, 0.95), ncols=len(names), fontsize=8,
            frameon=False, handlelength=0.9, handleheight=0.9, handletextpad=0.35,
            columnspacing=0.8, labelcolor="#222222",
        )  # fmt: skip


def _percent(x: float) -> str:
    return f"{x:+.1%}" if abs(x) < 100.0 else "-"


def stack_shares(panel: Any, day: np.ndarray, layers: list[np.ndarray], colours: list[str]) -> None:
    """Draw shares `(points,)` of a total over the days as a stacked area."""
    panel.stackplot(day, *layers, colors=colours, linewidth=0.3, edgecolor="white")
    panel.set_ylim(0.0, 1.0)
    panel.yaxis.set_major_formatter(lambda y, _: f"{100 * y:.0f} %")


def _log_ticks(low: float, high: float) -> np.ndarray:
    """Round numbers between two positive bounds: four to nine, with 1 among them if it is in range."""
    decades = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)))
    grids = [np.outer(decades, steps) for steps in ([1], [1, 2, 5], [1, 1.5, 2, 3, 4, 5, 7])]
    ticks = np.empty(0)
    for grid in (*grids, 0.1 * np.arange(1, 100), 0.05 * np.arange(1, 200)):
        ticks = np.unique(grid)
        ticks = ticks[(low <= ticks) & (ticks <= high)]
        if ticks.size >= 4:
            break
    stride = -(-ticks.size // 9)
    return ticks[int(np.searchsorted(ticks, 1.0 - 1e-9)) % stride :: stride] if stride else ticks
