"""Build hooks: package data, absolute links in the project description, kernels compiled ahead.

    python -m hatchling build -t wheel
    DTAO_GYM_COMPILE_AHEAD=1 python -m hatchling build -t wheel        (or: make wheel)

With `DTAO_GYM_COMPILE_AHEAD=1`, for each family of x86-64 processors, kernels are compiled into a folder of their own
and put into the wheel as data. They fit the Python and Numba versions that built them, on the same system; everywhere
else they are ignored and the engine compiles as usual, so that one wheel serves all.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

PACKAGE_DATA = {
    "configs": "dtao_agents/configs",
    "policies": "dtao_agents/policies",
    "tests/golden": "dtao_gym/data/golden",
}
"""Folders of the repository and their places in a wheel; `package_data.py` of both packages finds them."""


class PackageData(BuildHookInterface):
    """Add package data, and compiled kernels where they are asked for, to a wheel."""

    _compiled: tempfile.TemporaryDirectory | None = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Choose what is added; an editable installation reads the repository's own folders."""
        if version == "editable":
            return
        build_data["force_include"].update(PACKAGE_DATA)
        if os.environ.get("DTAO_GYM_COMPILE_AHEAD", "0") not in ("", "0"):
            self._compiled = tempfile.TemporaryDirectory()
            build_data["force_include"].update(self._compile(Path(self._compiled.name)))

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove the folder that the kernels were compiled in."""
        if self._compiled is not None:
            self._compiled.cleanup()

    def _compile(self, target: Path) -> dict[str, str]:
        """Compile for each family of processors; files of kernels, and their places in the wheel."""
        root = Path(self.root)
        sys.path.insert(0, str(root))
        from dtao_gym.kernel_cache import AHEAD, FAMILIES, ahead_folder

        places = {}
        for family, features in FAMILIES.items():
            cache = target / family
            subprocess.run(
                [sys.executable, "-m", "dtao_gym.warmup"],
                cwd=root,
                env=os.environ
                | {
                    "NUMBA_CPU_NAME": family,
                    "NUMBA_CPU_FEATURES": ",".join(f"+{feature}" for feature in features),
                    "NUMBA_CACHE_DIR": str(cache),
                },
                check=True,
            )
            folder = ahead_folder(AHEAD, family).relative_to(root)
            for kernel in cache.rglob("*.kernel"):
                places[str(kernel)] = str(folder / kernel.name)
        return places


class Description(MetadataHookInterface):
    """Project description: README.md with absolute links, which package indexes can follow."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the field `readme`."""
        home = metadata["urls"]["Source"]
        raw = home.replace("github.com", "raw.githubusercontent.com")
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        text = re.sub(r"(!\[[^]]*\]\()(?!http|#)", rf"\g<1>{raw}/main/", text)
        text = re.sub(r"(\]\()(?!http|#)", rf"\g<1>{home}/blob/main/", text)
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
