"""How far can the weights move before the loss notices?"""

from __future__ import annotations

from landscape_audit.checks.check import check
from landscape_audit.checks.tolerance import TOLERATED, tolerance_of
from landscape_audit.checks.walk_line import RADIUS, Noise, banded
from landscape_audit.detail import Axis, Column, Line, Mark, Series, Table
from landscape_audit.estimate import Estimate, IntervalPart, finite_or_none, spread
from landscape_audit.probes.ascent import SHARES, Ball, BallAscent, WorstCase
from landscape_audit.probes.facts import AuditFacts, Facts
from landscape_audit.probes.instrument import InstrumentSample, InstrumentTrial
from landscape_audit.probes.krylov import KrylovTrace, TraceFound
from landscape_audit.probes.m_sharpness import BatchRises, MSharpness
from landscape_audit.probes.perturbations import Cloud, FlatnessSample, RandomPerturbation
from landscape_audit.results import Measured
from landscape_audit.text import count, number, percent


@check(
    "flatness",
    RandomPerturbation(),
    BallAscent(),
    MSharpness(),
    KrylovTrace(),
    InstrumentTrial(),
    AuditFacts(),
    version=2,
    title="Flatness under perturbation",
    question="How far can the weights move, at random or at worst, before the loss rises?",
    source="Li et al. 2018 (filter normalisation); Foret et al. 2021 (SAM); Kwon et al. 2021 (ASAM)",
)
def flatness(
    sample: FlatnessSample,
    worst: WorstCase,
    batches: BatchRises,
    curvature: TraceFound,
    instrument: InstrumentSample,
    facts: Facts,
) -> Measured:
    """The mean rise of the loss under random filter-normalised perturbations, and the worst within two balls.

    `rise@σ` is E L(θ + σ d) − L(θ): every filter is moved by σ times its own norm in a random direction, biases and
    normalisation are not. Antithetic pairs with the quadratic of the Krylov space as control variate, which leaves the
    mean what it is; Student over the draws, and rounding. `tolerance` is the σ at which the loss has risen by 10 %,
    read between the radii on the curve and on both edges of its interval; below the first radius it is a guess from
    the quadratic, with the bounds 0 and that radius. `metric@σ` is what is kept of the metric.

    `worst_case` (|ε| ≤ 0.05) and `worst_case_adaptive` (each weight by its own size, ≤ 0.5) are the highest losses
    found by ascents from the one-step (SAM) point and from both ends of v_max: lower bounds of the true maximum, never
    below the one-step value. `m_sharpness` is the mean over batches of a batch's own rise after a step of 0.05 up its
    own gradient, with m the size of the batches: it grows as m shrinks, so compare it at the same m only.

    Draws depend on the seed alone: compare two checkpoints draw by draw (`draws`), their noise is the same.
    """
    level, rounding = facts.level, instrument.loss_noise
    noise = Noise(level, rounding)
    estimates = {f"rise@{cloud.sigma:g}": _rise(cloud, level, rounding) for cloud in sample.clouds}
    estimates |= {f"metric@{cloud.sigma:g}": _metric(cloud, facts) for cloud in sample.clouds if cloud.metrics}
    caveats = [_on_batches(batches)]
    tolerated = tolerance_of(sample, level, rounding)
    if tolerated is not None:
        estimates["tolerance"] = tolerated
    else:
        caveats.append("The loss is zero: a rise of 10 % of it has no meaning, so there is no tolerance.")
    estimates["worst_case"] = _lower_bound(worst.raw)
    estimates["worst_case_adaptive"] = _lower_bound(worst.adaptive)
    estimates["m_sharpness"] = _on_average(batches, level)
    return Measured(
        estimates=estimates,
        details=(
            _curve(sample, curvature, TOLERATED * abs(sample.loss), level),
            _one_step(worst, noise),
            _balls(worst),
            _draws(sample),
        ),
        caveats=tuple(caveats),
    )


def _rise(cloud: Cloud, level: float, rounding: float) -> Estimate:
    mean = cloud.rise
    parts = (spread("probe", mean.value, mean.half_width(level), mean.folded), spread("rounding", mean.value, rounding))
    return Estimate.within(mean.value, parts, level=level, unit="loss", direction="lower", n=mean.n)


def _metric(cloud: Cloud, facts: Facts) -> Estimate:
    """Never narrower than three of all the examples evaluated, as the rule of three has it: where no draw flips one."""
    mean, level = cloud.metric, facts.level
    grain = 1 / (2 * mean.n * facts.n_samples) if mean.n else 0.0
    part = spread("probe", mean.value, max(mean.half_width(level), 3 * grain), mean.folded)
    part = part.model_copy(update={"grain": grain})
    return Estimate.within(mean.value, (part,), level=level, unit="share", direction="higher", n=mean.n)


def _lower_bound(ball: Ball) -> Estimate:
    part = IntervalPart(kind="bound", low=finite_or_none(ball.rise), high=None)
    return Estimate.within(ball.rise, (part,), unit="loss", direction="lower")


def _on_average(batches: BatchRises, level: float) -> Estimate:
    mean = batches.mean
    part = spread("sampling", mean.value, mean.half_width(level), mean.folded)
    return Estimate.within(mean.value, (part,), level=level, unit="loss", direction="lower", n=mean.n)


def _on_batches(batches: BatchRises) -> str:
    sizes = sorted(set(batches.sizes)) or [0]
    m = count(sizes[0], "example") if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]} examples"
    over = count(len(batches.sizes), "batch", "batches")
    return f"m_sharpness is the mean over {over} of m = {m}; it does not compare with another m."


