"""One safetensors file, read once: what is hashed is what is loaded, and nothing is believed before it is checked.

The `safetensors` library opens a file by its name and maps it into memory. Then nothing proves that the bytes that were
hashed are those that were loaded, and whoever writes to the file meanwhile changes the audited weights. The format is a
length, a JSON header and bytes, so it is read here, from one open file into memory of our own. The tests hold every
file against the library, which must give the same tensors.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from landscape_audit.errors import CheckpointError
from landscape_audit.reading import regular_file
from landscape_audit.results import FileRecord
from landscape_audit.text import count, mebibytes, printable

FETCH = "Fetch the file itself."
CONVERT = "Convert it once, where you trust it: `safetensors.torch.save_file(model.state_dict(), 'model.safetensors')`."

_LENGTH_BYTES = 8
_MAX_HEADER = 100_000_000  # the format's own limit, in bytes
_MAX_DIMS = 64  # PyTorch's own, for most operations
_MAX_ELEMENTS = 2**63  # likewise
_CHUNK = 1 << 24

_DTYPES = {
    "BOOL": torch.bool,
    "U8": torch.uint8,
    "U16": torch.uint16,
    "U32": torch.uint32,
    "U64": torch.uint64,
    "I8": torch.int8,
    "I16": torch.int16,
    "I32": torch.int32,
    "I64": torch.int64,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E4M3FNUZ": torch.float8_e4m3fnuz,
    "F8_E5M2": torch.float8_e5m2,
    "F8_E5M2FNUZ": torch.float8_e5m2fnuz,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F32": torch.float32,
    "F64": torch.float64,
    "C64": torch.complex64,
}

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
class TensorFile:
    """The tensors of one file on the CPU, as stored: views of one block of memory, the size of the file."""

    record: FileRecord
    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str]


def read_tensor_file(path: Path) -> TensorFile:
    """The file, or a CheckpointError. Costs one read of its bytes and once their memory; a header is checked first."""
    try:
        with regular_file(path) as file:
            return _read(path, file)
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from None


def hash_of(path: Path) -> str:
    """SHA-256 of what is in the file now; an OSError where it is gone."""
    with regular_file(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def unreadable(path: Path, error: OSError | ValueError) -> CheckpointError:
    """The error of a file that cannot be opened, or breaks off while it is read."""
    if isinstance(error, FileNotFoundError):
        return CheckpointError(f"{path}: no such file.", remedy="Name the .safetensors file to audit.")
    why = (error.strerror if isinstance(error, OSError) else None) or error
    return CheckpointError(f"{path}: cannot be read: {why}.", remedy="Name a .safetensors file that you may read.")


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """For `json.loads`: an object none of whose keys is there twice. Readers differ in which of the two they keep."""
    seen: dict[str, Any] = {}
    for name, value in pairs:
        if name in seen:
            raise TwiceError(name)
        seen[name] = value
    return seen


class TwiceError(Exception):
    """A key that is twice in one JSON object."""


@dataclass(frozen=True)
class _Entry:
    name: str
    dtype: torch.dtype
    shape: tuple[int, ...]
    begin: int
    end: int

    def tensor(self, data: Tensor) -> Tensor:
        part = data[self.begin : self.end]
        # A view in another type begins at a multiple of its size; the format does not promise that.
        aligned = part if self.begin % self.dtype.itemsize == 0 else part.clone()
        return aligned.view(self.dtype).view(self.shape)


def _read(path: Path, file: BufferedReader) -> TensorFile:
    size = os.fstat(file.fileno()).st_size
    start, header = _header(path, file, size)
    entries, metadata = _parsed(path, header)
    _check_size(path, size, len(start) + len(header) + max((entry.end for entry in entries), default=0))
    sha256 = hashlib.sha256(start + header)
    data = _memory(path, size - len(start) - len(header))
    for chunk in _chunks(data):
        if file.readinto(chunk) != len(chunk):
            raise CheckpointError(f"{path.name}: became shorter while it was read.", remedy=FETCH)
        sha256.update(chunk)
    if file.read(1):
        raise CheckpointError(f"{path.name}: became longer while it was read.", remedy="Audit it once it is written.")
    record = FileRecord(name=path.name, sha256=sha256.hexdigest(), size_bytes=size)
    return TensorFile(record, {entry.name: entry.tensor(data) for entry in entries}, metadata)


def _memory(path: Path, size: int) -> Tensor:
    with contextlib.suppress(RuntimeError):
        # More than the machine has may well be granted, and ends the process once it is written to.
        if size < os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"):
            return torch.empty(size, dtype=torch.uint8)
    raise CheckpointError(
        f"{path.name}: its {mebibytes(size)} do not fit into memory.", remedy="Audit it on a larger machine."
    )


def _chunks(data: Tensor) -> Iterator[memoryview]:
    whole: memoryview = data.numpy().data
    for begin in range(0, len(whole), _CHUNK):
        yield whole[begin : begin + _CHUNK]


# -------------------------------------------------------------------------------------------------------------- header


def _header(path: Path, file: BufferedReader, size: int) -> tuple[bytes, bytes]:
    """The eight bytes of the length and the header, which is not read before its length is found to be possible."""
    if not size:
        raise CheckpointError(f"{path.name}: is empty (0 bytes).", remedy=FETCH)
    begin = file.read(64)
    start = begin[:_LENGTH_BYTES]
    length = int.from_bytes(start, "little")
    if not (begin[_LENGTH_BYTES:].startswith(b"{") and length <= _MAX_HEADER):
        raise _not_safetensors(path, begin)
    _check_size(path, size, _LENGTH_BYTES + length, whole=False)
    file.seek(_LENGTH_BYTES)
    return start, file.read(length)


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


def _parsed(path: Path, header: bytes) -> tuple[list[_Entry], dict[str, str]]:
    try:
        listed = json.loads(header.decode("utf-8"), object_pairs_hook=unique, parse_int=_natural, parse_constant=_none)
    except TwiceError as twice:
        raise CheckpointError(f"{path.name}: its header has '{twice}' twice.", remedy=FETCH) from None
    except (ValueError, RecursionError):
        raise _damaged(path, "its header cannot be read") from None
    metadata = listed.pop("__metadata__", None)
    entries = sorted((_entry(path, *pair) for pair in listed.items()), key=lambda entry: (entry.begin, entry.end))
    end = 0
    for entry in entries:
        if entry.begin != end:
            how = "overlaps the one before it" if entry.begin < end else "leaves a hole before it"
            raise _damaged(path, f"the tensor '{printable(entry.name)}' {how}")
        end = entry.end
    return entries, _metadata(path, metadata)


def _metadata(path: Path, found: object) -> dict[str, str]:
    pairs = {} if found is None else found
    if not (isinstance(pairs, dict) and all(_is_text(word) for pair in pairs.items() for word in pair)):
        raise _damaged(path, "its metadata are not pairs of words")
    return pairs


def _entry(path: Path, name: str, found: object) -> _Entry:
    what = f"the tensor '{printable(name)}'"
    if not _is_text(name):
        raise _damaged(path, f"{what} has a name that is no text")
    if not (isinstance(found, dict) and found.keys() == {"dtype", "shape", "data_offsets"}):
        raise _damaged(path, f"{what} has not just a dtype, a shape and offsets")
    dtype, shape, offsets = found["dtype"], found["shape"], found["data_offsets"]
    if not (isinstance(dtype, str) and dtype in _DTYPES):
        raise CheckpointError(
            f"{path.name}: {what} is stored as {printable(dtype, 40)}, which cannot be audited.",
            remedy="Turn it into floating point (F64, F32, BF16, F16) where it was made.",
        )
    if not (_are_numbers(shape) and _are_numbers(offsets) and len(offsets) == 2 and offsets[0] <= offsets[1]):
        raise _damaged(path, f"{what} has a shape or offsets that are none")
    # Without the zeros: PyTorch multiplies in 64 bits before it comes to them.
    if len(shape) > _MAX_DIMS or math.prod(size for size in shape if size) >= _MAX_ELEMENTS:
        raise _damaged(path, f"{what} has a shape beyond all bounds")
    needed, there = math.prod(shape) * _DTYPES[dtype].itemsize, offsets[1] - offsets[0]
    if needed != there:
        raise _damaged(path, f"{what} needs {needed:,} bytes by its shape and has {there:,}")
    return _Entry(name, _DTYPES[dtype], tuple(shape), *offsets)


def _damaged(path: Path, how: str) -> CheckpointError:
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
