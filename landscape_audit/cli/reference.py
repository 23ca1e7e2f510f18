"""What a run is compared with: an earlier audit's results, or another checkpoint measured beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from landscape_audit.cli.options import Request
from landscape_audit.cli.outputs import BASELINE
from landscape_audit.cli.progress import tell
from landscape_audit.cli.stored import read_stored
from landscape_audit.errors import UsageError
from landscape_audit.files import write_atomically
from landscape_audit.interruption import signal_of
from landscape_audit.policy import EffectivePolicy
from landscape_audit.results import AuditResults, Signal
from landscape_audit.seal import sealed
from landscape_audit.text import printable

Measure = Callable[[Request], AuditResults]


@dataclass(frozen=True)
class Reference:
    """The one or the other, or neither."""

    stored: AuditResults | None = None
    beside: Request | None = None

    def of(self, measured: AuditResults, folder: Path, measure: Measure) -> tuple[AuditResults, Signal | None]:
        """`measured` with its baseline, and what stopped the measuring of that: it is then left out, and told."""
        from landscape_audit.comparison.baseline import baseline_of

        if self.stored is not None:
            return measured.model_copy(update={"baseline": baseline_of(measured, self.stored)}), None
        if self.beside is None or measured.run.signal:
            return measured, None
        try:
            there = measure(self.beside)
            stopped = there.run.signal
        except KeyboardInterrupt as stop:
            stopped = signal_of(stop)
        if stopped:
            tell(f"note: {printable(self.beside.checkpoint)} was not measured to its end, and is no baseline.")
            return measured, stopped
        write_atomically(folder / BASELINE, sealed(there).to_json().encode())
        return measured.model_copy(update={"baseline": baseline_of(measured, there, "together")}), None


def reference(asked: Request, baseline: Path | None, against: Path | None, *, quiet: bool) -> Reference:
    """What the flags name, read, or loaded once, before anything is measured."""
    if baseline is not None and against is not None:
        raise UsageError("--baseline and --against: both name what to compare with.", remedy="Give one of them.")
    if baseline is not None:
        return Reference(stored=read_stored(baseline))
    if against is None:
        return Reference()
    from landscape_audit.machine import device_of, exact_arithmetic
    from landscape_audit.subject.alike import require_alike

    with exact_arithmetic():
        require_alike(asked.spec, asked.checkpoint, against, asked.base, device_of(asked.spec.protocol))
    if not quiet:
        tell(f"Two audits, this one and then that of {printable(against)}: together twice what each costs.")
    return Reference(beside=_beside(asked, against))


def _beside(asked: Request, against: Path) -> Request:
    """The same request of the other checkpoint. Its SAM twins are no one's to save, its gates no one's to spend on."""
    checks = asked.spec.checks
    unsaved = checks.model_copy(update={"sam": checks.sam.model_copy(update={"save": None})})
    spec = asked.spec.model_copy(update={"checks": unsaved})
    return replace(asked, spec=spec, checkpoint=against, policy=EffectivePolicy())
