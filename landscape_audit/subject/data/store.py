"""Where the sample is kept: on the device, in host memory, or in a file that is read as it is used."""

from __future__ import annotations

import itertools
import math
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO, Literal

import numpy as np
import torch
from torch import Tensor

from landscape_audit.errors import DataError
from landscape_audit.machine import free_memory
from landscape_audit.subject.checkpoint.checkpoint import tensor_bytes
from landscape_audit.subject.data.batch import Batch

Place = Literal["device", "host", "file"]
SHARE = 0.25
"""Of the memory that is free: the sample may take so much of the device's and, where that is too little, the host's."""
_ALIGNED = 64  # bytes; so that kernels that look where numbers begin add them up alike, in memory and in a file
_HOST = torch.device("cpu")


class _Column:
    """One tensor of every batch, as bytes one behind the other: in memory, or in a file without a name.

    Memory is asked for at once and taken page by page as it is written. The file is gone with the process, whatever
    ends it.
    """

    def __init__(self, most: int) -> None:
        self._file: IO[bytes] | None = None
        self.end = 0
        try:
            room = np.empty(most + _ALIGNED, dtype=np.uint8)
            self._memory = room[-room.ctypes.data % _ALIGNED :][:most]
        except MemoryError:  # where the system promises no more than there is
            self._memory = np.empty(0, dtype=np.uint8)

    @property
    def is_file(self) -> bool:
        """Whether memory was too little."""
        return self._file is not None

    def align(self) -> int:
        """Where numbers of another type can begin."""
        self.write(bytes(-self.end % _ALIGNED))
        return self.end

    def write(self, data: bytes | memoryview) -> None:
        """Put them behind what is there."""
        if self.end + len(data) > len(self._memory):
            self.spill()
        if self._file is not None:
            self._file.write(data)
        else:
            self._memory[self.end : self.end + len(data)] = np.frombuffer(data, dtype=np.uint8)
        self.end += len(data)

    def spill(self) -> None:
        """From memory into a file."""
        if self._file is None:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - `close` sees to it
            self._file.write(self._memory[: self.end].data)
            self._memory = self._memory[:0].copy()

    def mapped(self) -> Tensor:
        """All bytes; those of a file are read when they are used."""
        if not self.end:
            return torch.empty(0, dtype=torch.uint8)
        if self._file is None:
            return torch.from_numpy(self._memory[: self.end])
        self._file.flush()
        return torch.from_numpy(np.memmap(self._file, dtype=np.uint8, mode="r+"))

    def close(self) -> None:
        """No more is written; what was mapped stays."""
        if self._file is not None:
            self._file.close()


@dataclass
class _Run:
    """Batches whose examples have one shape: joining them copies nothing."""

    shape: Batch
    """A batch of no examples."""
    starts: tuple[int, ...]
    """Where they begin in each column."""
    sizes: list[int] = field(default_factory=list)

    def takes(self, batch: Batch) -> bool:
        """Whether that batch can lie behind the others."""
        return _kind(self.shape) == _kind(batch)

    def batches(self, columns: Sequence[Tensor], device: torch.device) -> Iterator[Batch]:
        """The batches, as rows of the whole."""
        n, at = sum(self.sizes), iter(zip(columns, self.starts, strict=False))

        def block(tensor: Tensor) -> Tensor:
            column, start = next(at)
            nbytes = n * math.prod(tensor.shape[1:]) * tensor.itemsize
            return column[start : start + nbytes].view(tensor.dtype).view(n, *tensor.shape[1:]).to(device)

        whole = self.shape.each(block)
        ends = itertools.accumulate(self.sizes, initial=0)
        return (whole.rows(slice(*bounds)) for bounds in itertools.pairwise(ends))


class Store:
    """Takes batches one by one, in the audit's dtype, and gives them back as views of what is kept."""

    def __init__(self, source: str, device: torch.device, dtype: torch.dtype) -> None:
        self._source, self._device, self._dtype = source, device, dtype
        self._most = int(SHARE * free_memory(_HOST))
        self._runs: list[_Run] = []
        self._columns: list[_Column] = []
        self._nbytes = 0

    def add(self, batch: Batch) -> None:
        """Keep a copy."""
        batch = batch.to(_HOST, self._dtype)
        self._nbytes += batch.nbytes
        try:
            if not self._runs or not self._runs[-1].takes(batch):
                self._runs.append(self._begun(batch))
            self._runs[-1].sizes.append(batch.size)
            for column, (_, tensor) in zip(self._columns, batch.named(), strict=False):
                column.write(tensor_bytes(tensor))
            if self._nbytes > self._most:
                for column in self._columns:
                    column.spill()
        except OSError as error:
            folder, size = tempfile.gettempdir(), self._nbytes / 2**30
            raise DataError(
                f"{self._source}: the sample does not fit into memory, and {size:.1f} GiB of it cannot be written to "
                f"{folder}: {error.strerror}.",
                remedy="Audit fewer examples ([data] n_samples), or name a folder with more room in TMPDIR.",
            ) from None

    def kept(self) -> tuple[tuple[Batch, ...], Place]:
        """All batches and where they are."""
        in_files = any(column.is_file for column in self._columns)
        fits = self._device == _HOST or self._nbytes <= SHARE * free_memory(self._device)
        device = self._device if fits and not in_files else _HOST
        columns = [column.mapped() for column in self._columns]
        found = tuple(itertools.chain.from_iterable(run.batches(columns, device) for run in self._runs))
        return found, "file" if in_files else "device" if fits else "host"

    def close(self) -> None:
        """No more is added. What was kept stays, also what is in files: a mapping holds on to its own."""
        for column in self._columns:
            column.close()

    def _begun(self, batch: Batch) -> _Run:
        """A new run behind the others."""
        while len(self._columns) < len(list(batch.named())):
            self._columns.append(_Column(self._most))
        return _Run(batch.first(0).copied(), tuple(column.align() for column in self._columns))


def _kind(batch: Batch) -> list[tuple[object, ...]]:
    return [(path, tensor.dtype, tensor.shape[1:]) for path, tensor in batch.named()]
