"""Two planes through the checkpoint as figures: one of random directions, one of the ends of the spectrum."""

from __future__ import annotations

import math

from landscape_audit.checks.walk_line import RADIUS, Noise
from landscape_audit.detail import Axis, Mark, Paraboloid, Ring, Surface
from landscape_audit.estimate import Estimate, finite_or_none
from landscape_audit.probes.eigenplane import FALLEN, RISEN, Eigenplane
from landscape_audit.probes.sweep import Sweep
from landscape_audit.probes.walks import Plane
from landscape_audit.text import count, number, percent

_CHECKPOINT = (Mark(label="checkpoint", x=0.0, y=0.0),)


def random_plane(plane: Plane, sweep: Sweep, tolerance: Estimate | None, parameters: int) -> Surface:
    """The plane of two random directions, with the radii of the flatness sweep around the checkpoint."""
    cells = [value for row in plane.losses for value in row]
    middle = len(plane.coordinates) // 2
    lower = sum(value < plane.losses[middle][middle] for value in cells)
    share = percent(min(1.0, 2 / parameters), 2)
    return Surface(
        name="plane",
        title="Loss over a plane of two random directions",
        finding=f"{count(lower, 'grid point is', 'grid points are')} lower than the checkpoint, of {len(cells)}.",
        expected="one basin with the checkpoint at its bottom",
        reading=f"{_of_rings(tolerance)} No sharpness can be read off it: two random directions of {parameters:,} hold "
        f"about {share} of any eigenvector.",
        x=Axis(label="First direction", unit=RADIUS.unit),
        y=Axis(label="Second direction", unit=RADIUS.unit),
        z_axis=_height(cells),
        xs=plane.coordinates,
        ys=plane.coordinates,
        z=_known(plane.losses),
        marks=_CHECKPOINT,
        rings=_rings(sweep.sigmas, tolerance, plane.coordinates[-1]),
    )


def _rings(sigmas: tuple[float, ...], tolerance: Estimate | None, reach: float) -> tuple[Ring, ...]:
    """The directions are orthogonal and as long as each filter: a point at radius σ moves every filter by σ."""
    radii = [Ring(radius=sigma) for sigma in sigmas if sigma <= reach]
    if tolerance is not None and tolerance.value and tolerance.value <= reach:
        more = "" if tolerance.high is not None else "more than "
        radii.append(Ring(radius=tolerance.value, label=f"tolerance {more}{percent(tolerance.value, 2)}"))
    return tuple(sorted(radii, key=lambda ring: ring.radius))


def _of_rings(tolerance: Estimate | None) -> str:
    swept = "Dotted rings: the radii of the flatness sweep"
    if tolerance is None or not tolerance.value:
        return f"{swept}."
    if tolerance.high is None:
        return (
            f"{swept}; up to the whole one, {percent(tolerance.value, 2)}, the mean rise stays below 10 % of the loss."
        )
    return (
        f"{swept}; at the whole one, the tolerance of {percent(tolerance.value, 2)}, the mean rise is 10 % of the loss."
    )


def eigenplane(plane: Eigenplane, loss: float, noise: Noise) -> Surface:
    """The plane of v_max and v_min, with what the quadratic model says of it."""
    cells = [value for row in plane.losses for value in row]
    xs, ys = (tuple(point.radius for point in walk.points) for walk in (plane.x, plane.y))
    falls = plane.y.curvature < 0
    return Surface(
        name="eigenplane",
        title="Loss over the plane of highest and lowest curvature",
        finding=f"{_of_the_lowest(plane, loss, noise)} {_of_the_model(plane, loss)}",
        expected="a valley with walls left and right and a level floor; at a saddle contours part at the checkpoint",
        reading="Dashed: the quadratic model. Sides end where curvature alone has the loss "
        f"{_far(falls=falls)}, or a slice saw it rise so far before.",
        x=Axis(label="Along v_max", unit=RADIUS.unit),
        y=Axis(label="Along v_min", unit=RADIUS.unit),
        z_axis=_height(cells),
        xs=xs,
        ys=ys,
        z=_known(plane.losses),
        marks=_CHECKPOINT,
        predicted=Paraboloid(
            value=loss,
            slope_x=plane.x.slope,
            slope_y=plane.y.slope,
            curvature_x=plane.x.curvature,
            curvature_y=plane.y.curvature,
        ),
        aspect="free",
    )


def _far(*, falls: bool) -> str:
    rising = f"rise by {RISEN:g} times itself"
    return f"{rising}, or fall by {percent(FALLEN)} of it" if falls else rising


def _of_the_lowest(plane: Eigenplane, loss: float, noise: Noise) -> str:
    lowest, there = plane.lowest, plane.lowest.there
    if not there.drop > 0:
        return "No point of this plane is lower than the checkpoint."
    half = noise.half(there.rise)
    spread = f" ± {number(half, 2)}" if math.isfinite(half) else ""
    share = f" ({percent(there.drop / abs(loss), 2)} of it)" if loss else ""
    return (
        f"The lowest point of this plane is {number(there.drop, 3)}{spread} below the checkpoint's loss{share}, at "
        f"{percent(lowest.x, 2)} along v_max and {percent(lowest.y, 2)} along v_min."
    )


def _of_the_model(plane: Eigenplane, loss: float) -> str:
    """How far the quadratic model is off on the window's edge."""
    edges = [0, -1]
    on_edge = [
        (abs(value - loss - plane.model(x.radius, y.radius)), value - loss, plane.model(x.radius, y.radius))
        for row, y in zip(plane.losses, plane.y.points, strict=True)
        for value, x in zip(row, plane.x.points, strict=True)
        if math.isfinite(value) and any(x is plane.x.points[end] or y is plane.y.points[end] for end in edges)
    ]
    if not on_edge:
        return "At the window's edge no loss is finite."
    off, measured, said = max(on_edge)
    return (
        f"At the window's edge the quadratic model (dashed) is off by up to {number(off, 3)}: "
        f"it says {number(said, 3)} where the loss changes by {number(measured, 3)}."
    )


def _height(cells: list[float]) -> Axis:
    positive = all(value > 0 for value in cells if math.isfinite(value))
    return Axis(label="Loss", unit="loss", scale="log" if positive else "linear")


def _known(losses: tuple[tuple[float, ...], ...]) -> tuple[tuple[float | None, ...], ...]:
    return tuple(tuple(finite_or_none(value) for value in row) for row in losses)
