"""Compiled kernels on disk, and messages while one is compiled.

Files lie in the user's cache folder (or under `NUMBA_CACHE_DIR`), by versions and processor:

    dtao_gym/VERSION-PYTHON-NUMBA/PROCESSOR/KERNEL-HASH.kernel

The hash covers the signature and the source files of the kernel's import closure (`dtao_gym.sources`), so that a second
checkout of the same sources compiles nothing, an edit of a rule compiles the kernels again that may contain it, and an
edit of anything else compiles nothing. A wheel may hold files compiled ahead for families of processors in
`dtao_gym/compiled`, with the same names.

A file starts with the SHA-256 of its remaining content. A truncated, foreign or unreadable file is compiled again and
replaced. Files are renamed into place, so that none is seen half written; where processes want the same kernel at once,
one compiles and the others wait for its file. Files that are not used for `KEPT_DAYS` are removed.
"""

import contextlib
import functools
import hashlib
import multiprocessing
import os
import pickle
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numba
import platformdirs
from numba.core import config

from dtao_gym.sources import SourceTree

try:
    import fcntl
except ImportError:  # Windows: processes that compile at once do not wait for each other
    fcntl = None

PACKAGE = Path(__file__).parent
AHEAD = PACKAGE / "compiled"
"""Kernels compiled ahead, in wheels."""
_V3 = ("avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe", "popcnt")
FAMILIES = {
    "x86-64-v4": (*_V3, "avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512vl"),
    "x86-64-v3": _V3,
}
"""Families of processors for kernels compiled ahead, best first: levels of the x86-64 psABI, with LLVM's names of
their features."""
KEPT_DAYS = 30.0
"""Files that have not been used for so many days are removed."""
PATIENCE_SECONDS = 600.0
"""Longest wait for another process that compiles the same kernel."""

_sources = SourceTree()
"""Read once in a process: kernels are compiled from the modules as they were imported."""


@functools.cache
def _closure_fingerprint(module: str, file: str) -> str | None:
    """Hash of the import closure of a module; None where `file` is not its source, or it is in no regular package."""
    package = module.partition(".")[0]
    try:
        regular = _sources.closure(package)[package].name == "__init__.py"
        if regular and os.path.samefile(_sources.closure(module)[module], file):
            return _sources.fingerprint(module)
    except (ImportError, OSError):
        pass
    return None


@functools.cache
def _folder_name() -> str:
    from dtao_gym import __version__

    python = f"py{sys.version_info.major}{sys.version_info.minor}"
    plain = "-plain" if plain_wanted() else ""
    return f"{__version__}-{python}-numba{numba.__version__}{plain}"


def plain_wanted() -> bool:
    """Whether `DTAO_GYM_PLAIN_NUMBA` asks for compiling by plain Numba."""
    return os.environ.get("DTAO_GYM_PLAIN_NUMBA", "0") not in ("", "0")


def cache_root() -> Path:
    """Folder of the kernels of all versions: under `NUMBA_CACHE_DIR`, or the user's own cache."""
    own = os.environ.get("NUMBA_CACHE_DIR")
    return Path(own) / "dtao_gym" if own else platformdirs.user_cache_path("dtao_gym", False)


@functools.cache
def _processor(target_context: Any) -> str:
    """Name of the processor that code is generated for; processors of one name have the same instructions."""
    triple, name, features = target_context.codegen().magic_tuple()
    levels = f"{getattr(config, 'OPT', '')}-{getattr(config, 'BOUNDSCHECK', '')}"
    digest = hashlib.sha256(f"{triple} {features} {levels} {llvm.llvm_version_info}".encode())
    return f"{name or platform.machine()}-{digest.hexdigest()[:8]}"


def ahead_folder(root: Path, family: str) -> Path:
    """Folder of the kernels for a family of processors, below the folder of those compiled ahead."""
    return root / _folder_name() / f"{family}-{sys.platform}"


@functools.cache
def _families() -> tuple[str, ...]:
    """Families of this processor, best first; none where the user chooses a processor for Numba."""
    if (
        platform.machine() not in ("x86_64", "AMD64")
        or getattr(config, "CPU_NAME", None) is not None
    ):
        return ()
    has = llvm.get_host_cpu_features()
    return tuple(family for family, needs in FAMILIES.items() if all(has.get(n) for n in needs))


