"""An audit with every kind of detail and with hostile words in it. No torch, no files."""

from __future__ import annotations

import datetime as dt
from typing import Any

from results_factory import a_check, an_audit, between

from landscape_audit.detail import (
    Axis,
    Bar,
    Bars,
    Column,
    Condition,
    Decision,
    Line,
    Mark,
    Panel,
    Panels,
    Series,
    Spectrum,
    Step,
    Surface,
    Table,
)
from landscape_audit.gates.judge import judged
from landscape_audit.policy import Gate, Policy
from landscape_audit.results import AuditResults, Measured

HOSTILE = "<script>alert(1)</script>{{7*7}}$\\frac{1}$\x1b[31m\u202e\x00|`*_]\"'" + "w" * 200
AXIS = Axis(label="Distance", unit="share")
DETAILS = (
    Line(
        name="curve",
        title="Curve",
        finding="It rises.",
        x=AXIS,
        y=AXIS,
        series=(
            Series(name="measured", x=(0.0, 1.0, 2.0), y=(0.0, 1.0, None), low=(0.0, 0.5, None), high=(0.0, 1.5, None)),
        ),
    ),
    Surface(
        name="plane",
        title="Plane",
        finding="A bowl.",
        x=AXIS,
        y=AXIS,
        z_axis=AXIS,
        xs=(-1.0, 0.0, 1.0),
        ys=(-1.0, 0.0, 1.0),
        z=((2.0, 1.0, None), (1.0, 0.5, 1.0), (2.0, 1.0, 2.0)),
    ),
    Spectrum(
        name="density",
        title="Density",
        finding="Flat.",
        x=Axis(label="Eigenvalue", unit="loss", scale="symlog"),
        grid=(-1.0, 0.0, 1.0),
        density=(0.1, 5.0, 0.2),
        outliers=(Bar(label="top", value=1.0, low=0.9, high=1.1),),
    ),
    Bars(
        name="layers",
        title="Layers",
        finding="One.",
        axis=AXIS,
        bars=(Bar(label=HOSTILE, value=2.0), Bar(label="b", value=1.0)),
    ),
    Table(
        name="rows",
        title="Rows",
        finding="Many.",
        columns=(Column(name="a", title="A"), Column(name="b", title="B")),
        rows=tuple((f"row {i}", float(i)) for i in range(3000)),
    ),
    Decision(
        name="decision",
        title="Decision",
        finding=HOSTILE,
        steps=(
            Step(
                name="not_critical",
                outcome="no",
                conditions=(
                    Condition(says=HOSTILE, asks=">", limit=0.5, value=0.1, holds=False),
                    Condition(says="slope", asks="≤", limit=0.0, value=None, holds=False),
                ),
                reason=HOSTILE,
            ),
            Step(
                name=HOSTILE,
                outcome="yes",
                conditions=(Condition(says="rise", asks="≥", limit=0.0, value=2.0, low=1.0, holds=True),),
                reason=HOSTILE,
            ),
            Step(name="undecided", outcome="open", conditions=(), reason="Never asked."),
        ),
    ),
    Bars(
        name="ratios",
        title="Ratios",
        finding="One.",
        axis=Axis(label="Ratio", scale="log"),
        bars=(
            Bar(label=HOSTILE, value=2.0, low=0.5, high=None, group=HOSTILE),
            Bar(label="none", value=None, group="SAM"),
        ),
        reference=1.0,
    ),
    Panels(
        name="twins",
        title="Twins",
        finding="Two.",
        groups=("base", HOSTILE),
        repeat=HOSTILE,
        panels=(Panel(axis=AXIS, values=((1.0, 2.0), (None, 3.0)), mark=Mark(label=HOSTILE, y=1.5)),),
    ),
)


def policy(**gates: Any) -> Policy:
    """Gates by key, with `__` for the dot."""
    return Policy(gates={key.replace("__", "."): Gate(**gate) for key, gate in gates.items()})


def an_audit_with_everything(**changes: Any) -> AuditResults:
    """Every kind of detail, a cell without a value, a long table, and hostile words wherever words are foreign."""
    measured = Measured(estimates={"lambda_max": between(29.0, 31.0, 33.0)}, details=DETAILS, caveats=(HOSTILE,))
    check = a_check("sharpness", measured)
    audit = an_audit(checks=(check,), **changes)
    demanded = policy(sharpness__lambda_max={"at_most": 50.0, "why": HOSTILE})
    return judged(audit, demanded, dt.date(2026, 1, 1))
