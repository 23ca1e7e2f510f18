"""Another sample of the same size, drawn from the audited one: the bootstrap."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

import torch

from landscape_audit.subject.data.batch import Batch, Fingerprint, joined
from landscape_audit.subject.data.draw import with_replacement
from landscape_audit.subject.data.sample import Sample
from landscape_audit.subject.data.store import Store

Unit = Literal["examples", "batches"]


def unit_of(sample: Sample) -> Unit:
    """What is drawn anew: examples, or whole batches where examples have several shapes and cannot change places."""
    return "examples" if all(batch.shape == sample.batches[0].shape for batch in sample.batches) else "batches"


def bootstrapped(sample: Sample, seed: int, device: torch.device, dtype: torch.dtype) -> Sample:
    """n draws with replacement of the n examples of `sample`, or B of its B batches, in batches as large as they were.

    In the order of the draws: repeats that lay side by side in one batch would make the means of batches differ more,
    and every standard error that rests on them wider. Its fingerprint is of the tensors in the audit's dtype.

    Source: Efron & Tibshirani 1993, An Introduction to the Bootstrap, chapter 6.
    """
    found = Fingerprint()
    with contextlib.closing(Store(sample.source, device, dtype)) as store:
        for batch in _examples(sample, seed) if unit_of(sample) == "examples" else _batches(sample, seed):
            found.add(batch)
            store.add(batch)
        batches, place = store.kept()
    cuts = sample.cuts if unit_of(sample) == "examples" else ()  # batches that were drawn are pieces of no one batch
    return replace(sample, batches=batches, fingerprint=found.digest(), cuts=cuts, place=place)


def _examples(sample: Sample, seed: int) -> Iterator[Batch]:
    whole, index = joined(sample.batches), torch.from_numpy(with_replacement(sample.size, seed))
    ends = itertools.accumulate((batch.size for batch in sample.batches), initial=0)
    return (whole.rows(index[slice(*bounds)]) for bounds in itertools.pairwise(ends))


def _batches(sample: Sample, seed: int) -> Iterator[Batch]:
    return (sample.batches[number] for number in with_replacement(len(sample.batches), seed))
