"""Folders of several training seeds of one configuration: a run in each of `seed_0`, `seed_1`, ..."""

import re
from pathlib import Path

SETTINGS_NAME = "config.yaml"
_NAME = re.compile(r"seed_(\d{1,12})", re.ASCII)


def runs_of_seeds(folder: Path) -> dict[int, Path]:
    """Return the runs in a folder of seeds, by training seed; none where the folder is something else."""
    if not folder.is_dir() or (folder / SETTINGS_NAME).exists():
        return {}
    found = ((_NAME.fullmatch(path.name), path) for path in folder.iterdir())
    runs = {
        int(name[1]): path
        for name, path in found
        if name is not None and (path / SETTINGS_NAME).is_file()
    }
    return dict(sorted(runs.items()))
