"""Two designs of the estimator of equilibria: one mirrored pair on each seed, or all pairs on the same seed.

    python scripts/estimator_designs.py [--blocks 48]

Prints the standard error of the relative marginal payoff of each from as many world-runs (docs/estimator.md).
"""

import argparse

import numpy as np
from dtao_agents.equilibrium.game import angle
from dtao_agents.equilibrium.slot_design import Point, block_of, block_sums, residuals
from dtao_agents.equilibrium.slot_game import ShareSlots

from scripts.estimator_coverage import CELLS, cells

POINT = Point(np.array([[angle(0.42)]]), 420.0)
STEPS = np.array([0.4])


class OneSeed(ShareSlots):
    """The same market, in which each block plays all of its pairs on its first seed and length of life."""

    def play(self, population, deviations, seeds, quantiles, capitalisation):
        worlds = len(block_of(self, 0, 0).seeds)
        first = np.arange(len(seeds)) // worlds * worlds
        return super().play(
            population, deviations, np.asarray(seeds)[first], quantiles[first], capitalisation
        )


def standard_error(sums: np.ndarray) -> float:
    """Jackknife over blocks."""
    total = sums.sum(axis=0)
    left_out = np.array([residuals(total - block, POINT)[0] for block in sums])
    return float(np.sqrt((len(sums) - 1) * left_out.var()))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--blocks", type=int, default=48)
    numbers = range(parser.parse_args().blocks)
    for name in CELLS[1:]:
        cell = cells()[name]
        errors = [
            standard_error(block_sums(kind(cell.config, cell.estimated), POINT, STEPS, 0, numbers))
            for kind in (ShareSlots, OneSeed)
        ]
        print(f"| {name} | {errors[0]:.4f} | {errors[1]:.4f} |")


if __name__ == "__main__":
    main()
