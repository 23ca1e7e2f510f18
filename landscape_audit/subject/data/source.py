"""Where examples come from: rows of which any can be read, or a stream of batches that is read from its beginning."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    IterableDataset,
    SequentialSampler,
    Subset,
    TensorDataset,
    default_collate,
)

from landscape_audit.errors import DataError
from landscape_audit.subject.data.batch import Batch
from landscape_audit.subject.data.draw import Index
from landscape_audit.subject.data.intake import TARGETS, Intake, finite

BATCH_SIZE = 32
"""Of a data set that comes without a loader, unless [data] batch_size says otherwise."""
MAX_IDLE = 10_000  # empty batches in a row, after which none is expected to have examples
FILE_PASS = 1024  # a file is one batch of everything: the model takes this many of its examples at once


@dataclass(frozen=True)
class Rows:
    """Examples by number. `read` gives those of ascending numbers as batches; only they are read."""

    size: int
    labels: Index | None
    """The class of every example, where it can be known without reading them."""
    read: Callable[[Index], Iterator[Batch]]
    pass_size: int
    """How many examples the model takes at once, as far as is known."""
    fixed: bool = False
    """Whether reading them again cannot give anything else."""


@dataclass(frozen=True)
class Stream:
    """Batches one after the other; `read` begins anew."""

    read: Callable[[], Iterator[Batch]]
    sized: bool
    """Whether it says how long it is, and so ends."""
    rows: Rows | None = None
    """The same by number, where that is possible; its batches may be padded otherwise."""


def of_table(table: Batch, source: str) -> Rows:
    """A file's examples."""

    def read(index: Index) -> Iterator[Batch]:
        for part in _in_steps(index, FILE_PASS):
            whole = part[-1] - part[0] + 1 == len(part)  # neighbours need not be gathered
            rows = slice(int(part[0]), int(part[-1]) + 1) if whole else torch.from_numpy(part)
            yield finite(table.rows(rows), f"{source}, examples {part[0]:,} to {part[-1]:,}")

    return Rows(table.size, as_classes(table.targets), read, min(table.size, FILE_PASS), fixed=True)


def of_loader(make: Callable[[], object], first: object, source: str, intake: Intake, batch_size: int) -> Rows | Stream:
    """What a loader function returned the `first` time, or a loader itself: a data set, or an iterable of batches."""
    if _is_hugging_face(first, "DatasetDict", "IterableDatasetDict"):
        splits = ", ".join(f"'{name}'" for name in first)  # type: ignore[attr-defined] # they are dicts
        raise DataError(f"{source}: is a DatasetDict of {splits}.", remedy='Return one of them: dataset["validation"].')
    if _is_hugging_face(first, "Dataset"):
        return _of_hugging_face(first, source, intake, batch_size)
    if _is_hugging_face(first, "IterableDataset"):
        first = first.with_format("torch")  # type: ignore[attr-defined] # it has formats
        return Stream(_batches(lambda: _collated(first, source, batch_size), source, intake), sized=False)
    if isinstance(first, IterableDataset):
        return Stream(_batches(lambda: _collated(first, source, batch_size), source, intake), sized=False)
    if isinstance(first, Dataset):
        return _of_dataset(first, source, intake, batch_size)
    if not isinstance(first, Iterable):
        raise DataError(
            f"{source}: returned {type(first).__name__}, which cannot be iterated.",
            remedy="Return a DataLoader, a data set, or any iterable of (inputs, targets).",
        )
    return Stream(_batches(_again(first, make), source, intake), _is_sized(first), _behind(first, source, intake))


def _again(first: Iterable[object], make: Callable[[], object]) -> Callable[[], Iterable[object]]:
    """A generator is spent by one pass: for each other one, the function is called anew."""
    if not isinstance(first, Iterator):
        return lambda: first
    unspent: list[Any] = [first]
    return lambda: unspent.pop() if unspent else make()  # type: ignore[return-value] # as the first was


def _is_sized(loader: object) -> bool:
    try:
        return len(loader) >= 0  # type: ignore[arg-type] # that is the question
    except (TypeError, NotImplementedError):
        return False


def _batches(items: Callable[[], Iterable[object]], source: str, intake: Intake) -> Callable[[], Iterator[Batch]]:
    def read() -> Iterator[Batch]:
        idle = 0
        for index, item in enumerate(items()):
            where = f"{source}, batch {index}"
            batch = finite(intake.batch(item, where), where)
            yield batch
            idle = 0 if batch.size else idle + 1
            if idle > MAX_IDLE:
                raise DataError(
                    f"{source}: gave {idle:,} empty batches in a row.", remedy="Let it end, or give examples."
                )

    return read


# ----------------------------------------------------------------------------------------------------------- data sets


