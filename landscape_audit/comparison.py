"""How much a number differs from the same number of another audit, with an interval."""

from __future__ import annotations

import math
from itertools import product

from landscape_audit.results import Direction, Estimate, IntervalPart


def absolute_change(here: Estimate, there: Estimate) -> Estimate:
    """here − there, in their own unit; both intervals count in full."""
    low, high = _gap(here.low, there.high), _gap(here.high, there.low)
    return _change(_gap(here.value, there.value), low, high, here, unit=here.unit)


def relative_change(here: Estimate, there: Estimate) -> Estimate:
    """(here − there) / |there|; unbounded where the interval of what it is a share of reaches zero."""
    value = _share(here.value, there.value)
    corners = [_share(h, t) for h, t in product((here.low, here.high), (there.low, there.high))]
    one_sign = there.low is not None and there.high is not None and there.low * there.high > 0
    known = [each for each in corners if each is not None]
    low = min(known) if one_sign and here.low is not None and known else None
    high = max(known) if one_sign and here.high is not None and known else None
    return _change(value, low, high, here, unit="share of the baseline")


def _gap(here: float | None, there: float | None) -> float | None:
    return None if here is None or there is None else here - there


def _share(here: float | None, there: float | None) -> float | None:
    return None if here is None or not there else (here - there) / abs(there)


def _change(value: float | None, low: float | None, high: float | None, of: Estimate, *, unit: str) -> Estimate:
    direction: Direction = of.direction
    if value is None:
        return Estimate.exact(math.nan, unit=unit, direction=direction)
    kinds = dict.fromkeys(part.kind for part in of.parts) or {"sampling": None}
    parts = (IntervalPart(kind=next(iter(kinds)), low=low, high=high),) if (low, high) != (value, value) else ()
    return Estimate.within(value, parts, level=of.level, unit=unit, direction=direction, n=of.n)
