"""Parameters of a fit as points of the unit cube, each coordinate on its scale of search."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np


class Range(NamedTuple):
    """Bounds of a parameter, and the scale on which it is searched."""

    low: float
    high: float
    logarithmic: bool = True


def parameters_at(space: Mapping[str, Range], point: np.ndarray) -> dict[str, float]:
    """Return the parameters at a point of the unit cube, rounded to four digits."""
    parameters = {}
    for u, (name, (low, high, logarithmic)) in zip(
        np.clip(point, 0, 1), space.items(), strict=True
    ):
        value = low * (high / low) ** u if logarithmic else low + u * (high - low)
        parameters[name] = float(f"{value:.4g}")
    return parameters


def point_at(space: Mapping[str, Range], values: Mapping[str, float]) -> np.ndarray:
    """Return the point of the unit cube for parameters; values out of range are clipped."""
    coordinates = []
    for name, (low, high, logarithmic) in space.items():
        value = min(max(values[name], low), high)
        coordinate = (
            np.log(value / low) / np.log(high / low)
            if logarithmic
            else (value - low) / (high - low)
        )
        coordinates.append(coordinate)
    return np.array(coordinates)
