"""Half-widths of two-sided intervals in standard errors, from the standard library alone: for both sides."""

from __future__ import annotations

import functools
import math
from statistics import NormalDist


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
