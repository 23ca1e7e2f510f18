"""Safetensors files written tensor by tensor, however large, and their digest."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch

from landscape_audit.files import replacing
from landscape_audit.probes.encoding import DTYPES, Stored

_NO_DIGEST = "0" * 64
"""Holds the place of the digest, which is only known when all is written."""
_ALIGN = 8


def write_tensors(path: Path, metadata: dict[str, str], tensors: Mapping[str, Stored]) -> None:
    """A safetensors file, written piece by piece, whole or not at all, with a digest of everything in its metadata."""
    with replacing(path) as file:
        _write(file, metadata, tensors)


def _write(file: BinaryIO, metadata: dict[str, str], tensors: Mapping[str, Stored]) -> None:
    begin = _header(metadata | {"digest": _NO_DIGEST}, tensors)
    digest = hashlib.sha256(begin)
    file.write(begin)
    for stored in tensors.values():
        for piece in stored.pieces:
            content = piece.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data
            digest.update(content)
            file.write(content)
    file.seek(0)
    file.write(_header(metadata | {"digest": digest.hexdigest()}, tensors))


def _header(metadata: dict[str, str], tensors: Mapping[str, Stored]) -> bytes:
    told: dict[str, Any] = {"__metadata__": metadata}
    end = 0
    for name, stored in tensors.items():
        begin, end = end, end + stored.bytes
        told[name] = {"dtype": DTYPES[stored.dtype], "shape": stored.shape, "data_offsets": (begin, end)}
    text = json.dumps(told).encode()
    text += b" " * (-len(text) % _ALIGN)
    return struct.pack("<Q", len(text)) + text


def is_whole(path: Path, digest: str) -> bool:
    """Whether a file that `write_tensors` wrote with this digest still is what it was."""
    with path.open("rb") as file:
        size = file.read(8)
        text = file.read(*struct.unpack("<Q", size))
        found = hashlib.sha256(size + text.replace(digest.encode(), _NO_DIGEST.encode(), 1))
        for chunk in iter(lambda: file.read(1 << 24), b""):
            found.update(chunk)
    return found.hexdigest() == digest
