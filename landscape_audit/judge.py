"""A policy held against an audit: gates, their order, the verdict and the exit code. Pure; no clock, no files.

Numbers are compared as they were measured; only sentences round.
"""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import Path

from landscape_audit.demand import Ruling, in_words, on_label, on_number
from landscape_audit.errors import CheckpointError, PolicyError
from landscape_audit.names import name_of
from landscape_audit.policy import Gate, Policy, Waiver
from landscape_audit.results import (
    AuditResults,
    Failed,
    GateResult,
    NotApplicable,
    Verdict,
    WaiverRecord,
    Word,
)
from landscape_audit.text import count, did_you_mean, printable

EXIT_CODES: dict[Word, int] = {"PASS": 0, "OBSERVED": 0, "FAIL": 1, "UNDECIDED": 3, "ERROR": 5}


def judged(results: AuditResults, policy: Policy, today: dt.date) -> AuditResults:
    """`results` with the gates of `policy` held against them, worst first, and the verdict that follows.

    A gate that matches nothing is a `PolicyError`, never a pass. Gates of level off are not judged and not listed;
    the policy that is stored beside the verdict still has them.
    """
    _names_its_gates(policy)
    rulings = {key: (gate, _ruling(results, key, gate)) for key, gate in policy.gates.items() if gate.level != "off"}
    worst_first = sorted(
        ((_gate_result(results, policy, key, *found, today), found[1].excess) for key, found in rulings.items()),
        key=lambda judged_gate: (_rank(judged_gate[0]), -judged_gate[1], judged_gate[0].key),
    )
    gates = tuple(gate for gate, _ in worst_first)
    return results.model_copy(update={"policy": policy, "gates": gates, "verdict": _verdict(results, policy, gates)})


def expect(policy: Policy, checks: Iterable[str], off: Collection[str] = ()) -> None:
    """Before anything is measured: a gate or waiver that could never match is a `PolicyError` now, not hours later.

    `checks` are those that will run, `off` those that would have to be enabled. What a check calls its numbers is
    known only once it has measured.
    """
    _names_its_gates(policy)
    known = sorted(checks)
    for key, gate in policy.gates.items():
        name = key.partition(".")[0]
        if gate.level != "off" and name not in known:
            wanted = f"[checks.{name}] enabled = true" if name in off else did_you_mean(name, known)
            raise PolicyError(
                f"gate '{key}': no check '{name}' will run.",
                remedy=f'{wanted} Or set level = "off".',
            )


def last_line(results: AuditResults, report: Path | None, code: int) -> str:
    """`landscape-audit: FAIL  3 passed, 1 failed, 1 undecided  (exit 1)  report: out/report.html`.

    `code` is the one that the process ends with: the verdict's, or that of a signal. The first three counts are
    always there; warned, waived and crashed only where there are any.
    """
    verdict = results.verdict
    counts = [f"{getattr(verdict, name)} {name}" for name in ("passed", "failed", "undecided")]
    counts += [f"{number} {name}" for name in ("warned", "waived", "crashed") if (number := getattr(verdict, name))]
    line = f"landscape-audit: {verdict.word}  {', '.join(counts)}  (exit {code})"
    return f"{line}  report: {printable(report)}" if report else line


# -------------------------------------------------------------------------------------------------------------- gates


def _ruling(results: AuditResults, key: str, gate: Gate) -> Ruling:
    estimate, label = results.estimates().get(key), results.labels().get(key)
    if estimate is not None:
        if gate.one_of is not None:
            raise PolicyError(f"gate '{key}': it is a number; one_of is for labels.", remedy="Use at_most or at_least.")
        return on_number(gate, estimate)
    if label is not None:
        if gate.one_of is None:
            raise PolicyError(
                f"gate '{key}': it is a label, '{label.value}'; at_most and at_least are for numbers.",
                remedy=f'Use one_of = ["{label.value}", …].',
            )
        return on_label(gate, label)
    return Ruling("undecided", found="nothing", reason=_why_unmeasured(results, key), excess=math.inf)


def _why_unmeasured(results: AuditResults, key: str) -> str:
    """The sentence for a gate on a check that broke or was not reached; an error for a gate that can never match."""
    name = key.partition(".")[0]
    outcome = next((check.outcome for check in results.checks if check.id == name), None)
    if isinstance(outcome, Failed):
        return f"The check {name} failed: {outcome.error}."
    if name in results.unreached:
        return f"The audit is partial: {name} was not reached."
    optional = 'Remove the gate, or set its level to "off".'
    if isinstance(outcome, NotApplicable):
        raise PolicyError(f"gate '{key}': the check {name} does not apply here: {outcome.reason}", remedy=optional)
    if name in results.skipped:
        raise PolicyError(f"gate '{key}': the check {name} was left out of this audit.", remedy=f"Run it. {optional}")
    known = [*results.estimates(), *results.labels()]
    raise PolicyError(f"gate '{key}': this audit has nothing of that name.", remedy=did_you_mean(key, known))


def _gate_result(
    results: AuditResults, policy: Policy, key: str, gate: Gate, ruling: Ruling, today: dt.date
) -> GateResult:
    waiver, remark = None, ""
    if ruling.status != "pass":
        waiver, remark = _waiver(results, policy, key, today)
    return GateResult(
        key=key,
        level=gate.level,
        status=ruling.status,
        demand=in_words(gate),
        found=ruling.found,
        reason=f"{ruling.reason} {remark}".rstrip(),
        why=gate.why,
        limit_low=gate.at_least,
        limit_high=gate.at_most,
        estimate=results.estimates().get(key),
        label=results.labels().get(key),
        waiver=waiver,
    )


