"""An audit as a reader sees it: every number formatted, every foreign word made printable, nothing left to compute."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from landscape_audit.demand import with_interval
from landscape_audit.figures import drawn
from landscape_audit.names import HEADLINES, name_of
from landscape_audit.report.cost import CostView, cost_of, in_gradients
from landscape_audit.report.tables import TableView, capped, cell, numbers_behind, table_of
from landscape_audit.report.words import GLOSSARY, HOW, INTERVALS, NEXT, STATUS, WORDS
from landscape_audit.results import (
    AuditResults,
    CheckResult,
    Cost,
    Detail,
    Estimate,
    Failed,
    GateResult,
    Label,
    Measured,
    NotApplicable,
    Table,
    Verdict,
)
from landscape_audit.text import count, number, printable

PANELS = (
    ("surface", "slice_v_max"),
    ("surface", "plane"),
    ("spectral_density", "density"),
    ("flatness", "rise"),
)


@dataclass(frozen=True)
class FigureView:
    """A picture, its words, and the numbers behind it."""

    id: str
    title: str
    finding: str
    expected: str
    alt: str
    source: str
    numbers: TableView


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


@dataclass(frozen=True)
class EstimateView:
    """One number of a check."""

    key: str
    name: str
    value: str
    interval: str
    unit: str
    uncertainty: str


@dataclass(frozen=True)
class CheckView:
    """One check: what it asks, what it found, what to keep in mind."""

    id: str
    title: str
    question: str
    source: str
    version: int
    status: str
    message: str
    labels: tuple[tuple[str, str, str], ...]
    estimates: TableView
    figures: tuple[FigureView, ...]
    tables: tuple[TableView, ...]
    caveats: tuple[str, ...]
    cost: str


@dataclass(frozen=True)
class ReportView:
    """The whole report."""

    title: str
    word: str
    glyph: str
    tone: str
    meaning: str
    sentence: str
    banners: tuple[str, ...]
    gates: tuple[GateView, ...]
    counts: str
    headlines: tuple[EstimateView, ...]
    labels: tuple[tuple[str, str, str], ...]
    advice: tuple[str, ...]
    identity: tuple[tuple[str, str], ...]
    panels: tuple[FigureView, ...]
    checks: tuple[CheckView, ...]
    method: tuple[tuple[str, str], ...]
    intervals: tuple[tuple[str, str], ...]
    cost: CostView
    limits: tuple[str, ...]
    provenance: tuple[tuple[str, str], ...]
    values: TableView
    glossary: tuple[tuple[str, str], ...]
    how: tuple[tuple[str, str], ...]
    finished: str


def view(results: AuditResults) -> ReportView:
    """The report of an audit; the same for equal results."""
    verdict = results.verdict
    glyph, tone, meaning = WORDS[verdict.word]
    checks = tuple(_check(check, results) for check in results.checks)
    pictures = {(check.id, figure.id): figure for check in checks for figure in check.figures}
    estimates = results.estimates()
    name = results.subject.files[0].name if results.subject.files else "checkpoint"
    return ReportView(
        title=f"Loss landscape audit of {printable(name, 80)}",
        word=verdict.word,
        glyph=glyph,
        tone=tone,
        meaning=meaning,
        sentence=printable(verdict.sentence, 600),
        banners=_banners(results),
        gates=tuple(_gate(gate) for gate in results.gates),
        counts=_counts(verdict),
        headlines=tuple(_estimate(key, estimates[key]) for key in HEADLINES if key in estimates),
        labels=tuple((key, printable(label.value), printable(label.reason, 600)) for key, label in _labels(results)),
        advice=_advice(results),
        identity=_identity(results),
        panels=tuple(pictures[place] for place in PANELS if place in pictures),
        checks=checks,
        method=_method(results),
        intervals=INTERVALS,
        cost=cost_of(results),
        limits=tuple(printable(limit, 600) for limit in results.limits),
        provenance=_provenance(results),
        values=_values(results),
        glossary=GLOSSARY,
        how=HOW,
        finished=results.run.finished,
    )


# ------------------------------------------------------------------------------------------------------------- verdict


def _banners(results: AuditResults) -> tuple[str, ...]:
    banners = []
    if results.partial is not None:
        banners.append(f"This audit is not whole: {printable(results.partial, 400)}.")
    if not results.instrument.agrees:
        told = printable("; ".join(results.instrument.disagreements), 600)
        banners.append(f"The instrument disagrees with itself, so no number here should be trusted: {told}.")
    return tuple(banners)


def _counts(verdict: Verdict) -> str:
    always = (f"{verdict.passed} passed", f"{verdict.failed} failed", f"{verdict.undecided} undecided")
    rare = [f"{number_of} {word}" for word in ("warned", "waived") if (number_of := getattr(verdict, word))]
    return ", ".join([*always, *rare])


def _labels(results: AuditResults) -> list[tuple[str, Label]]:
    return [(name_of(key), label) for key, label in results.labels().items() if key == "stationarity.class"]


def _advice(results: AuditResults) -> tuple[str, ...]:
    """What each gate that did not pass, and the class of the point, suggest to do next."""
    keys = [gate.key for gate in results.gates if gate.status != "pass" and gate.waiver is None]
    labels = {f"{key}={label.value}" for key, label in results.labels().items()}
    demanded = [gate for gate in results.gates if gate.level == "error" and gate.waiver is None]
    wanted = [*keys, *sorted(labels), *(gate.status for gate in demanded if gate.status == "undecided")]
    return tuple(dict.fromkeys(NEXT[key] for key in wanted if key in NEXT)) or (NEXT["nothing"],)


def _gate(gate: GateResult) -> GateView:
    kind = "waived" if gate.waiver else "warned" if gate.level == "warn" and gate.status != "pass" else gate.status
    glyph, tone, word = STATUS[kind]
    return GateView(
        key=printable(gate.key),
        name=name_of(printable(gate.key)),
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
    if estimate is None or estimate.value is None:
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


def _identity(results: AuditResults) -> tuple[tuple[str, str], ...]:
    subject, data, cost = results.subject, results.data, results.protocol.cost
    files = ", ".join(f"{printable(file.name, 80)} ({file.sha256[:12]})" for file in subject.files)
    return (
        ("Checkpoint", files or "none"),
        ("Model", f"{printable(subject.model, 80)}, {subject.parameters:,} parameters"),
        ("Data", f"{printable(data.source, 80)}, {data.n_samples:,} examples ({data.fingerprint[:12]})"),
        ("Loss", printable(data.loss, 80)),
        ("Audited", f"{results.run.finished[:10]}, {results.environment.device}, {results.protocol.dtype}"),
        ("Policy", f"{count(len(results.policy.gates), 'gate')}, {count(len(results.policy.waivers), 'waiver')}"),
        ("Cost", f"{in_gradients(cost, results.run):.0f} gradients of the whole sample"),
    )


# -------------------------------------------------------------------------------------------------------------- checks


def _check(check: CheckResult, results: AuditResults) -> CheckView:
    outcome = check.outcome
    measured = outcome if isinstance(outcome, Measured) else Measured()
    message = ""
    if isinstance(outcome, Failed):
        message = f"This check failed, and its numbers are missing: {printable(outcome.error, 1000)}"
    if isinstance(outcome, NotApplicable):
        message = f"Not applicable here: {printable(outcome.reason, 1000)}"
    spent = sum((probe.cost for probe in results.protocol.probes if probe.name in check.probes), Cost())
    return CheckView(
        id=check.id,
        title=printable(check.title, 400),
        question=printable(check.question, 400),
        source=printable(check.source, 400),
        version=check.version,
        status=outcome.status,
        message=message,
        labels=tuple(
            (printable(name).replace("_", " "), printable(label.value), printable(label.reason, 600))
            for name, label in measured.labels.items()
        ),
        estimates=_estimates(check, measured),
        figures=tuple(figure for detail in measured.details if (figure := _figure(detail)) is not None),
        tables=tuple(table_of(detail) for detail in measured.details if isinstance(detail, Table)),
        caveats=tuple(printable(caveat, 600) for caveat in measured.caveats),
        cost=f"{in_gradients(spent, results.run):.0f} gradients, shared with every check on the same measurements",
    )


def _estimates(check: CheckResult, measured: Measured) -> TableView:
    seen = [_estimate(f"{check.id}.{name}", found) for name, found in measured.estimates.items()]
    rows = [[each.name, each.value, each.interval, each.unit, each.uncertainty] for each in seen]
    heads = ["Number", "Value", "Interval", "Unit", "From"]
    title = f"Estimates of {printable(check.title, 400)}"
    return capped(title, "", heads, rows, numeric=[False, True, False, False, False])


def _estimate(key: str, estimate: Estimate) -> EstimateView:
    kinds = " + ".join(dict.fromkeys(part.kind for part in estimate.parts)) or "exact"
    level = f", {100 * estimate.level:g} %" if estimate.level and estimate.parts else ""
    shown = with_interval(estimate) if estimate.value is not None else f"not finite ({estimate.nonfinite})"
    name = name_of(key)
    short = key.partition(".")[2].replace("_", " ")
    value, _, interval = shown.partition(" (")
    named = name if name != key else short
    return EstimateView(key, named, value, interval.removesuffix(")"), estimate.unit, f"{kinds}{level}")


def _figure(detail: Detail) -> FigureView | None:
    found = drawn(detail)
    if found is None:
        return None
    picture, alt = found
    return FigureView(
        id=detail.name,
        title=printable(detail.title, 200),
        finding=printable(detail.finding, 600),
        expected=printable(detail.expected, 400),
        alt=printable(alt, 1500),
        source=f"data:image/svg+xml;base64,{base64.b64encode(picture).decode()}",
        numbers=numbers_behind(detail),
    )


# ------------------------------------------------------------------------------------------------------------ appendix


def _method(results: AuditResults) -> tuple[tuple[str, str], ...]:
    protocol = results.protocol
    given = ((name, value) for name, value in protocol.budgets.items() if value is not None)
    budgets = ", ".join(f"{name.replace('_', ' ')} {_budget(value)}" for name, value in given)
    return (
        ("Preset and seed", f"{protocol.preset}, seed {protocol.seed}"),
        ("Arithmetic", f"{protocol.dtype}; TF32 {'on' if results.environment.tf32 else 'off'}"),
        ("Second derivatives", printable(protocol.hvp_engine, 300)),
        ("Mode", printable(" ".join(protocol.mode), 600)),
        ("Budgets", budgets),
        ("Done differently", printable(" ".join(protocol.adjustments), 1500) or "Nothing."),
        ("Confidence", f"{100 * protocol.level:g} % for sampling and probe intervals"),
    )


def _budget(value: object) -> str:
    if isinstance(value, (tuple, list)):
        return " ".join(number(float(item)) for item in value)
    return number(float(value)) if isinstance(value, (int, float)) else printable(value)


def _provenance(results: AuditResults) -> tuple[tuple[str, str], ...]:
    subject, machine = results.subject, results.environment
    files = [(f"SHA-256 of {printable(file.name, 80)}", file.sha256) for file in subject.files]
    groups = ", ".join(f"{group.tensors:,} {group.dtype} tensors" for group in subject.tensor_groups)
    packages = ", ".join(f"{name} {version}" for name, version in machine.packages.items())
    return (
        *files,
        ("Digest of the tensors", subject.tensor_digest),
        ("Stored as", printable(groups)),
        ("Fingerprint of the data", results.data.fingerprint),
        ("Frozen parameters, buffers", f"{subject.frozen_parameters:,}, {subject.buffers:,}"),
        ("Software", f"landscape-audit {machine.landscape_audit}, torch {machine.torch}, {packages}"),
        ("Machine", printable(f"{machine.device_name}, {machine.platform}, {machine.threads} threads", 200)),
        ("Run", f"{results.run.started} to {results.run.finished}, {results.run.seconds:.0f} s"),
        ("Schema", results.schema_version),
    )


def _values(results: AuditResults) -> TableView:
    rows = [
        [key, number(e.value, 6), cell(e.low, 6), cell(e.high, 6), e.unit, _estimate(key, e).uncertainty]
        for key, e in results.estimates().items()
    ]
    heads = ["Id", "Value", "Low", "High", "Unit", "Interval"]
    return capped("Every value", "", heads, rows, numeric=[False, True, True, True, False, False])
