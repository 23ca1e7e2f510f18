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
    from torch import Tensor

    from landscape_audit.probes.bench import Bench
    from landscape_audit.probes.probe import Probe, Size
    from landscape_audit.subject.data import Batch

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
        return InputSample(
            examples=sum(batch.size for batch in batches),
            distinct=distinct,
            contradictory=contradictory,
            blank=sum(_blank(batch.inputs) for batch in batches),
            numbers=sum(batch.inputs.numel() for batch in batches),
            nonfinite=sum(int((~batch.inputs.isfinite()).sum()) for batch in batches),
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


def _digests(tensors: Iterable[Tensor]) -> NDArray[np.uint64]:
    """One number an example, from its shape and its bytes."""
    return np.frombuffer(b"".join(digest for tensor in tensors for digest in _by_example(tensor)), np.uint64)


def _by_example(tensor: Tensor) -> Iterable[bytes]:
    shape = repr(tuple(tensor.shape[1:])).encode()
    for example in tensor.cpu().contiguous().numpy():
        yield hashlib.blake2b(shape + example.tobytes(), digest_size=_DIGEST).digest()


def _blank(inputs: Tensor) -> int:
    flat = inputs.flatten(1) if inputs.ndim > 1 else inputs[:, None]
    return int((flat == flat[:, :1]).all(1).sum()) if flat.shape[1] > 1 else 0


def _constant_features(batches: Sequence[Batch]) -> tuple[int | None, int]:
    first = batches[0].inputs[0]
    if any(batch.inputs.shape[1:] != first.shape for batch in batches):
        return None, 0
    same = first == first  # noqa: PLR0124 - not a number differs from itself
    for batch in batches:
        same &= (batch.inputs == first).all(0)
    return first.numel(), int(same.sum())
