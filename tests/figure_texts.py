"""Extents of the texts of a figure, for tests that none overlaps another and none is cut off."""

from itertools import combinations
from typing import Any


def text_boxes(figure: Any) -> list[tuple[str, Any]]:
    """Return the texts of a figure that show, each with its extent in pixels."""
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    texts = [*figure.texts]
    for panel in figure.axes:
        texts += [panel._left_title, *panel.texts, panel.xaxis.label, panel.yaxis.label]
        for axis, limits in ((panel.xaxis, panel.get_xlim()), (panel.yaxis, panel.get_ylim())):
            low, high = sorted(limits)
            texts += [
                tick.label1
                for tick in axis.get_major_ticks()
                if tick.label1.get_visible() and low <= tick.get_loc() <= high
            ]
    shown = [text for text in texts if text.get_visible() and text.get_text()]
    return [(text.get_text(), text.get_window_extent(renderer)) for text in shown]


def check_texts(figure: Any) -> None:
    """Assert that texts lie within a figure and do not overlap."""
    boxes = text_boxes(figure)
    width, height = (float(x) for x in figure.bbox.size)
    assert len(boxes) > 10
    for text, box in boxes:
        assert box.x0 >= 0, text
        assert box.x1 <= width, text
        assert box.y0 >= 0, text
        assert box.y1 <= height, text
    for (one, a), (two, b) in combinations(boxes, 2):
        apart = a.x1 <= b.x0 or b.x1 <= a.x0 or a.y1 <= b.y0 or b.y1 <= a.y0
        assert apart, (one, two)
