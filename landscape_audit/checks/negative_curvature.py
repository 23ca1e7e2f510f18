"""Does the loss curve down somewhere, and is that worth anything?"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from landscape_audit.checks.check import check
from landscape_audit.checks.eigenvalue import UNIT, eigenvalue
from landscape_audit.checks.walk_line import walk_line
from landscape_audit.probes.facts import AuditFacts, Facts
from landscape_audit.probes.krylov import HessianKrylov, RayleighSample, RitzRayleigh
from landscape_audit.probes.walks import Slices, Walk
from landscape_audit.results import Estimate, IntervalPart, Label, Measured, spread
from landscape_audit.statistics import weighted_mean
from landscape_audit.text import number

if TYPE_CHECKING:
    from landscape_audit.curvature.lanczos import KrylovSpace


@check(
    "negative_curvature",
    HessianKrylov(),
    RitzRayleigh(),
    Slices(),
    AuditFacts(),
    version=1,
    title="Negative curvature",
    question="Is there a direction in which the loss curves down, and how much lower does it get there?",
    source="Saad 2011 (residual); Kuczyński & Woźniakowski 1992 (what was not found)",
)
def negative_curvature(
    krylov: KrylovSpace, rayleigh: RayleighSample, slices: tuple[Walk, ...], facts: Facts
) -> Measured:
    """λ_min(H) with a certificate, and the loss measured along ±v.

    `lambda_min` is the lowest Ritz value: never below the true λ_min but for rounding. `rayleigh` is vᵀHv at its
    vector, with sampling and rounding only: negative with its whole interval *proves* negative curvature, whatever the
    solver did. `lambda_min_bound` is how negative an unseen eigenvalue could still be, at the stated level. `drop` is
    the largest fall of the loss measured within 10 % along ±v, with its paired standard error over batches.
    """
    bottom = rayleigh.bottom
    lambda_min = eigenvalue(bottom, facts.level, extreme="bottom", direction="higher")
    quotient = certificate(rayleigh, facts.level)
    walk = next(walk for walk in slices if walk.direction == "v_min")
    best = walk.best(reach=0.1)
    unseen = krylov.unseen(1 - facts.level)
    floor = bottom.ritz_value - unseen if math.isfinite(unseen) else None
    estimates = {
        "lambda_min": lambda_min,
        "rayleigh": quotient,
        "lambda_min_bound": Estimate(
            value=bottom.ritz_value,
            low=floor,
            high=bottom.ritz_value,
            parts=(IntervalPart(kind="bound", low=floor, high=bottom.ritz_value),),
            level=facts.level,
            unit=UNIT,
            direction="higher",
            n=krylov.steps,
        ),
        "drop": Estimate.within(
            max(0.0, best.drop),
            (spread("sampling", max(0.0, best.drop), best.rise.half_width(facts.level) if best.radius else 0.0),),
            level=facts.level,
            unit="loss",
            direction="lower",
            n=best.rise.n,
        ),
    }
    word, reason = _certainty(quotient)
    line = walk_line(
        walk,
        name="walk",
        title="Loss along the direction of lowest curvature",
        finding=f"Along ±v the loss falls by at most {number(max(0.0, best.drop))} within 10 % of the filters' norms.",
        expected="a valley floor: nearly level, rising at both ends",
        reach=0.3,
    )
    return Measured(estimates=estimates, labels={"certainty": Label(value=word, reason=reason)}, details=(line,))


def certificate(rayleigh: RayleighSample, level: float) -> Estimate:
    """vᵀHv at the lowest Ritz vector, with what other examples and rounding could make of it."""
    bottom = rayleigh.bottom
    mean = weighted_mean(bottom.forms, bottom.weights)
    parts = (
        spread("sampling", mean.value, mean.half_width(level)),
        spread("rounding", mean.value, bottom.rounding),
    )
    return Estimate.within(mean.value, parts, level=level, unit=UNIT, direction="higher", n=mean.n)


def _certainty(quotient: Estimate) -> tuple[str, str]:
    shown = f"vᵀHv = {number(quotient.value)}, between {_side(quotient.low)} and {_side(quotient.high)}"
    if quotient.high is not None and quotient.high < 0:
        return "negative", f"Negative curvature is certain: {shown}."
    if quotient.low is not None and quotient.low >= 0:
        return "none_found", f"None was found: {shown} along the lowest direction."
    return "undecided", f"Not settled by this sample and arithmetic: {shown}."


def _side(bound: float | None) -> str:
    return "no bound" if bound is None else number(bound)
