"""An audit: the battery run on a subject."""

from __future__ import annotations

import contextlib
import datetime as dt
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from landscape_audit.checks import Check, chosen, offered
from landscape_audit.checks.sam import sam
from landscape_audit.confidence import asked_levels
from landscape_audit.errors import UsageError
from landscape_audit.forecast import forecast
from landscape_audit.gates.judge import UNJUDGED
from landscape_audit.gates.rulings import refuse_sample
from landscape_audit.gates.undecided import Found
from landscape_audit.interruption import signal_of
from landscape_audit.limits import limits_of
from landscape_audit.machine import device_of, environment, exact_arithmetic, memory_for
from landscape_audit.outcome import outcome_of
from landscape_audit.plan import Plan, Progress, Silent
from landscape_audit.policy import Policy
from landscape_audit.probes.bench import Bench
from landscape_audit.probes.instrument import Agreement, InstrumentTrial
from landscape_audit.probes.probe import ProbeFailedError, with_needs
from landscape_audit.probes.ranks import Ranks, joined
from landscape_audit.results import (
    AuditResults,
    Baseline,
    CheckResult,
    Cost,
    EnvironmentInfo,
    Failed,
    InstrumentInfo,
    Measured,
    Outcome,
    ProbeRecord,
    ProtocolInfo,
    RunInfo,
    Signal,
)
from landscape_audit.resume import keeping, left_by_an_earlier_run, what_numbers_rest_on
from landscape_audit.settle import settle
from landscape_audit.spec import AuditSpec
from landscape_audit.subject.checkpoint.checkpoint import changed_since
from landscape_audit.subject.loading import load_subject
from landscape_audit.subject.subject import Subject
from landscape_audit.text import count, described, printable
from landscape_audit.training.twins import read_course

Compare = Callable[[AuditResults], Baseline]
"""What gives an audit the baseline that it is compared with; asked also before it has all its numbers."""


def audit(
    spec: AuditSpec,
    checkpoint: Path,
    base: Path,
    *,
    policy: Policy | None = None,
    argv: Sequence[str] = (),
    progress: Progress | None = None,
    folder: Path | None = None,
    resume: bool = False,
    load: Callable[[torch.device], Subject] | None = None,
    compare: Compare | None = None,
) -> AuditResults:
    """Measure everything `spec` asks for. Unjudged; partial, and saying so, where it was interrupted or out of time.

    `base` is the folder that paths in `spec` are relative to. Gates of `policy` (by default those in `spec`) that are
    left undecided for want of products or draws may spend `max_extra_budget`. In `folder`, where there is one, is kept
    what a next run can go on from, which it does with `resume`; `forget` it once the results are safe. `load` gives the
    subject where it is not simply what `spec` and `checkpoint` name, `compare` the baseline.
    """
    progress = progress or Silent()
    started, clock = dt.datetime.now(dt.UTC), time.monotonic()
    device = device_of(spec.protocol)
    with exact_arithmetic(), joined(device) as ranks:
        subject = load(device) if load else load_subject(spec, checkpoint, base, device)
        policy = policy or spec.policy()
        refuse_sample(subject.data, policy)
        _refuse_idle(ranks, subject)
        before = subject.state()
        machine, checks = environment(device, ranks.size), chosen(spec.checks)
        course = read_course(spec, subject, checkpoint, folder) if sam in checks else None
        home = folder if ranks.size == 1 else None
        rests_on = what_numbers_rest_on(spec, subject, machine, course)
        left = left_by_an_earlier_run(home, rests_on, progress, resume=resume) if home else None
        memory = left.memory if left else int(ranks.least(memory_for(spec.protocol, device)))
        bench = Bench(subject, spec.protocol, progress if ranks.leads else Silent(), memory, ranks)
        bench.course = course
        plan = forecast(bench, checks)
        bench.keeping = keeping(home, rests_on, memory, device) if home else None
        bench.deadline = None if spec.protocol.max_time is None else clock + spec.protocol.max_seconds
        progress.planned(plan)
        begun = _Begun(bench, plan, machine, started.isoformat(timespec="seconds"), tuple(argv))
        done = _run(begun, checks, policy, compare)
        drift = _drift(bench, done)
        after = subject.state()
    seconds = time.monotonic() - clock
    changed = drift if before == after else (*drift, "the audited model was changed while it was audited")
    measured = {result.id for result in done.results}
    found = begun.results(done.results)
    run = {
        "finished": (started + dt.timedelta(seconds=seconds)).isoformat(timespec="seconds"),
        "seconds": seconds,
        "signal": done.signal,
        "out_of_time": done.out_of_time,
    }
    whole = {
        "run": found.run.model_copy(update=run),
        "subject": subject.info.model_copy(update={"replaced": tuple(changed_since(subject.sources))}),
        "instrument": _instrument(bench, changed),
        "partial": done.partial,
        "skipped": tuple(check.id for check in offered(spec.checks) if check not in checks),
        "unreached": tuple(check.id for check in checks if check.id not in measured),
    }
    found = found.model_copy(update=whole)
    found = found.model_copy(update={"limits": limits_of(found)})
    return found.model_copy(update={"baseline": compare(found)}) if compare else found


