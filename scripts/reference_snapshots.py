"""Parts of pages on snapshots: the packaged ones, and the format of files."""

import dtao_gym.world.snapshot as snapshot_module
from dtao_gym.world.snapshot import SNAPSHOT_NAMES, Snapshot
from scripts.markdown import table


def pages() -> dict[str, str]:
    """Return the parts by file name; other pages include them."""
    rows = []
    for name in SNAPSHOT_NAMES:
        snapshot = Snapshot.load(name)
        imputed = ", ".join(f"`{column}`" for column in snapshot.imputed) or "none"
        rows.append(
            (f"`{name}`", f"{snapshot.block:,}", str(snapshot.n_subnets), f"{snapshot.root_stake_tao:,.0f}", imputed)
        )  # fmt: skip
    header = ("snapshot", "block", "subnets", "TAO on root", "columns that an assumption fills")
    _, body = (snapshot_module.__doc__ or "").split("\n\n", 1)
    return {
        "snapshots.md": "\n".join(table(header, rows)) + "\n",
        "snapshot-files.md": f"### Files\n\n{body.strip()}\n",
    }
