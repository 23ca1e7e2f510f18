"""What is demanded: gates, their reasons, and waivers. Pure data; `gates/judge.py` holds it against an audit."""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, StrictFloat, StrictInt, ValidationError, field_validator, model_validator

from landscape_audit.config_error import as_config_error
from landscape_audit.strict import Strict
from landscape_audit.text import printable

Level = Literal["off", "warn", "error"]
Consequence = Literal["pass", "warn", "error"]
"""What follows where a gate is neither passed nor failed."""

_ON_UNDECIDED = "Where the interval does not settle it: error exits 3, warn and pass exit 0 and show it."
_ON_MISSING_BASELINE = "Where there is no baseline, or none that can be compared with."
_ON_NOT_APPLICABLE = "Where this model has no such number. error: a mistake in the policy, exit 2."
_CONFIDENCE = "Of the interval that decides; by default that of the audit's own intervals."


class Allowance(Strict):
    """How much worse than the baseline is as good: a share of it, or in the number's own unit."""

    relative: StrictFloat | None = Field(default=None, ge=0)
    absolute: StrictFloat | None = Field(default=None, ge=0)
    why: str = Field(default="", description="Where this limit comes from, if elsewhere than the gate's own.")

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if (self.relative is None) == (self.absolute is None):
            message = "an allowance is a number (a share of the baseline), { relative = … } or { absolute = … }"
            raise ValueError(message)
        return self


class Gate(Strict):
    """One demand on one estimate or label, with the reason for it."""

    at_most: StrictFloat | None = Field(default=None, description="The interval must not reach above it.")
    at_least: StrictFloat | None = Field(default=None, description="The interval must not reach below it.")
    between: tuple[StrictFloat, StrictFloat] | None = Field(
        default=None, description="Both at once: [at least, at most]."
    )
    finite: Literal[True] | None = Field(default=None, description="It must be a number, whatever its size.")
    one_of: tuple[str, ...] | None = Field(default=None, min_length=1, description="The words that a label may be.")
    no_worse_than_baseline: Allowance | None = Field(
        default=None, description="0.15: at most 15 % worse than the baseline's; or { absolute = 0.01 }."
    )
    level: Level = "error"
    why: str = Field(min_length=1, description="Where the limit comes from; shown in every report.")
    on_undecided: Consequence | None = Field(default=None, description=_ON_UNDECIDED)
    on_missing_baseline: Consequence | None = Field(default=None, description=_ON_MISSING_BASELINE)
    on_not_applicable: Consequence | None = Field(default=None, description=_ON_NOT_APPLICABLE)
    confidence: StrictFloat | None = Field(default=None, gt=0.5, lt=1, description=_CONFIDENCE)

    @field_validator("no_worse_than_baseline", mode="before")
    @classmethod
    def _a_number_is_a_share(cls, value: object) -> object:
        return {"relative": value} if isinstance(value, int | float) and not isinstance(value, bool) else value

    @model_validator(mode="after")
    def _demands_something(self) -> Self:
        if self.between is not None and (self.at_most is not None or self.at_least is not None):
            message = "between says at_least and at_most at once: give either"
            raise ValueError(message)
        if self.is_on_number == (self.one_of is not None):
            message = (
                "a gate needs at_most, at_least, between, finite or no_worse_than_baseline (for a number), "
                "or one_of (for a label)"
            )
            raise ValueError(message)
        if self.floor is not None and self.ceiling is not None and self.floor > self.ceiling:
            message = f"at least {self.floor:g} is above at most {self.ceiling:g}: nothing can pass"
            raise ValueError(message)
        return self

    @property
    def floor(self) -> float | None:
        """What it must be at least."""
        return self.at_least if self.between is None else self.between[0]

    @property
    def ceiling(self) -> float | None:
        """What it must be at most."""
        return self.at_most if self.between is None else self.between[1]

    @property
    def why_no_worse(self) -> str:
        """Where the limit on the change from the baseline comes from."""
        return (self.no_worse_than_baseline.why if self.no_worse_than_baseline else "") or self.why

    @property
    def has_limits(self) -> bool:
        """Whether it has a limit of its own, which needs no baseline."""
        return self.floor is not None or self.ceiling is not None or self.finite is not None

    @property
    def is_on_number(self) -> bool:
        """Whether it demands something of a number, and not of a label."""
        return self.has_limits or self.no_worse_than_baseline is not None


