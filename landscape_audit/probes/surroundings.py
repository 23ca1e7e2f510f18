"""All that the class of a point is decided from; in float64 as well, where float32's rounding leaves it open."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from landscape_audit.probes.escape import Escape, NegativeCurvatureEscape
from landscape_audit.probes.facts import AuditFacts, Facts
from landscape_audit.probes.gradients import BatchGradients, GradientSample
from landscape_audit.probes.instrument import InstrumentSample, InstrumentTrial
from landscape_audit.probes.krylov import HessianKrylov
from landscape_audit.probes.losses import CheckpointLoss, LossSample
from landscape_audit.probes.materiality import curvature_worth, material
from landscape_audit.probes.rayleigh import RayleighQuotients, RayleighSample, RitzRayleigh
from landscape_audit.probes.starts import FurtherStarts, Starts
from landscape_audit.probes.walks import SMALL, Slices, TrustRegion, TrustRegionPoint, Walk
from landscape_audit.results import Cost

if TYPE_CHECKING:
    from landscape_audit.curvature.lanczos import KrylovSpace
    from landscape_audit.probes.bench import Bench
    from landscape_audit.probes.probe import Probe, Size

FEW = 100_000
"""Parameters below which everything is measured again in float64 where that decides: seconds, on any machine."""


@dataclass(frozen=True)
class Surroundings:
    """A point as the probes saw it, in one precision."""

    loss: LossSample
    gradients: GradientSample
    krylov: KrylovSpace
    rayleigh: RayleighSample
    slices: tuple[Walk, ...]
    trust_region: tuple[TrustRegionPoint, ...]
    escape: Escape | None
    starts: Starts
    trial: InstrumentSample
    facts: Facts

    @property
    def delta(self) -> float:
        """What is worth having."""
        return material(self.loss.evaluation.loss, self.trial.loss_noise, self.facts.materiality)

    @property
    def walks(self) -> tuple[Walk, ...]:
        """Every walk: the slices, and one along a vector that further products found."""
        lower = self.starts.lower
        return self.slices if lower is None else (*self.slices, lower.walk)

    @property
    def escapes(self) -> tuple[Escape, ...]:
        """Every escape; the last is the one along `lowest`."""
        lower = self.starts.lower
        return tuple(escape for escape in (self.escape, lower.escape if lower else None) if escape is not None)

    @property
    def escape_worth(self) -> float:
        """What the better escape is worth; 0 where there was nothing to leave along."""
        return max((escape.worth for escape in self.escapes), default=0.0)

    @property
    def lowest(self) -> RayleighQuotients:
        """The lowest vector of all that were put to the test."""
        lower = self.starts.lower
        return lower.quotients if lower else self.rayleigh.bottom

    def along(self, direction: str) -> Walk | None:
        """The walk of that name; None where the direction does not exist."""
        return next((walk for walk in self.walks if walk.direction == direction), None)

    def rises(self, direction: str) -> tuple[float, float]:
        """The highest rise of the loss within SMALL on either side of a walk, where the loss is finite."""
        points = walk.points if (walk := self.along(direction)) else ()
        known = [point for point in points if math.isfinite(point.rise.value)]
        plus, minus = (max((p.rise.value for p in known if 0 < s * p.radius <= SMALL), default=0.0) for s in (1, -1))
        return plus, minus


@dataclass(frozen=True)
class Around:
    """All of it, put together: measures nothing itself."""

    name: str = "around"
    needs: tuple[Probe[Any], ...] = (
        CheckpointLoss(),
        BatchGradients(),
        HessianKrylov(),
        RitzRayleigh(),
        Slices(),
        TrustRegion(),
        NegativeCurvatureEscape(),
        FurtherStarts(),
        InstrumentTrial(),
        AuditFacts(),
    )

    FOLLOWS: ClassVar = (HessianKrylov, RitzRayleigh, FurtherStarts)

    def cost(self, size: Size) -> Cost:
        """Nothing."""
        del size
        return Cost()

    def take(self, bench: Bench) -> Surroundings:
        """What the probes took, in the order of the fields."""
        return Surroundings(*(bench.take(probe) for probe in self.needs))


@dataclass(frozen=True)
class InDouble:
    """All of it once more on the model in float64, where it is small and float32's rounding leaves its class open.

    None where float32 settles it, where the audit is in float64 already, and where the model does not run in it.
    """

    name: str = "in_double"
    needs: tuple[Probe[Any], ...] = (Around(),)

    def cost(self, size: Size) -> Cost:
        """Nothing is planned: what the probes cost once more, and only if needed."""
        del size
        return Cost()

    def take(self, bench: Bench) -> Surroundings | None:
        """All of them, on a bench of their own."""
        import torch

        theta = bench.subject.theta
        if theta.dtype == torch.float64 or theta.numel() >= FEW or not bench.landscape.exact:
            return None
        why = rounded_off(bench.take(Around()))
        if not bench.ranks.agree(bool(why)) or bench.out_of_time() or (double := bench.double) is None:
            return None
        bench.note(f"stationarity was measured again in float64: {why}.")
        bench.tell("the surroundings in float64")
        on = bench.beside(double, bench.budgets)
        on.deadline = bench.deadline
        found = on.take(Around())
        bench.adopt(on)
        return found


def rounded_off(seen: Surroundings) -> str:
    """What rounding may have decided of the class, in words; empty where it decided nothing.

    Whatever a step shows plainly is left alone: one down the gradient that pays, or one along negative curvature that
    is seen; then data or distance decide, and digits do not.
    """
    bottom, delta, noise = seen.lowest, seen.delta, seen.trial.loss_noise
    down = walk.best(SMALL).drop if (walk := seen.along("-g")) else 0.0
    visible = bottom.value + bottom.rounding < 0
    pays = seen.escape_worth > delta
    if down > delta + noise or (visible and pays):
        return ""
    if noise > seen.facts.materiality * abs(seen.loss.evaluation.loss):
        return "the rounding of a loss difference is more than what is worth having"
    if not visible and pays:
        return "leaving along negative curvature pays, and its sign was within rounding"
    if not visible and curvature_worth(bottom.rounding - bottom.value, seen.facts.radius) > delta:
        return "rounding could hide negative curvature worth more than δ"
    moves = any(abs(point.rise.value) > delta for walk in seen.walks for point in walk.points)
    if moves and max(map(abs, seen.rises("v_max"))) <= noise:
        return "the rise along the top of the spectrum was within rounding"
    return ""
