"""One safetensors file, read once: what is hashed is what is loaded, and nothing is believed before it is checked.

The `safetensors` library opens a file by its name and maps it into memory. Then nothing proves that the bytes that were
hashed are those that were loaded, and whoever writes to the file meanwhile changes the audited weights. The format is a
length, a JSON header and bytes, so it is read here, from one open file into memory of our own. The tests hold every
file against the library, which must give the same tensors.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

import torch
from torch import Tensor

from landscape_audit.errors import CheckpointError
from landscape_audit.reading import regular_file
from landscape_audit.results import FileRecord
from landscape_audit.subject.checkpoint.header import FETCH, Entry, damaged, file_header, unreadable
from landscape_audit.text import mebibytes, printable

_CHUNK = 1 << 24

DTYPES = {
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
"""The types of the format that PyTorch has."""


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


def _read(path: Path, file: BufferedReader) -> TensorFile:
    header = file_header(path, file)
    dtypes = {entry.name: _dtype(path, entry) for entry in header.entries}
    sha256 = hashlib.sha256(header.raw)
    data = _memory(path, max((entry.end for entry in header.entries), default=0))
    for chunk in _chunks(data):
        if file.readinto(chunk) != len(chunk):
            raise CheckpointError(f"{path.name}: became shorter while it was read.", remedy=FETCH)
        sha256.update(chunk)
    if file.read(1):
        raise CheckpointError(f"{path.name}: became longer while it was read.", remedy="Audit it once it is written.")
    record = FileRecord(name=path.name, sha256=sha256.hexdigest(), size_bytes=len(header.raw) + len(data))
    tensors = {entry.name: _tensor(data, entry, dtypes[entry.name]) for entry in header.entries}
    return TensorFile(record, tensors, header.metadata)


def _dtype(path: Path, entry: Entry) -> torch.dtype:
    """What the tensor is in PyTorch, if its bytes are as many as its shape needs."""
    what = f"the tensor '{printable(entry.name)}'"
    if entry.dtype not in DTYPES:
        raise CheckpointError(
            f"{path.name}: {what} is stored as {printable(entry.dtype, 40)}, which cannot be audited.",
            remedy="Turn it into floating point (F64, F32, BF16, F16) where it was made.",
        )
    dtype = DTYPES[entry.dtype]
    needed, there = math.prod(entry.shape) * dtype.itemsize, entry.end - entry.begin
    if needed != there:
        raise damaged(path, f"{what} needs {needed:,} bytes by its shape and has {there:,}")
    return dtype


def _tensor(data: Tensor, entry: Entry, dtype: torch.dtype) -> Tensor:
    part = data[entry.begin : entry.end]
    # A view in another type begins at a multiple of its size; the format does not promise that.
    aligned = part if entry.begin % dtype.itemsize == 0 else part.clone()
    return aligned.view(dtype).view(entry.shape)


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
