"""Minimum, saddle, plateau, or still on a slope?"""

from __future__ import annotations

import math

from landscape_audit.checks.activations import reason_of as reason_of_units
from landscape_audit.checks.check import check
from landscape_audit.checks.classification import decide, undecided
from landscape_audit.checks.data import reason_of as reason_of_sample
from landscape_audit.checks.evidence import Evidence, gather
from landscape_audit.detail import Axis, Line, Mark, Series, Step
from landscape_audit.estimate import UNDECIDED, Estimate, IntervalKind, Label, finite_or_none, spread
from landscape_audit.ids import in_words
from landscape_audit.probes.causes import Causes, CausesFound
from landscape_audit.probes.surroundings import Around, InDouble, Surroundings
from landscape_audit.probes.walks import Walk
from landscape_audit.results import Measured
from landscape_audit.text import count, number


@check(
    "stationarity",
    Around(),
    InDouble(),
    Causes(),
    version=2,
    title="Where the checkpoint sits",
    question="Minimum, saddle, plateau, or still on a slope?",
    source="Nesterov & Polyak 2006; Jin et al. 2017 (second-order stationarity); Gould et al. 1999 (trust region)",
)
def stationarity(here: Surroundings, double: Surroundings | None, causes: CausesFound) -> Measured:
    """The class of the point, in units of loss: what would it be worth to leave?

    Nearly every trained network has some negative curvature, and float32 cannot see an eigenvalue below rounding; so
    a second-order test alone misleads. A change counts when it is worth δ: 1 % of the loss, never less than the
    rounding of a loss difference. Steps along −g, ±v_min, ±v_max, a random direction, and the best steps of the
    quadratic model are *taken* at 0.1 % to 100 % of the filters' norms, and the loss is measured there. Leaving along
    v_min is followed by a short descent and compared with the same descent from the checkpoint.

    `not_critical`: a first-order step pays, and the mean gradient is real. `saddle`: not that, but negative
    curvature is certain and leaving along it pays. `approximate_minimum`: negative curvature is seen on this sample
    beyond rounding, and does not pay. `minimum`: none is seen, what rounding hides and the runs have missed is not
    worth δ, nothing that was visited is lower by δ, and the loss rises along the top. `plateau`: nothing moves the
    loss by δ; the reason names what could be behind that. `maximum`: critical, and curvature certainly negative in all
    directions. `degenerate`: gradient and curvature vanish, yet some step pays. `undecided`: the reason says what
    would settle it. Every condition is in the detail `decision` with its number, its limit and its interval.

    Where curvature that no run has seen could be worth δ and the class turns on it, the Lanczos run goes on, and up to
    two fresh random starts follow, with `lanczos_steps` more products at most; a lower vector is certified, walked and
    escaped along. k starts miss with the product of their chances, and 1 − level is shared by all looks. Below 100 000
    parameters, where float32's rounding leaves the class open, everything is measured again in float64, and that
    decides. None of this is planned, and it costs nothing where it is not needed.
    """
    deciding = here if double is None else double
    evidence = gather(deciding)
    decision = decide(evidence)
    label = _class(decision.taken, undecided(evidence)[1] if double is None else None, _cause(causes, deciding))
    return Measured(
        estimates={
            "delta": Estimate.exact(evidence.delta, unit="loss"),
            "best_drop": _best_drop(evidence),
            "escape_worth": _escape_worth(evidence),
        },
        labels={"class": label},
        details=(decision, _descents(deciding, evidence)),
        caveats=(
            "The class is of the audited loss on the audited sample. The minimum of a training loss, or of a loss with "
            "weight decay, is usually not critical for a validation loss without it.",
            *_how(here, double, label),
        ),
    )


def _class(taken: Step, open_for: IntervalKind | None, cause: str) -> Label:
    if taken.name == UNDECIDED:
        return Label(value=taken.name, reason=taken.reason, open=open_for)
    explained = taken.name in {"plateau", "degenerate"}
    return Label(value=taken.name, reason=f"{taken.reason} {cause}".strip() if explained else taken.reason)


def _cause(causes: CausesFound, seen: Surroundings) -> str:
    """What the units and the sample say of why nothing moves the loss."""
    found = [reason_of_units(causes.units)] if causes.units else []
    if causes.sample:
        found.append(reason_of_sample(*causes.sample, seen.loss, seen.facts))
    told = [f"{label.value}: {label.reason}" for label in found if label.value != "none"]
    return f"What could be behind it: {' '.join(told)}" if told else ""


def _how(here: Surroundings, double: Surroundings | None, label: Label) -> tuple[str, ...]:
    """What was measured beyond the plan."""
    told, starts = [], (double or here).starts
    if double is not None:
        before, after = in_words(decide(gather(here)).taken.name), in_words(label.value)
        told.append(f"Measured again in float64, which decides: {after}; in float32 it was {before}.")
    if more := sum(starts.steps) - (double or here).krylov.steps:
        found = "found a lower one" if starts.lower else "found none lower"
        told.append(
            f"{count(more, 'product')} more in search of negative curvature, from {count(len(starts.steps), 'start')} "
            f"in all, {found}."
        )
    return tuple(told)


def _paired(value: float, half: float, seen: Evidence, n: int) -> Estimate:
    part = spread("sampling", value, half)
    return Estimate.within(value, (part,), level=seen.level, unit="loss", direction="lower", n=n)


def _best_drop(seen: Evidence) -> Estimate:
    return _paired(max(0.0, seen.best_drop.drop), seen.half(seen.best_drop), seen, seen.best_drop.rise.n)


def _escape_worth(seen: Evidence) -> Estimate:
    if seen.escape is None:
        return Estimate.exact(0.0, unit="loss", direction="lower")
    return _paired(seen.escape.worth, seen.half_of_escape, seen, seen.escape.end.rise.n)


def _descents(around: Surroundings, seen: Evidence) -> Line:
    """The best that each kind of step does at each radius."""
    series = [
        Series(name=walk.direction, x=tuple(radii), y=tuple(drops))
        for walk in around.walks
        for radii, drops in [_best_by_radius(walk)]
    ]
    if around.trust_region:
        radii = tuple(step.measured.radius for step in around.trust_region)
        measured = tuple(finite_or_none(step.measured.drop) for step in around.trust_region)
        promised = tuple(step.promised for step in around.trust_region)
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
