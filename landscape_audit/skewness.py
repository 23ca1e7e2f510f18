"""Means of skewed numbers, whose Student interval is too short on the side of the long tail."""

from __future__ import annotations

import math
from collections.abc import Sequence

LARGE = 0.2
"""Skewness over √n from which Student's 95 % interval is too short: n < 25 G². Source: Cochran's rule, which Sugden,
Smith & Jones 2000 derive from Edgeworth's expansion."""


def asymmetry(pieces: Sequence[float]) -> float:
    """Skewness over √n: how far from symmetric their mean is, as the first term of Edgeworth's expansion has it.

    None where normal pieces may have as much by chance: within twice the standard error of theirs, √(6/n).
    """
    n = len(pieces)
    if n < 3 or not all(abs(piece) < _LARGEST for piece in pieces):
        return 0.0
    mean = math.fsum(pieces) / n
    moved = [piece - mean for piece in pieces]
    deviation = math.sqrt(math.fsum(move * move for move in moved) / (n - 1))
    if not 0.0 < deviation < math.inf:
        return 0.0
    skewness = math.fsum((move / deviation) ** 3 for move in moved) / n
    return skewness / math.sqrt(n) if abs(skewness) > 2 * math.sqrt(6 / n) else 0.0


_LARGEST = 1e150  # whose square is finite


def reach(quantile: float, skewed: float) -> tuple[float, float]:
    """How far below and above a mean of `asymmetry` `skewed` its interval goes, in standard errors.

    Student's `quantile`, and on the side of the tail as far as that quantile carried back through what rids Student's
    T of its skewness a: T + aT²/3 + a/6 (Johnson's, as in Lyon, Barber & Tsai 1999), with the cube a²T³/27 that makes
    it ((1 + aT/3)³ − 1)/a + a/6 and so monotone (Hall 1992). The other side is not drawn in: a few examples know little
    of their own tail.
    """
    if not skewed:
        return quantile, quantile
    below, above = (side * _untransformed(side * quantile, skewed) for side in (1, -1))
    return max(quantile, below), max(quantile, above)


def _untransformed(reached: float, skewed: float) -> float:
    return 3 / skewed * (math.cbrt(1 + skewed * (reached - skewed / 6)) - 1)
