"""Every demand of a policy held against what was measured, or why there is nothing to hold it against."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from landscape_audit.comparison.changes import change_in_words
from landscape_audit.comparison.comparison import SHARE
from landscape_audit.confidence import Judging, as_judged, is_known, judging
from landscape_audit.errors import PolicyError
from landscape_audit.estimate import Estimate, Label
from landscape_audit.gates.demand import (
    Ruling,
    changed,
    in_words,
    no_worse,
    on_label,
    on_number,
    why_incomparable,
)
from landscape_audit.gates.kinds import refuse_wrong_kind
from landscape_audit.ids import declared
from landscape_audit.intervals import with_interval
from landscape_audit.policy import Gate, Policy, Requirement, Waiver
from landscape_audit.results import AuditResults, DataInfo, Failed, NotApplicable, Outcome
from landscape_audit.text import did_you_mean, number, percent


@dataclass(frozen=True)
class Ruled:
    """One demand and what it was held against. A gate may make two: a limit, and no worse than the baseline."""

    key: str
    gate: Gate
    demand: str
    ruling: Ruling
    estimate: Estimate | None = None
    label: Label | None = None
    floor: float | None = None
    ceiling: float | None = None
    how: Judging | None = None


def rulings(results: AuditResults, policy: Policy) -> Iterator[Ruled]:
    """What the policy requires of the audit, then its gates in their order; those of level off are left out."""
    yield from _required(results.data, policy.require)
    yield from _gates(results, policy)


def refuse_sample(data: DataInfo, policy: Policy) -> None:
    """A `PolicyError` where the policy requires another sample: no audit of this one could pass, so none is paid for.

    Not where a waiver names the requirement: whether that holds is judged with everything else.
    """
    waived = {waiver.gate for waiver in policy.waivers if isinstance(waiver, Waiver)}
    for unmet in _required(data, policy.require):
        if unmet.ruling.status == "fail" and unmet.key not in waived:
            raise PolicyError(
                f"{unmet.key}: the policy requires {unmet.demand}; found: {unmet.ruling.found}.",
                remedy="Audit such a sample ([data] in audit.toml, --data, --n-samples), or change [require].",
            )


def _gates(results: AuditResults, policy: Policy) -> Iterator[Ruled]:
    for key, gate in policy.gates.items():
        if gate.level == "off":
            continue
        estimate, label = results.estimates().get(key), results.labels().get(key)
        if label is not None:
            refuse_wrong_kind(key, gate, label.direction, (label.value,))
            yield Ruled(key, gate, in_words(gate, key), on_label(gate, key, label), label=label)
        elif estimate is not None:
            refuse_wrong_kind(key, gate, estimate.direction, None)
            yield from _on_estimate(results, policy, key, gate, estimate)
        else:
            yield Ruled(key, gate, in_words(gate, key), _unmeasured(results, policy, key, gate))


def _on_estimate(results: AuditResults, policy: Policy, key: str, gate: Gate, estimate: Estimate) -> Iterator[Ruled]:
    grows = next(check.grows for check in results.checks if check.id == key.partition(".")[0])
    how = judging(policy, gate, estimate, grows, bought=results.protocol.looks > 1)
    judged = as_judged(estimate, how)
    if gate.has_limits:
        ruling = on_number(gate, judged)
        if gate.floor is not None or gate.ceiling is not None:
            ruling = _with_confidence(ruling, estimate, how, judged)
        yield Ruled(key, gate, in_words(gate, key), ruling, judged, floor=gate.floor, ceiling=gate.ceiling, how=how)
    if gate.no_worse_than_baseline is not None:
        ruled = _on_baseline(results, key, gate, estimate, how)
        yield replace(ruled, ruling=_with_confidence(ruled.ruling, estimate, how, ruled.estimate or judged), how=how)


def _with_confidence(ruling: Ruling, estimate: Estimate, how: Judging, held: Estimate) -> Ruling:
    """The ruling on `held`, saying at which confidence it is where that is not the audit's own."""
    if how.confidence is None or not estimate.parts or ruling.status == "incomparable":
        return ruling
    sure = percent(how.confidence, 6)
    if not is_known(estimate, how) and None in {held.low, held.high}:  # pieces give a change at any confidence
        level = f"[protocol] level = {number(how.confidence, 6)}"
        reason = f"The audit has no interval at {sure}: measure with this policy, or with  {level}"
        return replace(ruling, reason=reason) if ruling.status == "undecided" else ruling
    if how.looks > 1:
        return replace(
            ruling, reason=f"{ruling.reason} At {sure} over up to {how.looks} looks, so wider than elsewhere."
        )
    return ruling if how.confidence == estimate.level else replace(ruling, reason=f"{ruling.reason} At {sure}.")


