"""The loss in a neighbourhood: on average over random perturbations, and at worst within a ball."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from landscape_audit.probes.bench import Growth
from landscape_audit.probes.gradients import BatchGradients
from landscape_audit.probes.krylov import HessianKrylov
from landscape_audit.results import Cost
from landscape_audit.statistics import Mean, weighted_mean

if TYPE_CHECKING:
    from torch import Tensor

    from landscape_audit.probes.bench import Bench, Probe, Size


@dataclass(frozen=True)
class Cloud:
    """Antithetic draws at one radius: the rise of the loss and the metric kept, each averaged over ±."""

    sigma: float
    rises: tuple[float, ...]
    metrics: tuple[float, ...]

    @property
    def rise(self) -> Mean:
        """The mean rise with its standard error over draws; NaN where some draw was not finite."""
        return _mean(self.rises)

    @property
    def metric(self) -> Mean | None:
        """The mean metric with its standard error, where the loss has one."""
        return _mean(self.metrics) if self.metrics else None


def _mean(values: tuple[float, ...]) -> Mean:
    if not all(map(math.isfinite, values)):
        return Mean(math.nan, math.inf, len(values))
    return weighted_mean(values, [1.0] * len(values))


@dataclass(frozen=True)
class FlatnessSample:
    """Clouds over ascending radii, all from the same directions, and the loss and metric at their centre."""

    clouds: tuple[Cloud, ...]
    loss: float
    metric: float | None


@dataclass(frozen=True)
class RandomPerturbation:
    """L(θ ± σ d) for filter-normalised random d: the same draws at every σ, so that the curve is smooth."""

    name: str = "random_perturbation"
    needs: tuple[Probe[object], ...] = ()

    GROWTH: ClassVar = Growth("probe", "flatness_draws")

    def cost(self, size: Size) -> Cost:
        """Two forwards a draw and radius."""
        budgets = size.budgets
        return Cost(forwards=1 + 2 * (budgets.flatness_draws or 0) * len(budgets.flatness_sigmas or ()))

    def take(self, bench: Bench) -> FlatnessSample:
        """Draw by draw, every radius."""
        here = bench.evaluate()
        sigmas = sorted(bench.budgets.flatness_sigmas or ())
        before = bench.before(self)
        clouds = before.clouds if before else tuple(Cloud(sigma, (), ()) for sigma in sigmas)
        for draw in range(len(clouds[0].rises), bench.budgets.flatness_draws or 0):
            direction = bench.scale.direction(bench.subject.layout, bench.generator(f"{self.name}:{draw}"))
            clouds = tuple(_grown(bench, cloud, direction, here.loss) for cloud in clouds)
        return FlatnessSample(clouds, here.loss, here.metric)


def _grown(bench: Bench, cloud: Cloud, direction: Tensor, here: float) -> Cloud:
    """A cloud with one antithetic pair more."""
    pair = [bench.evaluate(sign * cloud.sigma * direction) for sign in (1.0, -1.0)]
    rise = sum(evaluation.loss for evaluation in pair) / 2 - here
    kept = [evaluation.metric for evaluation in pair if evaluation.metric is not None]
    metrics = (*cloud.metrics, sum(kept) / 2) if kept else ()
    return Cloud(cloud.sigma, (*cloud.rises, rise), metrics)


RADIUS = 0.05
"""The raw ball: the ρ at which Foret et al. 2021 train."""
ADAPTIVE_RADIUS = 0.5
"""The adaptive ball: the ρ at which Kwon et al. 2021 train."""
ADAPTIVE_FLOOR = 0.01
"""η of Kwon et al. 2021: T = |θ| + η, so that a zero weight can move."""


@dataclass(frozen=True)
class Ascent:
    """The highest loss found within a ball: a lower bound of the true maximum. `one_step` is the SAM value."""

    radius: float
    rise: float
    one_step: float
    start: str


@dataclass(frozen=True)
class WorstCase:
    """The worst rise in the raw ball |ε| ≤ ρ and in the adaptive ball |ε / T| ≤ ρ, T = |θ| + η."""

    raw: Ascent
    adaptive: Ascent


@dataclass(frozen=True)
class BallAscent:
    """Projected gradient ascent in both balls, from the one-step point and from ±v_max, whichever starts highest.

    Source: the one-step point is Foret et al. 2021, and Kwon et al. 2021 in the adaptive ball.
    """

    name: str = "ball_ascent"
    needs: tuple[Probe[object], ...] = (HessianKrylov(), BatchGradients())

    def cost(self, size: Size) -> Cost:
        """Three forwards to choose a start, a gradient a step and one forward at the end, in two balls."""
        return Cost(forwards=9, gradients=2 * (size.budgets.ascent_steps or 0))

    def take(self, bench: Bench) -> WorstCase:
        """Both balls are the same ascent in coordinates u = ε / T, with T = 1 in the raw one."""
        here = bench.evaluate().loss
        return WorstCase(
            _ascend(bench, here, 1.0, RADIUS),
            _ascend(bench, here, bench.subject.theta.abs() + ADAPTIVE_FLOOR, ADAPTIVE_RADIUS),
        )


def _ascend(bench: Bench, here: float, stretch: Tensor | float, radius: float) -> Ascent:
    space, slope = bench.take(HessianKrylov()), bench.take(BatchGradients()).mean
    # One start at a time: each is as long as θ.
    starts: dict[str, Callable[[], Tensor]] = {
        "one step": lambda: on_sphere(stretch * slope, radius),
        "v_max": lambda: on_sphere(stretch * space.ritz_vector(space.top(1)), radius),
        "-v_max": lambda: on_sphere(-stretch * space.ritz_vector(space.top(1)), radius),
    }
    found = {name: bench.evaluate(stretch * start()).loss for name, start in starts.items()}
    name = max(found, key=lambda start: _rank(found[start]))
    best, u, steps = found[name], starts[name](), bench.budgets.ascent_steps or 1
    for _ in range(steps):
        gradient, loss = bench.gradient(stretch * u)
        best = max(best, loss, key=_rank)
        if not math.isfinite(loss):
            break
        u = _within(u + on_sphere(stretch * gradient, 2 * radius / steps), radius)
    best = max(best, bench.evaluate(stretch * u).loss, key=_rank)
    return Ascent(radius, best - here, found["one step"] - here, name)


def _rank(loss: float) -> float:
    return math.inf if math.isnan(loss) else loss


def on_sphere(direction: Tensor, radius: float) -> Tensor:
    """`direction` as long as `radius`; zero where it is zero."""
    from landscape_audit.curvature.vectors import norm

    length = norm(direction)
    return direction * (radius / length) if length > 0 else direction.clone().zero_()


def _within(u: Tensor, radius: float) -> Tensor:
    from landscape_audit.curvature.vectors import norm

    return u * min(1.0, radius / max(norm(u), 1e-300))
