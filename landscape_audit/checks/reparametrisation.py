"""Which numbers move although the function does not?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from landscape_audit.checks.check import check
from landscape_audit.checks.eigenvalue import UNIT, largest
from landscape_audit.detail import Column, Table
from landscape_audit.estimate import Estimate, IntervalPart, finite_or_none, spread
from landscape_audit.probes.ascent import BallAscent, WorstCase
from landscape_audit.probes.facts import AuditFacts, Facts
from landscape_audit.probes.gradients import BatchGradients, GradientSample
from landscape_audit.probes.instrument import InstrumentSample, InstrumentTrial
from landscape_audit.probes.krylov import HessianKrylov
from landscape_audit.probes.perturbations import FlatnessSample, RandomPerturbation
from landscape_audit.probes.rayleigh import RayleighSample, RitzRayleigh
from landscape_audit.probes.reparametrisation import FACTOR, Moved, RescaledLayers, Rescaling
from landscape_audit.results import Measured, NotApplicable
from landscape_audit.statistics import ratio
from landscape_audit.text import count, number

if TYPE_CHECKING:
    from landscape_audit.curvature.lanczos import KrylovSpace

STEADY = 0.05
"""A number that moved by less is told as one that stayed."""
LISTED = 4
"""Pairs of layers that a sentence names."""


@dataclass(frozen=True)
class Compared:
    """One number at θ and at θ', and how many times as large it is there with what leaves that open."""

    id: str
    title: str
    unit: str
    before: float
    after: float
    parts: tuple[IntervalPart, ...]

    @property
    def ratio(self) -> float | None:
        """after / before; None where that has no meaning."""
        return _ratio(self.after, self.before)


@check(
    "reparametrisation",
    RescaledLayers(),
    HessianKrylov(),
    RitzRayleigh(),
    BatchGradients(),
    BallAscent(),
    RandomPerturbation(),
    InstrumentTrial(),
    AuditFacts(),
    version=1,
    title="The same function at other weights",
    question="Which of these numbers move under a rescale of layers that changes no prediction?",
    source="Dinh, Pascanu, Bengio & Bengio 2017; Kwon et al. 2021 (adaptive sharpness)",
)
def reparametrisation(
    found: Rescaling,
    krylov: KrylovSpace,
    rayleigh: RayleighSample,
    gradients: GradientSample,
    worst: WorstCase,
    flatness: FlatnessSample,
    trial: InstrumentSample,
    facts: Facts,
) -> Measured | NotApplicable:
    """Each `…_ratio` is a number at θ' over the same number at θ, where θ' computes the same function as θ.

    θ' has one layer's weight and bias times 8 and the next layer's weight divided by 8, for every pair of layers that
    bears it: pairs are tried in the model's order, at most 16, and used only if the outputs stay what they are to
    rounding; a power of two is exact. Then the loss of every batch of the sample must stay. ReLU between the two allows
    it, and so does attention between values and outputs or queries and keys; tanh does not. Not applicable where no
    pair does.

    `lambda_max_ratio` is a lower bound: a Ritz value of a few products at θ' over the highest that λ_max at θ can be.
    `gradient_ratio`: norm of the gradient, with the distance from what the chain rule says it must be. `one_step_ratio`
    and `adaptive_ratio`: the rise after one step of ascent, in the ball |ε| ≤ 0.05 and in the ball of `flatness`'s
    adaptive worst case; the floor of 0.01 in that one's scale is no invariant, and the table has it without.
    `rise_ratio`: filter-normalised, the sweep's own directions, Student over the draws. All on the same examples, so
    that no interval speaks of others. Costs `reparametrisation_steps` products, a gradient and about 11 forwards.
    """
    if found.moved is None:
        return NotApplicable(reason=_why(found))
    compared = (
        _top(found.moved, krylov, rayleigh, facts),
        _slope(found.moved, gradients),
        *_balls(found.moved, worst, trial),
        _filters(found.moved, flatness, trial, facts),
    )
    estimates = {each.id: _estimate(each, value, facts) for each in compared if (value := each.ratio) is not None}
    flat = [each.title for each in compared if each.ratio is None]
    caveats = ["One rescale out of a continuum: another factor moves the numbers by another ratio."]
    if flat:
        caveats.append(f"Not above zero here, so without a ratio: {', '.join(flat)}.")
    return Measured(estimates=estimates, details=(_table(found, compared),), caveats=tuple(caveats))


def _why(found: Rescaling) -> str:
    if found.pairs:
        return (
            f"{count(len(found.pairs), 'pair')} of layers could be rescaled on the first examples, but on the whole "
            f"sample a batch's loss moved by {number(finite_or_none(found.change))}."
        )
    if not found.tried:
        return "No two layers follow each other that have trainable weights of their own, not all of them zero."
    return (
        f"No pair of layers could be rescaled by {FACTOR:g} and 1/{FACTOR:g} without changing the outputs "
        f"({found.tried} tried): nothing between them lets a positive factor through, as ReLU does."
    )


