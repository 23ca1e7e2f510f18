"""Files written whole or not at all, in a folder that was found to have room for them."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from io import RawIOBase
from pathlib import Path
from typing import BinaryIO

from landscape_audit.errors import OutputError

PARTIAL = ".partial"
"""What the temporary name of a file ends in while it is being written."""
ROOM = 1 << 22
"""Bytes that are held: what the results and reports of most audits take together, a few times over."""


def write_atomically(path: Path, content: bytes) -> None:
    """Put `content` at `path` in one step: whoever looks sees the old file or the whole new one."""
    with replacing(path) as file:
        file.write(content)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write that takes the place of `path` in one step, once it is whole and on the disk.

    A kill at any moment leaves the old file, and at worst a hidden one beside it that `sweep` removes.
    """
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=PARTIAL)
        try:
            with os.fdopen(handle, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).chmod(0o666 & ~_umask())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        _settle(path.parent)
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written: {error.strerror or error}.", remedy="Make room for it, or choose --out."
        ) from None


def writable_folder(folder: Path) -> Path:
    """`folder`, made where it is missing, and proven to take a file before anything expensive starts."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OutputError(
            f"{folder}: cannot be written to: {error.strerror or error}.", remedy="Choose another folder with --out."
        ) from None
    return folder


@contextlib.contextmanager
def room_held(folder: Path) -> Iterator[Callable[[], None]]:
    """Some disk held, until what is yielded is called: what was measured then fits where the disk filled meanwhile."""
    with contextlib.ExitStack() as stack:
        try:
            # Nameless, so that no kill leaves it; unbuffered, so that it is closed without another write.
            held = stack.enter_context(tempfile.TemporaryFile(dir=folder, buffering=0))
            _fill(held)
        except OSError as error:
            raise OutputError(
                f"{folder}: has no room for a report: {error.strerror or error}.",
                remedy="Free some space, or choose another folder with --out.",
            ) from None
        yield held.close


def _fill(file: RawIOBase) -> None:
    if (file.write(bytes(ROOM)) or 0) < ROOM:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def sweep(folder: Path, names: Iterable[str]) -> None:
    """Remove what a killed process left half written of files of these names, patterns included."""
    for name in names:
        for path in folder.glob(f".{name}.????????{PARTIAL}"):
            with contextlib.suppress(OSError):
                path.unlink()


def _settle(folder: Path) -> None:
    """Wait until the new name is on the disk as well, where folders can be waited for."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
