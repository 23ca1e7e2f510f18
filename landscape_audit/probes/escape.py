"""Leaving along negative curvature, and what that is worth against staying."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from landscape_audit.probes.krylov import HessianKrylov
from landscape_audit.probes.walks import SMALL, SMALLEST_RADIUS, Point, Slices, Walk, point
from landscape_audit.results import Cost

if TYPE_CHECKING:
    from torch import Tensor

    from landscape_audit.probes.bench import Bench
    from landscape_audit.probes.probe import Probe, Size

CLOSER = 5
"""How often an escape quarters the shortest radius in search of a lower point: down to a millionth."""


@dataclass(frozen=True)
class Escape:
    """What leaving along the lowest Ritz vector is worth: a short descent from there, against the same from θ."""

    radius: float
    start: Point
    end: Point
    """Where the descent from `start` ended, or the lowest point of the walk where that is lower."""
    control: Point
    """Where the same descent from θ ended."""

    @property
    def worth(self) -> float:
        """How much lower the escaped descent ends than the control, in units of loss."""
        return self.control.rise.value - self.end.rise.value


@dataclass(frozen=True)
class NegativeCurvatureEscape:
    """Escape along ±v_min, where the lowest Ritz value is negative; None where it is not."""

    name: str = "negative_curvature_escape"
    needs: tuple[Probe[object], ...] = (Slices(),)

    def cost(self, size: Size) -> Cost:
        """A search for where to start, and two descents."""
        return escape_cost(size)

    def take(self, bench: Bench) -> Escape | None:
        """Along the lowest Ritz vector of the first run."""
        space = bench.take(HessianKrylov())
        if space.ritz_values[0] >= 0:
            return None
        walk = next(walk for walk in bench.take(Slices()) if walk.direction == "v_min")
        sharpest = float(abs(space.ritz_values).max())
        return escape_along(bench, walk, bench.scale.stretched(space.ritz_vector(0)), sharpest)


def escape_cost(size: Size) -> Cost:
    """A search for where to start, and two descents."""
    return Cost(forwards=3 + 2 * CLOSER, gradients=2 * (size.budgets.descent_steps or 0))


def escape_along(bench: Bench, walk: Walk, direction: Tensor, sharpest: float) -> Escape:
    """From the lowest point of a walk along `direction`, at most SMALL away so that it is still this landscape.

    Where no point of the walk is lower, closer ones are tried: in a narrow valley 0.1 % can be far. Where the walk
    itself gets lower than the descent, further out, it ends there. `sharpest` is |λ|_max, for the step of the descents.
    """
    here = bench.evaluate()
    left = max((p for p in walk.points if 0 < abs(p.radius) <= SMALL), key=lambda p: p.drop)
    radius = SMALLEST_RADIUS
    for _ in range(CLOSER if left.drop <= 0 else 0):
        radius /= 4
        pair = [point(r, here, bench.evaluate(r * direction)) for r in (radius, -radius)]
        left = max(left, *pair, key=lambda p: p.drop)
    start = left.radius * direction
    ends = [_descend(bench, origin, 1.0 / sharpest) for origin in (start, 0.0 * start)]
    escaped, control = (point(left.radius, here, bench.evaluate(end)) for end in ends)
    return Escape(left.radius, left, max(escaped, *walk.points, key=lambda p: p.drop), control)


def _descend(bench: Bench, displacement: Tensor, step: float) -> Tensor:
    """The lowest point of a gradient descent with step 1/|λ|_max, halved wherever the loss climbs: it never diverges.

    Both descents of an escape take the same number of gradients.
    """
    lowest, slope, best = displacement, None, math.inf
    for _ in range(bench.budgets.descent_steps or 0):
        gradient, loss = bench.gradient(displacement)
        if loss < best:
            lowest, slope, best = displacement, gradient, loss
        else:
            step /= 2
        if slope is None:
            break
        displacement = lowest - step * slope
    return lowest
