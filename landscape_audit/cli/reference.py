"""What a run is compared with: an earlier audit's results, or another checkpoint measured beside it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from landscape_audit.cli.options import Request
from landscape_audit.cli.outputs import BASELINE
from landscape_audit.cli.progress import tell
from landscape_audit.cli.stored import read_stored
from landscape_audit.errors import UsageError
from landscape_audit.files import write_atomically
from landscape_audit.results import AuditResults, Baseline
from landscape_audit.seal import sealed
from landscape_audit.text import printable

Measure = Callable[[Request], AuditResults]


@dataclass(frozen=True)
class Reference:
    """The one or the other, or neither."""

    stored: AuditResults | None = None
    beside: Request | None = None

    def baseline(self, measure: Measure, folder: Path | None = None) -> Callable[[AuditResults], Baseline] | None:
        """What makes the baseline of an audit. The other checkpoint is measured here, and written to `folder`.

        Before the audit itself, so that its gates against it may buy narrower intervals: what is left open once both
        are measured could not be bought any more.
        """
        from landscape_audit.comparison.baseline import baseline_of

        if self.stored is not None:
            return functools.partial(baseline_of, there=self.stored)
        if self.beside is None:
            return None
        there = measure(self.beside)
        if there.run.signal:
            raise KeyboardInterrupt(there.run.signal)
        if folder is not None:
            write_atomically(folder / BASELINE, sealed(there).to_json().encode())
        return functools.partial(baseline_of, there=there, measured="together")


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
        tell(f"Two audits, that of {printable(against)} and then this one: together twice what each costs.")
    return Reference(beside=_beside(asked, against))


def _beside(asked: Request, against: Path) -> Request:
    """The same request of the other checkpoint. Its SAM twins are no one's to save, its gates no one's to spend on.

    What the policy requires of the sample stays, as that is the same: unmet, it is told before either is measured.
    """
    checks = asked.spec.checks
    unsaved = checks.model_copy(update={"sam": checks.sam.model_copy(update={"save": None})})
    spec = asked.spec.model_copy(update={"checks": unsaved})
    return replace(asked, spec=spec, checkpoint=against, policy=asked.policy.model_copy(update={"gates": {}}))
