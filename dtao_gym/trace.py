"""A table of one subnet, block by block.

    python -m dtao_gym.trace --netuid 64 [--blocks 100] [--config FILE] [--era ERA] [--csv FILE]

`dtao_gym.world.trace.trace` is the function behind it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from dtao_gym import command_line
from dtao_gym.world.config import ConfigError
from dtao_gym.world.snapshot import SnapshotError
from dtao_gym.world.trace import Trace, trace

if TYPE_CHECKING:
    from rich.console import Console

SHOWN = 10
"""Blocks that are printed from each end."""
COLUMNS = (
    ("block", "block", "d"),
    ("tao_reserve", "TAO\nin pool", ",.3f"),
    ("alpha_reserve", "alpha\nin pool", ",.1f"),
    ("pool_tao_weight", "TAO\nweight", ".4f"),
    ("spot_price", "spot\nprice", ".7f"),
    ("moving_price", "moving\nprice", ".7f"),
    ("emission_share", "share", ".4%"),
    ("tao_emission", "TAO\nemission", ".5f"),
    ("alpha_emission", "alpha\nemission", ".4f"),
    ("alpha_outstanding", "alpha\noutside", ",.1f"),
)


def print_trace(traced: Trace, shown: int, console: "Console") -> None:
    """Print the first and last blocks, in 100 columns."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for _, heading, _ in COLUMNS:
        table.add_column(heading, justify="right", no_wrap=True)
    n = traced.block.size
    for k in range(n):
        if shown <= k < n - shown:
            if k == shown:
                table.add_row("...")
            continue
        table.add_row(*(format(getattr(traced, name)[k], form) for name, _, form in COLUMNS))
    console.print(table)


def run(arguments: Sequence[str] | None = None, program: str = "python -m dtao_gym.trace") -> None:
    """The command line of `python -m dtao_gym.trace` and `dtao trace`."""
    command_line.require_extra(program)
    import tyro

    def main(
        netuid: int,
        blocks: int = 100,
        config: Annotated[
            Path | None, tyro.conf.arg(help="YAML of parameters; none: the defaults.")
        ] = None,
        genesis: Annotated[
            str | None, tyro.conf.arg(help="Snapshot; none: that of the parameters.")
        ] = None,
        era: Annotated[
            str | None, tyro.conf.arg(help="Rules of the chain; none: those of the parameters.")
        ] = None,
        shown: int = SHOWN,
        csv: Path | None = None,
    ) -> None:
        """Print the state of one subnet of a snapshot, block by block.

        Args:
            netuid: Subnet.
            blocks: How many blocks, from the snapshot on.
            shown: Blocks that are printed from each end.
            csv: File for all blocks and all columns.
        """
        if shown < 1:
            raise ConfigError(f"--shown: got {shown}, allowed is 1 or more")
        given: dict[str, Any] = {"genesis": genesis, "era": era}
        overrides = {name: value for name, value in given.items() if value is not None}
        traced = trace(config, netuid, blocks, **overrides)
        if csv is not None:
            traced.to_csv(csv)
        print_trace(traced, shown, command_line.console())

    command_line.call(main, program, (ConfigError, SnapshotError, OSError), arguments)


if __name__ == "__main__":
    run()