@dataclass(frozen=True)
class _Begun:
    """An audit under way: what its results say whatever comes out of it."""

    bench: Bench
    plan: Plan
    machine: EnvironmentInfo
    started: str
    argv: tuple[str, ...]

    def results(self, checks: Iterable[CheckResult]) -> AuditResults:
        """The results with what is measured by now, as if the audit ended here."""
        gradient = self.plan.gradient_seconds
        return AuditResults(
            verdict=UNJUDGED,
            run=RunInfo(
                started=self.started,
                finished=self.started,
                seconds=0.0,
                argv=self.argv,
                probe_seconds={name: ledger.seconds for name, ledger in self.bench.ledgers.items()},
                gradient_seconds=gradient,
                forward_seconds=gradient * self.plan.forward_gradients,
                hvp_seconds=gradient * self.plan.hvp_gradients,
            ),
            subject=self.bench.subject.info,
            data=self.bench.subject.data,
            protocol=_protocol(self.bench, self.plan),
            environment=self.machine,
            instrument=_instrument(self.bench, ()),
            checks=tuple(checks),
        )


def _refuse_idle(ranks: Ranks, subject: Subject) -> None:
    batches = len(subject.sample.batches)
    if ranks.size > batches:
        raise UsageError(
            f"{ranks.size} processes for {count(batches, 'batch', 'batches')}: some would have nothing to do.",
            remedy=f"Start at most {batches}, or make the batches smaller with --batch-size.",
        )


def plan_audit(spec: AuditSpec, checkpoint: Path, base: Path) -> Plan:
    """What `audit` would cost: loads the subject and times a forward, a gradient and a product."""
    with exact_arithmetic():
        device = device_of(spec.protocol)
        subject = load_subject(spec, checkpoint, base, device)
        bench = Bench(subject, spec.protocol, Silent(), memory_for(spec.protocol, device))
        checks = chosen(spec.checks)
        if sam in checks:
            bench.course = read_course(spec, subject, checkpoint)
        return forecast(bench, checks)


@dataclass(frozen=True)
class _Run:
    results: tuple[CheckResult, ...]
    partial: str | None = None
    signal: Signal | None = None
    out_of_time: bool = False


