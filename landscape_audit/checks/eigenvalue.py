"""An eigenvalue as an estimate: what the solver, the data and the arithmetic leave open, each by name."""

from __future__ import annotations

from landscape_audit.probes.krylov import RayleighQuotients
from landscape_audit.results import Direction, Estimate, IntervalPart, spread
from landscape_audit.statistics import weighted_mean

UNIT = "loss per unit of parameter²"


def eigenvalue(quotients: RayleighQuotients, level: float, *, extreme: str = "", direction: Direction) -> Estimate:
    """The Ritz value with its residual, sampling and rounding parts.

    An outermost Ritz value (`extreme` is "top" or "bottom") lies inside the spectrum, so its residual part has one
    side only.
    """
    value, residual = quotients.ritz_value, quotients.residual
    inner = IntervalPart(
        kind="residual",
        low=value if extreme == "top" else value - residual,
        high=value if extreme == "bottom" else value + residual,
    )
    sampling = weighted_mean(quotients.forms, quotients.weights).half_width(level)
    parts = (inner, spread("sampling", value, sampling), spread("rounding", value, quotients.rounding))
    return Estimate.within(value, parts, level=level, unit=UNIT, direction=direction, n=len(quotients.forms))
