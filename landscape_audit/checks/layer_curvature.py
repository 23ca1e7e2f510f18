"""Which layers are sharp?"""

from __future__ import annotations

from landscape_audit.checks.check import check
from landscape_audit.checks.eigenvalue import UNIT
from landscape_audit.detail import Axis, Bar, Bars, Column, Table
from landscape_audit.estimate import Estimate, IntervalPart, Label, finite_or_none
from landscape_audit.probes.facts import AuditFacts, Facts
from landscape_audit.probes.krylov import KrylovTrace, TraceFound
from landscape_audit.probes.layers import LayerKrylov, LayerTop
from landscape_audit.results import Measured
from landscape_audit.text import number, percent


@check(
    "layer_curvature",
    LayerKrylov(),
    KrylovTrace(),
    AuditFacts(),
    version=1,
    title="Curvature by layer",
    question="Which layers are sharp, and where is the curvature?",
    source="Baston & Nakatsukasa 2022 (trace by block); elementary (interlacing)",
)
def layer_curvature(layers: tuple[LayerTop, ...], trace: TraceFound, facts: Facts) -> Measured:
    """λ_max and trace of each layer's diagonal block of the Hessian: the curvature if that layer alone could move.

    `lambda_max` is the largest over the layers; none exceeds λ_max of the whole, as a block's eigenvalues lie between
    the ends of the spectrum. Each is a Ritz value of a few steps, a lower bound with its residual, of this
    sample alone. The traces come
    from the same products as the whole's, and add up to it; their intervals are Student's over the random probes. Raw
    curvature depends on how a layer is scaled: read it beside the size of the weights.
    """
    measured = [layer for layer in layers if layer.lambda_max is not None]
    estimates = {}
    labels = {}
    if measured:
        top = max(measured, key=lambda layer: layer.lambda_max or 0.0)
        value = top.lambda_max or 0.0
        parts = (IntervalPart(kind="bound", low=value, high=None),)
        estimates["lambda_max"] = Estimate.within(value, parts, unit=UNIT, direction="lower", n=len(measured))
        told = f"λ_max of its own block is {number(value)}, the largest of {len(measured)} layers."
        labels["sharpest"] = Label(value=top.name, reason=told)
    return Measured(
        estimates=estimates,
        labels=labels,
        details=(_table(layers, trace, facts), _bars(layers, trace, facts)),
        caveats=() if measured else ("layer_steps is 0 here: only the traces were measured.",),
    )


def _table(layers: tuple[LayerTop, ...], trace: TraceFound, facts: Facts) -> Table:
    total = trace.whole.value
    rows = []
    for index, layer in enumerate(layers):
        found = trace.layer(index)
        half = finite_or_none(found.half_width(facts.level))
        traced = (found.value, half, found.value / total if total else None)
        rows.append((layer.name, layer.parameters, layer.lambda_max, layer.residual, *traced, layer.weight_in_top))
    heaviest = max(layers, key=lambda layer: layer.weight_in_top)
    return Table(
        name="layers",
        title="Curvature of each layer's own block",
        finding=f"{percent(heaviest.weight_in_top, 3)} of the sharpest direction lies in layer {heaviest.name}.",
        expected="no single layer far above the rest, unless it is the last",
        columns=(
            Column(name="layer", title="Layer"),
            Column(name="parameters", title="Parameters"),
            Column(name="lambda_max", title="λ_max, at least", unit=UNIT),
            Column(name="residual", title="Residual", unit=UNIT),
            Column(name="trace", title="Trace", unit=UNIT),
            Column(name="trace_half_width", title="Trace ±", unit=UNIT),
            Column(name="trace_share", title="Share of the trace"),
            Column(name="weight_in_top", title="Share of v_max"),
        ),
        rows=tuple(rows),
    )


def _bars(layers: tuple[LayerTop, ...], trace: TraceFound, facts: Facts) -> Bars:
    bars = []
    for index, layer in enumerate(layers):
        found = trace.layer(index)
        half = finite_or_none(found.half_width(facts.level))
        low, high = (None, None) if half is None else (found.value - half, found.value + half)
        bars.append(Bar(label=layer.name, value=finite_or_none(found.value), low=low, high=high))
    return Bars(
        name="traces",
        title="Trace by layer",
        finding=f"The traces of {len(layers)} layers add up to {number(trace.whole.value)}.",
        expected="spread over the layers",
        axis=Axis(label="Trace of the layer's block", unit=UNIT),
        bars=tuple(bars),
    )
