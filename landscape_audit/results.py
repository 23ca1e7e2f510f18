"""What an audit found: the one bridge between the side that measures and the side that judges and prints.

A minor version adds fields, checks and kinds of details, and no word to a fixed list: then an older release can read
what a newer one wrote, as it ignores such fields, shows such checks and keeps such details. What else changes raises
the major version, which only its own release reads.
"""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from landscape_audit.detail import Detail
from landscape_audit.errors import ResultsError
from landscape_audit.estimate import Estimate, IntervalKind, Label
from landscape_audit.policy import Consequence, EffectivePolicy, Level, Origin
from landscape_audit.reading import RepeatedKeyError, read_text, unrepeated
from landscape_audit.record import Record

SCHEMA_VERSION = "1.0"


# ------------------------------------------------------------------------------------------------------------- checks


class Measured(Record):
    """A check that has its numbers. `caveats` are sentences a reader must know before using them."""

    status: Literal["measured"] = "measured"
    estimates: dict[str, Estimate] = Field(default_factory=dict)
    labels: dict[str, Label] = Field(default_factory=dict)
    details: tuple[Detail, ...] = ()
    caveats: tuple[str, ...] = ()


class NotApplicable(Record):
    """A check that has no meaning for this subject, and why."""

    status: Literal["not_applicable"] = "not_applicable"
    reason: str


class Failed(Record):
    """A check that should have worked and did not. It gates nothing as passed."""

    status: Literal["failed"] = "failed"
    error: str


Outcome = Annotated[Measured | NotApplicable | Failed, Field(discriminator="status")]


class CheckResult(Record):
    """One check of the battery: what it is, where its definition comes from, and what came out."""

    id: str
    version: int
    title: str
    question: str
    source: str
    outcome: Outcome
    probes: tuple[str, ...] = Field(description="Names in `protocol.probes` of what this check rests on.")
    grows: tuple[IntervalKind, ...] = Field(
        default=(), description="The parts of its intervals that an undecided gate may buy to be narrower."
    )


# ------------------------------------------------------------------------------------------- what was audited, and how


class FileRecord(Record):
    """A file as it was read."""

    name: str
    sha256: str
    size_bytes: int


class TensorGroup(Record):
    """How many tensors, and numbers in them, the checkpoint stores in one dtype."""

    dtype: str
    tensors: int
    elements: int


class SubjectInfo(Record):
    """The checkpoint and the model it was loaded into."""

    files: tuple[FileRecord, ...]
    tensor_digest: str = Field(description="SHA-256 over names, shapes, dtypes and bytes; independent of file order.")
    base_digest: str | None = Field(default=None, description="The same of the base that an adapter lies over.")
    tensor_groups: tuple[TensorGroup, ...]
    model: str
    parameters: int = Field(description="P: how many numbers the landscape has as coordinates.")
    parameter_tensors: int
    frozen_parameters: int
    parameter_globs: tuple[str, ...] = Field(
        default=(), description="Which parameters were asked for, the rest being frozen; empty for all trainable ones."
    )
    buffers: int
    replaced: tuple[str, ...] = Field(
        default=(), description="Files that were others when the audit ended; every number is of those listed here."
    )

    @property
    def name(self) -> str:
        """What to call the checkpoint: its file, or its index."""
        return self.files[0].name if self.files else "checkpoint"


class DataInfo(Record):
    """The sample on which everything was measured."""

    source: str
    n_samples: int
    n_batches: int
    batches: str = Field(default="", description="Their sizes in order, like 3 × 128, 1 × 66.")
    weight: float = Field(description="The denominator of the mean loss: examples, or tokens.")
    fingerprint: str = Field(description="SHA-256 over the tensors that were seen, in order.")
    draw: Literal["all", "first", "random", "stratified"] = Field(
        default="all", description="Which of the data they are; stratified: at random, every class in proportion."
    )
    draw_seed: int | None = Field(default=None, description="Of a random draw.")
    drawn_from: int | None = Field(default=None, description="How many examples there were; null: not counted.")
    kept: Literal["device", "host", "file"] = Field(
        default="device", description="Where the sample was: in the device's memory, the host's, or a temporary file."
    )
    loss: str
    loss_settings: str = Field(default="", description="What it was given by name.")
    loss_code: str = Field(
        default="",
        description="SHA-256 of the source of a function of the user's own, without what it calls; empty for others.",
    )
    metric: str | None = None


class Cost(Record):
    """Passes over the full audited sample. One gradient (forward and backward) is the unit of cost."""

    forwards: float = 0.0
    gradients: float = 0.0
    hvps: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        """Both costs together."""
        return Cost(
            forwards=self.forwards + other.forwards,
            gradients=self.gradients + other.gradients,
            hvps=self.hvps + other.hvps,
        )

    def in_gradients(self, forward: float = 1 / 3, hvp: float = 2.5) -> float:
        """The cost in gradients, with what one forward and one Hessian-vector product cost in that unit."""
        return self.forwards * forward + self.gradients + self.hvps * hvp


