"""Numbers by which the chain's history and simulated worlds are compared, day by day."""

from typing import NamedTuple


class Measure(NamedTuple):
    """A number reported for each day: its name in files, its heading, its format."""

    name: str
    heading: str
    form: str


MEASURES = (
    Measure("subnets", "subnets", ".0f"),
    Measure("price_sum", "sum of prices", ".2f"),
    Measure("median_price", "median price", ".4f"),
    Measure("sd_log_price", "sd of ln price", ".2f"),
    Measure("top1_share", "top 1", ".1%"),
    Measure("top5_share", "top 5", ".1%"),
    Measure("hhi", "HHI", ".3f"),
    Measure("root_share", "root share", ".1%"),
)


class MeasureSummary(NamedTuple):
    """A measure on one day: the chain's value (NaN where unknown), and mean and range over the worlds."""

    chain: float
    mean: float
    low: float
    high: float
