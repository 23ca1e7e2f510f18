"""A policy held against an audit: gates, their order, the verdict and the exit code. Pure; no clock, no files.

Numbers are compared as they were measured; only sentences round.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from pathlib import Path

from landscape_audit.errors import CheckpointError
from landscape_audit.gates.rulings import Ruled, rulings
from landscape_audit.gates.waiving import refuse_strays, waiver_of
from landscape_audit.ids import name_of
from landscape_audit.policy import Consequence, EffectivePolicy, Gate, Policy
from landscape_audit.results import AuditResults, Failed, GateResult, GateStatus, Verdict, Word
from landscape_audit.seal import unsealed
from landscape_audit.text import count, printable

EXIT_CODES: dict[Word, int] = {"PASS": 0, "OBSERVED": 0, "FAIL": 1, "UNDECIDED": 3, "ERROR": 5}
UNJUDGED = Verdict(word="OBSERVED", sentence="Measured; no policy was applied.", exit_code=0)


def judged(results: AuditResults, policy: Policy, today: dt.date) -> AuditResults:
    """`results` with the gates of `policy` held against them, worst first, and the verdict that follows.

    A gate that matches nothing is a `PolicyError`, never a pass. Gates of level off are not judged and not listed;
    the policy that is stored beside the verdict still has them.
    """
    results = unsealed(results)
    refuse_strays(policy)
    in_force = EffectivePolicy.of(policy)
    found = [(_gate_result(results, in_force, each, today), each.ruling.excess) for each in rulings(results, policy)]
    worst_first = sorted(found, key=lambda each: (*_rank(each[0]), -each[1], each[0].key))
    gates = tuple(gate for gate, _ in worst_first)
    return results.model_copy(update={"policy": in_force, "gates": gates, "verdict": _verdict(results, gates)})


def day_of(results: AuditResults) -> dt.date:
    """The day on which an audit was finished, by which its waivers are judged."""
    return results.finished().astimezone(dt.UTC).date()


def last_line(results: AuditResults, report: Path | None, code: int) -> str:
    """`landscape-audit: FAIL  3 passed, 1 failed, 1 undecided  (exit 1)  report: out/report.html`.

    `code` is the one that the process ends with: the verdict's, or that of a signal. The first three counts are
    always there; warned, waived, ignored and crashed only where there are any.
    """
    verdict = results.verdict
    counts = [f"{getattr(verdict, name)} {name}" for name in ("passed", "failed", "undecided")]
    rare = ("warned", "waived", "ignored", "crashed")
    counts += [f"{number} {name}" for name in rare if (number := getattr(verdict, name))]
    line = f"landscape-audit: {verdict.word}  {', '.join(counts)}  (exit {code})"
    return f"{line}  report: {printable(report)}" if report else line


# -------------------------------------------------------------------------------------------------------------- gates


def _gate_result(results: AuditResults, policy: EffectivePolicy, ruled: Ruled, today: dt.date) -> GateResult:
    ruling, waiver, remark = ruled.ruling, None, ""
    if ruling.status != "pass":
        waiver, remark = waiver_of(results, policy, ruled.key, today)
    return GateResult(
        key=ruled.key,
        level=ruled.gate.level,
        status=ruling.status,
        demand=ruled.demand,
        found=ruling.found,
        reason=f"{ruling.reason} {remark}".rstrip(),
        why=ruled.gate.why,
        limit_low=ruled.floor,
        limit_high=ruled.ceiling,
        estimate=ruled.estimate,
        label=ruled.label,
        waiver=waiver,
        consequence="pass" if waiver else _consequence(policy, ruled.gate, ruling.status),
        origin=policy.origins.get(ruled.key),
        confidence=ruled.how.confidence if ruled.how and ruled.estimate and ruled.estimate.parts else None,
        looks=ruled.how.looks if ruled.how else 1,
    )


def _consequence(policy: Policy, gate: Gate, status: GateStatus) -> Consequence:
    """What follows from a status: what the gate says, else what the policy says; at level warn never more than that."""
    said: dict[GateStatus, Consequence] = {
        "pass": "pass",
        "fail": "error",
        "undecided": gate.on_undecided or policy.on_undecided,
        "incomparable": gate.on_missing_baseline or policy.on_missing_baseline,
        "not_applicable": gate.on_not_applicable or policy.on_not_applicable,
    }
    return "warn" if gate.level == "warn" and said[status] == "error" else said[status]


def _rank(gate: GateResult) -> tuple[int, int]:
    """Where a gate stands, failed first and passed last; of those alike first what the policy minds most."""
    kinds = ("failed", "undecided", "waived", "warned", "ignored", "passed")
    return kinds.index(_counted_as(gate)), ("error", "warn", "pass").index(gate.consequence)


def _counted_as(gate: GateResult) -> str:
    if gate.status == "pass":
        return "passed"
    if gate.waiver is not None:
        return "waived"
    if gate.level == "warn":
        return "warned"
    if gate.status in {"incomparable", "not_applicable"} and gate.consequence != "error":
        return "warned" if gate.consequence == "warn" else "ignored"
    return "failed" if gate.status == "fail" else "undecided"


# ------------------------------------------------------------------------------------------------------------ verdict


def _verdict(results: AuditResults, gates: tuple[GateResult, ...]) -> Verdict:
    counts = Counter(_counted_as(gate) for gate in gates)
    word = _word(results, gates, counts)
    return Verdict(
        word=word,
        sentence=_sentence(results, gates, counts),
        exit_code=_exit_code(results, gates, word),
        passed=counts["passed"],
        failed=counts["failed"],
        undecided=counts["undecided"],
        warned=counts["warned"],
        waived=counts["waived"],
        ignored=counts["ignored"],
        crashed=sum(isinstance(check.outcome, Failed) for check in results.checks),
    )


def _word(results: AuditResults, gates: tuple[GateResult, ...], counts: Counter[str]) -> Word:
    """What failed for certain, then what is missing, then what is not settled unless that is let pass."""
    unsettled = any(_counted_as(gate) == "undecided" and gate.consequence != "pass" for gate in gates)
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


def _exit_code(results: AuditResults, gates: tuple[GateResult, ...], word: Word) -> int:
    """The word's own, but for two.

    UNDECIDED: 0 where the policy only warns, or where no gate could have failed. ERROR: that of an unusable checkpoint
    where the audit is whole, and what it is of was replaced.
    """
    if word == "ERROR" and not _is_broken(results):
        return CheckpointError.exit_code
    if word != "UNDECIDED":
        return EXIT_CODES[word]
    minded = any(_counted_as(gate) == "undecided" and gate.consequence == "error" for gate in gates)
    distrusted = not results.instrument.agrees and any(gate.level == "error" for gate in gates)
    return EXIT_CODES[word] if minded or distrusted else 0


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
    about = f"{name[0].upper()}{name[1:]} {_verb(worst)} {worst.found}; demanded: {worst.demand}."
    if worst.found == "nothing" or worst.status == "incomparable":
        about = f"{name[0].upper()}{name[1:]}: {worst.reason}"
    others = counts[_counted_as(worst)] - 1
    if _counted_as(worst) == "passed":
        return f"{about} {count(others, 'other gate')} passed with more room." if others else about
    if counts["passed"] and (let_be := _let_be(worst)):
        about = f"{count(counts['passed'], 'gate')} passed. {let_be}: {about[0].lower()}{about[1:]}"
    alike = {"warned": "only warned of"}.get(_counted_as(worst), _counted_as(worst))
    return f"{about} {count(others, 'more gate')} {alike}." if others else about


def _verb(gate: GateResult) -> str:
    """What was found first is a change, not the number, where it is the baseline that a number is held against."""
    changed = gate.estimate is not None and gate.demand.endswith(" the baseline") and not gate.found.startswith("no ")
    return "changed by" if changed else "is"


def _let_be(worst: GateResult) -> str:
    """How the policy takes the worst gate where it could not fail the audit; nothing where it could."""
    if _counted_as(worst) == "warned":
        return "Only a warning"
    left_open = _counted_as(worst) == "undecided" and worst.consequence == "pass"
    return "Left open, as the policy allows" if left_open else ""
