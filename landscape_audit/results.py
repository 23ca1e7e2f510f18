"""What an audit found: the one bridge between the side that measures and the side that judges and prints.

Every model is frozen, forbids NaN and infinity, and ignores fields it does not know, so that a newer minor version
can be read. A number that is not finite is `null` with a word in `nonfinite`.
"""

from __future__ import annotations

import datetime as dt
import math
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.config import JsonDict

from landscape_audit.errors import ResultsError
from landscape_audit.policy import Consequence, EffectivePolicy, Level, Origin
from landscape_audit.reading import read_text

SCHEMA_VERSION = "1.0"


class Record(BaseModel):
    """A frozen part of `results.json`."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


# ---------------------------------------------------------------------------------------------------------- estimates

IntervalKind = Literal["residual", "sampling", "probe", "rounding", "bound"]
"""Where an interval comes from.

residual: what the solver leaves open.  sampling: other examples of the same distribution.
probe: random vectors or directions.  rounding: the arithmetic.  bound: one side only, by construction.
"""

Direction = Literal["lower", "higher", "neither"]
Nonfinite = Literal["nan", "inf", "-inf"]


class Bounds(Record):
    """What a part of an interval would be at another level."""

    level: float
    low: float | None
    high: float | None


class IntervalPart(Record):
    """One source of uncertainty by itself; `None` is a side on which nothing is known."""

    kind: IntervalKind
    low: float | None
    high: float | None
    pieces: tuple[float, ...] = Field(
        default=(),
        description="What each batch, probe or draw says by itself: the estimate is their mean, its standard error "
        "theirs. Two audits of the same pieces are compared piece by piece.",
    )
    grain: float = Field(
        default=0.0, ge=0, description="Of a proportion: what one example that comes out otherwise would move it by."
    )
    at: tuple[Bounds, ...] = Field(
        default=(),
        description="The same at other levels, lowest first, for gates that ask for another confidence; empty where "
        "it holds at any.",
    )


_FINITE: JsonDict = {"properties": {"value": {"type": "number"}, "nonfinite": {"type": "null"}}}
_NOT_FINITE: JsonDict = {
    "properties": {"value": {"type": "null"}, "nonfinite": {"type": "string"}},
    "required": ["nonfinite"],
}


class Estimate(Record):
    """A number, the interval around it, and what the interval means.

    `low` and `high` combine all `parts`. `None` means unbounded: a lower bound has `high=None`. An exact number has
    no parts and `low = value = high`. `level` is the confidence of the sampling and probe parts, and of the residual
    part at an end of a spectrum; other residual parts, and bounds, hold always.
    """

    model_config = ConfigDict(json_schema_extra={"oneOf": [_FINITE, _NOT_FINITE]})

    value: float | None
    low: float | None
    high: float | None
    parts: tuple[IntervalPart, ...] = ()
    level: float | None = Field(default=None, gt=0, lt=1)
    unit: str = ""
    direction: Direction = Field(default="neither", description="Which way is better, where that has a meaning.")
    n: int | None = Field(default=None, description="How many examples, probes or draws it rests on.")
    nonfinite: Nonfinite | None = None

    @model_validator(mode="after")
    def _is_ordered(self) -> Self:
        if (self.value is None) != (self.nonfinite is not None):
            message = "an estimate has a value, or a word saying why it has none"
            raise ValueError(message)
        known = [bound for bound in (self.low, self.value, self.high) if bound is not None]
        if known != sorted(known):
            message = f"interval out of order: {self.low} <= {self.value} <= {self.high}"
            raise ValueError(message)
        return self

    @classmethod
    def exact(cls, value: float, *, unit: str = "", direction: Direction = "neither", n: int | None = None) -> Estimate:
        """A number without uncertainty: a count, or something true by construction."""
        word = nonfinite_word(value)
        kept = None if word else value
        return cls(value=kept, low=kept, high=kept, unit=unit, direction=direction, n=n, nonfinite=word)

    @classmethod
    def within(
        cls,
        value: float,
        parts: tuple[IntervalPart, ...],
        *,
        level: float | None = None,
        unit: str = "",
        direction: Direction = "neither",
        n: int | None = None,
    ) -> Estimate:
        """A number with several independent uncertainties; their distances from the value are added, never hidden.

        Adding is conservative: systematic parts (residual, rounding) do not average out against random ones.
        """
        word = nonfinite_word(value)
        if word:
            return cls(value=None, low=None, high=None, unit=unit, direction=direction, n=n, nonfinite=word)
        below = [None if part.low is None else value - part.low for part in parts]
        above = [None if part.high is None else part.high - value for part in parts]
        return cls(
            value=value,
            low=None if None in below else value - math.fsum(max(gap, 0.0) for gap in below if gap is not None),
            high=None if None in above else value + math.fsum(max(gap, 0.0) for gap in above if gap is not None),
            parts=parts,
            level=level,
            unit=unit,
            direction=direction,
            n=n,
        )


def spread(kind: IntervalKind, value: float, half_width: float, pieces: tuple[float, ...] = ()) -> IntervalPart:
    """The symmetric part `value ± half_width`; unbounded on both sides where the width is not finite."""
    return reaching(kind, value, (half_width, half_width), pieces)


def reaching(
    kind: IntervalKind, value: float, reach: tuple[float, float], pieces: tuple[float, ...] = ()
) -> IntervalPart:
    """The part from `reach[0]` below to `reach[1]` above; unbounded on both sides where one of them is not finite."""
    below, above = reach
    if not all(map(math.isfinite, (value, below, above))):
        return IntervalPart(kind=kind, low=None, high=None)
    return IntervalPart(kind=kind, low=value - below, high=value + above, pieces=about(value, pieces))


def about(value: float, pieces: tuple[float, ...]) -> tuple[float, ...]:
    """Pieces moved so that `value` is their mean; none where one of them is not finite, or there is only one."""
    if len(pieces) < 2 or not all(map(math.isfinite, (value, *pieces))):
        return ()
    off = value - math.fsum(pieces) / len(pieces)
    return tuple(piece + off for piece in pieces)


def nonfinite_word(value: float) -> Nonfinite | None:
    """The word for a number that JSON cannot carry, or None for one it can."""
    if math.isnan(value):
        return "nan"
    return ("inf" if value > 0 else "-inf") if math.isinf(value) else None


def finite_or_none(value: float) -> float | None:
    """A cell of a figure or a table: the number, or `None` where there is none to draw."""
    return value if math.isfinite(value) else None


UNDECIDED = "undecided"
"""The word of a label whose check could not settle its own question."""


class Label(Record):
    """A word out of a closed list, and the sentence that led to it."""

    value: str
    reason: str
    direction: Literal["neither"] = "neither"
    open: IntervalKind | None = Field(
        default=None, description="Where the word is `undecided`: which uncertainty would have to be smaller."
    )


# ------------------------------------------------------------------------------------------------------------ details


class Axis(Record):
    """What a figure's axis measures."""

    label: str
    unit: str = ""
    scale: Literal["linear", "log", "symlog"] = "linear"


