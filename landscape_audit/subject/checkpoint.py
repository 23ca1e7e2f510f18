"""A safetensors checkpoint: read, hashed and checked. Nothing in it is ever executed."""

from __future__ import annotations

import hashlib
import json
import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from landscape_audit.errors import CheckpointError
from landscape_audit.results import FileRecord, TensorGroup
from landscape_audit.text import count

_INDEX = ".safetensors.index.json"
_LENGTH_BYTES = 8
_MAX_HEADER = 100_000_000  # the format's own limit, in bytes

_CONVERT = (
    "Convert it once, where you trust it: `safetensors.torch.save_file(model.state_dict(), 'model.safetensors')`."
)
_FETCH = "Fetch the file itself."
_SIGNATURES: tuple[tuple[bytes, str, str], ...] = (
    (b"PK\x03\x04", "a zip archive, as `torch.save` writes: a pickle, which runs code when loaded", _CONVERT),
    (b"\x80", "a pickle, which runs code when loaded", _CONVERT),
    (b"version https://git-lfs", "a Git LFS pointer, not the file it points to", "Run `git lfs pull`."),
    (b"<", "a web page, most likely an error or a login page", _FETCH),
    (b"GGUF", "a GGUF file", "Audit the safetensors file it was made from."),
    (b"\x89HDF", "an HDF5 file", _CONVERT),
    (b"\x1f\x8b", "gzip-compressed", "Unpack it first."),
)


@dataclass(frozen=True)
class Checkpoint:
    """Every tensor of a checkpoint on the CPU, as stored, and what it takes to recognise it again.

    `digest` is a SHA-256 over names, dtypes, shapes and bytes that does not depend on the order or number of files.
    """

    name: str
    tensors: Mapping[str, Tensor]
    files: tuple[FileRecord, ...]
    digest: str
    groups: tuple[TensorGroup, ...]
    metadata: Mapping[str, str]


def read_checkpoint(path: Path) -> Checkpoint:
    """The checkpoint in `path`, a `.safetensors` or its `.safetensors.index.json`; costs one read of its bytes."""
    shards = _shards(path) if path.name.endswith(_INDEX) else {path: None}
    tensors: dict[str, Tensor] = {}
    metadata: dict[str, str] = {}
    for shard, expected in shards.items():
        found, words = _read_file(shard)
        _check_shard(shard, found, expected, tensors)
        tensors |= found
        metadata |= words
    if not tensors:
        raise CheckpointError(f"{path.name}: has no tensors.")
    _check_finite(path.name, tensors)
    files = [path, *shards] if path not in shards else [path]
    records = tuple(_record(file) for file in files)
    return Checkpoint(path.name, tensors, records, tensor_digest(tensors), _groups(tensors), metadata)


