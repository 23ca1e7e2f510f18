"""Several starts: negative curvature that one random start could have missed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from landscape_audit.probes.escape import Escape, escape_along, escape_cost
from landscape_audit.probes.instrument import InstrumentTrial
from landscape_audit.probes.krylov import HessianKrylov
from landscape_audit.probes.losses import CheckpointLoss
from landscape_audit.probes.materiality import curvature_worth, delta_on
from landscape_audit.probes.probe import Growth
from landscape_audit.probes.rayleigh import RayleighQuotients, RitzRayleigh, quotients
from landscape_audit.probes.walks import SMALL, Slices, Walk, walk_radii, walked
from landscape_audit.results import Cost

if TYPE_CHECKING:
    from torch import Tensor

    from landscape_audit.curvature.lanczos import KrylovSpace
    from landscape_audit.probes.bench import Bench
    from landscape_audit.probes.probe import Probe, Size

STARTS = 3
"""Random starts at most, the first included: each one more takes a root of the chance that all have missed."""

CLOSE = 0.1
"""A negative Ritz value has settled at a residual of this share of it: an eigenvalue as negative is then near."""
WALK = "v_min, more products"


@dataclass(frozen=True)
class Lower:
    """A Ritz vector lower than the one that was walked: put to the test, walked and escaped along."""

    quotients: RayleighQuotients
    walk: Walk
    escape: Escape


@dataclass(frozen=True)
class Starts:
    """The first run, gone on with where that was needed, and what further starts found.

    For every start, `floors` holds what its own run says that λ_min is not below, with chances of failure `shares`:
    of which the k-th serves a statement from k starts.
    """

    run: KrylovSpace
    floors: tuple[tuple[float, ...], ...]
    steps: tuple[int, ...]
    """Products of every start."""
    lower: Lower | None = None

    @property
    def floor(self) -> float:
        """What λ_min is not below at the audit's level, for all that the starts have seen.

        k independent starts all miss with the product of their chances: if each run's floor fails with a chance of
        f^(1/k), the lowest of the k fails with f. Looking after every start costs f = (1 − level) / STARTS each; all
        these statements then hold together, and the highest is taken.
        """
        return max(min(floors[k] for floors in self.floors[: k + 1]) for k in range(len(self.floors)))

    def leaves_open(self, least: float) -> bool:
        """Whether λ_min may be below `least`, and has not been found there."""
        found = self.lower is not None and self.lower.quotients.value < least
        return self.floor < least and not found


def shares(level: float) -> tuple[float, ...]:
    """The chance of failure of one run's floor in a statement from 1, 2 … STARTS of them."""
    return tuple(((1 - level) / STARTS) ** (1 / k) for k in range(1, STARTS + 1))


@dataclass(frozen=True)
class FurtherStarts:
    """More products on λ_min, where curvature that no run has seen could be worth δ and nothing else decides.

    First the run that there is goes on, which brings its floor up fastest; then fresh random starts follow, as a start
    may by chance be nearly orthogonal to v_min. A Ritz vector that comes out lower is certified, walked, and escaped
    along. Not where negative curvature is seen or a step along −g pays: the class does not turn on this then.
    """

    name: str = "further_starts"
    needs: tuple[Probe[object], ...] = (HessianKrylov(), RitzRayleigh(), Slices(), CheckpointLoss(), InstrumentTrial())

    ANYTIME: ClassVar = True
    GROWTH: ClassVar = Growth("residual", "lanczos_steps")

    def cost(self, size: Size) -> Cost:
        """Nothing is planned: it is `if_needed`."""
        del size
        return Cost()

    def if_needed(self, size: Size) -> Cost:
        """At most `lanczos_steps` products, and where they find a lower Ritz vector a test, a walk and an escape."""
        walk = Cost(forwards=size.budgets.slice_points or 0, hvps=1 + 2 / size.n_batches)
        return escape_cost(size) + walk + Cost(hvps=size.budgets.lanczos_steps or 0)

    def take(self, bench: Bench) -> Starts:
        """Until the floor is high enough, a lower Ritz value worth δ has settled, or the budget or time is spent."""
        first, before, least = bench.take(HessianKrylov()), bench.before(self), _least(bench)
        found = before or Starts(first, (_floors(bench, first),), (first.steps,))
        most = first.steps + (bench.budgets.lanczos_steps or 0)
        # With a larger budget only the first run goes on: that is what brings a floor up.
        index, starts = 0, 1 if before else STARTS
        while index < starts and bench.ranks.agree(found.leaves_open(least)) and not bench.out_of_time():
            steps = most - sum(found.steps)
            if index and (rows := _rows(bench)) < steps:
                bench.note(f"Beside the Krylov basis there was room for a further start of {rows} steps, not {steps}.")
                steps = rows
            if index and steps < 2:
                break
            found = _explored(bench, found, index, steps, least)
            index = len(found.steps)
        return found


