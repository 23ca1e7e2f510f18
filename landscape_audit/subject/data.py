"""The validation sample: drawn once, in order, kept on the device, and the same on a second pass."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from landscape_audit.errors import ConfigError, DataError
from landscape_audit.spec import DataSpec
from landscape_audit.subject.batch import Batch, fingerprint, joined
from landscape_audit.subject.code import UserCode
from landscape_audit.subject.intake import Intake
from landscape_audit.subject.nested import shape_of
from landscape_audit.text import count

MIN_BATCHES = 16  # a standard error over fewer batch means is itself off by a fifth: 1 / sqrt(2 (n - 1))
MAX_EXAMPLES = 10_000_000  # where `n_samples` does not say otherwise, a loader that goes on is taken to be endless
MAX_IDLE = 10_000  # empty batches in a row, after which none is expected to have examples
FILE_PASS = 1024  # a file is one batch of everything: the model takes this many of its examples at once
MAX_BYTES = 8 * 2**30  # likewise


@dataclass(frozen=True)
class Sample:
    """Everything the loss is measured on, in order.

    `fingerprint` is a SHA-256 over the tensors as the loader gave them: dtypes, shapes and bytes, whatever the batches.
    """

    batches: tuple[Batch, ...]
    fingerprint: str
    source: str
    pass_size: int = 1
    """The largest batch that the loader gave, which is what the model can take at once."""
    cuts: tuple[int, ...] = ()
    """How many of `batches` each batch that the loader gave was cut into; empty where the user chose the size."""
    left_out: tuple[str, ...] = ()
    """Keys of dicts that neither the model nor the loss takes."""

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
    def size(self) -> int:
        """N, the number of examples."""
        return sum(batch.size for batch in self.batches)

    def to(self, device: torch.device, dtype: torch.dtype) -> Sample:
        """The same sample there; only floating-point tensors change their dtype."""
        return replace(self, batches=tuple(batch.to(device, dtype) for batch in self.batches))


def read_sample(
    spec: DataSpec, code: UserCode, device: torch.device, dtype: torch.dtype, intake: Intake | None = None
) -> Sample:
    """The first `n_samples` examples of the loader or file that `spec` names, checked and batched anew."""
    if (spec.loader is None) == (spec.file is None):
        raise ConfigError(
            "[data] needs either a loader or a file.", remedy='loader = "data.py:validation", for example.'
        )
    intake = intake or Intake()
    batches, source = _from_file(spec, code.base, intake) if spec.file else _from_loader(spec, code, intake)
    if not any(batch.size for batch in batches):
        raise DataError(
            f"{source}: has no examples.", remedy="Let it give batches (inputs, targets); is a filter or a path wrong?"
        )
    cuts = () if spec.batch_size else _cuts(batches)
    cut = _in_steps(_joined(batches, source), spec.batch_size) if spec.batch_size else _cut(batches, cuts)
    regrouped = tuple(batch.to(device, dtype) for batch in cut)
    largest = max(batch.size for batch in batches)
    pass_size = spec.batch_size or (min(largest, FILE_PASS) if spec.file else largest)
    return Sample(regrouped, fingerprint(batches), source, pass_size, cuts, tuple(intake.left_out))


# ------------------------------------------------------------------------------------------------------------- loader


def _from_loader(spec: DataSpec, code: UserCode, intake: Intake) -> tuple[list[Batch], str]:
    assert spec.loader is not None  # noqa: S101 - read_sample has seen to it
    function = code.resolve(spec.loader, DataError)
    # One context around both passes: restoring the random state between them would let a shuffling loader draw the
    # same order twice and pass for a fixed one.
    with code.running(spec.loader, DataError):
        loader = function(**spec.kwargs)
        batches = list(_pass(loader, spec, intake))
        again = function(**spec.kwargs) if _is_spent_by_one_pass(loader) else loader
        second = fingerprint(_pass(again, spec, intake))
    if batches and fingerprint(batches) != second:
        raise DataError(
            f"{spec.loader}: the second pass gave other batches than the first. A loss that changes between passes has "
            "no curvature.",
            remedy="Set shuffle=False and drop random augmentation.",
        )
    return batches, spec.loader


def _is_spent_by_one_pass(loader: object) -> bool:
    return isinstance(loader, Iterator)


def _pass(loader: object, spec: DataSpec, intake: Intake) -> Iterator[Batch]:
    source = str(spec.loader)
    if not isinstance(loader, Iterable):
        raise DataError(
            f"{source}: returned {type(loader).__name__}, which cannot be iterated.",
            remedy="Return a DataLoader, or any iterable of (inputs, targets).",
        )
    left = spec.n_samples or math.inf
    examples = size = idle = 0
    for index, item in enumerate(loader):
        batch = intake.batch(item, f"{source}, batch {index}")
        batch = batch.first(int(min(left, batch.size)))
        if batch.size:
            yield batch
        idle = 0 if batch.size else idle + 1
        if idle > MAX_IDLE:
            raise DataError(f"{source}: gave {idle:,} empty batches in a row.", remedy="Let it end, or give examples.")
        left -= batch.size
        examples, size = examples + batch.size, size + batch.nbytes
        if left <= 0:
            return
        _check_ends(source, spec, examples, size)


def _check_ends(source: str, spec: DataSpec, examples: int, size: int) -> None:
    if spec.n_samples is None and (examples > MAX_EXAMPLES or size > MAX_BYTES):
        raise DataError(
            f"{source}: still went on after {count(examples, 'example')} ({size / 2**30:.1f} GiB).",
            remedy="Say how many to audit:  [data] n_samples = 10000",
        )


# --------------------------------------------------------------------------------------------------------------- file


def _from_file(spec: DataSpec, base: Path, intake: Intake) -> tuple[list[Batch], str]:
    assert spec.file is not None  # noqa: S101 - read_sample has seen to it
    path = base / spec.file
    source = path.name
    if not path.is_file():
        raise DataError(f"{path}: no such file.", remedy="The path starts at the folder of audit.toml.")
    arrays = _arrays(path)
    lacking = [side for side in ("inputs", "targets") if side not in arrays]
    if len(lacking) == 1 and not spec.inputs:
        has = ", ".join(f"'{name}'" for name in sorted(arrays)) or "nothing"
        raise DataError(f"{source}: has no '{lacking[0]}'; it has {has}.", remedy="Store `inputs` and `targets`.")
    named = lacking or spec.inputs or spec.targets
    batch = intake.batch(arrays if named else (arrays["inputs"], arrays["targets"]), source)
    return [batch.first(spec.n_samples or batch.size)], source


def _arrays(path: Path) -> dict[str, Any]:
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        if path.suffix == ".npz":
            with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                return {name: stored[name] for name in stored.files}
    except (SafetensorError, BadZipFile, OSError, EOFError, ValueError, RuntimeError, KeyError) as error:
        raise DataError(
            f"{path.name}: cannot be read as {path.suffix}: {error}.",
            remedy="Write it again, with np.savez or safetensors' save_file.",
        ) from None
    raise DataError(f"{path.name}: is neither .safetensors nor .npz.", remedy="Store `inputs` and `targets` in one.")


# ------------------------------------------------------------------------------------------------------------ batching


def _cuts(batches: list[Batch]) -> tuple[int, ...]:
    """How many pieces to make of each batch, so that there are about `MIN_BATCHES`."""
    if len(batches) >= MIN_BATCHES:
        return (1,) * len(batches)
    limit = max(1, sum(batch.size for batch in batches) // MIN_BATCHES)
    return tuple(math.ceil(batch.size / limit) for batch in batches)


def _cut(batches: list[Batch], cuts: tuple[int, ...]) -> Iterator[Batch]:
    return itertools.chain.from_iterable(batch.split(pieces) for batch, pieces in zip(batches, cuts, strict=True))


def _in_steps(whole: Batch, size: int) -> Iterator[Batch]:
    return (whole.rows(slice(first, first + size)) for first in range(0, whole.size, size))


def _joined(batches: list[Batch], source: str) -> Batch:
    if all(batch.shape == batches[0].shape for batch in batches):
        return joined(batches)
    shapes = sorted({", ".join(str(shape) for shape in shape_of(batch.inputs).values()) for batch in batches})
    raise DataError(
        f"{source}: its batches have examples of different shapes, {' and '.join(shapes[:3])}.",
        remedy="Remove [data] batch_size, or pad all examples to one shape.",
    )
