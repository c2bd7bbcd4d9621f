"""Small price files for the tests of replays."""

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

START = datetime(2025, 2, 16)


def prices(n_times: int = 60, n_subnets: int = 4, seed: int = 0) -> np.ndarray:
    """Geometric random walks around 0.3, `(n_times, n_subnets)`: their sum is above 1, as on the chain."""
    rng = np.random.default_rng(seed)
    return 0.3 * np.exp(np.cumsum(0.03 * rng.standard_normal((n_times, n_subnets)), axis=0))


def write_wide(path: Path, price: np.ndarray, hours: int = 24, start: datetime = START) -> Path:
    """Write a file in the wide layout; netuids from 1; empty cells for NaN."""
    lines = ["utc," + ",".join(str(k + 1) for k in range(price.shape[1]))]
    for t, row in enumerate(price):
        moment = start + timedelta(hours=hours * t)
        cells = ["" if np.isnan(p) else repr(float(p)) for p in row]
        lines.append(",".join([moment.strftime("%Y-%m-%d %H:%M"), *cells]))
    path.write_text("\n".join(lines) + "\n")
    return path


def write_long(path: Path, price: np.ndarray, start: datetime = START) -> Path:
    """Write daily closes in the long layout."""
    lines = ["date,netuid,price_tao_per_alpha"]
    for t, row in enumerate(price):
        day = (start + timedelta(days=t)).strftime("%Y-%m-%d")
        lines += [f"{day},{k + 1},{float(p)!r}" for k, p in enumerate(row) if not np.isnan(p)]
    path.write_text("\n".join(lines) + "\n")
    return path
