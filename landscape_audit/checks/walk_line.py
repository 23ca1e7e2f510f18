"""A walk as a figure: what was measured beside what the quadratic model says."""

from __future__ import annotations

from landscape_audit.detail import Axis, Line, Mark, Series
from landscape_audit.estimate import finite_or_none
from landscape_audit.probes.walks import Walk

RADIUS = Axis(label="Distance from the checkpoint", unit="share of the filters' norms")


def walk_line(walk: Walk, *, name: str, title: str, finding: str, expected: str, reach: float) -> Line:
    """The rise of the loss along one walk, out to `reach` both ways."""
    points = [point for point in walk.points if abs(point.radius) <= reach]
    radii = tuple(point.radius for point in points)
    return Line(
        name=name,
        title=title,
        finding=finding,
        expected=expected,
        x=RADIUS,
        y=Axis(label="Rise of the loss", unit="loss"),
        series=(
            Series(name="measured", x=radii, y=tuple(finite_or_none(point.rise.value) for point in points)),
            Series(name="quadratic model", role="predicted", x=radii, y=tuple(walk.model(radius) for radius in radii)),
        ),
        marks=(Mark(label="checkpoint", x=0.0, y=0.0),),
    )