class KernelCache:
    """Cache of a Numba dispatcher: the files of one kernel, one for each signature.

    Kept are functions of modules in regular packages. A function that is defined in another one is kept where the
    variables that it takes from there are plain numbers or texts. The rules of a kernel must lie in its own top-level
    package or in `dtao_gym`.

    Parameters
    ----------
    function : callable
        The kernel as it was written.
    """

    def __init__(self, function: Callable):
        module, name = function.__module__, function.__qualname__
        self.name = f"{module}.{name}".replace(".<locals>", "").removeprefix("dtao_gym.")
        self._function = function

    @functools.cached_property
    def _key(self) -> str | None:
        """Identity of the kernel's code; None where it is not known."""
        function, code = self._function, self._function.__code__
        captured = [cell.cell_contents for cell in function.__closure__ or ()]
        if not all(isinstance(value, bool | int | float | str) for value in captured):
            return None
        sources = _closure_fingerprint(function.__module__, code.co_filename)
        return sources and f"{sources} {code.co_firstlineno} {captured}"

    @property
    def kept(self) -> bool:
        """Whether files of the kernel are read and written."""
        return self._key is not None

    @property
    def cache_path(self) -> str:
        """Folder of the files, for messages of Numba."""
        return str(cache_root() / _folder_name())

    def load_overload(self, sig, target_context) -> Any:
        """The compiled kernel for a signature, or None."""
        if not self.kept:
            return None
        name = self._file_name(sig)
        own = self._own_folder(target_context)
        for folder in (own, *(ahead_folder(AHEAD, family) for family in _families())):
            compiled = _read(folder / name, target_context)
            if compiled is not None:
                if folder == own:
                    _mark_used(folder / name)
                return compiled
        return None

    def save_overload(self, sig, data) -> None:
        """Do nothing: `store` has written the file."""

    def store(self, sig: Any, result: Any, target_context: Any) -> None:
        """Write the file of a compiled kernel; a read-only or full disk is no error."""
        if not self.kept:
            return
        from numba.core import serialize

        folder = self._own_folder(target_context)
        body = serialize.dumps(result._reduce())
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _write(folder / self._file_name(sig), hashlib.sha256(body).digest() + body)
            _remove_unused(cache_root())
        except OSError:  # the next process compiles again
            pass

    @contextlib.contextmanager
    def lock(self, sig: Any, target_context: Any) -> Iterator[None]:
        """Make other processes that need the same kernel wait, where the system supports locks."""
        if fcntl is None or not self.kept:
            yield
            return
        folder = self._own_folder(target_context)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file = open(folder / f"{self._file_name(sig)}.lock", "w")  # noqa: SIM115
        except OSError:
            yield
            return
        with file:
            deadline = time.monotonic() + PATIENCE_SECONDS
            while time.monotonic() < deadline:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    time.sleep(0.05)
                except OSError:  # a file system without locks
                    break
            yield

    def flush(self) -> None:
        """Do nothing; Numba calls this method."""

    def _own_folder(self, target_context: Any) -> Path:
        return cache_root() / _folder_name() / _processor(target_context)

    def _file_name(self, sig: Any) -> str:
        digest = hashlib.sha256(f"{self._key} {sig}".encode())
        return f"{self.name}-{digest.hexdigest()[:16]}.kernel"


def _read(path: Path, target_context: Any) -> Any:
    """The compiled kernel in a file; None where the file is missing, damaged or of another Numba."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    digest, body = content[:32], content[32:]
    if hashlib.sha256(body).digest() != digest:
        return None
    try:
        from numba.core.compiler import CompileResult

        compiled = CompileResult._rebuild(target_context, *pickle.loads(body))
        name = compiled.fndesc.llvm_cpython_wrapper_name
        return compiled if compiled.library.get_pointer_to_function(name) else None
    except Exception:  # written by a version that says it is this one
        return None


def _write(path: Path, content: bytes) -> None:
    """Write a file atomically."""
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        try:
            file.write(content)
            file.close()
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise


def _mark_used(file: Path) -> None:
    with contextlib.suppress(OSError):
        os.utime(file)


@functools.cache
def _remove_unused(root: Path) -> None:
    """Remove files unused for `KEPT_DAYS`, and empty folders, once in a process that compiles."""
    oldest = time.time() - 86_400.0 * KEPT_DAYS
    for folder in root.glob("*-numba*/*"):
        for file in folder.iterdir():
            if file.stat().st_mtime < oldest:
                file.unlink()
        for empty in (folder, folder.parent):
            with contextlib.suppress(OSError):
                empty.rmdir()


# ---------------------------------------------------------------- messages


class Progress:
    """Lines on stderr about kernels that are being compiled; no output where all are loaded.

    On a terminal a line for each, with its seconds; elsewhere one line for all. Processes started through
    `multiprocessing`, such as the workers of a vector environment, print nothing.
    """

    def __init__(self) -> None:
        self.always = False
        self._announced = False

    @contextlib.contextmanager
    def __call__(self, description: str) -> Iterator[None]:
        """Announce a kernel while it is compiled in the context."""
        if multiprocessing.parent_process() is not None:
            yield
            return
        each = self.always or sys.stderr.isatty()
        if each:
            print(f"dtao_gym: compiling {description} ... ", end="", file=sys.stderr, flush=True)
        elif not self._announced:
            print(
                "dtao_gym: compiling the engine, once on this machine (python -m dtao_gym.warmup does it ahead)",
                file=sys.stderr,
                flush=True,
            )
        self._announced = True
        start = time.perf_counter()
        try:
            yield
        except BaseException:
            if each:
                print("stopped", file=sys.stderr, flush=True)
            raise
        if each:
            print(f"{time.perf_counter() - start:.1f} s", file=sys.stderr, flush=True)


progress = Progress()
