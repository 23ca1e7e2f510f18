"""A calibration put together from the audits it rests on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from landscape_audit.calibration.noise import labels, missing, numbers
from landscape_audit.calibration.record import FEWEST, Calibration, Noise, RepeatedAudit, Resampling
from landscape_audit.calibration.repeat import Repeat
from landscape_audit.results import Signal
from landscape_audit.text import count, number, printable

_ENDED = {"partial": "is partial", "failed": "has no results"}


def calibration(
    audits: Sequence[Repeat],
    resampling: Resampling,
    *,
    asked: int,
    false_alarm: float,
    family: bool,
    signal: Signal | None = None,
) -> Calibration:
    """Noise floors and limits from `audits`, the first of which is the audit as configured, and whole or partial."""
    first = audits[0].results
    assert first is not None  # noqa: S101 - an error of the first audit is raised
    floors = numbers(audits, resampling, false_alarm, family=family)
    records = tuple(map(_record, audits))
    return Calibration(
        landscape_audit=first.environment.landscape_audit,
        files=first.subject.files,
        model=first.subject.model,
        data=first.data,
        preset=first.protocol.preset,
        dtype=first.protocol.dtype,
        level=first.protocol.level,
        checks={check.id: check.version for check in first.checks},
        asked=asked,
        false_alarm=false_alarm,
        family=family,
        resampling=resampling,
        audits=records,
        numbers=floors,
        labels=labels(audits),
        told=tuple(_told(audits, records, floors, asked)),
        signal=signal,
    )


def how_resampled(found: Calibration) -> str:
    """Which samples the audits had, and what the spread stands for."""
    how, n = found.resampling, found.data.n_samples
    if how.kind == "redraw":
        drawn = f"{n:,} of {how.drawn_from:,} examples, drawn anew for each audit"
        return f"{drawn}; the spread is that of other validation sets of this size, and of seeds."
    what = f"the {n:,} audited examples" if how.unit == "examples" else f"the {found.data.n_batches:,} audited batches"
    return (
        f"Bootstrap of {what} (as many, with replacement) for each audit but the first; the spread is that of other "
        "validation sets of this size, and of seeds. Limits stand around the audit as configured."
    )


def _record(audit: Repeat) -> RepeatedAudit:
    found = audit.results
    if found is None:
        return RepeatedAudit(seed=audit.seed, fingerprint=None, status="failed", reason=printable(audit.error, 1000))
    status = "whole" if found.partial is None else "partial"
    return RepeatedAudit.model_validate(
        {"seed": audit.seed, "fingerprint": found.data.fingerprint, "status": status, "reason": found.partial or ""}
    )


def _told(
    audits: Sequence[Repeat], records: Sequence[RepeatedAudit], floors: Sequence[Noise], asked: int
) -> Iterator[str]:
    if len(audits) < asked:
        few = "" if len(audits) >= FEWEST else f", which are too few for limits: these need {FEWEST}"
        yield f"Interrupted: {len(audits)} of {count(asked, 'audit')} ended{few}."
    for place, record in enumerate(records, start=1):
        if record.status != "whole":
            yield f"Audit {place} of {asked} {_ENDED[record.status]}: {record.reason}."
    yield from missing(floors)
    found = [audit.results for audit in audits if audit.results is not None]
    if wrong := [each for each in found if not each.instrument.agrees]:
        first = wrong[0].instrument.disagreements[0]
        yield f"The instrument disagrees with itself in {count(len(wrong), 'audit')}, where no gate passes: {first}."
    if replaced := next((each.subject.replaced for each in found if each.subject.replaced), ()):
        yield f"What was audited lies there no more: {'; '.join(replaced)}."
    if shifted := [words for floor in floors if floor.limit and (words := _shift(floor))]:
        yield f"Repeated examples move {', '.join(shifted)}: the limits leave that out."


def _shift(floor: Noise) -> str:
    """How far a bootstrap moves a number, where that is more than chance: 2 standard errors of its mean."""
    if floor.shift is None or not floor.sd or abs(floor.shift) < 2 * floor.sd / (floor.n - 1) ** 0.5:
        return ""
    return f"{floor.key} by {number(floor.shift, 2)} on average ({number(floor.shift / floor.sd, 2)} SD)"
