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

from landscape_audit.subject.checkpoint import tensor_bytes
from landscape_audit.subject.nested import Nested, leaves, mapped, shape_of, tensors


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
        return self._each(lambda tensor: tensor.to(device, dtype if tensor.is_floating_point() else None))

    def first(self, n: int) -> Self:
        """Its first `n` examples, or all of them."""
        return self._each(lambda tensor: tensor[:n])

    def rows(self, index: Tensor | slice) -> Self:
        """Those examples."""
        return self._each(lambda tensor: tensor[index])

    def split(self, pieces: int) -> Iterator[Self]:
        """The same examples in that many batches of nearly equal size."""
        most, more = divmod(self.size, pieces)
        ends = itertools.accumulate([most + 1] * more + [most] * (pieces - more), initial=0)
        return (self.rows(slice(*bounds)) for bounds in itertools.pairwise(ends))

    def named(self) -> Iterator[tuple[str, Tensor]]:
        """Every tensor with where it is: `inputs`, `targets`, `inputs.attention_mask`."""
        yield from leaves(self.inputs, "inputs")
        yield from leaves(self.targets, "targets")

    def _each(self, change: Callable[[Tensor], Tensor]) -> Self:
        return type(self)(mapped(change, self.inputs), mapped(change, self.targets))


def joined(batches: Sequence[Batch]) -> Batch:
    """Batches of examples of one shape as one."""

    def together(*parts: Tensor) -> Tensor:
        return torch.cat(parts)

    sides = [[getattr(batch, side) for batch in batches] for side in ("inputs", "targets")]
    return Batch(*(mapped(together, *parts) for parts in sides))


def fingerprint(batches: Iterable[Batch]) -> str:
    """SHA-256 over dtypes, shapes and bytes of all examples in order, whatever the batches."""
    hashes: defaultdict[str, hashlib._Hash] = defaultdict(hashlib.sha256)
    runs: defaultdict[str, list[list[Any]]] = defaultdict(list)
    for batch in batches:
        for side, tensor in batch.named():
            hashes[side].update(tensor_bytes(tensor))
            kind = [str(tensor.dtype), list(tensor.shape[1:])]
            if not runs[side] or runs[side][-1][1:] != kind:
                runs[side].append([0, *kind])
            runs[side][-1][0] += tensor.shape[0]
    digests = {side: found.hexdigest() for side, found in hashes.items()}
    return hashlib.sha256(json.dumps([runs, digests], sort_keys=True).encode()).hexdigest()
