"""What the class of a point rests on: every number that the decision looks at."""

from __future__ import annotations

import math
from dataclasses import dataclass

from landscape_audit.checks.eigenvalue import largest
from landscape_audit.checks.gradient import distinguishable, null_probability, without_spread
from landscape_audit.checks.negative_curvature import certificate
from landscape_audit.estimate import Estimate
from landscape_audit.probes.escape import Escape
from landscape_audit.probes.materiality import curvature_worth
from landscape_audit.probes.surroundings import Surroundings
from landscape_audit.probes.walks import SMALL, Point


@dataclass(frozen=True)
class Evidence:
    """Losses and their differences are in units of loss."""

    loss: float
    delta: float
    """What is worth having: a share of the loss, never less than rounding leaves of a difference."""
    noise: float
    """What rounding leaves of a difference."""
    gradient_real: bool | None
    """Whether the mean gradient is no noise; None where there are too few batches to tell."""
    gradient_norm: float
    probability: float
    slope_drop: Point
    """The lowest point within SMALL of a step whose worth is the gradient's own."""
    best_drop: Point
    """The lowest point of all that were visited, at any radius."""
    lambda_min: Estimate
    """vᵀHv at the lowest vector that was put to the test."""
    lambda_min_floor: float
    """The lowest that λ_min of this sample may be, for all that the runs have seen."""
    starts: int
    lambda_max: Estimate
    rounding: float
    """How far rounding may have moved vᵀHv."""
    radius: float
    level: float
    escape: Escape | None
    """Along the lowest vector; None where that does not curve down."""
    escape_worth: float
    """What the best of all escapes is worth."""
    level_out_to: float
    """The largest share of the filters' norms within which no walk moves the loss by more than δ."""
    rise_on_top: float
    """How much higher the loss is within SMALL along the top of the spectrum, on the side where it rises less."""
    dtype: str

    def half(self, point: Point) -> float:
        """How far other examples may move the drop at a point: paired over batches; nothing at the checkpoint."""
        return point.rise.half_width(self.level) if point.radius else 0.0

    @property
    def half_of_escape(self) -> float:
        """The same for the worth of the escape; both of its ends count."""
        ends = (self.escape.end, self.escape.control) if self.escape else ()
        return math.hypot(*(end.rise.half_width(self.level) for end in ends))

    @property
    def certainly_negative(self) -> bool:
        """vᵀHv below zero with its whole interval."""
        return self.lambda_min.high is not None and self.lambda_min.high < 0

    @property
    def lowest_at_most(self) -> float:
        """What vᵀHv is at most on this sample, rounding included; another sample may not agree."""
        return (self.lambda_min.value or 0.0) + self.rounding

    @property
    def negative_here(self) -> bool:
        """vᵀHv below zero on this sample, by more than rounding."""
        return self.lowest_at_most < 0

    @property
    def curvature_worth(self) -> float:
        """The most that curvature can do within SMALL."""
        ends = (self.lambda_min.value or 0.0, self.lambda_max.value or 0.0)
        return curvature_worth(max(map(abs, ends)), self.radius)

    @property
    def gradient_worth(self) -> float:
        """|g| r: the most that the gradient can do within SMALL."""
        return self.gradient_norm * SMALL * self.radius

    @property
    def hidden_worth(self) -> float:
        """The most that curvature can do that rounding could hide."""
        hidden = max(0.0, self.rounding - (self.lambda_min.value or 0.0)) if not self.certainly_negative else 0.0
        return curvature_worth(min(hidden, 2 * self.rounding), self.radius)

    @property
    def unseen_worth(self) -> float:
        """The most that curvature can do that the runs may have missed, at their level."""
        return curvature_worth(max(0.0, -self.lambda_min_floor), self.radius)


def gather(seen: Surroundings) -> Evidence:
    """What the probes say, in the terms of the decision."""
    gradients, facts = seen.gradients, seen.facts
    probability = null_probability(gradients)
    here = next(point for point in steps(seen) if point.radius == 0)
    left = [point for escape in seen.escapes for point in (escape.start, escape.end, escape.control)]
    moved = [abs(point.radius) for point in steps(seen) if not abs(point.rise.value) <= seen.delta]
    return Evidence(
        loss=seen.loss.evaluation.loss,
        delta=seen.delta,
        noise=seen.trial.loss_noise,
        gradient_real=_is_real(seen, probability),
        gradient_norm=gradients.norm,
        probability=probability,
        slope_drop=max(_first_order(seen), key=_dropped, default=here),
        best_drop=max([*steps(seen), *left], key=_dropped),
        lambda_min=certificate(seen.lowest, facts.level, exact=seen.rayleigh.exact),
        lambda_min_floor=seen.starts.floor if seen.rayleigh.certified else -math.inf,
        starts=len(seen.starts.steps),
        lambda_max=largest(seen.rayleigh, seen.krylov, facts.level),
        rounding=seen.lowest.rounding,
        radius=facts.radius,
        level=facts.level,
        escape=seen.escapes[-1] if seen.escapes else None,
        escape_worth=seen.escape_worth,
        level_out_to=min(moved, default=1.0),
        rise_on_top=min(seen.rises("v_max")),
        dtype=facts.dtype,
    )


def _is_real(seen: Surroundings, probability: float) -> bool | None:
    """By the sign-flip test; of fewer batches only where the gradient is below rounding, or in all of them the same."""
    gradients = seen.gradients
    told = distinguishable(gradients, probability)
    if told is None and gradients.norm * seen.facts.radius <= seen.trial.loss_noise:
        return False
    return True if told is None and without_spread(gradients) else told


def steps(seen: Surroundings) -> list[Point]:
    """Every step from the checkpoint that was taken along a line or to a model's minimum."""
    along = [point for walk in seen.walks for point in walk.points]
    return along + [step.measured for step in seen.trust_region]


def _first_order(seen: Surroundings) -> list[Point]:
    down = walk.points if (walk := seen.along("-g")) else ()
    along = [point for point in down if 0 <= point.radius <= SMALL]
    steep = [s.measured for s in seen.trust_region if s.slope_share > seen.delta and s.measured.radius <= SMALL]
    return along + steep


def _dropped(point: Point) -> float:
    return point.drop
