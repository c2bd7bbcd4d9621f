"""A window that shows frames while an episode runs."""

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.error import DependencyNotInstalled

REMEDY = "install tkinter, PyQt6 or PySide6 and set DISPLAY where there is a screen, or use render_mode 'rgb_array'"
"""What to do where no window can be opened."""


class Window:
    """A window of matplotlib; it opens at the first frame and never blocks.

    Where matplotlib's backend has no windows (`Agg`), a warning says so once and frames are only drawn. Copies and
    pickles of a window are closed ones; one that is closed by hand does not open again.
    """

    def __init__(self):
        self._image: Any = None

    def show(self, frame: np.ndarray) -> None:
        """Show a frame `(height, width, 3)` uint8.

        Raises DependencyNotInstalled without matplotlib, and where its chosen backend cannot open a window.
        """
        if self._image is None:
            self._image = _opened(frame)
        from matplotlib import pyplot

        if not pyplot.fignum_exists(self._image.figure.number):
            return  # closed by hand: the episode runs on without it
        self._image.set_data(frame)
        canvas = self._image.figure.canvas
        canvas.draw_idle()
        canvas.flush_events()

    def close(self) -> None:
        """Close the window, if it is open."""
        if self._image is not None:
            from matplotlib import pyplot

            pyplot.close(self._image.figure)
            self._image = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the window itself."""
        return {"_image": None}


class Shown:
    """What environments of one world do with their picture and window, None without a render mode."""

    render_mode: str | None
    _picture: Any
    _window: Window | None

    def _rendered(self) -> Any:
        """Return the picture as text or pixels, by the render mode; None where a window shows it."""
        if self._window is not None:
            return self._show()
        return self._picture.ansi() if self.render_mode == "ansi" else self._picture.rgb_array()

    def _show(self) -> None:
        """Draw the present state in the window, if there is one."""
        if self._window is not None:
            self._window.show(self._picture.rgb_array())

    def close(self) -> None:
        """Close the window, if there is one."""
        if self._window is not None:
            self._window.close()


def _opened(frame: np.ndarray) -> Any:
    """Image of a new window of the size of a frame."""
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise DependencyNotInstalled(
            "windows need matplotlib: pip install 'dtao-gym[plot]'"
        ) from error
    height, width = frame.shape[:2]
    try:
        figure = pyplot.figure(figsize=(width / 100, height / 100), dpi=100)
    except (
        Exception
    ) as error:  # ImportError without a toolkit, an error of the toolkit without a display
        reason = " ".join(str(error).split())
        raise DependencyNotInstalled(
            f"render_mode 'human': matplotlib opens no window ({reason}): {REMEDY}"
        ) from error
    image = figure.add_axes((0.0, 0.0, 1.0, 1.0)).imshow(frame, aspect="auto")
    image.axes.set_axis_off()
    if figure.canvas.required_interactive_framework is None:
        gym.logger.warn(
            f"render_mode 'human': matplotlib's backend {pyplot.get_backend()} has no windows: {REMEDY}"
        )
    else:
        pyplot.show(block=False)
    return image