def _run(begun: _Begun, checks: Sequence[Check], policy: Policy, compare: Compare | None) -> _Run:
    bench, results = begun.bench, dict[str, CheckResult]()
    try:
        with contextlib.suppress(ProbeFailedError):
            bench.take(InstrumentTrial())  # first in every audit, also where its check is not asked for
        asked = asked_levels(policy, bench.protocol.level)
        for check in checks:
            if bench.has_time_for(check.probes, begun.plan):
                results[check.id] = _result(check, outcome_of(bench, check, asked))
            if bench.stopped:
                raise bench.stopped
        baseline = compare(begun.results(results.values())) if compare else None
        if settle(bench, checks, policy, lambda: _found(bench, checks, results, asked), baseline):
            results = {
                check.id: _result(check, outcome_of(bench, check, asked)) for check in checks if check.id in results
            }
        if bench.out_of_time():
            bench.note(
                f"Out of time after {bench.protocol.max_time}: what can stop early did, with the interval so far."
            )
    except KeyboardInterrupt as stop:
        done = f"interrupted: {len(results)} of {len(checks)} checks are done"
        return _Run(tuple(results.values()), done, signal_of(stop))
    found = tuple(results.values())
    if failed := [result.id for result in found if isinstance(result.outcome, Failed)]:
        return _Run(found, f"failed: {', '.join(failed)}")
    if len(found) < len(checks):
        done = f"out of time after {bench.protocol.max_time}: {len(found)} of {len(checks)} checks are done"
        return _Run(found, done, out_of_time=True)
    return _Run(found)


def _found(
    bench: Bench, checks: Sequence[Check], reached: Mapping[str, object], asked: Sequence[float]
) -> dict[str, Found]:
    """Every estimate and label as the probes stand now."""
    outcomes = {check.id: outcome_of(bench, check, asked) for check in checks if check.id in reached}
    found: dict[str, Found] = {}
    for name, outcome in outcomes.items():
        if isinstance(outcome, Measured):
            found |= {f"{name}.{key}": each for key, each in outcome.estimates.items()}
            found |= {f"{name}.{key}": each for key, each in outcome.labels.items()}
    return found


def _result(check: Check, outcome: Outcome) -> CheckResult:
    return CheckResult(
        id=check.id,
        version=check.version,
        title=check.title,
        question=check.question,
        source=check.source,
        outcome=outcome,
        probes=tuple(probe.name for probe in with_needs(check.probes)),
        grows=check.grows,
    )


def _protocol(bench: Bench, plan: Plan) -> ProtocolInfo:
    planned = {probe.name: probe.cost for probe in plan.probes}
    return ProtocolInfo(
        preset=bench.protocol.preset,
        seed=bench.protocol.seed,
        dtype=bench.protocol.dtype,
        level=bench.protocol.level,
        budgets={**bench.budgets.model_dump(), "materiality": bench.protocol.materiality},
        probes=tuple(
            ProbeRecord(name=name, planned=planned.get(name, Cost()), cost=ledger.cost)
            for name, ledger in bench.ledgers.items()
        ),
        hvp_engine=bench.landscape.engine,
        mode=bench.subject.mode,
        adjustments=(*bench.subject.adjustments, *bench.adjustments),
        training=bench.course.told if bench.course else "",
        looks=bench.looks,
    )


def _drift(bench: Bench, done: _Run) -> tuple[str, ...]:
    """What the loss at the end has against that at the beginning; nothing of an audit that was cut short."""
    if done.signal or not bench.has(InstrumentTrial()):
        return ()
    try:
        stays = bench.take(InstrumentTrial()).still(bench.landscape.evaluate(bench.subject.theta).loss)
    except ProbeFailedError:
        return ()
    except Exception as error:  # noqa: BLE001 - the user's own code, which worked at first
        return (printable(f"the loss could not be evaluated again at the end: {described(error)}", limit=1000),)
    return () if stays.agrees else (_in_words(stays),)


def _in_words(trialled: Agreement) -> str:
    return f"{trialled.meaning} differ by {trialled.difference:.2g}, tolerance {trialled.tolerance:.2g}"


def _instrument(bench: Bench, changed: tuple[str, ...]) -> InstrumentInfo:
    if not bench.has(InstrumentTrial()):
        return InstrumentInfo(agrees=False, disagreements=("interrupted before the instrument was tried", *changed))
    try:
        trial = bench.take(InstrumentTrial())
    except ProbeFailedError as error:
        return InstrumentInfo(agrees=False, disagreements=(printable(error, limit=1000), *changed))
    wrong = tuple(_in_words(trialled) for trialled in trial.agreements if not trialled.agrees)
    return InstrumentInfo(agrees=not (wrong or changed), disagreements=(*wrong, *changed))
