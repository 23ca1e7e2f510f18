"""What one can try next: the rules in `advice.toml`, held against an audit. No torch; what is foreign is never code.

A rule holds where all of `when` is certain and none of `unless` is. A number is above a limit only where its whole
interval is; one that is not finite is beyond every limit, as it is for a gate.
"""

from __future__ import annotations

import functools
import math
import tomllib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from landscape_audit.estimate import Estimate, IntervalKind
from landscape_audit.ids import name_of, word_of
from landscape_audit.intervals import with_interval
from landscape_audit.results import AuditResults, Failed
from landscape_audit.strict import Strict


@dataclass(frozen=True)
class Evidence:
    """What of the results made a condition certain: its name, what was found, and the sentence that led to it."""

    name: str
    found: str
    reason: str = ""


class OfLabel(Strict):
    """A label that has one of these values; with `open`, only where that is what leaves it undecided, or nothing is."""

    label: str
    one_of: tuple[str, ...] = Field(min_length=1)
    open: IntervalKind | Literal["nothing"] | None = None

    @property
    def keys(self) -> tuple[str, ...]:
        """The ids of `results.json` that it looks at."""
        return (self.label,)

    def evidence(self, results: AuditResults) -> tuple[Evidence, ...]:
        """The label, if it is so."""
        found = results.labels().get(self.label)
        if found is None or found.value not in self.one_of or self.open not in {None, found.open or "nothing"}:
            return ()
        return (Evidence(name_of(self.label), word_of(self.label, found.value), found.reason),)


class OfEstimate(Strict):
    """Any of some estimates whose whole interval is above or below a limit: a number, or that share `of` another's."""

    estimate: tuple[str, ...] = Field(min_length=1)
    above: float | None = None
    below: float | None = None
    of: str | None = Field(default=None, description="The limit is a multiple of this estimate's size.")

    @model_validator(mode="after")
    def _has_one_limit(self) -> Self:
        if (self.above is None) == (self.below is None):
            message = "an estimate is either above or below a limit"
            raise ValueError(message)
        return self

    @property
    def keys(self) -> tuple[str, ...]:
        """The ids of `results.json` that it looks at."""
        return self.estimate if self.of is None else (*self.estimate, self.of)

    def evidence(self, results: AuditResults) -> tuple[Evidence, ...]:
        """Those of the estimates for which it is certain."""
        estimates = results.estimates()
        unit = (1.0, 1.0) if self.of is None else _size(estimates.get(self.of))
        return tuple(
            Evidence(name_of(key, results.data.metric), with_interval(found))
            for key in self.estimate
            if (found := estimates.get(key)) is not None and self._is_beyond(found, unit)
        )

    def _is_beyond(self, found: Estimate, unit: tuple[float, float]) -> bool:
        if found.value is None:
            return True
        least, most = unit
        if self.above is not None:
            return found.low is not None and found.low > max(self.above * least, self.above * most)
        below = self.below or 0.0
        return found.high is not None and found.high < min(below * least, below * most)


def _size(estimate: Estimate | None) -> tuple[float, float]:
    """Between what |estimate| certainly lies; anything where it is not known, which nothing is beyond."""
    if estimate is None or estimate.low is None or estimate.high is None:
        return 0.0, math.inf
    ends = abs(estimate.low), abs(estimate.high)
    return (0.0 if estimate.low <= 0 <= estimate.high else min(ends)), max(ends)


