"""Which examples are audited where not all are: the first, or a seeded draw that keeps every class in proportion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["all", "first", "random", "stratified"]
Index = NDArray[np.int64]


@dataclass(frozen=True)
class Draw:
    """How the sample was taken out of the data."""

    kind: Kind = "all"
    seed: int | None = None
    of: int | None = None
    """How many examples there are; None where the rest was not counted."""
    why: str = ""
    """Why it is not the random draw that `auto` stands for."""


def drawn(size: int, n: int, seed: int, labels: Index | None = None) -> Index:
    """Positions of `n` of `size` examples, ascending, without replacement; every class in proportion to its size.

    Example i has the key that PCG64, seeded with `seed`, gives as its i-th raw number, which numpy guarantees never to
    change. Of each class the examples of smallest keys are taken, so that within a class all are equally likely.
    Without labels, or with fewer examples to draw than there are classes, all are one class.
    """
    keys = np.random.PCG64(seed).random_raw(size)
    if labels is None or not is_stratified(labels, n):
        labels = np.zeros(size, dtype=np.int64)
    _, classes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    by_class = np.lexsort((keys, classes))
    rank = np.arange(size) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.sort(by_class[rank < np.repeat(shares(counts, n), counts)])


def with_replacement(size: int, seed: int) -> Index:
    """Positions of `size` draws of `size` examples, each equally likely every time, in the order of the draws.

    The keys are those of `drawn`; a remainder favours no position by more than size / 2^64.
    """
    return (np.random.PCG64(seed).random_raw(size) % size).astype(np.int64)


def is_stratified(labels: Index | None, n: int) -> bool:
    """Whether each class can have an example of its own."""
    return labels is not None and len(np.unique(labels)) <= n


def shares(counts: Index, n: int) -> Index:
    """How many of `n` each class gets: by largest remainder, the first of equal ones; at least one."""
    whole, remainder = np.divmod(n * counts, counts.sum())
    whole[np.argsort(-remainder, kind="stable")[: n - whole.sum()]] += 1
    for empty in np.flatnonzero(whole == 0):
        above = np.where(whole > 1, whole * counts.sum() - n * counts, np.iinfo(np.int64).min)
        whole[np.argmax(above)] -= 1
        whole[empty] = 1
    return whole