def _ratio(after: float, before: float) -> float | None:
    return after / before if before > 0 and math.isfinite(before) and math.isfinite(after) else None


def _estimate(each: Compared, value: float, facts: Facts) -> Estimate:
    return Estimate.within(value, each.parts, level=facts.level, unit="times")


def _top(moved: Moved, krylov: KrylovSpace, rayleigh: RayleighSample, facts: Facts) -> Compared:
    before = largest(rayleigh, krylov, facts.level)
    value, most = rayleigh.top[0].value, before.parts[0].high
    low = None if most is None else _ratio(moved.lambda_max, most)
    part = IntervalPart(kind="bound", low=low, high=None)
    return Compared("lambda_max_ratio", "λ_max, at least", UNIT, value, moved.lambda_max, (part,))


def _slope(moved: Moved, gradients: GradientSample) -> Compared:
    unit, before = "loss per unit of parameter", gradients.norm
    value = _ratio(moved.gradient, before)
    part = spread("rounding", value or 0.0, abs(moved.gradient - moved.gradient_told) / before if before else 0.0)
    return Compared("gradient_ratio", "Norm of the gradient", unit, before, moved.gradient, (part,))


def _balls(moved: Moved, worst: WorstCase, trial: InstrumentSample) -> tuple[Compared, ...]:
    rows = (
        ("one_step_ratio", "One step up, |ε| ≤ ρ", worst.raw.one_step, moved.one_step),
        ("adaptive_ratio", "One step up, |ε / (|θ| + 0.01)| ≤ ρ", worst.adaptive.one_step, moved.adaptive),
        ("adaptive_unfloored_ratio", "One step up, |ε / θ| ≤ ρ", moved.unfloored_before, moved.adaptive_unfloored),
    )
    return tuple(
        Compared(name, title, "loss", before, after, (_rounding(before, after, trial.loss_noise),))
        for name, title, before, after in rows
    )


def _rounding(before: float, after: float, noise: float) -> IntervalPart:
    """What an error of `noise` in both rises makes of their ratio."""
    value = _ratio(after, before)
    return spread("rounding", value or 0.0, noise * (1 + abs(value or 0.0)) / before if before > 0 else 0.0)


def _filters(moved: Moved, flatness: FlatnessSample, trial: InstrumentSample, facts: Facts) -> Compared:
    cloud = next(cloud for cloud in flatness.clouds if cloud.sigma == moved.sigma)
    draws = cloud.rises[: len(moved.rises)]
    before, after = sum(draws) / len(draws), sum(moved.rises) / len(draws)
    half = ratio(moved.rises, draws, [1.0] * len(draws)).half_width(facts.level)
    parts = (spread("probe", _ratio(after, before) or 0.0, half), _rounding(before, after, trial.loss_noise))
    return Compared("rise_ratio", f"Mean rise at σ = {moved.sigma:g}", "loss", before, after, parts)


def _table(found: Rescaling, compared: Sequence[Compared]) -> Table:
    return Table(
        name="numbers",
        title="Before and after a rescale that preserves the function",
        finding=_finding(found, compared),
        expected="raw measures move, filter-normalised and adaptive ones stay",
        columns=(
            Column(name="number", title="Number"),
            Column(name="unit", title="Unit"),
            Column(name="before", title="At θ"),
            Column(name="after", title="At θ'"),
            Column(name="ratio", title="Ratio"),
        ),
        rows=(
            ("Loss", "loss", found.loss, found.loss_there, _ratio(found.loss_there, found.loss)),
            *((c.title, c.unit, finite_or_none(c.before), finite_or_none(c.after), c.ratio) for c in compared),
        ),
    )


def _finding(found: Rescaling, compared: Sequence[Compared]) -> str:
    shown = ", ".join(f"{first} → {second}" for first, second in found.pairs[:LISTED])
    more = f" and {len(found.pairs) - LISTED} more" if len(found.pairs) > LISTED else ""
    top = compared[0].ratio
    moved = "" if top is None else f", but λ_max is at least {number(top, 3)} times as large"
    stayed = [c.title for c in compared if c.ratio is not None and abs(c.ratio - 1) < STEADY]
    return (
        f"With the layers {shown}{more} rescaled by {FACTOR:g} and 1/{FACTOR:g} no batch's loss moves by more than "
        f"{number(found.change)}{moved}. Stayed within {100 * STEADY:g} %: {', '.join(stayed) or 'nothing'}."
    )
