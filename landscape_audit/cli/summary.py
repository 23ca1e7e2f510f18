"""A finished audit in a few lines of terminal: the verdict, the gates, the numbers people ask for first."""

from __future__ import annotations

from collections.abc import Iterator

from landscape_audit.cli.columns import WIDTH, folded
from landscape_audit.comparison.changes import changes
from landscape_audit.estimate import Label
from landscape_audit.ids import HEADLINES, word_of
from landscape_audit.intervals import with_interval
from landscape_audit.report.advice import advice_of
from landscape_audit.report.baseline import baseline_of
from landscape_audit.report.verdict import class_of_point
from landscape_audit.results import AuditResults, Failed, GateResult
from landscape_audit.text import printable


def summary(results: AuditResults) -> str:
    """The gates, the headline numbers with their intervals and the labels, then the place and the first advice."""
    estimates, metric = results.estimates(), printable(results.data.metric or "metric")
    called = {"loss.metric": f"loss.metric ({metric})"}
    rows = [(called.get(key, key), printable(with_interval(estimates[key]))) for key in HEADLINES if key in estimates]
    labels = ((key, label) for key, label in results.labels().items() if _tells(label))
    rows += [(printable(key), printable(word_of(key, label.value))) for key, label in labels]
    table = (f"  {key:30} {shown}" for key, shown in rows)
    told = (*_place(results), *_since(results), *_first_advice(results))
    return "\n".join(("", gate_table(results), *table, "", *told))


def _tells(label: Label) -> bool:
    return label.value != "none"


def _place(results: AuditResults) -> tuple[str, ...]:
    """Whether it is in a good place, in the words of the check; nothing where that was not asked."""
    return tuple(f"Where it sits: {value}. {reason}\n" for _, value, reason in class_of_point(results))


def _since(results: AuditResults) -> tuple[str, ...]:
    """What changed since the baseline for certain, a line each, and what cannot be compared."""
    view = baseline_of(results)
    if view is None:
        return ()
    certain = (each for each in changes(results, HEADLINES) if each.is_certain)
    lines = (f"  {each.key:30} {printable(each.shown)}: {each.word}" for each in certain)
    return ("\n".join((view.sentence, *(f"  {told}" for told in view.obstacles), *lines, "")),)


def _first_advice(results: AuditResults) -> tuple[str, ...]:
    """What the first piece of advice says, and the first thing to try; nothing where no rule holds."""
    return tuple(f"First advice: {each.say}\n  Try: {each.steps[0]}\n" for each in advice_of(results).first[:1])


def gate_table(results: AuditResults) -> str:
    """The verdict's sentence, then the gates, worst first, with the reason of each that did not pass.

    Every foreign word is made harmless.
    """
    sentence = printable(results.verdict.sentence, limit=2000)
    if not results.gates:
        return f"{sentence}\n"
    word = max(len(gate.shown_as) for gate in results.gates)
    key = max(len(printable(gate.key)) for gate in results.gates)
    lines = (line for gate in results.gates for line in _gate_lines(gate, word, key))
    return "\n".join((sentence, "", *lines, ""))


def failures(results: AuditResults) -> tuple[str, ...]:
    """Why each check failed that did, and what was replaced, a line each; told also where nothing else is."""
    replaced = (f"landscape-audit: {printable(told, limit=1000)}" for told in results.subject.replaced)
    return *replaced, *(
        f"landscape-audit: the check {printable(check.id)} failed: {printable(check.outcome.error, limit=1000)}"
        for check in results.checks
        if isinstance(check.outcome, Failed)
    )


def _gate_lines(gate: GateResult, word: int, key: int) -> Iterator[str]:
    """One line where that is enough, else what was found, what was demanded, and why the two do not go together."""
    margin = word + 4
    found = f"  {gate.shown_as:<{word}}  {printable(gate.key):<{key}}  {printable(gate.found)}"
    demanded = f"demanded: {printable(gate.demand, limit=600)}"
    both = f"{found}; {demanded}"
    told = [both] if len(both) <= WIDTH else [found, f"{' ' * margin}{demanded}"]
    if gate.status != "pass":
        told.append(f"{' ' * margin}{printable(gate.reason, limit=600)}")
    for each in told:
        yield from folded(each, margin + 2)
