"""The highest loss in a ball around the checkpoint, as far as gradient ascent from several starts finds it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from landscape_audit.probes.gradients import BatchGradients
from landscape_audit.probes.krylov import HessianKrylov
from landscape_audit.probes.walks import Point, point
from landscape_audit.results import Cost

if TYPE_CHECKING:
    from torch import Tensor

    from landscape_audit.probes.bench import Bench
    from landscape_audit.probes.evaluation import Evaluation
    from landscape_audit.probes.probe import Probe, Size

RADIUS = 0.05
"""The raw ball: the ρ at which Foret et al. 2021 train."""
ADAPTIVE_RADIUS = 0.5
"""The adaptive ball: the ρ at which Kwon et al. 2021 train."""
ADAPTIVE_FLOOR = 0.01
"""η of Kwon et al. 2021: T = |θ| + η, so that a zero weight can move."""
SHARES = (0.25, 0.5, 0.75, 1.0)
"""Of a ball's radius, at which one step up the gradient is taken: enough to see whether the rise bends."""


@dataclass(frozen=True)
class Ascent:
    """One ascent: the rise where it starts, on the sphere, and the highest on its way."""

    start: str
    first: float
    rise: float


@dataclass(frozen=True)
class Ball:
    """The ascents within one ball, the one that starts at the one-step (SAM) point first.

    `steps` are one-step points of balls that are smaller by `SHARES`, and of this one; none where the gradient is zero.
    """

    radius: float
    ascents: tuple[Ascent, ...]
    steps: tuple[Point, ...]

    @property
    def rise(self) -> float:
        """The highest rise found, the centre's 0 included: a lower bound of the true one; NaN where a loss was."""
        return max(0.0, *(ascent.rise for ascent in self.ascents), key=_rank)

    @property
    def one_step(self) -> float:
        """The rise at the one-step (SAM) point."""
        return self.ascents[0].first


@dataclass(frozen=True)
class WorstCase:
    """The worst rise in the raw ball |ε| ≤ ρ and in the adaptive ball |ε / T| ≤ ρ, T = |θ| + η."""

    raw: Ball
    adaptive: Ball


@dataclass(frozen=True)
class BallAscent:
    """Ascent on the sphere around both balls, from the one-step point and from both ends of v_max.

    Every step goes to where the slope at the last point would have the loss highest: the one-step (SAM) rule again and
    again. Where the loss is convex it never descends, as L(u') ≥ L(u) + ⟨∇L, u' − u⟩; on a quadratic at its critical
    point it is the power method. Three such steps
    found more than ten of projected gradient ascent on each of three small networks, in both balls.

    Source: the one-step point is Foret et al. 2021, and Kwon et al. 2021 in the adaptive ball.
    """

    name: str = "ball_ascent"
    needs: tuple[Probe[object], ...] = (HessianKrylov(), BatchGradients())

    def cost(self, size: Size) -> Cost:
        """`ascent_steps` gradients and a forward from three starts in two balls; a forward for each one-step point."""
        return Cost(forwards=7 + 2 * len(SHARES), gradients=6 * (size.budgets.ascent_steps or 0))

    def take(self, bench: Bench) -> WorstCase:
        """Both balls are the same ascent in coordinates u = ε / T, with T = 1 in the raw one."""
        here = bench.evaluate()
        return WorstCase(
            _ball(bench, here, 1.0, RADIUS),
            _ball(bench, here, bench.subject.theta.abs() + ADAPTIVE_FLOOR, ADAPTIVE_RADIUS),
        )


def _ball(bench: Bench, here: Evaluation, stretch: Tensor | float, radius: float) -> Ball:
    space, slope = bench.take(HessianKrylov()), bench.take(BatchGradients()).mean
    # One start at a time: each is as long as θ.
    starts: dict[str, Callable[[], Tensor]] = {
        "one step": lambda: stretch * slope,
        "v_max": lambda: stretch * space.ritz_vector(space.top(1)),
        "-v_max": lambda: -stretch * space.ritz_vector(space.top(1)),
    }
    ascents = []
    for name, start in starts.items():
        rises = [loss - here.loss for loss in _climbed(bench, stretch, start(), radius)]
        ascents.append(Ascent(name, rises[0], max(rises, key=_rank)))
    return Ball(radius, tuple(ascents), _steps(bench, here, stretch, radius))


def _steps(bench: Bench, here: Evaluation, stretch: Tensor | float, radius: float) -> tuple[Point, ...]:
    """One step up the gradient, as far as smaller balls reach and as this one does."""
    u = on_sphere(stretch * bench.take(BatchGradients()).mean, radius)
    if not bool(u.any()):
        return ()
    return tuple(point(share * radius, here, bench.evaluate(share * stretch * u)) for share in SHARES)


def _climbed(bench: Bench, stretch: Tensor | float, start: Tensor, radius: float) -> list[float]:
    """The losses on the way, from the sphere in the direction of `start`; a point without a slope is the last."""
    u, losses = on_sphere(start, radius), list[float]()
    for _ in range(bench.budgets.ascent_steps or 1):
        gradient, loss = bench.gradient(stretch * u)
        losses.append(loss)
        if not (math.isfinite(loss) and bool(gradient.any())):
            return losses
        u = on_sphere(stretch * gradient, radius)
    return [*losses, bench.evaluate(stretch * u).loss]


def _rank(loss: float) -> float:
    return math.inf if math.isnan(loss) else loss


def on_sphere(direction: Tensor, radius: float) -> Tensor:
    """`direction` as long as `radius`; zero where it is zero."""
    from landscape_audit.curvature.vectors import norm

    length = norm(direction)
    return direction * (radius / length) if length > 0 else direction.clone().zero_()
