"""What does the whole spectrum look like?"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from landscape_audit.checks.check import check
from landscape_audit.checks.eigenvalue import UNIT
from landscape_audit.detail import Axis, Bar, Spectrum
from landscape_audit.estimate import Estimate, IntervalPart
from landscape_audit.probes.facts import AuditFacts, Facts
from landscape_audit.probes.krylov import HessianKrylov
from landscape_audit.quantiles import normal_quantile
from landscape_audit.results import Measured
from landscape_audit.text import count, number, percent

if TYPE_CHECKING:
    from landscape_audit.curvature.lanczos import KrylovSpace

NEAR_ZERO = 0.01
"""An eigenvalue below this share of |λ|_max counts as near zero."""


@check(
    "spectral_density",
    HessianKrylov(),
    AuditFacts(),
    version=2,
    title="Spectral density",
    question="Are most directions flat, and how many stand out?",
    source="Ubaru, Chen & Saad 2017; Ghorbani, Krishnan & Xiao 2019; Jawecki 2022 (intervals)",
)
def spectral_density(krylov: KrylovSpace, facts: Facts) -> Measured:
    """The density of eigenvalues by stochastic Lanczos quadrature, from the same run as the extreme eigenvalues.

    Eigenvalues with small residuals outside the bulk are drawn one by one with their residual intervals.
    `near_zero_share` and `negative_share` are shares of all P eigenvalues, below 1 % of |λ|_max in size and below
    −1 % of it. Their intervals hold what the quadrature cannot tell, all that a spectrum with this run could have on
    either side of the limit, and that one random start is one sample, with the exact spread 2 w (1 − w) / (P + 2).
    """
    from landscape_audit.curvature.quadrature import density, mass_below

    values, weights = krylov.ritz_values, krylov.eigen[1][0] ** 2
    if krylov.complete:
        weights = np.full(len(values), 1.0 / len(values))
    largest = float(np.abs(values).max())
    resolved = _resolved(krylov)
    drawn = density(krylov, values[resolved])
    residuals = krylov.residuals
    bars = tuple(
        Bar(label=f"λ {number(value)}", value=float(value), low=float(value - r), high=float(value + r))
        for value, r in zip(values[resolved], residuals[resolved], strict=True)
    )

    limit = NEAR_ZERO * largest
    standing = int((np.abs(values[resolved]) > limit).sum())
    (least, most), (up_to_least, up_to_most) = mass_below(krylov, -limit), mass_below(krylov, limit)
    near = _share(weights[np.abs(values) <= limit].sum(), (up_to_least - most, up_to_most - least), krylov, facts)
    negative = _share(weights[values < -limit].sum(), (least, most), krylov, facts)
    return Measured(
        estimates={"near_zero_share": near, "negative_share": negative},
        details=(
            Spectrum(
                name="density",
                title="Density of Hessian eigenvalues",
                finding=f"About {percent(near.value or 0.0, 3)} of the eigenvalues are smaller than 1 % of |λ|_max; "
                f"{count(standing, 'eigenvalue stands', 'eigenvalues stand')} out.",
                expected="nearly all of the mass at zero, a short negative tail, a few positive outliers",
                x=Axis(label="Eigenvalue", unit=UNIT, scale="symlog"),
                grid=tuple(drawn.grid.tolist()),
                density=tuple(drawn.values.tolist()),
                outliers=bars,
            ),
        ),
        caveats=() if krylov.complete else ("One random start: the shape of the bulk is one sample of it.",),
    )


def _resolved(krylov: KrylovSpace) -> NDArray[np.bool_]:
    """Ritz pairs whose interval of residuals is short, and clear of zero and of their neighbours'."""
    values, residuals = krylov.ritz_values, krylov.residuals
    if krylov.complete:
        return np.ones(len(values), dtype=bool)
    gaps = np.minimum(np.diff(values, prepend=-math.inf), np.diff(values, append=math.inf))
    far = np.abs(values) > NEAR_ZERO * np.abs(values).max()
    resolved: NDArray[np.bool_] = (residuals < 0.1 * gaps) & (residuals < 0.1 * np.abs(values)) & far
    return resolved


def _share(weight: float, between: tuple[float, float], krylov: KrylovSpace, facts: Facts) -> Estimate:
    weight = min(1.0, max(0.0, float(weight)))
    if krylov.complete:
        return Estimate.exact(weight, unit="share of eigenvalues", n=facts.parameters)
    half = normal_quantile(facts.level) * math.sqrt(2 * weight * (1 - weight) / (facts.parameters + 2))
    low, high = max(0.0, min(weight, between[0])), min(1.0, max(weight, between[1]))
    parts = (
        IntervalPart(kind="residual", low=low, high=high),
        IntervalPart(kind="probe", low=weight - min(half, low), high=weight + min(half, 1 - high)),
    )
    return Estimate.within(weight, parts, level=facts.level, unit="share of eigenvalues", n=1)
