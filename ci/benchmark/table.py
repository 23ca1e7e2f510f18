"""Markdown of what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from contestants import ENDS_TOLERANCE, LAMBDA_MAX_TOLERANCE, TRACE_TOLERANCE
from race import GROUPS, Row

TITLES = {
    "lambda_max": "λ_max to 1e-3",
    "ends": "λ_max and the five largest to 1e-2, and λ_min to 1e-2 of λ_max",
    "trace": "The trace to a standard error of 2 %",
    "battery": "The five largest, λ_min, the trace and the density; by us with sampling errors too",
}
ERRORS = {
    "lambda_max": {"lambda_max": "λ_max"},
    "ends": {"top": "top 5", "lambda_min": "λ_min"},
    "trace": {"trace": "trace"},
    "battery": {"top": "top 5", "lambda_min": "λ_min", "trace": "trace"},
}
LIMITS = {
    "lambda_max": LAMBDA_MAX_TOLERANCE,
    "top": ENDS_TOLERANCE,
    "lambda_min": ENDS_TOLERANCE,
    "trace": 2 * TRACE_TOLERANCE,  # a standard error is missed by one run in three, twice that by one in twenty
}

LEGEND = (
    "Gradients: CPU time in gradients of the full sample. Ratio: theirs over ours. Errors against float64, the worst "
    "of all rounds: the five largest each relative to itself, λ_min to λ_max; **bold** misses the tolerance "
    "(the trace: two of its standard errors). †: the library itself says that it is not there yet."
)


def markdown(heads: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    """A table: words to the left, numbers to the right."""
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def groups(by_workload: Mapping[str, Sequence[Row]]) -> str:
    """One table for each group of quantities."""
    return "\n\n".join(f"### {TITLES[group]}\n\n{_group(group, by_workload)}" for group in GROUPS)


def _group(group: str, by_workload: Mapping[str, Sequence[Row]]) -> str:
    wanted = ERRORS[group]
    heads = [
        "workload and library",
        "products",
        "gradients",
        "ratio",
        *(f"error of {name}" for name in wanted.values()),
    ]
    cells = [
        [f"{workload}: {row.who}", *_cells(row, wanted)]
        for workload, found in by_workload.items()
        for row in found
        if row.group == group
    ]
    return markdown(heads, cells)


def _cells(row: Row, wanted: Mapping[str, str]) -> list[str]:
    if row.failure:
        return [f"**FAILED** {row.failure}", *["-"] * (2 + len(wanted))]
    dagger = "" if row.enough else "†"
    errors = [_error(name, row.errors.get(name)) for name in wanted]
    return [f"{row.products:.0f}{dagger}", f"{row.gradients:.0f}", f"{row.ratio:.1f}", *errors]


def _error(name: str, error: float | None) -> str:
    if error is None:
        return "not offered"
    return f"**{error:.1e}**" if error > LIMITS[name] else f"{error:.1e}"
