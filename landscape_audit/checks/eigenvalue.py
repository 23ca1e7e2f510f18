"""An eigenvalue as an estimate: what the solver, the data and the arithmetic leave open, each by name."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from landscape_audit.estimate import Direction, Estimate, IntervalPart, spread
from landscape_audit.probes.rayleigh import RayleighQuotients, RayleighSample
from landscape_audit.statistics import weighted_mean

if TYPE_CHECKING:
    from landscape_audit.curvature.lanczos import KrylovSpace

UNIT = "loss per unit of parameter²"


def largest(rayleigh: RayleighSample, krylov: KrylovSpace, level: float) -> Estimate:
    """λ_max: never below yᵀHy, and above it no further than a run from a random start can have missed."""
    top = rayleigh.top[0]
    far = max(top.value, float(krylov.ritz_values[-1])) + krylov.reach(1 - level).above + top.residual
    part = IntervalPart(kind="residual", low=top.value, high=_side(far))
    if not rayleigh.certified:
        part = IntervalPart(kind="bound", low=top.value, high=None)
    return _estimate(top, part, level, "lower")


def smallest(rayleigh: RayleighSample, krylov: KrylovSpace, level: float) -> Estimate:
    """λ_min: never above yᵀHy, and below it no further than a run from a random start can have missed."""
    bottom = rayleigh.bottom
    far = min(bottom.value, float(krylov.ritz_values[0])) - krylov.reach(1 - level).below - bottom.residual
    part = IntervalPart(kind="residual", low=_side(far), high=bottom.value)
    if not rayleigh.certified:
        part = IntervalPart(kind="bound", low=None, high=bottom.value)
    return _estimate(bottom, part, level, "higher")


def inner(quotients: RayleighQuotients, level: float) -> Estimate:
    """An eigenvalue between the ends: one lies within the residual of yᵀHy."""
    part = spread("residual", quotients.value, quotients.residual)
    return _estimate(quotients, part, level, "lower")


def _side(bound: float) -> float | None:
    return bound if math.isfinite(bound) else None


def _estimate(quotients: RayleighQuotients, solver: IntervalPart, level: float, direction: Direction) -> Estimate:
    """yᵀHy with what the solver, the data and the arithmetic leave open."""
    value = quotients.value
    mean = weighted_mean(quotients.forms, quotients.weights)
    parts = (
        solver,
        spread("sampling", value, mean.half_width(level), mean.folded),
        spread("rounding", value, quotients.rounding),
    )
    return Estimate.within(value, parts, level=level, unit=UNIT, direction=direction, n=len(quotients.forms))
