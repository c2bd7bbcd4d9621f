"""Parameters of a fit as points of the unit cube, each coordinate on the scale on which it is searched."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np


class Range(NamedTuple):
    """What a parameter may be, and on which scale it is searched."""

    low: float
    high: float
    logarithmic: bool = True


def parameters_at(space: Mapping[str, Range], point: np.ndarray) -> dict[str, float]:
    """Parameters from a point of the unit cube, to four digits."""
    found = {}
    for u, (name, (low, high, logarithmic)) in zip(
        np.clip(point, 0, 1), space.items(), strict=True
    ):
        value = low * (high / low) ** u if logarithmic else low + u * (high - low)
        found[name] = float(f"{value:.4g}")
    return found


def point_at(space: Mapping[str, Range], values: Mapping[str, float]) -> np.ndarray:
    """The point of the unit cube for parameters; those out of range are moved to its edge."""
    found = []
    for name, (low, high, logarithmic) in space.items():
        value = min(max(values[name], low), high)
        part = (
            np.log(value / low) / np.log(high / low)
            if logarithmic
            else (value - low) / (high - low)
        )
        found.append(part)
    return np.array(found)
