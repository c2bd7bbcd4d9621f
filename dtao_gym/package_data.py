"""Data files outside of the code: in an installed package, or in the repository of a checkout."""

from pathlib import Path


def data_folder(packaged: Path, in_repository: Path) -> Path:
    """Folder that a wheel holds inside its package, or the repository's where nothing is packaged."""
    return packaged if packaged.is_dir() else in_repository


def golden_vectors() -> Path:
    """Folder of the chain's own numbers, a JSON file per category, for `dtao_gym.conformance`."""
    package = Path(__file__).resolve().parent
    return data_folder(package / "data" / "golden", package.parent / "tests" / "golden")