def _curve(sample: FlatnessSample, curvature: TraceFound, target: float, level: float) -> Line:
    sigmas = tuple(cloud.sigma for cloud in sample.clouds)
    rises = [(cloud.rise.value, cloud.rise.half_width(level)) for cloud in sample.clouds]
    predicted = curvature.perturbed.value
    last = sample.clouds[-1]
    marks = (Mark(label="10 % of the loss", y=target),) if target > 0 else ()
    return Line(
        name="rise",
        title="Mean rise of the loss under random perturbation",
        finding=f"Moving every filter by {percent(last.sigma)} of its norm changes the loss by "
        f"{number(finite_or_none(last.rise.value))} on average, from {number(sample.loss)}.",
        expected="far below the loss up to some per cent, and as curvature predicts; the two part at the kinks of a "
        "network of ReLUs and where higher orders begin",
        x=Axis(label=RADIUS.label, unit=RADIUS.unit, scale="log"),
        y=Axis(label="Mean rise of the loss", unit="loss", scale="symlog"),
        series=(
            banded("mean rise", sigmas, rises),
            Series(
                name="what curvature alone predicts",
                role="predicted",
                x=sigmas,
                y=tuple(finite_or_none(0.5 * sigma**2 * predicted) for sigma in sigmas),
            ),
        ),
        marks=marks,
    )


def _one_step(worst: WorstCase, noise: Noise) -> Line:
    """The rise up the gradient as the balls grow, beside the highest that ascents found in the whole ball."""
    balls = (("raw", worst.raw), ("adaptive", worst.adaptive))
    return Line(
        name="one_step",
        title="Rise up the gradient in the raw and in the adaptive ball",
        finding=" ".join(_grows(name, ball) for name, ball in balls),
        expected="both small beside the loss, and the single points near the curves' ends: one step then finds the "
        "worst there is",
        reading="Bands: what other examples would give of these steps. Single points: the highest that any ascent "
        "found in the whole ball. A straight curve is slope, one that bends up is curvature. Each ball has its own "
        "unit: heights compare, radii do not.",
        x=Axis(label="Radius", unit="share of the ball's"),
        y=Axis(label="Rise of the loss", unit="loss"),
        series=(
            *(_stepped(name, ball, noise) for name, ball in balls if ball.steps),
            *(Series(name=f"{name}, highest found", x=(1.0,), y=(finite_or_none(ball.rise),)) for name, ball in balls),
        ),
    )


def _grows(name: str, ball: Ball) -> str:
    if not ball.steps:
        return f"{name.capitalize()}: the gradient is zero, so there is no step up it."
    rises = {share: step.rise.value for share, step in zip(SHARES, ball.steps, strict=True)}
    half, whole = (number(finite_or_none(rises[share]), 3) for share in (0.5, 1.0))
    return f"{name.capitalize()}: one step of {ball.radius:g} changes the loss by {whole}, half of it by {half}."


def _stepped(name: str, ball: Ball, noise: Noise) -> Series:
    """From the checkpoint itself, where a rise is zero and certain."""
    rises = [(0.0, 0.0), *((step.rise.value, noise.half(step.rise)) for step in ball.steps)]
    return banded(f"{name}, up to ρ = {ball.radius:g}", (0.0, *SHARES), rises)


def _balls(worst: WorstCase) -> Table:
    balls = (("raw, |ε| ≤ ρ", worst.raw), ("adaptive, |ε / (|θ| + 0.01)| ≤ ρ", worst.adaptive))
    return Table(
        name="worst_case",
        title="Worst case within a ball",
        finding=" ".join(_found(name, ball) for name, ball in balls),
        expected="close to the one-step value; far above it, the landscape is sharp where one step does not look",
        columns=(
            Column(name="ball", title="Ball"),
            Column(name="radius", title="Radius"),
            Column(name="start", title="Start"),
            Column(name="first", title="Rise there", unit="loss"),
            Column(name="rise", title="Rise found", unit="loss"),
        ),
        rows=tuple(
            (name, ball.radius, ascent.start, finite_or_none(ascent.first), finite_or_none(ascent.rise))
            for name, ball in balls
            for ascent in ball.ascents
        ),
    )


def _found(name: str, ball: Ball) -> str:
    rise, one_step = (number(finite_or_none(value), 3) for value in (ball.rise, ball.one_step))
    return f"{name.partition(',')[0].capitalize()}: at least {rise}, where one step finds {one_step}."


def _draws(sample: FlatnessSample) -> Table:
    """Every draw's share of `rise@σ`: their mean is the estimate, and two checkpoints differ draw by draw."""
    columns = [cloud.controlled for cloud in sample.clouds]
    sigmas = [cloud.sigma for cloud in sample.clouds]
    return Table(
        name="draws",
        title="Rise of the loss, draw by draw",
        finding=f"{count(sample.draws, 'direction')}, the same at every radius; each column's mean is `rise@σ`.",
        expected="two checkpoints of the same shapes are compared row by row: their directions are the same",
        columns=(
            Column(name="draw", title="Draw"),
            *(Column(name=f"rise@{sigma:g}", title=f"σ = {sigma:g}", unit="loss") for sigma in sigmas),
        ),
        rows=tuple(
            (draw, *(finite_or_none(value) for value in row))
            for draw, row in enumerate(zip(*columns, strict=True), start=1)
        ),
    )
