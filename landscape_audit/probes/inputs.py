"""The audited sample as it is: what never changes in it, what comes twice, and what contradicts itself."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from landscape_audit.results import Cost

if TYPE_CHECKING:
    from landscape_audit.probes.bench import Bench
    from landscape_audit.probes.probe import Probe, Size
    from landscape_audit.subject.data.batch import Batch
    from landscape_audit.subject.data.nested import Nested

_DIGEST = 8
"""Bytes: among 10⁷ examples, two that differ have one digest with a probability of 3e-6 (N² / 2⁶⁵)."""


@dataclass(frozen=True)
class InputSample:
    """Counts over the inputs as the model gets them."""

    examples: int
    distinct: int
    """Inputs that differ from each other."""
    contradictory: int
    """Examples whose input is also there with another target."""
    blank: int
    """Examples that are one value throughout, where an example is more than one number."""
    numbers: int
    nonfinite: int
    features: int | None
    """Numbers in an example; None where examples differ in shape."""
    constant_features: int
    """Those of them that are the same in all examples."""


@dataclass(frozen=True)
class AuditedInputs:
    """One reading of the sample, without the model.

    Every process holds the whole sample and reads all of it, so that duplicates are found wherever they are. The
    memory is that of a batch and 16 bytes an example.
    """

    name: str = "audited_inputs"
    needs: tuple[Probe[object], ...] = ()

    def cost(self, size: Size) -> Cost:
        """Nothing: no pass of the model."""
        del size
        return Cost()

    def take(self, bench: Bench) -> InputSample:
        """All batches once."""
        batches = bench.subject.sample.batches
        distinct, contradictory = _repeats(batches)
        features, constant = _constant_features(batches)
        counted = [_numbers(batch.inputs) for batch in batches]
        return InputSample(
            examples=sum(batch.size for batch in batches),
            distinct=distinct,
            contradictory=contradictory,
            blank=sum(_blank(batch) for batch in batches),
            numbers=sum(numbers for numbers, _ in counted),
            nonfinite=sum(nonfinite for _, nonfinite in counted),
            features=features,
            constant_features=constant,
        )


def _repeats(batches: Sequence[Batch]) -> tuple[int, int]:
    """How many inputs are distinct, and how many examples have an input that has more than one target."""
    inputs = np.unique(_digests(batch.inputs for batch in batches), return_inverse=True)[1]
    targets = np.unique(_digests(batch.targets for batch in batches), return_inverse=True)[1]
    pairs = np.unique(np.stack([inputs, targets], axis=1), axis=0)
    targets_of = np.bincount(pairs[:, 0])
    return len(targets_of), int((targets_of[inputs] > 1).sum())


def _digests(sides: Iterable[Nested]) -> NDArray[np.uint64]:
    """One number an example, from its shapes and its bytes."""
    return np.frombuffer(b"".join(digest for side in sides for digest in _by_example(side)), np.uint64)


def _by_example(side: Nested) -> Iterable[bytes]:
    from landscape_audit.subject.data.nested import shape_of, tensors

    shape = repr(shape_of(side)).encode()
    for parts in zip(*(tensor.cpu().contiguous().numpy() for tensor in tensors(side)), strict=True):
        yield hashlib.blake2b(shape + b"".join(part.tobytes() for part in parts), digest_size=_DIGEST).digest()


def _numbers(inputs: Nested) -> tuple[int, int]:
    from landscape_audit.subject.data.nested import tensors

    parts = tensors(inputs)
    return sum(part.numel() for part in parts), sum(int((~part.isfinite()).sum()) for part in parts)


def _blank(batch: Batch) -> int:
    """Examples every tensor of which is one value throughout, where there is more than one number in it."""
    from landscape_audit.subject.data.nested import tensors

    flat = [part.reshape(batch.size, -1) for part in tensors(batch.inputs)]
    if all(part.shape[1] < 2 for part in flat):
        return 0
    alike = np.stack([(part == part[:, :1]).all(1).cpu().numpy() for part in flat])
    return int(alike.all(0).sum())


def _constant_features(batches: Sequence[Batch]) -> tuple[int | None, int]:
    """Numbers in an example, and how many of them never change.

    A whole tensor of integers that never changes, beside another that does, is a mask or a kind of token and no
    feature.
    """
    from landscape_audit.subject.data.nested import shape_of, tensors

    if any(shape_of(batch.inputs) != shape_of(batches[0].inputs) for batch in batches):
        return None, 0
    firsts = [part[0] for part in tensors(batches[0].inputs)]
    same = [first == first for first in firsts]  # noqa: PLR0124 - not a number differs from itself
    for batch in batches:
        for still, first, part in zip(same, firsts, tensors(batch.inputs), strict=True):
            still.logical_and_((part == first).all(0))
    varied = [still for first, still in zip(firsts, same, strict=True) if first.is_floating_point() or not still.all()]
    return sum(still.numel() for still in varied or same), sum(int(still.sum()) for still in varied or same)
