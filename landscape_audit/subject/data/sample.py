"""The validation sample: drawn once, in order, kept where there is room, and the same on a second pass."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from landscape_audit.errors import ConfigError, DataError
from landscape_audit.spec import DataSpec
from landscape_audit.subject.code.user_code import UserCode
from landscape_audit.subject.data.batch import Batch, Fingerprint, joined
from landscape_audit.subject.data.draw import Draw, Index, drawn, is_stratified
from landscape_audit.subject.data.intake import Intake
from landscape_audit.subject.data.nested import shape_of
from landscape_audit.subject.data.source import BATCH_SIZE, Rows, Stream, as_classes, of_loader, of_table
from landscape_audit.subject.data.store import Place, Store
from landscape_audit.subject.data.table import read_table
from landscape_audit.text import count

MIN_BATCHES = 16  # a standard error over fewer batch means is itself off by a fifth: 1 / sqrt(2 (n - 1))
MAX_EXAMPLES = 10_000_000  # where `n_samples` does not say otherwise, a loader that goes on is taken to be endless
MAX_BYTES = 8 * 2**30  # likewise


@dataclass(frozen=True)
class Sample:
    """Everything the loss is measured on, in order.

    `fingerprint` is a SHA-256 over the tensors as the loader gave them: dtypes, shapes and bytes, whatever the batches.
    """

    batches: tuple[Batch, ...]
    """In the audit's dtype, wherever `place` says: `Subject.placed` moves one that is used."""
    fingerprint: str
    source: str
    pass_size: int = 1
    """The largest batch that the loader gave, which is what the model can take at once."""
    cuts: tuple[int, ...] = ()
    """How many of `batches` each batch that the loader gave was cut into; empty where the user chose the size."""
    left_out: tuple[str, ...] = ()
    """Keys of dicts that neither the model nor the loss takes."""
    draw: Draw = field(default_factory=Draw)
    place: Place = "device"

    @property
    def is_cut(self) -> bool:
        """Whether there are more batches here than the loader gave."""
        return any(cuts > 1 for cuts in self.cuts)

    def as_given(self) -> Sample:
        """The same examples in the loader's own batches."""
        ends = list(itertools.accumulate(self.cuts))
        parts = (self.batches[end - cuts : end] for end, cuts in zip(ends, self.cuts, strict=True))
        return replace(self, batches=tuple(map(joined, parts)), cuts=(1,) * len(self.cuts))

    @property
    def sizes(self) -> str:
        """The sizes of the batches in order, in words: `3 × 128, 1 × 66`."""
        runs = ((size, len(list(run))) for size, run in itertools.groupby(batch.size for batch in self.batches))
        return ", ".join(f"{length} × {size}" for size, length in runs)

    @property
    def size(self) -> int:
        """N, the number of examples."""
        return sum(batch.size for batch in self.batches)


def read_sample(
    spec: DataSpec, code: UserCode, device: torch.device, dtype: torch.dtype, intake: Intake | None = None
) -> Sample:
    """The examples that `spec` asks for of the loader or file that it names, checked and batched anew.

    Read batch by batch: of what is not drawn, nothing is kept.
    """
    if (spec.loader is None) == (spec.file is None):
        raise ConfigError(
            "[data] needs either a loader or a file.", remedy='loader = "data.py:validation", for example.'
        )
    intake = intake or Intake(spec.inputs, spec.targets)
    name = str(spec.loader) if spec.file is None else spec.file.name
    with contextlib.closing(Store(name, device, dtype)) as store:
        reading = _Reading(spec, name, store)
        if spec.file is not None:
            reading.rows(of_table(read_table(code.base / spec.file, intake), name))
        else:
            reading.loader(code, intake)
        return reading.sample(tuple(intake.left_out))


