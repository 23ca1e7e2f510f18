"""What a safetensors file says of its tensors: names, types and shapes. Read without torch, and without the tensors."""

from __future__ import annotations

import contextlib
import json
import math
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from landscape_audit.errors import CheckpointError

INDEX = ".safetensors.index.json"
_LENGTH_BYTES = 8
_MOST_BYTES = 100_000_000  # the format's own limit for a header; an index lists the same names
_MOST_SHARDS = 10_000
_CONVERT = (
    "Convert it once, where you trust it: `safetensors.torch.save_file(model.state_dict(), 'model.safetensors')`."
)
_FETCH = "Fetch the file itself."
_READABLE = "Let the user who audits read it, or name another copy."


@dataclass(frozen=True)
class Stored:
    """One tensor as a header declares it; `dtype` in the format's own word, such as F32 or BF16."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def elements(self) -> int:
        """How many numbers."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Header:
    """Every tensor of a checkpoint by name, over all of its files, and the words that were stored beside them."""

    tensors: Mapping[str, Stored]
    metadata: Mapping[str, str]
    files: int


def read_header(path: Path) -> Header:
    """The header of a `.safetensors`, or those of all files that its index names. Costs a read of the headers only."""
    shards = _shards(path) if path.name.endswith(INDEX) else [path]
    tensors: dict[str, Stored] = {}
    metadata: dict[str, str] = {}
    for shard in shards:
        found, words = _one(shard)
        tensors |= found
        metadata |= words
    if not tensors:
        raise CheckpointError(
            f"{path.name}: has no tensors.", remedy="Save the weights into it:  save_file(model.state_dict(), …)"
        )
    return Header(tensors, metadata, len(shards))


def refuse_shard(path: Path) -> None:
    """One of several files is not the checkpoint, although it can be read as one."""
    whole = re.sub(r"-\d+-of-\d+\.safetensors$", INDEX, path.name)
    if whole != path.name and (path.parent / whole).is_file():
        raise CheckpointError(
            f"{path.name}: is one of several files of a checkpoint.", remedy=f"Name their index, {whole}."
        )


def _shards(index: Path) -> list[Path]:
    _size(index)
    try:
        with index.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
        names = sorted({str(name) for name in _parsed(content)["weight_map"].values()})
    except OSError as error:
        raise CheckpointError(f"{index}: cannot be read: {error}.", remedy=_READABLE) from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise CheckpointError(f"{index.name}: is not the index of a sharded checkpoint.", remedy=_FETCH) from None
    for name in names:
        # An index is foreign data: it may name its neighbours and nothing else.
        if Path(name).name != name or not name.endswith(".safetensors") or "\0" in name:
            raise CheckpointError(
                f"{index.name}: lists '{name}', which is not a .safetensors file beside it.", remedy=_FETCH
            )
    if len(names) > _MOST_SHARDS:
        raise CheckpointError(
            f"{index.name}: lists {len(names):,} files, more than {_MOST_SHARDS:,}.", remedy="Save it in larger ones."
        )
    return [index.parent / name for name in names]


def _one(path: Path) -> tuple[dict[str, Stored], dict[str, str]]:
    size = _size(path)
    try:
        with path.open("rb") as file:
            start = file.read(_LENGTH_BYTES + 1)
            length = int.from_bytes(start[:_LENGTH_BYTES], "little")
            if start[_LENGTH_BYTES:] != b"{" or length > _MOST_BYTES:
                raise CheckpointError(
                    f"{path.name}: is not a safetensors file; it begins with {start[:_LENGTH_BYTES]!r}.",
                    remedy=_CONVERT,
                )
            if _LENGTH_BYTES + length > size:
                raise CheckpointError(f"{path.name}: is cut short: its header alone is longer.", remedy=_FETCH)
            file.seek(_LENGTH_BYTES)
            header = file.read(length)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error}.", remedy=_READABLE) from None
    try:
        return _understood(_parsed(header), size - _LENGTH_BYTES - length)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise CheckpointError(f"{path.name}: is damaged: its header cannot be read.", remedy=_FETCH) from None


def _size(path: Path) -> int:
    """The bytes of a regular file: a folder, a pipe or a device is never opened."""
    try:
        found = path.stat()
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file.", remedy="Name the .safetensors file to audit.") from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read: {error}.", remedy=_READABLE) from None
    if stat.S_ISDIR(found.st_mode):
        inside: list[str] = []
        with contextlib.suppress(OSError):
            inside = sorted(file.name for file in path.iterdir() if file.name.endswith((".safetensors", INDEX)))
        remedy = f"Name a file in it: {', '.join(inside[:5])}." if inside else "There is no .safetensors file in it."
        raise CheckpointError(f"{path}: is a folder, not a checkpoint.", remedy=remedy)
    if not stat.S_ISREG(found.st_mode):
        raise CheckpointError(f"{path}: is not a regular file.", remedy="Name the .safetensors file to audit.")
    if not found.st_size:
        raise CheckpointError(f"{path.name}: is empty (0 bytes).", remedy=_FETCH)
    return found.st_size


def _understood(header: Mapping[str, Any], data: int) -> tuple[dict[str, Stored], dict[str, str]]:
    words = header.get("__metadata__") or {}
    tensors = {name: _stored(entry, data) for name, entry in header.items() if name != "__metadata__"}
    return tensors, {str(name): str(word) for name, word in words.items()}


def _stored(entry: Mapping[str, Any], data: int) -> Stored:
    shape, (begin, end) = entry["shape"], entry["data_offsets"]
    if not all(type(number) is int and number >= 0 for number in (*shape, begin, end)):
        raise ValueError(shape)
    # A byte holds at most two numbers in any type of the format: larger claims would make a parameter count a lie.
    if not begin <= end <= data or math.prod(shape) > 2 * (end - begin):
        raise ValueError(shape)
    return Stored(str(entry["dtype"]), tuple(shape))


def _parsed(text: bytes) -> dict[str, Any]:
    if len(text) > _MOST_BYTES:
        raise ValueError
    found = json.loads(text, object_pairs_hook=_unique)
    if not isinstance(found, dict):
        raise TypeError
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):  # readers differ in which of two they keep: such a file has no one meaning
        raise ValueError
    return found
