"""The radius at which a curve of mean rises reaches a given rise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from landscape_audit.estimate import Estimate, IntervalKind, IntervalPart, about
from landscape_audit.probes.perturbations import Cloud, FlatnessSample

TOLERATED = 0.10
"""The rise, as a share of the loss, at which the tolerance is read off."""


@dataclass(frozen=True)
class _Crossing:
    """Where a curve reaches the target: the best guess, and between which radii it certainly does."""

    low: float
    guess: float
    high: float

    @property
    def read(self) -> bool:
        """Whether it was read between two radii; otherwise it is only known to lie between `low` and `high`."""
        return self.low == self.high


def tolerance_of(sample: FlatnessSample, level: float, rounding: float) -> Estimate | None:
    """Where the mean rise is a tenth of the loss; None of a loss of zero, of which a tenth has no meaning."""
    target = TOLERATED * abs(sample.loss)
    return tolerance(sample.clouds, target, level, rounding) if target > 0 else None


def tolerance(clouds: Sequence[Cloud], target: float, level: float, rounding: float) -> Estimate:
    """Where the curve of mean rises reaches `target`; its interval is where the curve's two edges do.

    Between the radii the curve is read on rise / σ², linear in log σ: exact for a quadratic. Below the first radius
    nothing is known but that the curve starts at zero: a curve that is above `target` there already has a bound.
    """
    sigmas = [cloud.sigma for cloud in clouds]
    half = [cloud.rise.half_width(level) + rounding for cloud in clouds]

    def crossing(sign: float) -> _Crossing | None:
        shifted = (
            cloud.rise.value + sign * h if sign else cloud.rise.value for cloud, h in zip(clouds, half, strict=True)
        )
        return _crossing(sigmas, list(shifted), target)

    here, early, late = crossing(0.0), crossing(1.0), crossing(-1.0)
    if here is None:
        guess, part = sigmas[-1], IntervalPart(kind="bound", low=early.low if early else sigmas[-1], high=None)
    else:
        low, high = min(early.low if early else 0.0, here.low), late and max(late.high, here.high)
        more_draws_help = here.read or high != here.high
        kind: IntervalKind = "probe" if more_draws_help else "bound"
        pieces = _by_draw(clouds, here.guess, target) if here.read and high is not None else ()
        guess, part = here.guess, IntervalPart(kind=kind, low=low, high=high, pieces=pieces)
    unit = "share of the filters' norms"
    return Estimate.within(guess, (part,), level=level, unit=unit, direction="higher", n=len(clouds[0].rises))


def _by_draw(clouds: Sequence[Cloud], sigma: float, target: float) -> tuple[float, ...]:
    """Where each draw moves the crossing at `sigma`, to first order: by what it adds to the curve, over its slope."""
    above = next(index for index, cloud in enumerate(clouds) if cloud.sigma >= sigma)
    low, high = clouds[above - 1], clouds[above]
    decade = math.log(high.sigma / low.sigma)
    share = math.log(sigma / low.sigma) / decade
    draws = zip(low.controlled, high.controlled, strict=True)
    scaled = [(a / low.sigma**2, b / high.sigma**2) for a, b in draws]
    rises = [sigma**2 * ((1 - share) * a + share * b) for a, b in scaled]
    slope = math.fsum(2 * rise / sigma + sigma * (b - a) / decade for rise, (a, b) in zip(rises, scaled, strict=True))
    if not slope > 0:
        return ()
    return about(sigma, tuple(sigma - (rise - target) * len(rises) / slope for rise in rises))


def _crossing(sigmas: Sequence[float], rises: Sequence[float], target: float) -> _Crossing | None:
    """The first σ at which the piecewise curve σ² · (rise/σ²) reaches `target`; what is not finite is above it.

    Below the first radius the guess takes rise/σ² as constant.
    """
    index = next((index for index, rise in enumerate(rises) if not rise < target), None)
    if index is None:
        return None
    before = sigmas[index - 1] if index else 0.0
    if not math.isfinite(rises[index]):
        return _Crossing(before, before, sigmas[index])
    if index == 0:
        return _Crossing(0.0, sigmas[0] * math.sqrt(target / rises[0]), sigmas[0])
    scaled = [rise / sigma**2 for sigma, rise in zip(sigmas, rises, strict=True)]
    read = _between(sigmas[index - 1 : index + 1], scaled[index - 1 : index + 1], target)
    return _Crossing(read, read, read)


def _between(ends: Sequence[float], scaled: Sequence[float], target: float) -> float:
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        sigma = ends[0] ** (1 - middle) * ends[1] ** middle
        rise = sigma**2 * ((1 - middle) * scaled[0] + middle * scaled[1])
        low, high = (low, middle) if rise >= target else (middle, high)
    return float(ends[0] ** (1 - high) * ends[1] ** high)
