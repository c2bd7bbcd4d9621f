"""Coverage of the estimator of equilibria: do its 95 % intervals hold in 95 of 100 replications what they should?

    python scripts/estimator_coverage.py [--replications 40] [--half-width 0.1] [--workers 2] [--write]

Solves cells of the short probe again and again, each time on other worlds, pilots too. The truth is not known: each
interval is asked whether it holds the mean of all replications. Between 88 and 99 % should (two and a half standard errors of
40 draws about 95 %). Sampling stops as in the probe, so that the stopping rule is tested too. The standard error that the estimator states is compared with the spread of the replications.
`--write` puts the table into docs/estimator.md.
"""

import argparse
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from dtao_agents.equilibrium.first_order import solve_slots
from dtao_agents.equilibrium.game import angle
from dtao_agents.equilibrium.slot_game import ShareSlots
from dtao_agents.equilibrium.slot_records import SlotSettings
from dtao_agents.probe.cells import Cell, all_cells
from dtao_agents.probe.plan import read_plan

ROOT = Path(__file__).resolve().parents[1]
CELLS = (
    "fee, no finance, no pruning, fast",
    "price, direct, no pruning, fast",
    "price, direct, pruning, fast",
)
SPACING = 2**20
"""Distance of the seeds of two replications."""
BEGIN, END = "<!-- coverage: begin -->", "<!-- coverage: end -->"
HEAD = (
    "| cell | solved | log-odds, mean | spread | stated standard error | intervals that hold the mean | world-runs | CPU s |",
    "|---|--:|--:|--:|--:|--:|--:|--:|",
)


def cells() -> dict[str, Cell]:
    """The cells by name."""
    plan = read_plan(ROOT / "configs/probe_quick.yaml")
    return {cell.name: cell for cell in all_cells(plan) if cell.name in CELLS}


def replicate(task: tuple[str, int, float]) -> tuple[float, float, float, float, int, float]:
    """One solution: value, bounds, standard error, world-runs, seconds."""
    name, number, half_width = task
    cell = cells()[name]
    found = solve_slots(
        ShareSlots(cell.config, cell.estimated, threads=1),
        np.array([[angle(0.4)]]),
        400.0 if cell.estimated else None,
        number * SPACING,
        SlotSettings(half_width=half_width),
    )
    if not found.parameters:
        return *np.full(4, np.nan), found.worlds, found.seconds
    (parameter,) = found.parameters
    return *parameter.estimate, parameter.standard_error, found.worlds, found.seconds


def row(name: str, results: np.ndarray) -> str:
    """Line of the table."""
    worlds, seconds = results.T[4:]
    value, low, high, error = results[np.isfinite(results[:, 0]), :4].T
    held = np.mean((low <= value.mean()) & (value.mean() <= high))
    return (
        f"| {name} | {len(value)} of {len(results)} | {value.mean():.3f} | {value.std(ddof=1):.3f} | {error.mean():.3f} "
        f"| {held:.0%} | {worlds.mean():,.0f} | {seconds.mean():.1f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--replications", type=int, default=40)
    parser.add_argument("--half-width", type=float, default=0.1, help="of the interval, log-odds")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--write", action="store_true", help="into docs/estimator.md")
    options = parser.parse_args()
    lines = [*HEAD]
    print("\n".join(HEAD), flush=True)
    with ProcessPoolExecutor(options.workers, get_context("spawn")) as pool:
        for name in CELLS:
            tasks = [(name, k, options.half_width) for k in range(options.replications)]
            lines.append(row(name, np.array(list(pool.map(replicate, tasks)))))
            print(lines[-1], flush=True)
    if options.write:
        page = ROOT / "docs/estimator.md"
        before, rest = page.read_text().split(BEGIN)
        after = rest.split(END)[1]
        page.write_text(f"{before}{BEGIN}\n" + "\n".join(lines) + f"\n{END}{after}")


if __name__ == "__main__":
    main()
