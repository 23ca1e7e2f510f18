"""How far can the weights move before the loss notices?"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from landscape_audit.checks.check import check
from landscape_audit.checks.walk_line import RADIUS
from landscape_audit.probes.facts import AuditFacts, Facts
from landscape_audit.probes.perturbations import (
    Ascent,
    BallAscent,
    Cloud,
    FlatnessSample,
    RandomPerturbation,
    WorstCase,
)
from landscape_audit.results import (
    Axis,
    Column,
    Direction,
    Estimate,
    IntervalPart,
    Line,
    Mark,
    Measured,
    Series,
    Table,
    finite_or_none,
    spread,
)
from landscape_audit.text import number

TOLERATED = 0.10
"""The rise, as a share of the loss, at which the tolerance is read off."""


@check(
    "flatness",
    RandomPerturbation(),
    BallAscent(),
    AuditFacts(),
    version=1,
    title="Flatness under perturbation",
    question="How far can the weights move, at random or at worst, before the loss rises?",
    source="Li et al. 2018 (filter normalisation); Foret et al. 2021 (SAM); Kwon et al. 2021 (ASAM)",
)
def flatness(sample: FlatnessSample, worst: WorstCase, facts: Facts) -> Measured:
    """The mean rise of the loss under random filter-normalised perturbations, and the worst within two balls.

    `rise@σ` is E L(θ + σ d) − L(θ): every filter is moved by σ times its own norm in a random direction, biases and
    normalisation are not; antithetic pairs, Student over the draws. `tolerance` is the σ at which the loss has risen
    by 10 %, read between the radii on the curve and on both edges of its interval. `metric@σ` is what is kept of the
    metric. `worst_case` (|ε| ≤ 0.05) and `worst_case_adaptive` (each weight by its own size, ≤ 0.5) are the highest
    losses found by ascent: lower bounds of the true maximum, never below the one-step SAM value.
    """
    estimates: dict[str, Estimate] = {}
    for cloud in sample.clouds:
        estimates[f"rise@{cloud.sigma:g}"] = _probe(cloud.rise.value, cloud.rise.half_width(facts.level), facts, cloud)
    for cloud in sample.clouds:
        kept = cloud.metric
        if kept is not None:
            found = _probe(kept.value, kept.half_width(facts.level), facts, cloud, unit="share", direction="higher")
            estimates[f"metric@{cloud.sigma:g}"] = found
    caveats = []
    target = TOLERATED * abs(sample.loss)
    if target > 0 and sample.clouds:
        estimates["tolerance"] = tolerance(sample.clouds, target, facts.level)
    else:
        caveats.append("The loss is zero: a rise of 10 % of it has no meaning, so there is no tolerance.")
    estimates["worst_case"] = _lower_bound(worst.raw)
    estimates["worst_case_adaptive"] = _lower_bound(worst.adaptive)
    return Measured(
        estimates=estimates,
        details=(_curve(sample, target, facts), _balls(worst)),
        caveats=tuple(caveats),
    )


def _probe(
    value: float, half: float, facts: Facts, cloud: Cloud, *, unit: str = "loss", direction: Direction = "lower"
) -> Estimate:
    part = spread("probe", value, half)
    return Estimate.within(value, (part,), level=facts.level, unit=unit, direction=direction, n=len(cloud.rises))


def _lower_bound(ascent: Ascent) -> Estimate:
    part = IntervalPart(kind="bound", low=finite_or_none(ascent.rise), high=None)
    return Estimate.within(ascent.rise, (part,), unit="loss", direction="lower")


def tolerance(clouds: Sequence[Cloud], target: float, level: float) -> Estimate:
    """Where the curve of mean rises reaches `target`; its interval is where the curve's two edges do."""
    sigmas = [cloud.sigma for cloud in clouds]
    half = [cloud.rise.half_width(level) for cloud in clouds]

    def crossing(shift: Callable[[float], float]) -> float | None:
        return _crossing(sigmas, [c.rise.value + shift(h) for c, h in zip(clouds, half, strict=True)], target)

    value, early, late = crossing(lambda _: 0.0), crossing(lambda h: h), crossing(lambda h: -h)
    unit = "share of the filters' norms"
    if value is None:
        beyond = IntervalPart(kind="bound", low=sigmas[-1] if early is None else early, high=None)
        return Estimate.within(
            sigmas[-1], (beyond,), level=level, unit=unit, direction="higher", n=len(clouds[0].rises)
        )
    part = IntervalPart(kind="probe", low=0.0 if early is None else min(early, value), high=late and max(late, value))
    return Estimate.within(value, (part,), level=level, unit=unit, direction="higher", n=len(clouds[0].rises))


