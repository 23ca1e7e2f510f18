"""Files written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from landscape_audit.errors import OutputError


def write_atomically(path: Path, content: bytes) -> None:
    """Put `content` at `path` in one step: whoever looks sees the old file or the whole new one."""
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).chmod(0o666 & ~_umask())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}.", remedy="Choose --out.") from None


def writable_folder(folder: Path) -> Path:
    """`folder`, made where it is missing, and proven writable before anything expensive starts."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".writable."):
            pass
    except OSError as error:
        raise OutputError(
            f"{folder}: cannot be written to: {error.strerror or error}.", remedy="Choose another folder with --out."
        ) from None
    return folder


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
