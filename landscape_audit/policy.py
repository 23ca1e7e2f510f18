"""What is demanded: gates, their reasons, and waivers. Pure data; `judge.py` holds it against an audit."""

from __future__ import annotations

import datetime as dt
from typing import Literal, Self

from pydantic import Field, StrictFloat, model_validator

from landscape_audit.strict import Strict

Level = Literal["off", "warn", "error"]


class Gate(Strict):
    """One demand on one estimate or label, with the reason for it."""

    at_most: StrictFloat | None = Field(default=None, description="The interval must not reach above it.")
    at_least: StrictFloat | None = Field(default=None, description="The interval must not reach below it.")
    one_of: tuple[str, ...] | None = None
    level: Level = "error"
    why: str = Field(min_length=1, description="Where the limit comes from; shown in every report.")

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        numeric = self.at_most is not None or self.at_least is not None
        if numeric == (self.one_of is not None):
            message = "a gate needs at_most and/or at_least (for a number), or one_of (for a label)"
            raise ValueError(message)
        if self.at_most is not None and self.at_least is not None and self.at_least > self.at_most:
            message = f"at_least {self.at_least:g} is above at_most {self.at_most:g}: nothing can pass"
            raise ValueError(message)
        return self


class Waiver(Strict):
    """A failing gate let through, by name, for a reason, until the end of a day, for one checkpoint only."""

    gate: str
    reason: str = Field(min_length=1)
    approver: str = Field(min_length=1)
    expires: dt.date
    checkpoint_sha256: str = Field(
        pattern=r"^[0-9a-f]{64}$",
        description="SHA-256 of the checkpoint, 64 hexadecimal digits: results.json has it.",
    )


class Policy(Strict):
    """Every demand on an audit. No gates: everything is observed and nothing fails."""

    gates: dict[str, Gate] = Field(default_factory=dict)
    waivers: tuple[Waiver, ...] = ()
    on_undecided: Literal["pass", "warn", "error"] = "error"
