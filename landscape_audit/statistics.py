"""Intervals from samples: Student's t, ratio estimates over ragged batches, the jackknife, and a sign-flip test."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Mean:
    """A mean with its standard error and the number of independent pieces behind it."""

    value: float
    error: float
    n: int

    def half_width(self, level: float) -> float:
        """Half of the two-sided Student interval; infinite from a single piece."""
        return t_quantile(level, self.n - 1) * self.error if self.n > 1 else math.inf


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
    return Mean(mean, math.sqrt(pieces / (pieces - 1) * math.fsum((share * (x - mean)) ** 2)), pieces)


def ratio(above: Sequence[float], below: Sequence[float], weights: Sequence[float]) -> Mean:
    """Σ w a / Σ w b over independent pieces, with the standard error of the ratio; infinite where Σ w b is zero.

    Source: Cochran 1977, Sampling Techniques (ratio estimates).
    """
    bottom = weighted_mean(below, weights).value
    if bottom == 0.0:
        return Mean(math.nan, math.inf, len(below))
    found = weighted_mean(above, weights).value / bottom
    left = weighted_mean([a - found * b for a, b in zip(above, below, strict=True)], weights)
    return Mean(found, left.error / abs(bottom), left.n)


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
    spread = math.fsum((left_out - left_out.mean()) ** 2)
    return Mean(value, math.sqrt((pieces - 1) / pieces * spread), pieces)


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


@functools.cache
def t_quantile(level: float, freedom: int) -> float:
    """The half-width, in standard errors, of a two-sided Student interval.

    Up to `_SERIES` degrees of freedom the exact series of Abramowitz & Stegun 1964, 26.7.3 and 26.7.4, inverted by
    bisection; beyond, their expansion 26.7.5, which is then good to eight digits.
    """
    freedom = max(1, freedom)
    if freedom <= _SERIES:
        low, high = 0.0, math.pi / 2
        for _ in range(60):
            middle = 0.5 * (low + high)
            low, high = (low, middle) if _chance_within(middle, freedom) >= level else (middle, high)
        return math.sqrt(freedom) * math.tan(high)
    z = NormalDist().inv_cdf((1 + level) / 2)
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return math.fsum(term / freedom**power for power, term in enumerate(terms))


_SERIES = 100
"""Degrees of freedom up to which Student's quantile is exact."""


def _chance_within(angle: float, freedom: int) -> float:
    """How often |t| is at most √freedom · tan(angle)."""
    odd = freedom % 2
    term = total = 0.0 if freedom == 1 else math.cos(angle) if odd else 1.0
    for k in range(1 + odd, freedom - 2, 2):
        term *= math.cos(angle) ** 2 * k / (k + 1)
        total += term
    return 2 / math.pi * (angle + math.sin(angle) * total) if odd else math.sin(angle) * total


def normal_quantile(level: float) -> float:
    """The half-width, in standard errors, of a two-sided normal interval."""
    return NormalDist().inv_cdf((1 + level) / 2)
