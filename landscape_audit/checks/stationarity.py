"""Minimum, saddle, plateau, or still on a slope?"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from landscape_audit.checks.check import check
from landscape_audit.checks.gradient import DISTINGUISHABLE, distinguishable, null_probability
from landscape_audit.checks.negative_curvature import certificate
from landscape_audit.probes.facts import AuditFacts, Facts
from landscape_audit.probes.gradients import BatchGradients, GradientSample
from landscape_audit.probes.instrument import InstrumentSample, InstrumentTrial
from landscape_audit.probes.krylov import HessianKrylov, RayleighSample, RitzRayleigh
from landscape_audit.probes.losses import CheckpointLoss, LossSample
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

SMALL = 0.1
"""A first-order step must pay within this share of the filters' norms to say that the point is not critical."""
LARGE = 0.3
"""A plateau must stay level out to this share."""


@dataclass(frozen=True)
class Evidence:
    """Every number that the decision looks at. Losses and their differences are in units of loss."""

    loss: float
    delta: float
    """What is worth having: a share of the loss, never less than rounding leaves of a difference."""
    gradient_real: bool | None
    gradient_norm: float
    probability: float
    slope_drop: Point
    """The lowest point within SMALL of a step whose worth is the gradient's own."""
    best_drop: Point
    """The lowest point of every walk, at any radius."""
    lambda_min: Estimate
    lambda_max: Estimate
    unseen: float
    rounding: float
    radius: float
    escape: Escape | None
    level_out_to: float
    """The largest share of the filters' norms within which no walk moves the loss by more than δ."""
    rises_on_top: bool

    @property
    def certainly_negative(self) -> bool:
        """vᵀHv below zero with its whole interval."""
        return self.lambda_min.high is not None and self.lambda_min.high < 0

    @property
    def certainly_concave(self) -> bool:
        """λ_max below zero, what was not found included."""
        top = self.lambda_max.high
        return top is not None and top + self.unseen < 0

    @property
    def certainly_convex_on_top(self) -> bool:
        """λ_max above zero with its whole interval."""
        return self.lambda_max.low is not None and self.lambda_max.low > 0

    @property
    def curvature_worth(self) -> float:
        """½ |λ|_max r² at the small radius: the most that curvature can do there."""
        ends = (self.lambda_min.value or 0.0, self.lambda_max.value or 0.0)
        return 0.5 * max(map(abs, ends)) * (SMALL * self.radius) ** 2

    @property
    def gradient_worth(self) -> float:
        """|g| r at the small radius: the most that the gradient can do there."""
        return self.gradient_norm * SMALL * self.radius

    @property
    def hidden_worth(self) -> float:
        """½ |λ| r² for the most negative λ that rounding could hide: what float32 cannot rule out."""
        hidden = max(0.0, self.rounding - (self.lambda_min.value or 0.0)) if not self.certainly_negative else 0.0
        return 0.5 * min(hidden, 2 * self.rounding) * (SMALL * self.radius) ** 2


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
    curvature is certain and leaving along it pays. `approximate_minimum`: negative curvature is certain and does not
    pay. `minimum`: none is certain, no step pays, and the loss rises along the top. `plateau`: nothing moves the loss.
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
    from landscape_audit.checks.eigenvalue import eigenvalue

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
        lambda_max=eigenvalue(rayleigh.top[0], facts.level, extreme="top", direction="lower"),
        unseen=krylov.unseen(1 - facts.level),
        rounding=rayleigh.bottom.rounding,
        radius=facts.radius,
        escape=escape,
        level_out_to=min(moved, default=1.0),
        rises_on_top=_rises(top, trial.loss_noise),
    )


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


@dataclass(frozen=True)
class Branch:
    """One class of the decision, whether its conditions hold, and the sentence that says why."""

    name: str
    holds: bool
    reason: str


def decide(seen: Evidence) -> tuple[Branch, ...]:
    """Every class in the order of the decision, the first that holds is the answer; `undecided` always holds."""
    rules: tuple[tuple[str, Callable[[Evidence], tuple[bool, str]]], ...] = (
        ("maximum", _maximum),
        ("not_critical", _not_critical),
        ("saddle", _saddle),
        ("plateau", _plateau),
        ("degenerate", _degenerate),
        ("approximate_minimum", _approximate_minimum),
        ("minimum", _minimum),
        ("undecided", _undecided),
    )
    return tuple(Branch(name, *rule(seen)) for name, rule in rules)


