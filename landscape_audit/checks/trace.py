"""How much curvature is there in all?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from landscape_audit.checks.check import check
from landscape_audit.checks.eigenvalue import UNIT
from landscape_audit.detail import Column, Table
from landscape_audit.estimate import Estimate, spread
from landscape_audit.probes.facts import AuditFacts, Facts
from landscape_audit.probes.krylov import HessianKrylov, KrylovTrace, TraceFound
from landscape_audit.results import Measured

if TYPE_CHECKING:
    from landscape_audit.curvature.lanczos import KrylovSpace


@check(
    "trace",
    KrylovTrace(),
    HessianKrylov(),
    AuditFacts(),
    version=1,
    title="Trace and effective rank",
    question="How much curvature is there in all, and over how many directions is it spread?",
    source="Hutchinson 1989; Meyer, Musco, Musco & Woodruff 2021",
)
def trace(found: TraceFound, krylov: KrylovSpace, facts: Facts) -> Measured:
    """tr H, the sum of all eigenvalues: exact on the Krylov space, random signs on what lies outside it.

    Unbiased; the interval is Student's over the random probes and says nothing about other data. `effective_rank` is
    tr H / λ_max, the number of equally sharp directions that would make this trace (an intrinsic dimension only
    where H has no negative part); `mean_eigenvalue` is tr H / P.
    """
    mean = found.whole
    value, half = mean.value, mean.half_width(facts.level)
    top = float(krylov.ritz_values[-1])

    def estimate(scale: float, unit: str) -> Estimate:
        pieces = tuple(piece * scale for piece in mean.folded)
        part = spread("probe", value * scale, half * abs(scale), pieces)
        return Estimate.within(
            value * scale, (part,), level=facts.level, unit=unit, direction="lower", n=len(found.outside)
        )

    estimates = {"trace": estimate(1.0, UNIT), "mean_eigenvalue": estimate(1.0 / found.space.basis.size, UNIT)}
    if top > 0:
        estimates["effective_rank"] = estimate(1.0 / top, "directions")
    table = Table(
        name="parts",
        title="Where the trace comes from",
        finding=f"The Krylov space of {found.space.steps} directions is exact; the other directions are sampled.",
        columns=(Column(name="part", title="Part"), Column(name="value", title="Trace", unit=UNIT)),
        rows=(
            ("inside the Krylov space", found.inside.whole),
            *((f"random probe {index} outside it", probe.whole) for index, probe in enumerate(found.outside, start=1)),
        ),
    )
    caveat = "" if found.space.complete else "The interval covers the random probes, not the choice of examples."
    return Measured(estimates=estimates, details=(table,), caveats=(caveat,) if caveat else ())
