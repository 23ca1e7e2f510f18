"""The loss along lines and planes through the checkpoint."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from landscape_audit.probes.evaluation import Evaluation
from landscape_audit.probes.gradients import BatchGradients
from landscape_audit.probes.krylov import HessianKrylov
from landscape_audit.results import Cost
from landscape_audit.statistics import Mean, weighted_mean

if TYPE_CHECKING:
    from torch import Tensor

    from landscape_audit.probes.bench import Bench
    from landscape_audit.probes.probe import Probe, Size

SMALL = 0.1
"""Within this share of the filters' norms it is still this landscape: a step that pays there leaves no doubt."""
SMALLEST_RADIUS = 1e-3
"""The shortest walk, as a share of the filters' norms; the longest is 1."""


@dataclass(frozen=True)
class Point:
    """The loss at one distance along a direction, against the loss at θ on the same examples.

    `radius` is signed and in units of the filters' norms.
    """

    radius: float
    loss: float
    rise: Mean
    metric: float | None

    @property
    def drop(self) -> float:
        """How much lower the loss is than at θ; −∞ where it is not finite."""
        return -self.rise.value if math.isfinite(self.rise.value) else -math.inf


def point(radius: float, here: Evaluation, there: Evaluation) -> Point:
    """A point from two evaluations on common batches: the paired difference and its standard error over batches."""
    differences = [b - a for a, b in zip(here.means(), there.means(), strict=True)]
    if not math.isfinite(there.loss):
        return Point(radius, there.loss, Mean(math.nan, math.inf, len(differences)), there.metric)
    return Point(radius, there.loss, weighted_mean(differences, here.weights), there.metric)


@dataclass(frozen=True)
class Walk:
    """Points along one direction, the checkpoint among them at radius 0, ascending."""

    direction: str
    points: tuple[Point, ...]
    slope: float
    """gᵀd for the direction d of one unit of radius."""
    curvature: float
    """dᵀHd for the same direction."""

    def model(self, radius: float) -> float:
        """What the quadratic model says the rise at `radius` is."""
        return self.slope * radius + 0.5 * self.curvature * radius**2

    def best(self, reach: float = math.inf) -> Point:
        """The lowest point within `reach`."""
        return max((point for point in self.points if abs(point.radius) <= reach), key=lambda point: point.drop)


