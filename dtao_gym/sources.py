"""Source files that a module depends on: the import closure, within the packages of this project.

Caches of compiled kernels and of finished computations are keyed by the content of these files.
"""

import functools
import hashlib
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

_FROM = re.compile(r"^[ \t]*from[ \t]+([\w.]+)[ \t]+import[ \t]+(\([^)]*\)|[^\n]*)", re.MULTILINE)
_IMPORT = re.compile(r"^[ \t]*import[ \t]+([\w.]+)", re.MULTILINE)


def import_closure(module: str) -> tuple[Path, ...]:
    """Source files of a module and of every module that it imports, sorted by module name.

    Imports inside functions count. Followed are imports from the top-level package of `module` and from `dtao_gym`;
    what a package's `__init__.py` offers lazily is not an import.

    Parameters
    ----------
    module : str
        Full name, such as ``dtao_gym.world.day``.

    Raises
    ------
    ModuleNotFoundError
        No source file of `module` is found.
    """
    packages = frozenset({module.partition(".")[0], "dtao_gym"})
    if _source_of(module) is None:
        raise ModuleNotFoundError(f"module: got {module!r}, allowed are modules with a source file")
    found: dict[str, Path] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in found or (path := _source_of(name)) is None:
            continue
        found[name] = path
        waiting += (i for i in _imports(path) if i.partition(".")[0] in packages)
    return tuple(found[name] for name in sorted(found))


def fingerprint(*modules: str) -> str:
    """SHA-256 of the content of the import closures of some modules, independent of where the files lie."""
    digest = hashlib.sha256()
    for path in dict.fromkeys(path for module in modules for path in import_closure(module)):
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _source_of(module: str) -> Path | None:
    """Source file of a module; None for names that are no module."""
    root, *parts = module.split(".")
    folder = _folder_of(root)
    if folder is None:
        return None
    path = folder.joinpath(*parts)
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file() and candidate != folder.with_suffix(".py"):
            return candidate
    return None


@functools.cache
def _folder_of(package: str) -> Path | None:
    """Folder of a top-level package, which is not imported."""
    spec = importlib.util.find_spec(package)
    places = spec.submodule_search_locations if spec else None
    return Path(next(iter(places))) if places else None


def _imports(path: Path) -> Iterator[str]:
    """Names that a source file imports, and the packages that hold them; some may be no modules."""
    source = path.read_text(encoding="utf-8")
    if path.name == "__init__.py":
        source = re.sub(r"^if TYPE_CHECKING:\n(?:[ \t]+.*\n)+", "", source, flags=re.MULTILINE)
    names = _IMPORT.findall(source)
    for package, imported in _FROM.findall(source):
        names.append(package)
        names += (f"{package}.{name}" for name in re.findall(r"\w+", imported))
    for name in names:
        yield name
        while "." in name:  # importing a module runs the packages above it
            name = name.rpartition(".")[0]
            yield name
