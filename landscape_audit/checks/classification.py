"""From evidence to a class: the decision of the stationarity check, every condition of it with its numbers."""

from __future__ import annotations

from collections.abc import Callable

from landscape_audit.checks.evidence import Evidence
from landscape_audit.checks.gradient import DISTINGUISHABLE, FEWEST_GROUPS
from landscape_audit.detail import Condition, Decision, Relation, Step
from landscape_audit.estimate import UNDECIDED, Estimate, IntervalKind, finite_or_none
from landscape_audit.ids import in_words
from landscape_audit.probes.walks import SMALL
from landscape_audit.text import number, percent

LARGE = 0.3
"""A plateau must stay level out to this share."""
Ends = tuple[float | None, float | None]
MAY_BE_NOISE = "A step lowers this sample's loss, but its gradient may be noise: audit more examples."


Asked = tuple[tuple[Condition, ...], str]
"""What a class asks for, and the sentence that says why it holds or not."""


def decide(seen: Evidence) -> Decision:
    """Every class in the order of the decision, the first that holds is the answer, and `undecided` where none does."""
    rules: tuple[tuple[str, Callable[[Evidence], Asked]], ...] = (
        ("maximum", _maximum),
        ("not_critical", _not_critical),
        ("saddle", _saddle),
        ("plateau", _plateau),
        ("degenerate", _degenerate),
        ("approximate_minimum", _approximate_minimum),
        ("minimum", _minimum),
    )
    steps = tuple(_step(name, *rule(seen)) for name, rule in rules)
    left = Step(name=UNDECIDED, outcome="open", conditions=(), reason=undecided(seen)[0])
    taken = next((step for step in steps if step.outcome == "yes"), left)
    return Decision(
        name="decision",
        title="The decision",
        finding=f"The first class whose conditions all hold is {in_words(taken.name)}."
        if taken.conditions
        else "The conditions of no class all hold: it stays undecided.",
        expected="the path ends at minimum or approximate minimum",
        steps=(*steps, left),
    )


def _step(name: str, conditions: tuple[Condition, ...], reason: str) -> Step:
    """Open where only intervals stand between the class and its conditions."""
    answers = {condition.outcome for condition in conditions}
    return Step(
        name=name,
        outcome="no" if "no" in answers else "open" if "open" in answers else "yes",
        conditions=conditions,
        reason=reason,
    )


def _asked(
    says: str, asks: Relation, value: float | None, limit: float, *, holds: bool, ends: Ends = (None, None)
) -> Condition:
    number, low, high = (None if each is None else finite_or_none(each) for each in (value, *ends))
    return Condition(says=says, asks=asks, limit=limit, value=number, low=low, high=high, holds=holds)


def _at_most(says: str, value: float, limit: float, half: float | None = None) -> Condition:
    return _asked(says, "≤", value, limit, holds=value <= limit, ends=_around(value, half))


def _above(says: str, value: float, limit: float, half: float | None = None) -> Condition:
    return _asked(says, ">", value, limit, holds=value > limit, ends=_around(value, half))


def _around(value: float, half: float | None) -> Ends:
    return (None, None) if half is None else (value - half, value + half)


def _below_zero(says: str, estimate: Estimate) -> Condition:
    holds = estimate.high is not None and estimate.high < 0
    return _on_interval(f"{says}, whole interval", "<", estimate, holds=holds)


def _not_below_zero(says: str, estimate: Estimate) -> Condition:
    holds = estimate.high is None or estimate.high >= 0
    return _on_interval(f"{says}, upper end", "≥", estimate, holds=holds)


def _above_zero(says: str, estimate: Estimate) -> Condition:
    holds = estimate.low is not None and estimate.low > 0
    return _on_interval(f"{says}, whole interval", ">", estimate, holds=holds)


def _on_interval(says: str, asks: Relation, estimate: Estimate, *, holds: bool) -> Condition:
    return _asked(says, asks, estimate.value, 0.0, holds=holds, ends=(estimate.low, estimate.high))


def _worth(drop: float, seen: Evidence) -> str:
    return f"{number(drop)}, {'more' if drop > seen.delta else 'not more'} than δ = {number(seen.delta)}"


def _maximum(seen: Evidence) -> Asked:
    top = "no bound" if seen.lambda_max.high is None else number(seen.lambda_max.high)
    slope = _at_most("worth of the gradient", seen.gradient_worth, seen.delta)
    if seen.gradient_real is False:
        slope = _asked("chance of no mean gradient", ">", seen.probability, DISTINGUISHABLE, holds=True)
    conditions = (_below_zero("λ_max", seen.lambda_max), slope)
    return conditions, f"All curvature is negative only if λ_max is; it reaches up to {top}."


def _not_critical(seen: Evidence) -> Asked:
    drop = seen.slope_drop.drop
    real = "real" if seen.gradient_real else "not told from noise"
    told = seen.gradient_real is True
    chance = _asked("chance of no mean gradient", "≤", seen.probability, DISTINGUISHABLE, holds=told)
    return (
        (_above("drop by a first-order step", drop, seen.delta, seen.half(seen.slope_drop)), chance),
        f"A first-order step within {percent(SMALL)} of the filters' norms lowers the loss by "
        f"{_worth(drop, seen)}; the mean gradient is {real} (p = {number(seen.probability, 2)}, "
        f"threshold {DISTINGUISHABLE}).",
    )


