"""What a checkpoint says of its tensors before they are read: headers and index, which are foreign data.

A safetensors file is the length of its header in eight bytes, a JSON header and the bytes of the tensors. Read without
torch, and nothing is believed before it is checked.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

from landscape_audit.errors import CheckpointError
from landscape_audit.reading import RepeatedKeyError, read_text, regular_file, unrepeated
from landscape_audit.results import FileRecord
from landscape_audit.text import count, printable

INDEX = ".safetensors.index.json"
"""What the name of the index of a sharded checkpoint ends in."""
FETCH = "Fetch the file itself."
CONVERT = "Convert it once, where you trust it: `safetensors.torch.save_file(model.state_dict(), 'model.safetensors')`."

_LENGTH_BYTES = 8
_MAX_HEADER = 100_000_000  # the format's own limit, in bytes
_MAX_DIMS = 64  # PyTorch's own, for most operations
_MAX_ELEMENTS = 2**63  # likewise

_SIGNATURES: tuple[tuple[bytes, str, str], ...] = (
    (b"PK\x03\x04", "a zip archive, as `torch.save` writes: a pickle, which runs code when loaded", CONVERT),
    (b"\x80", "a pickle, which runs code when loaded", CONVERT),
    (b"version https://git-lfs", "a Git LFS pointer, not the file it points to", "Run `git lfs pull`."),
    (b"<", "a web page, most likely an error or a login page", FETCH),
    (b"GGUF", "a GGUF file", "Audit the safetensors file it was made from."),
    (b"\x89HDF", "an HDF5 file", CONVERT),
    (b"\x1f\x8b", "gzip-compressed", "Unpack it first."),
)


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
    shards = list(read_index(path)[1]) if path.name.endswith(INDEX) else [path]
    tensors: dict[str, Stored] = {}
    metadata: dict[str, str] = {}
    for shard in shards:
        try:
            with regular_file(shard) as file:
                found = file_header(shard, file)
        except (OSError, ValueError) as error:
            raise unreadable(shard, error) from None
        tensors |= {entry.name: _stored(shard, entry) for entry in found.entries}
        metadata |= found.metadata
    if not tensors:
        raise CheckpointError(f"{path.name}: has no tensors.", remedy=FETCH)
    return Header(tensors, metadata, len(shards))


def _stored(path: Path, entry: Entry) -> Stored:
    stored = Stored(entry.dtype, entry.shape)
    # A byte holds at most two numbers in any type of the format: larger claims would make a parameter count a lie.
    if stored.elements > 2 * (entry.end - entry.begin):
        raise damaged(path, f"the tensor '{printable(entry.name)}' has more numbers by its shape than bytes")
    return stored


def refuse_shard(path: Path) -> None:
    """One of several files is not the checkpoint, although it can be read as one."""
    whole = re.sub(r"-\d+-of-\d+\.safetensors$", INDEX, path.name)
    if whole != path.name and (path.parent / whole).is_file():
        raise CheckpointError(
            f"{path.name}: is one of several files of a checkpoint.", remedy=f"Name their index, {whole}."
        )


def read_index(path: Path) -> tuple[FileRecord, dict[Path, set[str]]]:
    """The record of an index, and the names that it says are in each shard."""
    try:
        text = read_text(path)
        listed = json.loads(text, object_pairs_hook=unrepeated)["weight_map"].items()
        pairs = [(name, Path(file)) for name, file in listed]
    except OSError as error:
        raise unreadable(path, error) from None
    except RepeatedKeyError as twice:
        raise CheckpointError(f"{path.name}: has '{twice.key}' twice.", remedy=FETCH) from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise CheckpointError(f"{path.name}: is not the index of a sharded checkpoint.", remedy=FETCH) from None
    names: defaultdict[Path, set[str]] = defaultdict(set)
    for name, file in pairs:
        # An index is foreign data: it may name its neighbours and nothing else.
        if file.name != str(file) or file.suffix != ".safetensors" or "\0" in file.name:
            raise CheckpointError(
                f"{path.name}: lists '{file}', which is not a .safetensors file beside it.",
                remedy="Put index and shards into one folder, as they were saved.",
            )
        names[path.parent / file].add(name)
    content = text.encode()
    record = FileRecord(name=path.name, sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))
    return record, dict(sorted(names.items()))


def unreadable(path: Path, error: OSError | ValueError) -> CheckpointError:
    """The error of a file that cannot be opened, or breaks off while it is read."""
    if isinstance(error, FileNotFoundError):
        return CheckpointError(f"{path}: no such file.", remedy="Name the .safetensors file to audit.")
    why = (error.strerror if isinstance(error, OSError) else None) or error
    return CheckpointError(f"{path}: cannot be read: {why}.", remedy="Name a .safetensors file that you may read.")


# ------------------------------------------------------------------------------------------------------------ one file


@dataclass(frozen=True)
class Entry:
    """One tensor of a file: its type in the format's word, its shape, and where its bytes begin and end."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


@dataclass(frozen=True)
class FileHeader:
    """The header of one file, and what it says: the tensors in the order of their bytes, which fill the file."""

    raw: bytes
    """As it is in the file, with the length before it."""
    entries: tuple[Entry, ...]
    metadata: Mapping[str, str]


