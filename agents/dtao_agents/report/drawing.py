"""Drawings of figures as markup: inline SVG that needs no library and no script."""

from dtao_agents.report.charts import Figure, IntervalPlot, LinePlot, Panels, ShareStrip, Waterfall
from dtao_agents.report.lines import draw_lines
from dtao_agents.report.rows import draw_intervals, draw_panels, draw_shares, draw_waterfall


def draw(figure: Figure, alt: str) -> str:
    """Return a figure as markup.

    Parameters
    ----------
    figure : Figure
    alt : str
        The result in words, the name of the whole for screen readers.
    """
    match figure:
        case IntervalPlot():
            return draw_intervals(figure, alt)
        case Panels():
            return draw_panels(figure, alt)
        case LinePlot():
            return draw_lines(figure, alt)
        case Waterfall():
            return draw_waterfall(figure, alt)
        case ShareStrip():
            return draw_shares(figure, alt)