class _Reading:
    """One sample as it is read: what is kept, what it was drawn from, and the largest batch that was seen."""

    def __init__(self, spec: DataSpec, source: str, store: Store) -> None:
        self.spec, self.source, self.store = spec, source, store
        self.draw = Draw("all")
        self.pass_size = 0
        self.found = Fingerprint()

    def loader(self, code: UserCode, intake: Intake) -> None:
        """Both passes over what the loader function gives, or over the loader that is named itself."""
        loader = code.find(self.source, DataError)

        def make() -> object:
            return loader(**self.spec.kwargs) if callable(loader) else loader

        if self.spec.kwargs and not callable(loader):
            raise DataError(
                f"{self.source}: is a {type(loader).__name__}, no function that could be given [data] kwargs.",
                remedy="Remove them, or name a function.",
            )
        if isinstance(loader, Iterator):
            raise DataError(
                f"{self.source}: is a {type(loader).__name__}, which one pass spends.",
                remedy="Name the function that makes it.",
            )
        # One context around both passes: restoring the random state between them would let a shuffling loader draw the
        # same order twice and pass for a fixed one.
        with code.running(self.source, DataError):
            size = self.spec.batch_size or BATCH_SIZE
            source = of_loader(make, make(), self.source, intake, size)
            if isinstance(source, Rows):
                self.rows(source)
            else:
                self.stream(source)

    def rows(self, rows: Rows) -> None:
        """Those that are drawn, and no others."""
        index = self._drawn(rows.size, rows.labels)
        self.pass_size = rows.pass_size
        self._keep(rows.read(index))
        if not rows.fixed:
            self._check_again(self.found, rows.read(index))

    def stream(self, stream: Stream) -> None:
        """All of it, its beginning, or what is drawn of it."""
        n, how = self.spec.n_samples, self.spec.draw
        if n is None or how == "first" or (how == "auto" and not stream.sized):
            why = "" if how != "auto" else "the loader does not say how long it is"
            self.draw = Draw("first", why=why)
            self._keep(self._first(stream))
            self._check_again(self.found, self._first(stream))
        elif stream.rows is not None and stream.rows.size > n:
            self.rows(stream.rows)
        else:
            self._pick(stream)

    def sample(self, left_out: tuple[str, ...]) -> Sample:
        """What was read, in batches to measure with."""
        batches, place = self.store.kept()
        if not batches:
            raise DataError(
                f"{self.source}: has no examples.",
                remedy="Let it give batches (inputs, targets); is a filter or a path wrong?",
            )
        size = self.spec.batch_size
        if self.draw.kind in {"random", "stratified"}:  # what is left of the loader's batches has any size
            batches = tuple(_regrouped(batches, self.pass_size))
        cuts = () if size else _cuts(batches)
        cut = _in_steps(_joined(batches, self.source), size) if size else _cut(batches, cuts)
        return Sample(
            batches=tuple(cut),
            fingerprint=self.found.digest(),
            source=self.source,
            pass_size=size or self.pass_size,
            cuts=cuts,
            left_out=left_out,
            draw=self._whole(sum(batch.size for batch in batches)),
            place=place,
        )

    def _whole(self, size: int) -> Draw:
        """The draw; the first of a stream are all where it ended before."""
        n = self.spec.n_samples
        return Draw("all", of=size) if self.draw.kind == "first" and size < (n or math.inf) else self.draw

    def _drawn(self, size: int, labels: Index | None) -> Index:
        """The numbers of the examples to audit, of so many."""
        n, seed = self.spec.n_samples, self.spec.seed
        if n is None or n >= size:
            self.draw = Draw("all", of=size)
            return np.arange(size)
        if self.spec.draw == "first":
            self.draw = Draw("first", of=size)
            return np.arange(n)
        self.draw = Draw("stratified" if is_stratified(labels, n) else "random", seed, size)
        return drawn(size, n, seed, labels)

    def _keep(self, batches: Iterable[Batch]) -> None:
        for batch in batches:
            if batch.size:
                self.pass_size = max(self.pass_size, batch.size)
                self.found.add(batch)
                self.store.add(batch)

    def _first(self, stream: Stream) -> Iterator[Batch]:
        """The first `n_samples` examples, or all; an error where it does not end."""
        left = self.spec.n_samples or math.inf
        for batch in self._ending(stream) if self.spec.n_samples is None else stream.read():
            if batch.size:
                yield batch.first(int(min(left, batch.size)))
            left -= batch.size
            if left <= 0:
                return

    def _pick(self, stream: Stream) -> None:
        """Drawn of a stream in two passes: one for how many there are and of which classes, one for the examples."""
        whole = Fingerprint()
        sizes: list[int] = []
        classes: list[Index | None] = []
        for batch in self._ending(stream):
            whole.add(batch)
            sizes.append(batch.size)
            classes.append(as_classes(batch.targets))
        labels = None if any(found is None for found in classes) else np.concatenate([*classes, np.empty(0, np.int64)])
        index = self._drawn(sum(sizes), labels)
        self.pass_size = max(sizes, default=0)
        self._check_again(whole, self._picking(self._ending(stream), index))

    def _picking(self, batches: Iterator[Batch], index: Index) -> Iterator[Batch]:
        """The batches as they come, of each of which the drawn examples are kept."""
        begin = 0
        for batch in batches:
            here = index[np.searchsorted(index, begin) : np.searchsorted(index, begin + batch.size)] - begin
            self._keep([batch.rows(torch.from_numpy(here))] if len(here) else [])
            begin += batch.size
            yield batch

    def _ending(self, stream: Stream) -> Iterator[Batch]:
        """All batches of a stream that ends."""
        examples = size = 0
        for batch in stream.read():
            yield batch
            examples, size = examples + batch.size, size + batch.nbytes
            if not stream.sized and (examples > MAX_EXAMPLES or size > MAX_BYTES):
                raise DataError(
                    f"{self.source}: still went on after {count(examples, 'example')} ({size / 2**30:.1f} GiB).",
                    remedy='Say how many of the first to audit:  [data] n_samples = 10000, draw = "first"',
                )

    def _check_again(self, first: Fingerprint, again: Iterable[Batch]) -> None:
        """That a second pass gives the same."""
        second = Fingerprint()
        for batch in again:
            second.add(batch)
        if first.digest() != second.digest():
            raise DataError(
                f"{self.source}: the second pass gave other batches than the first. A loss that changes between passes "
                "has no curvature.",
                remedy="Set shuffle=False and drop random augmentation.",
            )