def _worth(drop: float, seen: Evidence) -> str:
    return f"{number(drop)} of loss, {'more' if drop > seen.delta else 'not more'} than δ = {number(seen.delta)}"


def _maximum(seen: Evidence) -> tuple[bool, str]:
    top = "no bound" if seen.lambda_max.high is None else number(seen.lambda_max.high + seen.unseen)
    critical = seen.gradient_worth <= seen.delta or not seen.gradient_real
    return seen.certainly_concave and critical, f"All curvature is negative only if λ_max is; it reaches up to {top}."


def _not_critical(seen: Evidence) -> tuple[bool, str]:
    drop = seen.slope_drop.drop
    real = "real" if seen.gradient_real else "not told from noise"
    return (
        bool(seen.gradient_real) and drop > seen.delta,
        f"A first-order step within {number(100 * SMALL)} % of the filters' norms lowers the loss by "
        f"{_worth(drop, seen)}; the mean gradient is {real} (p = {number(seen.probability, 2)}, "
        f"threshold {DISTINGUISHABLE}).",
    )


def _saddle(seen: Evidence) -> tuple[bool, str]:
    if seen.escape is None:
        return False, "No negative Ritz value: there is nothing to leave along."
    certain = "certain" if seen.certainly_negative else "not certain"
    return (
        seen.certainly_negative and seen.escape.worth > seen.delta,
        f"Negative curvature is {certain} (vᵀHv = {number(seen.lambda_min.value)}); leaving along it and descending "
        f"ends lower than the same descent without leaving by {_worth(seen.escape.worth, seen)}.",
    )


def _vanishing(seen: Evidence) -> bool:
    return seen.gradient_worth <= seen.delta and seen.curvature_worth <= seen.delta and not seen.certainly_negative


def _plateau(seen: Evidence) -> tuple[bool, str]:
    return (
        seen.gradient_worth <= seen.delta and seen.curvature_worth <= seen.delta and seen.level_out_to >= LARGE,
        f"Within {number(100 * SMALL)} % the gradient is worth at most {number(seen.gradient_worth)} and curvature "
        f"{number(seen.curvature_worth)}; the loss stays within δ out to {number(100 * seen.level_out_to)} %.",
    )


def _degenerate(seen: Evidence) -> tuple[bool, str]:
    return (
        _vanishing(seen) and seen.best_drop.drop > seen.delta,
        "Where gradient and curvature vanish a step that pays shows what the second-order test cannot; the best step "
        f"lowers the loss by {_worth(seen.best_drop.drop, seen)}.",
    )


def _approximate_minimum(seen: Evidence) -> tuple[bool, str]:
    worth = seen.escape.worth if seen.escape else 0.0
    critical = not (seen.gradient_real and seen.slope_drop.drop > seen.delta)
    return (
        seen.certainly_negative and critical and worth <= seen.delta and seen.rises_on_top,
        f"Negative curvature (vᵀHv = {number(seen.lambda_min.value)}) is worth {number(worth)} of loss, δ is "
        f"{number(seen.delta)}: second-order stationary to that tolerance.",
    )


def _minimum(seen: Evidence) -> tuple[bool, str]:
    rises = "rises" if seen.rises_on_top else "does not rise"
    return (
        not seen.certainly_negative
        and seen.best_drop.drop <= seen.delta
        and seen.hidden_worth <= seen.delta
        and seen.certainly_convex_on_top
        and seen.rises_on_top,
        f"No certain negative curvature (vᵀHv = {number(seen.lambda_min.value)}); the best of all steps lowers the "
        f"loss by {_worth(seen.best_drop.drop, seen)}; the loss {rises} along the top; rounding could hide "
        f"curvature worth {number(seen.hidden_worth)}.",
    )


def _undecided(seen: Evidence) -> tuple[bool, str]:
    if seen.hidden_worth > seen.delta:
        return True, "Rounding could hide negative curvature that matters: audit with --dtype float64."
    if seen.best_drop.drop > seen.delta and not seen.gradient_real:
        return True, "A step lowers this sample's loss, but its gradient may be noise: audit more examples."
    if not seen.rises_on_top:
        return True, "The loss neither falls by δ nor rises along the top of the spectrum: audit with --dtype float64."
    return True, "The evidence fits no class: more Lanczos steps or more examples may settle it (--preset thorough)."


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