def _crossing(sigmas: Sequence[float], rises: Sequence[float], target: float) -> float | None:
    """The first σ at which the piecewise curve σ² · (rise/σ²) reaches `target`; NaN counts as above.

    Between two radii rise/σ² is taken as linear in log σ, which is exact for a quadratic; below the first radius it
    is constant.
    """
    scaled = [rise / sigma**2 for sigma, rise in zip(sigmas, rises, strict=True)]
    for index, rise in enumerate(rises):
        if rise < target:
            continue
        if index == 0:
            return sigmas[0] * min(1.0, math.sqrt(target / rise)) if math.isfinite(rise) else 0.0
        if not math.isfinite(rise):
            return sigmas[index - 1]
        return _between(sigmas[index - 1 : index + 1], scaled[index - 1 : index + 1], target)
    nan = [index for index, rise in enumerate(rises) if math.isnan(rise)]
    return sigmas[max(0, nan[0] - 1)] if nan else None


def _between(ends: Sequence[float], scaled: Sequence[float], target: float) -> float:
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        sigma = ends[0] ** (1 - middle) * ends[1] ** middle
        rise = sigma**2 * ((1 - middle) * scaled[0] + middle * scaled[1])
        low, high = (low, middle) if rise >= target else (middle, high)
    return float(ends[0] ** (1 - high) * ends[1] ** high)


def _curve(sample: FlatnessSample, target: float, facts: Facts) -> Line:
    sigmas = tuple(cloud.sigma for cloud in sample.clouds)
    rises = [(cloud.rise.value, cloud.rise.half_width(facts.level)) for cloud in sample.clouds]
    last = sample.clouds[-1]
    marks = (Mark(label="10 % of the loss", y=target),) if target > 0 else ()
    return Line(
        name="rise",
        title="Mean rise of the loss under random perturbation",
        finding=f"Moving every filter by {number(100 * last.sigma)} % of its norm raises the loss by "
        f"{number(finite_or_none(last.rise.value))} on average, from {number(sample.loss)}.",
        expected="far below the loss up to some per cent, then rising with the square of the distance",
        x=Axis(label=RADIUS.label, unit=RADIUS.unit, scale="log"),
        y=Axis(label="Mean rise of the loss", unit="loss", scale="symlog"),
        series=(
            Series(
                name="mean rise",
                x=sigmas,
                y=tuple(finite_or_none(value) for value, _ in rises),
                low=tuple(finite_or_none(value - half) for value, half in rises),
                high=tuple(finite_or_none(value + half) for value, half in rises),
            ),
        ),
        marks=marks,
    )


def _balls(worst: WorstCase) -> Table:
    return Table(
        name="worst_case",
        title="Worst case within a ball",
        finding="The highest losses found by projected gradient ascent: lower bounds of the true maximum.",
        expected="close to the one-step value; far above it, the landscape is sharp where one step does not look",
        columns=(
            Column(name="ball", title="Ball"),
            Column(name="radius", title="Radius"),
            Column(name="rise", title="Rise found", unit="loss"),
            Column(name="one_step", title="One-step (SAM) rise", unit="loss"),
            Column(name="start", title="Best start"),
        ),
        rows=tuple(
            (name, a.radius, finite_or_none(a.rise), finite_or_none(a.one_step), a.start)
            for name, a in (("raw, |ε| ≤ ρ", worst.raw), ("adaptive, |ε / (|θ| + 0.01)| ≤ ρ", worst.adaptive))
        ),
    )
