"""From evidence to a class: the decision of the stationarity check, every branch of it with its reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from landscape_audit.checks.gradient import DISTINGUISHABLE
from landscape_audit.probes.walks import Escape, Point
from landscape_audit.results import Estimate
from landscape_audit.text import number

SMALL = 0.1
"""A first-order step must pay within this share of the filters' norms to say that the point is not critical."""
LARGE = 0.3
"""A plateau must stay level out to this share."""


@dataclass(frozen=True)
class Evidence:
    """Every number that the decision looks at. Losses and their differences are in units of loss."""

    loss: float
    delta: float
    """What is worth having: a share of the loss, never less than rounding leaves of a difference."""
    gradient_real: bool | None
    gradient_norm: float
    probability: float
    slope_drop: Point
    """The lowest point within SMALL of a step whose worth is the gradient's own."""
    best_drop: Point
    """The lowest point of every walk, at any radius."""
    lambda_min: Estimate
    lambda_min_floor: float
    """The lowest that λ_min of this sample may be, for all that the run has seen."""
    lambda_max: Estimate
    rounding: float
    radius: float
    escape: Escape | None
    level_out_to: float
    """The largest share of the filters' norms within which no walk moves the loss by more than δ."""
    rises_on_top: bool

    @property
    def certainly_negative(self) -> bool:
        """vᵀHv below zero with its whole interval."""
        return self.lambda_min.high is not None and self.lambda_min.high < 0

    @property
    def negative_here(self) -> bool:
        """vᵀHv below zero on this sample, by more than rounding; another sample may not agree."""
        return (self.lambda_min.value or 0.0) + self.rounding < 0

    @property
    def certainly_concave(self) -> bool:
        """λ_max below zero, what was not found included."""
        top = self.lambda_max.high
        return top is not None and top < 0

    @property
    def certainly_convex_on_top(self) -> bool:
        """λ_max above zero with its whole interval."""
        return self.lambda_max.low is not None and self.lambda_max.low > 0

    @property
    def curvature_worth(self) -> float:
        """½ |λ|_max r² at the small radius: the most that curvature can do there."""
        ends = (self.lambda_min.value or 0.0, self.lambda_max.value or 0.0)
        return 0.5 * max(map(abs, ends)) * (SMALL * self.radius) ** 2

    @property
    def gradient_worth(self) -> float:
        """|g| r at the small radius: the most that the gradient can do there."""
        return self.gradient_norm * SMALL * self.radius

    @property
    def hidden_worth(self) -> float:
        """½ |λ| r² for the most negative λ that rounding could hide: what float32 cannot rule out."""
        hidden = max(0.0, self.rounding - (self.lambda_min.value or 0.0)) if not self.certainly_negative else 0.0
        return 0.5 * min(hidden, 2 * self.rounding) * (SMALL * self.radius) ** 2

    @property
    def unseen_worth(self) -> float:
        """½ |λ| r² for the most negative λ that the run may have missed, at its level."""
        return 0.5 * max(0.0, -self.lambda_min_floor) * (SMALL * self.radius) ** 2


@dataclass(frozen=True)
class Branch:
    """One class of the decision, whether its conditions hold, and the sentence that says why."""

    name: str
    holds: bool
    reason: str


def decide(seen: Evidence) -> tuple[Branch, ...]:
    """Every class in the order of the decision, the first that holds is the answer; `undecided` always holds."""
    rules: tuple[tuple[str, Callable[[Evidence], tuple[bool, str]]], ...] = (
        ("maximum", _maximum),
        ("not_critical", _not_critical),
        ("saddle", _saddle),
        ("plateau", _plateau),
        ("degenerate", _degenerate),
        ("approximate_minimum", _approximate_minimum),
        ("minimum", _minimum),
        ("undecided", _undecided),
    )
    return tuple(Branch(name, *rule(seen)) for name, rule in rules)


def _worth(drop: float, seen: Evidence) -> str:
    return f"{number(drop)} of loss, {'more' if drop > seen.delta else 'not more'} than δ = {number(seen.delta)}"


def _maximum(seen: Evidence) -> tuple[bool, str]:
    top = "no bound" if seen.lambda_max.high is None else number(seen.lambda_max.high)
    critical = seen.gradient_worth <= seen.delta or not seen.gradient_real
    return seen.certainly_concave and critical, f"All curvature is negative only if λ_max is; it reaches up to {top}."