def _a_day(value: object) -> object:
    """A day as TOML or JSON writes it; not the times and numbers of seconds that pydantic would make a day of."""
    if type(value) is dt.date or (isinstance(value, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", value, re.ASCII)):
        return value
    message = "it must be a day, such as 2026-12-31"
    raise ValueError(message)


class Waiver(Strict):
    """A failing gate let through, by name, for a reason, until the end of a day, for one checkpoint only."""

    gate: str
    reason: str = Field(min_length=1)
    approver: str = Field(min_length=1)
    expires: Annotated[dt.date, BeforeValidator(_a_day)] = Field(description="The last day on which it holds, by UTC.")
    checkpoint_sha256: str = Field(
        pattern=r"^[0-9a-f]{64}$",
        description="SHA-256 of the checkpoint, 64 hexadecimal digits: results.json has it.",
    )

    def has_expired(self, today: dt.date) -> bool:
        """Whether its last day is over."""
        return today > self.expires


class MalformedWaiver(Strict):
    """Something that was meant as a waiver and is none: it lets nothing through, and says so."""

    gate: str
    problem: str


class Requirement(Strict):
    """What an audit must rest on before any of its numbers counts.

    `run` refuses another sample before it measures anything, as no such audit could pass: exit 2. Held against stored
    results, or where a waiver names it as `require.n_samples` or `require.data`, it is a gate like any other.
    """

    n_samples: StrictInt | None = Field(default=None, ge=1, le=2**53, description="At least so many examples.")
    data: str | None = Field(
        default=None,
        pattern=r"^[0-9a-f]{64}$",
        description="The fingerprint that the audited sample must have; results.json has it.",
    )


class Policy(Strict):
    """Every demand on an audit. No gates: everything is observed and nothing fails."""

    extends: str = Field(
        default="", description="observe, recommended, strict, or another policy's path: what this one adds to."
    )
    gates: dict[str, Gate] = Field(default_factory=dict)
    waivers: tuple[Waiver | MalformedWaiver, ...] = ()
    on_undecided: Consequence = Field(default="error", description=_ON_UNDECIDED)
    on_missing_baseline: Consequence = Field(default="error", description=_ON_MISSING_BASELINE)
    on_not_applicable: Consequence = Field(default="error", description=_ON_NOT_APPLICABLE)
    confidence: StrictFloat | None = Field(default=None, gt=0.5, lt=1, description=_CONFIDENCE)
    max_extra_budget: StrictFloat = Field(
        default=100.0,
        ge=0,
        description="Gradients that undecided gates may spend on narrower intervals. A product counts as 2.5 and "
        "a forward as a third of one, however long they take: no clock decides what is bought.",
    )
    require: Requirement = Field(default_factory=Requirement)

    @field_validator("waivers", mode="before")
    @classmethod
    def _malformed_ones_let_nothing_through(cls, value: object) -> object:
        return [_waiver(each) for each in value] if isinstance(value, list | tuple) else value

    def to_json(self) -> str:
        """The text of `policy.json`, as it is attached to the PDF."""
        return self.model_dump_json(indent=1) + "\n"


class Origin(Strict):
    """Where a gate is written down, as a path from where the command was started."""

    file: str
    line: int = Field(ge=1)


class EffectivePolicy(Policy):
    """A policy with what it extends laid under it: what is in force, and where it was written."""

    sources: tuple[str, ...] = Field(default=(), description="The policies that it was made of, the first one lowest.")
    origins: dict[str, Origin] = Field(default_factory=dict, description="Where each gate's last word stands.")

    @classmethod
    def of(cls, policy: Policy) -> EffectivePolicy:
        """A policy that came from no file, as it is in force."""
        return policy if isinstance(policy, cls) else cls(**dict(policy))


def _waiver(value: object) -> object:
    if isinstance(value, Waiver | MalformedWaiver):
        return value
    if not isinstance(value, dict):
        message = f"{printable(repr(value))} is no waiver, which is a table: [[waivers]]"
        raise ValueError(message)  # noqa: TRY004 - what pydantic makes an error of a setting
    if value.keys() == {"gate", "problem"} and all(isinstance(each, str) for each in value.values()):
        return MalformedWaiver(**value)
    try:
        return Waiver.model_validate(value)
    except ValidationError as error:
        problem = as_config_error(Waiver, error, "").what.removeprefix(": ").rstrip(".")
        return MalformedWaiver(gate=str(value.get("gate", "")), problem=problem)
