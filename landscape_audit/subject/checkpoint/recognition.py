"""Whether a checkpoint that lies there is the one that was audited, by the SHA-256 of its files. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from landscape_audit.reading import hash_of
from landscape_audit.results import FileRecord
from landscape_audit.subject.checkpoint.folder import checkpoint_file
from landscape_audit.subject.checkpoint.header import INDEX, read_index, unreadable
from landscape_audit.text import listed, printable


def other_than_audited(recorded: Sequence[FileRecord], model: Path) -> str:
    """How the files of `model` differ from those that were audited; nothing where they do not. Renaming is no change.

    `model` is a file, an index, whose shards are looked for beside it, or the folder of one. Reads every byte.
    """
    found = _files(model)
    if sorted(file.sha256 for file in recorded) == sorted(sha256 for _, sha256 in found):
        return ""
    audited = {file.name: file.sha256 for file in recorded}
    if len(recorded) == len(found) == 1:
        name, sha256 = found[0]
        return f"{printable(name)} has the SHA-256 {sha256}; audited was {printable(recorded[0].sha256)}"
    others = [printable(name) for name, sha256 in found if audited.get(name) != sha256]
    missing = [printable(name) for name in audited.keys() - dict(found).keys()]
    return f"other than audited: {listed(others) or 'none'}; missing: {listed(missing) or 'none'}"


def _files(model: Path) -> list[tuple[str, str]]:
    """Name and SHA-256 of each file of the checkpoint that lies there now."""
    path = checkpoint_file(model)
    shards = list(read_index(path)[1]) if path.name.endswith(INDEX) else []
    found = []
    for file in (path, *shards):
        try:
            found.append((file.name, hash_of(file)))
        except (OSError, ValueError) as error:
            raise unreadable(file, error) from None
    return found
