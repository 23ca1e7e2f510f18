"""How much a number differs from the same number of another audit, with an interval.

Where both audits say what each batch, probe or draw says by itself, and those are the same ones, what they have in
common cancels: the interval is that of the differences. Everything else that is uncertain adds, as intervals do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import product

from landscape_audit.confidence import Judging, as_judged
from landscape_audit.estimate import Estimate, IntervalKind, IntervalPart
from landscape_audit.quantiles import t_quantile
from landscape_audit.results import Baseline
from landscape_audit.skewness import asymmetry, reach

SHARE = "share of the baseline"
"""The unit of a relative change."""
_LEVEL = 0.95
_LARGEST = 1e150  # whose square is finite
_Side = float | None
Change = Callable[[Estimate, Estimate, Collection[IntervalKind], Judging | None], Estimate]
"""`absolute_change` or `relative_change`."""


@dataclass(frozen=True)
class _Pair:
    """The pieces that a number rests on in both audits, and between what the rest leaves each number."""

    kind: IntervalKind
    here: Sequence[float]
    there: Sequence[float]
    ends_here: tuple[_Side, _Side]
    ends_there: tuple[_Side, _Side]
    level: float
    grain: float

    @property
    def common(self) -> int:
        """How many pieces both have; probes and draws may be more in one."""
        return min(len(self.here), len(self.there))

    @property
    def quantile(self) -> float:
        """Student's, over what both have."""
        return t_quantile(self.level, self.common - 1)

    def tails(self, times: float) -> tuple[float, float]:
        """How many times as far as Student's the interval of here − times · there goes below and above.

        A proportion's tail is no guide: where few examples differ, `grain` sees to them.
        """
        if self.grain:
            return 1.0, 1.0
        differences = [x - times * y for x, y in zip(self.here, self.there, strict=False)]
        below, above = reach(self.quantile, asymmetry(differences))
        return below / self.quantile, above / self.quantile

    def variance(self, a: float, b: float) -> float:
        """Of a · (mean here) + b · (mean there), from the pieces that both have and those that one has alone."""
        m, mine, theirs = self.common, a / len(self.here), b / len(self.there)
        moved = [mine * x + theirs * y for x, y in zip(self.here[:m], self.there[:m], strict=True)]
        longer, weight = (self.here, mine) if len(self.here) > m else (self.there, theirs)
        alone = (len(longer) - m) * weight**2 * variance(longer) if len(longer) > m else 0.0
        return m * variance(moved) + alone

    def error(self, times: float) -> float:
        """The standard error of here − times · there. Of proportions as if one example more had come out otherwise.

        That is what adding half an example to each way that two outcomes can go comes to: without it, no difference
        on a few examples would pass for none at all. Source: Agresti & Min 2005.
        """
        return math.hypot(math.sqrt(self.variance(1.0, -times)), self.grain)


def is_paired(here: Estimate, there: Estimate, paired: Collection[IntervalKind]) -> bool:
    """Whether the two are compared piece by piece, where pieces of the kinds `paired` are the same ones in both."""
    return _pair(here, there, paired, _own(here)) is not None


def absolute_change(
    here: Estimate, there: Estimate, paired: Collection[IntervalKind] = (), how: Judging | None = None
) -> Estimate:
    """here − there, in their own unit, at the level that `how` asks for; by default at that of the audit.

    Over the differences of the pieces that both share; both intervals in full where they share none.
    """
    how = how or _own(here)
    pair, mine, theirs = _pair(here, there, paired, how), as_judged(here, how), as_judged(there, how)
    if pair is None:
        low, high, n = _gap(mine.low, theirs.high), _gap(mine.high, theirs.low), here.n
    else:
        below, above = (tail * pair.quantile * pair.error(1.0) for tail in pair.tails(1.0))
        low = _gap(_gap(pair.ends_here[0], pair.ends_there[1]), below)
        high = _gap(_gap(pair.ends_here[1], pair.ends_there[0]), -above)
        n = pair.common
    return _change(_gap(here.value, there.value), low, high, mine, unit=here.unit, n=n)


def relative_change(
    here: Estimate, there: Estimate, paired: Collection[IntervalKind] = (), how: Judging | None = None
) -> Estimate:
    """(here − there) / |there|, at the level that `how` asks for; unbounded where what it is a share of may be zero.

    Fieller's interval over the pieces that both share: exact for normal pieces, also where the baseline is known
    badly. It is taken at every corner of what the rest of both intervals leaves open. Source: Fieller 1954.
    """
    how = how or _own(here)
    pair, mine, theirs = _pair(here, there, paired, how), as_judged(here, how), as_judged(there, how)
    if pair is None:
        low, high = _corners((mine.low, mine.high), (theirs.low, theirs.high), _point)
        n = here.n
    else:
        low, high = _corners(pair.ends_here, pair.ends_there, lambda a, b: _fieller(pair, a, b))
        n = pair.common
    return _change(_share(here.value, there.value), low, high, mine, unit=SHARE, n=n)


def change_from(baseline: Baseline, key: str, here: Estimate, change: Change, how: Judging | None = None) -> Estimate:
    """The change of one number from the baseline's: none at all where both are of the same weights and equal."""
    there = baseline.estimates[key]
    found = change(here, there, baseline.paired, how)
    if baseline.same and here == there and here.value is not None:
        return Estimate.exact(0.0, unit=found.unit, direction=here.direction, n=here.n)
    return found


# ------------------------------------------------------------------------------------------------------------- pairing


def _own(here: Estimate) -> Judging:
    return Judging(here.level or _LEVEL)


