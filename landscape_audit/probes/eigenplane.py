"""The loss on the plane of the two ends of the spectrum, where a saddle looks like one."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from landscape_audit.probes.krylov import HessianKrylov
from landscape_audit.probes.walks import SMALLEST_RADIUS, Point, Slices, Walk, odd, point
from landscape_audit.results import Cost

if TYPE_CHECKING:
    from landscape_audit.curvature.lanczos import KrylovSpace
    from landscape_audit.probes.bench import Bench
    from landscape_audit.probes.evaluation import Evaluation
    from landscape_audit.probes.probe import Probe, Size

RISEN = 4.0
"""A side along which the loss curves up ends where it has risen by this many times itself: the walls are then drawn."""
FALLEN = 1.0
"""One along which it curves down ends where all of it would be gone: further no loss falls that cannot be negative."""
ALIKE = 1e3
"""Ends of the spectrum closer than this many roundings are one eigenvalue, whose vectors are any two."""


@dataclass(frozen=True)
class Lowest:
    """The lowest point of the grid and where it is; the checkpoint itself where none is lower."""

    x: float
    y: float
    there: Point


@dataclass(frozen=True)
class Eigenplane:
    """The loss on a grid along v_max (x) and v_min (y), the checkpoint at its centre.

    `losses[row][column]` is at (`x.points[column].radius`, `y.points[row].radius`): the walks are the grid's two lines
    through the checkpoint.
    """

    x: Walk
    y: Walk
    losses: tuple[tuple[float, ...], ...]
    lowest: Lowest

    def model(self, x: float, y: float) -> float:
        """What the quadratic model says the rise is. Ritz vectors are orthogonal in H: nothing is mixed."""
        return self.x.model(x) + self.y.model(y)


@dataclass(frozen=True)
class NoEigenplane:
    """Why there is no such plane."""

    reason: str


@dataclass(frozen=True)
class EigenplaneGrid:
    """A grid along v_max and v_min as they are, in the units of the slices and as far as there is something to see.

    Single filters are not rescaled, or they would be no eigenvectors. Each side of the window has its own length:
    `half_width`.
    """

    name: str = "eigenplane"
    needs: tuple[Probe[object], ...] = (HessianKrylov(), Slices())

    def cost(self, size: Size) -> Cost:
        """One forward a grid point."""
        return Cost(forwards=_side(size.budgets.eigenplane_points or 0) ** 2)

    def take(self, bench: Bench) -> Eigenplane | NoEigenplane:
        """Row by row."""
        space, side = bench.take(HessianKrylov()), _side(bench.budgets.eigenplane_points or 0)
        if not side:
            return NoEigenplane("eigenplane_points is 0")
        if _is_one_value(space, ALIKE * bench.eps):
            return NoEigenplane("the two ends of the spectrum are one eigenvalue")
        walks = {walk.direction: walk for walk in bench.take(Slices())}
        here = bench.evaluate()
        return _gridded(bench, here, walks["v_max"], walks["v_min"], side)


def half_width(walk: Walk, loss: float) -> float:
    """How far a side of the window goes from the checkpoint, in shares of the filters' norms and never beyond 1.

    To where curvature alone makes the loss rise by RISEN times itself, or fall by FALLEN times; where a slice saw it
    rise so far before, to where that was not so yet.
    """
    most = (RISEN if walk.curvature > 0 else FALLEN) * abs(loss)
    bends = math.sqrt(2 * most / abs(walk.curvature)) if walk.curvature else math.inf
    radii = [(abs(each.radius), each.rise.value <= RISEN * abs(loss)) for each in walk.points]
    wall = min((radius for radius, low in radii if not low), default=math.inf)
    seen = max((radius for radius, _ in radii if radius < wall), default=0.0)
    return min(1.0, max(bends if bends < wall else seen, SMALLEST_RADIUS))


def _gridded(bench: Bench, here: Evaluation, top: Walk, bottom: Walk, side: int) -> Eigenplane:
    space, scale = bench.take(HessianKrylov()), bench.scale
    first, second = scale.stretched(space.ritz_vector(space.top(1))), scale.stretched(space.ritz_vector(0))
    xs, ys = (_evenly(half_width(walk, here.loss), side) for walk in (top, bottom))

    def row(y: float) -> tuple[Point, ...]:
        there = (bench.evaluate(x * first + y * second) if x or y else here for x in xs)
        return tuple(point(x, here, each) for x, each in zip(xs, there, strict=True))

    rows, middle = [row(y) for y in ys], side // 2
    down = tuple(replace(row[middle], radius=y) for y, row in zip(ys, rows, strict=True))
    lowest = max((Lowest(each.radius, y, each) for y, row in zip(ys, rows, strict=True) for each in row), key=_depth)
    return Eigenplane(
        replace(top, points=rows[middle]),
        replace(bottom, points=down),
        tuple(tuple(each.loss for each in row) for row in rows),
        lowest if lowest.there.drop > 0 else Lowest(0.0, 0.0, rows[middle][middle]),
    )


def _depth(lowest: Lowest) -> float:
    return lowest.there.drop


def _is_one_value(space: KrylovSpace, rounding: float) -> bool:
    low, high = float(space.ritz_values[0]), float(space.ritz_values[-1])
    return high - low <= rounding * max(abs(low), abs(high))


def _evenly(reach: float, side: int) -> tuple[float, ...]:
    half = side // 2
    return tuple(reach * step / half for step in range(-half, half + 1))


def _side(points: int) -> int:
    """Odd, so that the centre is a point; three at least; none where none are wanted."""
    return max(3, odd(points)) if points else 0
