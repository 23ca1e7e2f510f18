"""Does the loss curve down somewhere, and is that worth anything?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from landscape_audit.checks.check import check
from landscape_audit.checks.eigenvalue import UNIT, smallest
from landscape_audit.checks.walk_line import Noise, telling, walk_line
from landscape_audit.estimate import Estimate, IntervalPart, Label, spread
from landscape_audit.probes.facts import AuditFacts, Facts
from landscape_audit.probes.instrument import InstrumentSample, InstrumentTrial
from landscape_audit.probes.krylov import HessianKrylov
from landscape_audit.probes.rayleigh import RayleighQuotients, RayleighSample, RitzRayleigh
from landscape_audit.probes.walks import Slices, Walk
from landscape_audit.results import Measured
from landscape_audit.statistics import weighted_mean
from landscape_audit.text import number

if TYPE_CHECKING:
    from landscape_audit.curvature.lanczos import KrylovSpace


@check(
    "negative_curvature",
    HessianKrylov(),
    RitzRayleigh(),
    Slices(),
    InstrumentTrial(),
    AuditFacts(),
    version=2,
    title="Negative curvature",
    question="Is there a direction in which the loss curves down, and how much lower does it get there?",
    source="Bai et al. 2000 (residual); van Dorsselaer, Hochstenbach & van der Vorst 2000 (what was not found)",
)
def negative_curvature(
    krylov: KrylovSpace,
    rayleigh: RayleighSample,
    slices: tuple[Walk, ...],
    trial: InstrumentSample,
    facts: Facts,
) -> Measured:
    """λ_min(H) with a certificate, and the loss measured along ±v.

    `lambda_min` is vᵀHv at the lowest Ritz vector: never below the true λ_min but for rounding, and above it no
    further than a random start can have missed at the stated level (`residual`). `rayleigh` is the same with sampling
    and rounding only: negative with its whole interval *proves* negative curvature, whatever the solver did. Where
    products are differences of gradients nothing proves it, and the interval stays open above. `drop` is the largest
    fall of the loss measured within 10 % along ±v, with its paired standard error over batches.
    """
    lambda_min = smallest(rayleigh, krylov, facts.level)
    quotient = certificate(rayleigh.bottom, facts.level, exact=rayleigh.exact)
    walk = next(walk for walk in slices if walk.direction == "v_min")
    best = walk.best(reach=0.1)
    estimates = {
        "lambda_min": lambda_min,
        "rayleigh": quotient,
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
        reach=min(0.3, telling(walk)),
        noise=Noise(facts.level, trial.loss_noise),
    )
    return Measured(estimates=estimates, labels={"certainty": Label(value=word, reason=reason)}, details=(line,))


def certificate(bottom: RayleighQuotients, level: float, *, exact: bool) -> Estimate:
    """vᵀHv at the lowest Ritz vector, with what other examples and rounding could make of it."""
    mean = weighted_mean(bottom.forms, bottom.weights)
    rounding = spread("rounding", mean.value, bottom.rounding)
    if not exact:  # differences once made λ_min = −9 of −0.2: they may support λ_max, never this
        rounding = IntervalPart(kind="rounding", low=rounding.low, high=None)
    parts = (spread("sampling", mean.value, mean.half_width(level), mean.folded), rounding)
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