@dataclass(frozen=True)
class Slices:
    """Walks along the eigenvectors of both ends, against the gradient, and along a random direction.

    Directions are stretched to one unit of the filters' norms, and walked from 0.1 % to 100 % of it both ways; the
    spacing is a power law, so that every decade is seen and the centre is a point.
    """

    name: str = "slices"
    needs: tuple[Probe[object], ...] = (HessianKrylov(), BatchGradients())

    def cost(self, size: Size) -> Cost:
        """`slice_points` forwards along each of four directions, and a product for the curvature of each."""
        points = size.budgets.slice_points or 0
        return Cost(forwards=1 + 4 * (2 * (points // 2)), hvps=2)

    def take(self, bench: Bench) -> tuple[Walk, ...]:
        """In the order v_max, v_min, −g, random; without −g where the gradient is exactly zero."""
        space, sample = bench.take(HessianKrylov()), bench.take(BatchGradients())
        here = bench.evaluate()
        scale, values = bench.scale, space.ritz_values
        # One direction at a time: each is as long as θ.
        chosen: list[tuple[str, Callable[[], Tensor], float | None]] = [
            ("v_max", lambda: scale.stretched(space.ritz_vector(space.top(1))), float(values[-1]) * scale.radius**2),
            ("v_min", lambda: scale.stretched(space.ritz_vector(0)), float(values[0]) * scale.radius**2),
            ("-g", lambda: scale.stretched(-sample.mean), None),
            ("random", lambda: scale.direction(bench.subject.layout, bench.generator(self.name)), None),
        ]
        radii = walk_radii((bench.budgets.slice_points or 5) // 2)
        return tuple(
            walked(bench, name, direction(), curvature, here, radii)
            for name, direction, curvature in chosen
            if name != "-g" or sample.norm > 0
        )


def walked(
    bench: Bench, name: str, direction: Tensor, curvature: float | None, here: Evaluation, radii: Sequence[float]
) -> Walk:
    """The walk along `direction`, one unit of radius long; a product where its curvature is not known."""
    slope = _slope(bench.take(BatchGradients()).mean, direction)
    bend = _form(bench, direction) if curvature is None else curvature
    return Walk(name, _walk(bench, here, direction, radii), slope, bend)


def walk_radii(per_side: int) -> list[float]:
    """Radii from the smallest to 1 on both sides of 0, dense near the centre: u^p for even steps of u."""
    power = math.log(SMALLEST_RADIUS) / math.log(1 / per_side)
    side = [(step / per_side) ** power for step in range(1, per_side + 1)]
    return [*(-radius for radius in reversed(side)), 0.0, *side]


def _walk(bench: Bench, here: Evaluation, direction: Tensor, radii: Sequence[float]) -> tuple[Point, ...]:
    return tuple(point(radius, here, bench.evaluate(radius * direction) if radius else here) for radius in radii)


def _form(bench: Bench, direction: Tensor) -> float:
    from landscape_audit.curvature.vectors import dot

    return dot(direction, bench.hvp(direction))


def _slope(gradient: Tensor, direction: Tensor) -> float:
    from landscape_audit.curvature.vectors import dot

    return dot(gradient, direction)


@dataclass(frozen=True)
class TrustRegionPoint:
    """What the quadratic model promised for the best step within a radius, and what the loss did there."""

    promised: float
    slope_share: float
    measured: Point


@dataclass(frozen=True)
class TrustRegion:
    """The model's best step within radii from 0.1 % to 100 %, taken. Empty where the gradient is zero.

    The steps are exact on a short Krylov space from the gradient, which nothing else needs: it is not kept.
    """

    name: str = "trust_region"
    needs: tuple[Probe[object], ...] = (BatchGradients(),)

    RADII = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)

    def cost(self, size: Size) -> Cost:
        """`trust_region_steps` products, and a forward a radius."""
        products = min(size.budgets.trust_region_steps or 0, size.parameters)
        return Cost(forwards=1 + len(self.RADII), hvps=products)

    def take(self, bench: Bench) -> tuple[TrustRegionPoint, ...]:
        """Solve on the Krylov space, then evaluate."""
        from landscape_audit.curvature.lanczos import lanczos
        from landscape_audit.curvature.trust_region import model_step
        from landscape_audit.curvature.vectors import norm

        gradient = bench.take(BatchGradients()).mean
        length = norm(gradient)
        if length == 0.0:
            return ()
        steps, generator = bench.budgets.trust_region_steps or 1, bench.generator(self.name)
        space = lanczos(bench.hvp, gradient, steps, generator, storage=bench.room.storage)
        here, taken = bench.evaluate(), []
        for radius in self.RADII:
            step = model_step(space, length, radius * bench.scale.radius)
            measured = point(radius, here, bench.evaluate(step.step))
            taken.append(TrustRegionPoint(step.decrease, step.slope_share, measured))
        return tuple(taken)


@dataclass(frozen=True)
class Plane:
    """The loss on a square grid spanned by two filter-normalised random directions, the checkpoint at its centre."""

    coordinates: tuple[float, ...]
    losses: tuple[tuple[float, ...], ...]
    """`losses[row][column]` at (`coordinates[column]`, `coordinates[row]`); not finite where the network is not."""
    cosine: float


@dataclass(frozen=True)
class RandomPlane:
    """The 2-D surface of Li et al. 2018."""

    name: str = "random_plane"
    needs: tuple[Probe[object], ...] = ()

    REACH = 1.0

    def cost(self, size: Size) -> Cost:
        """One forward a grid point."""
        return Cost(forwards=odd(size.budgets.surface_points or 3) ** 2)

    def take(self, bench: Bench) -> Plane:
        """Row by row; the number of points along a side is odd, so that the centre is one of them."""
        from landscape_audit.curvature.vectors import dot, norm

        first, second = bench.scale.pair(bench.subject.layout, bench.generator(self.name))
        half = odd(bench.budgets.surface_points or 3) // 2
        coordinates = tuple(self.REACH * step / half for step in range(-half, half + 1))
        losses = tuple(tuple(bench.evaluate(x * first + y * second).loss for x in coordinates) for y in coordinates)
        return Plane(coordinates, losses, dot(first, second) / (norm(first) * norm(second)))


def odd(points: int) -> int:
    """The next odd number, so that a centre is one of so many points."""
    return points | 1
