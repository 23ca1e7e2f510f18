"""What does the landscape look like?"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from landscape_audit.checks.check import check
from landscape_audit.checks.planes import eigenplane, random_plane
from landscape_audit.checks.tolerance import tolerance_of
from landscape_audit.checks.walk_line import Noise, telling, walk_line
from landscape_audit.detail import Line
from landscape_audit.estimate import Estimate
from landscape_audit.probes.eigenplane import Eigenplane, EigenplaneGrid, NoEigenplane
from landscape_audit.probes.facts import AuditFacts, Facts
from landscape_audit.probes.instrument import InstrumentSample, InstrumentTrial
from landscape_audit.probes.krylov import HessianKrylov
from landscape_audit.probes.sweep import KnownSweep, Sweep
from landscape_audit.probes.walks import Plane, RandomPlane, Slices, Walk
from landscape_audit.results import Measured
from landscape_audit.text import count, number, percent

if TYPE_CHECKING:
    from landscape_audit.curvature.lanczos import KrylovSpace

UNSETTLED = 0.1
"""Share of |λ| that the solver may leave open of an end of the spectrum: as much as of a resolved pair."""
SLIGHT = 1e-3
"""Of the largest |λ|: less than this is left open anywhere, and a direction that is flat within it is any flat one."""
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
    EigenplaneGrid(),
    KnownSweep(),
    InstrumentTrial(),
    AuditFacts(),
    HessianKrylov(),
    version=1,
    title="Loss surface",
    question="What does the loss look like around the checkpoint?",
    source="Li et al. 2018",
)
def surface(
    plane: Plane,
    slices: tuple[Walk, ...],
    ends: Eigenplane | NoEigenplane,
    sweep: Sweep,
    trial: InstrumentSample,
    facts: Facts,
    krylov: KrylovSpace,
) -> Measured:
    """Two planes through the checkpoint, one random and one of both ends of the spectrum, and slices along four lines.

    The checkpoint is a grid point, at the centre. The two random directions are orthogonal filter by filter. Cells
    where the loss is not finite stay empty and are counted. Slices, and the plane of v_max and v_min, follow the
    eigenvectors as they are, without rescaling single filters, and so remain eigenvectors; an end of the spectrum
    that the solver has not settled is told. Bands are the paired
    difference's interval over batches. A picture of two directions out of P proves nothing by itself: random ones hold
    about 2/P of any eigenvector. Rings are the radii of `flatness`, where that was measured too.
    """
    cells = [value for row in plane.losses for value in row]
    middle = len(plane.coordinates) // 2
    centre = plane.losses[middle][middle]
    lower = sum(value < centre for value in cells)
    missing = sum(not math.isfinite(value) for value in cells)
    noise = Noise(facts.level, trial.loss_noise)
    tolerance = tolerance_of(sweep.sample, facts.level, trial.loss_noise) if sweep.sample else None
    drawn = (eigenplane(ends, centre, noise),) if isinstance(ends, Eigenplane) else ()
    return Measured(
        estimates={
            "lower_share": Estimate.exact(
                lower / len(cells), unit="share of grid points", direction="lower", n=len(cells)
            ),
            "nonfinite_cells": Estimate.exact(float(missing), unit="grid points", direction="lower", n=len(cells)),
            "plane_cosine": Estimate.exact(plane.cosine, unit="cosine"),
        },
        details=(
            random_plane(plane, sweep, tolerance, facts.parameters),
            *drawn,
            *(_slice(_with_grid(walk, ends), noise) for walk in slices),
        ),
        caveats=(*_caveats(missing, ends), *_of_unsettled(krylov, facts.level)),
    )


def _caveats(missing: int, ends: Eigenplane | NoEigenplane) -> Iterator[str]:
    if missing:
        yield f"{count(missing, 'grid point has', 'grid points have')} no finite loss."
    if isinstance(ends, NoEigenplane):
        yield f"There is no plane of highest and lowest curvature: {ends.reason}."


def _of_unsettled(krylov: KrylovSpace, level: float) -> Iterator[str]:
    """Which drawn ends of the spectrum may not be its ends: along the true ones the loss curves still more."""
    slight, reach = SLIGHT * float(abs(krylov.ritz_values).max()), krylov.reach(1 - level)
    for name, end, index, beyond in (
        ("v_max", "highest", krylov.top(1), reach.above),
        ("v_min", "lowest", 0, reach.below),
    ):
        left, value = float(krylov.residuals[index]) + beyond, abs(float(krylov.ritz_values[index]))
        if left > max(UNSETTLED * value, slight):
            known = f", {percent(left / value, 2)} of it" if left < value else ""
            yield (
                f"{name} is the {end} curvature that {count(krylov.steps, 'product')} found. The solver leaves "
                f"{number(left, 2)}{known}, open: the true one may curve more, in another direction."
            )


def _with_grid(walk: Walk, ends: Eigenplane | NoEigenplane) -> Walk:
    """A slice with the points of the plane of eigenvectors that lie on it, which are dense where it matters."""
    lines = (ends.x, ends.y) if isinstance(ends, Eigenplane) else ()
    more = [point for line in lines if line.direction == walk.direction for point in line.points]
    points = {point.radius: point for point in (*more, *walk.points)}
    return replace(walk, points=tuple(points[radius] for radius in sorted(points)))


def _slice(walk: Walk, noise: Noise) -> Line:
    best = walk.best()
    where = f"{percent(best.radius, 3)} of the filters' norms away" if best.drop > 0 else "the checkpoint itself"
    return walk_line(
        walk,
        name="slice_" + walk.direction.replace("-", "down_"),
        title=f"Loss along {_WORDS[walk.direction]}",
        finding=f"Along {_WORDS[walk.direction]} the lowest point is {where}"
        + (f", {number(best.drop)} lower." if best.drop > 0 else "."),
        expected=_EXPECTED[walk.direction],
        reach=telling(walk),
        noise=noise,
    )
