"""A table of one subnet, block by block.

    python -m dtao_gym.trace --netuid 64 [--blocks 100] [--config FILE] [--era ERA] [--csv FILE]

`dtao_gym.world.trace.trace` is the function behind it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from dtao_gym import command_line
from dtao_gym.file_kinds import WORLD, check_kind
from dtao_gym.tables import Column, print_table
from dtao_gym.world.config import ConfigError
from dtao_gym.world.snapshot import SnapshotError
from dtao_gym.world.trace import Trace, trace

if TYPE_CHECKING:
    from rich.console import Console

SHOWN = 10
"""Blocks that are printed from each end."""
COLUMNS = (
    ("block", "d", Column("block")),
    ("tao_reserve", ",.3f", Column("TAO\nin pool", rank=1)),
    ("alpha_reserve", ",.1f", Column("alpha\nin pool", rank=2)),
    ("pool_tao_weight", ".4f", Column("TAO\nweight", rank=6)),
    ("spot_price", ".7f", Column("spot\nprice")),
    ("moving_price", ".7f", Column("moving\nprice", rank=4)),
    ("emission_share", ".4%", Column("share", rank=3)),
    ("tao_emission", ".5f", Column("TAO\nemission")),
    ("alpha_emission", ".4f", Column("alpha\nemission", rank=5)),
    ("alpha_outstanding", ",.1f", Column("alpha\noutside", rank=7)),
)
"""Attribute of a `Trace`, its format, and its column."""


def print_trace(traced: Trace, shown: int, console: "Console") -> None:
    """Print the first and last blocks."""
    n = traced.block.size
    rows = []
    for k in range(n):
        if shown <= k < n - shown:
            if k == shown:
                rows.append(["...", *[""] * (len(COLUMNS) - 1)])
            continue
        rows.append([format(getattr(traced, name)[k], form) for name, form, _ in COLUMNS])
    columns = [column for *_, column in COLUMNS]
    print_table(console, columns, rows, box=None, pad_edge=False, padding=(0, 1, 0, 0))


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
        if config is not None:
            check_kind(config, WORLD)
        given: dict[str, Any] = {"genesis": genesis, "era": era}
        overrides = {name: value for name, value in given.items() if value is not None}
        traced = trace(config, netuid, blocks, **overrides)
        if csv is not None:
            traced.to_csv(csv)
        print_trace(traced, shown, command_line.console())

    command_line.call(main, program, (ConfigError, SnapshotError, OSError), arguments)


if __name__ == "__main__":
    run()
