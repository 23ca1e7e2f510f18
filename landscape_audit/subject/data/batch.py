"""Some examples of the sample: what the model is called with, and what it is held against."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

from landscape_audit.subject.checkpoint.checkpoint import tensor_bytes
from landscape_audit.subject.data.nested import Nested, leaves, mapped, shape_of, tensors


@dataclass(frozen=True)
class Batch:
    """Examples along the first axis of every tensor.

    Inputs are what the model is called with: a tensor, a tuple of positional arguments or a dict of named ones.
    """

    inputs: Nested
    targets: Nested

    @property
    def size(self) -> int:
        """How many examples."""
        return int(tensors(self.inputs)[0].shape[0])

    @property
    def nbytes(self) -> int:
        """What it takes to keep it."""
        return sum(tensor.nbytes for tensor in (*tensors(self.inputs), *tensors(self.targets)))

    @property
    def shape(self) -> tuple[dict[str, tuple[int, ...]], dict[str, tuple[int, ...]]]:
        """Shapes of one example, by path: batches of one shape can be joined."""
        return shape_of(self.inputs), shape_of(self.targets)

    def to(self, device: torch.device, dtype: torch.dtype) -> Self:
        """The same batch there; only floating-point tensors change their dtype."""
        return self.each(lambda tensor: tensor.to(device, dtype if tensor.is_floating_point() else None))

    def first(self, n: int) -> Self:
        """Its first `n` examples, or all of them."""
        return self.each(lambda tensor: tensor[:n])

    def rows(self, index: Tensor | slice) -> Self:
        """Those examples."""
        return self.each(lambda tensor: tensor[index])

    def split(self, pieces: int) -> Iterator[Self]:
        """The same examples in that many batches of nearly equal size."""
        most, more = divmod(self.size, pieces)
        ends = itertools.accumulate([most + 1] * more + [most] * (pieces - more), initial=0)
        return (self.rows(slice(*bounds)) for bounds in itertools.pairwise(ends))

    def named(self) -> Iterator[tuple[str, Tensor]]:
        """Every tensor with where it is: `inputs`, `targets`, `inputs.attention_mask`."""
        yield from leaves(self.inputs, "inputs")
        yield from leaves(self.targets, "targets")

    def copied(self) -> Self:
        """The same examples in memory of their own."""
        return self.each(torch.clone)

    def each(self, change: Callable[[Tensor], Tensor]) -> Self:
        """The same structure with `change` of each tensor, in the order of `named`."""
        return type(self)(mapped(change, self.inputs), mapped(change, self.targets))


def joined(batches: Sequence[Batch]) -> Batch:
    """Batches of examples of one shape as one; a view where they lie one behind the other."""
    sides = [[getattr(batch, side) for batch in batches] for side in ("inputs", "targets")]
    return Batch(*(mapped(_together, *parts) for parts in sides))


def _together(*parts: Tensor) -> Tensor:
    first = parts[0]
    ends = [part.storage_offset() + part.shape[0] * first.stride(0) for part in parts]
    starts = [part.storage_offset() for part in parts[1:]]
    one_block = all(
        part.untyped_storage().data_ptr() == first.untyped_storage().data_ptr()
        and (part.dtype, part.stride(), part.is_contiguous()) == (first.dtype, first.stride(), True)
        for part in parts
    )
    if not one_block or starts != ends[:-1]:
        return torch.cat(parts)
    rows = sum(part.shape[0] for part in parts)
    return first.as_strided((rows, *first.shape[1:]), first.stride())


class Fingerprint:
    """SHA-256 over dtypes, shapes and bytes of all examples in order, whatever the batches."""

    def __init__(self) -> None:
        self._hashes: defaultdict[str, hashlib._Hash] = defaultdict(hashlib.sha256)
        self._runs: defaultdict[str, list[list[Any]]] = defaultdict(list)

    def add(self, batch: Batch) -> None:
        """The next examples."""
        for side, tensor in batch.named():
            self._hashes[side].update(tensor_bytes(tensor))
            kind, runs = [str(tensor.dtype), list(tensor.shape[1:])], self._runs[side]
            if not runs or runs[-1][1:] != kind:
                runs.append([0, *kind])
            runs[-1][0] += tensor.shape[0]

    def digest(self) -> str:
        """Of all so far."""
        digests = {side: found.hexdigest() for side, found in self._hashes.items()}
        return hashlib.sha256(json.dumps([self._runs, digests], sort_keys=True).encode()).hexdigest()


def fingerprint(batches: Iterable[Batch]) -> str:
    """The fingerprint of these."""
    found = Fingerprint()
    for batch in batches:
        found.add(batch)
    return found.digest()
