"""Fit the population of the model to the daily prices of a period by the method of simulated moments.

    python scripts/fit_moments.py [--period spring-2026] [--generations 60] [--output configs/spring_2026.yaml]

Minimises the J statistic of `dtao_gym.realism`: the squared distance of the mean moments of some worlds from the chain's,
weighted by the inverse of the joint bootstrap covariance. A penalty keeps gated moments inside their gates, in worlds of all
subnets, of the quickstart's sixteen and of the probe's eight. The return of new subnets, which is measured in another year
and not part of J, adds its squared z. All candidates share the worlds' random numbers.

The search is a differential evolution (Storn and Price 1997) that begins in a cloud around initial values. Each generation
is saved next to the output file, and an interrupted search resumes from it. The report uses other worlds than the fit.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from scipy.optimize import OptimizeResult, differential_evolution

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # a checkout needs no installation

from dtao_gym.realism.gate import (  # noqa: E402
    GATES,
    PRESETS,
    compare,
    j_statistic,
    mean_over_worlds,
    observed_estimate,
    pooled_newcomers,
    simulated_moments,
    weighting,
)
from dtao_gym.realism.moments import MOMENTS  # noqa: E402
from dtao_gym.realism.panel import PERIODS, simulated_panels  # noqa: E402
from dtao_gym.realism.report import (  # noqa: E402
    HEADINGS,
    LEVEL_HEADINGS,
    cells,
    level_cells,
    summary,
)
from dtao_gym.world.config import Config  # noqa: E402
from scripts.population_files import write_population  # noqa: E402
from scripts.unit_cube import Range, parameters_at, point_at  # noqa: E402

CONFIGS = ROOT / "configs"
TEST_SEED = 1_000_000
"""Added to the seed, so that the report uses other worlds than the fit."""
NEWCOMERS = list(MOMENTS).index("newcomers_60")
SMALLER = ("quickstart", "probe")
"""Markets of fewer subnets that must pass the gates too, each with twice as many worlds."""
CLOUD = 0.1
"""Standard deviation of the first candidates around the initial values, as a fraction of each range."""
MARGIN, PENALTY = 0.1, 4.0
"""Distance from its gate within which a moment is penalised, as a fraction of the gate's width, and penalty at the gate."""
SPACE = {
    "trade_speed": Range(0.7, 1.0, False),
    "news_sd": Range(0.005, 0.2),
    "news_spread": Range(0.0, 1.2, False),
    "news_size_exponent": Range(0.0, 0.8, False),
    "news_volatility_sd": Range(0.0, 1.6, False),
    "news_volatility_half_life_days": Range(0.5, 30.0),
    "jump_chance": Range(0.0005, 0.1),
    "jump_up": Range(0.02, 0.7),
    "jump_down": Range(0.02, 0.7),
    "jump_up_share": Range(0.05, 0.95, False),
    "market_sd": Range(0.003, 0.06),
    "opinion_noise_sd": Range(0.001, 0.3),
    "prior_half_life_days": Range(10.0, 365.0),
}
"""Fitted parameters and their bounds."""
GIVEN = {
    "momentum": 0.0,
    "max_trade_of_pool": 0.9,
    "max_purse_use": 0.5,
    "opinion_noise_half_life_days": 1.0,
    "mean_one_opinions": True,
    "signal_gain": 0.05,
    "readers_ahead": True,
    "news_half_life_days": 240.0,
    "settled_alpha": 2e6,
    "portfolio_days": 60.0,
    "scarcity_elasticity": 2.0,
    "insider_holding_days": 90.0,
}
"""Fixed parameters. Scarcity and the insiders' holding time sustain demand (`scripts/living_demand.py`). The half-life of news,
which two months of prices do not determine, keeps the cross-section of prices as wide as the chain's for five years: with
720 days the five dearest subnets would come to hold 40 % of the sum of prices, with 240 days 23 to 29 %, where the chain's
hold 20 % (`scripts/long_run.py`).
"""
_SPRING = (
    1.0, 0.05127, 0.04885, 0.1802, 0.7206, 3.73, 0.01514, 0.2382, 0.04388, 0.7301, 0.01466, 0.01927, 249.9,
)  # fmt: skip
_SUMMER = (
    0.9276, 0.06227, 0.09239, 0.2139, 0.7531, 4.096, 0.01887, 0.2693, 0.07828, 0.885, 0.01907, 0.001692, 277.4,
)  # fmt: skip
INITIAL_VALUES = {"spring-2026": _SPRING, "summer-2025": _SUMMER, "spring-2025": _SUMMER}
"""Initial values of the search, in the order of `SPACE`."""


