"""Where the sample is kept: on the device, in host memory, or in a file that is read as it is used."""

from __future__ import annotations

import itertools
import math
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO, Literal

import numpy as np
import torch
from torch import Tensor

from landscape_audit.errors import DataError
from landscape_audit.machine import free_memory
from landscape_audit.subject.batch import Batch
from landscape_audit.subject.checkpoint import tensor_bytes

Place = Literal["device", "host", "file"]
SHARE = 0.25
"""Of the memory that is free: the sample may take so much of the device's and, where that is too little, the host's."""
_ALIGNED = 64  # bytes; torch wants numbers at multiples of their size
_HOST = torch.device("cpu")


@dataclass
class _Run:
    """Batches whose examples have one shape: they lie one behind the other, so that joining them copies nothing."""

    shape: Batch
    """A batch of no examples."""
    sizes: list[int] = field(default_factory=list)
    pieces: deque[Batch] = field(default_factory=deque)
    """The batches, while they are in memory."""
    starts: tuple[int, ...] = ()
    """Where they begin in each of the files."""

    def takes(self, batch: Batch) -> bool:
        """Whether that batch can lie behind the others."""
        return _kind(self.shape) == _kind(batch)

    def views(self, block: Batch) -> Iterator[Batch]:
        """The batches as rows of the whole."""
        ends = itertools.accumulate(self.sizes, initial=0)
        return (block.rows(slice(*bounds)) for bounds in itertools.pairwise(ends))


class Store:
    """Takes batches one by one, in the audit's dtype, and gives them back as views of what is kept.

    While they arrive they are in host memory; as soon as that is too little, in temporary files that have no name and
    are gone with the process, whatever ends it: one for each tensor of a batch.
    """

    def __init__(self, source: str, device: torch.device, dtype: torch.dtype) -> None:
        self._source, self._device, self._dtype = source, device, dtype
        self._most = SHARE * free_memory(_HOST)
        self._runs: list[_Run] = []
        self._files: list[IO[bytes]] = []
        self._nbytes = 0

    def add(self, batch: Batch) -> None:
        """Keep a copy."""
        batch = batch.to(_HOST, self._dtype)
        if not self._runs or not self._runs[-1].takes(batch):
            self._runs.append(_Run(batch.first(0).copied()))
            self._begin(self._runs[-1])
        run = self._runs[-1]
        run.sizes.append(batch.size)
        self._nbytes += batch.nbytes
        if self._files:
            self._write(batch)
            return
        run.pieces.append(batch.copied())
        if self._nbytes > self._most:
            self._spill()

    def kept(self) -> tuple[tuple[Batch, ...], Place]:
        """All batches and where they are."""
        if self._files:
            maps = [_mapped(file) for file in self._files]
            return self._batches(lambda run: _inside(run, maps)), "file"
        fits = self._device == _HOST or self._nbytes <= SHARE * free_memory(self._device)
        device = self._device if fits else _HOST
        return self._batches(lambda run: _moved(run, device)), "device" if fits else "host"

    def close(self) -> None:
        """No more is added. What was kept stays, also what is in files: a mapping holds on to its own."""
        for file in self._files:
            file.close()

    def _batches(self, block: Callable[[_Run], Batch]) -> tuple[Batch, ...]:
        return tuple(itertools.chain.from_iterable(run.views(block(run)) for run in self._runs))

    def _spill(self) -> None:
        """Write down what was in memory, and from now on what comes."""
        most = max(len(list(run.shape.named())) for run in self._runs)
        self._files = [tempfile.TemporaryFile() for _ in range(most)]  # noqa: SIM115 - mapped, and closed with the maps
        for run in self._runs:
            self._begin(run)
            while run.pieces:
                self._write(run.pieces.popleft())

    def _begin(self, run: _Run) -> None:
        """Where a run begins in the files, once there are any."""
        if not self._files:
            return
        while len(self._files) < len(list(run.shape.named())):
            self._files.append(tempfile.TemporaryFile())  # noqa: SIM115 - likewise
        run.starts = tuple(_ALIGNED * math.ceil(file.seek(0, 2) / _ALIGNED) for file in self._files)
        for file, start in zip(self._files, run.starts, strict=True):
            file.seek(start)

    def _write(self, batch: Batch) -> None:
        try:
            for file, (_, tensor) in zip(self._files, batch.named(), strict=False):
                file.write(tensor_bytes(tensor))
        except OSError as error:
            folder, size = tempfile.gettempdir(), self._nbytes / 2**30
            raise DataError(
                f"{self._source}: the sample does not fit into memory, and {size:.1f} GiB of it cannot be written to "
                f"{folder}: {error.strerror}.",
                remedy="Audit fewer examples ([data] n_samples), or name a folder with more room in TMPDIR.",
            ) from None


def _kind(batch: Batch) -> list[tuple[object, ...]]:
    return [(path, tensor.dtype, tensor.shape[1:]) for path, tensor in batch.named()]


def _moved(run: _Run, device: torch.device) -> Batch:
    """The batches one behind the other on the device, each given free as soon as it is copied."""
    n = sum(run.sizes)
    block = run.shape.each(lambda tensor: tensor.new_empty((n, *tensor.shape[1:]), device=device))
    for place in run.views(block):
        piece = run.pieces.popleft()
        for (_, there), (_, here) in zip(place.named(), piece.named(), strict=True):
            there.copy_(here)
    return block


def _inside(run: _Run, maps: Sequence[Tensor]) -> Batch:
    """The batches as they lie in the files."""
    n = sum(run.sizes)
    at = iter(zip(maps, run.starts, strict=False))

    def placed(tensor: Tensor) -> Tensor:
        file, start = next(at)
        nbytes = n * tensor[:1].new_empty(tensor.shape[1:]).nbytes
        return file[start : start + nbytes].view(tensor.dtype).view(n, *tensor.shape[1:])

    return run.shape.each(placed)


def _mapped(file: IO[bytes]) -> Tensor:
    """The file as bytes in memory, each page read when it is used."""
    file.flush()
    if not file.seek(0, 2):
        return torch.empty(0, dtype=torch.uint8)
    return torch.from_numpy(np.memmap(file, dtype=np.uint8, mode="r+"))
