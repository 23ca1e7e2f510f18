"""Files written whole or not at all, and a folder that one audit at a time writes to."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from landscape_audit.errors import OutputError

PARTIAL = ".partial"
"""What the temporary name of a file ends in while it is being written."""
ROOM = 1 << 22
"""Bytes that a folder must have room for: what results and reports of most audits take together."""


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
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}.", remedy="Choose --out.") from None


def writable_folder(folder: Path) -> Path:
    """`folder`, made where it is missing, and proven to take a file before anything expensive starts."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".room.", suffix=PARTIAL) as file:
            file.write(bytes(ROOM))
            file.flush()
    except OSError as error:
        raise OutputError(
            f"{folder}: cannot be written to: {error.strerror or error}.", remedy="Choose another folder with --out."
        ) from None
    return folder


def sweep(folder: Path, names: Iterable[str]) -> None:
    """Remove what a killed process left half written of files of these names, patterns included."""
    for name in (*names, "room"):
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
