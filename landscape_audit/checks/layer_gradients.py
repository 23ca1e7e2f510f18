"""The gradient by parameter tensor: what a step would change there, and what a short dtype would lose of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

from landscape_audit.probes.gradients import BlockGradient, GradientSample
from landscape_audit.results import Axis, Bar, Bars, Column, Estimate, Table
from landscape_audit.text import number

VANISHING = 1e-3
"""Of the median ratio: a tensor that moves a thousand times less than the others is not being trained with them."""


def ratios(blocks: Sequence[BlockGradient]) -> dict[str, Estimate]:
    """The median update ratio, and the least over the median; not a number where no tensor has a ratio."""
    found = _ratios(blocks)
    middle = median(found.values()) if found else math.nan
    weakest = min(found.values()) / middle if found else math.nan
    return {
        "update_ratio": Estimate.exact(middle, n=len(found)),
        "weakest_tensor": Estimate.exact(weakest, direction="higher", n=len(found)),
    }


def vanishing(blocks: Sequence[BlockGradient]) -> list[str]:
    """The tensors without a gradient, or with a ratio of at most `VANISHING` times the median."""
    found = _ratios(blocks)
    limit = VANISHING * median(found.values()) if found else 0.0
    return [block.name for block in blocks if block.gradient_norm == 0 or found.get(block.name, math.inf) <= limit]


def _ratios(blocks: Sequence[BlockGradient]) -> dict[str, float]:
    found = ((block.name, _ratio(block)) for block in blocks if block.gradient_norm != 0)
    return {name: ratio for name, ratio in found if ratio is not None and math.isfinite(ratio)}


def _ratio(block: BlockGradient) -> float | None:
    return block.gradient_norm / block.weight_norm if block.weight_norm > 0 else None


def underflow(sample: GradientSample) -> dict[str, Estimate]:
    """What the checkpoint's dtype would lose of the gradient; nothing where it is of more than 16 bits."""
    if sample.held is None:
        return {}
    there = sum(block.elements - block.zeros for block in sample.blocks)
    less = sum(block.lost + block.subnormal for block in sample.blocks)
    share = less / there if there else math.nan
    return {
        "underflow": Estimate.exact(share, unit="share", direction="lower", n=there),
        "lost_norm": Estimate.exact(lost_share(sample), unit="share", direction="lower", n=there),
    }


def lost_share(sample: GradientSample) -> float:
    """The share of |g| in the elements that would be zero; not a number where g is zero."""
    lost = math.hypot(*(block.lost_norm for block in sample.blocks))
    whole = math.hypot(*(block.gradient_norm for block in sample.blocks))
    return lost / whole if whole else math.nan


def bars(blocks: Sequence[BlockGradient]) -> Bars:
    """|g| by tensor, largest first."""
    top = blocks[0]
    return Bars(
        name="layers",
        title="Gradient by parameter tensor",
        finding=f"The largest part of the gradient is in {top.name}, {number(top.gradient_norm)}.",
        expected="small everywhere; no tensor orders of magnitude above the others",
        axis=Axis(label="|g|", unit="loss per unit of parameter", scale="log"),
        bars=tuple(Bar(label=block.name, value=block.gradient_norm) for block in blocks),
    )


def table(blocks: Sequence[BlockGradient], held: str | None) -> Table:
    """Norms, ratios and lost elements by tensor."""
    columns = [
        Column(name="parameter", title="Parameter"),
        Column(name="elements", title="Elements"),
        Column(name="gradient_norm", title="|g|", unit="loss per unit of parameter"),
        Column(name="weight_norm", title="|θ|"),
        Column(name="update_ratio", title="|g| / |θ|"),
        Column(name="zeros", title="Exact zeros"),
        Column(name="underflows", title="Below float16"),
    ]
    if held:
        columns += [
            Column(name="lost", title=f"Zero in {held}"),
            Column(name="subnormal", title=f"Subnormal in {held}"),
        ]
    return Table(
        name="layer_ratios",
        title="Update ratios",
        finding="What a step of size one along −g would change in each tensor, relative to what is there.",
        columns=tuple(columns),
        rows=tuple(_row(block)[: len(columns)] for block in blocks),
    )


def _row(block: BlockGradient) -> tuple[str | int | float | None, ...]:
    return (
        block.name,
        block.elements,
        block.gradient_norm,
        block.weight_norm,
        _ratio(block),
        block.zeros,
        block.underflows,
        block.lost,
        block.subnormal,
    )
