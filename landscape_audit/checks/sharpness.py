"""How sharp is the loss in its sharpest direction?"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from landscape_audit.checks.check import check
from landscape_audit.checks.eigenvalue import UNIT, eigenvalue
from landscape_audit.probes.facts import AuditFacts, Facts
from landscape_audit.probes.krylov import HessianKrylov, RayleighSample, RitzRayleigh
from landscape_audit.results import Column, Estimate, IntervalPart, Measured, Table
from landscape_audit.text import number

if TYPE_CHECKING:
    from landscape_audit.curvature.lanczos import KrylovSpace


@check(
    "sharpness",
    HessianKrylov(),
    RitzRayleigh(),
    AuditFacts(),
    version=1,
    title="Largest Hessian eigenvalues",
    question="How sharp is the loss in its sharpest directions?",
    source="Cohen et al. 2021, section 2; Kuczyński & Woźniakowski 1992",
)
def sharpness(krylov: KrylovSpace, rayleigh: RayleighSample, facts: Facts) -> Measured:
    """λ_max(H), the curvature of the loss along its steepest direction, and the largest after it. Algebraic, not |λ|.

    From one Lanczos run with full reorthogonalisation. Intervals add three parts: `residual`, an eigenvalue of this
    sample's Hessian lies inside (λ_max: never below its Ritz value); `sampling`, what other examples would give at
    the same direction, Student over batches; `rounding`, float32 against float64 at the same direction.
    `lambda_max_bound` is where the probabilistic bound for a random start puts the end of the spectrum: nothing lies
    above it, at the stated level. A sample's λ_max is biased upward, the more the fewer the examples.
    λ_max depends on the parametrisation: rescaling layers moves it and no prediction (Dinh et al. 2017).
    """
    top = [
        eigenvalue(quotients, facts.level, extreme="" if rank else "top", direction="lower")
        for rank, quotients in enumerate(rayleigh.top)
    ]
    estimates = {"lambda_max": top[0], **{f"lambda_{rank}": found for rank, found in enumerate(top[1:], start=2)}}
    value, unseen = rayleigh.top[0].ritz_value, krylov.unseen(1 - facts.level)
    estimates["lambda_max_bound"] = Estimate(
        value=value,
        low=value,
        high=value + unseen if math.isfinite(unseen) else None,
        parts=(IntervalPart(kind="bound", low=value, high=value + unseen if math.isfinite(unseen) else None),),
        level=facts.level,
        unit=UNIT,
        direction="lower",
        n=krylov.steps,
    )
    if facts.learning_rate is not None:
        estimates["edge_of_stability"] = _scaled(top[0], facts.learning_rate / 2)
    return Measured(estimates=estimates, details=(_table(rayleigh, top),), caveats=_caveats(krylov, rayleigh, facts))


def _scaled(estimate: Estimate, factor: float) -> Estimate:
    """λ_max · η / 2: full-batch gradient descent at rate η is unstable above 1."""

    def by(bound: float | None) -> float | None:
        return None if bound is None else bound * factor

    return Estimate(
        value=by(estimate.value),
        low=by(estimate.low),
        high=by(estimate.high),
        parts=tuple(IntervalPart(kind=part.kind, low=by(part.low), high=by(part.high)) for part in estimate.parts),
        level=estimate.level,
        unit="dimensionless",
        direction="lower",
        n=estimate.n,
        nonfinite=estimate.nonfinite,
    )


def _caveats(krylov: KrylovSpace, rayleigh: RayleighSample, facts: Facts) -> tuple[str, ...]:
    caveats = []
    worst = max((q.residual for q in rayleigh.top), default=0.0)
    if worst > 0.01 * abs(krylov.ritz_values).max():
        caveats.append(
            f"{krylov.steps} products did not converge every reported eigenvalue: residuals reach {number(worst)}."
        )
    if facts.n_samples < 1000:
        caveats.append(
            f"λ_max of {facts.n_samples} examples is biased upward against that of many; compare like with like."
        )
    return tuple(caveats)


def _table(rayleigh: RayleighSample, top: list[Estimate]) -> Table:
    rows = tuple(
        (rank, q.ritz_value, q.residual, _half(found, "sampling"), q.rounding)
        for rank, (q, found) in enumerate(zip(rayleigh.top, top, strict=True), start=1)
    )
    first = number(rayleigh.top[0].ritz_value)
    return Table(
        name="top",
        title="The largest eigenvalues, and what is uncertain about each",
        finding=f"The sharpest direction has curvature {first}.",
        expected="a few outliers, about as many as classes, above a bulk near zero",
        columns=(
            Column(name="rank", title="Rank"),
            Column(name="value", title="Ritz value", unit=UNIT),
            Column(name="residual", title="Residual ±", unit=UNIT),
            Column(name="sampling", title="Sampling ±", unit=UNIT),
            Column(name="rounding", title="Rounding ±", unit=UNIT),
        ),
        rows=rows,
    )


def _half(estimate: Estimate, kind: str) -> float | None:
    for part in estimate.parts:
        if part.kind == kind and part.low is not None and part.high is not None:
            return (part.high - part.low) / 2
    return None