class OfGate(Strict):
    """Any gate whose key fits one of these patterns and that came out so; a waived gate is that and nothing else."""

    gate: tuple[str, ...] = Field(min_length=1)
    status: Literal["fail", "undecided", "waived"]
    numeric: bool = Field(default=False, description="Only gates on a number that was measured.")

    @property
    def keys(self) -> tuple[str, ...]:
        """The ids of `results.json`, or patterns of them, that it looks at."""
        return tuple(pattern for pattern in self.gate if pattern != "*")

    def evidence(self, results: AuditResults) -> tuple[Evidence, ...]:
        """Those of the gates for which it is so."""
        return tuple(
            Evidence(
                f"gate on {name_of(gate.key, results.data.metric)}",
                gate.found,
                f"Demanded: {gate.demand}. {gate.reason}",
            )
            for gate in results.gates
            if self.status == ("waived" if gate.waiver else gate.status)
            and (gate.estimate is not None or not self.numeric)
            and any(fnmatchcase(gate.key, pattern) for pattern in self.gate)
        )


class OfAudit(Strict):
    """The audit as a whole: something is missing from it, or its instrument is not to be trusted."""

    audit: Literal["not whole", "distrusted"]

    @property
    def keys(self) -> tuple[str, ...]:
        """The ids of `results.json` that it looks at."""
        return ("instrument.agreement",) if self.audit == "distrusted" else ()

    def evidence(self, results: AuditResults) -> tuple[Evidence, ...]:
        """Why, if it is so."""
        if self.audit == "distrusted":
            told = "; ".join(results.instrument.disagreements)
            return () if results.instrument.agrees else (Evidence("the instrument", "disagrees", told),)
        crashed = ", ".join(check.id for check in results.checks if isinstance(check.outcome, Failed))
        missing = results.partial or (f"failed: {crashed}" if crashed else "")
        return (Evidence("the audit", "not whole", missing),) if missing else ()


Condition = OfLabel | OfEstimate | OfGate | OfAudit


class Rule(Strict):
    """One piece of advice: when it holds, what to try in which order, and who says so."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    when: tuple[Condition, ...] = Field(min_length=1)
    unless: tuple[Condition, ...] = ()
    say: str = Field(min_length=1, description="What was seen and what that means, in one or two sentences.")
    steps: tuple[str, ...] = Field(alias="try", min_length=1)
    source: tuple[str, ...] = Field(min_length=1, description="Author and year; `papers` has the titles.")
    remark: bool = Field(default=False, description="Good to know, and no reason to act.")
    alone: bool = Field(default=False, description="Holds only where no other rule does, remarks apart.")


class Advice(Strict):
    """`advice.toml`: the rules, worst first, and the papers that they rest on."""

    rule: tuple[Rule, ...]
    papers: dict[str, str]

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        ids = [rule.id for rule in self.rule]
        if len(set(ids)) < len(ids):
            message = "two rules have the same id"
            raise ValueError(message)
        if set(self.papers) != {paper for rule in self.rule for paper in rule.source}:
            message = "the papers are not those that the rules name"
            raise ValueError(message)
        return self


@dataclass(frozen=True)
class Advised:
    """A rule that holds, and why."""

    rule: Rule
    evidence: tuple[Evidence, ...]


@functools.cache
def advice() -> Advice:
    """The rules that come with this release."""
    return Advice.model_validate(tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")))


def advised(results: AuditResults) -> tuple[Advised, ...]:
    """Every rule that holds for `results`, worst first."""
    found = [Advised(rule, evidence) for rule in advice().rule if (evidence := _evidence(rule, results))]
    acting = any(not (each.rule.remark or each.rule.alone) for each in found)
    return tuple(each for each in found if not (each.rule.alone and acting))


def following_from(check: str) -> tuple[Rule, ...]:
    """The rules that need a number, a label or a gate of this check."""
    return tuple(
        rule
        for rule in advice().rule
        if any(key.partition(".")[0] == check for condition in rule.when for key in condition.keys)
    )


def _evidence(rule: Rule, results: AuditResults) -> tuple[Evidence, ...]:
    """What makes a rule hold; nothing where it does not."""
    wanted = [condition.evidence(results) for condition in rule.when]
    if not all(wanted) or any(condition.evidence(results) for condition in rule.unless):
        return ()
    return tuple(piece for evidence in wanted for piece in evidence)