def _pair(here: Estimate, there: Estimate, paired: Collection[IntervalKind], how: Judging) -> _Pair | None:
    for mine, theirs in product(here.parts, there.parts):
        alike = mine.kind == theirs.kind and mine.kind in paired
        # Batches and examples are all there in both; of probes and draws the first are the same.
        enough = len(mine.pieces) == len(theirs.pieces) or mine.kind == "probe"
        known = min(len(mine.pieces), len(theirs.pieces)) > 1 and _have_squares(*mine.pieces, *theirs.pieces)
        if alike and enough and known:
            ends = (_left(here, mine, how), _left(there, theirs, how))
            return _Pair(mine.kind, mine.pieces, theirs.pieces, *ends, how.of(mine), max(mine.grain, theirs.grain))
    return None


def _have_squares(*pieces: float) -> bool:
    return all(abs(piece) < _LARGEST for piece in pieces)


def _left(estimate: Estimate, told: IntervalPart, how: Judging) -> tuple[_Side, _Side]:
    """The interval without what the pieces of one part say: the other parts, and what that part is wider by."""
    value, more = estimate.value or 0.0, _wider(estimate, told)
    judged = zip(estimate.parts, as_judged(estimate, how).parts, strict=True)
    others = [part for own, part in judged if own is not told]
    below = [_gap(value, part.low) for part in others]
    above = [_gap(part.high, value) for part in others]
    low = None if told.low is None or None in below else math.fsum((more, *(max(gap or 0.0, 0.0) for gap in below)))
    high = None if told.high is None or None in above else math.fsum((more, *(max(gap or 0.0, 0.0) for gap in above)))
    return None if low is None else value - low, None if high is None else value + high


def _wider(estimate: Estimate, told: IntervalPart) -> float:
    """How much a part is wider than its pieces make it, on both sides: a floor, or rounding, which does not cancel.

    Wider on one side alone is a curve that the number was carried through, which does. A proportion's interval is of
    another form: there the difference has a floor of its own, `grain`.
    """
    if told.low is None or told.high is None or told.grain:
        return 0.0
    value, level = estimate.value or 0.0, estimate.level or _LEVEL
    own = t_quantile(level, len(told.pieces) - 1) * math.sqrt(variance(told.pieces) / len(told.pieces))
    more = min(value - told.low, told.high - value) - own
    return more if more > _ROUNDING * own else 0.0


_ROUNDING = 1e-6  # of its own width, by which a part and its pieces may differ


# ------------------------------------------------------------------------------------------------------------- ratios


def _fieller(pair: _Pair, here: float, there: float) -> tuple[_Side, _Side]:
    """The change between means that the rest has moved to `here` and `there`.

    With r = here/there, the r + δ for which |δ · there| is within Student's quantile of its own standard error:
    a quadratic in δ, whose coefficients are those of the differences here_i − r there_i, so that nothing cancels.
    Towards a long tail of these, δ is as many times larger as the interval of their mean.
    """
    if not _have_squares(here, there):
        return None, None
    t2, ratio, below = pair.quantile**2, here / there, pair.variance(0.0, 1.0)
    leading = there**2 - t2 * below
    if leading <= 0 or not abs(ratio) < 1 / _ROUNDING**2:
        return None, None
    left = pair.variance(1.0, -ratio)
    crossed = (pair.variance(1.0, -ratio - 1.0) - left - below) / -2  # the covariance of the differences with there_i
    root = math.sqrt((t2 * crossed) ** 2 + leading * t2 * pair.error(ratio) ** 2)
    sign = math.copysign(1.0, there)
    tails = zip((-1, 1), pair.tails(ratio), strict=True)
    low, high = (sign * (ratio - 1.0) + tail * (side * root - sign * t2 * crossed) / leading for side, tail in tails)
    return low, high


def _point(here: float, there: float) -> tuple[_Side, _Side]:
    found = _share(here, there)
    return found, found


def _corners(
    here: tuple[_Side, _Side], there: tuple[_Side, _Side], change: Callable[[float, float], tuple[_Side, _Side]]
) -> tuple[_Side, _Side]:
    """The least and the most that `change` says anywhere between the ends; unbounded where an end is open."""
    if there[0] is None or there[1] is None or there[0] * there[1] <= 0:
        return None, None
    found = [change(a, b) for a in here if a is not None for b in there if b is not None]
    lows, highs = ([each[side] for each in found] for side in (0, 1))
    low = None if here[0] is None or None in lows else min(each for each in lows if each is not None)
    high = None if here[1] is None or None in highs else max(each for each in highs if each is not None)
    return low, high


def variance(pieces: Sequence[float]) -> float:
    """Of the distribution that they are drawn from; of two pieces or more."""
    mean = math.fsum(pieces) / len(pieces)
    return math.fsum((piece - mean) ** 2 for piece in pieces) / (len(pieces) - 1)


def _gap(here: _Side, there: _Side) -> _Side:
    return None if here is None or there is None else here - there


def _share(here: _Side, there: _Side) -> _Side:
    return None if here is None or not there else (here - there) / abs(there)


def _change(value: _Side, low: _Side, high: _Side, of: Estimate, *, unit: str, n: int | None) -> Estimate:
    if value is None or not math.isfinite(value):
        return Estimate.exact(math.nan, unit=unit, direction=of.direction)
    low, high = (None if side is None or not math.isfinite(side) else side for side in (low, high))
    kinds = dict.fromkeys(part.kind for part in of.parts) or {"sampling": None}
    low, high = (None if low is None else min(low, value)), (None if high is None else max(high, value))
    parts = (IntervalPart(kind=next(iter(kinds)), low=low, high=high),) if (low, high) != (value, value) else ()
    return Estimate.within(value, parts, level=of.level, unit=unit, direction=of.direction, n=n)