def file_header(path: Path, file: BufferedReader) -> FileHeader:
    """The header at the beginning of an open file, which is left where the tensors begin."""
    size = os.fstat(file.fileno()).st_size
    raw = _header_bytes(path, file, size)
    entries, metadata = _parsed(path, raw[_LENGTH_BYTES:])
    _check_size(path, size, len(raw) + max((entry.end for entry in entries), default=0))
    return FileHeader(raw, tuple(entries), metadata)


def _header_bytes(path: Path, file: BufferedReader, size: int) -> bytes:
    """The length and the header, which is not read before its length is found to be possible."""
    if not size:
        raise CheckpointError(f"{path.name}: is empty (0 bytes).", remedy=FETCH)
    begin = file.read(64)
    length = int.from_bytes(begin[:_LENGTH_BYTES], "little")
    if not (begin[_LENGTH_BYTES:].startswith(b"{") and length <= _MAX_HEADER):
        raise _not_safetensors(path, begin)
    _check_size(path, size, _LENGTH_BYTES + length, whole=False)
    file.seek(0)
    return file.read(_LENGTH_BYTES + length)


def _check_size(path: Path, size: int, needed: int, *, whole: bool = True) -> None:
    if size < needed or (whole and size > needed):
        state = "is cut short" if size < needed else "has bytes that belong to no tensor"
        raise CheckpointError(
            f"{path.name}: {state}: its header says {needed:,} bytes, the file has {size:,}.", remedy=FETCH
        )


def _not_safetensors(path: Path, begin: bytes) -> CheckpointError:
    for signature, meaning, remedy in _SIGNATURES:
        if begin.lstrip().startswith(signature):
            return CheckpointError(f"{path.name}: is {meaning}.", remedy=remedy)
    if len(begin) <= _LENGTH_BYTES:
        return CheckpointError(
            f"{path.name}: is cut short: {count(len(begin), 'byte')} cannot hold a header.", remedy=FETCH
        )
    if begin[_LENGTH_BYTES:].startswith(b"{"):
        length = int.from_bytes(begin[:_LENGTH_BYTES], "little")
        return CheckpointError(f"{path.name}: is damaged: it claims a header of {length:,} bytes.", remedy=FETCH)
    return CheckpointError(f"{path.name}: is not a safetensors file; it begins with {begin[:8]!r}.", remedy=CONVERT)


def _parsed(path: Path, header: bytes) -> tuple[list[Entry], dict[str, str]]:
    try:
        listed = json.loads(
            header.decode("utf-8"), object_pairs_hook=unrepeated, parse_int=_natural, parse_constant=_none
        )
    except RepeatedKeyError as twice:
        raise CheckpointError(f"{path.name}: its header has '{twice.key}' twice.", remedy=FETCH) from None
    except (ValueError, RecursionError):
        raise damaged(path, "its header cannot be read") from None
    metadata = listed.pop("__metadata__", None)
    entries = sorted((_entry(path, *pair) for pair in listed.items()), key=lambda entry: (entry.begin, entry.end))
    end = 0
    for entry in entries:
        if entry.begin != end:
            how = "overlaps the one before it" if entry.begin < end else "leaves a hole before it"
            raise damaged(path, f"the tensor '{printable(entry.name)}' {how}")
        end = entry.end
    return entries, _metadata(path, metadata)


def _metadata(path: Path, found: object) -> dict[str, str]:
    pairs = {} if found is None else found
    if not (isinstance(pairs, dict) and all(_is_text(word) for pair in pairs.items() for word in pair)):
        raise damaged(path, "its metadata are not pairs of words")
    return pairs


def _entry(path: Path, name: str, found: object) -> Entry:
    what = f"the tensor '{printable(name)}'"
    if not _is_text(name):
        raise damaged(path, f"{what} has a name that is no text")
    if not (isinstance(found, dict) and found.keys() == {"dtype", "shape", "data_offsets"}):
        raise damaged(path, f"{what} has not just a dtype, a shape and offsets")
    dtype, shape, offsets = found["dtype"], found["shape"], found["data_offsets"]
    if not isinstance(dtype, str):
        raise damaged(path, f"{what} has a dtype that is no word")
    if not (_are_numbers(shape) and _are_numbers(offsets) and len(offsets) == 2 and offsets[0] <= offsets[1]):
        raise damaged(path, f"{what} has a shape or offsets that are none")
    # Without the zeros: PyTorch multiplies in 64 bits before it comes to them.
    if len(shape) > _MAX_DIMS or math.prod(size for size in shape if size) >= _MAX_ELEMENTS:
        raise damaged(path, f"{what} has a shape beyond all bounds")
    return Entry(name, dtype, tuple(shape), *offsets)


def damaged(path: Path, how: str) -> CheckpointError:
    """The error of a file that says of itself what cannot be."""
    return CheckpointError(f"{path.name}: is damaged: {how}.", remedy=FETCH)


def _are_numbers(found: object) -> bool:
    return isinstance(found, list) and all(type(each) is int for each in found)


def _is_text(found: object) -> bool:
    """Whether it can be written as UTF-8: JSON may spell half a character, which nothing else can carry."""
    return isinstance(found, str) and not any("\ud800" <= character <= "\udfff" for character in found)


def _natural(digits: str) -> int:
    if digits.startswith("-") or len(digits) > 20:  # the digits of 2**64
        message = "not an unsigned number of 64 bits"
        raise ValueError(message)
    return int(digits)


def _none(word: str) -> None:
    message = f"{word} is not JSON"
    raise ValueError(message)
