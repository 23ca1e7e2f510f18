"""Minimum, saddle, plateau, or still on a slope?"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from landscape_audit.checks.check import check
from landscape_audit.checks.classification import SMALL, Branch, Evidence, decide
from landscape_audit.checks.eigenvalue import largest, smallest
from landscape_audit.checks.gradient import distinguishable, null_probability
from landscape_audit.checks.negative_curvature import certificate
from landscape_audit.probes.facts import AuditFacts, Facts
from landscape_audit.probes.gradients import BatchGradients, GradientSample
from landscape_audit.probes.instrument import InstrumentSample, InstrumentTrial
from landscape_audit.probes.krylov import HessianKrylov
from landscape_audit.probes.losses import CheckpointLoss, LossSample
from landscape_audit.probes.rayleigh import RayleighSample, RitzRayleigh
from landscape_audit.probes.walks import (
    Escape,
    NegativeCurvatureEscape,
    Point,
    Slices,
    TrustRegion,
    TrustRegionPoint,
    Walk,
)
from landscape_audit.results import (
    Axis,
    Column,
    Estimate,
    Label,
    Line,
    Mark,
    Measured,
    Series,
    Table,
    finite_or_none,
    spread,
)
from landscape_audit.text import number

if TYPE_CHECKING:
    from landscape_audit.curvature.lanczos import KrylovSpace


@check(
    "stationarity",
    CheckpointLoss(),
    BatchGradients(),
    HessianKrylov(),
    RitzRayleigh(),
    Slices(),
    TrustRegion(),
    NegativeCurvatureEscape(),
    InstrumentTrial(),
    AuditFacts(),
    version=1,
    title="Where the checkpoint sits",
    question="Minimum, saddle, plateau, or still on a slope?",
    source="Nesterov & Polyak 2006; Jin et al. 2017 (second-order stationarity); Gould et al. 1999 (trust region)",
)
def stationarity(
    loss: LossSample,
    gradients: GradientSample,
    krylov: KrylovSpace,
    rayleigh: RayleighSample,
    slices: tuple[Walk, ...],
    trust_region: tuple[TrustRegionPoint, ...],
    escape: Escape | None,
    trial: InstrumentSample,
    facts: Facts,
) -> Measured:
    """The class of the point, in units of loss: what would it be worth to leave?

    Nearly every trained network has some negative curvature, and float32 cannot see an eigenvalue below rounding; so
    a second-order test alone misleads. A change counts when it is worth δ: 1 % of the loss, never less than the
    rounding of a loss difference. Steps along −g, ±v_min, ±v_max, a random direction, and the best steps of the
    quadratic model are *taken* at 0.1 % to 100 % of the filters' norms, and the loss is measured there. Leaving along
    v_min is followed by a short descent and compared with the same descent from the checkpoint.

    `not_critical`: a first-order step pays, and the mean gradient is real. `saddle`: not that, but negative
    curvature is certain and leaving along it pays. `approximate_minimum`: negative curvature is seen beyond
    rounding and does not pay. `minimum`: none is seen, no step pays, and the loss rises along the top. `plateau`:
    nothing moves the loss.
    `maximum`: curvature is certainly negative in all directions. `degenerate`: gradient and curvature vanish, yet
    some step pays. `undecided`: what would settle it is in the reason.
    """
    seen = gather(loss, gradients, krylov, rayleigh, slices, trust_region, escape, trial, facts)
    branches = decide(seen)
    taken = next(branch for branch in branches if branch.holds)
    estimates = {"delta": Estimate.exact(seen.delta, unit="loss"), "best_drop": _drop(seen.best_drop, facts)}
    if escape is not None:
        estimates["escape_worth"] = _escape_worth(escape, facts)
    else:
        estimates["escape_worth"] = Estimate.exact(0.0, unit="loss", direction="lower")
    return Measured(
        estimates=estimates,
        labels={"class": Label(value=taken.name, reason=taken.reason)},
        details=(_branches(branches), _descents(slices, trust_region, seen)),
        caveats=(
            "The class is of the audited loss on the audited sample. The minimum of a training loss, or of a loss with "
            "weight decay, is usually not critical for a validation loss without it.",
        ),
    )


def gather(
    loss: LossSample,
    gradients: GradientSample,
    krylov: KrylovSpace,
    rayleigh: RayleighSample,
    slices: tuple[Walk, ...],
    trust_region: tuple[TrustRegionPoint, ...],
    escape: Escape | None,
    trial: InstrumentSample,
    facts: Facts,
) -> Evidence:
    """What the probes say, in the terms of the decision."""
    value = loss.evaluation.loss
    delta = max(facts.materiality * abs(value), trial.loss_noise)
    probability = null_probability(gradients)
    down = [walk for walk in slices if walk.direction == "-g"]
    first_order = [point for walk in down for point in walk.points if 0 <= point.radius <= SMALL]
    first_order += [s.measured for s in trust_region if s.slope_share > delta and s.measured.radius <= SMALL]
    steps = [point for walk in slices for point in walk.points] + [step.measured for step in trust_region]
    top = next(walk for walk in slices if walk.direction == "v_max")
    moved = [abs(point.radius) for point in steps if not abs(point.rise.value) <= delta]
    real = distinguishable(gradients, probability)
    return Evidence(
        loss=value,
        delta=delta,
        gradient_real=gradients.norm * facts.radius > trial.loss_noise if real is None else real,
        gradient_norm=gradients.norm,
        probability=probability,
        slope_drop=max(first_order, key=_dropped, default=_here(top)),
        best_drop=max(steps, key=_dropped),
        lambda_min=certificate(rayleigh, facts.level),
        lambda_min_floor=_floor(smallest(rayleigh, krylov, facts.level)),
        lambda_max=largest(rayleigh, krylov, facts.level),
        rounding=rayleigh.bottom.rounding,
        radius=facts.radius,
        escape=escape,
        level_out_to=min(moved, default=1.0),
        rises_on_top=_rises(top, trial.loss_noise),
    )


def _floor(lambda_min: Estimate) -> float:
    solver = lambda_min.parts[0]
    return -math.inf if solver.low is None else solver.low


def _dropped(point: Point) -> float:
    return point.drop


def _here(walk: Walk) -> Point:
    return next(point for point in walk.points if point.radius == 0)


def _rises(walk: Walk, noise: float) -> bool:
    """Whether the loss is higher on both sides somewhere within SMALL, by more than rounding."""
    sides = [
        max((p.rise.value for p in walk.points if 0 < sign * p.radius <= SMALL), default=-math.inf) for sign in (1, -1)
    ]
    return min(sides) > noise


def _drop(point: Point, facts: Facts) -> Estimate:
    value = max(0.0, point.drop)
    part = spread("sampling", value, point.rise.half_width(facts.level) if point.radius else 0.0)
    return Estimate.within(value, (part,), level=facts.level, unit="loss", direction="lower", n=point.rise.n)


def _escape_worth(escape: Escape, facts: Facts) -> Estimate:
    half = math.hypot(escape.end.rise.half_width(facts.level), escape.control.rise.half_width(facts.level))
    part = spread("sampling", escape.worth, half)
    return Estimate.within(
        escape.worth, (part,), level=facts.level, unit="loss", direction="lower", n=escape.end.rise.n
    )


def _branches(branches: tuple[Branch, ...]) -> Table:
    taken = next(branch.name for branch in branches if branch.holds)
    return Table(
        name="branches",
        title="The decision",
        finding=f"The first class whose conditions hold is {taken}.",
        columns=(
            Column(name="class", title="Class"),
            Column(name="holds", title="Holds"),
            Column(name="evidence", title="Evidence"),
        ),
        rows=tuple((branch.name, branch.holds, branch.reason) for branch in branches),
    )


def _descents(slices: tuple[Walk, ...], trust_region: tuple[TrustRegionPoint, ...], seen: Evidence) -> Line:
    """The best that each kind of step does at each radius."""
    series = [
        Series(name=walk.direction, x=tuple(radii), y=tuple(drops))
        for walk in slices
        for radii, drops in [_best_by_radius(walk)]
    ]
    if trust_region:
        radii = tuple(step.measured.radius for step in trust_region)
        measured = tuple(finite_or_none(step.measured.drop) for step in trust_region)
        promised = tuple(step.promised for step in trust_region)
        series.append(Series(name="trust region", x=radii, y=measured))
        series.append(Series(name="trust region, promised", role="predicted", x=radii, y=promised))
    return Line(
        name="descents",
        title="What leaving is worth, by distance",
        finding=f"The best of all steps lowers the loss by {number(max(0.0, seen.best_drop.drop))}; "
        f"a change counts from δ = {number(seen.delta)}.",
        expected="no curve reaches δ",
        x=Axis(label="Length of the step", unit="share of the filters' norms", scale="log"),
        y=Axis(label="Loss gained", unit="loss", scale="symlog"),
        series=tuple(series),
        marks=(Mark(label="δ", y=seen.delta),),
    )


def _best_by_radius(walk: Walk) -> tuple[list[float], list[float | None]]:
    best: dict[float, float] = {}
    for point in walk.points:
        if point.radius:
            best[abs(point.radius)] = max(best.get(abs(point.radius), -math.inf), point.drop)
    return sorted(best), [finite_or_none(best[radius]) for radius in sorted(best)]
