"""Batches in which no target counts: their mean loss is nothing over nothing, and no standard error can use them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from landscape_audit.subject.data.batch import Batch, joined
from landscape_audit.subject.data.sample import Sample
from landscape_audit.text import count


def in_batches_that_count(sample: Sample, weights: Sequence[float]) -> tuple[Sample, str]:
    """The sample with every batch of weight zero joined to a neighbour, which adds nothing; and that in words.

    One that has the shape of neither is left out, which changes no sum.
    """
    if all(weights):
        return sample, ""
    groups: list[tuple[list[Batch], float]] = []
    for batch, weight in zip(sample.batches, weights, strict=True):
        last = groups[-1] if groups else None
        if last and last[0][0].shape == batch.shape and not (last[1] and weight):
            groups[-1] = ([*last[0], batch], last[1] + weight)
        else:
            groups.append(([batch], weight))
    kept = tuple(joined(members) for members, weight in groups if weight)
    told = f"{count(sum(not weight for weight in weights), 'batch', 'batches')} without a target that counts"
    lost = sample.size - sum(batch.size for batch in kept)
    left_out = f", or left out ({count(lost, 'example')}) where the shapes differ" if lost else ""
    return replace(sample, batches=kept, cuts=()), f"{told} joined to a neighbour{left_out}."
