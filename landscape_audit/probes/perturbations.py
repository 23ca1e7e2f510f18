"""The loss in a neighbourhood, on average: random filter-normalised perturbations at several radii."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from landscape_audit.probes.krylov import HessianKrylov
from landscape_audit.probes.probe import Growth
from landscape_audit.results import Cost
from landscape_audit.statistics import Mean, weighted_mean

if TYPE_CHECKING:
    from torch import Tensor

    from landscape_audit.probes.bench import Bench
    from landscape_audit.probes.probe import Probe, Size

REFERENCE = 0.05
"""The radius whose precision decides how many draws there are."""


@dataclass(frozen=True)
class Cloud:
    """Antithetic draws at one radius: the rise of the loss and the metric kept, each averaged over ±.

    `controls` is what the Krylov quadratic says of the same draws, less its own exact mean over all draws.
    """

    sigma: float
    rises: tuple[float, ...]
    controls: tuple[float, ...]
    metrics: tuple[float, ...]

    @functools.cached_property
    def controlled(self) -> tuple[float, ...]:
        """Each draw's rise less its control, which changes no mean as controls have none.

        A draw goes without where, among the *other* draws, that would double their spread: far out a loss that
        levels off has nothing of the quadratic. Deciding on the others keeps every draw unbiased.
        """
        if not all(map(math.isfinite, self.rises)):
            return self.rises
        plain, controlled = np.array(self.rises), np.array(self.rises) - np.array(self.controls)
        pays = [np.delete(controlled, i).std() <= 2 * np.delete(plain, i).std() for i in range(len(plain))]
        return tuple(np.where(pays, controlled, plain).tolist())

    @property
    def rise(self) -> Mean:
        """The mean rise with its standard error over draws; NaN where some draw was not finite."""
        return finite_mean(self.controlled)

    @property
    def metric(self) -> Mean:
        """The mean metric with its standard error; NaN where the loss has none."""
        return finite_mean(self.metrics)


def finite_mean(values: tuple[float, ...], weights: tuple[float, ...] | None = None) -> Mean:
    """The mean of independent pieces; NaN where there is none or one is not finite."""
    if not values or not all(map(math.isfinite, values)):
        return Mean(math.nan, math.inf, len(values))
    return weighted_mean(values, weights or [1.0] * len(values))


@dataclass(frozen=True)
class FlatnessSample:
    """Clouds over ascending radii, all from the same directions, and the loss and metric at their centre."""

    clouds: tuple[Cloud, ...]
    loss: float
    metric: float | None

    @property
    def draws(self) -> int:
        """How many directions there are."""
        return len(self.clouds[0].rises)

    def settled(self, tolerance: float) -> bool:
        """Whether the rise at the radius nearest `REFERENCE` is known to this share of itself."""
        rise = min(self.clouds, key=lambda cloud: abs(math.log(cloud.sigma / REFERENCE))).rise
        return rise.error <= tolerance * abs(rise.value)


@dataclass(frozen=True)
class RandomPerturbation:
    """L(θ ± σ d) for filter-normalised random d: the same draws at every σ and at every checkpoint of this shape.

    ± cancels the slope; the quadratic of the Krylov space, whose mean over d is known exactly, takes most of the
    curvature's part out of the randomness. At σ = 0.05 that needs 12 to 20 times fewer forwards than ± alone for the
    same error: for 1 %, about 65 on a small MLP, 150 on a small GPT, 480 on a small network of ReLUs, whose kinks no
    quadratic knows.

    Source: Owen 2013, Monte Carlo theory, methods and examples, 8.2 (antithetic sampling) and 8.9 (control variates).
    """

    name: str = "random_perturbation"
    needs: tuple[Probe[object], ...] = (HessianKrylov(),)

    GROWTH: ClassVar = Growth("probe", "flatness_draws", "flatness_tolerance")
    LEAST: ClassVar = 6
    """Draws before their own standard error is believed."""

    def cost(self, size: Size) -> Cost:
        """At most two forwards a draw and radius."""
        budgets = size.budgets
        return Cost(forwards=1 + 2 * (budgets.flatness_draws or 0) * len(budgets.flatness_sigmas or ()))

    def take(self, bench: Bench) -> FlatnessSample:
        """Draw by draw, every radius, until the rise is known to `flatness_tolerance`. Goes on where it was."""
        from landscape_audit.curvature.trace import form, inside

        space, layout = bench.take(HessianKrylov()), bench.subject.layout
        expected = inside(space, weights=bench.scale.variances(layout)).weighted
        found = bench.before(self) or _start(bench)
        most, tolerance = bench.budgets.flatness_draws or 0, bench.budgets.flatness_tolerance or 0.0
        while found.draws < most and not (found.draws >= self.LEAST and found.settled(tolerance)):
            direction = bench.scale.direction(layout, bench.generator(f"{self.name}:{found.draws}"))
            surprise = form(space, direction) - expected
            clouds = tuple(_grown(bench, cloud, direction, surprise, found.loss) for cloud in found.clouds)
            found = replace(found, clouds=clouds)
        return found


def _start(bench: Bench) -> FlatnessSample:
    """The loss at θ, and no draw yet."""
    here = bench.evaluate()
    sigmas = sorted(bench.budgets.flatness_sigmas or ())
    return FlatnessSample(tuple(Cloud(sigma, (), (), ()) for sigma in sigmas), here.loss, here.metric)


def _grown(bench: Bench, cloud: Cloud, direction: Tensor, surprise: float, here: float) -> Cloud:
    """A cloud with one antithetic pair more."""
    pair = [bench.evaluate(sign * cloud.sigma * direction) for sign in (1.0, -1.0)]
    rise = sum(evaluation.loss for evaluation in pair) / 2 - here
    kept = [evaluation.metric for evaluation in pair if evaluation.metric is not None]
    metric = sum(kept) / 2 if math.isfinite(rise) else math.nan  # outputs that are not numbers have no metric
    metrics = (*cloud.metrics, metric) if kept else ()
    control = 0.5 * cloud.sigma**2 * surprise
    return Cloud(cloud.sigma, (*cloud.rises, rise), (*cloud.controls, control), metrics)
