"""Atomic writing of files, and folders that one process at a time may write to."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

LOCK_NAME = ".lock"
"""File in a folder that is in use; it holds the id and the command of the process."""
LOCKED_BYTE = 2**20
"""Where Windows, which lets nobody read locked bytes, locks the file; far behind its content."""


class LockedError(ValueError):
    """A folder is in use; the message names the folder and the process."""


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file in one step, so that readers see the old or the new content and never a part.

    Parameters
    ----------
    path : Path
        File in an existing folder.
    content : bytes
        New content.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def remove_leftovers(folder: Path, patterns: Iterable[str]) -> None:
    """Remove what killed calls of `write_atomically` left of files in a folder.

    Nobody else may be writing there. What cannot be removed stays: it disturbs nobody.

    Parameters
    ----------
    folder : Path
        May be missing.
    patterns : iterable of str
        Globs of the names of the files.
    """
    for pattern in patterns:
        for path in folder.glob(f".{pattern}.*"):
            with suppress(OSError):
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink()


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Hold a folder, which is made if it does not exist, against other processes.

    The system lets go of the lock when its process ends, however it ends: what a dead process left is
    taken over.

    Raises
    ------
    LockedError
        Another process holds it.
    OSError
        It cannot be made or written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LOCK_NAME
    handle = _locked(path)
    try:
        command = " ".join(" ".join(sys.argv).split())
        os.ftruncate(handle, 0)
        os.write(handle, f"process {os.getpid()} ({command[:200]})\n".encode(errors="replace"))
        yield
    finally:
        with suppress(OSError):
            path.unlink()  # while it is held, so that nobody else's is removed
        os.close(handle)


def _locked(path: Path) -> int:
    """An open handle of the file, locked."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o644)
        try:
            _lock(handle)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(handle), path.stat()):
                    return handle
        except BlockingIOError:
            owner = os.read(handle, 400).decode(errors="replace").strip() or "another process"
            os.close(handle)
            owner = "".join(letter if letter.isprintable() else "?" for letter in owner)
            raise LockedError(
                f"{path.parent}: is in use by {owner}, allowed is one training at a time"
            ) from None
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # its last owner has just removed the file


def _lock(handle: int) -> None:
    """Raise BlockingIOError if another handle has the lock."""
    if sys.platform == "win32":
        os.lseek(handle, LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            raise BlockingIOError from None
        finally:
            os.lseek(handle, 0, os.SEEK_SET)
    else:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
