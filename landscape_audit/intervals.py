"""A number and its interval in words, as every sentence and every table has them."""

from __future__ import annotations

from landscape_audit.estimate import Estimate
from landscape_audit.text import number

_MOST = 9
"""Digits of a number that people still read."""


def with_interval(estimate: Estimate, digits: int = 4) -> str:
    """`31.24 (29.64 to 32.84)`; `0.381 (at least 0.381)` where one side is open; the number alone where it is exact.

    A narrow interval is told to more digits, so that its ends differ, and not at all where nine do not tell them apart.
    """
    if estimate.value is None:
        return f"not finite ({estimate.nonfinite})"
    value, low, high = (number(bound, digits) for bound in (estimate.value, estimate.low, estimate.high))
    if estimate.low is None and estimate.high is None:
        return f"{value} (no interval is known)"
    if estimate.low is None:
        return f"{value} (at most {high})"
    if estimate.high is None:
        return f"{value} (at least {low})"
    if low != high:
        return f"{value} ({low} to {high})"
    return value if digits >= _MOST or estimate.low == estimate.high else with_interval(estimate, digits + 1)
