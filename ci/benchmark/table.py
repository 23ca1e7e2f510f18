"""Markdown of what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from contestants import ENDS_TOLERANCE, LAMBDA_MAX_TOLERANCE, TRACE_TOLERANCE
from measure import Measured, Product
from race import GROUPS, Row

TITLES = {
    "lambda_max": "λ_max to 1e-3",
    "ends": "λ_max and the five largest to 1e-2, and λ_min to 1e-2 of λ_max",
    "trace": "The trace to a standard error of 2 %",
    "spectrum": "The five largest, λ_min, the trace and the density",
    "battery": "The same; by us with sampling errors too",
}
ERRORS = {
    "lambda_max": {"lambda_max": "λ_max"},
    "ends": {"top": "top 5", "lambda_min": "λ_min"},
    "trace": {"trace": "trace"},
    "spectrum": {"top": "top 5", "lambda_min": "λ_min", "trace": "trace"},
    "battery": {"top": "top 5", "lambda_min": "λ_min", "trace": "trace"},
}
LIMITS = {
    "lambda_max": LAMBDA_MAX_TOLERANCE,
    "top": ENDS_TOLERANCE,
    "lambda_min": ENDS_TOLERANCE,
    "trace": 2 * TRACE_TOLERANCE,  # a standard error is missed by one run in three, twice that by one in twenty
}

PRODUCT_LIMIT = 1e-4
"""Far above what rounding to float32 does here."""

LEGEND = (
    "Gradients: CPU time in gradients of the full sample. Ratio: theirs over ours. Errors against float64, the worst "
    "of all rounds: the five largest each relative to itself, λ_min to λ_max; **bold** misses the tolerance "
    "(the trace: two of its standard errors). †: the library itself says that it is not there yet."
)


def report(found: Mapping[str, Measured], program: Mapping[str, float], versions: Mapping[str, str]) -> str:
    """Every table, under headings of the third level."""
    sections = {
        "Units": _units(found),
        "One Hessian-vector product": _products(found),
        **{TITLES[group]: _group(group, found) for group in GROUPS},
        "`landscape-audit run --no-pdf --only loss` on the demo": _program(program),
    }
    parts = [f"### {title}\n\n{table}" for title, table in sections.items()]
    named = ", ".join(f"{name} {number}" for name, number in versions.items())
    return "\n\n".join([*parts, LEGEND, f"Versions: {named}"])


def _markdown(heads: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    """Words to the left, numbers to the right."""
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _units(found: Mapping[str, Measured]) -> str:
    heads = ["workload", "parameters", "loss", "gradient, ms", "forward, gradients"]
    heads += ["surface point, forwards", "vector algebra over products", "λ_max", "λ_min", "trace"]
    return _markdown(heads, [_unit_cells(name, each) for name, each in found.items()])


def _unit_cells(name: str, each: Measured) -> list[str]:
    truth = each.reference
    return [
        name,
        f"{each.parameters:,}",
        f"{each.loss:.2g}",
        f"{1e3 * each.gradient_seconds:.3g}",
        f"{each.forward:.2f}",
        f"{each.surface_point:.2f}",
        f"{each.algebra:.1%}",
        f"{truth.top[0]:.5g}",
        f"{truth.lambda_min:.3g}",
        f"{truth.trace:.4g} ± {truth.trace_error:.1g}",
    ]


def _products(found: Mapping[str, Measured]) -> str:
    cells = [[f"{name}: {one.who}", *_product_cells(one)] for name, each in found.items() for one in each.products]
    return _markdown(["workload and library", "gradients", "relative error"], cells)


def _product_cells(one: Product) -> list[str]:
    if one.failure:
        return [f"**FAILED** {one.failure}", "-"]
    return [f"{one.gradients:.2f}", _bold(one.error, PRODUCT_LIMIT)]


def _program(program: Mapping[str, float]) -> str:
    return _markdown(["", *program], [["CPU seconds", *(f"{seconds:.2f}" for seconds in program.values())]])


def _group(group: str, by_workload: Mapping[str, Measured]) -> str:
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
        for row in found.rows
        if row.group == group
    ]
    return _markdown(heads, cells)


def _cells(row: Row, wanted: Mapping[str, str]) -> list[str]:
    if row.failure:
        return [f"**FAILED** {row.failure}", *["-"] * (2 + len(wanted))]
    dagger = "" if row.enough else "†"
    errors = [_error(name, row.errors.get(name)) for name in wanted]
    return [f"{row.products:.0f}{dagger}", f"{row.gradients:.0f}", f"{row.ratio:.1f}", *errors]


def _error(name: str, error: float | None) -> str:
    if error is None:
        return "not offered"
    return _bold(error, LIMITS[name])


def _bold(error: float, limit: float) -> str:
    return f"**{error:.1e}**" if error > limit else f"{error:.1e}"