class Criterion:
    """The criterion, J and penalties, as a function of a point of the unit cube."""

    def __init__(self, options: argparse.Namespace):
        self.options = options
        self.real = observed_estimate(options.period)
        self.matrix = weighting(self.real)

    def __call__(self, point: np.ndarray) -> float:
        chosen = GIVEN | parameters_at(SPACE, point)
        all_subnets = self.moments(chosen, self.options.worlds)
        value = j_statistic(all_subnets, self.real, self.matrix)
        value += (
            (all_subnets[NEWCOMERS] - self.real.value[NEWCOMERS]) / self.real.error[NEWCOMERS]
        ) ** 2
        few = [self.moments(PRESETS[name] | chosen, 2 * self.options.worlds) for name in SMALLER]
        value += sum(self.penalty(mean) for mean in (all_subnets, *few))
        return min(value, 1e6) if np.isfinite(value) else 1e6

    def moments(self, fields: dict, worlds: int) -> np.ndarray:
        """Return the mean moments of simulated worlds."""
        panels = simulated_panels(
            Config.make(fields),
            PERIODS[self.options.period].days,
            n_worlds=worlds,
            seed=self.options.seed,
            burn_in=self.options.burn_in,
        )
        mean, _ = mean_over_worlds(simulated_moments(panels, self.options.period))
        mean[NEWCOMERS] = np.median(pooled_newcomers(panels))
        return mean

    def penalty(self, mean: np.ndarray) -> float:
        """Return the penalty of moments beyond the margin of their gates; the real moments have none.

        Missing moments are not penalised.
        """
        total = 0.0
        for k, name in enumerate(MOMENTS):
            if name in GATES and MOMENTS[name].fitted and np.isfinite(mean[k]):
                low, high = GATES[name]
                margin = MARGIN * (high - low)
                lower = max(min(low + margin, self.real.value[k]), low)
                upper = min(max(high - margin, self.real.value[k]), high)
                outside = max(lower - mean[k], mean[k] - upper, 0.0)
                total += PENALTY * (outside / margin) ** 2
        return total


def search(options: argparse.Namespace) -> np.ndarray:
    """Run or resume the search and return its best point."""
    saved = options.output.with_suffix(".search.npz")
    rng = np.random.default_rng(options.seed)
    start = point_at(SPACE, dict(zip(SPACE, INITIAL_VALUES[options.period], strict=True)))
    cloud = start + CLOUD * rng.standard_normal((options.candidates, start.size))
    cloud[0] = start
    done = 0
    if saved.exists():
        with np.load(saved, allow_pickle=False) as kept:
            cloud, done = kept["population"], int(kept["generation"])
        print(f"resumed after generation {done}: {saved}")
    began, criterion = time.monotonic(), Criterion(options)
    generation = done

    def save(intermediate_result: OptimizeResult) -> None:
        nonlocal generation
        generation += 1
        partial = saved.with_suffix(".part")
        with partial.open("wb") as file:
            np.savez(file, population=intermediate_result.population, generation=generation)
        partial.replace(saved)
        spent = time.monotonic() - began
        print(
            f"generation {generation}, {spent:.0f} s: criterion {intermediate_result.fun:.2f}",
            flush=True,
        )

    if done >= options.generations:
        values = [criterion(point) for point in cloud]
        return cloud[int(np.argmin(values))]
    result = differential_evolution(
        criterion,
        [(0.0, 1.0)] * start.size,
        init=np.clip(cloud, 0.0, 1.0),
        maxiter=options.generations - done,
        mutation=(0.4, 0.9),
        recombination=0.8,
        tol=0.0,
        atol=0.0,
        polish=False,
        rng=np.random.default_rng([options.seed, done]),
        callback=save,
    )
    return result.x


def lines_of(rows: list[list[str]], widths: tuple[int, ...]) -> list[str]:
    """Format aligned rows: the first column to the left, the others to the right."""
    return [
        row[0].ljust(widths[0])
        + "".join(text.rjust(width) for text, width in zip(row[1:], widths[1:], strict=True))
        for row in rows
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--period", choices=list(PERIODS), default="spring-2026")
    parser.add_argument("--seed", type=int, default=0, help="of the search and the worlds")
    parser.add_argument("--worlds", type=int, default=4, help="for each candidate")
    parser.add_argument("--burn-in", type=int, default=90, help="days before the window")
    parser.add_argument("--candidates", type=int, default=48, help="of a generation")
    parser.add_argument("--generations", type=int, default=60)
    parser.add_argument("--test-worlds", type=int, default=16)
    parser.add_argument("--output", type=Path, help="default: configs/fitted_PERIOD.yaml")
    options = parser.parse_args()
    if min(options.worlds, options.test_worlds) < 1 or options.candidates < 5 or options.seed < 0:
        sys.exit("error: allowed are 1 world or more, 5 candidates or more, and a seed from 0")
    options.output = options.output or CONFIGS / f"fitted_{options.period.replace('-', '_')}.yaml"

    chosen = GIVEN | parameters_at(SPACE, search(options))
    panels = simulated_panels(
        Config.make(chosen),
        PERIODS[options.period].days,
        n_worlds=options.test_worlds,
        seed=options.seed + TEST_SEED,
        burn_in=options.burn_in,
    )
    comparison = compare(panels, options.period, options.burn_in)
    table = [list(HEADINGS), *(cells(name, moment) for name, moment in comparison.moments.items())]
    levels = [list(LEVEL_HEADINGS), *level_cells(comparison)]
    header = [
        f"A population of stakers fitted to daily prices: {PERIODS[options.period].label}.",
        f"    python scripts/fit_moments.py --period {options.period} --seed {options.seed} "
        f"--worlds {options.worlds} --candidates {options.candidates} --generations {options.generations}",
        f"    python -m dtao_gym.realism --config configs/{options.output.name} --period {options.period}",
        f"Means over {options.test_worlds} worlds that the fit did not see, after {options.burn_in} days.",
        "",
        *lines_of(table, (44, 9, 9, 11, 8, 16, 6)),
        summary(comparison),
        "",
        *lines_of(levels, (44, 9, 11, 18)),
    ]
    write_population(options.output, chosen, header)
    print(options.output.read_text(encoding="utf-8"))
    options.output.with_suffix(".search.npz").unlink(missing_ok=True)
    print(f"Saved: {options.output}")


if __name__ == "__main__":
    main()
