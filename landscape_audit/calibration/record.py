"""`calibration.json`: how much every number of an audit varies, and the limits that follow."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from landscape_audit.estimate import Direction
from landscape_audit.record import Record
from landscape_audit.results import DataInfo, FileRecord, Signal

CALIBRATION_VERSION = "1.0"
FEWEST = 5
"""Audits without which no limit is proposed: a bootstrap's spread then has three degrees of freedom."""
RAREST = 1e-6
"""The lowest rate of false alarms that can be asked for: the tail beyond it is nothing that audits can show."""


class Resampling(Record):
    """How each audit came by its sample.

    redraw: another n of the M examples that there are, so that two samples share n / M of theirs; the audit as
    configured is one of them. bootstrap: n draws with replacement of the n audited examples (or of their batches).
    """

    kind: Literal["redraw", "bootstrap"]
    unit: Literal["examples", "batches"]
    n_samples: int
    drawn_from: int | None = Field(default=None, description="M, how many examples a redraw is of.")

    @property
    def share(self) -> float:
        """What two redraws have in common, n / M."""
        return self.n_samples / self.drawn_from if self.drawn_from else 0.0


class RepeatedAudit(Record):
    """One audit: what made it differ, and how it ended."""

    seed: int
    fingerprint: str | None = Field(description="Of its sample; null where it ended before there was one.")
    status: Literal["whole", "partial", "failed"]
    reason: str = ""


class Limit(Record):
    """A one-sided prediction limit for the far end of the interval that one more audit reports."""

    side: Literal["at_most", "at_least"]
    value: float = Field(description="Rounded away from the audits to four digits.")
    scale: Literal["linear", "log"]
    false_alarm: float = Field(description="How often an audit of an equal checkpoint does not pass, at most.")
    centre: float = Field(description="Of the far ends, on the number's own scale.")
    spread: float = Field(description="Of the far end from sample to sample; on a log scale, of its logarithm.")
    factor: float = Field(description="Standard deviations between centre and limit.")


class Noise(Record):
    """One number over all audits. `null` stands where an audit has no finite number, or an interval no end."""

    key: str
    unit: str
    direction: Direction
    values: tuple[float | None, ...]
    lows: tuple[float | None, ...]
    highs: tuple[float | None, ...]
    sd: float | None = Field(description="Standard deviation from one sample of this size, and one seed, to the next.")
    relative: float | None = Field(description="`sd` as a share of the number in the audit as configured.")
    half_width: float | None = Field(
        description="Half of the interval that an audit reports: the mean, as that of one audit varies by itself."
    )
    honesty: float | None = Field(
        description="`half_width` over that of an honest interval of its level: under 1 it promises too much. Only "
        "where the interval is for other samples too."
    )
    shift: float | None = Field(
        default=None, description="Mean of the bootstrap audits less the audit as configured: what repeats do."
    )
    limit: Limit | None = None
    remark: str = Field(default="", description="Why there is no limit, or what to know about it.")

    @property
    def value(self) -> float | None:
        """What the audit as configured found."""
        return self.values[0]

    @property
    def n(self) -> int:
        """In how many audits it is a number."""
        return sum(value is not None for value in self.values)


class LabelNoise(Record):
    """One label over all audits."""

    key: str
    seen: dict[str, int]
    one_of: tuple[str, ...] = ()
    remark: str = ""


class Calibration(Record):
    """`calibration.json`, whole. Equal commands on equal machines give equal files."""

    schema_version: str = CALIBRATION_VERSION
    landscape_audit: str
    files: tuple[FileRecord, ...]
    model: str
    data: DataInfo
    preset: str
    dtype: str
    level: float
    checks: dict[str, int] = Field(description="Versions of the checks, by id.")
    asked: int = Field(description="How many audits were asked for.")
    false_alarm: float
    family: bool = Field(description="Whether the false-alarm rate is that of all gates together.")
    resampling: Resampling
    audits: tuple[RepeatedAudit, ...] = Field(description="The first is the audit as configured.")
    numbers: tuple[Noise, ...]
    labels: tuple[LabelNoise, ...]
    told: tuple[str, ...] = Field(description="What to know before using the limits.")
    signal: Signal | None = None

    @property
    def limited(self) -> tuple[Noise, ...]:
        """The numbers that have a limit."""
        return tuple(number for number in self.numbers if number.limit)

    @property
    def together(self) -> float:
        """How often any of the limits gives a false alarm, at most: the rates added up (Bonferroni)."""
        return min(1.0, sum(number.limit.false_alarm for number in self.numbers if number.limit))

    def to_json(self) -> str:
        """The text of `calibration.json`, the same for equal calibrations."""
        return self.model_dump_json(indent=1) + "\n"
