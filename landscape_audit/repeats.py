"""Audits of one checkpoint, again and again: other seeds, and other samples of the same size."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from landscape_audit.calibration.record import Resampling
from landscape_audit.calibration.repeat import Repeat
from landscape_audit.errors import AuditError
from landscape_audit.interruption import signal_of
from landscape_audit.measure import audit
from landscape_audit.plan import Progress
from landscape_audit.policy import Policy
from landscape_audit.results import AuditResults, Failed, Signal
from landscape_audit.spec import AuditSpec
from landscape_audit.subject.data.intake import Intake
from landscape_audit.subject.data.resample import bootstrapped, unit_of
from landscape_audit.subject.data.sample import Sample, read_sample
from landscape_audit.subject.loading import Parts, joined_subject, read_parts
from landscape_audit.subject.subject import Subject

ROOMY = 2
"""How many times n examples the data must have for draws of n to be told apart: two of them share at most half."""


@dataclass(frozen=True)
class Repeats:
    """The audits that ended, the first of them as configured; how their samples were made; what cut them short."""

    audits: tuple[Repeat, ...]
    resampling: Resampling
    signal: Signal | None = None


def repeated_audits(
    spec: AuditSpec, checkpoint: Path, base: Path, n: int, progress: Callable[[int], Progress]
) -> Repeats:
    """The audit that `spec` asks for, and n - 1 more of the same checkpoint, each with a seed and a sample of its own.

    Checkpoint and model are read once. Where the sample was drawn at random from at least twice as many examples, each
    audit has another such draw; otherwise a bootstrap of the audited sample, also where the first examples were asked
    for, as those may be unlike the rest. No gate is in force, so that none buys a narrower interval. An error of the
    first audit is raised, also one of its checks or of the instrument, as the others would end alike; one of a later
    audit is its outcome. `progress` is asked for the listener of audit 0, 1, ….
    """
    series = _Series(_repeatable(spec), checkpoint, base)
    audits: list[Repeat] = []
    signal: Signal | None = None
    try:
        for index in range(n):
            audits.append(series.audit(index, progress(index)))
            signal = audits[-1].results.run.signal if audits[-1].results else None
            if signal:
                audits.pop()
                break
            _require_sound(audits[0].results)
    except KeyboardInterrupt as stop:
        if series.parts is None:
            raise  # there is nothing to keep
        signal = signal_of(stop)
    return Repeats(tuple(audits), series.resampling(), signal)


def seed_of(seed: int, index: int) -> int:
    """The seed of audit `index`: the protocol's own for the first, then 63 bits of a hash of both."""
    return (
        seed if index == 0 else int.from_bytes(hashlib.sha256(f"calibrate {seed} {index}".encode()).digest()[:8]) >> 1
    )


def _repeatable(spec: AuditSpec) -> AuditSpec:
    """Twins that a check trains are saved by `run` alone, once."""
    sam = spec.checks.sam.model_copy(update={"save": None})
    return spec.model_copy(update={"checks": spec.checks.model_copy(update={"sam": sam})})


def _require_sound(first: AuditResults | None) -> None:
    """That the audit as configured is one whose numbers a gate could pass."""
    if first is not None and not first.instrument.agrees:
        raise AuditError(
            f"the instrument disagrees with itself: {'; '.join(first.instrument.disagreements)}.",
            remedy="No gate passes on such numbers: `landscape-audit run` tells more, and --dtype float64 may mend it.",
        )
    for check in first.checks if first is not None else ():
        if isinstance(check.outcome, Failed):
            raise AuditError(
                f"the check {check.id} failed: {check.outcome.error}.", remedy=f"Leave it out with --skip {check.id}."
            )


class _Series:
    """One subject that is read once, and given other samples."""

    def __init__(self, spec: AuditSpec, checkpoint: Path, base: Path) -> None:
        self.spec, self.checkpoint, self.base = spec, checkpoint, base
        self.parts: Parts | None = None

    def audit(self, index: int, progress: Progress) -> Repeat:
        seed = seed_of(self.spec.protocol.seed, index)
        spec = self.spec.model_copy(update={"protocol": self.spec.protocol.model_copy(update={"seed": seed})})

        def load(device: torch.device) -> Subject:
            return joined_subject(spec, self._parts(index, seed, device), device)

        try:
            found = audit(spec, self.checkpoint, self.base, policy=Policy(), progress=progress, load=load)
        except AuditError as error:
            if index == 0:
                raise
            return Repeat(seed, None, error.what)
        return Repeat(seed, found)

    def resampling(self) -> Resampling:
        """How samples are made, which the first of them decides."""
        assert self.parts is not None  # noqa: S101 - asked for after the first audit
        sample = self.parts.sample
        if _is_redrawn(sample):
            return Resampling(kind="redraw", unit="examples", n_samples=sample.size, drawn_from=sample.draw.of)
        return Resampling(kind="bootstrap", unit=unit_of(sample), n_samples=sample.size)

    def _parts(self, index: int, seed: int, device: torch.device) -> Parts:
        if self.parts is None:
            self.parts = read_parts(self.spec, self.checkpoint, self.base, device)
        return self.parts if index == 0 else replace(self.parts, sample=self._sample(self.parts, seed, device))

    def _sample(self, parts: Parts, seed: int, device: torch.device) -> Sample:
        dtype: torch.dtype = getattr(torch, self.spec.protocol.dtype)
        if not _is_redrawn(parts.sample):
            return bootstrapped(parts.sample, seed, device, dtype)
        data = self.spec.data.model_copy(update={"seed": seed})
        return read_sample(data, parts.code, device, dtype, Intake.of(self.spec, parts.assembly.model))


def _is_redrawn(sample: Sample) -> bool:
    draw = sample.draw
    return draw.kind in {"random", "stratified"} and draw.of is not None and draw.of >= ROOMY * sample.size
