"""A gate as a reader sees it: what was found, what was demanded, and where the one lies in the other."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from landscape_audit.ids import name_of
from landscape_audit.report.anchor import anchor
from landscape_audit.report.strip import Allowed, Interval, Strip, ends_of, strip_of
from landscape_audit.report.words import STATUS
from landscape_audit.results import GateResult
from landscape_audit.text import printable


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
    strip: Strip | None
    what_if: WhatIf | None


def gates_of(gates: tuple[GateResult, ...], metric: str | None) -> tuple[GateView, ...]:
    """All gates; of one key there are two where it has a limit and is also held against the baseline."""
    keys = [gate.key for gate in gates]
    return tuple(gate_of(gate, metric, keys[:index].count(gate.key)) for index, gate in enumerate(gates))


def gate_of(gate: GateResult, metric: str | None, earlier: int = 0) -> GateView:
    """One gate, with its waiver or warning in place of its status where it has one, after `earlier` of its key."""
    glyph, tone, word = STATUS[gate.shown_as]
    judged = _judged(gate)
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
        strip=strip_of(*judged) if judged else None,
        what_if=_what_if(*judged, gate.estimate.unit) if judged and gate.estimate else None,
    )


def _judged(gate: GateResult) -> tuple[Interval, Allowed] | None:
    """What was held against what; None where nothing is demanded of a number, or there is none."""
    estimate, limits = gate.estimate, Allowed(gate.limit_low, gate.limit_high)
    if estimate is None or estimate.value is None or limits == Allowed():
        return None
    return Interval(estimate.low, estimate.value, estimate.high), limits


def _what_if(found: Interval, limits: Allowed, unit: str) -> WhatIf:
    return WhatIf(found.low, found.high, limits.floor, limits.ceiling, *ends_of(found, limits), printable(unit, 60))
