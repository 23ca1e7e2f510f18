"""A gate as a reader sees it: what was found, what was demanded, and where the one lies in the other."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from landscape_audit.ids import name_of
from landscape_audit.report.anchor import anchor
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
class WhatIf:
    """What a reader needs to move a gate's limits: the interval that was judged, the limits, and how far to move them.

    The numbers are those of the results, not rounded: what is said of another limit is what `gate` would say of it.
    """

    low: float | None
    high: float | None
    floor: float | None
    ceiling: float | None
    least: float
    most: float
    unit: str

    @property
    def data(self) -> dict[str, float | str | None]:
        """The same for the page's script."""
        return asdict(self)


@dataclass(frozen=True)
class GateView:
    """One gate."""

    key: str
    anchor: str
    name: str
    tone: str
    glyph: str
    status: str
    found: str
    demand: str
    reason: str
    why: str
    bar: GateBar | None
    what_if: WhatIf | None


def gates_of(gates: tuple[GateResult, ...], metric: str | None) -> tuple[GateView, ...]:
    """All gates; of one key there are two where it has a limit and is also held against the baseline."""
    keys = [gate.key for gate in gates]
    return tuple(gate_of(gate, metric, keys[:index].count(gate.key)) for index, gate in enumerate(gates))


def gate_of(gate: GateResult, metric: str | None, earlier: int = 0) -> GateView:
    """One gate, with its waiver or warning in place of its status where it has one, after `earlier` of its key."""
    glyph, tone, word = STATUS[gate.shown_as]
    return GateView(
        key=printable(gate.key),
        anchor=anchor("gate", gate.key, *([str(earlier + 1)] if earlier else [])),
        name=printable(name_of(gate.key, metric)),
        tone=tone,
        glyph=glyph,
        status=word,
        found=printable(gate.found),
        demand=printable(gate.demand),
        reason=printable(gate.reason, 600),
        why=printable(gate.why, 600),
        bar=_bar(gate),
        what_if=_what_if(gate),
    )


def _bar(gate: GateResult) -> GateBar | None:
    estimate, ends = gate.estimate, _ends(gate)
    if estimate is None or ends is None:
        return None
    low, high = ends

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


def _what_if(gate: GateResult) -> WhatIf | None:
    estimate, ends = gate.estimate, _ends(gate)
    if estimate is None or ends is None:
        return None
    return WhatIf(estimate.low, estimate.high, gate.limit_low, gate.limit_high, *ends, printable(estimate.unit, 60))


def _ends(gate: GateResult) -> tuple[float, float] | None:
    """From where to where there is something to see; None where nothing is demanded of a number, or there is none."""
    estimate = gate.estimate
    if estimate is None or estimate.value is None or gate.limit_low is gate.limit_high is None:
        return None
    every = (estimate.low, estimate.value, estimate.high, gate.limit_low, gate.limit_high)
    known = [bound for bound in every if bound is not None]
    low, high = min(known), max(known)
    room = 0.15 * (high - low) or abs(high) or 1.0
    return low - room, high + room
