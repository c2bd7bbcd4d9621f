"""Real against simulated moments of daily prices.

python -m dtao_gym.realism [--config FILE_OR_PRESET] [--period spring-2026] [--worlds 16] [--plot FILE] [--strict]
"""

import json as json_text
import sys
from pathlib import Path

from dtao_gym import command_line
from dtao_gym.realism.figure import draw
from dtao_gym.realism.gate import compare, read_config
from dtao_gym.realism.panel import observed_panel, simulated_panels
from dtao_gym.realism.panel import period as period_of
from dtao_gym.realism.report import as_dict, print_report
from dtao_gym.world.config import ConfigError
from dtao_gym.world.snapshot import SnapshotError


def main(
    config: str = "default",
    period: str = "spring-2026",
    worlds: int = 16,
    seed: int = 0,
    burn_in: int = 90,
    threads: int = 1,
    plot: Path | None = None,
    json: Path | None = None,
    strict: bool = False,
) -> None:
    """Print real and simulated moments of daily prices, with their z, the J statistic and the gates.

    Args:
        config: YAML of a world, or `default` or `quickstart`.
        period: spring-2026, summer-2025 or spring-2025.
        worlds: How many worlds.
        seed: World seed of the first.
        burn_in: Days that are played before the window.
        threads: Threads that share the worlds.
        plot: File for a picture.
        json: File for the numbers.
        strict: Exit with status 1 if a gate fails.
    """
    if seed < 0:
        raise ConfigError(f"seed: got {seed}, allowed is 0 or more")
    chosen = period_of(period)
    panels = simulated_panels(
        read_config(config),
        chosen.days,
        n_worlds=worlds,
        seed=seed,
        burn_in=burn_in,
        threads=threads,
    )
    comparison = compare(panels, period, burn_in)
    if json is not None:
        json.write_text(json_text.dumps(as_dict(comparison), indent=1) + "\n", encoding="utf-8")
    if plot is not None:
        draw(comparison, observed_panel(period), panels, plot)
    print_report(comparison, command_line.console())
    if strict and not comparison.passed:
        sys.exit(1)


if __name__ == "__main__":
    program = "python -m dtao_gym.realism"
    command_line.require_extra(program)
    command_line.call(main, program, (ConfigError, SnapshotError, OSError))
