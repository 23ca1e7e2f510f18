"""How sharp is the loss in its sharpest direction?"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from landscape_audit.checks.check import check
from landscape_audit.checks.eigenvalue import UNIT, inner, largest
from landscape_audit.detail import Column, Table
from landscape_audit.estimate import Estimate, IntervalPart, Label, spread
from landscape_audit.probes.facts import AuditFacts, Facts
from landscape_audit.probes.krylov import HessianKrylov
from landscape_audit.probes.rayleigh import RayleighSample, RitzRayleigh
from landscape_audit.results import Measured
from landscape_audit.statistics import Mean
from landscape_audit.text import number, percent

if TYPE_CHECKING:
    from landscape_audit.curvature.lanczos import KrylovSpace

CONVERGED = 0.01
"""What the solver may leave open of λ_max, as a share of the largest |Ritz value|: well under any sampling error."""


@check(
    "sharpness",
    HessianKrylov(),
    RitzRayleigh(),
    AuditFacts(),
    version=2,
    title="Largest Hessian eigenvalues",
    question="How sharp is the loss in its sharpest directions?",
    source="Cohen et al. 2021; van Dorsselaer, Hochstenbach & van der Vorst 2000",
)
def sharpness(krylov: KrylovSpace, rayleigh: RayleighSample, facts: Facts) -> Measured:
    """λ_max(H), the curvature of the loss along its steepest direction, and the largest after it. Algebraic, not |λ|.

    From one Lanczos run with full reorthogonalisation. Intervals add three parts: `residual`, what the solver leaves
    open on this sample's Hessian (λ_max: never below the value, and above it no further than a random start can have
    missed at the stated level; the others: an eigenvalue lies inside); `sampling`, what other examples would give at
    the same direction, Student over batches; `rounding`, float32 against float64 at the same direction.
    A sample's λ_max is biased upward, the more the fewer the examples:
    `lambda_max_bias` is what the jackknife over batches sees of that, about half to all, and `lambda_max_corrected`
    is λ_max without it, for a gate that should not depend on the size of the sample.
    λ_max depends on the parametrisation: rescaling layers moves it and no prediction (Dinh et al. 2017).
    """
    first = largest(rayleigh, krylov, facts.level)
    top = [first, *(inner(quotients, facts.level) for quotients in rayleigh.top[1:])]
    estimates = {"lambda_max": first, **{f"lambda_{rank}": found for rank, found in enumerate(top[1:], start=2)}}
    estimates |= _corrected(top[0], rayleigh.bias, facts.level)
    if facts.learning_rate is not None:
        estimates["edge_of_stability"] = _scaled(top[0], facts.learning_rate / 2)
    return Measured(
        estimates=estimates,
        labels={"convergence": _convergence(first, krylov)},
        details=(_table(rayleigh, top),),
        caveats=_caveats(krylov, rayleigh, facts),
    )


def _convergence(top: Estimate, krylov: KrylovSpace) -> Label:
    """Whether what the solver leaves open of λ_max is small beside the spectrum."""
    solver, scale = top.parts[0] if top.parts else None, float(abs(krylov.ritz_values).max())
    if top.value is None or solver is None or solver.high is None:
        return Label(value="undecided", reason="Nothing bounds λ_max from above.", open="residual")
    room = solver.high - top.value
    reason = f"The solver leaves {percent(room / scale if scale else 0.0, 2)} of λ_max open."
    if room <= CONVERGED * scale:
        return Label(value="converged", reason=reason)
    return Label(value="undecided", reason=reason, open="residual")


def _corrected(top: Estimate, bias: Mean, level: float) -> dict[str, Estimate]:
    """The upward bias of a sample's λ_max, and λ_max without it; nothing where too few batches tell."""
    if top.value is None or not math.isfinite(bias.error):
        return {}
    part = spread("sampling", bias.value, bias.half_width(level), bias.folded)
    told = Estimate.within(bias.value, (part,), level=level, unit=UNIT, direction="lower", n=bias.n)
    value = top.value - bias.value
    moved = tuple(_shifted(each, -bias.value) for each in top.parts)
    parts = (*moved, spread("bound", value, abs(bias.value)))  # the jackknife sees about half to all of the bias
    return {
        "lambda_max_bias": told,
        "lambda_max_corrected": Estimate.within(value, parts, level=level, unit=UNIT, direction="lower", n=top.n),
    }


def _shifted(part: IntervalPart, by: float) -> IntervalPart:
    low, high = (None if side is None else side + by for side in (part.low, part.high))
    return IntervalPart(kind=part.kind, low=low, high=high, pieces=tuple(piece + by for piece in part.pieces))


def _scaled(estimate: Estimate, factor: float) -> Estimate:
    """λ_max · η / 2: full-batch gradient descent at rate η is unstable above 1."""
    if estimate.value is None:
        return Estimate.exact(math.nan, unit="dimensionless", direction="lower", n=estimate.n)
    value, parts = estimate.value * factor, tuple(_scaled_part(part, factor) for part in estimate.parts)
    return Estimate.within(value, parts, level=estimate.level, unit="dimensionless", direction="lower", n=estimate.n)


def _scaled_part(part: IntervalPart, factor: float) -> IntervalPart:
    low, high = (None if side is None else side * factor for side in (part.low, part.high))
    return IntervalPart(kind=part.kind, low=low, high=high, pieces=tuple(piece * factor for piece in part.pieces))


def _caveats(krylov: KrylovSpace, rayleigh: RayleighSample, facts: Facts) -> tuple[str, ...]:
    caveats = []
    worst = max((q.residual for q in rayleigh.top), default=0.0)
    if worst > CONVERGED * abs(krylov.ritz_values).max():
        caveats.append(
            f"{krylov.steps} products did not converge every reported eigenvalue: residuals reach {number(worst)}."
        )
    if facts.n_samples < 1000:
        caveats.append(
            f"λ_max of {facts.n_samples} examples is biased upward against that of many (lambda_max_bias): compare "
            "like with like, or gate on lambda_max_corrected."
        )
    return tuple(caveats)


def _table(rayleigh: RayleighSample, top: list[Estimate]) -> Table:
    rows = tuple(
        (rank, q.value, q.residual, _half(found, "sampling"), q.rounding)
        for rank, (q, found) in enumerate(zip(rayleigh.top, top, strict=True), start=1)
    )
    first = number(rayleigh.top[0].value)
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
