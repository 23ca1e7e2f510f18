"""The policy in force as a reader sees it: where it comes from, what it demands and why, and every waiver."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from landscape_audit.gates.demand import demanded
from landscape_audit.ids import declared
from landscape_audit.policy import EffectivePolicy, Gate, MalformedWaiver, Waiver
from landscape_audit.report.tables import TableView, capped
from landscape_audit.results import AuditResults
from landscape_audit.text import number, percent, printable

_FOLLOWS = (("on_undecided", "undecided"), ("on_missing_baseline", "no baseline"), ("on_not_applicable", "not here"))


@dataclass(frozen=True)
class PolicyView:
    """What holds for all gates, each gate, and each waiver."""

    settings: tuple[tuple[str, str], ...]
    gates: TableView
    waivers: TableView


def policy_of(results: AuditResults) -> PolicyView:
    """The policy that the verdict is of."""
    policy = results.policy
    waivers = [list(_waiver(results, each)) for each in policy.waivers]
    return PolicyView(
        settings=settings_of(policy),
        gates=gates_of(policy),
        waivers=capped(
            "Waivers",
            "",
            ["Gate", "What it does", "Reason", "Approver", "Last day"],
            waivers,
            numeric=[False] * 5,
        ),
    )


def settings_of(policy: EffectivePolicy) -> tuple[tuple[str, str], ...]:
    """What holds wherever a gate says nothing else."""
    sure = "that of the audit" if policy.confidence is None else percent(policy.confidence, 6)
    needs = [] if policy.require.n_samples is None else [f"{policy.require.n_samples} examples"]
    needs += [] if policy.require.data is None else [f"the sample {policy.require.data}"]
    return (
        ("Made of", printable(" under ".join(policy.sources) or "nothing: everything is observed", 600)),
        ("Where a gate is undecided", policy.on_undecided),
        ("Where there is no baseline", policy.on_missing_baseline),
        ("Where the model has no such number", policy.on_not_applicable),
        ("Confidence", sure),
        ("Undecided gates may spend", f"{number(policy.max_extra_budget, 6)} gradients"),
        *((("Requires", " and ".join(needs)),) if needs else ()),
    )


def gates_of(policy: EffectivePolicy) -> TableView:
    """Every gate in the policy's order, those of level off too."""
    heads = ["Gate", "Demanded", "Level", "Other than above", "Why", "Written"]
    rows = [[printable(key), *_gate(policy, key, gate)] for key, gate in policy.gates.items()]
    return capped("Gates", "", heads, rows, numeric=[False] * len(heads))


def _gate(policy: EffectivePolicy, key: str, gate: Gate) -> Iterator[str]:
    what, origin = declared(key), policy.origins.get(key)
    yield printable(demanded(gate, key, what.direction if what else "lower"), 600)
    yield gate.level
    own = [f"{word}: {said}" for name, word in _FOLLOWS if (said := getattr(gate, name))]
    own += [] if gate.confidence is None else [f"at {percent(gate.confidence, 6)}"]
    yield ", ".join(own) or "—"
    yield printable("; against the baseline: ".join(dict.fromkeys((gate.why, gate.why_no_worse))), 600)
    yield printable(f"{origin.file}:{origin.line}") if origin else "built in"


def _waiver(results: AuditResults, waiver: Waiver | MalformedWaiver) -> Iterator[str]:
    yield printable(waiver.gate)
    yield printable(_effect(results, waiver), 600)
    if isinstance(waiver, Waiver):
        yield from (printable(waiver.reason, 600), printable(waiver.approver), waiver.expires.isoformat())
    else:
        yield from ("—", "—", "—")


def _effect(results: AuditResults, waiver: Waiver | MalformedWaiver) -> str:
    """Read off the gates as they were judged: what day that was is not in the results."""
    if isinstance(waiver, MalformedWaiver):
        return f"malformed, and lets nothing through: {waiver.problem}"
    if waiver.checkpoint_sha256 not in {file.sha256 for file in results.subject.files}:
        return "is for another checkpoint"
    held = [gate for gate in results.gates if gate.key == waiver.gate and gate.status != "pass"]
    if not held:
        return "not needed: its gate passed or was not judged"
    mine = (waiver.reason, waiver.approver, waiver.expires.isoformat())
    used = [gate.waiver for gate in held if gate.waiver]
    if any((each.reason, each.approver, each.expires) == mine for each in used):
        return "lets its gate through"
    return "another waiver lets its gate through" if used else "had expired"
