"""A gate that its interval leaves open may cost more: the budgets that would narrow it grow until it is settled."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from landscape_audit.checks import Check
from landscape_audit.demand import on_label, on_number
from landscape_audit.policy import Gate, Policy
from landscape_audit.probes.bench import Bench
from landscape_audit.probes.probe import Growth, Probe, ProbeFailedError, with_needs
from landscape_audit.results import Cost, Estimate, IntervalKind, Label

GROWTH = 1.5
"""How much a budget grows at once: three rounds triple it."""
BOUGHT: tuple[IntervalKind, ...] = ("residual", "probe")
"""What more products or draws make narrower; more examples and more digits are not for sale here."""

Found = Estimate | Label
"""What a gate can be on."""


@dataclass(frozen=True)
class _Open:
    key: str
    probe: Probe[Any]
    growth: Growth


def settle(bench: Bench, checks: Sequence[Check], policy: Policy, outcomes: Callable[[], dict[str, Found]]) -> bool:
    """Spend up to `max_extra_budget` gradients on gates that are undecided for want of products or draws.

    Counted, not timed, by what `Cost.in_gradients` says: a machine's load must decide no number. `outcomes` gives the
    estimates and the labels as they stand. True where something was measured again, and told on the bench.
    """
    allowance, before = policy.max_extra_budget, _spent(bench)
    grown: dict[str, str] = {}
    while not bench.out_of_time():
        found = next(_open_gates(checks, policy, outcomes()), None)
        spent = _spent(bench) - before
        if found is None or spent + _price(bench, found).in_gradients() > allowance:
            break
        start = getattr(bench.budgets, found.growth.budget)
        bench.budgets = bench.grown(found.growth, GROWTH)
        grown.setdefault(found.growth.budget, f"{found.growth.budget} from {start}, for the gate on {found.key}")
        try:
            bench.retake(found.probe)
        except ProbeFailedError:
            break
    if grown:
        spent = _spent(bench) - before
        grew = ", ".join(f"{words}, to {getattr(bench.budgets, name)}" for name, words in grown.items())
        bench.note(f"Spent {spent:.0f} gradients more on undecided gates: {grew}.")
    return bool(grown)


def _open_gates(checks: Sequence[Check], policy: Policy, found: dict[str, Found]) -> Iterator[_Open]:
    """Undecided gates that would be decided without the parts that can be bought, and the probe that sells them."""
    for key, gate in policy.gates.items():
        judged = found.get(key)
        if judged is None or gate.level == "off":
            continue
        check = next(check for check in checks if check.id == key.partition(".")[0])
        kinds = _wanted_of_label(gate, judged) if isinstance(judged, Label) else _wanted(gate, judged)
        # A label rests on many probes: the last to grow is the one that was made for it.
        probes = reversed(with_needs(check.probes)) if isinstance(judged, Label) else check.probes
        for probe in probes:
            growth: Growth | None = getattr(probe, "GROWTH", None)
            if growth is not None and growth.kind in kinds:
                yield _Open(key, probe, growth)


def _wanted(gate: Gate, estimate: Estimate) -> set[IntervalKind]:
    bought = gate.one_of is None and _can_be_bought(gate, estimate)
    return {part.kind for part in estimate.parts} if bought else set()


def _wanted_of_label(gate: Gate, label: Label) -> set[IntervalKind]:
    """What an undecided label says would settle it, if that is for sale and the gate asks for a label."""
    asked = gate.one_of is not None and on_label(gate, label).status == "undecided"
    return {label.open} & set(BOUGHT) if asked and label.open else set()


def _can_be_bought(gate: Gate, estimate: Estimate) -> bool:
    if estimate.value is None or on_number(gate, estimate).status != "undecided":
        return False
    kept = tuple(part for part in estimate.parts if part.kind not in BOUGHT)
    rest = Estimate.within(estimate.value, kept, level=estimate.level)
    return len(kept) < len(estimate.parts) and on_number(gate, rest).status != "undecided"


def _price(bench: Bench, found: _Open) -> Cost:
    """What one more round costs at most: what the grown probe has not spent yet, and all that follows it again."""
    grown = replace(bench.size, budgets=bench.grown(found.growth, GROWTH))
    # A probe that is planned at nothing, as it is rarely needed, says what it costs where it is.
    most, spent = getattr(found.probe, "if_needed", found.probe.cost)(grown), bench.ledgers[found.probe.name].cost
    more = Cost(
        forwards=max(0.0, most.forwards - spent.forwards),
        gradients=max(0.0, most.gradients - spent.gradients),
        hvps=max(0.0, most.hvps - spent.hvps),
    )
    return sum((follower.cost(bench.size) for follower in bench.followers(found.probe)), more)


def _spent(bench: Bench) -> float:
    return sum(ledger.cost.in_gradients() for ledger in bench.ledgers.values())
