"""A walk as a figure: what was measured beside what the quadratic model says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from landscape_audit.detail import Axis, Line, Mark, Series
from landscape_audit.estimate import finite_or_none
from landscape_audit.probes.walks import Walk
from landscape_audit.statistics import Mean
from landscape_audit.text import number, percent

RADIUS = Axis(label="Distance from the checkpoint", unit="share of the filters' norms")
FINE = 60
"""Steps of the quadratic model's curve: a parabola of so many corners is round at any size of the page."""


@dataclass(frozen=True)
class Noise:
    """How uncertain a difference of losses is: other examples at the audit's level, and never less than rounding."""

    level: float
    rounding: float

    def half(self, rise: Mean) -> float:
        """Half of the width of the band at one point; infinite where one batch alone says nothing of others."""
        return max(rise.half_width(self.level), self.rounding)

    def told(self, walk: Walk) -> str:
        """What the band of a walk's figure is."""
        if all(point.rise.n < 2 for point in walk.points):
            return "There is no band: one batch says nothing of other examples."
        return (
            f"Band: what other examples would give, at {percent(self.level, 3)} for each point, "
            f"or rounding, ±{number(self.rounding, 2)}, where that is more."
        )


def telling(walk: Walk) -> float:
    """How far a walk is worth drawing: until the loss has risen to thirty times itself, so that its centre is seen."""
    loss = next(point.loss for point in walk.points if point.radius == 0.0)
    tall = [abs(point.radius) for point in walk.points if not point.rise.value <= 29 * abs(loss)]
    inside = [abs(point.radius) for point in walk.points if abs(point.radius) < min(tall, default=2.0)]
    return max(max(inside, default=0.0), 0.01)


def walk_line(walk: Walk, *, name: str, title: str, finding: str, expected: str, reach: float, noise: Noise) -> Line:
    """The rise of the loss along one walk, out to `reach` both ways, with the band of its noise."""
    points = [point for point in walk.points if abs(point.radius) <= reach]
    radii = tuple(point.radius for point in points)
    rises = [(point.rise.value, noise.half(point.rise)) for point in points]
    smooth = _finely(radii)
    return Line(
        name=name,
        title=title,
        finding=finding,
        expected=expected,
        reading=noise.told(walk),
        x=RADIUS,
        y=Axis(label="Rise of the loss", unit="loss"),
        series=(
            banded("measured", radii, rises),
            Series(
                name="quadratic model", role="predicted", x=smooth, y=tuple(walk.model(radius) for radius in smooth)
            ),
        ),
        marks=(Mark(label="checkpoint", x=0.0, y=0.0),),
    )


def banded(name: str, x: tuple[float, ...], rises: Sequence[tuple[float, float]]) -> Series:
    """A measured curve with its band, of values and half widths."""
    return Series(
        name=name,
        x=x,
        y=tuple(finite_or_none(value) for value, _ in rises),
        low=tuple(finite_or_none(value - half) for value, half in rises),
        high=tuple(finite_or_none(value + half) for value, half in rises),
    )


def _finely(radii: tuple[float, ...]) -> tuple[float, ...]:
    """The radii, and as many between the first and the last as a smooth curve needs."""
    first, last = min(radii), max(radii)
    return tuple(sorted({*radii, *(first + (last - first) * step / FINE for step in range(FINE + 1))}))
