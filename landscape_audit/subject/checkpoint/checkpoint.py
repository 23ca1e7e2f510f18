"""A safetensors checkpoint: read, hashed and checked. Nothing in it is ever executed."""

from __future__ import annotations

import hashlib
import json
import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from landscape_audit.errors import CheckpointError
from landscape_audit.reading import hash_of
from landscape_audit.results import FileRecord, TensorGroup
from landscape_audit.subject.checkpoint.folder import checkpoint_file
from landscape_audit.subject.checkpoint.header import FETCH, INDEX, read_index, refuse_shard
from landscape_audit.subject.checkpoint.tensor_file import read_tensor_file
from landscape_audit.text import count

_CHUNK = 1 << 22  # numbers looked at together


@dataclass(frozen=True)
class Checkpoint:
    """Every tensor of a checkpoint on the CPU, as stored, and what it takes to recognise it again.

    `digest` is a SHA-256 over names, dtypes, shapes and bytes that does not depend on the order or number of files.
    `sources` are the files by the paths they were read from.
    """

    name: str
    tensors: Mapping[str, Tensor]
    sources: Mapping[Path, FileRecord]
    digest: str
    groups: tuple[TensorGroup, ...]
    metadata: Mapping[str, str]
    told: tuple[str, ...] = ()
    """What was done differently from what was asked."""

    @property
    def files(self) -> tuple[FileRecord, ...]:
        """Name, size and SHA-256 of each file: the index, where there is one, and the shards."""
        return tuple(self.sources.values())

    @property
    def folder(self) -> Path:
        """Where they lie, and a configuration beside them."""
        return next(iter(self.sources)).parent


def read_checkpoint(path: Path) -> Checkpoint:
    """The checkpoint in `path`: a `.safetensors`, its `.safetensors.index.json`, or a folder with one of them.

    Costs one read of its bytes, and once their memory.
    """
    given, path = path, checkpoint_file(path)
    told = (f"A folder was given; audited is the only checkpoint in it, {path.name}.",) if path != given else ()
    tensors: dict[str, Tensor] = {}
    metadata: dict[str, str] = {}
    sources: dict[Path, FileRecord] = {}
    if path.name.endswith(INDEX):
        sources[path], shards = read_index(path)
    else:
        refuse_shard(path)
        shards = {path: set()}
    for shard, expected in shards.items():
        found = read_tensor_file(shard)
        _check_shard(shard, found.tensors, expected, tensors)
        tensors |= found.tensors
        metadata |= found.metadata
        sources[shard] = found.record
    if not tensors:
        raise CheckpointError(f"{path.name}: has no tensors.", remedy=FETCH)
    _check_finite(path.name, tensors)
    return Checkpoint(path.name, tensors, sources, tensor_digest(tensors), _groups(tensors), metadata, told)


def changed_since(sources: Mapping[Path, FileRecord]) -> list[str]:
    """What is no longer as it was read, a sentence a file; costs another read of their bytes."""
    told = []
    for path, record in sources.items():
        try:
            now = hash_of(path)
        except OSError:
            now = ""
        if now != record.sha256:
            how = f"has the SHA-256 {now} now" if now else "cannot be read any more"
            told.append(
                f"{path.name} was changed while it was audited: it {how}; every number is of the bytes read at first, "
                f"SHA-256 {record.sha256}"
            )
    return told


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


def _check_shard(path: Path, found: Mapping[str, Tensor], expected: set[str], earlier: Mapping[str, Tensor]) -> None:
    missing = sorted(expected - found.keys())
    if missing:
        raise CheckpointError(
            f"{path.name}: has no tensor '{missing[0]}', which the index says is there.", remedy=FETCH
        )
    twice = sorted(found.keys() & earlier.keys())
    if twice:
        raise CheckpointError(
            f"{path.name}: has the tensor '{twice[0]}', which another shard has too.",
            remedy="Save the model anew: which of the two is meant cannot be known.",
        )


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
    nans = infinities = 0
    flat = tensor.reshape(-1)
    for begin in range(0, len(flat), _CHUNK):  # in parts, for the memory
        part = flat[begin : begin + _CHUNK]
        # Through float32, as the 8-bit types know no isnan; both words survive the cast.
        wide = part.float() if part.dtype.itemsize < 2 else part
        nans, infinities = nans + int(wide.isnan().sum()), infinities + int(wide.isinf().sum())
    return " and ".join(f"{number:,} {word}" for number, word in ((nans, "NaN"), (infinities, "infinite")) if number)


def _groups(tensors: Mapping[str, Tensor]) -> tuple[TensorGroup, ...]:
    members: defaultdict[str, list[int]] = defaultdict(list)
    for tensor in tensors.values():
        members[_dtype(tensor)].append(math.prod(tensor.shape))
    return tuple(
        TensorGroup(dtype=dtype, tensors=len(sizes), elements=sum(sizes)) for dtype, sizes in sorted(members.items())
    )


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