def _on_baseline(results: AuditResults, key: str, gate: Gate, estimate: Estimate, how: Judging) -> Ruled:
    """How much worse it may be is the limit; how much worse it is, with its interval, is held against that."""
    demand, limit = no_worse(gate, estimate.direction)
    gate, found = gate.model_copy(update={"why": gate.why_no_worse}), with_interval(estimate)
    obstacle = why_incomparable(results.baseline, key)
    if obstacle or results.baseline is None:
        return Ruled(key, gate, demand, Ruling("incomparable", found, obstacle, math.inf), estimate)
    change = changed(gate, results.baseline, key, estimate, how)
    ruling = on_number(limit, change if estimate.value is not None else estimate)
    if change.value is None and estimate.value is not None:
        what = "zero" if results.baseline.estimates[key].value == 0 else "no finite number"
        ruling = Ruling("undecided", found, f"The baseline is {what}: how much worse this is cannot be told.", math.inf)
    elif change.unit == SHARE and _may_be_zero(as_judged(results.baseline.estimates[key], how)):
        why = "By its interval the baseline may be zero, so shares of it are unbounded: allow an absolute change."
        ruling = replace(ruling, reason=why) if ruling.status == "undecided" else ruling
    told = replace(ruling, found=f"{change_in_words(change)}: {found}")
    return Ruled(key, gate, demand, told, change, floor=limit.floor, ceiling=limit.ceiling)


def _may_be_zero(there: Estimate) -> bool:
    return there.low is None or there.high is None or there.low <= 0 <= there.high


def _required(data: DataInfo, require: Requirement) -> Iterator[Ruled]:
    """What the audit must rest on, as gates of their own."""
    why = "The policy requires it of every audit."
    if require.n_samples is not None:
        demand, enough = f"at least {require.n_samples} examples", data.n_samples >= require.n_samples
        ruling = _plain(str(data.n_samples), "The audit rests on {} examples.", met=enough)
        yield Ruled("require.n_samples", Gate(at_least=float(require.n_samples), why=why), demand, ruling)
    if require.data is not None:
        demand, same = f"the sample {require.data}", data.fingerprint == require.data
        ruling = _plain(data.fingerprint, "The audit rests on the sample {}.", met=same)
        yield Ruled("require.data", Gate(one_of=(require.data,), why=why), demand, ruling)


def _plain(found: str, told: str, *, met: bool) -> Ruling:
    return Ruling("pass" if met else "fail", found, told.format(found), -math.inf if met else math.inf)


def _unmeasured(results: AuditResults, policy: Policy, key: str, gate: Gate) -> Ruling:
    """For a gate on a check that broke, was not reached or does not apply; an error where it can never match."""
    name = key.partition(".")[0]
    outcome = next((check.outcome for check in results.checks if check.id == name), None)
    if isinstance(outcome, Failed):
        return Ruling("undecided", "nothing", f"The check {name} failed: {outcome.error}.", math.inf)
    if name in results.unreached:
        return Ruling("undecided", "nothing", f"The audit is partial: {name} was not reached.", math.inf)
    optional = 'Remove the gate, or set its level to "off".'
    if absent := _why_absent(outcome, key):
        if (gate.on_not_applicable or policy.on_not_applicable) != "error":
            return Ruling("not_applicable", "nothing", f"Not applicable here: {absent}", math.inf)
        raise PolicyError(f"gate '{key}': {absent}", remedy=f'{optional} Or on_not_applicable = "pass".')
    if name in results.skipped:
        raise PolicyError(f"gate '{key}': the check {name} was left out of this audit.", remedy=f"Run it. {optional}")
    known = [*results.estimates(), *results.labels()]
    raise PolicyError(f"gate '{key}': this audit has nothing of that name.", remedy=did_you_mean(key, known))


def _why_absent(outcome: Outcome | None, key: str) -> str:
    """Why this model has no such number; nothing where no audit has."""
    if isinstance(outcome, NotApplicable):
        return f"the check {key.partition('.')[0]} does not apply here: {outcome.reason}"
    what = declared(key)
    if outcome is None or what is None:
        return ""
    return f"this audit has no such number; it needs {what.needs}." if what.needs else "this audit has no such number."
