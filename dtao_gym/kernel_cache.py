"""Compiled kernels on disk, and messages while one is compiled.

Files lie in a folder of the user's own cache (or under `NUMBA_CACHE_DIR`), by versions, sources and processor:

    dtao_gym/VERSION-SOURCES-PYTHON-NUMBA/PROCESSOR/KERNEL-SIGNATURE.kernel

so that a second checkout of the same sources compiles nothing, and an edit of any rule compiles again. A wheel may hold
files compiled ahead for families of processors in `dtao_gym/compiled`, with the same names.

A file starts with the SHA-256 of what follows. One that is truncated, foreign or unreadable is compiled again and
replaced. Files appear whole, by renaming; where processes want the same kernel at once, one compiles and the others
wait for its file.
"""

import contextlib
import functools
import hashlib
import multiprocessing
import os
import pickle
import platform
import shutil
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
"""Families of processors that kernels may be compiled ahead for, best first, and the features of each by LLVM's names
(levels of the x86-64 psABI)."""
KEPT_DAYS = 30.0
"""Folders of other sources or versions are removed when they have not been used for so long."""
PATIENCE_SECONDS = 600.0
"""Longest wait for another process that compiles the same kernel."""


@functools.cache
def source_fingerprint() -> str:
    """SHA-256 of every source file of the package that a kernel may be compiled from."""
    digest = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        name, source = path.relative_to(PACKAGE).as_posix(), path.read_bytes()
        # elsewhere only what compiles counts: a picture may change freely
        if name.startswith(("protocol/", "economy/", "world/")) or b"dtao_gym.compiling" in source:
            digest.update(name.encode())
            digest.update(source)
    return digest.hexdigest()


@functools.cache
def _folder_name() -> str:
    from dtao_gym import __version__

    python = f"py{sys.version_info.major}{sys.version_info.minor}"
    plain = "-plain" if plain_wanted() else ""
    return f"{__version__}-{source_fingerprint()[:16]}-{python}-numba{numba.__version__}{plain}"


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
    """Where the kernels for a family of processors lie under the folder of those compiled ahead."""
    return root / _folder_name() / f"{family}-{sys.platform}"


@functools.cache
def _families() -> tuple[str, ...]:
    """Families that this processor belongs to, best first; none where the user names a processor."""
    if (
        platform.machine() not in ("x86_64", "AMD64")
        or getattr(config, "CPU_NAME", None) is not None
    ):
        return ()
    has = llvm.get_host_cpu_features()
    return tuple(family for family, needs in FAMILIES.items() if all(has.get(n) for n in needs))


class KernelCache:
    """The files of one kernel, a file for each signature; what a dispatcher of Numba calls its cache.

    Args:
        function: the kernel as it was written.
        sources: files outside of the package that it is compiled from. A function from outside the package of which
            they are not known is not kept.
    """

    def __init__(self, function: Callable, sources: tuple[str, ...] = ()):
        module, name = function.__module__, function.__qualname__
        self.name = f"{module}.{name}".replace(".<locals>", "").removeprefix("dtao_gym.")
        inside = Path(function.__code__.co_filename).is_relative_to(PACKAGE)
        self.kept = inside or bool(sources)
        self._sources = sources

    @property
    def cache_path(self) -> str:
        return str(cache_root() / _folder_name())

    def load_overload(self, sig, target_context) -> Any:
        """The compiled kernel for a signature, or None."""
        if not self.kept:
            return None
        name = self._file_name(sig)
        own = self._own_folder(target_context)
        for folder in (own, *(ahead_folder(AHEAD, family) for family in _families())):
            found = _read(folder / name, target_context)
            if found is not None:
                return found
        return None

    def save_overload(self, sig, data) -> None:
        """Nothing: `store` has kept what was compiled."""

    def store(self, sig: Any, result: Any, target_context: Any) -> None:
        """Keep a compiled kernel, where there is room to."""
        if not self.kept:
            return
        from numba.core import serialize

        folder = self._own_folder(target_context)
        body = serialize.dumps(result._reduce())
        try:
            _make(folder)
            _write(folder / self._file_name(sig), hashlib.sha256(body).digest() + body)
        except OSError:  # a read-only or full disk: the next process compiles again
            pass

    @contextlib.contextmanager
    def lock(self, sig: Any, target_context: Any) -> Iterator[None]:
        """Hold back other processes that want the same kernel, where the system can."""
        if fcntl is None or not self.kept:
            yield
            return
        folder = self._own_folder(target_context)
        try:
            _make(folder)
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
        """Nothing; a method that Numba wants."""

    def _own_folder(self, target_context: Any) -> Path:
        return cache_root() / _folder_name() / _processor(target_context)

    def _file_name(self, sig: Any) -> str:
        digest = hashlib.sha256(str(sig).encode())
        for path in self._sources:
            digest.update(Path(path).read_bytes())
        return f"{self.name}-{digest.hexdigest()[:16]}.kernel"


def _read(path: Path, target_context: Any) -> Any:
    """The compiled kernel in a file; None if there is none that is whole and can be used."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    digest, body = content[:32], content[32:]
    if hashlib.sha256(body).digest() != digest:
        return None
    try:
        from numba.core.compiler import CompileResult

        found = CompileResult._rebuild(target_context, *pickle.loads(body))
        name = found.fndesc.llvm_cpython_wrapper_name
        found = found if found.library.get_pointer_to_function(name) else None
    except Exception:  # written by a version that says it is this one
        return None
    _mark_used(path.parent.parent)
    return found


def _write(path: Path, content: bytes) -> None:
    """Write a file that appears whole or not at all."""
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        try:
            file.write(content)
            file.close()
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise


@functools.cache
def _mark_used(folder: Path) -> None:
    with contextlib.suppress(OSError):
        os.utime(folder)


def _make(folder: Path) -> None:
    """Make the folder of a processor; with the first of a version those go that nobody has used for `KEPT_DAYS`."""
    present = folder.parent
    new = not present.exists()
    folder.mkdir(parents=True, exist_ok=True)
    if not new:
        return
    oldest = time.time() - 86_400.0 * KEPT_DAYS
    for folder in present.parent.iterdir():
        if folder != present and "-numba" in folder.name and folder.stat().st_mtime < oldest:
            shutil.rmtree(folder, ignore_errors=True)


# ---------------------------------------------------------------- messages


class Progress:
    """Lines on stderr about kernels that are being compiled; nothing where none is.

    On a terminal a line for each, with its seconds; elsewhere one line for all. Processes that others have started
    through `multiprocessing`, such as the workers of a vector environment, say nothing.
    """

    def __init__(self) -> None:
        self.always = False
        self._said = False

    @contextlib.contextmanager
    def __call__(self, what: str) -> Iterator[None]:
        """Tell that `what` is compiled, while it is."""
        if multiprocessing.parent_process() is not None:
            yield
            return
        each = self.always or sys.stderr.isatty()
        if each:
            print(f"dtao_gym: compiling {what} ... ", end="", file=sys.stderr, flush=True)
        elif not self._said:
            print(
                "dtao_gym: compiling the engine, once on this machine (python -m dtao_gym.warmup does it ahead)",
                file=sys.stderr,
                flush=True,
            )
        self._said = True
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
