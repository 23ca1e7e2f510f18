"""A gate that its interval leaves open may cost more: twice at most, the budgets that would narrow it grow."""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from landscape_audit.checks import Check
from landscape_audit.confidence import LOOKS
from landscape_audit.estimate import Label
from landscape_audit.gates.undecided import MOST, Found, wanted
from landscape_audit.policy import Policy
from landscape_audit.probes.bench import Bench
from landscape_audit.probes.probe import Growth, Probe, ProbeFailedError, with_needs
from landscape_audit.results import Baseline, Cost


@dataclass(frozen=True)
class _Open:
    """An undecided gate, the probe that could settle it, and how many times its draws should do that."""

    key: str
    probe: Probe[Any]
    growth: Growth
    needed: float


def settle(
    bench: Bench,
    checks: Sequence[Check],
    policy: Policy,
    outcomes: Callable[[], dict[str, Found]],
    baseline: Baseline | None = None,
) -> bool:
    """Spend up to `max_extra_budget` gradients on gates that are undecided for want of products or draws.

    In two more looks at most, as each look takes its share of the error that a gate may make (`confidence.Judging`).
    What may be spent is half for the second look and the rest for the third, shared by the probes that the open gates
    rest on; a standard error falls with the root of the draws, which says how many should do. Counted, not timed, by
    what `Cost.in_gradients` says: a machine's load must decide no number. `outcomes` gives the estimates and the
    labels as they stand, `baseline` what gates hold them against. True where something was measured again, and told on
    the bench.
    """
    before, first = _spent(bench), bench.budgets
    grown: dict[str, str] = {}
    for look in range(2, LOOKS + 1):
        left = policy.max_extra_budget - (_spent(bench) - before)
        if left <= 0 or bench.out_of_time():
            break
        bought = _buy(bench, _open_gates(checks, policy, outcomes(), baseline), left / (LOOKS + 1 - look), left)
        if not bought:
            break
        grown = bought | grown
        bench.looks = look
    if grown:
        grew = ", ".join(
            f"{name} from {getattr(first, name)}, for the gate on {key}, to {getattr(bench.budgets, name)}"
            for name, key in grown.items()
        )
        spent = _spent(bench) - before
        bench.note(
            f"Spent {spent:.0f} gradients more on undecided gates, in {bench.looks} looks: {grew}. Gates are judged "
            "with the error split over the looks; the intervals beside them are those of one look."
        )
    return bool(grown)


def _buy(bench: Bench, gates: Sequence[_Open], share: float, left: float) -> dict[str, str]:
    """Grow every probe once, within this look's share; where that buys nothing, within all that is left.

    Gives the budgets that grew, each with the gate that it grew for.
    """
    for purse in (share, left):
        before, bought = _spent(bench), {}
        for index, gate in enumerate(gates):
            size = _affordable(bench, gate, (purse - (_spent(bench) - before)) / (len(gates) - index))
            if size is None or bench.out_of_time():
                continue
            bench.budgets = bench.grown(gate.growth, size)
            bought[gate.growth.budget] = gate.key
            try:
                bench.retake(gate.probe)
            except ProbeFailedError:
                return bought
        if bought:
            return bought
    return {}


def _affordable(bench: Bench, gate: _Open, purse: float) -> int | None:
    """The budget that should do, or as much of it as can be paid for; None where that is no more than there is."""
    start = getattr(bench.budgets, gate.growth.budget)
    wanted = range(start + 1, math.ceil(start * min(gate.needed, MOST)) + 1)
    paid = bisect.bisect_right(wanted, purse, key=lambda size: _price(bench, gate, size).in_gradients())
    return wanted[paid - 1] if paid else None


def _open_gates(
    checks: Sequence[Check], policy: Policy, found: dict[str, Found], baseline: Baseline | None
) -> list[_Open]:
    """Undecided gates that would be decided without the parts that can be bought; each probe once, at its largest."""
    opened: dict[str, _Open] = {}
    for key, gate in policy.gates.items():
        judged = found.get(key)
        if judged is None or gate.level == "off":
            continue
        check = next(check for check in checks if check.id == key.partition(".")[0])
        kinds = wanted(policy, key, judged, check.grows, baseline)
        # A label rests on many probes: the last to grow is the one that was made for it.
        for probe in with_needs(check.probes)[::-1] if isinstance(judged, Label) else check.probes:
            growth: Growth | None = getattr(probe, "GROWTH", None)
            if growth is not None and growth.kind in kinds:
                each = _Open(key, probe, growth, kinds[growth.kind])
                opened[probe.name] = max(opened.get(probe.name, each), each, key=lambda one: one.needed)
                break
    return list(opened.values())


def _price(bench: Bench, gate: _Open, size: int) -> Cost:
    """What a larger budget costs at most: what the grown probe has not spent yet, and all that follows it again."""
    grown = replace(bench.size, budgets=bench.grown(gate.growth, size))
    # A probe that is planned at nothing, as it is rarely needed, says what it costs where it is.
    most, spent = getattr(gate.probe, "if_needed", gate.probe.cost)(grown), bench.ledgers[gate.probe.name].cost
    more = Cost(
        forwards=max(0.0, most.forwards - spent.forwards),
        gradients=max(0.0, most.gradients - spent.gradients),
        hvps=max(0.0, most.hvps - spent.hvps),
    )
    return sum((follower.cost(bench.size) for follower in bench.followers(gate.probe)), more)


def _spent(bench: Bench) -> float:
    return sum(ledger.cost.in_gradients() for ledger in bench.ledgers.values())