class ProbeRecord(Record):
    """One expensive measurement that was taken, and what it cost."""

    name: str
    planned: Cost
    cost: Cost


class ProtocolInfo(Record):
    """How it was measured. Two audits are comparable only where this, the data and the versions agree."""

    preset: str
    seed: int
    dtype: Literal["float32", "float64"]
    level: float
    budgets: dict[str, float | int | str | tuple[float, ...] | None]
    probes: tuple[ProbeRecord, ...]
    hvp_engine: str = Field(description="How second derivatives were taken.")
    mode: tuple[str, ...] = Field(description="What was done to the model so that its loss is one smooth function.")
    adjustments: tuple[str, ...] = Field(description="Whatever was done differently from what was asked.")
    training: str = Field(default="", description="With what settings, and on what data, a check trained twins.")
    looks: int = Field(
        default=1, description="How often the gates were looked at; more than 1: intervals were bought in between."
    )

    @property
    def cost(self) -> Cost:
        """Everything that was spent."""
        return sum((probe.cost for probe in self.probes), Cost())


class EnvironmentInfo(Record):
    """The machine and the software."""

    landscape_audit: str
    python: str
    torch: str
    device: str
    device_name: str
    platform: str
    threads: int
    processes: int = Field(default=1, description="How many processes shared the batches.")
    tf32: bool
    deterministic: bool
    packages: dict[str, str]


class InstrumentInfo(Record):
    """Whether the instrument itself can be trusted here. A disagreement is shown above everything else."""

    agrees: bool
    disagreements: tuple[str, ...] = ()


Signal = Literal["SIGINT", "SIGTERM", "SIGHUP"]


class RunInfo(Record):
    """The only part of the results that two equal audits do not share."""

    started: str
    finished: str
    seconds: float
    argv: tuple[str, ...]
    probe_seconds: dict[str, float]
    gradient_seconds: float | None = None
    forward_seconds: float | None = None
    hvp_seconds: float | None = None
    signal: Signal | None = Field(default=None, description="What stopped it before its end.")
    out_of_time: bool = Field(default=False, description="Whether the time it was given was too short for every check.")
    seal: str | None = Field(default=None, description="SHA-256 of this block without its seal, as canonical JSON.")


# ------------------------------------------------------------------------------------------------------------ verdict

GateStatus = Literal["pass", "fail", "undecided", "incomparable", "not_applicable"]
"""How a demand came out. incomparable: there is no baseline, or none measured alike."""


class WaiverRecord(Record):
    """The waiver that lets a failing gate through; it stays visible."""

    reason: str
    approver: str
    expires: str


class GateResult(Record):
    """One gate held against one estimate or label."""

    key: str
    level: Level
    status: GateStatus
    demand: str
    found: str
    reason: str
    why: str
    limit_low: float | None = None
    limit_high: float | None = None
    estimate: Estimate | None = Field(default=None, description="What was held against the limits.")
    label: Label | None = None
    waiver: WaiverRecord | None = None
    consequence: Consequence = Field(
        default="pass",
        description="error: the audit cannot pass; warn: it can, and says so; pass: nothing.",
    )
    origin: Origin | None = Field(default=None, description="Where the gate is written down.")
    confidence: float | None = Field(default=None, description="Of the interval that decided; null: it is exact.")
    looks: int = Field(
        default=1, description="Looks that share the error of what can be bought: 1, or 3 where the gate may buy."
    )

    @property
    def shown_as(self) -> Literal[GateStatus, "waived", "warned"]:
        """The status as a reader sees it: what is waived, or only warned of, is shown as that."""
        if self.waiver is not None:
            return "waived"
        return "warned" if self.level == "warn" and self.status != "pass" else self.status


Word = Literal["PASS", "FAIL", "UNDECIDED", "ERROR", "OBSERVED"]


class Verdict(Record):
    """The answer: a word, a sentence, the counts and the exit code that follows from them."""

    word: Word
    sentence: str
    exit_code: int
    passed: int = 0
    failed: int = 0
    undecided: int = 0
    warned: int = 0
    waived: int = 0
    ignored: int = Field(default=0, description="Gates that do not apply here, or have no baseline, and need not.")
    crashed: int = 0


class Difference(Record):
    """One setting or input that two audits do not share."""

    key: str
    here: str
    there: str
    check: str | None = Field(
        default=None, description="The one check or estimate that it concerns; null: all of them."
    )
    hard: bool = Field(default=True, description="Whether the numbers are of something else, not only from elsewhere.")