def _not_critical(seen: Evidence) -> tuple[bool, str]:
    drop = seen.slope_drop.drop
    real = "real" if seen.gradient_real else "not told from noise"
    return (
        bool(seen.gradient_real) and drop > seen.delta,
        f"A first-order step within {number(100 * SMALL)} % of the filters' norms lowers the loss by "
        f"{_worth(drop, seen)}; the mean gradient is {real} (p = {number(seen.probability, 2)}, "
        f"threshold {DISTINGUISHABLE}).",
    )


def _saddle(seen: Evidence) -> tuple[bool, str]:
    if seen.escape is None:
        return False, "No negative Ritz value: there is nothing to leave along."
    certain = "certain" if seen.certainly_negative else "not certain"
    return (
        seen.certainly_negative and seen.escape.worth > seen.delta,
        f"Negative curvature is {certain} (vᵀHv = {number(seen.lambda_min.value)}); leaving along it and descending "
        f"ends lower than the same descent without leaving by {_worth(seen.escape.worth, seen)}.",
    )


def _vanishing(seen: Evidence) -> bool:
    return seen.gradient_worth <= seen.delta and seen.curvature_worth <= seen.delta and not seen.certainly_negative


def _plateau(seen: Evidence) -> tuple[bool, str]:
    return (
        seen.gradient_worth <= seen.delta and seen.curvature_worth <= seen.delta and seen.level_out_to >= LARGE,
        f"Within {number(100 * SMALL)} % the gradient is worth at most {number(seen.gradient_worth)} and curvature "
        f"{number(seen.curvature_worth)}; the loss stays within δ out to {number(100 * seen.level_out_to)} %.",
    )


def _degenerate(seen: Evidence) -> tuple[bool, str]:
    return (
        _vanishing(seen) and seen.best_drop.drop > seen.delta,
        "Where gradient and curvature vanish a step that pays shows what the second-order test cannot; the best step "
        f"lowers the loss by {_worth(seen.best_drop.drop, seen)}.",
    )


def _approximate_minimum(seen: Evidence) -> tuple[bool, str]:
    worth = seen.escape.worth if seen.escape else 0.0
    critical = not (seen.gradient_real and seen.slope_drop.drop > seen.delta)
    certain = "certain" if seen.certainly_negative else "certain on this sample only"
    return (
        seen.negative_here and critical and max(worth, seen.best_drop.drop) <= seen.delta and seen.rises_on_top,
        f"Negative curvature (vᵀHv = {number(seen.lambda_min.value)}, {certain}) is worth {number(worth)} of loss, "
        f"δ is {number(seen.delta)}: second-order stationary to that tolerance.",
    )


def _minimum(seen: Evidence) -> tuple[bool, str]:
    rises = "rises" if seen.rises_on_top else "does not rise"
    return (
        not seen.negative_here
        and seen.best_drop.drop <= seen.delta
        and max(seen.hidden_worth, seen.unseen_worth) <= seen.delta
        and seen.certainly_convex_on_top
        and seen.rises_on_top,
        f"No negative curvature beyond rounding (vᵀHv = {number(seen.lambda_min.value)}); the best of all steps lowers "
        f"the loss by {_worth(seen.best_drop.drop, seen)}; the loss {rises} along the top; rounding could hide "
        f"curvature worth {number(seen.hidden_worth)}, and the run have missed some worth {number(seen.unseen_worth)}.",
    )


def _undecided(seen: Evidence) -> tuple[bool, str]:
    if seen.hidden_worth > seen.delta:
        return True, "Rounding could hide negative curvature that matters: audit with --dtype float64."
    if not seen.negative_here and seen.unseen_worth > seen.delta:
        return True, "The run may have missed negative curvature that matters: more Lanczos steps (--preset thorough)."
    if seen.negative_here and seen.escape is not None and seen.escape.worth > seen.delta:
        return (
            True,
            "Leaving along negative curvature pays on this sample; another may not have it: audit more examples.",
        )
    if seen.best_drop.drop > seen.delta and not seen.gradient_real:
        return True, "A step lowers this sample's loss, but its gradient may be noise: audit more examples."
    if not seen.rises_on_top:
        return True, "The loss neither falls by δ nor rises along the top of the spectrum: audit with --dtype float64."
    return True, "The evidence fits no class: more Lanczos steps or more examples may settle it (--preset thorough)."
