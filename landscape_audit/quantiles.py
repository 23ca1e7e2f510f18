"""Half-widths of two-sided intervals in standard errors, from the standard library alone: for both sides."""

from __future__ import annotations

import math
from statistics import NormalDist


def t_quantile(level: float, freedom: int) -> float:
    """The half-width, in standard errors, of a two-sided Student interval.

    Closed forms for one and two degrees of freedom; beyond, the expansion of Abramowitz & Stegun 1964, 26.7.5, good
    to 1 % from three on and to 0.1 % from six on.
    """
    p = (1 + level) / 2
    if freedom <= 1:
        return math.tan(math.pi * (p - 0.5))
    if freedom == 2:
        return (2 * p - 1) * math.sqrt(2 / (4 * p * (1 - p)))
    z = NormalDist().inv_cdf(p)
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return math.fsum(term / freedom**power for power, term in enumerate(terms))


def normal_quantile(level: float) -> float:
    """The half-width, in standard errors, of a two-sided normal interval."""
    return NormalDist().inv_cdf((1 + level) / 2)
