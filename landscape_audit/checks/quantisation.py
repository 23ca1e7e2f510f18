"""What are the weights worth in a narrower number format?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from landscape_audit.checks.check import check
from landscape_audit.checks.loss import proportion
from landscape_audit.detail import Axis, Bar, Bars, Column, Table
from landscape_audit.estimate import Estimate, finite_or_none, spread
from landscape_audit.probes.facts import AuditFacts, Facts
from landscape_audit.probes.instrument import InstrumentSample, InstrumentTrial
from landscape_audit.probes.perturbations import Cloud, FlatnessSample, RandomPerturbation
from landscape_audit.probes.quantisation import QuantisationSample, Rounded, RoundedWeights
from landscape_audit.results import Measured, NotApplicable
from landscape_audit.text import number, percent


@check(
    "quantisation",
    RoundedWeights(),
    RandomPerturbation(),
    InstrumentTrial(),
    AuditFacts(),
    version=1,
    title="Rounding the weights",
    question="How much does the loss rise when the weights are stored in a narrower number format?",
    source="elementary (paired difference); Li et al. 2018 (the unit of the flatness sweep beside it)",
)
def quantisation(
    sample: QuantisationSample, flatness: FlatnessSample, trial: InstrumentSample, facts: Facts
) -> Measured | NotApplicable:
    """`rise@F` is L(round_F(θ)) − L(θ), and `metric@F` the metric there, for F = bf16, fp16, fp8, int8 and int4.

    Rounding is to nearest, ties to even. bf16 and fp16 are casts of every trainable weight. fp8 (e4m3), int8 and int4
    round tensors of two and more dimensions, each output channel scaled so that its largest weight is the format's
    (448, 127, 7); biases and normalisation stay in full. A weight tied under several names is rounded once; frozen
    ones are not. A checkpoint that is on a format's grid already has a rise of exactly zero there.

    The interval of a rise is Student's for the paired difference over examples (over batches where the loss gives no
    value an example), with the rounding of a loss difference added; that of a metric is Wilson's. Both speak of other
    samples. Beside it stands what the flatness sweep says of the same size: σ is the root mean square over filters of
    |Δ_f| / |θ_f|, and the sweep's mean rise is read off there, rise/σ² taken as linear in log σ and as constant below
    the first radius. The sweep averages over ±, so that it has no slope in it: what compares with it is the rise less
    gᵀΔ, and one far above it means that rounding is no random direction for this loss. The quadratic model
    gᵀΔ + ½ΔᵀHΔ is told for int4. Costs a forward a format, one at θ, and a product.
    """
    if not sample.formats:
        return NotApplicable(reason="The model has no weights that any of the formats would round.")
    estimates = {f"rise@{each.name}": _rise(each, trial, facts) for each in sample.formats}
    for each in sample.formats:
        if each.metric is not None and sample.metric_weight:
            estimates[f"metric@{each.name}"] = proportion(
                each.metric, sample.metric_weight, facts.level, each.metric_by_example
            )
    caveats = ["Weights only, rounded to nearest without calibration; activations stay in full precision."]
    if broken := [each.title for each in sample.formats if not math.isfinite(each.rise.value)]:
        caveats.append(f"The loss is not finite with weights in {', '.join(broken)}.")
    table = _table(sample, flatness, facts)
    return Measured(estimates=estimates, details=(_bars(sample, estimates), table), caveats=tuple(caveats))


def _rise(found: Rounded, trial: InstrumentSample, facts: Facts) -> Estimate:
    value, n = found.rise.value, found.rise.n
    if not found.moved:
        return Estimate.exact(0.0, unit="loss", direction="lower", n=n)
    half = found.rise.half_width(facts.level)
    parts = (spread("sampling", value, half, found.rise.folded), spread("rounding", value, trial.loss_noise))
    return Estimate.within(value, parts, level=facts.level, unit="loss", direction="lower", n=n)


def predicted(clouds: Sequence[Cloud], sigma: float, level: float) -> tuple[float, float] | None:
    """The mean rise at `sigma` as the sweep has it, and half of its interval; None beyond the last radius.

    rise/σ² is linear in log σ between two radii, which is exact for a quadratic, and constant below the first.
    """
    if not clouds or sigma > clouds[-1].sigma:
        return None

    def scaled(cloud: Cloud) -> tuple[float, float]:
        return cloud.rise.value / cloud.sigma**2, cloud.rise.half_width(level) / cloud.sigma**2

    rise, half = scaled(clouds[0])
    for low, high in pairwise(clouds):
        if low.sigma < sigma <= high.sigma:
            share = math.log(sigma / low.sigma) / math.log(high.sigma / low.sigma)
            rise, half = ((1 - share) * a + share * b for a, b in zip(scaled(low), scaled(high), strict=True))
    return sigma**2 * rise, sigma**2 * half


def _bars(sample: QuantisationSample, estimates: dict[str, Estimate]) -> Bars:
    worst = max(sample.formats, key=lambda each: _rank(each.rise.value))
    found = {each.title: estimates[f"rise@{each.name}"] for each in sample.formats}
    return Bars(
        name="rises",
        title="Rise of the loss by number format",
        finding=f"{worst.title} raises the loss most, by {number(finite_or_none(worst.rise.value))} "
        f"from {number(sample.loss)}.",
        expected="16 bits and fp8 or int8 by channel far below the loss; int4 is where models differ",
        axis=Axis(label="Rise of the loss", unit="loss"),
        bars=tuple(Bar(label=title, value=rise.value, low=rise.low, high=rise.high) for title, rise in found.items()),
    )


def _rank(rise: float) -> float:
    return math.inf if math.isnan(rise) else rise


def _table(sample: QuantisationSample, flatness: FlatnessSample, facts: Facts) -> Table:
    return Table(
        name="formats",
        title="Rounding beside what flatness and the quadratic model say of it",
        finding=_compared(sample, flatness, facts),
        expected="rise − gᵀΔ near the sweep: rounding then behaves like noise of its size",
        columns=(
            Column(name="format", title="Format"),
            Column(name="moved", title="Weights moved", unit="share"),
            Column(name="sigma", title="σ, rms of |Δ_f|/|θ_f|"),
            Column(name="rise", title="Rise", unit="loss"),
            Column(name="slope", title="gᵀΔ", unit="loss"),
            Column(name="bent", title="Rise − gᵀΔ", unit="loss"),
            Column(name="predicted", title="Flatness sweep at σ", unit="loss"),
            Column(name="predicted_half_width", title="Sweep ±", unit="loss"),
            Column(name="quadratic", title="gᵀΔ + ½ΔᵀHΔ", unit="loss"),
            Column(name="metric", title="Metric"),
        ),
        rows=tuple(_row(each, flatness.clouds, facts) for each in sample.formats),
    )


def _row(each: Rounded, clouds: Sequence[Cloud], facts: Facts) -> tuple[str | float | None, ...]:
    sigma = None if each.sigma is None else finite_or_none(each.sigma)
    sweep = None if sigma is None else predicted(clouds, sigma, facts.level)
    told = (None, None) if sweep is None else tuple(map(finite_or_none, sweep))
    quadratic = None if each.bend is None else finite_or_none(each.slope + 0.5 * each.bend)
    rise, slope = each.rise.value, each.slope
    measured = (finite_or_none(rise), finite_or_none(slope), finite_or_none(rise - slope))
    return (each.title, each.moved / facts.parameters, sigma, *measured, *told, quadratic, each.metric)


def _compared(sample: QuantisationSample, flatness: FlatnessSample, facts: Facts) -> str:
    """The narrowest format in a sentence."""
    last = sample.formats[-1]
    if last.sigma is None or not math.isfinite(last.sigma):
        return f"{last.title}: a rise of {number(finite_or_none(last.rise.value))}."
    rise = number(finite_or_none(last.rise.value - last.slope))
    moved = f"{last.title} moves the filters by {percent(last.sigma, 3)} of their norms; beyond the slope"
    sweep = predicted(flatness.clouds, last.sigma, facts.level)
    if sweep is None:
        return f"{moved} the loss rises by {rise}, and the flatness sweep does not go that far."
    told = number(finite_or_none(sweep[0]))
    return f"{moved} the loss rises by {rise}, where random directions of that size give {told}."
