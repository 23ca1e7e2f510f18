"""Foreign files read safely: only where they are files, and JSON only where it says everything once."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import Any

MAX_TEXT = 100_000_000
"""Bytes of the largest text that is read: results of a big audit have a thousandth of that."""

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


@contextlib.contextmanager
def regular_file(path: Path) -> Iterator[BufferedReader]:
    """`path` open for reading; an OSError where it is anything but a file: a pipe would block, a device never end."""
    _check_regular(path.stat().st_mode)  # before it is opened, which alone does something to some devices
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, flags), "rb") as file:
        _check_regular(os.fstat(file.fileno()).st_mode)  # and after it, as another may have taken its place
        yield file


def read_bytes(path: Path, most: int = MAX_TEXT) -> bytes:
    """What is in a file; an OSError where it is no file, or has more bytes than `most`."""
    with regular_file(path) as file:
        content = file.read(most + 1)
    if len(content) > most:
        message = f"it has more than {most:,} bytes"
        raise OSError(message)
    return content


def read_text(path: Path, most: int = MAX_TEXT) -> str:
    """The text of a file, UTF-8; an OSError where it is no file, or has more bytes than `most`."""
    return read_bytes(path, most).decode("utf-8")


def hash_of(path: Path) -> str:
    """SHA-256 of what is in a file now; an OSError where it is gone."""
    with regular_file(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class RepeatedKeyError(ValueError):
    """A key that is there twice in one JSON object."""

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(f"it has '{key}' twice")


def unrepeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """For `json.loads`: an object none of whose keys is there twice. Readers differ in which one they believe."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise RepeatedKeyError(key)
        found[key] = value
    return found


def _check_regular(mode: int) -> None:
    if not stat.S_ISREG(mode):
        kind = next((name for is_kind, name in _KINDS if is_kind(mode)), "something else")
        message = f"it is {kind}, not a file"
        raise OSError(message)
