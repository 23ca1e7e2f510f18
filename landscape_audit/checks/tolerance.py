"""The radius at which a curve of mean rises reaches a given rise."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from landscape_audit.probes.perturbations import Cloud
from landscape_audit.results import Estimate, IntervalPart


def tolerance(clouds: Sequence[Cloud], target: float, level: float, rounding: float) -> Estimate:
    """Where the curve of mean rises reaches `target`; its interval is where the curve's two edges do.

    Between the radii the curve is read on rise / σ², linear in log σ: exact for a quadratic.
    """
    sigmas = [cloud.sigma for cloud in clouds]
    half = [cloud.rise.half_width(level) + rounding for cloud in clouds]

    def crossing(shift: Callable[[float], float]) -> float | None:
        return _crossing(sigmas, [c.rise.value + shift(h) for c, h in zip(clouds, half, strict=True)], target)

    value, early, late = crossing(lambda _: 0.0), crossing(lambda h: h), crossing(lambda h: -h)
    unit = "share of the filters' norms"
    if value is None:
        beyond = IntervalPart(kind="bound", low=sigmas[-1] if early is None else early, high=None)
        return Estimate.within(
            sigmas[-1], (beyond,), level=level, unit=unit, direction="higher", n=len(clouds[0].rises)
        )
    part = IntervalPart(kind="probe", low=0.0 if early is None else min(early, value), high=late and max(late, value))
    return Estimate.within(value, (part,), level=level, unit=unit, direction="higher", n=len(clouds[0].rises))


def _crossing(sigmas: Sequence[float], rises: Sequence[float], target: float) -> float | None:
    """The first σ at which the piecewise curve σ² · (rise/σ²) reaches `target`; NaN counts as above.

    Between two radii rise/σ² is taken as linear in log σ, which is exact for a quadratic; below the first radius it
    is constant.
    """
    scaled = [rise / sigma**2 for sigma, rise in zip(sigmas, rises, strict=True)]
    for index, rise in enumerate(rises):
        if rise < target:
            continue
        if index == 0:
            return sigmas[0] * min(1.0, math.sqrt(target / rise)) if math.isfinite(rise) else 0.0
        if not math.isfinite(rise):
            return sigmas[index - 1]
        return _between(sigmas[index - 1 : index + 1], scaled[index - 1 : index + 1], target)
    nan = [index for index, rise in enumerate(rises) if math.isnan(rise)]
    return sigmas[max(0, nan[0] - 1)] if nan else None


def _between(ends: Sequence[float], scaled: Sequence[float], target: float) -> float:
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        sigma = ends[0] ** (1 - middle) * ends[1] ** middle
        rise = sigma**2 * ((1 - middle) * scaled[0] + middle * scaled[1])
        low, high = (low, middle) if rise >= target else (middle, high)
    return float(ends[0] ** (1 - high) * ends[1] ** high)