class Baseline(Record):
    """The audit that this one was compared with."""

    name: str
    sha256: tuple[str, ...] = Field(description="Of the checkpoint's files.")
    finished: str
    measured: Literal["stored", "together"] = Field(
        description="stored: read from an earlier audit's results; together: measured beside this one, on the same "
        "batches, with the same probes and directions."
    )
    same: bool = Field(default=False, description="Whether it is of the same weights: equal numbers then are equal.")
    paired: tuple[IntervalKind, ...] = Field(
        default=(),
        description="Of which intervals the pieces are the same ones: numbers then differ piece by piece.",
    )
    differences: tuple[Difference, ...] = ()
    estimates: dict[str, Estimate] = Field(default_factory=dict)
    labels: dict[str, Label] = Field(default_factory=dict)

    def obstacles(self, key: str) -> tuple[Difference, ...]:
        """Why this check, or one estimate of it, cannot be compared; empty where it can."""
        concerned = {None, key, key.partition(".")[0]}
        return tuple(each for each in self.differences if each.hard and each.check in concerned)


class AuditResults(Record):
    """`results.json`, whole."""

    schema_version: str = SCHEMA_VERSION
    verdict: Verdict
    run: RunInfo
    subject: SubjectInfo
    data: DataInfo
    protocol: ProtocolInfo
    environment: EnvironmentInfo
    instrument: InstrumentInfo
    checks: tuple[CheckResult, ...]
    policy: EffectivePolicy = Field(
        default_factory=EffectivePolicy, description="The policy in force when the verdict was given."
    )
    gates: tuple[GateResult, ...] = ()
    baseline: Baseline | None = Field(default=None, description="What it was compared with.")
    partial: str | None = Field(default=None, description="Why this audit is not whole, or null where it is.")
    skipped: tuple[str, ...] = Field(default=(), description="Checks of the battery that were left out by request.")
    unreached: tuple[str, ...] = Field(default=(), description="Checks that an interruption came before.")
    limits: tuple[str, ...] = Field(default=(), description="What these numbers do not say.")
    seal: dict[str, str] | None = Field(
        default=None,
        description="SHA-256 of every other section but `run`, and of each check, as JSON with sorted keys and no "
        "white space. It shows change, not authorship.",
    )

    def estimates(self) -> dict[str, Estimate]:
        """Every estimate by its stable id, `check.estimate`."""
        return {
            f"{check.id}.{name}": estimate
            for check in self.checks
            if isinstance(check.outcome, Measured)
            for name, estimate in check.outcome.estimates.items()
        }

    def labels(self) -> dict[str, Label]:
        """Every label by its stable id, `check.label`."""
        return {
            f"{check.id}.{name}": label
            for check in self.checks
            if isinstance(check.outcome, Measured)
            for name, label in check.outcome.labels.items()
        }

    def finished(self) -> dt.datetime:
        """When the audit ended, or an error where that is no time: reports are dated by it."""
        try:
            when = dt.datetime.fromisoformat(self.run.finished)
            when.astimezone(dt.UTC)
        except (ValueError, OverflowError):
            raise ResultsError(
                f"results.json: run.finished is {self.run.finished!r}, which is no time.",
                remedy="`landscape-audit run` writes it.",
            ) from None
        return when

    def is_newer(self) -> bool:
        """Whether a release wrote it that knows more than this one, which leaves out what it does not know."""
        return _minor(self.schema_version) > _minor(SCHEMA_VERSION)

    def to_json(self) -> str:
        """The text of `results.json`, the same for equal results."""
        return self.model_dump_json(indent=1) + "\n"


def _minor(version: str) -> int:
    number = version.partition(".")[2].partition(".")[0]
    return int(number[:9]) if number.isdecimal() and number.isascii() else 0


_REMEDY = "`landscape-audit run` writes results.json; `landscape-audit schema results` describes it."


class _Version(Record):
    schema_version: str = SCHEMA_VERSION


def read_results(path: Path) -> AuditResults:
    """The results in `path`, or an error that says what the file is instead."""
    try:
        text = read_text(path)
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error  # with the path that is already named, and a number, otherwise
        raise ResultsError(f"{path}: cannot be read: {why}.", remedy="Name a results.json, or its folder.") from None
    return parsed_results(text, str(path))


def parsed_results(text: str, origin: str) -> AuditResults:
    """The results that a text is, or an error that says what `origin` has instead."""
    try:
        _check_version(origin, _Version.model_validate_json(text).schema_version)
        results = AuditResults.model_validate_json(text)
        json.loads(text, object_pairs_hook=unrepeated)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the top level"
        what = first["msg"].removeprefix("Value error, ")
        raise ResultsError(f"{origin}: not the results of an audit: {what} (at {where}).", remedy=_REMEDY) from None
    except RepeatedKeyError as error:
        raise ResultsError(f"{origin}: not the results of an audit: {error}.", remedy=_REMEDY) from None
    return results


def _check_version(origin: str, version: str) -> None:
    # Before the rest is read: another major version need not have the same fields, and would look like no results.
    if version.partition(".")[0] != SCHEMA_VERSION.partition(".")[0]:
        raise ResultsError(
            f"{origin}: results of schema version {version}; this release reads {SCHEMA_VERSION}.",
            remedy="Use the release that wrote it, or run the audit again.",
        )
