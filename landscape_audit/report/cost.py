"""What the audit was going to cost and what it did cost, in one unit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain

from landscape_audit.report.tables import TableView, capped
from landscape_audit.results import AuditResults, Cost, RunInfo
from landscape_audit.text import count, number, printable

PASSES = ("forwards", "gradients", "hvps")


@dataclass(frozen=True)
class CostView:
    """Plan against actual: one sentence for the whole, one row a measurement."""

    sentence: str
    price: str
    table: TableView


def cost_of(results: AuditResults) -> CostView:
    """What was planned and what was spent, by measurement and together."""
    probes, run = results.protocol.probes, results.run
    planned = sum((probe.planned for probe in probes), Cost())
    spent = results.protocol.cost
    rows = [
        _row(printable(probe.name).replace("_", " "), probe.planned, probe.cost, run.probe_seconds.get(probe.name), run)
        for probe in probes
        if probe.planned != Cost() or probe.cost != Cost()
    ]
    known = [run.probe_seconds[probe.name] for probe in probes if probe.name in run.probe_seconds]
    total = _row("Together", planned, spent, sum(known) if known else None, run)
    heads = ["Measurement", *["Planned", "Spent"] * 4, "Seconds"]
    groups = (("", 1), ("Forwards", 2), ("Gradients", 2), ("HVPs", 2), ("All in gradients", 2), ("", 1))
    numeric = [False, *[True] * 9]
    table = capped("Cost", "", heads, rows, numeric=numeric, groups=groups, total=tuple(total))
    if free := len(probes) - len(rows):
        table = replace(table, note=f"{count(free, 'more measurement')} without a pass over the data.")
    return CostView(_sentence(in_gradients(planned, run), in_gradients(spent, run)), _price(run), table)


def in_gradients(cost: Cost, run: RunInfo) -> float:
    """By what a product cost on this machine where that is known."""
    measured = product_price(run)
    return cost.in_gradients() if measured is None else cost.in_gradients(hvp=measured)


def product_price(run: RunInfo) -> float | None:
    """Gradients to one Hessian-vector product, as timed before the audit; `None` where it was not timed."""
    return run.hvp_seconds / run.gradient_seconds if run.gradient_seconds and run.hvp_seconds else None


def _row(name: str, planned: Cost, spent: Cost, seconds: float | None, run: RunInfo) -> list[str]:
    passes = chain.from_iterable((getattr(planned, kind), getattr(spent, kind)) for kind in PASSES)
    together = (in_gradients(planned, run), in_gradients(spent, run))
    shown = "—" if seconds is None else f"{seconds:,.2f}"
    return [name, *map(_passes, passes), *map(_gradients, together), shown]


def _sentence(planned: float, spent: float) -> str:
    ratio = f" (ratio {spent / planned:.2f})" if planned else ""
    return f"Planned {_gradients(planned)} gradients, spent {_gradients(spent)}{ratio}."


def _price(run: RunInfo) -> str:
    measured = product_price(run)
    if measured is None or run.gradient_seconds is None:
        return "Nothing was timed: a Hessian-vector product (HVP) counts as 2.5 gradients, a forward as a third of one."
    return (
        f"One gradient of the whole sample took {number(run.gradient_seconds, 3)} s, and a Hessian-vector product "
        f"(HVP) {number(measured, 3)} times as long; a forward counts as a third of a gradient."
    )


def _passes(count: float) -> str:
    """`48`, `3.2`, `1,250`."""
    return f"{count:,.1f}".removesuffix(".0")


def _gradients(count: float) -> str:
    return f"{count:,.1f}"