class Mark(Record):
    """A reference line across a figure, or a point on it where both coordinates are given."""

    label: str
    x: float | None = None
    y: float | None = None


class _Detail(Record):
    """What every figure and table carries: a caption that is a finding, and what one would expect to see."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    title: str
    finding: str
    expected: str = ""


class Series(Record):
    """Points of one curve in order; a `None` in `y` is a point that has no finite value."""

    name: str
    role: Literal["measured", "predicted", "reference"] = "measured"
    x: tuple[float, ...]
    y: tuple[float | None, ...]
    low: tuple[float | None, ...] = ()
    high: tuple[float | None, ...] = ()


class Line(_Detail):
    """Curves over one variable."""

    kind: Literal["line"] = "line"
    x: Axis
    y: Axis
    series: tuple[Series, ...]
    marks: tuple[Mark, ...] = ()


class Surface(_Detail):
    """Values on a grid: `z[row][column]` at (`xs[column]`, `ys[row]`). `None` cells are not finite, and stay so."""

    kind: Literal["surface"] = "surface"
    x: Axis
    y: Axis
    z_axis: Axis
    xs: tuple[float, ...]
    ys: tuple[float, ...]
    z: tuple[tuple[float | None, ...], ...]
    marks: tuple[Mark, ...] = ()


class Spectrum(_Detail):
    """A density of eigenvalues, and the single eigenvalues that stand out of it with their intervals."""

    kind: Literal["spectrum"] = "spectrum"
    x: Axis
    grid: tuple[float, ...]
    density: tuple[float, ...]
    outliers: tuple[Bar, ...] = ()


class Bar(Record):
    """One named value with its interval."""

    label: str
    value: float | None
    low: float | None = None
    high: float | None = None


class Bars(_Detail):
    """Named values on one axis, in the order they should be read."""

    kind: Literal["bars"] = "bars"
    axis: Axis
    bars: tuple[Bar, ...]


class Column(Record):
    """One column of a table; `name` is how other programs find it."""

    name: str
    title: str
    unit: str = ""


class Table(_Detail):
    """Rows of words and numbers. Numbers are unrounded; the report rounds."""

    kind: Literal["table"] = "table"
    columns: tuple[Column, ...]
    rows: tuple[tuple[str | int | float | bool | None, ...], ...]


Detail = Annotated[Line | Surface | Spectrum | Bars | Table, Field(discriminator="kind")]


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

    def to_json(self) -> str:
        """The text of `results.json`, the same for equal results."""
        return self.model_dump_json(indent=1) + "\n"


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
        return AuditResults.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the top level"
        raise ResultsError(
            f"{origin}: not the results of an audit: {first['msg']} (at {where}).",
            remedy="`landscape-audit run` writes results.json; `landscape-audit schema results` describes it.",
        ) from None


def _check_version(origin: str, version: str) -> None:
    # Before the rest is read: another major version need not have the same fields, and would look like no results.
    if version.partition(".")[0] != SCHEMA_VERSION.partition(".")[0]:
        raise ResultsError(
            f"{origin}: results of schema version {version}; this release reads {SCHEMA_VERSION}.",
            remedy="Use the release that wrote it, or run the audit again.",
        )