def _saddle(seen: Evidence) -> Asked:
    worth = seen.escape.worth if seen.escape else 0.0
    conditions = (
        _below_zero("vᵀHv", seen.lambda_min),
        _above("worth of the escape", worth, seen.delta, seen.half_of_escape),
    )
    if seen.escape is None:
        return conditions, "No negative Ritz value: there is nothing to leave along."
    certain = "certain" if seen.certainly_negative else "not certain"
    return (
        conditions,
        f"Negative curvature is {certain} (vᵀHv = {number(seen.lambda_min.value)}); leaving along it and descending "
        f"ends lower than the same descent without leaving by {_worth(worth, seen)}.",
    )


def _flat(seen: Evidence) -> tuple[Condition, ...]:
    return (
        _at_most("worth of the gradient", seen.gradient_worth, seen.delta),
        _at_most("worth of curvature", seen.curvature_worth, seen.delta),
    )


def _plateau(seen: Evidence) -> Asked:
    level = _asked("level out to", "≥", seen.level_out_to, LARGE, holds=seen.level_out_to >= LARGE)
    return (
        (*_flat(seen), level),
        f"Within {percent(SMALL)} the gradient is worth at most {number(seen.gradient_worth)} and curvature "
        f"{number(seen.curvature_worth)}; the loss stays within δ out to {percent(seen.level_out_to)}.",
    )


def _degenerate(seen: Evidence) -> Asked:
    drop = _above("best drop", seen.best_drop.drop, seen.delta, seen.half(seen.best_drop))
    return (
        (*_flat(seen), _not_below_zero("vᵀHv", seen.lambda_min), drop),
        "Where gradient and curvature vanish a step that pays shows what the second-order test cannot; the best step "
        f"lowers the loss by {_worth(seen.best_drop.drop, seen)}.",
    )


def _nothing_pays(seen: Evidence) -> tuple[Condition, ...]:
    return (
        _at_most("best drop", seen.best_drop.drop, seen.delta, seen.half(seen.best_drop)),
        _at_most("worth of the escape", seen.escape_worth, seen.delta),
        _above("rise along the top", seen.rise_on_top, seen.noise),
    )


def _approximate_minimum(seen: Evidence) -> Asked:
    certain = "certain" if seen.certainly_negative else "on this sample only" if seen.negative_here else "not certain"
    here = _asked("vᵀHv with rounding", "<", seen.lowest_at_most, 0.0, holds=seen.negative_here)
    return (
        (here, *_nothing_pays(seen)),
        f"Negative curvature (vᵀHv = {number(seen.lambda_min.value)}, {certain}) is worth "
        f"{_worth(seen.escape_worth, seen)}; the best of all steps lowers the loss by "
        f"{_worth(seen.best_drop.drop, seen)}.",
    )


def _minimum(seen: Evidence) -> Asked:
    rises = "rises" if seen.rise_on_top > seen.noise else "does not rise"
    beyond = "negative beyond" if seen.negative_here else "not negative beyond"
    return (
        (
            _asked("vᵀHv with rounding", "≥", seen.lowest_at_most, 0.0, holds=not seen.negative_here),
            *_nothing_pays(seen),
            _at_most("curvature that rounding could hide", seen.hidden_worth, seen.delta),
            _at_most("curvature that was not seen", seen.unseen_worth, seen.delta),
            _above_zero("λ_max", seen.lambda_max),
        ),
        f"The lowest curvature seen is vᵀHv = {number(seen.lambda_min.value)}, {beyond} rounding; the best of all "
        f"steps lowers the loss by {_worth(seen.best_drop.drop, seen)}; the loss {rises} along the top; rounding could "
        f"hide curvature worth {number(seen.hidden_worth)}, and the runs have missed some worth "
        f"{number(seen.unseen_worth)}.",
    )


def undecided(seen: Evidence) -> tuple[str, IntervalKind | None]:
    """Why no class holds and what would settle it, in words and as the part of an interval that would get narrower."""
    digits = "audit with --dtype float64" if seen.dtype == "float32" else "float64 has no more digits"
    pays = seen.best_drop.drop > seen.delta
    causes: tuple[tuple[bool, str, IntervalKind | None], ...] = (
        (
            pays and seen.gradient_real is None,
            "A step lowers this sample's loss, and too few batches cannot tell its gradient from noise: audit more "
            f"examples, in {FEWEST_GROUPS} batches or more.",
            "sampling",
        ),
        (
            not seen.negative_here and seen.hidden_worth > seen.delta,
            f"Rounding could hide negative curvature that matters: {digits}.",
            "rounding",
        ),
        (
            pays and not seen.gradient_real and seen.slope_drop.drop > seen.escape_worth,
            MAY_BE_NOISE,
            "sampling",
        ),
        (
            seen.escape_worth > seen.delta,
            "Leaving along negative curvature pays on this sample; another may not have it: audit more examples.",
            "sampling",
        ),
        (pays and not seen.gradient_real, MAY_BE_NOISE, "sampling"),
        (pays, "No first-order step pays, yet the loss is lower by more than δ some way off: train on.", None),
        (
            seen.rise_on_top <= seen.noise,
            f"The loss neither falls by δ nor rises along the top of the spectrum: {digits}.",
            "rounding",
        ),
        (
            not seen.negative_here and seen.unseen_worth > seen.delta,
            "The runs may have missed negative curvature that matters: more Lanczos steps.",
            "residual",
        ),
        (True, "The evidence fits no class: more examples may settle it.", "sampling"),
    )
    return next((reason, kind) for holds, reason, kind in causes if holds)
