"""Source files that a module depends on: the import closure, within the packages of this project.

Caches of compiled kernels and of finished computations are keyed by the content of these files.
"""

import hashlib
import importlib.util
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_COMMENT = re.compile(rb"#[^\n]*")
_IMPORTS = re.compile(
    rb"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+import[ \t]*(\([^)]*\)|(?:[^\\\n]|\\\n)*)"
    rb"|import[ \t]+((?:[^\\\n]|\\\n)*))",
    re.MULTILINE,
)
_ONLY_FOR_TYPES = re.compile(rb"^if TYPE_CHECKING:\n(?:[ \t]+.*\n)+", re.MULTILINE)
_WORD = re.compile(r"\w+")


class _Source(NamedTuple):
    """Content of a source file, as far as closures need it."""

    digest: bytes
    imports: frozenset[str]
    """Names of imported modules and objects, and of the packages above them; not all are modules."""


class SourceTree:
    """Import closures in one state of the disk: every file and every folder is read at most once."""

    def __init__(self) -> None:
        self._sources: dict[str, _Source] = {}
        self._paths: dict[str, str | None] = {}
        self._listings: dict[str, frozenset[str]] = {}

    def closure(self, module: str) -> dict[str, Path]:
        """Source files by module name, sorted by name; see `import_closure`."""
        packages = (module.partition(".")[0], "dtao_gym")
        if self._path(module) is None:
            raise ModuleNotFoundError(
                f"module: got {module!r}, allowed are modules with a source file"
            )
        closure: dict[str, Path] = {}
        waiting = {module}
        while waiting:
            name = waiting.pop()
            path = self._path(name)
            if path is None:
                continue
            closure[name] = Path(path)
            waiting |= {
                other
                for other in self._source(name, path).imports
                if other not in closure and other.partition(".")[0] in packages
            }
        return dict(sorted(closure.items()))

    def fingerprint(self, *modules: str) -> str:
        """SHA-256 of the import closures of some modules; see the function `fingerprint`."""
        closure = {name: path for module in modules for name, path in self.closure(module).items()}
        digest = hashlib.sha256()
        for name, path in sorted(closure.items()):
            digest.update(name.encode())
            digest.update(self._source(name, str(path)).digest)
        return digest.hexdigest()

    def _source(self, name: str, path: str) -> _Source:
        if name not in self._sources:
            with open(path, "rb") as file:
                content = file.read()
            digest = hashlib.sha256(content).digest()
            if path.endswith("__init__.py"):
                package, content = name, _ONLY_FOR_TYPES.sub(b"", content)
            else:
                package = name.rpartition(".")[0]
            self._sources[name] = _Source(digest, frozenset(_imports(content, package)))
        return self._sources[name]

    def _path(self, name: str) -> str | None:
        """Source file of a module; None for names that are not modules."""
        if name not in self._paths:
            self._paths[name] = self._find(name)
        return self._paths[name]

    def _find(self, name: str) -> str | None:
        package, _, last = name.rpartition(".")
        if not package:
            return _find_top(name)[0]
        folder = self._folder(package)
        if folder is None:
            return None
        names = self._listing(folder)
        if f"{last}.py" in names:
            return os.path.join(folder, f"{last}.py")
        if last in names and "__init__.py" in self._listing(os.path.join(folder, last)):
            return os.path.join(folder, last, "__init__.py")
        return None

    def _folder(self, package: str) -> str | None:
        """Folder of a package, which may have no `__init__.py`; None for other names."""
        above, _, last = package.rpartition(".")
        if not above:
            return _find_top(package)[1]
        path = self._path(package)
        if path is not None:
            return os.path.dirname(path) if path.endswith("__init__.py") else None
        folder = self._folder(above)
        inside = os.path.join(folder, last) if folder else ""
        return (
            inside if folder and last in self._listing(folder) and os.path.isdir(inside) else None
        )

    def _listing(self, folder: str) -> frozenset[str]:
        if folder not in self._listings:
            try:
                self._listings[folder] = frozenset(os.listdir(folder))
            except OSError:
                self._listings[folder] = frozenset()
        return self._listings[folder]


def import_closure(module: str) -> tuple[Path, ...]:
    """Source files of a module and of every module that it imports, sorted by module name.

    Imports inside functions count. Followed are imports from the top-level package of `module` and from `dtao_gym`;
    names that a package's `__init__.py` loads lazily, and other calls of `importlib`, are not imports.

    Parameters
    ----------
    module : str
        Full name, such as ``dtao_gym.world.day``.

    Returns
    -------
    tuple of Path
        The files.

    Raises
    ------
    ModuleNotFoundError
        `module` has no source file.
    """
    return tuple(SourceTree().closure(module).values())


def fingerprint(*modules: str) -> str:
    """SHA-256 of the import closures of some modules, independent of where the files lie.

    Parameters
    ----------
    *modules : str
        Full names.

    Returns
    -------
    str
        64 hexadecimal digits.

    Raises
    ------
    ModuleNotFoundError
        As `import_closure`.
    """
    return SourceTree().fingerprint(*modules)


def _find_top(name: str) -> tuple[str | None, str | None]:
    """Source file and folder of a top-level module or package, which is not imported; None where it has none."""
    try:
        spec = importlib.util.find_spec(name)
    except ValueError:  # __main__ without a spec
        return None, None
    if spec is None:
        return None, None
    origin = spec.origin if spec.origin and spec.origin.endswith(".py") else None
    return origin, next(iter(spec.submodule_search_locations or ()), None)


def _imports(content: bytes, package: str) -> Iterator[str]:
    """Names that source code of a package imports, and the packages that hold them."""
    names = set()
    for given, objects, modules in _IMPORTS.findall(_COMMENT.sub(b"", content)):
        if modules:
            names |= {
                name.split()[0]
                for name in modules.decode(errors="replace").split(",")
                if name.strip()
            }
            continue
        origin = given.decode()
        if origin.startswith("."):
            last = origin.lstrip(".")
            above = package.split(".")
            above = above[: len(above) - (len(origin) - len(last) - 1)]
            origin = ".".join([*above, last] if last else above)
        names |= {f"{origin}.{name}" for name in _WORD.findall(objects.decode(errors="replace"))}
    for name in names:
        while name:  # importing a module runs the packages above it
            yield name
            name = name.rpartition(".")[0]
