"""The chain's numbers of `tests/golden/*.json` by name, for tests that need the inputs of one."""

import json
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "golden"


@dataclass(frozen=True)
class Vector:
    """One vector; `id` is category and name."""

    id: str
    content: dict

    @property
    def inputs(self) -> dict:
        return self.content["inputs"]

    @property
    def expected(self) -> dict:
        return self.content["expected"]

    @property
    def tolerance(self) -> dict:
        return self.content["tolerance"]


def load(category: str = "*") -> dict[str, Vector]:
    """Vectors by id."""
    vectors = {}
    for path in sorted(FOLDER.glob(f"{category}.json")):
        for entry in json.loads(path.read_text()):
            key = f"{path.stem}/{entry['name']}"
            assert key not in vectors, f"{key}: two vectors have this id"
            vectors[key] = Vector(key, entry)
    return vectors
