"""Finished computations on disk, by the hash of their inputs, so that runs can continue."""

import hashlib
import inspect
import io
import json
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dtao_agents.files import write_atomically
from dtao_gym.protocol.plugins import resolve


def source_of_rule(allocation: str) -> str:
    """SHA-256 of the source file of a user's allocation rule; empty for built-in rules."""
    if ":" not in allocation:
        return ""
    file = inspect.getsourcefile(resolve(allocation).function)
    return "" if file is None else hashlib.sha256(Path(file).read_bytes()).hexdigest()


def key_of(parts: Mapping[str, Any]) -> str:
    """SHA-256 of the inputs of a unit.

    Parameters
    ----------
    parts : mapping
        Inputs by name; values that are not JSON are converted to text.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


class Store:
    """A folder of finished units, each a JSON record and a file of arrays.

    Parameters
    ----------
    folder : Path
        Made if it does not exist.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def _path(self, name: str, key: str) -> Path:
        slug = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[:80]
        return self.folder / f"{slug}-{key[:16]}.json"

    def load(self, name: str, key: str) -> tuple[Any, dict[str, np.ndarray]] | None:
        """Load a unit.

        Parameters
        ----------
        name : str
            Readable name, part of the file name.
        key : str
            Hash of its inputs (`key_of`).

        Returns
        -------
        tuple of (record, arrays by name), or None
            None where the unit is missing, damaged, or of other inputs.
        """
        path = self._path(name, key)
        try:
            content = json.loads(path.read_text())
            with np.load(io.BytesIO(path.with_suffix(".npz").read_bytes())) as file:
                arrays = dict(file)
            fits = content["key"] == key and sorted(arrays) == content["arrays"]
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
            return None
        return (content["record"], arrays) if fits else None

    def save(self, name: str, key: str, record: Any, arrays: Mapping[str, np.ndarray]) -> None:
        """Write a unit; the record is written last, and without it the unit counts as not finished."""
        path = self._path(name, key)
        packed = io.BytesIO()
        np.savez(packed, allow_pickle=False, **dict(arrays))
        write_atomically(path.with_suffix(".npz"), packed.getvalue())
        content = {"name": name, "key": key, "arrays": sorted(arrays), "record": record}
        write_atomically(path, (json.dumps(content, indent=1) + "\n").encode())
