"""Intervals from samples: Student's t, ratio estimates over ragged batches, the jackknife, and a sign-flip test."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from landscape_audit.quantiles import normal_quantile, t_quantile
from landscape_audit.skewness import asymmetry, reach

Floats = NDArray[np.float64]


MOST_PIECES = 64
"""Pieces that the results keep of one mean: a standard error over them is itself known to 9 %."""


@dataclass(frozen=True)
class Mean:
    """A mean with its standard error and the number of independent pieces behind it.

    `pieces` are pseudo-values: their plain mean is `value` and their plain standard error `error`, whatever weights
    there were. Two means over the same pieces differ piece by piece. Empty where nothing is known piece by piece.
    """

    value: float
    error: float
    n: int
    pieces: tuple[float, ...] = ()

    @property
    def folded(self) -> tuple[float, ...]:
        """The pieces, gathered at random in `MOST_PIECES` groups where there are more, with the same mean and error.

        At random, as neighbours may be alike; the same groups whatever the values, so that they still pair.
        """
        if len(self.pieces) <= MOST_PIECES:
            return self.pieces
        order = np.random.default_rng(MOST_PIECES).permutation(len(self.pieces))
        groups = np.array_split(np.asarray(self.pieces)[order], MOST_PIECES)
        found = weighted_mean([group.mean() for group in groups], [len(group) for group in groups])
        stretch = self.error / found.error if found.error else 1.0
        return tuple(self.value + stretch * (piece - found.value) for piece in found.pieces)

    def half_width(self, level: float) -> float:
        """Half of the two-sided Student interval; infinite from a single piece."""
        return t_quantile(level, self.n - 1) * self.error if self.n > 1 else math.inf

    def reach(self, level: float) -> tuple[float, float]:
        """How far the interval goes below and above; further than Student's where the pieces have a long tail."""
        if len(self.pieces) < 2:
            return self.half_width(level), self.half_width(level)
        below, above = reach(t_quantile(level, self.n - 1), asymmetry(self.pieces))
        return below * self.error, above * self.error


def weighted_mean(values: Sequence[float], weights: Sequence[float]) -> Mean:
    """Σ w x / Σ w over independent pieces of unequal weight, with the standard error of a ratio estimate.

    Source: Cochran 1977, Sampling Techniques (ratio estimates).
    """
    x, w = np.asarray(values, float), np.asarray(weights, float)
    share = w / w.sum()
    mean = math.fsum(share * x)
    pieces = len(x)
    if pieces < 2:
        return Mean(mean, math.inf, pieces)
    moved = share * (x - mean)
    error = math.sqrt(pieces / (pieces - 1) * math.fsum(moved**2))
    return Mean(mean, error, pieces, tuple((mean + pieces * moved).tolist()))


def ratio(above: Sequence[float], below: Sequence[float], weights: Sequence[float]) -> Mean:
    """Σ w a / Σ w b over independent pieces, with the standard error of the ratio; infinite where Σ w b is zero.

    Source: Cochran 1977, Sampling Techniques (ratio estimates).
    """
    bottom = weighted_mean(below, weights).value
    if bottom == 0.0:
        return Mean(math.nan, math.inf, len(below))
    found = weighted_mean(above, weights).value / bottom
    left = weighted_mean([a - found * b for a, b in zip(above, below, strict=True)], weights)
    pieces = tuple(found + piece / bottom for piece in left.pieces)
    return Mean(found, left.error / abs(bottom), left.n, pieces)


def wilson(share: float, n: float, level: float) -> tuple[float, float]:
    """The interval of a proportion `share` of n: never empty, also where the share is 0 or 1. Source: Wilson 1927."""
    z = normal_quantile(level)
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return min(share, centre - half), max(share, centre + half)


def jackknife(statistic: Callable[[Floats], float], pieces: int) -> Mean:
    """A statistic of kept pieces (a 0/1 mask of shape (pieces,)) with its delete-one standard error.

    Source: Efron & Stein 1981.
    """
    whole = np.ones(pieces)
    value = statistic(whole)
    if pieces < 3:
        return Mean(value, math.inf, pieces)
    left_out = np.array([statistic(whole - np.eye(pieces)[index]) for index in range(pieces)])
    moved = left_out.mean() - left_out
    error = math.sqrt((pieces - 1) / pieces * math.fsum(moved**2))
    return Mean(value, error, pieces, tuple((value + (pieces - 1) * moved).tolist()))


FLIPS = 1999
"""Random signs drawn for a sign-flip test."""


def sign_flip_p(gram: Floats, seed: int, flips: int = FLIPS) -> float:
    """How often random signs make |Σ s_b g_b|² as large as |Σ g_b|², for vectors known by their Gram matrix.

    The p-value of the hypothesis that the vectors are symmetric around zero, exact whatever their distribution;
    (1 + hits) / (1 + flips), so never zero. Source: Phipson & Smyth 2010.
    """
    signs = np.random.default_rng(seed).choice((-1.0, 1.0), size=(flips, len(gram)))
    flipped = np.einsum("fi,ij,fj->f", signs, gram, signs)
    return float((1 + np.count_nonzero(flipped >= gram.sum() * (1 - 1e-12))) / (1 + flips))