def _least(bench: Bench) -> float:
    """The λ_min below which curvature is worth δ; −∞ where the class does not turn on what was not seen."""
    bottom, worth = bench.take(RitzRayleigh()).bottom, curvature_worth(1.0, bench.scale.radius)
    delta = delta_on(bench)
    down = [walk.best(SMALL).drop for walk in bench.take(Slices()) if walk.direction == "-g"]
    settled = bottom.value + bottom.rounding < 0 or max(down, default=0.0) > delta
    certified = bench.protocol.products == "full"  # a run on other products says nothing of these
    return -delta / worth if worth > 0 and certified and not settled else -math.inf


def _floors(bench: Bench, run: KrylovSpace) -> tuple[float, ...]:
    return tuple(run.floor(share) for share in shares(bench.protocol.level))


def _rows(bench: Bench) -> int:
    """The steps that a second basis has room for, beside the first and the graphs that are kept."""
    storage, theta = bench.room.storage, bench.subject.theta
    if storage.device != theta.device:
        return theta.numel()
    left = bench.room.graphs - bench.landscape.kept_bytes
    return max(0, int(bench.ranks.least(left // storage.row_bytes(theta.numel()))) - 2)


def _explored(bench: Bench, found: Starts, index: int, steps: int, least: float) -> Starts:
    """The same with up to `steps` products more: in the first run where `index` is 0, or from a fresh start."""
    from landscape_audit.curvature.lanczos import lanczos

    # The first run may bring its own floor up; that of a later one counts together with those before it.
    share = shares(bench.protocol.level)[index]

    def done(space: KrylovSpace) -> bool:
        value = float(space.ritz_values[0])
        settled = space.residuals[0] <= CLOSE * abs(value) if value < least else space.has_none_below(least, share)
        return bench.out_of_time() or bench.ranks.agree(bool(settled))

    before = found.steps[0] if index == 0 else 0
    start = found.run if index == 0 else _start(bench, index)
    upto = min(before + steps, bench.budgets.lanczos_steps or 0)
    generator = bench.generator(f"{FurtherStarts().name}:{index}:{before}")
    run = lanczos(bench.hvp, start, upto, generator, stop=done, storage=bench.room.storage)
    return Starts(
        run=run if index == 0 else found.run,
        floors=(*found.floors[:index], _floors(bench, run), *found.floors[index + 1 :]),
        steps=(*found.steps[:index], run.steps, *found.steps[index + 1 :]),
        lower=_lower(bench, found, run),
    )


def _start(bench: Bench, index: int) -> Tensor:
    from landscape_audit.curvature.vectors import unit_gaussian

    theta = bench.subject.theta
    return unit_gaussian(theta.numel(), bench.generator(f"{FurtherStarts().name}:{index}"), theta)


def _lower(bench: Bench, found: Starts, run: KrylovSpace) -> Lower | None:
    """The lowest Ritz vector of the run, where it is negative and lower than what is known by more than rounding."""
    bottom, first = bench.take(RitzRayleigh()).bottom, bench.take(HessianKrylov())
    known = found.lower.quotients if found.lower else bottom
    if not bench.ranks.agree(bool(run.ritz_values[0] < min(0.0, known.value - known.rounding))):
        return found.lower
    told, _ = quotients(bench, run, 0)
    direction = bench.scale.stretched(run.ritz_vector(0))
    radii = walk_radii((bench.budgets.slice_points or 5) // 2)
    walk = walked(bench, WALK, direction, told.value * bench.scale.radius**2, bench.evaluate(), radii)
    sharpest = max(float(abs(space.ritz_values).max()) for space in (first, run))
    return Lower(told, walk, escape_along(bench, walk, direction, sharpest))