def tensor_digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, dtypes, shapes and bytes, whatever the order."""
    whole = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        head = json.dumps([name, _dtype(tensor), list(tensor.shape)])
        whole.update(hashlib.sha256(head.encode()).digest())
        whole.update(hashlib.sha256(tensor_bytes(tensor)).digest())
    return whole.hexdigest()


def tensor_bytes(tensor: Tensor) -> memoryview:
    """The numbers of a tensor in order, as bytes; a view where it is contiguous and on the CPU."""
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().data


def _shards(index: Path) -> dict[Path, set[str] | None]:
    _check_readable(index)
    try:
        listed = json.loads(index.read_text(encoding="utf-8"))["weight_map"].items()
        pairs = [(str(name), Path(file)) for name, file in listed]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise CheckpointError(f"{index.name}: is not the index of a sharded checkpoint.", remedy=_FETCH) from None
    names: defaultdict[Path, set[str]] = defaultdict(set)
    for name, file in pairs:
        # An index is foreign data: it may name its neighbours and nothing else.
        if file.name != str(file) or file.suffix != ".safetensors":
            raise CheckpointError(f"{index.name}: lists '{file}', which is not a .safetensors file beside it.")
        names[index.parent / file].add(name)
    return dict(sorted(names.items()))


def _check_shard(path: Path, found: dict[str, Tensor], expected: set[str] | None, earlier: dict[str, Tensor]) -> None:
    missing = sorted((expected or set()) - set(found))
    if missing:
        raise CheckpointError(
            f"{path.name}: has no tensor '{missing[0]}', which the index says is there.", remedy=_FETCH
        )
    twice = sorted(set(found) & set(earlier))
    if twice:
        raise CheckpointError(f"{path.name}: has the tensor '{twice[0]}', which another shard has too.")


def _read_file(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    _check_readable(path)
    _check_header(path)
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError, RuntimeError) as error:
        raise CheckpointError(f"{path.name}: is damaged: {error}.", remedy=_FETCH) from None


def _check_readable(path: Path) -> None:
    if path.is_dir():
        inside = sorted(file.name for file in path.iterdir() if file.name.endswith((".safetensors", _INDEX)))
        remedy = f"Name a file in it: {', '.join(inside[:5])}." if inside else "There is no .safetensors file in it."
        raise CheckpointError(f"{path}: is a folder, not a checkpoint.", remedy=remedy)
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file.", remedy="Name the .safetensors file to audit.") from None
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error}.") from None
    if not size:
        raise CheckpointError(f"{path.name}: is empty (0 bytes).", remedy=_FETCH)


def _check_header(path: Path) -> None:
    """Say what is wrong where the library would say "header too large" for a pickle and a web page alike."""
    try:
        with path.open("rb") as file:
            start = file.read(64)
            length = int.from_bytes(start[:_LENGTH_BYTES], "little")
            if not (start[_LENGTH_BYTES:].startswith(b"{") and length <= _MAX_HEADER):
                raise _not_safetensors(path, start)
            file.seek(_LENGTH_BYTES)
            header = file.read(length)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error}.") from None
    size = path.stat().st_size
    needed = _LENGTH_BYTES + length + (_data_bytes(path, header) if len(header) == length else 0)
    if size != needed:
        state = "is cut short" if size < needed else "has bytes that belong to no tensor"
        raise CheckpointError(
            f"{path.name}: {state}: its header says {needed:,} bytes, the file has {size:,}.", remedy=_FETCH
        )


def _not_safetensors(path: Path, start: bytes) -> CheckpointError:
    for signature, meaning, remedy in _SIGNATURES:
        if start.lstrip().startswith(signature):
            return CheckpointError(f"{path.name}: is {meaning}.", remedy=remedy)
    if len(start) <= _LENGTH_BYTES:
        return CheckpointError(
            f"{path.name}: is cut short: {count(len(start), 'byte')} cannot hold a header.", remedy=_FETCH
        )
    return CheckpointError(f"{path.name}: is not a safetensors file; it begins with {start[:8]!r}.", remedy=_CONVERT)


def _data_bytes(path: Path, header: bytes) -> int:
    try:
        entries = json.loads(header, object_pairs_hook=_unique)
        return max(
            (int(entry["data_offsets"][1]) for name, entry in entries.items() if name != "__metadata__"), default=0
        )
    except _TwiceError as twice:
        # The library keeps the last of them, another reader may keep the first: such a file has no one meaning.
        raise CheckpointError(f"{path.name}: its header has '{twice}' twice.", remedy=_FETCH) from None
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        raise CheckpointError(f"{path.name}: is damaged: its header cannot be read.", remedy=_FETCH) from None


class _TwiceError(Exception):
    pass


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    for name, value in pairs:
        if name in seen:
            raise _TwiceError(name)
        seen[name] = value
    return seen


def _check_finite(name: str, tensors: Mapping[str, Tensor]) -> None:
    bad = {key: how for key, tensor in tensors.items() if (how := _nonfinite(tensor))}
    if bad:
        first, how = next(iter(bad.items()))
        others = f", and so on in {count(len(bad) - 1, 'other tensor')}" if len(bad) > 1 else ""
        raise CheckpointError(
            f"{name}: the tensor '{first}' has {how} among {count(tensors[first].numel(), 'number')}{others}.",
            remedy="Training diverged or the file is damaged: take an earlier checkpoint.",
        )


def _nonfinite(tensor: Tensor) -> str:
    if not (tensor.is_floating_point() or tensor.is_complex()):
        return ""
    # Through float32, as the 8-bit types know no isnan; both words survive the cast.
    wide = tensor.float() if tensor.dtype.itemsize < 2 else tensor
    nans, infinities = int(wide.isnan().sum()), int(wide.isinf().sum())
    return " and ".join(f"{number:,} {word}" for number, word in ((nans, "NaN"), (infinities, "infinite")) if number)


def _groups(tensors: Mapping[str, Tensor]) -> tuple[TensorGroup, ...]:
    members: defaultdict[str, list[int]] = defaultdict(list)
    for tensor in tensors.values():
        members[_dtype(tensor)].append(math.prod(tensor.shape))
    return tuple(
        TensorGroup(dtype=dtype, tensors=len(sizes), elements=sum(sizes)) for dtype, sizes in sorted(members.items())
    )


def _record(path: Path) -> FileRecord:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return FileRecord(name=path.name, sha256=digest, size_bytes=path.stat().st_size)


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