# ------------------------------------------------------------------------------------------------------------ batching


def _cuts(batches: Sequence[Batch]) -> tuple[int, ...]:
    """How many pieces to make of each batch, so that there are about `MIN_BATCHES`."""
    if len(batches) >= MIN_BATCHES:
        return (1,) * len(batches)
    limit = max(1, sum(batch.size for batch in batches) // MIN_BATCHES)
    return tuple(math.ceil(batch.size / limit) for batch in batches)


def _cut(batches: Sequence[Batch], cuts: Sequence[int]) -> Iterator[Batch]:
    return itertools.chain.from_iterable(batch.split(pieces) for batch, pieces in zip(batches, cuts, strict=True))


def _regrouped(batches: Sequence[Batch], size: int) -> Iterator[Batch]:
    """Neighbours of one shape in batches of that size."""
    for _, alike in itertools.groupby(batches, key=lambda batch: batch.shape):
        yield from _in_steps(joined(list(alike)), size)


def _in_steps(whole: Batch, size: int) -> Iterator[Batch]:
    return (whole.rows(slice(first, first + size)) for first in range(0, whole.size, size))


def _joined(batches: Sequence[Batch], source: str) -> Batch:
    if all(batch.shape == batches[0].shape for batch in batches):
        return joined(batches)
    shapes = sorted({", ".join(str(shape) for shape in shape_of(batch.inputs).values()) for batch in batches})
    raise DataError(
        f"{source}: its batches have examples of different shapes, {' and '.join(shapes[:3])}.",
        remedy="Pad all examples to one shape. What is audited may also keep the loader's batches: no batch_size.",
    )
