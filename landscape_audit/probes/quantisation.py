"""The loss after rounding the weights to narrower number formats."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from landscape_audit.probes.evaluation import Evaluation, gathered
from landscape_audit.probes.gradients import BatchGradients
from landscape_audit.probes.losses import by_example
from landscape_audit.results import Cost
from landscape_audit.statistics import Mean, weighted_mean

if TYPE_CHECKING:
    from torch import Tensor

    from landscape_audit.curvature.rounding import Format
    from landscape_audit.probes.bench import Bench
    from landscape_audit.probes.probe import Probe, Size


@dataclass(frozen=True)
class Heights:
    """The loss at one point: by example where the loss tells, else by batch."""

    evaluation: Evaluation
    values: tuple[float, ...]
    weights: tuple[float, ...]
    metric_weight: float | None
    metric: Mean | None
    """By example, where the loss tells."""


@dataclass(frozen=True)
class Rounded:
    """θ + Δ, the weights in one format, against θ on the same examples."""

    name: str
    title: str
    moved: int
    """Weights that changed; none where the checkpoint is on the grid already."""
    sigma: float | None
    """The root mean square over the filters of |Δ_f| / |θ_f|."""
    rise: Mean
    """L(θ + Δ) − L(θ) with the standard error of the paired difference."""
    metric: float | None
    metric_by_example: Mean | None
    slope: float
    """gᵀΔ."""
    bend: float | None
    """ΔᵀHΔ, where it was measured."""


@dataclass(frozen=True)
class QuantisationSample:
    """Every format that there is here, widest first, and what they are compared with."""

    formats: tuple[Rounded, ...]
    loss: float
    metric_weight: float | None


@dataclass(frozen=True)
class RoundedWeights:
    """The trainable weights rounded to each format, tied ones once, and the loss there. Nothing is random."""

    name: str = "rounded_weights"
    needs: tuple[Probe[object], ...] = (BatchGradients(),)

    FORMATS = 5
    BENT = ("int4",)
    """The formats whose ΔᵀHΔ is worth a product: wider ones move too little to need a second order."""

    def cost(self, size: Size) -> Cost:
        """A forward for each format and one at θ; a product for the narrowest."""
        del size
        return Cost(forwards=1 + self.FORMATS, hvps=len(self.BENT))

    def take(self, bench: Bench) -> QuantisationSample:
        """Format by format; one that moves no weight costs nothing."""
        from landscape_audit.curvature.rounding import formats

        here = _heights(bench, bench.subject.theta)
        blocks = bench.subject.layout.blocks
        found = tuple(_rounded(bench, here, to) for to in formats() if any(map(to.rounds, blocks)))
        return QuantisationSample(found, here.evaluation.loss, here.metric_weight)


def _rounded(bench: Bench, here: Heights, to: Format) -> Rounded:
    from landscape_audit.curvature.rounding import relative_size, rounded
    from landscape_audit.curvature.vectors import dot

    theta, layout = bench.subject.theta, bench.subject.layout
    there = rounded(theta, layout, to)
    delta = there - theta
    moved = int((delta != 0).sum())
    heights = _heights(bench, there) if moved else here
    bent = to.name in RoundedWeights.BENT and moved and bool(delta.isfinite().all())
    return Rounded(
        name=to.name,
        title=to.title,
        moved=moved,
        sigma=relative_size(delta, theta, layout),
        rise=_rise(here, heights),
        metric=heights.evaluation.metric,
        metric_by_example=heights.metric,
        slope=dot(bench.take(BatchGradients()).mean, delta),
        bend=dot(delta, bench.hvp(delta)) if bent else None,
    )


def _heights(bench: Bench, theta: Tensor) -> Heights:
    losses = bench.landscape.losses_at(theta)
    bench.spend(Cost(forwards=1))
    evaluation = gathered(bench.subject, losses, bench.ranks)
    told = by_example(bench, losses)
    values, weights = told.losses, told.weights
    if not values:
        values, weights = tuple(evaluation.means()), evaluation.weights
    return Heights(evaluation, values, weights, told.metric_weight, told.metric)


def _rise(here: Heights, there: Heights) -> Mean:
    differences = [b - a for a, b in zip(here.values, there.values, strict=True)]
    if not all(map(math.isfinite, differences)):
        return Mean(there.evaluation.loss - here.evaluation.loss, math.inf, len(differences))
    return weighted_mean(differences, here.weights)
