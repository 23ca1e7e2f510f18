"""A finished audit in a few lines of terminal: the verdict, the gates, the numbers people ask for first."""

from __future__ import annotations

from landscape_audit.results import AuditResults, Estimate
from landscape_audit.text import number, printable

HEADLINES = (
    "loss.value",
    "loss.metric",
    "gradient.norm",
    "sharpness.lambda_max",
    "negative_curvature.lambda_min",
    "trace.trace",
    "flatness.tolerance",
)
GLYPHS = {"pass": "✓", "fail": "✗", "undecided": "?"}


def summary(results: AuditResults) -> str:
    """Plain text; every foreign word made printable."""
    lines = ["", printable(results.verdict.sentence, limit=400), ""]
    if not results.instrument.agrees:
        lines[1:1] = [
            f"The instrument disagrees with itself: {printable('; '.join(results.instrument.disagreements), 400)}"
        ]
    for gate in results.gates:
        waived = "  (waived)" if gate.waiver else ""
        level = "  (warning)" if gate.level == "warn" else ""
        lines.append(f"  {GLYPHS[gate.status]} {gate.key:32} {printable(gate.found):36} {gate.demand}{level}{waived}")
    lines += ["", *(f"    {key:32} {interval(found)}" for key, found in _headlines(results)), ""]
    for key, label in results.labels().items():
        lines.append(f"    {key:32} {label.value}")
    return "\n".join([*lines, ""])


def _headlines(results: AuditResults) -> list[tuple[str, Estimate]]:
    found = results.estimates()
    return [(key, found[key]) for key in HEADLINES if key in found]


def interval(estimate: Estimate) -> str:
    """`31.42  (29.8 to 33.1)`, or what is known of one side."""
    if estimate.value is None:
        return f"not finite ({estimate.nonfinite})"
    low, high = estimate.low, estimate.high
    if not estimate.parts:
        return number(estimate.value)
    if low is None or high is None:
        side = (
            f"at least {number(low)}"
            if low is not None
            else f"at most {number(high)}"
            if high is not None
            else "no bound"
        )
        return f"{number(estimate.value)}  ({side})"
    return f"{number(estimate.value)}  ({number(low)} to {number(high)})"