def _of_dataset(dataset: Dataset[Any], source: str, intake: Intake, batch_size: int) -> Rows:
    if not _is_sized(dataset):
        raise DataError(f"{source}: {type(dataset).__name__} has no length.", remedy="Give it a __len__.")

    def read(index: Index) -> Iterator[Batch]:
        return _batches(lambda: _collated(Subset(dataset, index.tolist()), source, batch_size), source, intake)()

    return Rows(len(dataset), _labels(dataset, intake), read, batch_size)  # type: ignore[arg-type] # it is sized


def _collated(dataset: Any, source: str, batch_size: int) -> Iterable[object]:
    def collate(examples: list[Any]) -> Any:
        try:
            return default_collate(examples)
        except (RuntimeError, TypeError) as error:
            said = str(error).splitlines()[0]
            raise DataError(
                f"{source}: its examples cannot be stacked: {said}.",
                remedy="Return a DataLoader with a collate_fn that pads them, or have the data set give tensors of "
                "one shape (a transform such as torchvision's ToTensor, for images).",
            ) from None

    return DataLoader(dataset, batch_size, collate_fn=collate)


def _behind(loader: object, source: str, intake: Intake) -> Rows | None:
    """The data set behind a plain loader that goes through it in order: then what is not drawn need not be read."""
    if type(loader) is not DataLoader or loader.batch_size is None or not _is_sized(loader.dataset):
        return None
    if type(loader.sampler) is not SequentialSampler or type(loader.batch_sampler) is not BatchSampler:
        return None
    size, steps = len(loader.dataset), loader.batch_size  # type: ignore[arg-type] # it is sized

    def read(index: Index) -> Iterator[Batch]:
        few = DataLoader(
            Subset(loader.dataset, index.tolist()),
            steps,
            num_workers=loader.num_workers,
            collate_fn=loader.collate_fn,
            timeout=loader.timeout,
            worker_init_fn=loader.worker_init_fn,
            multiprocessing_context=loader.multiprocessing_context,
        )
        return _batches(lambda: few, source, intake)()

    kept = len(loader) * steps if loader.drop_last else size
    labels = _labels(loader.dataset, intake)
    return Rows(kept, labels if labels is None else labels[:kept], read, steps)


def _labels(dataset: Any, intake: Intake) -> Index | None:
    """The classes of a data set that has them beside its examples, as torchvision's do."""
    if _is_hugging_face(dataset, "Dataset"):
        key = intake.target_among(dataset.column_names)
        is_integer = str(getattr(dataset.features.get(key), "dtype", "")).startswith(("int", "uint", "bool"))
        return as_classes(dataset.with_format("numpy")[key][:]) if is_integer else None
    if isinstance(dataset, Subset):
        inner = _labels(dataset.dataset, intake)
        return None if inner is None else inner[np.asarray(dataset.indices)]
    if isinstance(dataset, TensorDataset):
        return as_classes(dataset.tensors[-1])
    found = (getattr(dataset, name, None) for name in TARGETS)
    classes = next((each for each in map(as_classes, found) if each is not None), None)
    return classes if classes is not None and len(classes) == len(dataset) else None


def as_classes(targets: object) -> Index | None:
    """One integer an example, or nothing."""
    if not isinstance(targets, (Tensor, np.ndarray, list)):
        return None
    try:
        array = np.asarray(targets)
    except (TypeError, ValueError, RuntimeError):  # ragged, or bfloat16
        return None
    return array.astype(np.int64) if array.ndim == 1 and array.dtype.kind in "biu" else None


# -------------------------------------------------------------------------------------------------------- Hugging Face


def _is_hugging_face(value: object, *names: str) -> bool:
    """Whether it is one of the classes of `datasets`, which is never imported here: who has one has imported it."""
    library = sys.modules.get("datasets")  # or a file of the user's own that is called so, without these classes
    return any(isinstance(value, getattr(library, name, ())) for name in names)


def _of_hugging_face(dataset: Any, source: str, intake: Intake, batch_size: int) -> Rows:
    formatted = dataset.with_format("torch")

    def read(index: Index) -> Iterator[Batch]:
        for number, part in enumerate(_in_steps(index, batch_size)):
            where = f"{source}, batch {number}"
            yield finite(intake.batch(_stacked(formatted[part.tolist()], where), where), where)

    return Rows(len(dataset), _labels(dataset, intake), read, batch_size)


def _stacked(columns: Mapping[str, object], where: str) -> Mapping[str, object]:
    """The columns, if none has rows of different lengths: those `datasets` leaves as a list of tensors."""
    for name, column in columns.items():
        if isinstance(column, list) and column and isinstance(column[0], Tensor):
            raise DataError(
                f"{where}: the rows of '{name}' have different lengths.",
                remedy="Pad them: return a DataLoader with a collator (DataCollatorWithPadding), or tokenise with "
                'padding="max_length".',
            )
    return columns


def _in_steps(index: Index, size: int) -> Iterator[Index]:
    return (index[first : first + size] for first in range(0, len(index), size))
