"""The checkpoint in a folder."""

from __future__ import annotations

from pathlib import Path

from landscape_audit.errors import CheckpointError
from landscape_audit.subject.checkpoint.header import CONVERT, INDEX, unreadable

_LISTED = 5  # names spelled out in one sentence


def checkpoint_file(path: Path) -> Path:
    """The `.safetensors` or index that `path` names: itself, or the only one there is in the folder."""
    try:
        if not path.is_dir():
            return path
        names = sorted(file.name for file in path.iterdir() if file.name.endswith((".safetensors", INDEX)))
    except OSError as error:
        raise unreadable(path, error) from None
    indices = [name for name in names if name.endswith(INDEX)]
    candidates = indices or names
    if len(candidates) == 1:
        return path / candidates[0]
    if not candidates:
        raise CheckpointError(f"{path}: is a folder without a .safetensors file.", remedy=CONVERT)
    listed = ", ".join(candidates[:_LISTED]) + (", …" if len(candidates) > _LISTED else "")
    raise CheckpointError(
        f"{path}: is a folder with {len(candidates):,} checkpoints in it.", remedy=f"Name one of them: {listed}."
    )
