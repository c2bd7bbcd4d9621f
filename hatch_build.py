"""Kernels compiled ahead, for wheels whose users should not wait.

    HATCH_BUILD_HOOK_ENABLE_CUSTOM=true python -m hatchling build -t wheel        (or: make wheel)

For each family of x86-64 processors, kernels are compiled into a folder of their own and put into the wheel as
data. They fit the Python and Numba versions that built them, on the same system; everywhere else they are ignored and
the engine compiles as usual, so that the wheel stays one for all.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CompileAhead(BuildHookInterface):
    """Add `dtao_gym/compiled` to a wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, unless the installation is an editable one."""
        if version == "editable":
            return
        root = Path(self.root)
        sys.path.insert(0, str(root))
        from dtao_gym.kernel_cache import AHEAD, FAMILIES, ahead_folder

        self._folder = tempfile.TemporaryDirectory()
        for family, features in FAMILIES.items():
            made = Path(self._folder.name) / family
            subprocess.run(
                [sys.executable, "-m", "dtao_gym.warmup"],
                cwd=root,
                env=os.environ
                | {
                    "NUMBA_CPU_NAME": family,
                    "NUMBA_CPU_FEATURES": ",".join(f"+{feature}" for feature in features),
                    "NUMBA_CACHE_DIR": str(made),
                },
                check=True,
            )
            target = ahead_folder(AHEAD, family).relative_to(root)
            for kernel in made.rglob("*.kernel"):
                build_data["force_include"][str(kernel)] = str(target / kernel.name)

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove the folder that the kernels were compiled in."""
        if version != "editable":
            self._folder.cleanup()
