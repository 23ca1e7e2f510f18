"""An estimate as a reader sees it: its number, its interval, and where the interval comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from landscape_audit.estimate import Estimate
from landscape_audit.ids import name_of
from landscape_audit.intervals import with_interval
from landscape_audit.report.tables import TableView, capped, cell
from landscape_audit.report.words import HINTS
from landscape_audit.text import number, percent, printable


@dataclass(frozen=True)
class EstimateView:
    """One number of a check."""

    key: str
    name: str
    value: str
    interval: str
    unit: str
    uncertainty: str
    hint: str = ""
    """What to read the number by, in plain words, where that can be said."""


def estimate_of(key: str, estimate: Estimate, metric: str | None = None) -> EstimateView:
    """One estimate, rounded to where its interval begins."""
    shown = with_interval(estimate)
    name = name_of(key, metric)
    short = key.partition(".")[2].replace("_", " ")
    value, _, interval = shown.partition(" (")
    named = name if name != key else short
    unit = printable(estimate.unit)
    return EstimateView(
        printable(key),
        printable(named),
        value,
        interval.removesuffix(")"),
        unit,
        ", ".join(filter(None, _from(estimate))),
        HINTS.get(key, ""),
    )


def estimates_table(title: str, estimates: Mapping[str, Estimate], metric: str | None) -> TableView:
    """Estimates as a person reads them."""
    seen = [estimate_of(key, estimate, metric) for key, estimate in estimates.items()]
    rows = [[each.name, each.value, each.interval, each.unit, each.uncertainty] for each in seen]
    heads = ["Number", "Value", "Interval", "Unit", "From"]
    return capped(title, "", heads, rows, numeric=[False, True, False, False, False])


def values_table(estimates: Mapping[str, Estimate]) -> TableView:
    """Estimates under their ids, to more digits than a person needs."""
    rows = [
        [printable(key), number(e.value, 6), cell(e.low, 6), cell(e.high, 6), printable(e.unit), *_from(e)]
        for key, e in estimates.items()
    ]
    heads = ["Id", "Value", "Low", "High", "Unit", "From", "Level"]
    return capped("Every value", "", heads, rows, numeric=[False, True, True, True, False, False, True])


def _from(estimate: Estimate) -> tuple[str, str]:
    """Where its interval comes from, and at which level."""
    kinds = " + ".join(dict.fromkeys(part.kind for part in estimate.parts)) or "exact"
    return kinds, percent(estimate.level, 6) if estimate.level and estimate.parts else ""
