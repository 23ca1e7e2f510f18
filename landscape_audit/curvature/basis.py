"""Long vectors kept row by row: in the precision and the memory that there is room for, computed with in full."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

_ROWS = 8
_ELEMENTS = 1 << 25
"""Rows, or elements, allocated at once: a run that converges early never takes the memory of a long one."""
_CHUNK = 1 << 22
"""Elements converted at once where rows are stored otherwise than they are computed with."""


@dataclass(frozen=True)
class Storage:
    """How rows are kept: their dtype and their device.

    float16 halves the memory. A row then is what float16 made of it, and everything that follows works with that row,
    so that the process stays consistent; how far that moves an eigenvalue is in its measured residual.
    """

    dtype: torch.dtype
    device: torch.device

    def row_bytes(self, size: int) -> int:
        """The memory of one row of `size` elements."""
        return size * self.dtype.itemsize


@dataclass
class _Slab:
    """Memory for some rows, and how many of them somebody holds."""

    rows: Tensor
    used: int = 0


class Basis:
    """Rows of length `size`; every product with them is computed in the dtype of `like`."""

    def __init__(self, like: Tensor, storage: Storage | None = None, size: int | None = None) -> None:
        self.size = like.numel() if size is None else size
        self._like = like.new_empty(0)  # its dtype and its device, without its memory
        self._storage = storage or Storage(like.dtype, like.device)
        self._slabs: tuple[_Slab, ...] = ()
        self._rows = 0
        self._per_slab = max(1, min(_ROWS, _ELEMENTS // max(1, self.size)))
        # The elements of a unit vector are about 1/√P, below float16's normal range from P = 10⁸ on.
        self._scale = math.sqrt(self.size) if self._storage.dtype == torch.float16 else 1.0

    def __len__(self) -> int:
        return self._rows

    def __getitem__(self, index: int) -> Tensor:
        """Row `index` as it is computed with, shape (size,)."""
        if not 0 <= index < self._rows:
            raise IndexError(index)
        row = self._slabs[index // self._per_slab].rows[index % self._per_slab]
        return row if self._is_plain else row.to(self._like) / self._scale

    def __iter__(self) -> Iterator[Tensor]:
        return (self[index] for index in range(self._rows))

    def with_row(self, row: Tensor) -> Basis:
        """A basis of these rows and one more, in the same memory; this one, and what grew from it, stay as they are."""
        return self.with_stored(row if self._is_plain else row * self._scale)

    def with_stored(self, row: Tensor) -> Basis:
        """The same for a row as it is stored, one of `stored`."""
        grown, place = copy.copy(self), self._rows % self._per_slab
        slab = self._slabs[-1] if place else self._new_slab()
        if slab.used > place:  # another basis went on from here
            slab, taken = self._new_slab(), slab
            slab.rows[:place] = taken.rows[:place]
        slab.rows[place].copy_(row)
        slab.used = place + 1
        grown._slabs = (*self._slabs[: self._rows // self._per_slab], slab)  # noqa: SLF001 - its own class
        grown._rows = self._rows + 1  # noqa: SLF001 - likewise
        return grown

    def first(self, rows: int) -> Basis:
        """A basis of the first so many rows, in the same memory."""
        cut = copy.copy(self)
        cut._rows = rows  # noqa: SLF001 - its own class
        cut._slabs = self._slabs[: -(-rows // self._per_slab)]  # noqa: SLF001 - likewise
        return cut

    def shared(self, other: Basis) -> int:
        """How many leading rows lie in the same memory."""
        pairs = zip(self._slabs, other._slabs, strict=False)
        slabs = len(list(itertools.takewhile(lambda pair: pair[0] is pair[1], pairs)))
        return min(len(self), len(other), slabs * self._per_slab)

    def stored(self, begin: int) -> Iterator[Tensor]:
        """The rows from `begin` on, as they are stored."""
        return (self._slabs[index // self._per_slab].rows[index % self._per_slab] for index in range(begin, self._rows))

    @property
    def storage(self) -> Storage:
        """How the rows are kept."""
        return self._storage

    @property
    def like(self) -> Tensor:
        """An empty tensor of the dtype and on the device that rows are computed with."""
        return self._like

    def _new_slab(self) -> _Slab:
        return _Slab(torch.empty((self._per_slab, self.size), dtype=self._storage.dtype, device=self._storage.device))

    def coefficients(self, vector: Tensor) -> Tensor:
        """V v, shape (m,), on the vector's device."""
        return torch.cat([self._inner(slab, vector) for slab in self._filled()] or [vector.new_zeros(0)])

    def combine(self, weights: Tensor) -> Tensor:
        """Vᵀ w, shape (size,)."""
        out = self._like.new_zeros(self.size)
        self._add(out, weights.to(self._like), 1.0)
        return out

    def project_out(self, vector: Tensor) -> Tensor:
        """v − VᵀV v in place, twice, which leaves nothing of V but rounding."""
        for _ in range(2):
            self._add(vector, self.coefficients(vector), -1.0)
        return vector

    @property
    def _is_plain(self) -> bool:
        return self._storage.dtype == self._like.dtype and self._storage.device == self._like.device

    def _filled(self) -> list[Tensor]:
        return [slab.rows[: self._rows - self._per_slab * index] for index, slab in enumerate(self._slabs)]

    def _inner(self, slab: Tensor, vector: Tensor) -> Tensor:
        if self._is_plain:
            return slab @ vector
        total = vector.new_zeros(len(slab))
        for chunk, part in self._chunks(slab):
            total.addmv_(part, vector[chunk])
        return total

    def _add(self, out: Tensor, weights: Tensor, factor: float) -> None:
        for slab, share in zip(self._filled(), torch.split(weights, self._per_slab), strict=True):
            if self._is_plain:
                out.addmv_(slab.T, share, alpha=factor)
            else:
                for chunk, part in self._chunks(slab):
                    out[chunk].addmv_(part.T, share, alpha=factor)

    def _chunks(self, slab: Tensor) -> Iterator[tuple[slice, Tensor]]:
        width = max(1, _CHUNK // len(slab))
        for first in range(0, self.size, width):
            chunk = slice(first, first + width)
            yield chunk, slab[:, chunk].to(self._like).div_(self._scale)
