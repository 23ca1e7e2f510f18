"""One audit at a time in one folder."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from landscape_audit.errors import OutputError
from landscape_audit.text import printable

NAME = ".lock"


@contextlib.contextmanager
def locked(folder: Path, note: Callable[[str], None]) -> Iterator[None]:
    """Nobody else audits into `folder` meanwhile. The kernel gives the lock back however this process ends.

    An error that names the other process where there is one; a `note` where the file system knows no locks.
    """
    path = folder / NAME
    handle = _taken(path, note)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink()  # before it is given back: whoever opened it meanwhile sees that it is gone, and tries again
        os.close(handle)


def _taken(path: Path, note: Callable[[str], None]) -> int:
    while True:
        handle = _opened(path)
        try:
            _lock(handle, note, path)
            if _is_at(path, handle):
                with contextlib.suppress(OSError):  # the lock is what counts, on a disk that is full too
                    _say_who(handle)
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _say_who(handle: int) -> None:
    os.ftruncate(handle, 0)
    started = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    os.pwrite(handle, json.dumps({"pid": os.getpid(), "started": started}).encode(), 0)


def _opened(path: Path) -> int:
    try:
        # Neither followed, where it is a link, nor waited for, where it is a pipe.
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    except OSError as error:
        raise _in_the_way(path, error.strerror or str(error)) from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise _in_the_way(path, "it is no file")
    return handle


def _in_the_way(path: Path, why: str) -> OutputError:
    return OutputError(f"{path}: is in the way: {why}.", remedy="Remove it, or choose another --out.")


def _lock(handle: int, note: Callable[[str], None], path: Path) -> None:
    try:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise OutputError(
            f"{path.parent}: another audit is writing there: {_who(handle)}.",
            remedy="Wait for it, or choose another folder with --out.",
        ) from None
    except (ImportError, OSError):
        note(f"{path.parent}: there are no file locks here: start no second audit into this folder.")


def _is_at(path: Path, handle: int) -> bool:
    """Whether the file that is open is still the one of that name: its last owner may just have removed it."""
    with contextlib.suppress(OSError):
        return os.path.samestat(os.lstat(path), os.fstat(handle))
    return False


def _who(handle: int) -> str:
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        told = json.loads(os.pread(handle, 1000, 0))
        return printable(f"process {int(told['pid'])}, since {told['started']}")
    return "a process that did not say which"