def _rank(gate: GateResult) -> int:
    """Where a gate stands: failed, undecided, waived, warned, passed."""
    kinds = ("failed", "undecided", "waived", "warned", "passed")
    return kinds.index(_counted_as(gate))


def _counted_as(gate: GateResult) -> str:
    if gate.status == "pass":
        return "passed"
    if gate.waiver is not None:
        return "waived"
    if gate.level == "warn":
        return "warned"
    return "failed" if gate.status == "fail" else "undecided"


# ------------------------------------------------------------------------------------------------------------ waivers


def _names_its_gates(policy: Policy) -> None:
    for waiver in policy.waivers:
        if waiver.gate not in policy.gates:
            raise PolicyError(
                f"waiver of '{waiver.gate}': the policy has no such gate.",
                remedy=did_you_mean(waiver.gate, policy.gates),
            )


def _waiver(results: AuditResults, policy: Policy, key: str, today: dt.date) -> tuple[WaiverRecord | None, str]:
    """The waiver that holds for this gate, checkpoint and day; or why the ones there are do not."""
    remarks = []
    for waiver in sorted((waiver for waiver in policy.waivers if waiver.gate == key), key=lambda each: each.expires):
        if obstacle := _obstacle(results, waiver, today):
            remarks.append(obstacle)
        else:
            return WaiverRecord(
                reason=waiver.reason, approver=waiver.approver, expires=waiver.expires.isoformat()
            ), f"Waived by {waiver.approver} until {waiver.expires}: {waiver.reason}"
    return None, " ".join(remarks)


def _obstacle(results: AuditResults, waiver: Waiver, today: dt.date) -> str:
    if waiver.checkpoint_sha256 not in {file.sha256 for file in results.subject.files}:
        return "A waiver of it is for another checkpoint."
    return f"Its waiver expired on {waiver.expires}." if today > waiver.expires else ""


# ------------------------------------------------------------------------------------------------------------ verdict


def _verdict(results: AuditResults, policy: Policy, gates: tuple[GateResult, ...]) -> Verdict:
    counts = Counter(_counted_as(gate) for gate in gates)
    word = _word(results, policy, gates, counts)
    return Verdict(
        word=word,
        sentence=_sentence(results, gates, counts),
        exit_code=_exit_code(results, policy, gates, word),
        passed=counts["passed"],
        failed=counts["failed"],
        undecided=counts["undecided"],
        warned=counts["warned"],
        waived=counts["waived"],
        crashed=sum(isinstance(check.outcome, Failed) for check in results.checks),
    )


def _word(results: AuditResults, policy: Policy, gates: tuple[GateResult, ...], counts: Counter[str]) -> Word:
    """What failed for certain, then what is missing, then what is not settled unless that is let pass."""
    unsettled = counts["undecided"] > 0 and policy.on_undecided != "pass"
    if counts["failed"]:
        return "FAIL"
    if _is_broken(results) or results.subject.replaced:
        return "ERROR"
    if not gates:
        return "OBSERVED"
    return "UNDECIDED" if unsettled or not results.instrument.agrees else "PASS"


def _is_broken(results: AuditResults) -> bool:
    crashed = any(isinstance(check.outcome, Failed) for check in results.checks)
    return crashed or (results.partial is not None and not results.run.out_of_time)


def _exit_code(results: AuditResults, policy: Policy, gates: tuple[GateResult, ...], word: Word) -> int:
    """The word's own, but for two.

    UNDECIDED: 0 where the policy only warns, or where no gate could have failed. ERROR: that of an unusable checkpoint
    where the audit is whole, and what it is of was replaced.
    """
    if word == "ERROR" and not _is_broken(results):
        return CheckpointError.exit_code
    if word != "UNDECIDED":
        return EXIT_CODES[word]
    demanding = any(gate.level == "error" for gate in gates)
    tolerated = results.instrument.agrees and policy.on_undecided == "warn"
    return EXIT_CODES[word] if demanding and not tolerated else 0


def _sentence(results: AuditResults, gates: tuple[GateResult, ...], counts: Counter[str]) -> str:
    parts = [_about_gates(results, gates, counts)]
    if results.subject.replaced:
        parts.insert(0, f"What was audited lies there no more: {'; '.join(results.subject.replaced)}.")
    if results.partial is not None:
        parts.append(f"The audit is not whole: {results.partial}.")
    if not results.instrument.agrees:
        parts.append(f"The instrument disagrees with itself: {'; '.join(results.instrument.disagreements)}.")
    return " ".join(parts)


def _about_gates(results: AuditResults, gates: tuple[GateResult, ...], counts: Counter[str]) -> str:
    if not gates:
        return "Nothing was demanded: no gates."
    worst = gates[0]
    name = name_of(worst.key, results.data.metric)
    about = f"{name[0].upper()}{name[1:]} is {worst.found}; demanded: {worst.demand}."
    if worst.estimate is None and worst.label is None:
        about = worst.reason
    others = counts[_counted_as(worst)] - 1
    alike = {"failed": "failed", "undecided": "undecided", "waived": "waived", "warned": "only warned of"}
    if _counted_as(worst) == "passed":
        return f"{about} {count(others, 'other gate')} passed with more room." if others else about
    if _counted_as(worst) == "warned" and counts["passed"]:
        about = f"{count(counts['passed'], 'gate')} passed. Only a warning: {about[0].lower()}{about[1:]}"
    return f"{about} {count(others, 'more gate')} {alike[_counted_as(worst)]}." if others else about
