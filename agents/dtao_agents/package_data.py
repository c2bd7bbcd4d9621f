"""Configurations and small trained policies that come with the package, found by name or path.

A wheel holds them inside the package; in a checkout they are the folders `configs/` and `policies/` of the repository.
"""

from pathlib import Path

from dtao_gym.package_data import data_folder
from dtao_gym.world.config import ConfigError

_PACKAGE = Path(__file__).resolve().parent
CONFIGS = data_folder(_PACKAGE / "configs", _PACKAGE.parents[1] / "configs")
POLICIES = data_folder(_PACKAGE / "policies", _PACKAGE.parents[1] / "policies")


def config_names() -> list[str]:
    """Names of the packaged configurations."""
    return sorted(path.stem for path in CONFIGS.glob("*.yaml"))


def find_config(given: str | Path) -> Path:
    """Path of a configuration file.

    Parameters
    ----------
    given : str or Path
        Path of a YAML file, or of a packaged one with or without its folder and ending: ``staker_quickstart``,
        ``configs/staker_quickstart.yaml``. A file in the working directory wins.

    Returns
    -------
    Path
        An existing file; or `given` itself where it names a YAML file that exists nowhere, for the reader to report.

    Raises
    ------
    ConfigError
        `given` has no ending and is not the name of a packaged configuration.
    """
    path = Path(given)
    try:
        if path.is_file():
            return path
    except OSError as error:  # a name that no file can have
        raise ConfigError(f"config: got {str(given)[:80]!r}...: {error.strerror}") from None
    if path.name and not path.is_absolute():
        packaged = _inside(CONFIGS, path).with_suffix(".yaml")
        if packaged.is_file():
            return packaged
    if path.suffix:
        return path
    names = ", ".join(config_names())
    raise ConfigError(f"config: got {str(given)!r}, allowed are a YAML file and {names}")


def find_policy(given: str | Path) -> Path:
    """Folder of a policy: `given` itself where it exists, else the packaged one of that name or path.

    A folder that exists nowhere is returned as given, for the reader to report.
    """
    path = Path(given)
    if path.is_absolute():
        return path
    packaged = _inside(POLICIES, path)
    try:
        return packaged if not path.exists() and packaged.is_dir() else path
    except OSError:  # such as a name that is too long
        return path


def _inside(folder: Path, path: Path) -> Path:
    """Path below a packaged folder; its name at the start of `path` is dropped."""
    parts = path.parts[1:] if path.parts[:1] == (folder.name,) else path.parts
    return folder.joinpath(*parts)
