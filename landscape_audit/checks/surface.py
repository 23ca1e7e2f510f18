"""What does the landscape look like?"""

from __future__ import annotations

import math

from landscape_audit.checks.check import check
from landscape_audit.checks.walk_line import RADIUS, walk_line
from landscape_audit.detail import Axis, Line, Mark, Surface
from landscape_audit.estimate import Estimate, finite_or_none
from landscape_audit.probes.walks import Plane, RandomPlane, Slices, Walk
from landscape_audit.results import Measured
from landscape_audit.text import count, number, percent

_EXPECTED = {
    "v_max": "the steepest valley through the checkpoint, rising on both sides",
    "v_min": "nearly level close by: the flattest or downward direction",
    "-g": "level at the checkpoint; falling to the right where training is not done",
    "random": "a wide bowl",
}
_WORDS = {
    "v_max": "the direction of highest curvature",
    "v_min": "the direction of lowest curvature",
    "-g": "steepest descent",
    "random": "a random filter-normalised direction",
}


@check(
    "surface",
    RandomPlane(),
    Slices(),
    version=1,
    title="Loss surface",
    question="What does the loss look like around the checkpoint?",
    source="Li et al. 2018",
)
def surface(plane: Plane, slices: tuple[Walk, ...]) -> Measured:
    """A 2-D surface along two filter-normalised random directions, and 1-D slices along four directions.

    The checkpoint is a grid point, at the centre. The two directions are orthogonal filter by filter. Cells where the
    loss is not finite stay empty and are counted. Slices follow the eigenvectors as they are, without rescaling
    single filters, and so remain eigenvectors. A picture of two directions out of P proves nothing by itself.
    """
    cells = [value for row in plane.losses for value in row]
    middle = len(plane.coordinates) // 2
    centre = plane.losses[middle][middle]
    lower = sum(value < centre for value in cells)
    missing = sum(not math.isfinite(value) for value in cells)
    finding = f"{count(lower, 'grid point is', 'grid points are')} lower than the checkpoint, of {len(cells)}."
    return Measured(
        estimates={
            "lower_share": Estimate.exact(
                lower / len(cells), unit="share of grid points", direction="lower", n=len(cells)
            ),
            "nonfinite_cells": Estimate.exact(float(missing), unit="grid points", direction="lower", n=len(cells)),
            "plane_cosine": Estimate.exact(plane.cosine, unit="cosine"),
        },
        details=(
            Surface(
                name="plane",
                title="Loss over a plane of two random directions",
                finding=finding,
                expected="one basin with the checkpoint at its bottom",
                x=Axis(label="First direction", unit=RADIUS.unit),
                y=Axis(label="Second direction", unit=RADIUS.unit),
                z_axis=Axis(label="Loss", unit="loss", scale="log" if _all_positive(cells) else "linear"),
                xs=plane.coordinates,
                ys=plane.coordinates,
                z=tuple(tuple(finite_or_none(value) for value in row) for row in plane.losses),
                marks=(Mark(label="checkpoint", x=0.0, y=0.0),),
            ),
            *(_slice(walk, centre) for walk in slices),
        ),
        caveats=(f"{count(missing, 'grid point has', 'grid points have')} no finite loss.",) if missing else (),
    )


def _all_positive(cells: list[float]) -> bool:
    return all(value > 0 for value in cells if math.isfinite(value))


def _telling(walk: Walk, loss: float) -> float:
    """How far a slice is worth drawing: until the loss has risen to thirty times itself, so that its centre is seen."""
    tall = [abs(point.radius) for point in walk.points if not point.rise.value <= 29 * abs(loss)]
    inside = [abs(point.radius) for point in walk.points if abs(point.radius) < min(tall, default=2.0)]
    return max(max(inside, default=0.0), 0.01)


def _slice(walk: Walk, loss: float) -> Line:
    best = walk.best()
    where = f"{percent(best.radius, 3)} of the filters' norms away" if best.drop > 0 else "the checkpoint itself"
    return walk_line(
        walk,
        name="slice_" + walk.direction.replace("-", "down_"),
        title=f"Loss along {_WORDS[walk.direction]}",
        finding=f"Along {_WORDS[walk.direction]} the lowest point is {where}"
        + (f", {number(best.drop)} lower." if best.drop > 0 else "."),
        expected=_EXPECTED[walk.direction],
        reach=_telling(walk, loss),
    )
