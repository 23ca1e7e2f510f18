"""What would settle a gate that its interval leaves open: which kinds of uncertainty, and how many times the draws."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from landscape_audit.confidence import BOUGHT, Judging, as_judged, judging
from landscape_audit.estimate import Estimate, IntervalKind, IntervalPart, Label
from landscape_audit.gates.demand import changed, no_worse, on_label, settled, why_incomparable
from landscape_audit.policy import Gate, Policy
from landscape_audit.results import Baseline, GateStatus

MOST = 16
"""How many times as large a budget may get at one look: a standard error falls to a quarter."""
MARGIN = 1.3
"""How many more draws are bought than would do if the next were like the first: their spread is only an estimate."""

Found = Estimate | Label
"""What a gate can be on."""
Wanted = dict[IntervalKind, float]
"""How many times as much of each kind should settle a gate; infinite: as much as can be paid for."""


def wanted(policy: Policy, key: str, found: Found, grows: Sequence[IntervalKind], baseline: Baseline | None) -> Wanted:
    """The kinds in `grows` that would settle the gate on `key` where it is undecided; nothing if none could."""
    gate = policy.gates[key]
    if isinstance(found, Label):
        return _of_label(key, gate, found)
    if gate.one_of is not None or found.value is None:
        return {}
    how = judging(policy, gate, found, grows)
    both = (_by_limit(gate, found, grows, how), _by_baseline(key, gate, found, grows, how, baseline))
    return {kind: max(each.get(kind, 0.0) for each in both) for kind in grows if any(kind in each for each in both)}


def _of_label(key: str, gate: Gate, label: Label) -> Wanted:
    """What an undecided label says would settle it, if that is for sale and the gate asks for a label.

    Labels are as sure as the audit's level at every look: what opens them is the solver's part, whose bound fails where
    the random start has next to nothing along an eigenvector. That is one event, whatever is bought.
    """
    asked = gate.one_of is not None and on_label(gate, key, label).status == "undecided"
    return {label.open: math.inf} if asked and label.open in BOUGHT else {}


def _by_limit(gate: Gate, estimate: Estimate, grows: Sequence[IntervalKind], how: Judging) -> Wanted:
    """Draws narrow their part with their root. What more products do cannot be told before."""
    judged = as_judged(estimate, how)
    if not _could_settle(lambda each: settled(gate, each), judged, grows):
        return {}
    return {kind: _draws_needed(gate, judged, kind) if kind == "probe" else math.inf for kind in grows}


def _by_baseline(
    key: str, gate: Gate, estimate: Estimate, grows: Sequence[IntervalKind], how: Judging, baseline: Baseline | None
) -> Wanted:
    """What the baseline itself leaves open is not for sale here, nor draws where those of both cancel one another.

    Of paired draws the variance of the difference is s²(there)/m + (s²(here) − 2 cov)/n: monotone in the n that grows,
    so more of them settle nothing that infinitely many, which pair with none, would not.
    """
    if gate.no_worse_than_baseline is None or baseline is None or why_incomparable(baseline, key):
        return {}
    limit = no_worse(gate, estimate.direction)[1]

    def status(each: Estimate) -> GateStatus:
        return settled(limit, changed(gate, baseline, key, each, how))

    return dict.fromkeys(grows, math.inf) if _could_settle(status, estimate, grows) else {}


def _could_settle(status: Callable[[Estimate], GateStatus], estimate: Estimate, grows: Sequence[IntervalKind]) -> bool:
    """Whether what is undecided would be decided without the parts that can be bought."""
    kept = tuple(part for part in estimate.parts if part.kind not in grows)
    opened = len(kept) < len(estimate.parts) and status(estimate) == "undecided"
    return opened and status(_with(estimate, kept)) != "undecided"


def _draws_needed(gate: Gate, judged: Estimate, kind: IntervalKind) -> float:
    """How many times the draws there should be for the gate to be settled, if the value stays where it is."""
    times = 1.0
    while times < MOST:
        narrow = tuple(_narrower(part, judged.value or 0.0, times, kind) for part in judged.parts)
        if settled(gate, _with(judged, narrow)) != "undecided":
            return times * MARGIN
        times *= MARGIN
    return MOST


def _narrower(part: IntervalPart, value: float, times: float, kind: IntervalKind) -> IntervalPart:
    if part.kind != kind:
        return part
    low, high = (None if end is None else value + (end - value) / math.sqrt(times) for end in (part.low, part.high))
    return IntervalPart(kind=kind, low=low, high=high)


def _with(estimate: Estimate, parts: tuple[IntervalPart, ...]) -> Estimate:
    return Estimate.within(
        estimate.value or 0.0, parts, level=estimate.level, direction=estimate.direction, n=estimate.n
    )
