"""A gate as a reader sees it: what was found, what was demanded, and where the one lies in the other."""

from __future__ import annotations

from dataclasses import dataclass

from landscape_audit.ids import name_of
from landscape_audit.report.words import STATUS
from landscape_audit.results import GateResult
from landscape_audit.text import printable


@dataclass(frozen=True)
class GateBar:
    """Where limits and interval lie on a bar 100 wide; `None` where a side is open."""

    low: float
    high: float
    value: float
    allowed_from: float
    allowed_to: float
    open_low: bool
    open_high: bool


@dataclass(frozen=True)
class GateView:
    """One gate."""

    key: str
    name: str
    tone: str
    glyph: str
    status: str
    found: str
    demand: str
    reason: str
    why: str
    bar: GateBar | None


def gate_of(gate: GateResult, metric: str | None) -> GateView:
    """One gate, with its waiver or warning in place of its status where it has one."""
    glyph, tone, word = STATUS[gate.shown_as]
    return GateView(
        key=printable(gate.key),
        name=printable(name_of(gate.key, metric)),
        tone=tone,
        glyph=glyph,
        status=word,
        found=printable(gate.found),
        demand=printable(gate.demand),
        reason=printable(gate.reason, 600),
        why=printable(gate.why, 600),
        bar=_bar(gate),
    )


def _bar(gate: GateResult) -> GateBar | None:
    estimate = gate.estimate
    if estimate is None or estimate.value is None or gate.limit_low is gate.limit_high is None:
        return None
    known = [
        bound
        for bound in (estimate.low, estimate.value, estimate.high, gate.limit_low, gate.limit_high)
        if bound is not None
    ]
    low, high = min(known), max(known)
    room = 0.15 * (high - low) or abs(high) or 1.0
    low, high = low - room, high + room

    def place(value: float | None, otherwise: float) -> float:
        return otherwise if value is None else round(100 * (value - low) / (high - low), 2)

    return GateBar(
        low=place(estimate.low, 0.0),
        high=place(estimate.high, 100.0),
        value=place(estimate.value, 50.0),
        allowed_from=place(gate.limit_low, 0.0),
        allowed_to=place(gate.limit_high, 100.0),
        open_low=estimate.low is None,
        open_high=estimate.high is None,
    )
