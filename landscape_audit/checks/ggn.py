"""How much of the curvature is there because of the loss, and how much because the network bends?"""

from __future__ import annotations

from landscape_audit.checks.check import check
from landscape_audit.checks.eigenvalue import UNIT
from landscape_audit.detail import Column, Table
from landscape_audit.estimate import Estimate, IntervalPart, spread
from landscape_audit.probes.facts import AuditFacts, Facts
from landscape_audit.probes.gauss_newton import GaussNewtonKrylov, GaussNewtonSample, NoGaussNewton
from landscape_audit.probes.rayleigh import RayleighSample, RitzRayleigh
from landscape_audit.results import Measured, NotApplicable
from landscape_audit.statistics import ratio, weighted_mean
from landscape_audit.text import number, percent


@check(
    "ggn",
    GaussNewtonKrylov(),
    RitzRayleigh(),
    AuditFacts(),
    version=1,
    title="Gauss-Newton part of the Hessian",
    question="How much of the sharpness would remain if the network were linear in its weights?",
    source="Martens 2020; Sagun et al. 2017",
)
def ggn(sample: GaussNewtonSample | NoGaussNewton, rayleigh: RayleighSample, facts: Facts) -> Measured | NotApplicable:
    """λ_max(G) of the Gauss-Newton part G = Σ Jᵀ(∇²ℓ)J, and how much of H it explains along H's top eigenvectors.

    H = G + R, where R holds the network's own second derivatives times the loss's slope; near an interpolating
    minimum R vanishes, and for a loss convex in the outputs G has no negative eigenvalue: all negative curvature is
    R's. `lambda_max` is a Ritz value, a lower bound, with the sampling interval at H's top direction.
    `explained` is yᵀGy / yᵀHy at the top Ritz vector y of H, with the standard error of a ratio over batches; it may
    exceed one, where R curves down there.
    """
    if isinstance(sample, NoGaussNewton):
        return NotApplicable(reason=sample.reason)
    top = rayleigh.top[0]
    share = ratio(sample.by_batch, top.forms, sample.weights)
    mean = weighted_mean(sample.by_batch, sample.weights)
    value = sample.lambda_max
    parts = (
        IntervalPart(kind="bound", low=value, high=None),  # not from a random start: nothing bounds it from above
        spread("sampling", value, mean.half_width(facts.level), mean.folded),
        spread("rounding", value, top.rounding),
    )
    explained = spread("sampling", share.value, share.half_width(facts.level), share.folded)
    return Measured(
        estimates={
            "lambda_max": Estimate.within(value, parts, level=facts.level, unit=UNIT, direction="lower", n=mean.n),
            "explained": Estimate.within(
                share.value, (explained,), level=facts.level, unit="share of λ_max(H)", n=mean.n
            ),
        },
        details=(_table(sample, rayleigh),),
        caveats=_caveats(sample),
    )


def _caveats(sample: GaussNewtonSample) -> tuple[str, ...]:
    if sample.lambda_min < -1e-3 * abs(sample.lambda_max):
        found = number(sample.lambda_min)
        return (f"G has a negative eigenvalue, {found} or lower: the loss is not convex in the outputs.",)
    return ()


def _table(sample: GaussNewtonSample, rayleigh: RayleighSample) -> Table:
    rows = tuple(
        (rank, h.value, g, g / h.value if h.value else None)
        for rank, (h, g) in enumerate(zip(rayleigh.top, sample.forms, strict=True), start=1)
    )
    share = rows[0][3]
    told = percent(share, 3) if share is not None else "nothing"
    return Table(
        name="explained",
        title="The Gauss-Newton part along the Hessian's top eigenvectors",
        finding=f"Along the sharpest direction the Gauss-Newton part explains {told} of the curvature.",
        expected="close to 100 % at the end of training, less where the loss still has slope",
        columns=(
            Column(name="rank", title="Rank"),
            Column(name="hessian", title="yᵀHy", unit=UNIT),
            Column(name="gauss_newton", title="yᵀGy", unit=UNIT),
            Column(name="share", title="Share"),
        ),
        rows=rows,
    )
